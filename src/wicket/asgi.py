"""Middleware for ASGI applications. It decides `http` and `websocket` scopes and passes all other scopes on."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from wicket.decision.context import GateContext
from wicket.decision.decision import Decision
from wicket.errors import Refusal, Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import require_decision_in_scope
from wicket.http.asgi_types import ASGIApp, Message, Receive, Scope, Send
from wicket.http.auth_credentials import AuthCredentials
from wicket.http.binding import attach_to_scope, clear_scope, is_raised_by_any
from wicket.http.bodies import ASGIBody, declared_length
from wicket.http.cors import NO_HEADERS, cors_headers
from wicket.http.handshakes import deny_handshake, markers_offered, refuse_handshake
from wicket.http.long_lived import ConnectionEnded, LiveConnection
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.monitor import ConnectionMonitor
from wicket.http.settings import MiddlewareOptions
from wicket.messages.request import Request
from wicket.messages.response import Response

__all__ = ["ASGIApp", "Message", "Receive", "Scope", "Send", "WicketMiddleware", "watch"]

_DECIDED_TYPES = frozenset({"http", "websocket"})
_START_TYPES = frozenset(
    {"http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start"}
)
"""The types of the message with which an application begins its response."""


class WicketMiddleware:
    """Middleware that decides each request before the ASGI application runs.

    For an allowed request, the application gets the decision in `scope["state"][gate.name]` and the identity in
    `scope["user"]` and `scope["auth"]`. The state is a copy for this request, because servers and sub-requests may
    share the state that they pass. If the application raises `Refused` before it begins its response, the middleware
    sends the response of that refusal. The client's `Remote-User` header is removed from every decided request.

    Args:
        app: The ASGI application.
        gate: The gate that decides.
        settings: The arguments of `wicket.http.settings.MiddlewareSettings`.

    Attributes:
        app: The ASGI application.
        gate: The gate that decides.

    Raises:
        ConfigError: If a setting is invalid. Also if a setting depends on the path, the application sets a root, and
            `root_path` does not name it; and if the middleware is registered in Litestar for a mounted application,
            because the path is incomplete there. Both may be found only at the first request.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        **settings: Unpack[MiddlewareOptions],
    ) -> None:
        self._core = MiddlewareCore(gate, settings)
        self._core.check_root(app)
        self.app = app
        self.gate = gate
        self._monitor = ConnectionMonitor(gate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide one scope, and pass it to the application or answer it.

        Args:
            scope: The ASGI scope.
            receive: The server's `receive`.
            send: The server's `send`.

        Raises:
            ConfigError: At the first request, if `root_path` does not fit the application.
            WicketError: If a body, an app or a key set must be read in an event loop that is not asyncio's, or if
                `close_on_expiry` is set there.
        """
        if scope["type"] not in _DECIDED_TYPES:
            await self.app(scope, receive, send)
            return
        request = Request.from_asgi(scope)
        core, gate = self._core, self.gate
        optional = passed = False
        subprotocol: str | None = None
        body: ASGIBody | None = None
        connection: LiveConnection | None = None
        method = scope.get("method")
        if not core.always_gated or method == "OPTIONS":  # of the always gated requests, only a preflight is special
            if not core.root_checked:
                core.check_first(self.app, scope.get("app"))
            action = core.classify(request)
            passed = action is Action.PASS
            if action is not Action.GATED and action is not Action.OPTIONAL and not passed:
                await self._handle_undecided(action, request, scope, receive, send)
                return
            optional = action is Action.OPTIONAL
        if method != "GET" and request.is_unsafe and not request.websocket:
            body = request.body = ASGIBody(receive, declared_length(request.header("content-length")))
        try:
            if passed:
                decision = core.anonymous_decision(request)
            else:
                begun = gate._try_fast_path(request, optional=optional)
                decision = (
                    begun if isinstance(begun, Decision) else await gate._run_flow(request, begun, optional=optional)
                )
            if not decision.allowed:
                refusal = decision.refusal or Refusal("internal_error", retry_after=1)
                await self._refuse(core.refusal_response(request, decision), refusal, decision, scope, send)
                return
            # Write to the scope itself, so that middleware outside the gate sees the result. The state is a copy.
            attach_to_scope(decision, request, scope, gate.name)
            scope["user"] = identity = decision.identity
            scope["auth"] = AuthCredentials(identity)
            if body is not None and body.started:
                receive = body.receive
            if core.close_on_expiry and (
                identity.verified or request.websocket
            ):  # `watch` may verify a WebSocket later
                connection = self._monitor.track(decision, receive, send, websocket=request.websocket)
                receive, send = connection.receive, connection.send
                decision.connection = weakref.ref(connection)  # the connection refers to the decision
            if request.websocket:
                subprotocol = _hide_token(scope, decision, self.gate._context)
            headers = cors_headers(request, decision, gate._cors) if core.cors else NO_HEADERS
            started = False

            async def send_with_headers(message: Message) -> None:  # frameworks test whether it is a coroutine function
                nonlocal started
                if not started:  # early hints may precede the response
                    kind = message["type"]
                    started = kind in _START_TYPES
                    if decision.required_refusal is not None and started:
                        _report_answer(gate, decision, message)
                    if kind == "http.response.start" and headers is not NO_HEADERS:
                        message = {**message, "headers": headers.apply_asgi(message.get("headers", ()))}
                    elif kind == "websocket.accept" and subprotocol is not None and message.get("subprotocol") is None:
                        message = {**message, "subprotocol": subprotocol}
                await send(message)

            try:
                await self.app(scope, receive, send_with_headers)
            except Refused as refused:
                if started:
                    raise
                refusal = refused.refusal
                if decision.required_refusal is refusal or not is_raised_by_any(scope["state"].values(), refusal):
                    gate.report_handler_refusal(decision, refusal)
                response = core.exception_response(request, decision, refused)
                await self._refuse(response, refusal, decision, scope, send, subprotocol)
            except ConnectionEnded:
                if connection is None or not connection.ended:
                    raise
            except ExceptionGroup as group:  # a task of the application's task group was sending
                if connection is None or not connection.ended or group.split(ConnectionEnded)[1] is not None:
                    raise
        finally:
            if body is not None:
                body.close()
            if connection is not None:
                await self._monitor.untrack(connection)

    async def _refuse(
        self,
        response: Response,
        refusal: Refusal,
        decision: Decision,
        scope: Scope,
        send: Send,
        hidden: str | None = None,
    ) -> None:
        """Send the response of a refusal, or refuse the WebSocket. `hidden` is the result of `_hide_token`."""
        if scope["type"] == "websocket":
            await refuse_handshake(response, refusal, decision.app, scope, send, hidden)
        else:
            await _send_response(response, scope, send)

    async def _handle_undecided(
        self, action: Action, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Handle a request that is not decided: an open path, a preflight, or an origin check."""
        if action is Action.OPEN:
            clear_scope(scope)
            await self.app(scope, receive, send)
        elif action is Action.PREFLIGHT:
            decision = await self.gate.acheck_origin(request)
            await _send_response(self._core.preflight_response(request, decision), scope, send)
        else:
            decision = await self.gate.acheck_origin(request, report=True)
            await _send_response(self._core.origin_check_response(request, decision), scope, send)


def watch(scope: Mapping[str, Any], decision: Decision, gate: Gate | str = "wicket") -> None:
    """Close this connection when a decision that was made in-band is no longer valid.

    Use it after `await gate.averify(token, app=…)` for a token that came in a message of the WebSocket. From then on
    the WebSocket is closed as with a token in the handshake: when the identity expires, is revoked or loses its key. A
    later call replaces the decision, for example after the client has sent a new token.

    Args:
        scope: The ASGI scope that the application received, or a copy of it.
        decision: An allowed decision of the same gate, from `gate.verify` or `gate.averify`.
        gate: The gate of the middleware, or its name.

    Raises:
        ConfigError: The middleware has decided no such connection or has no `close_on_expiry`, or the decision has no
            verified identity or is of another gate.
    """
    decided = require_decision_in_scope(scope, gate)
    connection: LiveConnection | None = decided.connection() if decided.connection is not None else None
    if connection is None:
        raise config_error("close_on_expiry", "must be set, and the request must be a WebSocket", "True")
    contexts = [each._context.gate if each._context is not None else None for each in (decided, decision)]
    if not decision.identity.verified or contexts[0] is not contexts[1]:
        raise config_error("decision", "must be an allowed decision of this gate", "await gate.averify(token, app=…)")
    connection.watch(decision)


def _report_answer(gate: Gate, decision: Decision, message: Message) -> None:
    """Report the status with which the application answers. A close before the accept of a WebSocket counts as 403."""
    gate.report_response(decision, message.get("status", 403 if message["type"] == "websocket.close" else 101))


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _hide_token(scope: Scope, decision: Decision, gate: GateContext) -> str | None:
    """Remove every token and its marker from the subprotocols that the application may select.

    Returns:
        The first removed marker, or None. The middleware selects it if the application selects no subprotocol, because
        a browser closes a WebSocket whose server selects none of the offered subprotocols.
    """
    markers = [location.marker for location in markers_offered(decision.app or gate, scope)]
    for marker in markers:
        offered = scope["subprotocols"]
        preceding = [None, *offered]
        scope["subprotocols"] = [
            value for value, previous in zip(offered, preceding, strict=False) if marker not in (value, previous)
        ]
    return markers[0] if markers else None


async def _send_response(response: Response, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await deny_handshake(response, scope, send)
        return
    headers = _encoded(response.headers)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
