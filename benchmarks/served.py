"""What the servers serve: an empty handler, bare, behind PyJWT by hand, and behind Wicket.

Wicket stands here without CORS, since PyJWT by hand has none: what a server makes of three headers more is not the
gate's doing. (In the figures of Starlette and Flask all have it.)

The path `/cpu` answers with the seconds of CPU that the process has spent so far, all its threads together. Every
application looks for it first, the bare one too, so that it is subtracted.
"""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks import peers, scene
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

VARIANTS = ("bare", "PyJWT by hand", "Wicket")


async def _asgi_empty(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def _wsgi_empty(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def _asgi(inner: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/cpu":
            body = f"{time.process_time():.9f}".encode()
            length = str(len(body)).encode()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
            await send({"type": "http.response.body", "body": body})
            return
        await inner(scope, receive, send)

    return app


def _wsgi(inner: Any) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/cpu":
            body = f"{time.process_time():.9f}".encode()
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
        return inner(environ, start_response)

    return app


def _guarded(variant: str, empty: Any, by_hand: Any, wicket: Any) -> Any:
    if variant == "Wicket":
        return wicket(empty, scene.gate_with(scene.app_with()), cors=False)
    return by_hand(empty, peers.pyjwt("HS256")) if variant == "PyJWT by hand" else empty


_variant = os.environ.get("BENCHMARK_VARIANT", "bare")
asgi = _asgi(_guarded(_variant, _asgi_empty, peers.ByHandASGI, ASGIMiddleware))
wsgi = _wsgi(_guarded(_variant, _wsgi_empty, peers.ByHandWSGI, WSGIMiddleware))
