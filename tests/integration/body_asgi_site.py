"""What uvicorn serves in the tests of bodies and sockets: a plain ASGI application behind the gate."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from typing import Any
from urllib.parse import parse_qsl

from tests.integration.body_apps import Revoking, gate_of
from wicket.asgi import Receive, Scope, Send, WicketMiddleware

registry = Revoking()
gate = gate_of(registry)
happened: list[Any] = []


async def _answer(send: Send, value: Any, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def _digest(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body as it comes and keeps nothing of it."""
    digest, sizes = hashlib.sha256(), [0, 0]
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            happened.append("hung up")
            return
        digest.update(message.get("body", b""))
        sizes = [sizes[0] + 1, sizes[1] + len(message.get("body", b""))]
        if not message.get("more_body"):
            break
    user = scope["state"]["wicket"].identity.user_id
    await _answer(send, {"digest": digest.hexdigest(), "size": sizes[1], "messages": sizes[0], "user": user})


async def _events(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends until `send` raises because the client has disconnected (ASGI 2.4)."""
    name = scope["state"]["wicket"].identity.user_id
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
            await asyncio.sleep(0.02)
    except OSError:
        happened.append(f"{name} told by send")
    finally:
        happened.append(f"{name} ended")


async def _listening(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends, and ends when it receives `http.disconnect`."""
    name = scope["state"]["wicket"].identity.user_id
    sending = asyncio.ensure_future(_events(scope, receive, send))
    while (await receive())["type"] != "http.disconnect":
        pass
    happened.append(f"{name} told by receive")
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending


async def _socket(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["state"]["wicket"].identity.user_id
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps([name, list(scope["subprotocols"])])})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
    happened.append([name, message["code"]])


async def _control(scope: Scope, receive: Receive, send: Send) -> None:
    asked = dict(parse_qsl(scope["query_string"].decode()))
    if "revoke" in asked:
        registry.revoked[asked["revoke"]] = 4e9
        gate.refresh(asked["app"])
    await _answer(send, {"pid": os.getpid(), "happened": happened})


async def _site(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await _socket(scope, receive, send)
    elif scope["path"] == "/fail":
        await _answer(send, "own", 500)
    elif scope["path"] == "/ignore":
        await _answer(send, scope["state"]["wicket"].identity.user_id)
    elif scope["path"] == "/nowhere":
        await _answer(send, "nothing", 404)
    else:
        await {"/events": _events, "/listening": _listening, "/control": _control}.get(scope["path"], _digest)(
            scope, receive, send
        )


app = WicketMiddleware(_site, gate, exempt=["/control"], optional=["/greet"], close_on_expiry=True)
