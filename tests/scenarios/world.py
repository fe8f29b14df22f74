"""The gate behind which every scenario plays, its apps, their keys and their tokens."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wicket import (
    App,
    AppRef,
    Bearer,
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
    PublishableKeyBearer,
    Query,
    Refusal,
    Request,
    Revocations,
    Secret,
    TokenIssuer,
    TokenLocation,
    profiles,
)
from wicket.config.app import BrokenApp

NOW: Final = 1_761_000_000
"""The gate's time of day."""

USERZ_ID: Final = "65fa1f3e8a1e5f2d9c1a5c01"
ISSUER: Final = "https://id.globex.example"
AUDIENCE: Final = "https://api.getuserfeedback.com"
ERROR_DOCS: Final = "https://docs.example/errors#"
_ISSUER_KEY: Final = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"globex").digest())


# --- keys and tokens


def key(app: str) -> bytes:
    """The shared secret of one app."""
    return hashlib.sha256(app.encode()).digest()


def text_secret(app: str) -> str:
    return f"sk_live_{key(app).hex()}"


def token(
    app: str,
    /,
    *,
    without: Iterable[str] = (),
    is_signed_by: str | None = None,
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
        "HS256": key(is_signed_by or app),
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


class _Exploding(TokenLocation):
    """A token location that raises, as a bug inside the gate would."""

    def read(self, request: Request) -> str | None:
        if request.header("x-explode") is not None:
            raise RuntimeError(f"a bug that quotes the request: {request.header('x-explode')}")
        return None


def _unusual(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    return 422, {"problem": refusal.code}


_unusual_vendor = profiles.generic.extend(name="unusual", format_error=_unusual)


def _secret(app: str) -> list[Secret]:
    return [Secret(key(app))]


def _apps() -> list[App | BrokenApp]:
    generic = profiles.generic
    pem = _ISSUER_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return [
        profiles.userz(USERZ_ID, publishable_key="pub_acme", credentials=[Secret.from_hex(key(USERZ_ID).hex())]),
        profiles.hissuno("hissuno", credentials=[Secret.from_text(text_secret("hissuno"))]),
        profiles.featurebase("featurebase", credentials=[Secret.from_text(text_secret("featurebase"))]),
        profiles.getuserfeedback("globex", issuer=ISSUER, credentials=[PublicKey.from_pem(pem, algorithms=["EdDSA"])]),
        generic(
            "acme",
            credentials=_secret("acme"),
            publishable_key="pub_plain",
            origins=["https://acme.example", "*.acme.example"],
            revocations=Revocations(users={"mallory": NOW}, token_ids=frozenset({"stolen"})),
            allowed_scopes=["read"],
            scopes_claim="scope",
            max_token_bytes=4_096,
        ),
        generic(
            "strict",
            credentials=[Secret(key("strict"), kid="2025-10")],
            issuer="https://id.strict.example",
            audience="widgets",
            app_claim="app",
            min_lifetime=60,
            max_lifetime=86_400,
            attributes_claim="ctx",
            max_attributes_bytes=100,
            required_values={"role": "user"},
        ),
        generic(
            "observed",
            credentials=_secret("observed"),
            publishable_key="pub_observed",
            origins=["https://acme.example"],
            mode=Mode.LOG_ONLY,
        ),
        generic("lobby", credentials=_secret("lobby"), origins=["https://acme.example"], allow_anonymous=True),
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
            token_locations=[Bearer(), Cookie("session")],
        ),
        generic("new"),
        BrokenApp("broken", publishable_key="pub_broken"),
        BrokenApp("broken-observed", mode=Mode.LOG_ONLY),
        generic("faulty", credentials=_secret("faulty"), token_locations=[_Exploding(), Bearer()]),
        generic(
            "faulty-observed",
            credentials=_secret("faulty-observed"),
            token_locations=[_Exploding(), Bearer()],
            mode=Mode.LOG_ONLY,
        ),
        _unusual_vendor("unusual", credentials=_secret("unusual")),
        *_hashing_apps(),
        generic(
            "beacon",
            credentials=_secret("beacon"),
            token_locations=[Bearer(), JsonBody("auth.token", types=("application/json", "text/plain"))],
            app_locations=[],
        ),
        generic(
            "visitors",
            credentials=_secret("visitors"),
            origins=["https://acme.example"],
            allow_anonymous=True,
            token_locations=[Bearer(), JsonBody("token")],
            claimed_user_locations=[Query("userId"), JsonBody("userId")],
        ),
    ]


def _hashing_apps() -> list[App]:
    def hashing(id: str, **more: Any) -> IdentityHash:
        companies = CompanyHash(secret=Secret(key(f"{id}-companies")))
        return IdentityHash(secret=Secret(key(f"{id}-users")), companies=companies, **more)

    def app(id: str, rule: IdentityHash, **more: Any) -> App:
        return profiles.featurebase(id, credentials=[Secret.from_text(text_secret(id))], identity_hash=rule, **more)

    revoked = Revocations(users={"mallory": 1})
    return [
        app("legacy", hashing("legacy"), revocations=revoked),
        app("legacy-mail", hashing("legacy-mail", identifier="email", encoding="base64", normalize=["strip", "lower"])),
        app("legacy-observed", hashing("legacy-observed"), mode=Mode.LOG_ONLY),
        app("legacy-open", hashing("legacy-open"), allow_anonymous=True),
        app("sunset", hashing("sunset", accept_until=NOW)),
        app("dusk", hashing("dusk", accept_until=NOW + 1)),
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
        app_locations=[
            PublishableKeyBearer(),
            Header("X-App-Id"),
            Query("appId"),
            Query("projectId"),
            JsonBody("appId"),
            JsonBody("projectId"),
            PathSegment(1),
            Host("*.widgets.example"),
            TokenIssuer(),
        ],
        token_locations=[Bearer(), Query("jwt")],
        clock=lambda: NOW,
        error_docs=ERROR_DOCS,
        limits=Limits(backoff_initial=30.0),
    )
