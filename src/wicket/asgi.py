"""The door for ASGI applications: it decides about `http` and `websocket` scopes and lets all else pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from wicket.config.locations import Subprotocol
from wicket.decision.context import GateContext
from wicket.decision.decision import Decision
from wicket.errors import Refused
from wicket.gate import Gate
from wicket.http.auth_credentials import AuthCredentials
from wicket.http.binding import attach_to_scope, clear_scope, demanded_of
from wicket.http.bodies import ASGIBody, declared_length
from wicket.http.cors import NO_HEADERS, cors_headers
from wicket.http.long_lived import ConnectionEnded, LiveConnection
from wicket.http.middleware import Action, MiddlewareCore
from wicket.http.monitor import ConnectionMonitor
from wicket.messages.request import Request
from wicket.messages.response import Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


_KINDS = frozenset({"http", "websocket"})
_BEGINNINGS = frozenset({"http.response.start", "websocket.accept", "websocket.close", "websocket.http.response.start"})


class WicketMiddleware:
    """Puts `gate` before an ASGI application.

    `only`, `exempt` and `optional` are paths, exact or ending in `/*` (see `wicket.http.paths`). A request that passes
    carries its Decision in `scope["state"][gate.name]`, and its identity in `scope["user"]` and `scope["auth"]`. The
    state is a copy for this request alone, since servers and sub-requests may share the one that they give. A
    `Refused` that the application raises before it answers becomes the refusal's own answer.

    With `cors` preflights are answered here, and every answer says what pages may read (see `wicket.http.cors`).
    `origin_check_path` is a path that tells a widget, without a token, whether it may render on the page that asks.
    `close_on_expiry` closes sockets (code 4401) and event streams within a second after their token has expired or
    their app's revocations have come to cover it.

    `root_path` is the root that the application sets itself (FastAPI's `root_path`, Django's `FORCE_SCRIPT_NAME`), or
    `"keep"` for a router that leaves the root in the path: the paths given here then begin with it. If paths count, the
    application says that it has a root, and none is given, `ConfigError` is raised, here or at the first request. It is
    raised, too, among Litestar's own middlewares before a mounted application, whose path is not whole there.

    Without `cors`, `preflights` says whether a preflight is decided about like any other request (`"gate"`, the
    default) or passed on as an anonymous request (`"pass"`).

    A client's own `Remote-User` header is removed from a request that is decided about.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        *,
        only: Iterable[str] = (),
        exempt: Iterable[str] = (),
        optional: Iterable[str] = (),
        cors: bool = True,
        origin_check_path: str | None = None,
        close_on_expiry: bool = False,
        root_path: str | None = None,
        preflights: str | None = None,
    ) -> None:
        self._door = MiddlewareCore(
            gate,
            only=only,
            exempt=exempt,
            optional=optional,
            cors=cors,
            origin_check_path=origin_check_path,
            close_on_expiry=close_on_expiry,
            root_path=root_path,
            preflights=preflights,
        )
        self._door.check_root(app)
        self.app = app
        self.gate = gate
        self._watch = ConnectionMonitor(gate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide about one scope, and pass it on or answer it."""
        if scope["type"] not in _KINDS:
            await self.app(scope, receive, send)
            return
        request = Request.from_asgi(scope)
        door, gate = self._door, self.gate
        optional = passing = False
        subprotocol: str | None = None
        body: ASGIBody | None = None
        lasting: LiveConnection | None = None
        if (
            not door.always_gated or scope.get("method") != "GET"
        ):  # nearly always it is: no preflight, no body, no socket
            if not door.root_checked:
                door.check_first(self.app, scope.get("app"))
            turn = door.classify(request)
            passing = turn is Action.PASS
            if turn is not Action.GATED and turn is not Action.OPTIONAL and not passing:
                await self._handle_undecided(turn, request, scope, receive, send)
                return
            optional = turn is Action.OPTIONAL
            if request.is_unsafe and not request.websocket:
                body = request.body = ASGIBody(receive, declared_length(request.header("content-length")))
        try:
            if passing:
                decision = door.passed(request)
            else:
                decision = gate._try_fast_path(request) or await gate.adecide(request, optional=optional, tried=True)
            if not decision.allowed:
                await _answer(door.refusal(request, decision), scope, send)
                return
            if request.names_remote_user:
                _remove_remote_user(scope)
            # The scope is written in place, so that middlewares outside the gate see it. Its state is copied.
            attach_to_scope(decision, request, scope, gate.name)  # after the last change of the headers
            scope["user"] = identity = decision.identity
            scope["auth"] = AuthCredentials(identity)
            if body is not None and body.started:
                receive = body.receive
            if door.close_on_expiry and identity.verified:
                lasting = self._watch.track(decision, receive, send, websocket=request.websocket)
                receive, send = lasting.receive, lasting.send
            if request.websocket:
                subprotocol = _hide_token(scope, decision, self.gate._context)
            additions = cors_headers(request, decision) if door.cors else NO_HEADERS
            begun = False

            async def sending(message: Message) -> None:  # adapters look whether it is a coroutine function
                nonlocal begun
                if not begun:  # hints may come before the answer begins
                    kind = message["type"]
                    begun = kind in _BEGINNINGS
                    if decision.demand is not None and begun:
                        _report_answer(gate, decision, message)
                    if kind == "http.response.start" and additions is not NO_HEADERS:
                        message = {**message, "headers": additions.apply_asgi(message.get("headers", ()))}
                    elif kind == "websocket.accept" and subprotocol is not None and message.get("subprotocol") is None:
                        message = {**message, "subprotocol": subprotocol}
                await send(message)

            try:
                await self.app(scope, receive, sending)
            except Refused as refused:
                if begun:
                    raise
                if decision.demand is refused.refusal or not demanded_of(scope["state"].values(), refused.refusal):
                    gate.report_handler_refusal(decision, refused.refusal)
                await _answer(door.refused(request, decision, refused), scope, send)
            except ConnectionEnded:
                if lasting is None or not lasting.ended:
                    raise
            except ExceptionGroup as group:  # of a task group, one of whose tasks sends
                if lasting is None or not lasting.ended or group.split(ConnectionEnded)[1] is not None:
                    raise
        finally:
            if body is not None:
                body.close()
            if lasting is not None:
                await self._watch.untrack(lasting)

    async def _handle_undecided(
        self, turn: Action, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """What is not decided about: open paths, preflights, and whether a widget may render."""
        if turn is Action.OPEN:
            clear_scope(scope)
            await self.app(scope, receive, send)
        elif turn is Action.PREFLIGHT:
            await _answer(self._door.preflight(request, await self.gate.acheck_origin(request)), scope, send)
        else:
            await _answer(
                self._door.question(request, await self.gate.acheck_origin(request, report=True)), scope, send
            )


def _report_answer(gate: Gate, decision: Decision, message: Message) -> None:
    """Report what the application refuses itself; a close before a socket is accepted is a 403."""
    gate.report_answer(decision, message.get("status", 403 if message["type"] == "websocket.close" else 101))


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _remove_remote_user(scope: Scope) -> None:
    """Remove the headers that would pass for the user whom a front server names: Django reads them as such."""
    names = (b"remote-user", b"remote_user")
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in names]


def _hide_token(scope: Scope, decision: Decision, house: GateContext) -> str | None:
    """Take every token out of the subprotocols that the application may choose from.

    Returns the marker before it, for an application that chooses none: a browser ends a socket whose server answers
    none of those that it offered.
    """
    first: str | None = None
    for place in (decision.app or house).located_tokens.headers_and_query:
        offered = scope.get("subprotocols") or []
        if isinstance(place, Subprotocol) and place.marker in offered:
            before = [None, *offered]
            scope["subprotocols"] = [
                each for each, last in zip(offered, before, strict=False) if place.marker not in (each, last)
            ]
            first = first or place.marker
    return first


async def _answer(answer: Response, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await _refuse_handshake(answer, scope, send)
        return
    headers = _encoded(answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


async def _refuse_handshake(answer: Response, scope: Scope, send: Send) -> None:
    """A real HTTP answer where the server offers it; otherwise a close before accepting, which clients see as 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = _encoded(answer.headers)
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})
