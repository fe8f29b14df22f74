"""The one table of scenarios: what is asked, and what whoever asks and the application behind the gate must see.

`test_scenarios` runs every row through the ASGI and the WSGI middleware, with one gate. Nothing here knows a framework.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wicket import (
    App,
    AppRef,
    Bearer,
    BodyField,
    CompanyHash,
    ConfigError,
    Cookie,
    Gate,
    Header,
    Host,
    IdentityHash,
    JsonBody,
    Limits,
    Mode,
    PathSegment,
    Problem,
    PublicKey,
    PublicKeyBearer,
    Query,
    Refusal,
    Request,
    Revocations,
    Secret,
    TokenIssuer,
    profiles,
)
from wicket.app import BrokenApp
from wicket.errors import Code, Reason

NOW: Final = 1_761_000_000
"""The gate's time of day."""

USERZ_ID: Final = "65fa1f3e8a1e5f2d9c1a5c01"
ISSUER: Final = "https://id.globex.example"
AUDIENCE: Final = "https://api.getuserfeedback.com"
ERROR_DOCS: Final = "https://docs.example/errors#"
_ISSUER_KEY: Final = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"globex").digest())


class Challenge(enum.Enum):
    """What `WWW-Authenticate` says: nothing, who asks for a token, or what was wrong with the one that was sent.

    `EITHER` is for what one may well call a token and just as well not: `Bearer` with nothing, or a public key.
    """

    NONE = "none"
    BARE = "bare"
    ERROR = "error"
    EITHER = "either"


class Form(enum.Enum):
    """Whose body a refusal has."""

    PROBLEM = "application/problem+json"
    USERZ = "userz"
    FEATUREBASE = "featurebase"
    UNUSUAL = "unusual"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Headers may repeat; the query is raw."""

    method: str = "GET"
    path: str = "/whoami"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What comes of it.

    For a request that passes, `code` and `reason` are what log-only reports, and `identity` is `app_id:user_id`, or
    None for an anonymous one; `method` is what verified it, `claimed` whom an anonymous one says it is. `enforced` is
    what the decision says; `app_id` the app whose request it is.
    """

    status: int
    code: Code | None = None
    reason: Reason | None = None
    identity: str | None = None
    app_id: str | None = None
    enforced: bool = True
    challenge: Challenge = Challenge.NONE
    form: Form = Form.PROBLEM
    retry_after: bool = False
    claimed: str | None = None
    method: str | None = "jwt"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table."""

    name: str
    ask: Ask
    expected: Expected
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that no answer and no log record may carry."""


# --- keys and tokens


def key(app: str) -> bytes:
    """The shared secret of one app."""
    return hashlib.sha256(app.encode()).digest()


def _text_secret(app: str) -> str:
    return f"sk_live_{key(app).hex()}"


def token(
    app: str,
    /,
    *,
    without: Iterable[str] = (),
    signed_by: str | None = None,
    algorithm: str = "HS256",
    typ: str = "JWT",
    kid: str | None = None,
    **claims: Any,
) -> str:
    """A token as the app's backend would sign it, with these claims and without those."""
    payload: dict[str, Any] = {"sub": "ada", "iat": NOW, "exp": NOW + 3600, **claims}
    for name in without:
        del payload[name]
    header: dict[str, Any] = {"typ": typ} if kid is None else {"typ": typ, "kid": kid}
    material: bytes | None = {
        "HS256": key(signed_by or app),
        "HS512": hashlib.sha512(app.encode()).digest(),
        "none": None,
    }[algorithm]
    return jwt.encode(payload, material, algorithm=algorithm, headers=header)  # type: ignore[arg-type]  # none has no key


def strict_token(**claims: Any) -> str:
    """A token that satisfies every rule of the app `strict`, but for what `claims` change."""
    without = [name for name, value in claims.items() if value is None]
    given = {"iss": "https://id.strict.example", "aud": "widgets", "app": "strict", "ctx": {"plan": "pro"}, **claims}
    return token("strict", kid="2025-10", without=without, **given)


def userz_token(**claims: Any) -> str:
    return token(USERZ_ID, **{"app": USERZ_ID, **claims})


def globex_token(**claims: Any) -> str:
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": NOW + 60, **claims}
    return jwt.encode(payload, _ISSUER_KEY, algorithm="EdDSA")


# --- the gate


class _Exploding:
    """A place for tokens with a fault of its own, standing in for any bug inside the gate."""

    def read(self, request: Request) -> str | None:
        if request.header("x-explode") is not None:
            raise RuntimeError(f"a bug that quotes the request: {request.header('x-explode')}")
        return None


def _unusual(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    return 422, {"problem": refusal.code}


_unusual_vendor = profiles.generic.extend(name="unusual", errors=_unusual)


def _secret(app: str) -> list[Secret]:
    return [Secret(key(app))]


def _apps() -> list[App | BrokenApp]:
    generic = profiles.generic
    pem = _ISSUER_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return [
        profiles.userz(USERZ_ID, public_key="pub_acme", credentials=[Secret.from_hex(key(USERZ_ID).hex())]),
        profiles.hissuno("hissuno", credentials=[Secret.from_text(_text_secret("hissuno"))]),
        profiles.featurebase("featurebase", credentials=[Secret.from_text(_text_secret("featurebase"))]),
        profiles.getuserfeedback("globex", issuer=ISSUER, credentials=[PublicKey.from_pem(pem, algorithms=["EdDSA"])]),
        generic(
            "acme",
            credentials=_secret("acme"),
            public_key="pub_plain",
            origins=["https://acme.example", "*.acme.example"],
            revocations=Revocations(users={"mallory": NOW}, token_ids=frozenset({"stolen"})),
            scopes=["read"],
            scopes_claim="scope",
            max_token_bytes=4_096,
        ),
        generic(
            "strict",
            credentials=[Secret(key("strict"), id="2025-10")],
            issuer="https://id.strict.example",
            audience="widgets",
            app_claim="app",
            min_lifetime=60,
            max_lifetime=86_400,
            attributes_claim="ctx",
            max_attributes_bytes=100,
            fixed={"role": "user"},
        ),
        generic(
            "observed",
            credentials=_secret("observed"),
            public_key="pub_observed",
            origins=["https://acme.example"],
            mode=Mode.LOG_ONLY,
        ),
        generic("lobby", credentials=_secret("lobby"), origins=["https://acme.example"], anonymous=True),
        generic(
            "origin-observed",
            credentials=_secret("origin-observed"),
            origins=["https://acme.example"],
            origin_mode=Mode.LOG_ONLY,
        ),
        generic(
            "origin-enforced",
            credentials=_secret("origin-enforced"),
            origins=["https://acme.example"],
            mode=Mode.LOG_ONLY,
            origin_mode=Mode.ENFORCE,
        ),
        generic("browser", credentials=_secret("browser"), origins=["https://acme.example"], require_origin=True),
        generic(
            "portal",
            credentials=_secret("portal"),
            origins=["https://acme.example"],
            tokens=[Bearer(), Cookie("session")],
        ),
        generic("new"),
        BrokenApp("broken", public_key="pub_broken"),
        BrokenApp("broken-observed", mode=Mode.LOG_ONLY),
        generic("faulty", credentials=_secret("faulty"), tokens=[_Exploding(), Bearer()]),
        generic(
            "faulty-observed",
            credentials=_secret("faulty-observed"),
            tokens=[_Exploding(), Bearer()],
            mode=Mode.LOG_ONLY,
        ),
        _unusual_vendor("unusual", credentials=_secret("unusual")),
        *_hashing_apps(),
        generic(
            "beacon",
            credentials=_secret("beacon"),
            tokens=[Bearer(), JsonBody("auth.token", types=("application/json", "text/plain"))],
            naming=[],
        ),
        generic(
            "visitors",
            credentials=_secret("visitors"),
            origins=["https://acme.example"],
            anonymous=True,
            tokens=[Bearer(), JsonBody("token")],
            claimed=[Query("userId"), JsonBody("userId")],
        ),
    ]


def _hashing_apps() -> list[App]:
    def hashing(id: str, **more: Any) -> IdentityHash:
        companies = CompanyHash(secret=Secret(key(f"{id}-companies")))
        return IdentityHash(secret=Secret(key(f"{id}-users")), companies=companies, **more)

    def app(id: str, rule: IdentityHash, **more: Any) -> App:
        return profiles.featurebase(id, credentials=[Secret.from_text(_text_secret(id))], identity_hash=rule, **more)

    revoked = Revocations(users={"mallory": 1})
    return [
        app("legacy", hashing("legacy"), revocations=revoked),
        app("legacy-mail", hashing("legacy-mail", identifier="email", encoding="base64", normalize=["strip", "lower"])),
        app("legacy-observed", hashing("legacy-observed"), mode=Mode.LOG_ONLY),
        app("legacy-open", hashing("legacy-open"), anonymous=True),
        app("sunset", hashing("sunset", until=NOW)),
        app("dusk", hashing("dusk", until=NOW + 1)),
    ]


def user_hash(app: str, identifier: str, *, of: str = "users") -> str:
    """The hash as the app's backend would make it."""
    return hmac.new(key(f"{app}-{of}"), identifier.encode(), hashlib.sha256).hexdigest()


def registry(ref: AppRef) -> App | None:
    """Knows one app, fails for some, and has never heard of any other."""
    if ref == AppRef("id", "loaded"):
        return profiles.generic("loaded", credentials=_secret("loaded"))
    if ref.value == "down":
        raise ConnectionError("the database at db.internal is down")
    if ref.value == "rotten":
        raise ConfigError([Problem("credentials[0]", "is empty")])
    if ref.value == "nonsense":
        return "loaded"  # type: ignore[return-value]  # what a registry without type checks may return
    return None


def build_gate() -> Gate:
    """The one gate behind which every scenario plays."""
    return Gate(
        _apps(),
        registry=registry,
        naming=[
            PublicKeyBearer(),
            Header("X-App-Id"),
            Query("appId"),
            Query("projectId"),
            BodyField("appId"),
            BodyField("projectId"),
            PathSegment(1),
            Host("*.widgets.example"),
            TokenIssuer(),
        ],
        tokens=[Bearer(), Query("jwt")],
        clock=lambda: NOW,
        error_docs=ERROR_DOCS,
        limits=Limits(backoff_first=30.0),
    )


# --- the words in which the table is written


def _app(name: str) -> tuple[str, str]:
    return ("X-App-Id", name)


def _bearer(text: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {text}")


def _origin(text: str) -> tuple[str, str]:
    return ("Origin", text)


def _passes(identity: str, *, code: Code | None = None) -> Expected:
    """A verified user passes; `code` is what a part of the check in log-only reports."""
    return Expected(status=200, identity=identity, app_id=identity.partition(":")[0], enforced=code is None, code=code)


def _passes_by_hash(identity: str) -> Expected:
    return Expected(status=200, identity=identity, app_id=identity.partition(":")[0], method="identity_hash")


def _anonymous(app_id: str | None, *, claimed: str | None = None) -> Expected:
    return Expected(status=200, app_id=app_id, claimed=claimed, method=None)


def _reported(app_id: str, code: Code, reason: Reason | None = None, *, claimed: str | None = None) -> Expected:
    """It would have been refused; log-only lets it pass as anonymous."""
    return Expected(status=200, code=code, reason=reason, app_id=app_id, enforced=False, claimed=claimed, method=None)


def _bad_token(reason: Reason) -> Expected:
    return Expected(status=401, code="invalid_token", reason=reason, challenge=Challenge.ERROR)


def _refused(
    status: int, code: Code, challenge: Challenge, *, form: Form = Form.PROBLEM, reason: Reason | None = None
) -> Expected:
    return Expected(
        status=status,
        code=code,
        reason=reason,
        challenge=challenge,
        form=form,
        retry_after=status in (429, 503),
    )


_TOKENS: Final = re.compile(r"eyJ[A-Za-z0-9_.-]{40,}")
_HASHES: Final = re.compile(r"[0-9a-f]{64}")
_MISSING: Final = _refused(401, "missing_token", Challenge.BARE)
_INVALID_REQUEST: Final = _refused(400, "invalid_request", Challenge.ERROR)
_WRONG_ORIGIN: Final = _refused(403, "origin_not_allowed", Challenge.NONE)


def _row(
    name: str,
    expected: Expected,
    *headers: tuple[str, str],
    query: str = "",
    path: str = "/whoami",
    method: str = "GET",
    body: bytes = b"",
) -> Scenario:
    said = " ".join([query, *(value for _, value in headers), body.decode("utf-8", "replace")])
    secrets = (*_TOKENS.findall(said), *_HASHES.findall(said))
    return Scenario(name, Ask(method, path, query, headers, body), expected, secrets)


def _posted(
    name: str,
    expected: Expected,
    content: object,
    *headers: tuple[str, str],
    query: str = "",
    media_type: str = "application/json; charset=utf-8",
) -> Scenario:
    """A row whose request has a body: a JSON value, or bytes as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    typed = (("Content-Type", media_type), *headers)
    return _row(name, expected, *typed, query=query, method="POST", body=body)


def _named_rows() -> list[Scenario]:
    acme = token("acme")
    return [
        _row("a header names the app", _passes("acme:ada"), _app("acme"), _bearer(acme)),
        _row("a query parameter names the app", _passes("acme:ada"), _bearer(acme), query="a=b&appId=acme"),
        _row("an encoded query parameter names the app", _passes("acme:ada"), _bearer(acme), query="%61ppId=ac%6De"),
        _row("a path segment names the app", _passes("acme:ada"), _bearer(acme), path="/in/acme"),
        _row("a host names the app", _passes("acme:ada"), _bearer(acme), ("Host", "Acme.Widgets.Example:8000")),
        _row("another host names nobody", _MISSING, _app("acme"), ("Host", "a.b.widgets.example")),
        _row("two places that agree name one app", _passes("acme:ada"), _app("acme"), _bearer(acme), path="/in/acme"),
        _row(
            "two kinds of name that agree name one app",
            _passes(f"{USERZ_ID}:ada"),
            _app(USERZ_ID),
            _bearer("pub_acme"),
            ("X-Userz-User-Token", userz_token()),
        ),
        _row("the token's issuer names the app", _passes("globex:ada"), _bearer(globex_token())),
        _row("a registry knows the app", _passes("loaded:ada"), _app("loaded"), _bearer(token("loaded"))),
        _row("the scheme has no case", _passes("acme:ada"), _app("acme"), ("Authorization", f"bEARER {acme}")),
        _row(
            "ids are percent-encoded", _passes("acme:a%3Ab%40%C3%A9"), _app("acme"), _bearer(token("acme", sub="a:b@é"))
        ),
    ]


def _vendor_rows() -> list[Scenario]:
    userz = (_bearer("pub_acme"),)
    header = "X-Userz-User-Token"
    hiss = jwt.encode({"userId": "ada", "exp": NOW + 60}, _text_secret("hissuno"), algorithm="HS256")
    feat = jwt.encode({"userId": "ada"}, _text_secret("featurebase"), algorithm="HS256")
    email = jwt.encode({"email": "ada@acme.example"}, _text_secret("featurebase"), algorithm="HS256")
    return [
        _row("userz: a user", _passes(f"{USERZ_ID}:ada"), *userz, (header, userz_token())),
        _row("userz: no token", _refused(401, "missing_token", Challenge.BARE, form=Form.USERZ), *userz),
        _row(
            "userz: an empty token",
            _refused(401, "missing_token", Challenge.BARE, form=Form.USERZ),
            *userz,
            (header, ""),
        ),
        _row(
            "userz: a token of another app",
            _refused(401, "invalid_token", Challenge.ERROR, form=Form.USERZ, reason="wrong_app"),
            *userz,
            (header, userz_token(app="another")),
        ),
        _row(
            "userz: a demand of the handler",
            _refused(403, "insufficient_scope", Challenge.ERROR, form=Form.USERZ),
            *userz,
            (header, userz_token()),
            path="/admin",
        ),
        _row(
            "userz: two tokens",
            _refused(400, "invalid_request", Challenge.ERROR, form=Form.USERZ),
            *userz,
            (header, userz_token()),
            (header, userz_token(sub="eve")),
        ),
        _row("hissuno: a user", _passes("hissuno:ada"), _bearer(hiss), query="projectId=hissuno"),
        _row(
            "hissuno: no token",
            _refused(401, "missing_token", Challenge.BARE),
            query="projectId=hissuno",
        ),
        _row("featurebase: a user", _passes("featurebase:ada"), _bearer(feat), query="appId=featurebase"),
        _row(
            "featurebase: an e-mail address",
            _passes("featurebase:ada%40acme.example"),
            query=f"appId=featurebase&jwt={email}",
        ),
        _row(
            "featurebase: the same token in two places",
            _passes("featurebase:ada"),
            _bearer(feat),
            query=f"appId=featurebase&jwt={feat}",
        ),
        _row(
            "featurebase: two tokens in two places",
            _refused(400, "invalid_request", Challenge.ERROR, form=Form.FEATUREBASE),
            _bearer(feat),
            query=f"appId=featurebase&jwt={email}",
        ),
        _row(
            "featurebase: one place repeated",
            _refused(400, "invalid_request", Challenge.ERROR, form=Form.FEATUREBASE),
            query=f"appId=featurebase&jwt={feat}&jwt={feat}",
        ),
        _row(
            "featurebase: a bad token is a 400",
            _refused(400, "invalid_token", Challenge.ERROR, form=Form.FEATUREBASE, reason="bad_signature"),
            query=f"appId=featurebase&jwt={token('acme')}",
        ),
        _row(
            "featurebase: no token is a 400",
            _refused(400, "missing_token", Challenge.BARE, form=Form.FEATUREBASE),
            query="appId=featurebase&jwt=",
        ),
        _row("getuserfeedback: a user", _passes("globex:ada"), _app("globex"), _bearer(globex_token())),
        _row(
            "getuserfeedback: a shared secret never serves",
            _bad_token("algorithm_not_allowed"),
            _app("globex"),
            _bearer(token("globex", iss=ISSUER, aud=AUDIENCE)),
        ),
        _row(
            "getuserfeedback: another audience",
            _bad_token("wrong_audience"),
            _bearer(globex_token(aud=AUDIENCE + "/")),
        ),
        _row(
            "a vendor's unusual status",
            _refused(422, "missing_token", Challenge.BARE, form=Form.UNUSUAL),
            _app("unusual"),
        ),
    ]


def _token_rows() -> list[Scenario]:
    def acme(name: str, reason: Reason, text: str) -> Scenario:
        return _row(name, _bad_token(reason), _app("acme"), _bearer(text))

    def strict(name: str, reason: Reason, **claims: Any) -> Scenario:
        return _row(name, _bad_token(reason), _app("strict"), _bearer(strict_token(**{"role": "user", **claims})))

    good = token("acme")
    head, body, signature = good.split(".")
    return [
        _row("no token", _MISSING, _app("acme")),
        _row("another scheme is no token", _MISSING, _app("acme"), ("Authorization", "Basic YTpi")),
        acme("two parts", "malformed", f"{head}.{body}"),
        acme("five parts", "malformed", f"{good}.{head}.{body}"),
        acme("not base64url", "malformed", f"{head}.{body}.{signature}="),
        acme("a header that is no JSON", "malformed", f"e30x.{body}.{signature}"),
        acme("null as text", "malformed", "null"),
        acme("too large", "too_large", token("acme", filling="x" * 4_096)),
        acme("unsigned", "algorithm_not_allowed", token("acme", algorithm="none")),
        acme("another algorithm", "algorithm_not_allowed", token("acme", algorithm="HS512")),
        acme("another app's key", "bad_signature", token("acme", signed_by="strict")),
        acme("a changed signature", "bad_signature", f"{head}.{body}.{'A' * len(signature)}"),
        acme("another signature and expired", "bad_signature", token("acme", signed_by="strict", exp=1)),
        acme("expired", "expired", token("acme", exp=NOW - 30)),
        acme("not yet valid", "not_yet_valid", token("acme", nbf=NOW + 31)),
        acme("issued in the future", "issued_in_future", token("acme", iat=NOW + 31)),
        acme("another type", "wrong_type", token("acme", typ="at+jwt")),
        acme("an audience where none is known", "wrong_audience", token("acme", aud="widgets")),
        acme("without sub", "missing_claim", token("acme", without=["sub"])),
        acme("without exp", "missing_claim", token("acme", without=["exp"])),
        acme("exp as text", "bad_claim", token("acme", exp=str(NOW + 60))),
        acme("exp in milliseconds", "bad_claim", token("acme", exp=NOW * 1000)),
        acme("an empty user id", "bad_claim", token("acme", sub="")),
        acme("a user id with a line break", "bad_claim", token("acme", sub="a\r\nRemote-User: root")),
        acme("a revoked user", "revoked", token("acme", sub="mallory")),
        acme("a revoked token", "revoked", token("acme", jti="stolen")),
        _row("within the skew", _passes("acme:ada"), _app("acme"), _bearer(token("acme", exp=NOW - 29))),
        _row("every rule holds", _passes("strict:ada"), _app("strict"), _bearer(strict_token(role="user"))),
        strict("a lifetime that is too long", "lifetime_too_long", exp=NOW + 86_401),
        strict("a lifetime that is too short", "lifetime_too_short", exp=NOW + 59),
        strict("another issuer", "wrong_issuer", iss="https://id.evil.example"),
        strict("an issuer with a slash more", "wrong_issuer", iss="https://id.strict.example/"),
        strict("another audience", "wrong_audience", aud=["others"]),
        strict("made for another app", "wrong_app", app="acme"),
        strict("another fixed value", "bad_claim", role="admin"),
        strict("too much context", "context_too_large", ctx={"x": "y" * 100}),
        strict("without issuer", "missing_claim", iss=None),
        _row(
            "an unknown key id",
            _bad_token("key_not_found"),
            _app("strict"),
            _bearer(token("strict", kid="2019-01")),
        ),
        _row(
            "an app without credential and a token",
            _refused(401, "config_missing", Challenge.ERROR),
            _app("new"),
            _bearer(good),
        ),
        _row("an app without credential and no token", _MISSING, _app("new")),
    ]


def _app_rows() -> list[Scenario]:
    good = _bearer(token("acme"))
    unknown = _refused(401, "unknown_app", Challenge.BARE)
    unknown_with_token = _refused(401, "unknown_app", Challenge.ERROR)
    unavailable = _refused(503, "apps_unavailable", Challenge.NONE)
    return [
        _row("no app at all", unknown),
        _row("no app but a token", unknown_with_token, good),
        _row("an app that nobody knows", unknown, _app("nobody")),
        _row("an app that nobody knows and a token", unknown_with_token, _app("nobody"), good),
        _row("a public key that nobody knows", _refused(401, "unknown_app", Challenge.EITHER), _bearer("pub_nobody")),
        _row("an app's name that is far too long", unknown, _app("a" * 129)),
        _row("an issuer that nobody knows", unknown_with_token, _bearer(globex_token(iss="https://evil.example"))),
        _row("a broken app", _refused(401, "config_invalid", Challenge.BARE), _app("broken")),
        _row("a broken app and a token", _refused(401, "config_invalid", Challenge.ERROR), _app("broken"), good),
        _row("a broken app of the registry", _refused(401, "config_invalid", Challenge.BARE), _app("rotten")),
        _row("a broken app in log-only", _reported("broken-observed", "config_invalid"), _app("broken-observed"), good),
        _row("a registry that is down", unavailable, _app("down"), good),
        _row("a registry that is down, asked without a token", unavailable, _app("down")),
        _row("a registry that returns nonsense", unavailable, _app("nonsense"), good),
        _row(
            "a bug inside the gate",
            _refused(503, "internal_error", Challenge.NONE),
            _app("faulty"),
            ("X-Explode", token("faulty")),
        ),
        _row(
            "a bug inside the gate in log-only",
            _reported("faulty-observed", "internal_error"),
            _app("faulty-observed"),
            ("X-Explode", token("faulty-observed")),
        ),
    ]


def _contradiction_rows() -> list[Scenario]:
    good = token("acme")
    plain = _refused(400, "invalid_request", Challenge.EITHER)
    return [
        _row("Authorization twice", _INVALID_REQUEST, _app("acme"), _bearer(good), _bearer(good)),
        _row(
            "Authorization of two schemes",
            _INVALID_REQUEST,
            _app("acme"),
            ("Authorization", "Basic YTpi"),
            _bearer(good),
        ),
        _row("Authorization joined with a comma", _INVALID_REQUEST, _app("acme"), _bearer(f"{good}, Bearer {good}")),
        _row("Bearer with nothing", plain, _app("acme"), ("Authorization", "Bearer")),
        _row("Bearer with a tab", plain, _app("acme"), ("Authorization", "Bearer\t" + good)),
        _row("Bearer with two words", _INVALID_REQUEST, _app("acme"), _bearer(f"{good} {good}")),
        _row("two names for two apps", _INVALID_REQUEST, _app("acme"), _bearer(good), query="appId=strict"),
        _row("two names, one of a public key", plain, _app("acme"), _bearer("pub_acme")),
        _row("two names, one of nobody", _INVALID_REQUEST, _app("acme"), _bearer(good), query="appId=nobody"),
        _row("two names, header and path", _INVALID_REQUEST, _app("acme"), _bearer(good), path="/in/strict"),
        _row(
            "two names, header and host",
            _INVALID_REQUEST,
            _app("acme"),
            _bearer(good),
            ("Host", "strict.widgets.example"),
        ),
        _row("the header of the name twice", _INVALID_REQUEST, _app("acme"), _app("acme"), _bearer(good)),
        _row("the parameter of the name twice", _INVALID_REQUEST, _bearer(good), query="appId=acme&appId=acme"),
        _row("two names, the second of a log-only app", plain, _app("acme"), _bearer("pub_observed")),
        _row("two names, the first of a log-only app", plain, _app("observed"), _bearer("pub_acme")),
        _row(
            "two names, a log-only app and nobody",
            _INVALID_REQUEST,
            _app("observed"),
            _bearer(good),
            query="appId=nobody",
        ),
        _row(
            "the name of a log-only app twice",
            _refused(400, "invalid_request", Challenge.BARE),
            _app("observed"),
            _app("observed"),
        ),
        _row("Origin twice", _INVALID_REQUEST, _app("acme"), _bearer(good), *[_origin("https://acme.example")] * 2),
    ]


def _origin_rows() -> list[Scenario]:
    good, lobby, portal = _bearer(token("acme")), _bearer(token("lobby")), token("portal")
    session = ("Cookie", f"theme=dark; session={portal}")
    home, evil = _origin("https://acme.example"), _origin("https://evil.example")
    watched = _bearer(token("origin-observed"))
    return [
        _row("an origin that is admitted", _passes("acme:ada"), _app("acme"), good, home),
        _row(
            "a subdomain that is admitted", _passes("acme:ada"), _app("acme"), good, _origin("https://a.b.acme.example")
        ),
        _row("another origin", _WRONG_ORIGIN, _app("acme"), good, evil),
        _row("another origin without a token", _WRONG_ORIGIN, _app("acme"), evil),
        _row("an origin that ends alike", _WRONG_ORIGIN, _app("acme"), good, _origin("https://evilacme.example")),
        _row("the origin null", _WRONG_ORIGIN, _app("acme"), good, _origin("null")),
        _row("no origin where one is required", _WRONG_ORIGIN, _app("browser"), _bearer(token("browser"))),
        _row(
            "an origin where one is required", _passes("browser:ada"), _app("browser"), _bearer(token("browser")), home
        ),
        _row("anonymous is admitted", _anonymous("lobby"), _app("lobby")),
        _row("anonymous is admitted from home", _anonymous("lobby"), _app("lobby"), home),
        _row("anonymous is not admitted from elsewhere", _WRONG_ORIGIN, _app("lobby"), evil),
        _row("anonymous may be admitted, a user is known", _passes("lobby:ada"), _app("lobby"), lobby),
        _row("anonymous may be admitted, a bad token not", _bad_token("bad_signature"), _app("lobby"), good),
        _row("only the origin is observed", _passes("origin-observed:ada"), _app("origin-observed"), watched, home),
        _row(
            "only the origin is observed, and is wrong",
            _passes("origin-observed:ada", code="origin_not_allowed"),
            _app("origin-observed"),
            watched,
            evil,
        ),
        _row("only the origin is observed, not the token", _MISSING, _app("origin-observed"), evil),
        _row(
            "only the origin is observed, a bad token not",
            _bad_token("bad_signature"),
            _app("origin-observed"),
            good,
            evil,
        ),
        _row("only the origin is enforced, and is wrong", _WRONG_ORIGIN, _app("origin-enforced"), evil),
        _row(
            "only the origin is enforced, the token not",
            _reported("origin-enforced", "invalid_token", "bad_signature"),
            _app("origin-enforced"),
            good,
            home,
        ),
        _row("a cookie holds the token", _passes("portal:ada"), _app("portal"), session),
        _row(
            "a cookie from home may change something",
            _passes("portal:ada"),
            _app("portal"),
            session,
            home,
            method="POST",
        ),
        _row("a cookie from nowhere may not", _WRONG_ORIGIN, _app("portal"), session, method="POST"),
        _row("a cookie from elsewhere may not", _WRONG_ORIGIN, _app("portal"), session, evil, method="POST"),
        _row(
            "a header goes before a cookie",
            _passes("portal:eve"),
            _app("portal"),
            session,
            _bearer(token("portal", sub="eve")),
            method="POST",
        ),
        _row("an empty cookie is no token", _MISSING, _app("portal"), ("Cookie", "session=")),
        _row(
            "a cookie twice",
            _INVALID_REQUEST,
            _app("portal"),
            ("Cookie", f"session={portal}; session={portal}"),
        ),
    ]


def _log_only_rows() -> list[Scenario]:
    home, evil = _origin("https://acme.example"), _origin("https://evil.example")
    good = _bearer(token("observed"))
    return [
        _row(
            "log-only: a user",
            Expected(status=200, identity="observed:ada", app_id="observed", enforced=False),
            _app("observed"),
            good,
        ),
        _row("log-only: no token", _reported("observed", "missing_token"), _app("observed"), home),
        _row(
            "log-only: a bad signature",
            _reported("observed", "invalid_token", "bad_signature"),
            _app("observed"),
            _bearer(token("observed", signed_by="acme", sub="root")),
        ),
        _row(
            "log-only: expired",
            _reported("observed", "invalid_token", "expired"),
            _app("observed"),
            _bearer(token("observed", sub="root", exp=NOW - 3600)),
        ),
        _row(
            "log-only: unsigned",
            _reported("observed", "invalid_token", "algorithm_not_allowed"),
            _app("observed"),
            _bearer(token("observed", algorithm="none")),
        ),
        _row("log-only: another origin", _reported("observed", "origin_not_allowed"), _app("observed"), good, evil),
        _row("log-only: two origins", _reported("observed", "invalid_request"), _app("observed"), good, home, evil),
    ]


def _handler_rows() -> list[Scenario]:
    good = _bearer(token("acme"))
    return [
        _row(
            "a handler demands a scope",
            _refused(403, "insufficient_scope", Challenge.ERROR),
            _app("acme"),
            good,
            path="/admin",
        ),
        _row(
            "a handler demands a scope of an anonymous user",
            _refused(403, "insufficient_scope", Challenge.BARE),
            _app("lobby"),
            path="/admin",
        ),
        _row(
            "a handler turns away too many",
            _refused(429, "rate_limited", Challenge.NONE),
            _app("acme"),
            good,
            path="/busy",
        ),
        _row(
            "a handler's words cannot break out of the challenge",
            _refused(403, "insufficient_scope", Challenge.ERROR),
            _app("acme"),
            good,
            path="/quotes",
        ),
        _row("a handler demands a user and has one", _passes("acme:ada"), _app("acme"), good, path="/mine"),
        _row("a handler demands a user of an anonymous one", _MISSING, _app("lobby"), path="/mine"),
        _row(
            "a handler demands a user of a bad token in log-only",
            _bad_token("bad_signature"),
            _app("observed"),
            good,
            path="/mine",
        ),
        _row("HEAD is decided about as GET is", _passes("acme:ada"), _app("acme"), good, method="HEAD"),
        _row("HEAD is refused without a body", _MISSING, _app("acme"), method="HEAD"),
        _row("OPTIONS without a preflight's headers is gated", _MISSING, _app("acme"), method="OPTIONS"),
    ]


def _body_rows() -> list[Scenario]:
    hiss = jwt.encode({"userId": "ada", "exp": NOW + 60}, _text_secret("hissuno"), algorithm="HS256")
    eve = jwt.encode({"userId": "eve", "exp": NOW + 60}, _text_secret("hissuno"), algorithm="HS256")
    project = {"projectId": "hissuno"}
    good = {**project, "widgetToken": hiss}
    ada, twice = _passes("hissuno:ada"), _refused(400, "invalid_request", Challenge.EITHER)
    raw = json.dumps(good)
    beacon = {"auth": {"token": token("beacon")}}
    return [
        _posted("a body names the app and holds the token", ada, good),
        _posted(
            "a body holds the token, the query names the app", ada, {"widgetToken": hiss}, query="projectId=hissuno"
        ),
        _posted("a body names the app, a header holds the token", ada, project, _bearer(hiss)),
        _posted("a body of other things beside the token", ada, {**good, "text": "é" * 999, "n": [1, {"a": None}]}),
        _posted(
            "one token in a header and another in a body that is read",
            twice,
            {**good, "widgetToken": eve},
            _bearer(hiss),
        ),
        _posted("the same token in a header and a body", ada, good, _bearer(hiss)),
        _posted(
            "a body is not looked into where all else is known",
            ada,
            {"projectId": "strict", "widgetToken": eve},
            _bearer(hiss),
            query="projectId=hissuno",
        ),
        _posted("a body that names another app", twice, {**good, "projectId": "strict"}, query="projectId=hissuno"),
        _posted("a body that names nobody", twice, {**good, "projectId": "nobody"}, query="projectId=hissuno"),
        _posted("a body with two names for two apps", twice, {**good, "appId": "strict"}),
        _posted("a body with two names for one app", ada, {**good, "appId": "hissuno"}),
        _posted("a body that names an app twice", twice, f'{raw[:-1]}, "projectId": "hissuno"}}'.encode()),
        _posted("a body that holds two tokens by one name", twice, f'{raw[:-1]}, "widgetToken": "{eve}"}}'.encode()),
        _posted("a body that repeats what is not looked at", ada, f'{raw[:-1]}, "a": 1, "a": 2}}'.encode()),
        _posted("a name in the body that is no string", twice, {**good, "projectId": 1}),
        _posted("a token in the body that is no string", _bad_token("malformed"), {**project, "widgetToken": 1}),
        _posted("a token in the body that is a list", _bad_token("malformed"), {**project, "widgetToken": [hiss]}),
        _posted("a token in the body that is null", _MISSING, {**project, "widgetToken": None}),
        _posted("a token in the body that is empty", _MISSING, {**project, "widgetToken": ""}),
        _posted(
            "a token in the body that is null as text", _bad_token("malformed"), {**project, "widgetToken": "null"}
        ),
        _posted("a body of another type", _MISSING, good, query="projectId=hissuno", media_type="text/plain"),
        _posted("a body without a type", _MISSING, good, query="projectId=hissuno", media_type=""),
        _posted("a body that is no JSON", _MISSING, raw.encode()[:-1], query="projectId=hissuno"),
        _posted("a body that is no object", _MISSING, [good], query="projectId=hissuno"),
        _posted("a body in UTF-16", _MISSING, raw.encode("utf-16"), query="projectId=hissuno"),
        _posted("a body that is nested too deeply", _MISSING, b"[" * 60_000, query="projectId=hissuno"),
        _posted("a body at the limit", ada, raw.encode().ljust(65_536)),
        _posted("a body above the limit", _MISSING, raw.encode().ljust(65_537), query="projectId=hissuno"),
        _posted("an empty body", _MISSING, b"", query="projectId=hissuno"),
        _posted("text where it is asked for", _passes("beacon:ada"), beacon, _app("beacon"), media_type="text/plain"),
        _posted("a path into a body", _passes("beacon:ada"), beacon, _app("beacon")),
        _posted("a path into a body that ends early", _MISSING, {"auth": "x"}, _app("beacon")),
        _posted("the name of a log-only app twice in a body", twice, b'{"appId": "observed", "appId": "observed"}'),
    ]


def _hash_rows() -> list[Scenario]:
    def boot(app: str, user: str | None = "ada", proof: str | None = None, **more: Any) -> dict[str, Any]:
        said = {"appId": app, "userId": user, "userHash": proof or user_hash(app, user or ""), **more}
        return {name: value for name, value in said.items() if value is not None}

    def bad(reason: Reason) -> Expected:
        return _refused(400, "invalid_token", Challenge.ERROR, form=Form.FEATUREBASE, reason=reason)

    def signed(app: str, **claims: Any) -> str:
        return jwt.encode(claims, _text_secret(app), algorithm="HS256")

    missing = _refused(400, "missing_token", Challenge.BARE, form=Form.FEATUREBASE)
    contradiction = _refused(400, "invalid_request", Challenge.EITHER, form=Form.FEATUREBASE)
    ada = user_hash("legacy", "ada")
    mail = base64.b64encode(bytes.fromhex(user_hash("legacy-mail", "ada@acme.example"))).decode()
    company = {"id": "acme", "companyHash": user_hash("legacy", "acme", of="companies")}
    return [
        _posted("a hash proves the user", _passes_by_hash("legacy:ada"), boot("legacy")),
        _posted("a hash of digits", _passes_by_hash("legacy:123"), boot("legacy", "123", userId=123)),
        _posted(
            "a hash of an address that is trimmed and lowered, in base64",
            _passes_by_hash("legacy-mail:ada%40acme.example"),
            {"appId": "legacy-mail", "email": " Ada@ACME.example ", "userHash": mail},
        ),
        _posted("a hash of another user", bad("bad_identity_hash"), boot("legacy", "eve", ada)),
        _posted(
            "a hash by another app's secret", bad("bad_identity_hash"), boot("legacy", "ada", user_hash("dusk", "ada"))
        ),
        _posted("a hash in capitals", bad("bad_identity_hash"), boot("legacy", "ada", ada.upper())),
        _posted("a hash of the identifier with a blank", bad("bad_identity_hash"), boot("legacy", "ada ", ada)),
        _posted("an identifier as its own hash", bad("bad_identity_hash"), boot("legacy", "ada", "ada")),
        _posted("a hash that is no text", bad("bad_identity_hash"), boot("legacy", userHash=[ada])),
        _posted("a hash beyond ASCII", bad("bad_identity_hash"), boot("legacy", "ada", "é" * 64)),
        _posted("a hash without an identifier", bad("bad_identity_hash"), boot("legacy", None)),
        _posted("an identifier without a hash", bad("bad_identity_hash"), {"appId": "legacy", "userId": "ada"}),
        _posted("neither an identifier nor a hash", missing, {"appId": "legacy", "name": "Ada"}),
        _posted("a hash of a revoked user", bad("revoked"), boot("legacy", "mallory")),
        _posted(
            "a hash of the user and one of a company",
            _passes_by_hash("legacy:ada"),
            boot("legacy", companies=[company]),
        ),
        _posted("a company without a hash", _passes_by_hash("legacy:ada"), boot("legacy", companies=[{"id": "x"}, 1])),
        _posted(
            "a hash of another company",
            bad("bad_identity_hash"),
            boot("legacy", companies=[{**company, "id": "other"}]),
        ),
        _posted(
            "a token and no hash",
            _passes("legacy:ada"),
            {"appId": "legacy", "featurebaseJwt": signed("legacy", userId="ada")},
        ),
        _posted(
            "a token and a hash that agree",
            _passes("legacy:ada"),
            boot("legacy", featurebaseJwt=signed("legacy", userId="ada")),
        ),
        _posted(
            "a token and a hash of its own user, the identifier left out",
            _passes("legacy:ada"),
            boot("legacy", None, ada, featurebaseJwt=signed("legacy", userId="ada")),
        ),
        _posted(
            "a token and a hash of two users",
            contradiction,
            boot("legacy", featurebaseJwt=signed("legacy", userId="eve")),
        ),
        _posted(
            "a token and a hash that does not verify",
            bad("bad_identity_hash"),
            boot("legacy", "ada", "0" * 64, featurebaseJwt=signed("legacy", userId="ada")),
        ),
        _posted(
            "a bad token is not saved by a hash",
            bad("expired"),
            boot("legacy", featurebaseJwt=signed("legacy", userId="ada", exp=1)),
        ),
        _posted("a hash after its last day", missing, boot("sunset")),
        _posted("a hash on its last day", _passes_by_hash("dusk:ada"), boot("dusk")),
        _posted(
            "a token and an old hash after its last day",
            _passes("sunset:eve"),
            boot("sunset", featurebaseJwt=signed("sunset", userId="eve")),
        ),
        _posted(
            "a hash where none is taken",
            _refused(400, "missing_token", Challenge.BARE, form=Form.FEATUREBASE),
            boot("featurebase"),
        ),
        _posted(
            "log-only: a bad hash",
            _reported("legacy-observed", "invalid_token", "bad_identity_hash", claimed="ada"),
            boot("legacy-observed", "ada", "0" * 64),
        ),
        _posted(
            "anonymous with an identifier",
            _anonymous("legacy-open", claimed="ada"),
            {"appId": "legacy-open", "userId": "ada"},
        ),
        _posted(
            "anonymous may be admitted, a bad hash not", bad("bad_identity_hash"), boot("legacy-open", "ada", "0" * 64)
        ),
    ]


def _claim_rows() -> list[Scenario]:
    home, evil = _origin("https://acme.example"), _origin("https://evil.example")
    visitors = _app("visitors")
    return [
        _posted("an anonymous user says who it is", _anonymous("visitors", claimed="ada"), {"userId": "ada"}, visitors),
        _posted("an anonymous user says a number", _anonymous("visitors"), {"userId": 7}, visitors),
        _posted("an anonymous user says what no id can be", _anonymous("visitors"), {"userId": "a\r\nb"}, visitors),
        _row(
            "an anonymous user says who it is in the query",
            _anonymous("visitors", claimed="ada"),
            visitors,
            home,
            query="userId=ada",
        ),
        _row("an anonymous user says it twice", _anonymous("visitors"), visitors, query="userId=ada&userId=eve"),
        _posted("an anonymous user from elsewhere", _WRONG_ORIGIN, {"userId": "ada"}, visitors, evil),
        _posted(
            "a verified user claims nothing",
            _passes("visitors:ada"),
            {"userId": "eve", "token": token("visitors")},
            visitors,
        ),
        _posted(
            "a bad token in a body is not anonymous", _bad_token("malformed"), {"userId": "eve", "token": "x"}, visitors
        ),
    ]


SCENARIOS: Final = (
    *_named_rows(),
    *_vendor_rows(),
    *_token_rows(),
    *_app_rows(),
    *_contradiction_rows(),
    *_origin_rows(),
    *_log_only_rows(),
    *_handler_rows(),
    *_body_rows(),
    *_hash_rows(),
    *_claim_rows(),
)
