"""The applications of the soak: the identity and the size of the body; event streams; and a WebSocket that echoes.

`/objects`, an exempt path, tells how many blocks of memory Python's objects take. Resident memory is what counts in
the end, but in its first minutes it says more of the C library's allocator than of a leak.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from benchmarks.soak.apps import gate_from_environment
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.decision import token_parser as tokens
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

_CHUNKS: Final = 100
_EVERY: Final = 0.1

logging.getLogger("wicket").setLevel(logging.ERROR)
_gate: Final = gate_from_environment()


def _objects() -> int:
    tokens._HEADER_CACHE.clear()  # the cache is bounded, but its size would change the count
    gc.collect()
    return sys.getallocatedblocks()


async def _tell_objects(_: Request) -> Response:
    return JSONResponse(_objects())


async def _me(request: Request) -> Response:
    return JSONResponse({"user": request.user.identity, "length": len(await request.body())})


async def _stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(_CHUNKS):
            yield b"data: on\n\n"
            await asyncio.sleep(_EVERY)

    return StreamingResponse(chunks(), media_type="text/event-stream")


async def _socket(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{websocket.user.identity} {text}")


asgi = Starlette(
    routes=[
        Route("/objects", _tell_objects),
        Route("/me", _me, methods=["GET", "POST"]),
        Route("/stream", _stream),
        WebSocketRoute("/socket", _socket),
    ],
    middleware=[Middleware(ASGIMiddleware, gate=_gate, close_on_expiry=True, exempt=["/objects"])],
)


def _wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return _chunks()
    told: object = None
    if environ["PATH_INFO"] == "/objects":
        told = _objects()
    else:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        told = {"user": environ["wicket.identity"].identity, "length": len(environ["wsgi.input"].read(length))}
    body = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _chunks() -> Iterator[bytes]:
    for _ in range(_CHUNKS):
        yield b"data: on\n\n"
        time.sleep(_EVERY)


wsgi = WSGIMiddleware(_wsgi, _gate, close_on_expiry=True, exempt=["/objects"])
