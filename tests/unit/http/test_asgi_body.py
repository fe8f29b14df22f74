"""ASGI request bodies that the gate reads, and their replay to the application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tests.support.clients import finished
from wicket import WicketError
from wicket.http.asgi_types import Message
from wicket.http.bodies import ASGIBody, declared_length

LONG = 60.0
"""A timeout in seconds that no test reaches."""


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("17", 17),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, 10**18),
        ("9" * 5000, 10**18),
        ("0" * 30 + "7", 7),
        (None, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
    ],
)
def test_declared_length_digits_value_otherwise_none(text: str | None, length: int | None) -> None:
    assert declared_length(text) == length


@pytest.mark.parametrize("text", ["1_0", " 1", "1,1", "５", "²", "0x10"])
def test_declared_length_other_number_format_none(text: str) -> None:
    assert declared_length(text) is None


def part(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """The server's `receive`: it returns the queued messages, and waits if there are none."""

    def __init__(self, *messages: Message) -> None:
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        self.cancelled = 0
        for message in messages:
            self.queue.put_nowait(message)

    async def receive(self) -> Message:
        try:
            return await self.queue.get()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


async def all_of(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body + b"|gone")
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def test_asgi_body_several_messages_read_whole_and_replayed() -> None:
    async def main() -> None:
        messages = [part(b"ab", True), part(b"", True), {"type": "http.request", "more_body": True}, part(b"c")]
        client = Client(*messages, {"type": "http.disconnect"})
        body = ASGIBody(client.receive, None)
        assert not body.started
        assert await body.aread(3, LONG) == b"abc"
        assert body.started
        assert [await body.receive() for _ in messages] == messages
        assert (await body.receive())["type"] == "http.disconnect"
        body.close()

    run(main)


def test_asgi_body_last_message_without_more_body_complete() -> None:
    async def main() -> None:
        assert await ASGIBody(Client({"type": "http.request", "body": b"x"}).receive, 1).aread(1, LONG) == b"x"
        assert await ASGIBody(Client({"type": "http.request"}).receive, None).aread(1, LONG) == b""

    run(main)


def test_asgi_body_declared_too_large_not_read() -> None:
    async def never() -> Message:
        raise AssertionError("nothing may be read")

    body = ASGIBody(never, 4)
    assert finished(body.aread(3, LONG)) is None
    assert not body.started


def test_asgi_body_too_large_while_reading_replay_complete() -> None:
    async def main() -> None:
        client = Client(part(b"ab", True), part(b"cd", True), part(b"ef"))
        body = ASGIBody(client.receive, None)
        assert await body.aread(3, LONG) is None
        assert client.queue.qsize() == 1, "the rest is not buffered"
        assert await all_of(body.receive) == b"abcdef"

    run(main)


def test_asgi_body_timeout_replay_complete() -> None:
    async def main() -> None:
        client = Client(part(b"ab", True))
        body = ASGIBody(client.receive, 4)
        assert await body.aread(10, 0.01) is None
        assert body.started
        rest = asyncio.ensure_future(all_of(body.receive))
        await client.queue.put(part(b"cd", True))
        await client.queue.put(part(b"ef"))
        assert await rest == b"abcdef"
        assert client.cancelled == 0
        body.close()

    run(main)


@pytest.mark.parametrize("pieces", [1, 3])
def test_asgi_body_available_messages_after_timeout_read(pieces: int) -> None:
    """A6: the deadline passes before the event loop can deliver messages that have arrived."""

    async def main() -> None:
        client = Client()
        body = ASGIBody(client.receive, None)
        reading = asyncio.ensure_future(body.aread(10, 0))
        await asyncio.sleep(0)  # the reader waits, and the deadline has passed
        for index in range(pieces):
            client.queue.put_nowait(part(b"x", index + 1 < pieces))
        assert await reading == b"x" * pieces
        assert await all_of(body.receive) == b"x" * pieces

    run(main)


def test_asgi_body_many_available_messages_single_task() -> None:
    """S9: a body in very many pieces does not create one task per piece."""

    async def main() -> None:
        client = Client(*[part(b"x", True)] * 4000, part(b"y"))
        created: list[object] = []
        loop = asyncio.get_running_loop()

        def task(loop: asyncio.AbstractEventLoop, work: Any, **settings: Any) -> Any:
            created.append(work)
            return asyncio.Task(work, loop=loop)

        loop.set_task_factory(task)
        body = ASGIBody(client.receive, None)
        assert await body.aread(10_000, LONG) == b"x" * 4000 + b"y"
        assert len(created) == 1

    run(main)


def test_asgi_body_too_many_pieces_unread_and_replay_complete() -> None:
    async def main() -> None:
        client = Client(*[part(b"", True)] * 5000, part(b"y"))
        body = ASGIBody(client.receive, None)
        assert await body.aread(10, LONG) is None
        assert body.unread == "it came in more than 4,096 pieces"
        assert client.queue.qsize() == 904
        assert await all_of(body.receive) == b"y"

    run(main)


def test_asgi_body_receive_error_after_timeout_raised_only_on_receive() -> None:
    async def main() -> None:
        fails = asyncio.Event()

        async def broken() -> Message:
            await fails.wait()
            raise OSError("the client is gone")

        for received in (True, False):
            fails.clear()
            body = ASGIBody(broken, None)
            assert await body.aread(10, 0) is None
            fails.set()
            if received:
                with pytest.raises(OSError, match="the client is gone"):
                    await body.receive()
            for _ in range(3):
                await asyncio.sleep(0)
            body.close()

    run(main)


def test_asgi_body_client_disconnect_unread_and_replayed() -> None:
    async def main() -> None:
        body = ASGIBody(Client(part(b"ab", True), {"type": "http.disconnect"}).receive, None)
        assert await body.aread(10, LONG) is None
        assert await all_of(body.receive) == b"ab|gone"

    run(main)


def test_asgi_body_close_cancels_pending_receive() -> None:
    async def main() -> None:
        client = Client()
        body = ASGIBody(client.receive, None)
        assert await body.aread(10, 0) is None
        body.close()
        await asyncio.sleep(0)
        assert client.cancelled == 1

    run(main)


def test_asgi_body_cancelled_read_cancels_pending_receive() -> None:
    async def main() -> None:
        client = Client()
        body = ASGIBody(client.receive, None)
        reading = asyncio.ensure_future(body.aread(10, LONG))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.sleep(0)
        assert client.cancelled == 1

    run(main)


def test_asgi_body_receive_error_raised_only_to_application() -> None:
    """A body that cannot be read carries no token. The application decides whether that is an error."""

    async def main() -> None:
        async def broken() -> Message:
            raise OSError("the client is gone")

        body = ASGIBody(broken, None)
        assert await body.aread(10, LONG) is None
        with pytest.raises(OSError, match="the client is gone"):
            await body.receive()

    run(main)


def test_asgi_body_outside_asyncio_wicket_error() -> None:
    body = ASGIBody(Client().receive, None)
    with pytest.raises(WicketError, match="asyncio"):
        finished(body.aread(10, 1))
    with pytest.raises(WicketError, match="adecide"):
        body.read(10, 1)
