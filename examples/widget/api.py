"""The product's API, behind a gate: what the feedback widget asks for, on whichever customer's page it stands.

Two customers. Acme's tokens ride in a header of their own, as Userz has it; Initech's in the JSON body, as Hissuno has
it. Sockets and beacons can carry neither header, so both apps also take a subprotocol and a body of text/plain.
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
    """A message, or what was left of one when the page went away (a beacon, whose answer nobody reads)."""
    identity, content = identity_of(request), await request.json()
    kind = request.url.path.rpartition("/")[2]
    received.append({"kind": kind, "user": identity.identity, "text": content["text"]})
    return JSONResponse({"thanks": identity.user_id}, status_code=201)


async def count(request: Request) -> StreamingResponse:
    """How many messages there are, as server-sent events; the gate ends them when the token expires."""
    identity_of(request)

    async def events() -> AsyncIterator[str]:
        while True:
            yield f"data: {len(received)}\n\n"
            await asyncio.sleep(0.5)

    return StreamingResponse(events(), media_type="text/event-stream")


async def live(socket: WebSocket) -> None:
    """Says who is here, and echoes; the gate closes it, with the code 4401, when the token expires."""
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
    """The API. The gate stands outside all of it, so that a page can read even the answer to a crash."""
    site = Starlette(routes=routes, exception_handlers={Refused: refusal_exception_handler(gate)})
    return WicketMiddleware(
        site, gate, exempt=["/widget.js"], origin_check_path="/widget/allowed", close_on_expiry=True
    )
