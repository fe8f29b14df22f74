"""Long-lived connections whose server blocks in `send`: closing ends pending calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.http.connections import BlockedSend, FakeServer, FaultyClock, gate_at, run, verified
from wicket.http.asgi_types import Message
from wicket.http.long_lived import ConnectionEnded, LiveConnection

SSE: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"x-own", b"1"), (b"Content-Type", b"Text/Event-Stream; charset=utf-8")],
}
DATA: Message = {"type": "websocket.send", "text": "a"}


@contextlib.asynccontextmanager
async def blocked(count: int = 1) -> AsyncIterator[tuple[LiveConnection, BlockedSend, list[asyncio.Task[None]]]]:
    """Yield a WebSocket with `count` tasks that are blocked in `send`."""
    server = BlockedSend()
    live = LiveConnection(verified(gate_at(FaultyClock())), FakeServer().receive, server, websocket=True)
    sending = [asyncio.ensure_future(live.send(DATA)) for _ in range(count)]
    await iterate_loop()
    assert not any(task.done() for task in sending)
    yield live, server, sending
    if not server.writable.done():
        server.unblock()


async def iterate_loop(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("swallows", [0, 2])
def test_live_connection_blocked_send_close_raises_connection_ended(swallows: int) -> None:
    async def main() -> None:
        async with blocked(2) as (live, server, sending):
            server.swallows = swallows
            closing = asyncio.ensure_future(live.close(4401, "expired"))
            for task in sending:
                with pytest.raises(ConnectionEnded, match="no longer valid"):
                    await asyncio.wait_for(task, 10)
            assert server.delivered == []
            assert not closing.done(), "the closing message is still blocked"
            server.unblock()
            await closing
            assert server.delivered == [{"type": "websocket.close", "code": 4401, "reason": "expired"}]

    run(main)


def test_live_connection_server_error_on_interrupt_connection_ended() -> None:
    async def main() -> None:
        async with blocked() as (live, server, sending):
            server.fails = True
            closing = asyncio.ensure_future(live.close(4401, "expired"))
            with pytest.raises(ConnectionEnded):
                await sending[0]
            closing.cancel()
            await iterate_loop()

    run(main)


def test_live_connection_blocked_send_cancelled_by_application_cancelled() -> None:
    async def main() -> None:
        async with blocked() as (live, server, sending):
            sending[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending[0]
            assert server.interrupted == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await live.send(DATA)
            assert server.delivered == []

    run(main)


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_live_connection_outside_cancellation_during_close_cancelled(cancelled_first: bool) -> None:
    async def main() -> None:
        async with blocked() as (live, server, sending):
            if cancelled_first:
                sending[0].cancel()
            closing = asyncio.ensure_future(live.close(4401, "expired"))
            if not cancelled_first:
                asyncio.get_running_loop().call_soon(sending[0].cancel)
            with pytest.raises(asyncio.CancelledError):
                await sending[0]
            server.unblock()
            await closing

    run(main)


def test_live_connection_send_unblocked_during_close_not_sent() -> None:
    async def main() -> None:
        async with blocked() as (live, server, sending):
            server.unblock()
            await asyncio.sleep(0)  # the server has been resumed, and has not sent yet
            await live.close(4401, "expired")
            with pytest.raises(ConnectionEnded):
                await sending[0]
            assert [message["type"] for message in server.delivered] == ["websocket.close"]

    run(main)


def test_live_connection_blocked_send_without_close_result_or_error_kept() -> None:
    async def main() -> None:
        async with blocked() as (live, server, sending):
            server.unblock()
            await sending[0]
            assert server.delivered == [DATA]

        async def failing(message: Message) -> None:
            await asyncio.sleep(0)
            raise OSError("hung up")

        live = LiveConnection(verified(gate_at(FaultyClock())), FakeServer().receive, failing, websocket=True)
        with pytest.raises(OSError, match="hung up"):
            await live.send(DATA)

    run(main)


def test_live_connection_yielding_send_close_raises_connection_ended() -> None:
    async def main() -> None:
        async def yielding(message: Message) -> None:
            while True:  # noqa: ASYNC110 - this test needs a server that polls
                await asyncio.sleep(0)

        live = LiveConnection(verified(gate_at(FaultyClock())), FakeServer().receive, yielding, websocket=True)
        sending = asyncio.ensure_future(live.send(DATA))
        await iterate_loop()
        closing = asyncio.ensure_future(live.close(4401, "expired"))
        with pytest.raises(ConnectionEnded):
            await asyncio.wait_for(sending, 10)
        closing.cancel()
        await iterate_loop()

    run(main)


def test_live_connection_non_coroutine_send_awaited() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pending: asyncio.Future[None] = loop.create_future()
        live = LiveConnection(verified(gate_at(FaultyClock())), FakeServer().receive, lambda _: pending, websocket=True)
        sending = asyncio.ensure_future(live.send(DATA))
        await iterate_loop()
        pending.set_result(None)
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

        coroutine = LiveConnection(verified(gate_at(FaultyClock())), FakeServer().receive, waits, websocket=True).send(
            DATA
        )
        coroutine.send(None)
        coroutine.close()
        assert ended == ["ended"]

    run(main)


def test_live_connection_event_stream_blocked_start_connection_ended() -> None:
    async def main() -> None:
        server = BlockedSend()
        live = LiveConnection(verified(gate_at(FaultyClock())), FakeServer().receive, server, websocket=False)
        start = asyncio.ensure_future(live.send(SSE))
        await iterate_loop()
        closing = asyncio.ensure_future(live.close(4401, "expired"))
        with pytest.raises(ConnectionEnded):
            await start
        closing.cancel()
        await iterate_loop()

    run(main)


def connection(*, websocket: bool = True) -> tuple[LiveConnection, FakeServer]:
    server = FakeServer()
    return LiveConnection(verified(gate_at(FaultyClock())), server.receive, server.send, websocket=websocket), server


def test_live_connection_receive_and_send_create_no_task() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        created: list[object] = []

        def create_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> asyncio.Task[Any]:
            created.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **settings)

        live, server = connection()
        loop.set_task_factory(create_task)
        for _ in range(3):
            loop.call_soon(server.incoming.put_nowait, {"type": "websocket.receive", "text": "a"})
            await live.receive()
            await live.send(DATA)
        loop.set_task_factory(None)
        assert created == []

    run(main)
