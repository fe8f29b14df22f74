"""The ASGI door and sockets that outlive their token. What it does with requests is in the table of scenarios."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.support import NOW, Clock, acme, claims, gate_of, token
from wicket import Rules, Subprotocol
from wicket.asgi import Message, WicketMiddleware
from wicket.http import lasting


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "_PERIOD", 0.01)


def test_the_asgi_door_closes_what_outlives_its_token() -> None:
    async def main() -> None:
        clock = Clock()
        clock.now = NOW
        sent: list[Message] = []
        heard: list[Message] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.accept"})
            clock.now = NOW + 60
            heard.append(await receive())

        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError("nothing comes")

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"x-app-id", b"acme"), (b"authorization", f"Bearer {token(claims(exp=NOW + 60))}".encode())]
        scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": headers}
        await WicketMiddleware(app, gate_of(acme(rules=Rules(skew=0)), clock=clock), close_on_expiry=True)(
            scope, never, send
        )
        assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
        assert heard == [{"type": "websocket.disconnect", "code": 4401, "reason": ""}]

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    ("chosen", "answered"), [({}, "bearer"), ({"subprotocol": None}, "bearer"), ({"subprotocol": "chat"}, "chat")]
)
def test_a_token_among_the_subprotocols_is_taken_out_and_its_marker_answered(
    chosen: dict[str, Any], answered: str
) -> None:
    seen: list[Any] = []
    sent: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["subprotocols"])
        await send({"type": "websocket.accept", **chosen})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    offered = ["chat", "bearer", token()]
    headers = [(b"x-app-id", b"acme"), (b"sec-websocket-protocol", ", ".join(offered).encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers, "subprotocols": offered}
    gate = gate_of(acme(tokens=[Subprotocol()]))
    asyncio.run(WicketMiddleware(app, gate)(scope, receive, send))
    assert seen == [["chat"]]
    assert sent == [{"type": "websocket.accept", "subprotocol": answered}]
