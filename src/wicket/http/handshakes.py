"""Refuse the handshake of a WebSocket, or accept it and close the WebSocket with a code that a page can read."""

from __future__ import annotations

from wicket.config.app import App
from wicket.config.websocket_refusals import close_reason
from wicket.decision.context import GateContext
from wicket.errors import Refusal
from wicket.http.asgi_types import Scope, Send
from wicket.messages.response import Response


async def refuse_handshake(
    response: Response, refusal: Refusal, app: App | None, scope: Scope, send: Send, hidden: str | None = None
) -> None:
    """Refuse a WebSocket before its accept.

    If the app's `websocket_refusals` accept, the WebSocket is accepted and closed with the code of the refusal. This
    does not wait for the client. Otherwise the handshake is denied.

    Args:
        response: The HTTP response to the handshake.
        refusal: The refusal.
        app: The app that the request names. None if it is unknown.
        scope: The scope of the WebSocket.
        send: The server's `send`.
        hidden: The marker that was removed from the scope. None if none was.
    """
    if app is not None and app.websocket_refusals.accept:
        await send({"type": "websocket.accept", "subprotocol": hidden or _subprotocol(app, scope)})
        code = app.websocket_refusals.code_for(refusal)
        await send({"type": "websocket.close", "code": code, "reason": close_reason(refusal)})
        return
    await deny_handshake(response, scope, send)


async def deny_handshake(response: Response, scope: Scope, send: Send) -> None:
    """Send the HTTP response if the server supports the `websocket.http.response` extension.

    Otherwise, close the WebSocket before the accept. The server then answers 403.

    Args:
        response: The HTTP response to the handshake.
        scope: The scope of the WebSocket.
        send: The server's `send`.
    """
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.body})


def without_token(app: App | GateContext, scope: Scope) -> tuple[list[str], str | None]:
    """Return the subprotocols that the client offers, without those of the token, and the first of these or None."""
    kept: list[str] = list(scope.get("subprotocols") or ())
    marker: str | None = None
    for location in app.located_tokens.headers_and_query:
        offered, kept = kept, location.without_token(kept)
        marker = marker or next((item for item in offered if item not in kept), None)
    return kept, marker


def _subprotocol(app: App, scope: Scope) -> str | None:
    """Return the subprotocol to select: the marker of the token, or else the first one that the client offers.

    A browser closes a WebSocket with the code 1006 if the server selects none of the offered subprotocols.
    """
    offered, marker = without_token(app, scope)
    return marker or (offered[0] if offered else None)
