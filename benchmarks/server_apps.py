"""The applications of the servers: an empty handler alone, with PyJWT, and with Wicket, each at its own path.

All three run in one process, so that memory layout, CPU and thread scheduling are the same for each.

CORS is off, because the PyJWT middleware has none: the time that a server needs for three more headers is no cost of
the gate. (In the figures of Starlette and Flask all have CORS.)

The path `/cpu` returns the CPU time of the process in seconds, of all threads.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks import fixtures, peers
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

PATHS = {"bare": "/bare", "PyJWT middleware": "/pyjwt", "Wicket": "/wicket"}
_BARE, _PLAIN, _WICKET = PATHS.values()


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
    return fixtures.gate_with(fixtures.app_with())


_ASGI_APPS: dict[str, Any] = {
    "/cpu": _asgi_cpu,
    _BARE: _asgi_empty,
    _PLAIN: peers.PlainASGIMiddleware(_asgi_empty, peers.pyjwt("HS256")),
    _WICKET: ASGIMiddleware(_asgi_empty, _gate(), cors=False),
}
_WSGI_APPS: dict[str, Any] = {
    "/cpu": _wsgi_cpu,
    _BARE: _wsgi_empty,
    _PLAIN: peers.PlainWSGIMiddleware(_wsgi_empty, peers.pyjwt("HS256")),
    _WICKET: WSGIMiddleware(_wsgi_empty, _gate(), cors=False),
}


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Calls the application at the path of `scope`."""
    await _ASGI_APPS[scope["path"]](scope, receive, send)


def wsgi(environ: Any, start_response: Any) -> Any:
    """Calls the application at the path."""
    return _WSGI_APPS[environ["PATH_INFO"]](environ, start_response)
