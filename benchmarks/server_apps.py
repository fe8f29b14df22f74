"""What the servers serve: an empty handler, bare, behind PyJWT by hand, and behind Wicket, each under its own path.

All three live in one process, so that nothing but they themselves differs between them: neither where their memory
lies, nor which CPU they were put on, nor how the server's threads came to run.

Wicket stands here without CORS, since PyJWT by hand has none: what a server makes of three headers more is not the
gate's doing. (In the figures of Starlette and Flask all have it.)

The path `/cpu` answers with the seconds of CPU that the process has spent so far, all its threads together.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks import fixtures as scene
from benchmarks import peers
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

PATHS = {"bare": "/bare", "PyJWT by hand": "/by-hand", "Wicket": "/wicket"}
_BARE, _BY_HAND, _WICKET = PATHS.values()


async def _asgi_empty(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _asgi_cpu(scope: Any, receive: Any, send: Any) -> None:
    body = _cpu()
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


def _wsgi_empty(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def _wsgi_cpu(environ: Any, start_response: Any) -> list[bytes]:
    body = _cpu()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _cpu() -> bytes:
    return f"{time.process_time():.9f}".encode()


def _gate() -> Any:
    return scene.gate_with(scene.app_with())


_ASGI_APPS: dict[str, Any] = {
    "/cpu": _asgi_cpu,
    _BARE: _asgi_empty,
    _BY_HAND: peers.ByHandASGI(_asgi_empty, peers.pyjwt("HS256")),
    _WICKET: ASGIMiddleware(_asgi_empty, _gate(), cors=False),
}
_WSGI_APPS: dict[str, Any] = {
    "/cpu": _wsgi_cpu,
    _BARE: _wsgi_empty,
    _BY_HAND: peers.ByHandWSGI(_wsgi_empty, peers.pyjwt("HS256")),
    _WICKET: WSGIMiddleware(_wsgi_empty, _gate(), cors=False),
}


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The application that `scope`'s path names."""
    await _ASGI_APPS[scope["path"]](scope, receive, send)


def wsgi(environ: Any, start_response: Any) -> Any:
    """The application that the path names."""
    return _WSGI_APPS[environ["PATH_INFO"]](environ, start_response)
