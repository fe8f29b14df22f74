"""What uvicorn serves in the integration tests: a Starlette application behind the gate."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.integration.registry import Shelf, shelf_gate
from wicket import Decision
from wicket.asgi import WicketMiddleware

shelf = Shelf()
gate = shelf_gate(shelf)
_happened: set[str] = set()
_released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def whoami(request: Request) -> Response:
    decision: Decision = request.state.wicket
    return JSONResponse(
        {
            "identity": decision.identity.identity or None,
            "user": request.user.identity or None,
            "pid": os.getpid(),
            "mounted_at": request.scope.get("root_path", ""),
            "state": getattr(request.state, "database", None),
        }
    )


async def stream(request: Request) -> Response:
    name = request.query_params["name"]

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"first "
            await _released[name].wait()
            yield b"second"
        finally:
            _happened.add(f"{name} ended")

    return StreamingResponse(chunks(), media_type="text/plain")


async def later(request: Request) -> Response:
    return PlainTextResponse("soon", background=BackgroundTask(_happened.add, request.query_params["name"]))


async def upload(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def fail(_: Request) -> Response:
    raise RuntimeError("the application's own")


async def release(request: Request) -> Response:
    shelf.released.add(request.query_params["name"])
    _released[request.query_params["name"]].set()
    return PlainTextResponse("released")


async def told(_: Request) -> Response:
    return JSONResponse({"calls": shelf.calls, "happened": sorted(_happened)})


async def opened(_: Request) -> Response:
    return PlainTextResponse("open")


async def secret(_: Request) -> Response:
    return PlainTextResponse("secret")


async def socket(websocket: WebSocket) -> None:
    decision: Decision = websocket.state.wicket
    identity = decision.require().identity
    await websocket.accept()
    await websocket.send_text(identity)
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {"database": "connected"}


def _site(**paths: Any) -> Starlette:
    inner = Starlette(
        routes=[Route("/whoami", whoami), Route("/open", opened), Route("/{path:path}", secret)],
    )
    return Starlette(
        routes=[
            Route("/whoami", whoami, methods=["GET", "POST", "OPTIONS"]),
            Route("/greet", whoami),
            Route("/stream", stream),
            Route("/later", later),
            Route("/upload", upload, methods=["POST"]),
            Route("/fail", fail),
            Route("/release", release),
            Route("/told", told),
            Route("/open", opened),
            Route("/public/{path:path}", opened),
            WebSocketRoute("/socket", socket),
            Mount("/mount", inner),
            Mount("/gated", WicketMiddleware(inner, gate, exempt=["/open"])),
            Route("/{path:path}", secret),
        ],
        middleware=[Middleware(WicketMiddleware, gate=gate, **paths)],
        lifespan=lifespan,
    )


app = _site(
    exempt=["/open", "/public/*", "/release", "/told", "/gated/*"],
    optional=["/greet"],
)
only = _site(only=["/api/*", "/admin"])
