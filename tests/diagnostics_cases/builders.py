"""Builders for the rows: secrets, signers without Wicket, apps, bodies, and the row itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from wicket import App, Header, Secret
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.locations import JsonBody

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
    """Sign a token with PyJWT, with unchecked claims. A claim that is None is left out."""
    claims = {"sub": "user-1", "iat": NOW, "exp": NOW + 3600, **changes}
    raw = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    return jwt.api_jws.encode(raw, key, algorithm, headers={"kid": kid} if kid else None)


def by_hmac(key: bytes, **changes: Any) -> str:
    """Sign a token without PyJWT, which rejects some of these keys."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"sub": "user-1", "iat": NOW, "exp": NOW + 3600, **changes}
    signed = f"{part(json.dumps({'alg': 'HS256'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def hashed(text: str, secret: str = HASHING) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def app(**settings: Any) -> App:
    return App(
        "acme", **{"credentials": [Secret.from_text(TEXT)], "app_locations": NAMED, "origins": [ORIGIN], **settings}
    )


def binary(encoding: str) -> App:
    secret = Secret.from_hex(HEX) if encoding == "hex" else Secret.from_base64(B64)
    return app(credentials=[secret])


def named_keys() -> App:
    return app(credentials=[Secret.from_text(FIRST, kid="k1"), Secret.from_text(SECOND, kid="k2")])


def hashing(**settings: Any) -> App:
    rule: dict[str, Any] = {"secret": Secret.from_text(HASHING), "identifier": "userId", **settings}
    return app(identity_hash=IdentityHash(**rule), token_locations=[JsonBody("jwt")])


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
    """One mistake: the app, the arguments of `diagnose`, the code of the finding, and words of its sentence."""

    name: str
    app: Callable[[], App]
    token: str | None
    code: str
    says: tuple[str, ...]
    body: Mapping[str, Any] | None = None
    origin: str | None = None
    found: str | None = None
    expected: str | None = None
    also: tuple[str, ...] = field(default=())
    """The codes of further findings."""
