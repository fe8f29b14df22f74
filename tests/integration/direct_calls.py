"""Calls of both middlewares without a server: scopes and environs, and clients whose body may not be read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.test import EnvironBuilder

from tests.integration import servers
from wicket.asgi import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

MEGABYTES = 10 * 1024 * 1024


def http_scope(path: str = "/", headers: Iterable[tuple[str, str]] = (), **more: Any) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        **more,
    }


async def never_receive() -> Message:
    raise AssertionError("nothing may be read from this client")


def run_asgi(app: ASGIApp, scope: Scope, receive: Receive = never_receive) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(awaited(app, scope, receive, send), servers.DEADLINE))
    return sent


async def awaited(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def environ_of(
    path: str = "/", headers: Iterable[tuple[str, str]] = (), *, method: str = "GET", **more: Any
) -> dict[str, Any]:
    builder = EnvironBuilder(path, method=method, headers=list(headers))
    try:
        return {**builder.get_environ(), **more}
    finally:
        builder.close()


def never_called_wsgi(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    raise AssertionError("a refused request must not reach the application")
