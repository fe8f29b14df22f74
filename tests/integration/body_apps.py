"""Apps whose tokens are in bodies and handshakes, for both middlewares and the tests."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, Final

from wicket import (
    App,
    AppRef,
    Bearer,
    Gate,
    Header,
    JsonBody,
    Limits,
    Mode,
    Query,
    Revocations,
    Rules,
    Secret,
    Subprotocol,
    WebSocketRefusals,
    mint,
)

BODY_TIMEOUT: Final = 1.0
"""For how many seconds the sites wait for a body: a busy machine sends a small one in less."""
PAGE: Final = "https://page.example"


def app_of(id: str, **settings: Any) -> App:
    """The app with this id, as every process of a test builds it."""
    return App(
        id,
        **{
            "credentials": [Secret(hashlib.sha256(f"bodied {id}".encode()).digest())],
            "rules": Rules(leeway=0),
            "token_locations": [Bearer(), JsonBody("token"), Subprotocol()],
            "app_locations": [Header("X-App-Id"), Query("app"), JsonBody("app")],
            "origins": [PAGE],
            **settings,
        },
    )


class Revoking:
    """A registry of the apps whose id begins with `stored`: it knows who was revoked since."""

    def __init__(self) -> None:
        self.revoked: dict[str, float] = {}

    def __call__(self, ref: AppRef) -> App | None:
        if ref.kind != "id" or not ref.value.startswith("stored"):
            return None
        return app_of(ref.value, revocations=Revocations(users=dict(self.revoked)))


def gate_of(registry: Revoking) -> Gate:
    """The gate of both sites."""
    return Gate(
        [
            app_of("acme"),
            app_of("lobby", allow_anonymous=True),
            app_of("watched", mode=Mode.LOG_ONLY),
            app_of("caller", websocket_refusals=WebSocketRefusals(accept=True)),
        ],
        registry=registry,
        app_locations=[Header("X-App-Id"), Query("app"), JsonBody("app")],
        token_locations=[Bearer(), JsonBody("token"), Subprotocol()],
        limits=Limits(body_timeout=BODY_TIMEOUT),
    )


def token_of(id: str, user: str = "ada", *, ttl: float = 600, age: float = 0) -> str:
    """A token of that app, made `age` seconds ago to expire after `ttl`."""
    return mint(app_of(id), user, ttl=ttl, now=time.time() - age)


def body_of(id: str, size: int, *, user: str = "ada") -> bytes:
    """A JSON body of exactly `size` bytes with the app's name and its token at its end."""
    rest = json.dumps({"app": id, "token": token_of(id, user)})[1:].encode()
    fill = size - len(rest) - len(b'{"fill": "", ')
    return b'{"fill": "' + b"x" * fill + b'", ' + rest
