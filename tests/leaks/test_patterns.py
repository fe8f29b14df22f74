"""The watch sees every kind of proof, however little of it is said, and every exception that reaches a test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.integration import servers
from tests.leaks.patterns import RUN, Known, pieces_of, spellings
from tests.leaks.plugin import LeakWatch
from wicket import (
    CompanyHash,
    ConfigError,
    Gate,
    Header,
    IdentityHash,
    JsonBody,
    Jwks,
    PublicKey,
    Request,
    Secret,
    mint,
    profiles,
)
from wicket.diagnostics import diagnose
from wicket.errors import Problems, WicketError
from wicket.http.long_lived import ConnectionEnded
from wicket.jwks.network_backend import ResponseTooLargeError
from wicket.jwks.ssrf import ForbiddenAddressError, ResolutionError
from wicket.keys.algorithms import UnusableKeyError
from wicket.runtime import base64url
from wicket.runtime.cache import LoadFailed

LOG = logging.getLogger("wicket")
NO_HEADERS = "nothing to hide: app=watched, https://id.example/jwks.json, key-1, the identity hash does not verify"


def digest(name: str) -> bytes:
    """32 bytes that look like nothing, and that no other test has."""
    return hashlib.sha256(f"kinds: {name}".encode()).digest()


def said(watch: LeakWatch, text: str) -> bool:
    """Whether the watch objects to a record with this text."""
    assert watch.taken() == []
    LOG.warning("%s", NO_HEADERS)
    assert watch.taken() == []
    LOG.warning("<%s>", text)
    return watch.taken() != []


@pytest.mark.parametrize("spelling", sorted(spellings(digest("a part"))))
def test_leak_watch_secret_fragment_of_run_length_detected(spelling: str, leak_watch: LeakWatch) -> None:
    Secret(digest("a part"))
    parts = [spelling[index : index + RUN] for index in range(len(spelling) - RUN + 1)]
    assert all(said(leak_watch, part) for part in parts)
    for part in parts:
        leak_watch.scan("a text", f"<{part[1:]}>")
    assert leak_watch.taken() == [], "shorter ones may stand in any text"


def test_leak_watch_text_secret_tail_detected(leak_watch: LeakWatch) -> None:
    text = f"sk_live_{digest('text').hex()}"
    Secret.from_text(text)
    assert said(leak_watch, text[-RUN:])
    assert said(leak_watch, base64.b64encode(text.encode()).decode()[-RUN:])


REFUSED: dict[str, Callable[[str], object]] = {
    "blanks around it": lambda text: Secret.from_text(f" {text}"),
    "no hexadecimal": lambda text: Secret.from_hex(f"0x{text}"),
    "no base64": lambda text: Secret.from_base64(f"{text}!"),
    "a text for bytes": lambda text: Secret(text),  # type: ignore[arg-type]  # on purpose
}


@pytest.mark.parametrize("way", REFUSED)
def test_leak_watch_secret_rejected_by_constructor_detected(way: str, leak_watch: LeakWatch) -> None:
    text = digest(way).hex()
    with pytest.raises(ConfigError):
        REFUSED[way](text)
    assert said(leak_watch, text[-RUN - 1 : -1])


PRIVATE = ec.generate_private_key(ec.SECP256R1())
JWK: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(PRIVATE, as_dict=True)
RSA = rsa.generate_private_key(65537, 2048)
RSA_JWK: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(RSA, as_dict=True)
IMPORTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a public key": lambda jwk: PublicKey.from_jwk(jwk, algorithms=["ES256", "RS256"]),
    "a set": lambda jwk: Jwks.static({"keys": [jwk]}, algorithms=["ES256", "RS256"]),
    "a secret": lambda jwk: Secret.from_text(json.dumps(jwk)),
    "a secret that is a set": lambda jwk: Secret(json.dumps({"keys": [jwk]}).encode()),
}


@pytest.mark.parametrize("way", IMPORTS)
def test_leak_watch_rejected_private_jwk_detected(way: str, leak_watch: LeakWatch) -> None:
    for jwk, names in ((JWK, ["d"]), (RSA_JWK, ["d", "p", "q", "dp", "dq", "qi"])):
        with pytest.raises(ConfigError):
            IMPORTS[way](jwk)
        for name in names:
            assert said(leak_watch, jwk[name])
            assert said(leak_watch, jwk[name][-RUN:])
            assert said(leak_watch, base64url.decode(jwk[name]).hex())
        assert not said(leak_watch, jwk["x" if "x" in jwk else "n"]), "this half is public"


def test_leak_watch_oct_key_in_key_set_detected(leak_watch: LeakWatch) -> None:
    key = base64url.encode(digest("oct"))
    with pytest.raises(ConfigError):
        Jwks.static({"keys": [{"kty": "oct", "k": key}]}, algorithms=["RS256"])
    assert said(leak_watch, key)


def test_leak_watch_rejected_private_pem_detected(leak_watch: LeakWatch) -> None:
    text = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ConfigError):
        PublicKey.from_pem(text, algorithms=["RS256"])
    assert said(leak_watch, text.splitlines()[9])


APP = profiles.generic(
    "hashed",
    credentials=[Secret(digest("tokens"))],
    token_locations=[JsonBody("token")],
    identity_hash=IdentityHash(secret=Secret(digest("users")), companies=CompanyHash(secret=Secret(digest("firms")))),
)


def compute_hash(name: str, text: str) -> bytes:
    """The hash that the backend of the app makes."""
    return hmac.digest(digest(name), text.encode(), "sha256")


def body(**members: Any) -> bytes:
    """What a client sends."""
    return json.dumps({"userId": "ada", "userHash": compute_hash("users", "ada").hex(), **members}).encode()


def ask(sent: bytes) -> bool:
    """Whether the gate lets it pass."""
    with Gate([APP], app_locations=[Header("X-App-Id")]) as gate:
        headers = [("X-App-Id", "hashed"), ("Content-Type", "application/json")]
        return gate.decide(Request("POST", headers=headers, body=sent)).allowed


def test_leak_watch_computed_identity_hash_detected(leak_watch: LeakWatch) -> None:
    for sent, allowed in ((body(), True), (body(userHash="0" * 64), False)):
        leak_watch.begin()
        assert not said(leak_watch, compute_hash("users", "ada").hex()), "nobody has made one"
        assert ask(sent) is allowed
        for text in spellings(compute_hash("users", "ada")):
            assert said(leak_watch, text)
            assert said(leak_watch, text[-RUN:])


def test_leak_watch_computed_company_hash_detected(leak_watch: LeakWatch) -> None:
    proof = compute_hash("firms", "c1").hex()
    for sent, allowed in ((proof, True), ("f" * 64, False)):
        leak_watch.begin()
        assert not said(leak_watch, proof)
        assert ask(body(companies=[{"id": "c1", "companyHash": sent}])) is allowed
        assert said(leak_watch, proof)


def test_leak_watch_hash_computed_by_diagnose_detected(leak_watch: LeakWatch) -> None:
    with Gate([APP], app_locations=[Header("X-App-Id")]) as gate:
        diagnosis = diagnose(gate, "hashed", body={"userId": "eve", "userHash": "0" * 64})
    assert not diagnosis.passed
    assert said(leak_watch, compute_hash("users", "eve").hex())


def test_leak_watch_single_token_part_detected(leak_watch: LeakWatch) -> None:
    with Gate([APP], app_locations=[Header("X-App-Id")]) as gate:
        for user, allowed in (("ada", True), ("eve", False)):
            text = jwt.encode({"sub": user, "exp": int(time.time()) + 600}, digest("tokens"))
            _, claims, signature = text.split(".")
            if not allowed:
                text = text.replace(signature, signature[::-1][1:] + "A")
                signature = text.rpartition(".")[2]
            assert not said(leak_watch, signature)
            assert gate.verify(text, app="hashed").allowed is allowed
            raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
            for part in (claims, claims[-RUN:], signature, signature[-RUN:], raw.hex(), base64.b64encode(raw).decode()):
                assert said(leak_watch, part)
        opaque = digest("no token").hex()
        assert not gate.verify(opaque, app="hashed").allowed
        assert said(leak_watch, opaque)


@pytest.mark.parametrize("opened", ['{"', '{ "', '{\n\t"', ' {"', '\r\n{ "'])
def test_leak_watch_token_header_whitespace_variants_detected(opened: str, leak_watch: LeakWatch) -> None:
    header = opened + 'alg": "HS256"}'
    token = f"{base64url.encode(header.encode())}.c29tZSBvcGFxdWU"
    assert said(leak_watch, token)
    assert said(leak_watch, f"{token}.{'A' * 43}")
    assert not said(leak_watch, "wicket.keys.secret and eyeglasses.example.com/keyword-at-home.html")


def test_leak_watch_begin_forgets_hashes_keeps_secrets(leak_watch: LeakWatch) -> None:
    assert ask(body())
    leak_watch.begin()
    assert not said(leak_watch, compute_hash("users", "ada").hex())
    assert said(leak_watch, digest("users").hex())


def test_known_only_contiguous_fragment_found() -> None:
    known = Known()
    assert known.add("abcdefghijklmnopqrstuvwxyz0123456789")
    assert not known.add("abcdefghijklmnopqrstuvwxyz0123456789"), "that is no news"
    assert not known.add("too short")
    for text, found in (
        ("...stuvwxyz01234567...", True),
        ("...stuvwxyz0123456...stuvwxyz0123456", False),
        ("stuvwxyz-01234567", False),
    ):
        assert known.stands_in(text, pieces_of(text)) is found


def test_leak_watch_clean_text_rescanned_after_new_secret(leak_watch: LeakWatch) -> None:
    text = digest("late").hex()
    for count in range(2):
        leak_watch.scan("a text", f"<{text}>")
        assert leak_watch.taken() == [], count
    Secret.from_hex(text)
    leak_watch.scan("a text", f"<{text}>")
    assert leak_watch.taken() != []


TOLD = digest("told").hex()
MADE: list[type[BaseException]] = [
    UnusableKeyError,
    LoadFailed,
    ResponseTooLargeError,
    ForbiddenAddressError,
    ResolutionError,
    ConnectionEnded,
    WicketError,
    ConfigError,
]


@pytest.mark.parametrize("kind", MADE)
def test_leak_watch_wicket_exception_scanned_when_created(kind: type[BaseException], leak_watch: LeakWatch) -> None:
    Secret.from_hex(TOLD)
    assert leak_watch.taken() == []
    if kind is not ConfigError:
        kind(TOLD)
        assert leak_watch.taken() != []
    with pytest.raises(KeyError):
        _fall(KeyError(TOLD), kind)
    assert leak_watch.taken() != [], "what led to it"


def _fall(error: BaseException, kind: type[BaseException]) -> None:
    try:
        raise error
    finally:
        kind(())


def _wickets(error: BaseException, *_: str) -> None:
    """Raise it through a function of Wicket's, which asks for the items of a list."""

    def items() -> Iterator[Any]:
        yield 1
        raise error

    Problems().as_tuple("field", items(), "things")


def _caused(hidden: bool) -> BaseException:
    error = RuntimeError("harmless")
    error.__cause__ = ValueError(TOLD)
    error.__suppress_context__ = hidden
    return error


def _noted() -> BaseException:
    error = RuntimeError("harmless")
    error.add_note(f"it was {TOLD}")
    return error


RAISED: dict[str, Callable[[], BaseException]] = {
    "a key": lambda: KeyError(TOLD),
    "what could not be decoded": lambda: UnicodeDecodeError("utf-8", TOLD.encode(), 0, 1, "bad"),
    "a cause": lambda: _caused(False),
    "a hidden cause": lambda: _caused(True),
    "a note": _noted,
    "a group": lambda: ExceptionGroup("several", [ValueError(TOLD), ValueError("harmless")]),
}


@pytest.mark.parametrize("way", RAISED)
def test_leak_watch_exception_raised_through_wicket_scanned(way: str, leak_watch: LeakWatch) -> None:
    Secret.from_hex(TOLD)
    with pytest.raises(type(RAISED[way]())):
        _wickets(RAISED[way]())
    assert leak_watch.taken() != []
    with pytest.raises(type(RAISED[way]())):
        raise RAISED[way]()
    assert leak_watch.taken() == [], "it came out of a test"


def test_leak_watch_test_literal_in_traceback_ignored(leak_watch: LeakWatch) -> None:
    Secret.from_text("literal-7c1f0a94d2e85b36-literal")
    with pytest.raises(ValueError, match="harmless"):
        _wickets(ValueError("harmless"), "literal-7c1f0a94d2e85b36-literal")
    assert leak_watch.taken() == []


@pytest.mark.parametrize("part", ["nothing", "a token", "a signature", "a hash", "the end of a secret"])
def test_leak_watch_server_log_with_credential_fails(part: str, leak_watch: LeakWatch) -> None:
    token, proof = mint(APP, f"ada, {part}"), compute_hash("users", part).hex()
    Secret.from_hex(TOLD)
    told = {"a token": token, "a signature": token.rpartition(".")[2], "a hash": proof}
    told |= {"nothing": NO_HEADERS, "the end of a secret": TOLD[-RUN:]}
    sent = [("Authorization", f"Bearer {token}"), ("X-Hash", proof), ("X-Tell", told[part])]
    serving = servers.uvicorn("tests.integration.logging_app:app")
    server = serving.__enter__()
    assert server.ask("/", sent).status == 204
    if part == "nothing":
        serving.__exit__(None, None, None)
    else:
        with pytest.raises(AssertionError, match="the log of a server carries a"):
            serving.__exit__(None, None, None)
    assert leak_watch.taken() == []
