"""Refused WebSockets that say why: accepted and closed with a code, and in-band decisions that are watched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.unit import NOW, ORIGIN, acme, asks, claims, gate_of, token
from tests.unit.http.connections import FakeServer, FaultyClock, gate_at, run
from wicket import (
    App,
    Bearer,
    ConfigError,
    Decision,
    Gate,
    Header,
    Mode,
    Refused,
    Revocations,
    Rules,
    Subprotocol,
    WebSocketRefusals,
)
from wicket.asgi import Receive, Scope, Send, WicketMiddleware, watch
from wicket.http import monitor as module

SAYS = WebSocketRefusals(accept=True)
PLACES = (Bearer(), Subprotocol("bearer"))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.01)


def scope_of(*offered: str, app: str = "acme", origin: str = ORIGIN, bearer: str | None = None) -> Scope:
    headers = [(b"x-app-id", app.encode()), (b"origin", origin.encode())]
    if offered:
        headers.append((b"sec-websocket-protocol", ", ".join(offered).encode()))
    if bearer is not None:
        headers.append((b"authorization", f"Bearer {bearer}".encode()))
    return {"type": "websocket", "path": "/", "query_string": b"", "headers": headers, "subprotocols": [*offered]}


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the application saw the scope of a refused WebSocket")


async def unreadable() -> Any:
    raise AssertionError("the refusal waited for a message")


def sent_to(
    gate: Gate, scope: Scope, application: Callable[..., Awaitable[None]] = never, **settings: Any
) -> list[dict[str, Any]]:
    """The messages that the middleware sends for a scope."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(WicketMiddleware(application, gate, **settings)(scope, unreadable, send))
    return sent


def closed_with(code: int, reason: str, subprotocol: str | None = None) -> list[dict[str, Any]]:
    return [
        {"type": "websocket.accept", "subprotocol": subprotocol},
        {"type": "websocket.close", "code": code, "reason": reason},
    ]


# --- accept and close


@pytest.mark.parametrize(
    ("scope", "sent"),
    [
        (scope_of(), closed_with(4401, "missing_token")),
        (scope_of("chat", "v2"), closed_with(4401, "missing_token", "chat")),
        (scope_of("bearer", "a.b.c"), closed_with(4401, "malformed", "bearer")),
        (scope_of("chat", "bearer", "a.b.c"), closed_with(4401, "malformed", "bearer")),
        (scope_of("bearer"), closed_with(4400, "invalid_request", "bearer")),
        (scope_of(origin="https://evil.example"), closed_with(4403, "origin_not_allowed")),
    ],
)
def test_websocket_refused_accepted_and_closed_with_code_and_reason(scope: Scope, sent: list[dict[str, Any]]) -> None:
    with gate_of(acme(websocket_refusals=SAYS, token_locations=PLACES)) as gate:
        assert sent_to(gate, scope) == sent


def test_websocket_refused_response_extension_of_server_not_used_if_accepted() -> None:
    scope = {**scope_of(), "extensions": {"websocket.http.response": {}}}
    with gate_of(acme(websocket_refusals=SAYS)) as gate:
        assert sent_to(gate, scope) == closed_with(4401, "missing_token")
    with gate_of(acme()) as gate:
        assert sent_to(gate, scope)[0]["type"] == "websocket.http.response.start"


def test_websocket_refused_own_codes_used() -> None:
    refusals = WebSocketRefusals(accept=True, codes={401: 3000})
    with gate_of(acme(websocket_refusals=refusals)) as gate:
        assert sent_to(gate, scope_of()) == closed_with(3000, "missing_token")


def test_websocket_refused_is_off_by_default_and_for_unknown_apps() -> None:
    with gate_of(acme()) as gate:
        assert sent_to(gate, scope_of()) == [{"type": "websocket.close", "code": 1008, "reason": ""}]
    two = App("two", websocket_refusals=SAYS, app_locations=[Header("X-App-Id")])
    with gate_of(acme(websocket_refusals=SAYS), two) as gate:
        assert sent_to(gate, scope_of(app="none")) == [{"type": "websocket.close", "code": 1008, "reason": ""}]


def test_websocket_refused_by_vendor_error_format_closed_with_code_of_refusal() -> None:
    app = acme(websocket_refusals=SAYS, format_error=lambda refusal: (422, {"error": refusal.code}))
    with gate_of(app) as gate:
        assert sent_to(gate, scope_of()) == closed_with(4401, "missing_token")


def test_websocket_refused_by_handler_before_accept_closed_with_code() -> None:
    async def demanding(scope: Scope, receive: Receive, send: Send) -> None:
        decision: Decision = scope["state"]["wicket"]
        decision.require("admin")

    with gate_of(acme(websocket_refusals=SAYS, token_locations=PLACES)) as gate:
        sent = sent_to(gate, scope_of("bearer", token()), demanding)
    assert sent == closed_with(4403, "insufficient_scope", "bearer")


def test_websocket_refused_by_handler_after_accept_raises() -> None:
    async def demanding(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        scope["state"]["wicket"].require("admin")

    with gate_of(acme(websocket_refusals=SAYS)) as gate, pytest.raises(Refused):
        sent_to(gate, scope_of(bearer=token()), demanding)


def test_websocket_log_only_passes_and_is_not_closed() -> None:
    async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    with gate_of(acme(websocket_refusals=SAYS, mode=Mode.LOG_ONLY)) as gate:
        assert [message["type"] for message in sent_to(gate, scope_of(), accepting)] == ["websocket.accept"]


def test_websocket_on_origin_check_path_answered_without_accept() -> None:
    with gate_of(acme(websocket_refusals=SAYS)) as gate:
        scope = {**scope_of(), "path": "/allowed"}
        sent = sent_to(gate, scope, origin_check_path="/allowed")
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


# --- in-band decisions


def serve(gate: Gate, application: Any, server: FakeServer, **settings: Any) -> asyncio.Task[None]:
    middleware = WicketMiddleware(application, gate, **{"optional": ["/"], "close_on_expiry": True, **settings})
    return asyncio.create_task(middleware(scope_of(), server.receive, server.send))


class InBand:
    """An application that verifies each message as a token and has the decision watched."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.watched = asyncio.Event()
        self.ended: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            decision = await self.gate.averify(message["text"], app="acme")
            watch(dict(scope), decision)
            self.watched.set()
        self.ended.append(message)


def signed(**changes: Any) -> str:
    return token(claims(**changes))


async def told(server: FakeServer, application: InBand, text: str) -> None:
    application.watched.clear()
    server.incoming.put_nowait({"type": "websocket.receive", "text": text})
    async with asyncio.timeout(10):
        await application.watched.wait()


def test_watch_in_band_decision_closed_on_expiry_with_codes_of_app() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_of(
            acme(rules=Rules(leeway=0), websocket_refusals=WebSocketRefusals(codes={401: 3001})), clock=clock
        )
        server, application = FakeServer(), InBand(gate)
        task = serve(gate, application, server)
        await told(server, application, signed(exp=NOW + 60))
        clock.now = NOW + 60
        assert await server.close_message() == {"type": "websocket.close", "code": 3001, "reason": "expired"}
        await task
        assert application.ended == [{"type": "websocket.disconnect", "code": 3001, "reason": ""}]

    run(main)


def test_watch_renewed_token_replaces_the_earlier_decision() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        server, application = FakeServer(), InBand(gate)
        task = serve(gate, application, server)
        await told(server, application, signed(exp=NOW + 60))
        await told(server, application, signed(exp=NOW + 90))
        clock.now = NOW + 75
        await told(server, application, signed(exp=NOW + 120))
        assert server.sent == [{"type": "websocket.accept"}]
        clock.now = NOW + 120
        assert (await server.close_message())["reason"] == "expired"
        await task

    run(main)


def test_watch_in_band_decision_closed_on_revocation() -> None:
    async def main() -> None:
        apps = {"acme": acme()}
        gate = Gate(registry=lambda ref: apps.get(ref.value), app_locations=[Header("X-App-Id")], clock=lambda: NOW)
        with gate:
            server, application = FakeServer(), InBand(gate)
            task = serve(gate, application, server)
            await told(server, application, signed())
            apps["acme"] = acme(revocations=Revocations(users={"user-1": NOW}))
            gate.refresh("acme")
            assert await server.close_message() == {"type": "websocket.close", "code": 4401, "reason": "revoked"}
            await task

    run(main)


def test_watch_replaces_decision_of_handshake() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        server, application = FakeServer(), InBand(gate)
        middleware = WicketMiddleware(application, gate, close_on_expiry=True)
        scope = scope_of(bearer=signed(exp=NOW + 60))
        task = asyncio.create_task(middleware(scope, server.receive, server.send))
        await told(server, application, signed(exp=NOW + 90))
        clock.now = NOW + 75
        await told(server, application, signed(exp=NOW + 90))
        assert server.sent == [{"type": "websocket.accept"}]
        clock.now = NOW + 90
        await server.close_message()
        await task

    run(main)


def test_watch_connection_that_has_ended_is_not_changed() -> None:
    async def main() -> None:
        gate = gate_at(FaultyClock())
        server, application = FakeServer(), InBand(gate)
        late: list[Any] = []

        async def leaving(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})
            watch(scope, await gate.averify(signed(), app="acme"))
            late.append(scope["state"]["wicket"].connection().decision.identity.verified)

        await serve(gate, leaving, server)
        assert late == [False]
        assert application.ended == []

    run(main)


def test_watch_wrong_use_config_error() -> None:
    async def main() -> None:
        gate, other = gate_at(FaultyClock()), gate_at(FaultyClock())
        errors: list[str] = []

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            for decision in (
                await gate.averify(signed(), app="acme"),
                await gate.averify("a.b.c", app="acme"),
                await other.averify(signed(), app="acme"),
            ):
                try:
                    watch(scope, decision, gate)
                except ConfigError as error:
                    errors.append(str(error))
                else:
                    errors.append("")

        await serve(gate, application, FakeServer(), close_on_expiry=False)
        assert errors == ["close_on_expiry: must be set, and the request must be a WebSocket (True)"] * 3
        errors.clear()
        await serve(gate, application, FakeServer())
        refused = "decision: must be an allowed decision of this gate (await gate.averify(token, app=…))"
        assert errors == ["", refused, refused]
        with pytest.raises(ConfigError, match="has made no decision about this request"):
            watch({"type": "websocket", "headers": []}, gate.decide(asks(signed())))

    run(main)


def test_watch_connection_of_anonymous_websocket_is_not_checked() -> None:
    """An anonymous WebSocket is wrapped, so that it can be watched later, but no task checks it."""

    async def main() -> None:
        gate = gate_at(FaultyClock())
        before = len(asyncio.all_tasks())
        tasks: list[int] = []

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.accept"})
            tasks.append(len(asyncio.all_tasks()) - before)

        await serve(gate, application, FakeServer())
        assert tasks == [1], "only the task of the application"

    run(main)
