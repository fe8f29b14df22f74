"""The checker names each mistake that integrators are known to make.

Each row makes the mistake as an integrator would, with PyJWT or with hmac and hashlib, and with nothing of Wicket's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from wicket import App, Gate, Header, Jwks, Rules, Secret, profiles
from wicket.identity_hash import CompanyHash, IdentityHash
from wicket.sources import JsonBody
from wicket.testing import Diagnosis, diagnose
from wicket.testing.issuer import LocalIssuer

NOW = 1_761_000_000
HEX = "6c0f9a" * 10 + "8e21"
TEXT = "sk_live_Zm9vYmFyYmF6cXV4-MTIzNDU2Nzg5MGFiY2RlZgQUJD"
B64 = base64.b64encode(bytes(range(200, 240))).decode()
HASHING = "iv_0123456789abcdef0123456789abcdef"
COMPANY = "ic_fedcba9876543210fedcba9876543210"
FIRST, SECOND = "first-secret-of-this-app-0123456789", "second-secret-of-this-app-0123456789"
SECRETS = (HEX, TEXT, B64, HASHING, COMPANY, FIRST, SECOND)
ORIGIN = "https://acme.com"
NAMED = (Header("X-App-Id"),)
ISSUER, AUDIENCE = "https://id.acme.com", "https://api.acme.com"


def sign(key: Any, *, algorithm: str = "HS256", kid: str | None = None, **changes: Any) -> str:
    """A token by PyJWT; a claim that is None is left out. The claims go in as they are, whatever they are."""
    claims = {"sub": "user-1", "iat": NOW, "exp": NOW + 3600, **changes}
    raw = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    return jwt.api_jws.encode(raw, key, algorithm, headers={"kid": kid} if kid else None)


def by_hmac(key: bytes, **changes: Any) -> str:
    """A token made by hand, for keys with which PyJWT would not sign."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"sub": "user-1", "iat": NOW, "exp": NOW + 3600, **changes}
    signed = f"{part(json.dumps({'alg': 'HS256'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def hashed(text: str, secret: str = HASHING) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def app(**settings: Any) -> App:
    return App("acme", **{"credentials": [Secret.from_text(TEXT)], "naming": NAMED, "origins": [ORIGIN], **settings})


def binary(encoding: str) -> App:
    secret = Secret.from_hex(HEX) if encoding == "hex" else Secret.from_base64(B64)
    return app(credentials=[secret])


def named_keys() -> App:
    return app(credentials=[Secret.from_text(FIRST, id="k1"), Secret.from_text(SECOND, id="k2")])


def hashing(**settings: Any) -> App:
    rule: dict[str, Any] = {"secret": Secret.from_text(HASHING), "identifier": "userId", **settings}
    return app(identity_hash=IdentityHash(**rule), tokens=[JsonBody("jwt")])


def with_companies() -> App:
    return hashing(companies=CompanyHash(secret=Secret.from_text(COMPANY)))


def body(proof: object = None, **members: Any) -> dict[str, Any]:
    sent = {"userId": "User-1 ", "email": "Ann@Acme.com", **members}
    return sent if proof is None else {**sent, "userHash": proof}


def with_issuer(issuer: str | None = ISSUER, audience: str | None = AUDIENCE, **settings: Any) -> App:
    return app(issuer=issuer, audience=audience, **settings)


def claimed(**changes: Any) -> str:
    return sign(TEXT, **{"iss": ISSUER, "aud": AUDIENCE, **changes})


RAW = hmac.new(HASHING.encode(), b"User-1 ", hashlib.sha256).digest()
URLSAFE = next(
    (name, text)
    for name in map(str, range(1000))
    if "-"
    in (text := base64.urlsafe_b64encode(hmac.new(HASHING.encode(), name.encode(), hashlib.sha256).digest()).decode())
)


@dataclass(frozen=True)
class Row:
    """One mistake: the app, what is given to the checker, the mistake's word, and what its sentence must name."""

    name: str
    app: Callable[[], App]
    token: str | None
    mistake: str
    says: tuple[str, ...]
    sent: Mapping[str, Any] | None = None
    origin: str | None = None
    found: str | None = None
    expected: str | None = None
    also: tuple[str, ...] = field(default=())
    """Further mistakes of the same row."""


ROWS = [
    # base64 or hex secret used as text, or the reverse
    Row("hex as text", lambda: binary("hex"), sign(HEX), "secret_encoding", ("text", "hex"), found="text"),
    Row("upper-case hex as text", lambda: binary("hex"), sign(HEX.upper()), "secret_encoding", ("text",)),
    Row(
        "hex as base64",
        lambda: binary("hex"),
        by_hmac(base64.b64decode(HEX)),
        "secret_encoding",
        ("base64",),
        found="base64",
    ),
    Row("base64 as text", lambda: binary("base64"), sign(B64), "secret_encoding", ("text", "base64"), found="text"),
    Row(
        "base64url as text",
        lambda: binary("base64"),
        sign(B64.replace("+", "-").replace("/", "_").rstrip("=")),
        "secret_encoding",
        ("text",),
    ),
    Row(
        "text as hex",
        lambda: app(credentials=[Secret.from_text(HEX)]),
        by_hmac(bytes.fromhex(HEX)),
        "secret_encoding",
        ("hex", "no decoding"),
        found="hex",
        expected="text",
    ),
    Row(
        "text as base64",
        app,
        by_hmac(base64.b64decode(TEXT + "==")),  # as Python skips what is not in the alphabet
        "secret_encoding",
        ("base64",),
        found="base64",
    ),
    Row(
        "text as base64url",
        app,
        by_hmac(base64.urlsafe_b64decode(TEXT + "=" * (-len(TEXT) % 4))),
        "secret_encoding",
        ("base64url",),
        found="base64url",
    ),
    # newline, space or quotes around the secret; whitespace in the token
    Row("newline behind the secret", app, sign(TEXT + "\n"), "secret_not_stripped", ("line break behind it",)),
    Row("CR and newline", app, sign(TEXT + "\r\n"), "secret_not_stripped", ("line break behind it",)),
    Row("space before the secret", app, sign(" " + TEXT), "secret_not_stripped", ("space before it",)),
    Row("double quotes", app, sign(f'"{TEXT}"'), "secret_not_stripped", ("double quotes",)),
    Row("single quotes", app, sign(f"'{TEXT}'"), "secret_not_stripped", ("single quotes",)),
    Row(
        "newline in the configuration",
        lambda: app(credentials=[Secret(TEXT.encode() + b"\n")]),
        sign(TEXT),
        "secret_not_stripped",
        ("in this app's configuration",),
    ),
    Row("newline behind the token", app, sign(TEXT) + "\n", "token_whitespace", ("around it",)),
    Row("line-wrapped token", app, "\n".join(sign(TEXT).partition(".")), "token_whitespace", ("in it",)),
    Row(
        "newline behind token and secret",
        app,
        sign(TEXT + "\n") + "\n",
        "token_whitespace",
        ("around it",),
        also=("secret_not_stripped",),
    ),
    Row("Bearer", app, f"Bearer {sign(TEXT)}", "token_prefix", ("Bearer",)),
    Row("quoted token", app, json.dumps(sign(TEXT)), "token_quotes", ("quotes",)),
    # wrong algorithm
    Row("HS384", app, sign(TEXT, algorithm="HS384"), "wrong_algorithm", ("HS384", "HS256"), expected="HS256"),
    Row(
        "RS256",
        app,
        sign(rsa.generate_private_key(65537, 2048), algorithm="RS256"),
        "wrong_algorithm",
        ("RS256", "HS256"),
    ),
    Row(
        "none",
        app,
        jwt.encode({"sub": "user-1", "exp": NOW + 60}, "", algorithm="none"),
        "wrong_algorithm",
        ("none", "HS256"),
    ),
    # kid missing or unknown; another key of the same app
    Row("kid unknown", named_keys, sign(SECOND, kid="k9"), "kid_unknown", ("'k9'", "'k1'", "'k2' verifies it")),
    Row("kid and key unknown", named_keys, sign(TEXT, kid="k9"), "kid_unknown", ("'k9'", "None of these keys")),
    Row("other key", named_keys, sign(SECOND, kid="k1"), "other_key", ("'k1'", "'k2'"), found="the key 'k2'"),
    Row(
        "the secret of the hashes",
        hashing,
        sign(HASHING),
        "other_key",
        ("identity hashes",),
    ),
    Row(
        "the secret for HS384",
        lambda: app(credentials=[Secret.from_text(TEXT), Secret(b"x" * 24 + b"y" * 24, algorithms=["HS384"])]),
        sign("x" * 24 + "y" * 24),
        "other_key",
        ("HS384",),
    ),
    Row("a stranger's secret", app, sign("z" * 20 + TEXT), "bad_signature", ("another app or environment",)),
    # numeric user id
    Row("numeric sub", app, sign(TEXT, sub=42), "numeric_user_id", ("sub", "42", "quotes")),
    Row(
        "numeric userId",
        lambda: profiles.hissuno("acme", credentials=[Secret.from_text(TEXT)]),
        sign(TEXT, sub=None, userId=42),
        "numeric_user_id",
        ("userId", "42"),
    ),
    # HMAC of the wrong identifier, of a trimmed or lower-cased one
    Row(
        "hash of the e-mail", hashing, None, "wrong_identifier", ("email", "userId"), sent=body(hashed("Ann@Acme.com"))
    ),
    Row("hash of the trimmed id", hashing, None, "altered_identifier", ("blanks",), sent=body(hashed("User-1"))),
    Row(
        "hash of the lower-cased e-mail",
        lambda: hashing(identifier="email"),
        None,
        "altered_identifier",
        ("email", "in lower case"),
        sent=body(hashed("ann@acme.com")),
    ),
    Row(
        "hash of the trimmed and lower-cased id",
        hashing,
        None,
        "altered_identifier",
        ("blanks", "lower case"),
        sent=body(hashed("user-1")),
    ),
    Row(
        "hash as sent, where the app lower-cases",
        lambda: hashing(identifier="email", normalize=["lower"]),
        None,
        "altered_identifier",
        ("normalizes",),
        sent=body(hashed("Ann@Acme.com")),
    ),
    Row(
        "hash of the lower-cased e-mail instead of the id",
        hashing,
        None,
        "wrong_identifier",
        ("email",),
        sent=body(hashed("ann@acme.com")),
        also=("altered_identifier",),
    ),
    Row(
        "hash of a member below",
        hashing,
        None,
        "wrong_identifier",
        ("user.ref",),
        sent=body(hashed("17"), user={"ref": 17}),
    ),
    # raw id sent as hash; base64, upper-case or dashed hex
    Row("raw id", hashing, None, "raw_id_as_hash", ("userId itself",), sent=body("User-1 ")),
    Row("raw e-mail", hashing, None, "raw_id_as_hash", ("email itself",), sent=body("Ann@Acme.com")),
    Row(
        "base64 for hex",
        hashing,
        None,
        "hash_encoding",
        ("base64", "hexadecimal"),
        sent=body(base64.b64encode(RAW).decode()),
        found="base64",
    ),
    Row(
        "base64url for hex",
        hashing,
        None,
        "hash_encoding",
        ("base64url",),
        sent={"userId": URLSAFE[0], "userHash": URLSAFE[1]},
        found="base64url",
    ),
    Row(
        "base64 without padding",
        lambda: hashing(encoding="base64"),
        None,
        "hash_encoding",
        ("without padding",),
        sent=body(base64.b64encode(RAW).decode().rstrip("=")),
    ),
    Row("upper-case hex", hashing, None, "hash_encoding", ("upper-case",), sent=body(RAW.hex().upper())),
    Row("dashed hex", hashing, None, "hash_encoding", ("separators",), sent=body(RAW.hex("-"))),
    Row("hex with blanks", hashing, None, "hash_encoding", ("blanks",), sent=body(f"{RAW.hex()}\n")),
    Row("prefixed hex", hashing, None, "hash_encoding", ("prefix",), sent=body(f"sha256={RAW.hex()}")),
    Row("hex for base64", lambda: hashing(encoding="base64"), None, "hash_encoding", ("hex",), sent=body(RAW.hex())),
    Row(
        "no shape at all",
        hashing,
        None,
        "not_a_hash",
        ("40 characters",),
        sent=body(hashlib.sha1(b"User-1 ").hexdigest()),
    ),
    Row(
        "a plain SHA-256",
        hashing,
        None,
        "hash_without_secret",
        ("plain SHA-256",),
        sent=body(hashlib.sha256(b"User-1 ").hexdigest()),
    ),
    Row(
        "hash with the tokens' secret",
        hashing,
        None,
        "other_key",
        ("tokens",),
        sent=body(hashed("User-1 ", secret=TEXT)),
    ),
    Row(
        "hash with a newline behind the secret",
        hashing,
        None,
        "secret_not_stripped",
        ("The user's hash", "line break"),
        sent=body(hashed("User-1 ", secret=HASHING + "\n")),
    ),
    Row(
        "hash with a stranger's secret",
        hashing,
        None,
        "bad_identity_hash",
        ("another secret",),
        sent=body(hashed("User-1 ", secret="stranger")),
    ),
    Row(
        "company hash with the users' secret",
        with_companies,
        None,
        "other_key",
        ("companies[0]", "users"),
        sent=body(RAW.hex(), companies=[{"id": "c1", "companyHash": hashed("c1")}]),
    ),
    Row(
        "company hash of the name",
        with_companies,
        None,
        "wrong_identifier",
        ("companies[1]", "name"),
        sent=body(
            RAW.hex(),
            companies=["none", {"id": "c1", "name": "One", "companyHash": hashed("One", secret=COMPANY)}],
        ),
    ),
    # exp in milliseconds, as a duration, as a string
    Row("exp in ms", app, sign(TEXT, exp=(NOW + 3600) * 1000), "exp_in_milliseconds", ("exp", "1000")),
    Row(
        "iat and exp in ms",
        app,
        sign(TEXT, iat=NOW * 1000, exp=(NOW + 3600) * 1000),
        "exp_in_milliseconds",
        ("exp",),
        also=("iat_in_milliseconds",),
    ),
    Row("exp as duration", app, sign(TEXT, exp=3600), "exp_as_duration", ("3600", "duration")),
    Row("exp as duration without iat", app, sign(TEXT, iat=None, exp=86400), "exp_as_duration", ("86400",)),
    Row("exp as text", app, sign(TEXT, exp=str(NOW + 3600)), "exp_as_text", ("exp", "text")),
    Row("exp as date", app, sign(TEXT, exp="2025-10-20T23:40:00Z"), "exp_as_text", ("number of seconds",)),
    Row("exp before iat", app, sign(TEXT, exp=NOW - 60), "exp_before_iat", ("before it was issued",)),
    Row("expired", app, sign(TEXT, iat=NOW - 900, exp=NOW - 300), "expired", ("300 seconds ago",)),
    # iat in the future
    Row("iat ahead", app, sign(TEXT, iat=NOW + 120), "issued_in_future", ("120 seconds",), found="120 s ahead"),
    Row("nbf ahead", app, sign(TEXT, nbf=NOW + 90), "not_yet_valid", ("90 seconds", "nbf")),
    # lifetime against the bounds
    Row(
        "too long",
        lambda: app(rules=Rules(max_lifetime=3600, min_lifetime=60)),
        sign(TEXT, exp=NOW + 7200),
        "lifetime_too_long",
        ("7200", "3600"),
        expected="60 to 3600 s",
        found="7200 s",
    ),
    Row(
        "too short",
        lambda: app(rules=Rules(min_lifetime=60)),
        sign(TEXT, exp=NOW + 40),
        "lifetime_too_short",
        ("40", "60"),
    ),
    Row(
        "too long without iat",
        lambda: app(rules=Rules(max_lifetime=3600)),
        sign(TEXT, iat=None, exp=NOW + 7200),
        "lifetime_too_long",
        ("7200",),
    ),
    # audience missing or wrong; issuer with or without a slash
    Row("no aud", with_issuer, claimed(aud=None), "audience_missing", (AUDIENCE,), expected=repr(AUDIENCE)),
    Row("wrong aud", with_issuer, claimed(aud=["https://b.com"]), "audience_wrong", ("https://b.com", AUDIENCE)),
    Row("aud with a slash", with_issuer, claimed(aud=AUDIENCE + "/"), "audience_slash", ("slash",)),
    Row("aud not expected", app, sign(TEXT, aud="x"), "audience_unexpected", ("'x'",), expected="none"),
    Row("no iss", with_issuer, claimed(iss=None), "issuer_missing", (ISSUER,)),
    Row("wrong iss", with_issuer, claimed(iss="https://b.com"), "issuer_wrong", ("https://b.com", ISSUER)),
    Row("iss with a slash", with_issuer, claimed(iss=ISSUER + "/"), "issuer_slash", ("slash",), found=f"'{ISSUER}/'"),
    Row(
        "iss without a slash",
        lambda: with_issuer(issuer=ISSUER + "/"),
        claimed(),
        "issuer_slash",
        ("slash",),
        expected=f"'{ISSUER}/'",
    ),
    Row("iss not a text", with_issuer, claimed(iss=7), "issuer_wrong", ("7",)),
    # app binding and required claims
    Row(
        "wrong app",
        lambda: app(rules=Rules(app_claim="app")),
        sign(TEXT, app="globex"),
        "wrong_app",
        ("'globex'", "'acme'"),
    ),
    Row(
        "claims missing",
        lambda: app(rules=Rules(required={"exp", "jti"}, app_claim="app", fixed={"scope": "user"})),  # type: ignore[arg-type]
        sign(TEXT),
        "missing_claim",
        ("jti", "app", "scope"),
    ),
    Row("no user", app, sign(TEXT, sub=None), "missing_claim", ("sub",)),
    # half a pair
    Row("id alone", hashing, None, "half_a_pair", ("userId", "alone"), sent=body(), found="userId alone"),
    Row(
        "id alone, where anonymous users may pass",
        lambda: app(anonymous=True, identity_hash=IdentityHash(secret=Secret.from_text(HASHING), identifier="userId")),
        None,
        "half_a_pair",
        ("userId",),
        sent=body(),
    ),
    Row("hash alone", hashing, None, "half_a_pair", ("without the userId",), sent={"userHash": RAW.hex()}),
    Row(
        "company hash alone",
        with_companies,
        None,
        "half_a_pair",
        ("companies[0]",),
        sent=body(RAW.hex(), companies=[{"companyHash": hashed("c1", secret=COMPANY)}]),
    ),
    # webview origin
    Row("null", app, sign(TEXT), "webview_origin", ("file", "cannot be admitted"), origin="null"),
    Row("Capacitor", app, sign(TEXT), "webview_origin", ("Capacitor", "add exactly"), origin="capacitor://localhost"),
    Row("Capacitor on Android", app, sign(TEXT), "webview_origin", ("Android",), origin="https://localhost"),
    Row("Ionic", app, sign(TEXT), "webview_origin", ("Ionic",), origin="ionic://localhost"),
    Row("Tauri", app, sign(TEXT), "webview_origin", ("Tauri",), origin="tauri://localhost"),
    Row("Tauri on Windows", app, sign(TEXT), "webview_origin", ("Tauri",), origin="http://tauri.localhost"),
    Row("Electron", app, sign(TEXT), "webview_origin", ("desktop",), origin="app://obsidian.md"),
    Row("file", app, sign(TEXT), "webview_origin", ("file", "cannot be admitted"), origin="file://"),
    Row("Chrome", app, sign(TEXT), "webview_origin", ("Chrome",), origin="chrome-extension://abcdefghijklmnop"),
    Row("Firefox", app, sign(TEXT), "webview_origin", ("Firefox",), origin="moz-extension://0a1b-2c"),
    Row("Safari", app, sign(TEXT), "webview_origin", ("Safari",), origin="safari-web-extension://0A1B"),
    Row("Visual Studio Code", app, sign(TEXT), "webview_origin", ("Visual",), origin="vscode-webview://0a1b2c"),
    Row("a URL", app, sign(TEXT), "origin_is_url", ("slash or path",), origin="https://acme.com/page"),
    Row("another site", app, sign(TEXT), "origin_not_allowed", ("https://b.com",), origin="https://b.com"),
    Row("a local page", app, sign(TEXT), "origin_not_allowed", ("localhost:3000",), origin="http://localhost:3000"),
]


def check(row: Row) -> Diagnosis:
    with Gate([row.app()], clock=lambda: NOW) as gate:
        return diagnose(gate, "acme", row.token, sent=row.sent, origin=row.origin)


def said_by(diagnosis: Diagnosis) -> str:
    return repr(diagnosis) + json.dumps(diagnosis.as_dict()) + json.dumps(diagnosis.as_dict(), ensure_ascii=False)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_mistake_is_named(row: Row) -> None:
    diagnosis = check(row)
    assert not diagnosis.passed
    assert diagnosis.refusal is not None
    assert {each.mistake for each in diagnosis.findings} == {row.mistake, *row.also}
    finding = next(each for each in diagnosis.findings if each.mistake == row.mistake)
    sentences = " ".join(each.detail for each in diagnosis.findings)
    for words in row.says:
        assert words in sentences
    if row.found is not None:
        assert finding.found == row.found
    if row.expected is not None:
        assert finding.expected == row.expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_nothing_secret_is_said(row: Row) -> None:
    said = said_by(check(row))
    for secret in SECRETS:
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()):
            assert form not in said
    assert bytes.fromhex(HEX).decode("latin-1") not in said
    if row.token is not None:
        assert row.token not in said
        assert row.token.strip().rpartition(".")[2] not in said or row.token.endswith(".")
    for identifier in ("User-1 ", "User-1", "user-1", "Ann@Acme.com", "ann@acme.com", "c1", "u7", "17"):
        for key in (HASHING, COMPANY, TEXT):
            digest = hmac.new(key.encode(), identifier.encode(), hashlib.sha256).digest()
            for form in (digest.hex(), digest.hex().upper(), base64.b64encode(digest).decode()):
                assert form not in said


HONEST: list[tuple[str, Callable[[], App], str | None, Mapping[str, Any] | None, str | None]] = [
    ("hex", lambda: binary("hex"), sign(bytes.fromhex(HEX)), None, None),
    ("base64", lambda: binary("base64"), sign(base64.b64decode(B64)), None, None),
    ("text", app, sign(TEXT), None, ORIGIN),
    ("bytes", lambda: app(credentials=[Secret(TEXT.encode())]), sign(TEXT), None, None),
    ("kid", named_keys, sign(SECOND, kid="k2"), None, None),
    ("no kid", named_keys, sign(SECOND), None, None),
    ("an unknown kid, and keys without an id", app, sign(TEXT, kid="k9"), None, None),
    ("an integer user", lambda: app(rules=Rules(integer_user_id=True)), sign(TEXT, sub=42), None, None),
    ("issuer and audience", with_issuer, claimed(aud=["x", AUDIENCE]), None, None),
    ("a hash", hashing, None, body(RAW.hex()), None),
    ("a hash in base64", lambda: hashing(encoding="base64"), None, body(base64.b64encode(RAW).decode()), None),
    ("a normalized hash", lambda: hashing(normalize=["strip", "lower"]), None, body(hashed("user-1")), None),
    (
        "companies",
        with_companies,
        None,
        body(RAW.hex(), companies=[{"id": "c1", "companyHash": hashed("c1", secret=COMPANY)}]),
        None,
    ),
    ("a token in the body", hashing, None, {"jwt": sign(TEXT), "userId": "user-1"}, None),
    ("a token and the user's hash", hashing, sign(TEXT, userId="User-1 "), body(RAW.hex()), None),
    (
        "a web view that is listed",
        lambda: app(origins=["capacitor://localhost"]),
        sign(TEXT),
        None,
        "capacitor://localhost",
    ),
    ("an app that needs an origin", lambda: app(require_origin=True), sign(TEXT), None, None),
]


@pytest.mark.parametrize(("name", "make", "token", "sent", "origin"), HONEST, ids=[each[0] for each in HONEST])
def test_the_honest_variant_has_no_finding(
    name: str, make: Callable[[], App], token: str | None, sent: Mapping[str, Any] | None, origin: str | None
) -> None:
    with Gate([make()], clock=lambda: NOW) as gate:
        diagnosis = diagnose(gate, "acme", token, sent=sent, origin=origin)
    assert (diagnosis.passed, diagnosis.refusal, diagnosis.findings) == (True, None, ())
    assert diagnosis.steps[-1].found.startswith("passes as acme:")
    said = said_by(diagnosis)
    assert not any(secret in said for secret in SECRETS)
    assert token is None or token not in said
    assert RAW.hex() not in said


def test_a_company_without_its_hash_is_named_beside_a_user_who_passes() -> None:
    with Gate([with_companies()], clock=lambda: NOW) as gate:
        diagnosis = diagnose(gate, "acme", sent=body(RAW.hex(), companies=[{"id": "c1"}, {"name": "One"}]))
    assert diagnosis.passed
    assert [(each.mistake, each.found) for each in diagnosis.findings] == [("half_a_pair", "id alone")]


# --- key sets


def remote(issuer: LocalIssuer, **settings: Any) -> tuple[Gate, App]:
    made = App("acme", issuer=issuer.issuer, credentials=[Jwks(issuer.jwks_url)], naming=NAMED, **settings)
    return Gate([made], network=issuer.network), made


def test_a_key_set_without_the_kid_is_named_with_its_url(wicket_issuer: LocalIssuer) -> None:
    with remote(wicket_issuer)[0] as gate:
        good = wicket_issuer.token("user-1")
        assert diagnose(gate, "acme", good).findings == ()
        stranger = jwt.encode(
            jwt.decode(good, options={"verify_signature": False}),
            ec.generate_private_key(ec.SECP256R1()),
            algorithm="ES256",
            headers={"kid": "elsewhere-1"},
        )
        (finding,) = diagnose(gate, "acme", stranger).findings
    assert (finding.mistake, finding.found, finding.expected) == ("key_set_lacks_kid", "'elsewhere-1'", "'key-1'")
    assert wicket_issuer.jwks_url in finding.detail


def test_a_missing_kid_is_named_with_the_key_that_fits(wicket_issuer: LocalIssuer) -> None:
    wicket_issuer.rotate()
    with remote(wicket_issuer)[0] as gate:
        claims = jwt.decode(wicket_issuer.token("user-1"), options={"verify_signature": False})
        (finding,) = diagnose(gate, "acme", jwt.encode(claims, wicket_issuer.keys["key-2"], algorithm="ES256")).findings
        assert (finding.mistake, finding.found) == ("kid_missing", "none")
        assert "'key-1', 'key-2'" in finding.detail
        assert "'key-2' verifies it" in finding.detail
        named = jwt.encode(claims, wicket_issuer.keys["key-2"], algorithm="ES256", headers={"kid": "key-1"})
        (finding,) = diagnose(gate, "acme", named).findings
        assert (finding.mistake, finding.found) == ("other_key", "the key 'key-2'")
        unknown = jwt.encode(claims, wicket_issuer.keys["key-2"], algorithm="ES256", headers={"kid": "key-9"})
        (finding,) = diagnose(gate, "acme", unknown).findings
        assert finding.mistake == "kid_unknown"


def test_a_key_set_that_cannot_be_used_is_named(wicket_issuer: LocalIssuer) -> None:
    wicket_issuer.fault = lambda exchange: exchange.answer(404)
    with remote(wicket_issuer)[0] as gate:
        diagnosis = diagnose(gate, "acme", wicket_issuer.token("user-1"))
    assert [(each.mistake, each.found) for each in diagnosis.findings] == [("key_set_unusable", "not_found")]
    assert wicket_issuer.jwks_url in diagnosis.findings[0].detail
    assert diagnosis.refusal is not None
    assert diagnosis.refusal.code == "config_invalid"
