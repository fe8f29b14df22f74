"""The door for ASGI applications: it decides about `http` and `websocket` scopes and lets all else pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from wicket.decision.flow import Decision
from wicket.decision.identity import Permissions
from wicket.errors import Refused, config_error
from wicket.gate import Gate
from wicket.http.answers import answer_refused, answer_to
from wicket.http.paths import Access, Paths
from wicket.request import Answer, Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class WicketMiddleware:
    """Puts `gate` before an ASGI application.

    `only`, `exempt` and `optional` are paths, exact or ending in `/*` (see `wicket.http.paths`). CORS preflights pass
    untouched. A request that passes carries its Decision in `scope["state"][gate.name]`, and its identity in
    `scope["user"]` and `scope["auth"]`. A `Refused` that the application raises before it answers becomes the
    refusal's own answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        *,
        only: Iterable[str] = (),
        exempt: Iterable[str] = (),
        optional: Iterable[str] = (),
    ) -> None:
        if not isinstance(gate, Gate):
            raise config_error("gate", "must be a Gate")
        self.app = app
        self.gate = gate
        self._paths = Paths(only, exempt, optional)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide about one scope, and pass it on or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request = Request.from_asgi(scope)
        access = self._paths.access(request.path)
        if access is Access.OPEN or request.preflight:
            await self.app(scope, receive, send)
            return
        decision = await self.gate.adecide(request, optional=access is Access.OPTIONAL)
        if not decision.allowed:
            await _answer(answer_to(self.gate, decision), scope, send)
            return
        _attach(scope, self.gate, decision)
        await self._pass(decision, scope, receive, send)

    async def _pass(self, decision: Decision, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Refused as refused:
            if begun:
                raise
            await _answer(answer_refused(self.gate, decision, refused), scope, send)


def _attach(scope: Scope, gate: Gate, decision: Decision) -> None:
    """Leave the decision where applications look for it. In place: what stands outside still sees the scope."""
    state = scope.get("state")
    if state is None:
        state = scope["state"] = {}
    state[gate.name] = decision
    scope["user"] = decision.identity
    scope["auth"] = Permissions.of(decision.identity)


async def _answer(answer: Answer, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await _refuse_handshake(answer, scope, send)
        return
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


async def _refuse_handshake(answer: Answer, scope: Scope, send: Send) -> None:
    """A real HTTP answer where the server offers it; otherwise a close before accepting, which clients see as 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})
