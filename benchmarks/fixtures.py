"""What all measurements share: one app, its keys, its tokens, and one request of a page of its customer's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from wicket import App, Decision, Gate, Mode, PublicKey, Secret, profiles

Algorithm = Literal["HS256", "RS256", "ES256"]

APP_ID: Final = "acme"
SECRET: Final = bytes.fromhex("7b4a" * 15 + "0c03")
RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC: Final = ec.generate_private_key(ec.SECP256R1())
SKEW: Final = 30

ORIGIN: Final = "https://acme.example"
ORIGINS: Final = (*(f"https://site-{number}.example" for number in range(19)), ORIGIN)
STRANGE_ORIGIN: Final = "https://evil.example"


def signing_key(algorithm: Algorithm) -> Any:
    """The key that signs."""
    return {"HS256": SECRET, "RS256": RSA, "ES256": EC}[algorithm]


def public_pem(algorithm: Algorithm) -> str:
    """The public key as text."""
    public = signing_key(algorithm).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text: bytes = public.public_bytes(serialization.Encoding.PEM, form)
    return text.decode()


def token_for(subject: str, algorithm: Algorithm = "HS256", *, key: Any = None, padding: int = 0) -> str:
    """A token of a usual size for the user `subject`, good for two hours."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": subject,
        "iat": now,
        "exp": now + 7200,
        "name": "Ada Lovelace",
        "email": "ada@acme.example",
        "plan": "pro",
    }
    if padding:
        claims["note"] = "x" * padding
    return jwt.encode(claims, signing_key(algorithm) if key is None else key, algorithm=algorithm)


def tokens_for(count: int, algorithm: Algorithm = "HS256") -> list[str]:
    """As many tokens, all different."""
    return [token_for(f"user-{number}", algorithm) for number in range(count)]


def forged(algorithm: Algorithm) -> str:
    """A token that somebody else signed."""
    others: Mapping[Algorithm, Any] = {
        "HS256": SECRET[::-1],
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
    }
    return token_for("mallory", algorithm, key=others[algorithm])


def app_with(
    algorithm: Algorithm = "HS256",
    *,
    id: str = APP_ID,
    origins: tuple[str, ...] = ORIGINS,
    mode: Mode = Mode.ENFORCE,
    secret: bytes = SECRET,
) -> App:
    """The app: one credential, `sub` and `exp` required, 30 s of skew as by default, named by `X-App-Id`."""
    credential: Secret | PublicKey = (
        Secret(secret) if algorithm == "HS256" else PublicKey.from_pem(public_pem(algorithm), algorithms=[algorithm])
    )
    app = profiles.generic(id, credentials=[credential], origins=origins, mode=mode)
    if app.rules.leeway != SKEW:
        raise RuntimeError("the peers are given another skew than Wicket has")
    return app


def gate_with(*apps: App) -> Gate:
    """A gate that always asks for the app's name."""
    return Gate(apps, app_locations=profiles.generic.app_locations)


def headers_of(token: str, *, origin: str = ORIGIN, app: str = APP_ID) -> dict[str, str]:
    """The headers of a request that a browser sends from a customer's page."""
    return {
        "host": "api.example",
        "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0",
        "accept": "application/json",
        "accept-encoding": "gzip, deflate, br",
        "accept-language": "en-GB,en;q=0.8",
        "origin": origin,
        "referer": f"{origin}/",
        "x-app-id": app,
        "authorization": f"Bearer {token}",
    }


def admitted(decision: Decision) -> Decision:
    """The decision, which must have verified a user."""
    if not decision.identity.verified:
        raise RuntimeError(f"refused: {decision.refusal}")
    return decision


def refused(decision: Decision) -> Decision:
    """The decision, which must be a refusal."""
    if decision.allowed:
        raise RuntimeError("what should be refused was admitted")
    return decision
