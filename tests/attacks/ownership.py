"""Apps, requests and an application for the tests that a decision belongs to one request."""

from __future__ import annotations

import asyncio
from typing import Any

import flask
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

from tests.integration.direct_calls import awaited, http_scope, never_receive
from wicket import (
    App,
    ConfigError,
    Gate,
    Secret,
    mint,
    profiles,
)
from wicket.asgi import ASGIApp, Message, Receive, Scope, Send
from wicket.contrib import flask as in_flask
from wicket.contrib import starlette as in_starlette

APP = profiles.generic(
    "acme", credentials=[Secret(b"0f3c9a17e5b2d846" * 3)], scopes_claim="scope", allowed_scopes=["read"]
)
PARTNER = profiles.generic("partner", credentials=[Secret(b"77d1c02e9b5fa348" * 3)])
PATHS: dict[str, Any] = {"exempt": ["/open", "/outer"]}


def bearer(user: str, app: App = APP) -> list[tuple[str, str]]:
    return [("x-app-id", app.id), ("authorization", f"Bearer {mint(app, user)}")]


def raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]


def seen_in(scope: Scope, gate: Gate | str = "wicket") -> list[str | None]:
    """Return the user ids of the accessor, `request.user` and `request.state`; None if there is no user."""
    connection = HTTPConnection(scope)
    try:
        by_accessor = in_starlette.decision_of(connection, gate).identity.user_id
    except ConfigError:
        by_accessor = None
    by_user = scope["user"].user_id if "user" in scope else None
    decision = getattr(connection.state, gate if isinstance(gate, str) else gate.name, None)
    return [by_accessor, by_user, decision.identity.user_id if decision is not None else None]


def seen_in_environ(environ: dict[str, Any]) -> list[str | None]:
    """Return the user ids of the accessor and the environ, and `REMOTE_USER`; None if there is no user."""
    try:
        by_accessor = in_flask.decision_of(flask.Request(environ)).identity.user_id
    except ConfigError:
        by_accessor = None
    identity = environ.get("wicket.identity")
    return [by_accessor, identity.user_id if identity is not None else None, environ.get("REMOTE_USER")]


class Site:
    """An ASGI application that records the users of each request, before and after it waits for the others."""

    def __init__(self, parties: int = 1) -> None:
        self.seen: list[tuple[str, list[str | None]]] = []
        self._barrier = asyncio.Barrier(parties)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        before = seen_in(scope)
        await self._barrier.wait()
        assert seen_in(scope) == before
        self.seen.append((scope["path"], before))
        await PlainTextResponse("ok")(scope, receive, send)


def scopes_of(*users: str | None, **more: Any) -> list[Scope]:
    """Return one scope per user; for None, a scope of the open path without a token."""
    return [
        http_scope("/me", bearer(user), **more) if user is not None else http_scope("/open", **more) for user in users
    ]


async def discard(message: Message) -> None: ...


async def together(app: ASGIApp, scopes: list[Scope]) -> None:
    await asyncio.wait_for(asyncio.gather(*(awaited(app, scope, never_receive, discard) for scope in scopes)), 20)
