"""Applications of several routers, and requests to them, for the tests of paths."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.attacks.token_factory import NOW, secret
from tests.integration.routers import apps
from wicket import App, Gate, Header, Secret

ROUTES = ("/admin/secret", "/public/hello")


def gate_of(**settings: Any) -> Gate:
    known = [App("acme", credentials=[Secret(secret())]), App("globex", credentials=[Secret(secret("globex"))])]
    return Gate(known, **{"app_locations": [Header("X-App-Id")], "clock": lambda: NOW, **settings})


def ask(
    app: Any, path: str, *headers: tuple[str, str], root: str = "", method: str = "GET", **more: Any
) -> tuple[int, bytes]:
    """Return the status and the body of the response of `app` to a scope with this path."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root,
        "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers)],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        **more,
    }
    sent: list[Any] = []
    requested = False

    async def receive() -> Any:
        nonlocal requested
        if requested:
            await asyncio.Future()
        requested = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return status, b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")


def ignore(*_: Any) -> None:
    """Ignore that a handler was reached."""


def mounted_in_litestar(inner: Any, **settings: Any) -> Any:
    """Return a Litestar application that mounts `inner` at `/admin`."""
    from litestar import Litestar, asgi, get
    from litestar.types import Receive, Scope, Send

    @asgi("/admin", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    @get("/public/hello", sync_to_thread=False)
    def hello() -> str:
        return "hello"

    mounted.fn.__annotations__.update(scope=Scope, receive=Receive, send=Send)
    hello.fn.__annotations__["return"] = str
    return Litestar([mounted, hello], openapi_config=None, logging_config=None, **settings)


def mounted_in_hypercorn(inner: Any) -> Any:
    """Return Hypercorn's dispatcher with `inner` mounted at `/admin`, and an open application at the root."""
    from hypercorn.middleware import DispatcherMiddleware

    return DispatcherMiddleware({"/admin": inner, "": apps.starlette(("/public/hello",), ignore)})


def sunk_in_falcon(_: Any) -> Any:
    """Return a Falcon application with a sink for `/admin`."""
    import falcon.asgi

    async def sink(request: Any, response: Any) -> None:
        response.text = "/secret"

    app: Any = falcon.asgi.App()
    app.add_sink(sink, "/admin")
    return app
