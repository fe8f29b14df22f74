"""Fixtures of the benchmarks: one app, its keys, its tokens, and the headers of one request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from wicket import App, Decision, Gate, Mode, Profile, PublicKey, Request, Secret, profiles

Algorithm = Literal["HS256", "RS256", "ES256"]

APP_ID: Final = "acme"
SECRET: Final = bytes.fromhex("7b4a" * 15 + "0c03")
RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC: Final = ec.generate_private_key(ec.SECP256R1())
SKEW: Final = 30

ORIGIN: Final = "https://acme.example"
ORIGINS: Final = (*(f"https://site-{number}.example" for number in range(19)), ORIGIN)
FOREIGN_ORIGIN: Final = "https://evil.example"


def signing_key(algorithm: Algorithm) -> Any:
    """Returns the signing key."""
    return {"HS256": SECRET, "RS256": RSA, "ES256": EC}[algorithm]


def public_pem(algorithm: Algorithm) -> str:
    """Returns the public key in PEM."""
    public = signing_key(algorithm).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text: bytes = public.public_bytes(serialization.Encoding.PEM, form)
    return text.decode()


def token_for(subject: str, algorithm: Algorithm = "HS256", *, key: Any = None, padding: int = 0) -> str:
    """Returns a token for the user `subject` that is valid for two hours; `padding` adds that many bytes."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": subject,
        "userId": subject,
        "app": APP_ID,
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
    """Returns `count` tokens, all different."""
    return [token_for(f"user-{number}", algorithm) for number in range(count)]


def forged(algorithm: Algorithm) -> str:
    """Returns a token that is signed with another key."""
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
    """Returns the app: one credential, `sub` and `exp` required, 30 s of skew (the default), named by `X-App-Id`."""
    app = profiles.generic(id, credentials=[_credential(algorithm, secret)], origins=origins, mode=mode)
    if app.rules.leeway != SKEW:
        raise RuntimeError("the peers are given another skew than Wicket has")
    return app


def readme_gate(algorithm: Algorithm) -> Gate:
    """Returns the gate of the first example of the README: one app of Userz, named by its publishable key.

    Userz itself has only secrets. For other algorithms, another profile has its rules and locations.
    """
    userz = profiles.userz
    with_keys = Profile(
        "keys", rules=userz.rules, app_locations=userz.app_locations, token_locations=userz.token_locations
    )
    profile = userz if algorithm == "HS256" else with_keys
    credentials = [_credential(algorithm, SECRET)]
    return Gate([profile(APP_ID, publishable_key=f"pub_{APP_ID}", credentials=credentials, origins=ORIGINS)])


def readme_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns `headers` with the app and the token as the first example of the README expects them."""
    others = {name: value for name, value in headers.items() if name not in ("x-app-id", "authorization")}
    token = headers["authorization"].removeprefix("Bearer ")
    return {**others, "authorization": f"Bearer pub_{headers['x-app-id']}", "x-userz-user-token": token}


def _credential(algorithm: Algorithm, secret: bytes) -> Secret | PublicKey:
    if algorithm == "HS256":
        return Secret(secret)
    return PublicKey.from_pem(public_pem(algorithm), algorithms=[algorithm])


def gate_with(*apps: App) -> Gate:
    """Returns a gate that requires an app reference in every request."""
    return Gate(apps, app_locations=profiles.generic.app_locations)


def now() -> int:
    """Returns the current time in whole seconds since 1970."""
    return int(time.time())


def request_of(token: str, *, origin: str = ORIGIN, app: str = APP_ID) -> Request:
    """Returns the request of a browser as an ASGI server passes it."""
    pairs = [(name.encode(), value.encode()) for name, value in headers_of(token, origin=origin, app=app).items()]
    return Request.from_asgi({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": pairs})


def headers_of(token: str, *, origin: str = ORIGIN, app: str = APP_ID) -> dict[str, str]:
    """Returns the headers of a request from a browser."""
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
    """Returns the decision. Raises `RuntimeError` if it has no verified identity."""
    if not decision.identity.verified:
        raise RuntimeError(f"refused: {decision.refusal}")
    return decision


def refused(decision: Decision) -> Decision:
    """Returns the decision. Raises `RuntimeError` if it is no refusal."""
    if decision.allowed:
        raise RuntimeError("what should be refused was admitted")
    return decision
