"""The example's API as uvicorn serves it to the browser: with apps of the tests' own, and paths that go wrong."""

from __future__ import annotations

import hashlib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.browser.apps import EXEMPT, OPTIONAL, ORIGIN_CHECK, REQUEST_ID, Notes, api, gate, note
from wicket import Refused
from wicket.asgi import ASGIApp, Message, Receive, Scope, Send, WicketMiddleware
from wicket.contrib.starlette import decision_of, refusal_exception_handler

outside: Notes = []
inside: Notes = []


class Noting:
    """Notes each request, and passes it on."""

    def __init__(self, app: ASGIApp, notes: Notes) -> None:
        self.app = app
        self.notes = notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            note(self.notes, scope.get("method", "SOCKET"), scope["path"], headers)
        await self.app(scope, receive, send)


class Numbering:
    """Adds X-Request-ID to the application's responses."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", REQUEST_ID.encode())]}
            await send(message)

        await self.app(scope, receive, numbered)


async def upload(request: Request) -> JSONResponse:
    body = await request.body()
    user = decision_of(request).identity.user_id
    return JSONResponse({"user": user, "length": len(body), "sha256": hashlib.sha256(body).hexdigest()})


async def unprocessable(_: Request) -> JSONResponse:
    return JSONResponse({"problem": "of the application's own"}, status_code=422)


async def crash(_: Request) -> JSONResponse:
    raise RuntimeError("the application's own")


async def told(_: Request) -> JSONResponse:
    return JSONResponse({"outside": outside, "inside": inside, "received": api.received})


_gate = gate()
_site = Starlette(
    routes=[
        *api.routes,
        Route("/upload", upload, methods=["POST"]),
        Route("/strangers/upload", upload, methods=["POST"]),
        Route("/unprocessable", unprocessable, methods=["POST"]),
        Route("/crash", crash, methods=["POST"]),
        Route("/told", told),
    ],
    exception_handlers={Refused: refusal_exception_handler(_gate)},
)
app = Noting(
    WicketMiddleware(
        Noting(Numbering(_site), inside),
        _gate,
        exempt=EXEMPT,
        optional=OPTIONAL,
        origin_check_path=ORIGIN_CHECK,
        close_on_expiry=True,
    ),
    outside,
)
