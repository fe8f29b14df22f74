"""What is made with a secret goes to `hmac.compare_digest` and nowhere else, whatever the source calls it.

Every HMAC is one that says so when it is compared, searched or taken apart; the gate decides all the same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Final, Literal

import pytest
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

import wicket.decision.identity_hash
import wicket.decision.message_hash
import wicket.diagnostics.hashes
import wicket.keys.algorithms
from tests.attacks.token_factory import HASHES, NOW, app, claims, secret, signature_of
from wicket import CompanyHash, Gate, Header, IdentityHash, JsonBody, MessageHash, Request, Secret, ValueHash
from wicket.diagnostics import diagnose
from wicket.runtime import base64url

Written = Literal["hex", "base64"]
_WAYS: Final = (
    *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__contains__", "__iter__"),
    *("__getitem__", "startswith", "endswith", "find", "rfind", "index", "rindex", "count", "split", "rsplit"),
    *("partition", "rpartition", "removeprefix", "removesuffix", "replace", "strip", "lower", "upper"),
)
"""How a value may be compared, or taken apart to be compared."""


class HiddenBytes(bytes):
    """Bytes that only C code of the standard library may read."""


class HiddenText(str):
    """A string that only C code may read. Its encoded bytes are hidden too."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """The bytes of the text."""
        return HiddenBytes(str.encode(self, encoding, errors))

    def __str__(self) -> str:
        return self


class HiddenHMAC:
    """An HMAC of the `cryptography` package whose result is hidden."""

    def __init__(self, key: bytes, algorithm: HashAlgorithm, made: HMAC | None = None) -> None:
        self._made = made or HMAC(key, algorithm)

    def copy(self) -> HiddenHMAC:
        """Another HMAC with the same state."""
        return HiddenHMAC(b"", self._made.algorithm, self._made.copy())

    def update(self, data: bytes) -> None:
        """Adds to the message."""
        self._made.update(data)

    def finalize(self) -> bytes:
        """The HMAC."""
        return HiddenBytes(self._made.finalize())


class Told:
    """What was compared in constant time: what we made, what was given, and the result; and what was touched."""

    def __init__(self) -> None:
        self.compared: list[tuple[bytes, bytes, bool]] = []
        self.touched: list[str] = []


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """From now on every HMAC is hidden, and `hmac.compare_digest` tells what it was given."""
    told = Told()
    for cls in (HiddenBytes, HiddenText):
        for name in _WAYS:
            monkeypatch.setattr(cls, name, _telling(told, f"{cls.__name__}.{name}"), raising=False)
    digest, compare = hmac.digest, hmac.compare_digest

    def spy(ours: Any, given: Any) -> bool:
        result = compare(ours, given)
        if type(ours) is HiddenBytes:  # made with a secret
            told.compared.append((bytes(ours), bytes(given), result))
        return result

    monkeypatch.setattr(wicket.keys.algorithms, "HMAC", HiddenHMAC)
    monkeypatch.setattr(hmac, "digest", lambda *given: HiddenBytes(digest(*given)))
    monkeypatch.setattr(hmac, "compare_digest", spy)
    for module in (wicket.decision.identity_hash, wicket.decision.message_hash, wicket.diagnostics.hashes):
        monkeypatch.setattr(module, "compute_hash", _hidden(vars(module)["compute_hash"]))
    return told


def _telling(told: Told, name: str) -> Callable[..., Any]:
    def touched(*_: object) -> Any:
        told.touched.append(name)
        raise AssertionError(f"{name} takes as long as what it is given")

    return touched


def _hidden(made: Callable[..., str]) -> Callable[..., str]:
    return lambda *given: HiddenText(made(*given))


def mac(key: bytes, text: str, algorithm: str = "sha256") -> bytes:
    """An HMAC that is not hidden."""
    return hmac.new(key, text.encode(), algorithm).digest()


def hash_key(name: str) -> bytes:
    """The secret of the app's hashes of users or of companies."""
    return hashlib.sha256(f"untouched: {name}".encode()).digest()


def written(digest: bytes, encoding: str) -> str:
    """As the backend of the app writes a hash."""
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def wrong(right: str) -> list[str]:
    """Guesses that come nearer and nearer, and others."""
    near = [right[:at] + ("0" if right[at] != "0" else "1") + right[at + 1 :] for at in (0, 7, len(right) - 2)]
    return [*near, right[:-1], f"{right}0", "x"]


def ask(sent: dict[str, Any], bearer: str = "", encoding: Written = "hex") -> tuple[bool, str | None]:
    """Whether a gate that has seen nothing yet lets it pass, and why not."""
    rule = IdentityHash(
        secret=Secret(hash_key("users")), encoding=encoding, companies=CompanyHash(secret=Secret(hash_key("companies")))
    )
    keys = [Secret(secret(), algorithms=tuple(HASHES))]
    headers = [("X-App-Id", "acme"), ("Content-Type", "application/json"), ("Authorization", f"Bearer {bearer}")]
    held = app("acme", *keys, identity_hash=rule)
    with Gate([held], app_locations=[Header("X-App-Id")], clock=lambda: NOW) as gate:
        request = Request("POST", headers=headers[: 3 if bearer else 2], body=json.dumps(sent).encode())
        decision = gate.decide(request)
    return decision.allowed, decision.refusal.reason if decision.refusal else None


@pytest.mark.parametrize("algorithm", HASHES)
def test_token_hmac_any_guess_only_compare_digest(told: Told, algorithm: str) -> None:
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm}, claims())]
    message = ".".join(base64url.encode(part) for part in parts)
    right = mac(secret(), message, HASHES[algorithm])
    assert ask({}, f"{message}.{base64url.encode(right)}") == (True, None)
    assert told.compared == [(right, right, True)]
    for index in (0, 1, len(right) - 1):
        told.compared.clear()
        guess = right[:index] + bytes([right[index] ^ 1]) + right[index + 1 :]
        assert ask({}, f"{message}.{base64url.encode(guess)}") == (False, "bad_signature")
        assert told.compared == [(right, guess, False)], "whole, wherever they differ"
    assert told.touched == []


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_identity_hash_any_guess_only_compare_digest(told: Told, encoding: Written) -> None:
    right = written(mac(hash_key("users"), "ada"), encoding)
    assert ask({"userId": "ada", "userHash": right}, encoding=encoding) == (True, None)
    assert told.compared == [(right.encode(), right.encode(), True)]
    for guess in wrong(right):
        told.compared.clear()
        assert ask({"userId": "ada", "userHash": guess}, encoding=encoding) == (False, "bad_identity_hash")
        assert told.compared == [(right.encode(), guess.encode(), False)]
    assert told.touched == []


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_company_hash_any_guess_only_compare_digest(told: Told, encoding: Written) -> None:
    users = written(mac(hash_key("users"), "ada"), encoding)
    right = written(mac(hash_key("companies"), "c1"), encoding)
    user = {"userId": "ada", "userHash": users}
    assert ask({**user, "companies": [{"id": "c1", "companyHash": right}]}, encoding=encoding) == (True, None)
    assert told.compared[1:] == [(right.encode(), right.encode(), True)]
    for guess in wrong(right):
        told.compared.clear()
        sent = {**user, "companies": [{"id": "c1", "companyHash": guess}]}
        assert ask(sent, encoding=encoding) == (False, "bad_identity_hash")
        assert told.compared[1:] == [(right.encode(), guess.encode(), False)]
        assert [result for *_, result in told.compared] == [True, False], "one for each of the two"
    assert told.touched == []


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_value_hash_any_guess_only_compare_digest(told: Told, encoding: Written) -> None:
    value = ValueHash(name="room", secret=Secret(hash_key("rooms")), hash_location=JsonBody("roomHash"))
    rule = IdentityHash(secret=Secret(hash_key("users")), encoding=encoding, values=(value,))
    right = written(mac(hash_key("rooms"), "7"), encoding)
    user = {"userId": "ada", "userHash": written(mac(hash_key("users"), "ada"), encoding), "room": 7}
    with Gate([app("acme", Secret(secret()), identity_hash=rule)], clock=lambda: NOW) as gate:
        for guess, passed in ((right, True), *((each, False) for each in wrong(right))):
            told.compared.clear()
            body = json.dumps({**user, "roomHash": guess}).encode()
            request = Request("POST", headers=[("Content-Type", "application/json")], body=body)
            assert gate.decide(request).allowed is passed
            assert told.compared[1:] == [(right.encode(), guess.encode(), passed)]
    assert told.touched == []


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_message_hash_any_guess_only_compare_digest(told: Told, encoding: Written) -> None:
    rule = MessageHash(secret=Secret(hash_key("messages")), encoding=encoding)
    right = written(mac(hash_key("messages"), "1.2:room"), encoding)
    with Gate([app("acme", Secret(secret()), message_hash=rule)], clock=lambda: NOW) as gate:
        for guess, passed in ((right, True), *((each, False) for each in wrong(right))):
            told.compared.clear()
            assert gate.verify_hash(guess, "1.2", "room", app="acme").allowed is passed
            assert told.compared == [(right.encode(), guess.encode(), passed)]
    assert told.touched == []


def test_diagnose_identity_hash_any_guess_only_compare_digest(told: Told) -> None:
    rule = IdentityHash(secret=Secret(hash_key("users")))
    held = app("acme", Secret(secret()), identity_hash=rule, token_locations=[JsonBody("token")])
    right = mac(hash_key("users"), "ada").hex()
    with Gate([held], clock=lambda: NOW) as gate:
        for guess, passed in ((right, True), *((each, False) for each in wrong(right))):
            told.compared.clear()
            assert diagnose(gate, "acme", body={"userId": "ada", "userHash": guess}).passed is passed
            assert (right.encode(), guess.encode(), passed) in told.compared
    assert told.touched == []


@pytest.mark.parametrize("kind", [HiddenBytes, HiddenText])
def test_hidden_value_other_comparison_detected(told: Told, kind: Any) -> None:
    plain: Any = b"abc" if kind is HiddenBytes else "abc"
    hidden = kind(plain)
    ways: list[Callable[[], object]] = [
        lambda: hidden == plain,
        lambda: plain == hidden,
        lambda: plain != hidden,
        lambda: hidden in set(plain[:1]),
        lambda: hidden in [plain[:1], plain],
        lambda: all(one == other for one, other in zip(hidden, plain, strict=True)),
        lambda: hidden[0],
        lambda: hidden.startswith(plain),
    ]
    for count, way in enumerate(ways, 1):
        with pytest.raises(AssertionError, match="as long as"):
            way()
        assert len(told.touched) == count
    assert type(HiddenText("abc").encode()) is type(signature_of(b"abc", b"key", "HS256")) is HiddenBytes
