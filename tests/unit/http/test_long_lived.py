"""Long-lived connections: messages pass through, and a closed connection ends pending calls."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.clients import finished
from tests.unit.http.connections import FakeServer, FaultyClock, gate_at, run, verified
from wicket.http.asgi_types import Message
from wicket.http.long_lived import ConnectionEnded, LiveConnection

SSE: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"x-own", b"1"), (b"Content-Type", b"Text/Event-Stream; charset=utf-8")],
}
PLAIN: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def connection(*, websocket: bool = True) -> tuple[LiveConnection, FakeServer]:
    server = FakeServer()
    return LiveConnection(verified(gate_at(FaultyClock())), server.receive, server.send, websocket=websocket), server


def test_live_connection_open_messages_passed_unchanged() -> None:
    async def main() -> None:
        live, server = connection()
        for message in ({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}):
            server.incoming.put_nowait(message)
            assert await live.receive() is message
        accept = {"type": "websocket.accept"}
        await live.send(accept)
        assert server.sent == [accept]
        assert server.sent[0] is accept

    run(main)


def test_live_connection_websocket_close_sends_4401_and_disconnects() -> None:
    async def main() -> None:
        live, server = connection()
        pending = asyncio.ensure_future(live.receive())
        await asyncio.sleep(0)
        await live.close(4401, "expired")
        assert server.sent == [{"type": "websocket.close", "code": 4401, "reason": "expired"}]
        assert await pending == {"type": "websocket.disconnect", "code": 4401, "reason": ""}
        assert (await live.receive())["type"] == "websocket.disconnect"
        with pytest.raises(ConnectionEnded):
            await live.send({"type": "websocket.send", "text": "late"})
        await live.close(4401, "expired")
        assert len(server.sent) == 1, "closed once"
        live.end()

    run(main)


def test_live_connection_event_stream_close_ends_and_disconnects() -> None:
    async def main() -> None:
        live, server = connection(websocket=False)
        await live.send(SSE)
        await live.close(4401, "revoked")
        assert server.sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
        assert await live.receive() == {"type": "http.disconnect"}

    run(main)


def test_live_connection_event_stream_send_after_close_oserror() -> None:
    """ASGI 2.4: `send` raises OSError after a disconnection, so applications need not call `receive`."""

    async def main() -> None:
        live, server = connection(websocket=False)
        await live.send(SSE)
        await live.close(4401, "expired")
        with pytest.raises(OSError, match="no longer valid"):
            await live.send({"type": "http.response.body", "body": b"data: late\n\n", "more_body": True})
        assert len(server.sent) == 2

    run(main)


def test_live_connection_plain_response_close_ignored() -> None:
    async def main() -> None:
        for start in (None, PLAIN):
            live, server = connection(websocket=False)
            if start is not None:
                await live.send(start)
            await live.close(4401, "expired")
            assert server.sent == ([] if start is None else [start])

    run(main)


def test_live_connection_header_iterator_passed_whole() -> None:
    async def main() -> None:
        live, server = connection(websocket=False)
        headers = [(b"content-type", b"text/plain"), (b"x-left", b"1")]
        await live.send({"type": "http.response.start", "status": 200, "headers": iter(headers)})
        assert server.sent == [{"type": "http.response.start", "status": 200, "headers": headers}]

    run(main)


def test_live_connection_response_without_headers_passed() -> None:
    async def main() -> None:
        live, server = connection(websocket=False)
        start = {"type": "http.response.start", "status": 204}
        await live.send(start)
        assert server.sent == [start]

    run(main)


@pytest.mark.parametrize(
    ("websocket", "last"),
    [
        (True, {"type": "websocket.close", "code": 1000}),
        (False, {"type": "http.response.body", "body": b"x"}),
        (False, {"type": "http.response.body", "body": b"x", "more_body": False}),
    ],
)
def test_live_connection_ended_by_application_not_closed_again(websocket: bool, last: Message) -> None:
    async def main() -> None:
        live, server = connection(websocket=websocket)
        if not websocket:
            await live.send(SSE)
        await live.send(last)
        await live.close(4401, "expired")
        assert server.sent[-1] is last

    run(main)


def test_live_connection_client_disconnected_not_closed_again() -> None:
    async def main() -> None:
        live, server = connection()
        server.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        assert (await live.receive())["code"] == 1001
        await live.close(4401, "expired")
        assert server.sent == []

    run(main)


def test_live_connection_server_error_on_close_ignored() -> None:
    async def main() -> None:
        async def send(message: Message) -> None:
            raise OSError("disconnected")

        live = LiveConnection(verified(gate_at(FaultyClock())), FakeServer().receive, send, websocket=True)
        await live.close(4401, "expired")
        assert (await live.receive())["code"] == 4401

    run(main)


def test_live_connection_receive_timeout_message_not_lost() -> None:
    async def main() -> None:
        live, server = connection()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(live.receive(), 0.01)
        server.incoming.put_nowait({"type": "websocket.receive", "text": "a"})
        assert (await live.receive())["text"] == "a"

    run(main)


@pytest.mark.parametrize("websocket", [True, False])
def test_live_connection_two_receivers_each_get_message(websocket: bool) -> None:
    async def main() -> None:
        live, server = connection(websocket=websocket)
        pending = [asyncio.ensure_future(live.receive()) for _ in range(2)]
        await asyncio.sleep(0)
        server.incoming.put_nowait({"type": "http.request", "body": b"x"})
        server.incoming.put_nowait({"type": "http.disconnect"})
        assert {(await task)["type"] for task in pending} == {"http.request", "http.disconnect"}

    run(main)


def test_live_connection_available_message_received_immediately() -> None:
    """Frameworks test for a disconnection with a `receive` that they cancel at its first wait."""

    async def main() -> None:
        live, server = connection(websocket=False)
        server.incoming.put_nowait({"type": "http.disconnect"})
        assert finished(live.receive())["type"] == "http.disconnect"
        closed, _ = connection(websocket=False)
        await closed.send(SSE)
        await closed.close(4401, "expired")
        assert finished(closed.receive())["type"] == "http.disconnect"

    run(main)


def test_live_connection_cancelled_receive_later_message_not_lost() -> None:
    async def main() -> None:
        live, server = connection()
        pending = asyncio.ensure_future(live.receive())
        await asyncio.sleep(0)
        pending.cancel()
        message = {"type": "websocket.receive", "text": "a"}
        server.incoming.put_nowait(message)
        for _ in range(3):
            await asyncio.sleep(0)
        assert finished(live.receive()) is message

    run(main)


def test_live_connection_watch_before_the_stream_begins_checks_the_new_decision() -> None:
    async def main() -> None:
        begun: list[LiveConnection] = []
        gate, server = gate_at(FaultyClock()), FakeServer()
        live = LiveConnection(
            verified(gate), server.receive, server.send, websocket=False, on_begin=begun.append, on_end=begun.remove
        )
        other = verified(gate)
        live.watch(other)
        assert (begun, live.decision) == ([], other)
        await live.send(SSE)
        assert begun == [live]
        live.end()
        live.watch(verified(gate))
        assert (begun, live.decision) == ([], other)

    run(main)
