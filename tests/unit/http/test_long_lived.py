"""Connections that outlive their decision, one by one: how each is closed, and what it is spared."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.clients import finished
from tests.support.unit import NOW, acme, gate_of
from tests.unit.http.connections import Hand, Line, Stuck, gate_at, run, verified
from wicket.http.long_lived import CLOSE_CODE, ConnectionEnded, LiveConnection, Message
from wicket.http.wsgi_stream import ExpiringStream

SSE: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"x-own", b"1"), (b"Content-Type", b"Text/Event-Stream; charset=utf-8")],
}
PLAIN: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def connection(*, websocket: bool = True) -> tuple[LiveConnection, Line]:
    line = Line()
    return LiveConnection(verified(gate_at(Hand())), line.receive, line.send, websocket=websocket), line


def test_live_connection_open_messages_passed_unchanged() -> None:
    async def main() -> None:
        lasting, line = connection()
        for message in ({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}):
            line.incoming.put_nowait(message)
            assert await lasting.receive() is message
        accept = {"type": "websocket.accept"}
        await lasting.send(accept)
        assert line.sent == [accept]
        assert line.sent[0] is accept

    run(main)


def test_live_connection_websocket_close_sends_4401_and_disconnects() -> None:
    async def main() -> None:
        lasting, line = connection()
        waiting = asyncio.ensure_future(lasting.receive())
        await asyncio.sleep(0)
        await lasting.close("expired")
        assert line.sent == [{"type": "websocket.close", "code": CLOSE_CODE, "reason": "expired"}]
        assert await waiting == {"type": "websocket.disconnect", "code": CLOSE_CODE, "reason": ""}
        assert (await lasting.receive())["type"] == "websocket.disconnect"
        with pytest.raises(ConnectionEnded):
            await lasting.send({"type": "websocket.send", "text": "late"})
        await lasting.close("expired")
        assert len(line.sent) == 1, "it is closed once"
        lasting.end()

    run(main)


def test_live_connection_event_stream_close_ends_and_disconnects() -> None:
    async def main() -> None:
        lasting, line = connection(websocket=False)
        await lasting.send(SSE)
        await lasting.close("revoked")
        assert line.sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
        assert await lasting.receive() == {"type": "http.disconnect"}

    run(main)


def test_live_connection_event_stream_send_after_close_oserror() -> None:
    """Since version 2.4 of ASGI applications need not receive: what they send raises OSError once nobody is there."""

    async def main() -> None:
        lasting, line = connection(websocket=False)
        await lasting.send(SSE)
        await lasting.close("expired")
        with pytest.raises(OSError, match="no longer holds"):
            await lasting.send({"type": "http.response.body", "body": b"data: late\n\n", "more_body": True})
        assert len(line.sent) == 2

    run(main)


def test_live_connection_plain_response_close_ignored() -> None:
    async def main() -> None:
        for start in (None, PLAIN):
            lasting, line = connection(websocket=False)
            if start is not None:
                await lasting.send(start)
            await lasting.close("expired")
            assert line.sent == ([] if start is None else [start])

    run(main)


def test_live_connection_header_iterator_passed_whole() -> None:
    async def main() -> None:
        lasting, line = connection(websocket=False)
        headers = [(b"content-type", b"text/plain"), (b"x-left", b"1")]
        await lasting.send({"type": "http.response.start", "status": 200, "headers": iter(headers)})
        assert line.sent == [{"type": "http.response.start", "status": 200, "headers": headers}]

    run(main)


def test_live_connection_response_without_headers_passed() -> None:
    async def main() -> None:
        lasting, line = connection(websocket=False)
        start = {"type": "http.response.start", "status": 204}
        await lasting.send(start)
        assert line.sent == [start]

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
        lasting, line = connection(websocket=websocket)
        if not websocket:
            await lasting.send(SSE)
        await lasting.send(last)
        await lasting.close("expired")
        assert line.sent[-1] is last

    run(main)


def test_live_connection_client_disconnected_not_closed_again() -> None:
    async def main() -> None:
        lasting, line = connection()
        line.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        assert (await lasting.receive())["code"] == 1001
        await lasting.close("expired")
        assert line.sent == []

    run(main)


def test_live_connection_server_error_on_close_ignored() -> None:
    async def main() -> None:
        async def send(message: Message) -> None:
            raise OSError("gone just now")

        lasting = LiveConnection(verified(gate_at(Hand())), Line().receive, send, websocket=True)
        await lasting.close("expired")
        assert (await lasting.receive())["code"] == CLOSE_CODE

    run(main)


def test_live_connection_receive_timeout_message_not_lost() -> None:
    async def main() -> None:
        lasting, line = connection()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lasting.receive(), 0.01)
        line.incoming.put_nowait({"type": "websocket.receive", "text": "a"})
        assert (await lasting.receive())["text"] == "a"

    run(main)


@pytest.mark.parametrize("websocket", [True, False])
def test_live_connection_two_receivers_each_get_message(websocket: bool) -> None:
    async def main() -> None:
        lasting, line = connection(websocket=websocket)
        waiting = [asyncio.ensure_future(lasting.receive()) for _ in range(2)]
        await asyncio.sleep(0)
        line.incoming.put_nowait({"type": "http.request", "body": b"x"})
        line.incoming.put_nowait({"type": "http.disconnect"})
        assert {(await each)["type"] for each in waiting} == {"http.request", "http.disconnect"}

    run(main)


def test_live_connection_available_message_received_immediately() -> None:
    """Frameworks ask whether the client is still there with a `receive` that they cancel at its first wait."""

    async def main() -> None:
        lasting, line = connection(websocket=False)
        line.incoming.put_nowait({"type": "http.disconnect"})
        assert finished(lasting.receive())["type"] == "http.disconnect"
        closed, _ = connection(websocket=False)
        await closed.send(SSE)
        await closed.close("expired")
        assert finished(closed.receive())["type"] == "http.disconnect"

    run(main)


def test_live_connection_cancelled_receive_later_message_not_lost() -> None:
    async def main() -> None:
        lasting, line = connection()
        asked = asyncio.ensure_future(lasting.receive())
        await asyncio.sleep(0)
        asked.cancel()
        message = {"type": "websocket.receive", "text": "a"}
        line.incoming.put_nowait(message)
        for _ in range(3):
            await asyncio.sleep(0)
        assert finished(lasting.receive()) is message

    run(main)


# --- a server that keeps messages back

DATA: Message = {"type": "websocket.send", "text": "a"}


@contextlib.asynccontextmanager
async def blocked(count: int = 1) -> AsyncIterator[tuple[LiveConnection, Stuck, list[asyncio.Task[None]]]]:
    """A socket in whose `send` so many tasks wait."""
    server = Stuck()
    lasting = LiveConnection(verified(gate_at(Hand())), Line().receive, server, websocket=True)
    sending = [asyncio.ensure_future(lasting.send(DATA)) for _ in range(count)]
    await turns()
    assert not any(each.done() for each in sending)
    yield lasting, server, sending
    if not server.writable.done():
        server.drained()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("swallows", [0, 2])
def test_live_connection_blocked_send_close_raises_connection_ended(swallows: int) -> None:
    async def main() -> None:
        async with blocked(2) as (lasting, server, sending):
            server.swallows = swallows
            closing = asyncio.ensure_future(lasting.close("expired"))
            for each in sending:
                with pytest.raises(ConnectionEnded, match="no longer holds"):
                    await asyncio.wait_for(each, 10)
            assert server.taken == []
            assert not closing.done(), "the closing message is still kept back"
            server.drained()
            await closing
            assert server.taken == [{"type": "websocket.close", "code": CLOSE_CODE, "reason": "expired"}]

    run(main)


def test_live_connection_server_error_on_interrupt_connection_ended() -> None:
    async def main() -> None:
        async with blocked() as (lasting, server, sending):
            server.fails = True
            closing = asyncio.ensure_future(lasting.close("expired"))
            with pytest.raises(ConnectionEnded):
                await sending[0]
            closing.cancel()
            await turns()

    run(main)


def test_live_connection_blocked_send_cancelled_by_application_cancelled() -> None:
    async def main() -> None:
        async with blocked() as (lasting, server, sending):
            sending[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending[0]
            assert server.interrupted == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await lasting.send(DATA)
            assert server.taken == []

    run(main)


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_live_connection_outside_cancellation_during_close_cancelled(cancelled_first: bool) -> None:
    async def main() -> None:
        async with blocked() as (lasting, server, sending):
            if cancelled_first:
                sending[0].cancel()
            closing = asyncio.ensure_future(lasting.close("expired"))
            if not cancelled_first:
                asyncio.get_running_loop().call_soon(sending[0].cancel)
            with pytest.raises(asyncio.CancelledError):
                await sending[0]
            server.drained()
            await closing

    run(main)


def test_live_connection_send_unblocked_during_close_not_sent() -> None:
    async def main() -> None:
        async with blocked() as (lasting, server, sending):
            server.drained()
            await asyncio.sleep(0)  # the server is woken, and has not come to send
            await lasting.close("expired")
            with pytest.raises(ConnectionEnded):
                await sending[0]
            assert [each["type"] for each in server.taken] == ["websocket.close"]

    run(main)


def test_live_connection_blocked_send_without_close_result_or_error_kept() -> None:
    async def main() -> None:
        async with blocked() as (lasting, server, sending):
            server.drained()
            await sending[0]
            assert server.taken == [DATA]

        async def failing(message: Message) -> None:
            await asyncio.sleep(0)
            raise OSError("hung up")

        lasting = LiveConnection(verified(gate_at(Hand())), Line().receive, failing, websocket=True)
        with pytest.raises(OSError, match="hung up"):
            await lasting.send(DATA)

    run(main)


def test_live_connection_yielding_send_close_raises_connection_ended() -> None:
    async def main() -> None:
        async def yielding(message: Message) -> None:
            while True:  # noqa: ASYNC110 - the server that is meant here does just this
                await asyncio.sleep(0)

        lasting = LiveConnection(verified(gate_at(Hand())), Line().receive, yielding, websocket=True)
        sending = asyncio.ensure_future(lasting.send(DATA))
        await turns()
        closing = asyncio.ensure_future(lasting.close("expired"))
        with pytest.raises(ConnectionEnded):
            await asyncio.wait_for(sending, 10)
        closing.cancel()
        await turns()

    run(main)


def test_live_connection_non_coroutine_send_awaited() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        lasting = LiveConnection(verified(gate_at(Hand())), Line().receive, lambda _: waiting, websocket=True)
        sending = asyncio.ensure_future(lasting.send(DATA))
        await turns()
        waiting.set_result(None)
        await sending

    run(main)


def test_live_connection_send_coroutine_closed_server_send_closed() -> None:
    async def main() -> None:
        ended: list[str] = []

        async def waits(message: Message) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("ended")

        steps = LiveConnection(verified(gate_at(Hand())), Line().receive, waits, websocket=True).send(DATA)
        steps.send(None)
        steps.close()
        assert ended == ["ended"]

    run(main)


def test_live_connection_event_stream_blocked_start_connection_ended() -> None:
    async def main() -> None:
        server = Stuck()
        lasting = LiveConnection(verified(gate_at(Hand())), Line().receive, server, websocket=False)
        start = asyncio.ensure_future(lasting.send(SSE))
        await turns()
        closing = asyncio.ensure_future(lasting.close("expired"))
        with pytest.raises(ConnectionEnded):
            await start
        closing.cancel()
        await turns()

    run(main)


def test_live_connection_receive_and_send_create_no_task() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[object] = []

        def make(loop: asyncio.AbstractEventLoop, steps: Any, **settings: Any) -> asyncio.Task[Any]:
            made.append(steps)
            return asyncio.Task(steps, loop=loop, **settings)

        lasting, line = connection()
        loop.set_task_factory(make)
        for _ in range(3):
            loop.call_soon(line.incoming.put_nowait, {"type": "websocket.receive", "text": "a"})
            await lasting.receive()
            await lasting.send(DATA)
        loop.set_task_factory(None)
        assert made == []

    run(main)


# --- WSGI


class Chunks:
    """An application's iterable that knows whether it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def test_expiring_stream_expired_token_ends_before_next_chunk() -> None:
    clock = Hand.__new__(Hand)
    clock.now, clock.broken = NOW, False
    gate = gate_at(clock)
    chunks = Chunks(b"a", b"b", b"c")
    answer = ExpiringStream(gate, verified(gate), chunks, lambda: True)
    stream = iter(answer)
    assert next(stream) == b"a"
    clock.now = NOW + 60
    assert list(stream) == []
    answer.close()
    assert chunks.closed == 1


def test_expiring_stream_not_event_stream_passed_whole() -> None:
    clock = Hand()
    gate = gate_at(clock)
    answer = ExpiringStream(gate, verified(gate), [b"a", b"b"], lambda: False)
    clock.now = NOW + 60
    assert list(answer) == [b"a", b"b"]
    answer.close()


def test_expiring_stream_valid_token_passed_whole() -> None:
    gate = gate_of(acme())
    assert list(ExpiringStream(gate, verified(gate), [b"a", b"b"], lambda: True)) == [b"a", b"b"]


@pytest.mark.parametrize("taken", [0, 1])
def test_expiring_stream_closed_early_closes_iterable(taken: int) -> None:
    gate = gate_of(acme())
    chunks = Chunks(b"a", b"b")
    answer = ExpiringStream(gate, verified(gate), chunks, lambda: True)
    stream = iter(answer)
    for _ in range(taken):
        next(stream)
    answer.close()
    assert chunks.closed == 1
