"""Incidents with hashes that are compared in variable time or bound to no user, tried on identity hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.attacks.clients import Behind, Door
from tests.attacks.token_factory import NOW, app, of_any_kind, secret, token
from wicket import (
    App,
    Bearer,
    CompanyHash,
    ConfigError,
    Gate,
    Header,
    IdentityHash,
    JsonBody,
    MessageHash,
    Revocations,
    Secret,
)

ADA: Final = (200, "acme:userId:ada", None)
BAD: Final = (401, "invalid_token", "bad_identity_hash")
NOBODY: Final = (200, None, None)
TWO: Final = (400, "invalid_request", None)
NAMING: Final = [Header("X-App-Id"), JsonBody("app")]


def hash_secret(name: str = "acme") -> bytes:
    """The secret of an app's hashes, which is no secret of its tokens."""
    return hashlib.sha256(f"the hashes of {name}".encode()).digest()


def proof(text: str, name: str = "acme") -> str:
    """The identity hash that the backend of that app makes."""
    return hmac.digest(hash_secret(name), text.encode(), "sha256").hex()


def hashing(name: str = "acme", *, rule: Any = None, **settings: Any) -> App:
    """An app that takes hashes beside tokens in its bodies."""
    held = IdentityHash(secret=Secret(hash_secret(name)), **(rule or {}))
    settings = {"token_locations": [Bearer(), JsonBody("token")], "app_locations": NAMING, **settings}
    return app(name, identity_hash=held, **settings)


def sent(door: Door, name: str = "acme", **members: Any) -> tuple[int, str | None, str | None]:
    """How a body is answered that names the app and has these members."""
    return door.post({"app": name, **members}).said


def test_cve_2015_10004_identity_hash_one_constant_time_comparison(
    behind: Behind, compares: list[tuple[int, int, bool]]
) -> None:
    door = behind(hashing(), hashing("other"), app_locations=NAMING)
    door.times = 1
    good = proof("ada")
    for _ in range(2):
        assert sent(door, userId="ada", userHash=good) == ADA
    assert compares == [(64, 64, True)] * 2, "and nothing of it is remembered"
    flipped = ["0" if letter != "0" else "1" for letter in good]
    near = [good[:index] + flipped[index] + good[index + 1 :] for index in (0, 1, 31, 62, 63)]
    begun = [good[:index] + "0" * (64 - index) for index in (8, 32, 60)]
    for text in (*near, *begun, good[:-1], good + "0", good[:1], "é" * 64, "\ud800", "0" * 9_000):
        compares.clear()
        assert sent(door, userId="ada", userHash=text) == BAD
        assert [result for *_, result in compares] == [False], "one whole comparison, wherever the first difference is"


def test_cve_2026_23518_identity_hash_forged_bad_identity_hash(behind: Behind) -> None:
    """In hexadecimal and base64, from a body or from headers, with and without anonymous requests."""
    raw, eve = (hmac.digest(hash_secret(), text, "sha256") for text in (b"ada", b"eve"))
    stranger = hmac.digest(hash_secret("mallory"), b"ada", "sha256")
    forged = [eve, stranger, bytes(32), raw[:31], raw[:16], raw + b"\0", raw * 2, raw[::-1], bytes([*raw[:31], 0])]
    spell: dict[str, Callable[[bytes], str]] = {
        "hex": bytes.hex,
        "base64": lambda made: base64.b64encode(made).decode(),
    }
    headers = {"identifier_location": Header("X-User"), "hash_location": Header("X-User-Hash")}
    for encoding, spelled in spell.items():
        for anonymous, unproven in ((False, BAD), (True, NOBODY)):
            door = behind(
                hashing(rule={"encoding": encoding}, allow_anonymous=anonymous), hashing("other"), app_locations=NAMING
            )
            assert sent(door, userId="ada", userHash=spelled(raw)) == ADA
            for bad in forged:
                assert sent(door, userId="ada", userHash=spelled(bad)) == BAD, bad
            assert sent(door, userId="ada", userHash="") == sent(door, userId="ada") == unproven
            in_headers = hashing(rule={"encoding": encoding, **headers}, allow_anonymous=anonymous)
            door = behind(in_headers, hashing("other"), app_locations=NAMING)
            assert door.ask(None, ("X-User", "ada"), ("X-User-Hash", spelled(raw))).said == ADA
            for bad in forged:
                assert door.ask(None, ("X-User", "ada"), ("X-User-Hash", spelled(bad))).said == BAD, bad


def test_cve_2025_1293_identity_hash_at_other_app_refused(behind: Behind) -> None:
    door = behind(hashing(), hashing("other"), app("tokens", app_locations=NAMING), app_locations=NAMING)
    assert sent(door, userId="ada", userHash=proof("ada")) == ADA
    assert sent(door, "other", userId="ada", userHash=proof("ada", "other")) == (200, "other:userId:ada", None)
    assert sent(door, "other", userId="ada", userHash=proof("ada")) == BAD
    assert sent(door, userId="ada", userHash=proof("ada", "other")) == BAD
    assert sent(door, "tokens", userId="ada", userHash=proof("ada")) == (401, "missing_token", None)
    both = door.post({"app": "acme", "userId": "ada", "userHash": proof("ada")}, app="other")
    assert both.said == TWO, "two apps are named"
    assert sent(door, "nobody", userId="ada", userHash=proof("ada")) == (401, "unknown_app", None)
    shared: dict[str, Any] = {"rule": {"companies": CompanyHash(secret=Secret(secret("companies")))}}
    with pytest.raises(ConfigError, match="same secret"):
        behind(hashing(**shared), hashing("other", **shared))


def test_cve_2026_30223_identity_hash_other_identifier_or_encoding_refused(behind: Behind) -> None:
    door = behind(hashing(), hashing("other"), app_locations=NAMING)
    assert sent(door, userId="ada", userHash=proof("ada")) == ADA
    assert sent(door, userId=7, userHash=proof("7")) == (200, "acme:userId:7", None)
    for other in ("eve", "Ada", "ada ", " ada", "ada\n", "ada\0", "a\u0301da", "ADA", "adа"):
        assert sent(door, userId=other, userHash=proof("ada")) == BAD, other
    for value in of_any_kind(["ada"], {"id": "ada"}, True, 1.0, [], {}, False):
        assert sent(door, userId=value, userHash=proof("ada")) == BAD, value
        assert sent(door, userId="ada", userHash=value) == BAD, value
    assert sent(door, userId="", userHash=proof("")) == BAD
    assert sent(door, email="ada", userHash=proof("ada")) == BAD, "another member is not the identifier"
    for half in ({"userId": "ada"}, {"userHash": proof("ada")}, {"userId": "ada", "userHash": None}):
        assert sent(door, **half) == BAD
    raw = hmac.digest(hash_secret(), b"ada", "sha256")
    spellings = [raw.hex().upper(), base64.b64encode(raw).decode(), f" {raw.hex()}", f"{raw.hex()}\n", f"0x{raw.hex()}"]
    plain = hashlib.sha256(b"ada").hexdigest(), hashlib.sha256(hash_secret() + b"ada").hexdigest()
    empty = hmac.digest(b"", b"ada", "sha256").hex()
    token_made = hmac.digest(secret(), b"ada", "sha256").hex()
    for forged in (*spellings, *plain, empty, token_made, "ada"):
        assert sent(door, userId="ada", userHash=forged) == BAD, forged
    for repeated in (
        f'{{"app": "acme", "userId": "ada", "userId": "eve", "userHash": "{proof("ada")}"}}',
        f'{{"app": "acme", "userId": "eve", "userId": "ada", "userHash": "{proof("ada")}"}}',
        f'{{"app": "acme", "userId": "ada", "userHash": "{proof("ada")}", "userHash": "{proof("eve")}"}}',
    ):
        assert door.post(repeated).said == TWO


def test_cve_2026_55669_identity_hash_no_scopes_claims_or_companies(behind: Behind) -> None:
    """It brings no scope, no attribute and no company, and it ends with its day and with a revocation."""
    scoped = hashing(scopes_claim="scope", allowed_scopes=["feedback:write"])
    door = behind(scoped, hashing("other"), app_locations=NAMING)
    said = {"app": "acme", "userId": "ada", "userHash": proof("ada"), "scope": "feedback:write", "plan": "pro"}
    passed = door.post({**said, "companies": [{"id": "c1", "companyHash": proof("c1")}]})
    assert passed.said == ADA
    assert passed.body["method"] == "identity_hash"
    for name in ("claims", "attributes", "companies", "scopes"):
        assert not passed.body[name], name
    assert door.post(said, ("X-Demand", "feedback:write")).said == (403, "insufficient_scope", None)
    writer = token(scope="feedback:write")
    assert door.ask(writer, ("X-Demand", "feedback:write")).said == (200, "acme:sub:ada", None)
    last = behind(hashing(rule={"accept_until": NOW}), hashing("other"), app_locations=NAMING)
    assert sent(last, userId="ada", userHash=proof("ada")) == (401, "missing_token", None)
    assert last.ask(token()).said == (200, "acme:sub:ada", None)
    for revocations in (Revocations(issued_before=1), Revocations(users={"ada": 1})):
        revoked = behind(hashing(revocations=revocations), hashing("other"), app_locations=NAMING)
        assert sent(revoked, userId="ada", userHash=proof("ada")) == (401, "invalid_token", "revoked")
        assert revoked.ask(token()).said == (200, "acme:sub:ada", None), "a token says when it was made"


def test_cve_2023_22482_identity_hash_beside_token_user_unchanged(behind: Behind) -> None:
    named = hashing(user_id_claims=["userId"], required_claims=["userId"], drop_required_claims=["sub"])
    door = behind(named, hashing("other"), app_locations=NAMING)
    ada = token(sub=None, userId="ada")
    assert sent(door, token=ada, userId="ada", userHash=proof("ada")) == (200, "acme:ada", None)
    assert sent(door, token=ada) == (200, "acme:ada", None)
    assert sent(door, token=ada, userId="eve", userHash=proof("eve")) == TWO
    assert sent(door, token=ada, userId="ada", userHash=proof("eve")) == BAD
    assert sent(door, token=ada, userId="eve") == (200, "acme:ada", None), "who is only named is nobody"
    for bad in (token(sub=None, userId="ada", exp=1), token("HS256", secret("x")), "a.b.c"):
        refused = sent(door, token=bad, userId="ada", userHash=proof("ada"))
        assert refused[:2] == (401, "invalid_token"), "a hash does not mend a bad token"
    assert sent(door, token=f"{proof('ada')}", userId="ada")[:2] == (401, "invalid_token")


def test_cve_2026_55669_identity_hash_secret_reused_config_error() -> None:
    """With one secret for two purposes, a user whose id is `header.payload` would be handed a valid signature."""
    held = IdentityHash(secret=Secret(hash_secret()))
    assert app("acme", Secret(secret()), identity_hash=held).identity_hash is held
    with pytest.raises(ConfigError, match="two secrets"):
        app("acme", Secret(hash_secret()), identity_hash=held)
    with pytest.raises(ConfigError, match="company's hash"):
        IdentityHash(secret=Secret(hash_secret()), companies=CompanyHash(secret=Secret(hash_secret())))


@pytest.mark.parametrize("of_tokens", [["HS256"], ["HS512"], ["HS256", "HS512"]], ids="+".join)
@pytest.mark.parametrize("of_hashes", [["HS256"], ["HS512"]], ids="+".join)
@pytest.mark.parametrize("size", [64, 100, 200])
def test_hash_secret_of_any_algorithm_never_verifies_tokens(
    of_tokens: list[str], of_hashes: list[str], size: int
) -> None:
    """A hash is an HMAC-SHA256, whatever the allow-list of its secret says, and long secrets are hashed first."""
    value = bytes(range(1, size + 1))
    tokens, hashes = Secret(value, algorithms=of_tokens), Secret(value, algorithms=of_hashes)
    uses: list[dict[str, Any]] = [
        {"identity_hash": IdentityHash(secret=hashes)},
        {"message_hash": MessageHash(secret=hashes)},
    ]
    for use in uses:
        with pytest.raises(ConfigError, match="two secrets"):
            app("acme", tokens, **use)
        with pytest.raises(ConfigError, match="have the same secret") as raised:
            Gate([app("acme", tokens), app("other", Secret(secret("other")), **use)], app_locations=NAMING)
        assert len(raised.value.problems) == 1
    with pytest.raises(ConfigError, match="company's hash"):
        IdentityHash(secret=hashes, companies=CompanyHash(secret=tokens))


def test_cve_2026_30223_company_without_own_hash_dropped_or_refused(behind: Behind) -> None:
    rule = {"companies": CompanyHash(secret=Secret(hash_secret("companies")))}
    door = behind(hashing(rule=rule), hashing("other"), app_locations=NAMING)
    ada = {"app": "acme", "userId": "ada", "userHash": proof("ada")}
    good = {"id": "c1", "companyHash": proof("c1", "companies"), "plan": "pro"}
    passed = door.post({**ada, "companies": [good, {"id": "c2"}]})
    assert passed.said == ADA
    assert passed.body["companies"] == [{"id": "c1"}], "by its id alone, and none without a proof"
    for forged in (proof("c2"), proof("c2", "other"), proof("c1", "companies"), proof("ada"), "", "0" * 64, 1, ["x"]):
        assert door.post({**ada, "companies": [good, {"id": "c2", "companyHash": forged}]}).said == BAD
    for shape in of_any_kind({"id": "c2"}, "c2", [["c2"]], [None], 1):
        assert door.post({**ada, "companies": shape}).body["companies"] == []
    alone = door.post({"app": "acme", "companies": [good]})
    assert alone.said == (401, "missing_token", None), "a company is no user"
