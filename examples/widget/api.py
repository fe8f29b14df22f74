"""The product's gated API, which the feedback widget calls from each customer's page.

There are two customers. Acme's tokens are in the header that Userz uses; Initech's are in the JSON body, as in Hissuno.
WebSockets and beacons cannot carry headers, so both apps also accept a subprotocol and a body of text/plain.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from wicket import (
    Bearer,
    BodyField,
    Gate,
    Header,
    JsonBody,
    PublishableKeyBearer,
    Query,
    Refused,
    Secret,
    Subprotocol,
    profiles,
)
from wicket.asgi import ASGIApp, WicketMiddleware
from wicket.contrib.starlette import identity_of, refusal_exception_handler

TYPES = ("application/json", "text/plain")  # text/plain is what navigator.sendBeacon sends

userz = profiles.userz.extend(
    app_locations=[PublishableKeyBearer(), Query("publicKey", kind="publishable_key")],
    token_locations=[Header("X-Userz-User-Token"), Subprotocol("bearer"), JsonBody("widgetToken", types=TYPES)],
)
hissuno = profiles.hissuno.extend(
    app_locations=[Query("projectId"), BodyField("projectId", types=TYPES)],
    token_locations=[Bearer(), Subprotocol("bearer"), JsonBody("widgetToken", types=TYPES)],
)

received: list[dict[str, Any]] = []


def customers(*, acme: Iterable[str], initech: Iterable[str]) -> Gate:
    """A gate with both customers, and the origins of their pages."""
    return Gate(
        [
            userz(
                "65fa1f3e8a1e5f2d9c1a5c01",
                publishable_key="pub_acme",
                credentials=[Secret.from_hex(os.environ.get("ACME_SECRET") or secrets.token_hex(32))],
                origins=acme,
            ),
            hissuno(
                "initech",
                credentials=[Secret.from_text(os.environ.get("INITECH_SECRET") or f"sk_live_{secrets.token_hex(16)}")],
                origins=initech,
            ),
        ]
    )


async def script(request: Request) -> FileResponse:
    return FileResponse(Path(__file__).with_name("widget.js"), media_type="text/javascript")


async def me(request: Request) -> JSONResponse:
    identity = identity_of(request)
    return JSONResponse({"app": identity.app_id, "user": identity.user_id, "attributes": identity.attributes})


async def feedback(request: Request) -> JSONResponse:
    """Receive a message, or the draft of one from a page that was closed (a beacon: its response is not read)."""
    identity, content = identity_of(request), await request.json()
    kind = request.url.path.rpartition("/")[2]
    received.append({"kind": kind, "user": identity.identity, "text": content["text"]})
    return JSONResponse({"thanks": identity.user_id}, status_code=201)


async def count(request: Request) -> StreamingResponse:
    """Send the number of messages as server-sent events. The gate ends the stream when the token expires."""
    identity_of(request)

    async def events() -> AsyncIterator[str]:
        while True:
            yield f"data: {len(received)}\n\n"
            await asyncio.sleep(0.5)

    return StreamingResponse(events(), media_type="text/event-stream")


async def live(socket: WebSocket) -> None:
    """Send the user's id, then echo. The gate closes the socket (code 4401) when the token expires."""
    identity = identity_of(socket)
    await socket.accept()
    await socket.send_json({"user": identity.user_id, "subprotocols": socket.scope["subprotocols"]})
    async for text in socket.iter_text():
        await socket.send_json({"echo": text})


routes = [
    Route("/widget.js", script),
    Route("/widget/me", me, methods=["GET", "POST"]),
    Route("/widget/feedback", feedback, methods=["POST"]),
    Route("/widget/draft", feedback, methods=["POST"]),
    Route("/widget/count", count, methods=["GET", "POST"]),
    WebSocketRoute("/widget/live", live),
]


def application(gate: Gate) -> ASGIApp:
    """The API. The gate wraps the whole application, so that a page can read the response to a crash too."""
    site = Starlette(routes=routes, exception_handlers={Refused: refusal_exception_handler(gate)})
    return WicketMiddleware(
        site, gate, exempt=["/widget.js"], origin_check_path="/widget/allowed", close_on_expiry=True
    )
