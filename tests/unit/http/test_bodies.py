"""Bodies read ahead of the application, and how they reach it whole."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tests.support.clients import finished
from wicket import WicketError
from wicket.http.bodies import ASGIBody, Message, WSGIBody, declared_length

LONG = 60.0
"""More seconds than any test takes."""


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


# --- ASGI


def part(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Client:
    """The server's side of `receive`: what was put in comes out, and nothing until then."""

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
        assert client.queue.qsize() == 1, "what follows is not buffered"
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
    """A6: the time is over before the loop can take what has arrived."""

    async def main() -> None:
        client = Client()
        body = ASGIBody(client.receive, None)
        reading = asyncio.ensure_future(body.aread(10, 0))
        await asyncio.sleep(0)  # the reader waits, and the time is over
        for index in range(pieces):
            client.queue.put_nowait(part(b"x", index + 1 < pieces))
        assert await reading == b"x" * pieces
        assert await all_of(body.receive) == b"x" * pieces

    run(main)


def test_asgi_body_many_available_messages_single_task() -> None:
    """S9: a client that cuts its body into very many pieces causes no task for each."""

    async def main() -> None:
        client = Client(*[part(b"x", True)] * 4000, part(b"y"))
        made: list[object] = []
        loop = asyncio.get_running_loop()

        def task(loop: asyncio.AbstractEventLoop, work: Any, **settings: Any) -> Any:
            made.append(work)
            return asyncio.Task(work, loop=loop)

        loop.set_task_factory(task)
        body = ASGIBody(client.receive, None)
        assert await body.aread(10_000, LONG) == b"x" * 4000 + b"y"
        assert len(made) == 1

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

        for heard in (True, False):
            fails.clear()
            body = ASGIBody(broken, None)
            assert await body.aread(10, 0) is None
            fails.set()
            if heard:
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
    """What cannot be read carries no token; whether that is an error is for whoever wants the body."""

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


# --- WSGI


class Wire(io.RawIOBase):
    """A socket with so many bytes: to read beyond them would wait for ever, which no test shall."""

    def __init__(self, data: bytes, *, most: int = 1 << 20, ends: bool = False) -> None:
        self.data = data
        self.most = most
        self.ends = ends

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        if not self.ends and (size < 0 or size > len(self.data)):
            raise AssertionError(f"waits for {size} bytes, and {len(self.data)} are to come")
        size = min(size, self.most)
        piece, self.data = self.data[:size], self.data[size:]
        return piece


@pytest.mark.parametrize("most", [1, 7, 8192, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 65_536])
def test_wsgi_body_declared_length_read_exactly_and_replayed(size: int, most: int) -> None:
    data = bytes(index % 251 for index in range(size))
    body = WSGIBody(Wire(data, most=most), size, terminated=False)
    assert not body.started
    assert body.read(65_536, LONG) == data
    assert body.started
    assert body.replay().read() == data


def test_wsgi_body_declared_too_large_not_read() -> None:
    body = WSGIBody(Wire(b""), 11, terminated=True)
    assert body.read(10, LONG) is None
    assert not body.started


@pytest.mark.parametrize("size", [0, 9, 10])
def test_wsgi_body_no_length_terminated_read_to_end(size: int) -> None:
    body = WSGIBody(Wire(b"x" * size, ends=True), None, terminated=True)
    assert body.read(10, LONG) == b"x" * size
    assert body.replay().read() == b"x" * size


@pytest.mark.parametrize("size", [11, 12, 50_000])
def test_wsgi_body_no_length_too_large_replay_complete(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    wire = Wire(data, ends=True)
    body = WSGIBody(wire, None, terminated=True)
    assert body.read(10, LONG) is None
    assert len(wire.data) == size - 11, "what follows is not buffered"
    assert body.replay().read() == data


def test_wsgi_body_replay_readable_as_file() -> None:
    body = WSGIBody(Wire(b"one\ntwo\nthree", ends=True), None, terminated=True)
    assert body.read(5, LONG) is None
    stream = body.replay()
    assert stream.readable()
    assert stream.readline() == b"one\n"
    assert list(stream) == [b"two\n", b"three"]
    assert stream.read() == b""


class Slow(Wire):
    """A socket on which each read waits for one second of a clock of its own, or as long as is said for one of them."""

    def __init__(self, data: bytes, *, waits: dict[int, float] | None = None, **settings: Any) -> None:
        super().__init__(data, **settings)
        self.waits = waits
        self.time = 0.0
        self.reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.time += 1.0 if self.waits is None else self.waits.get(self.reads, 0.0)
        self.reads += 1
        return super().read(size)


@pytest.fixture
def on_its_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Slow], None]:
    def use(wire: Slow) -> None:
        monkeypatch.setattr("wicket.http.bodies.time.monotonic", lambda: wire.time)

    return use


@pytest.mark.parametrize("size", [40_000, 32_768, 24_577])
def test_wsgi_body_slow_client_timeout_replay_complete(size: int, on_its_clock: Callable[[Slow], None]) -> None:
    """Where the server does not end the stream at the length, one byte too many waits until the client hangs up."""
    data = bytes(index % 251 for index in range(size))
    wire = Slow(data)
    on_its_clock(wire)
    body = WSGIBody(wire, size, terminated=False)
    assert body.read(65_536, 1.5) is None
    assert wire.reads == 3, "the first read that begins after the end and has to wait is the last"
    assert body.unread == "it did not arrive within 1.5 seconds (limits.body_timeout)"
    stream = body.replay()
    assert stream.read(100) + stream.read(size - 100) == data


@pytest.mark.parametrize("stalled", [0, 1, 2, 3])
def test_wsgi_body_one_slow_read_available_body_read(stalled: int, on_its_clock: Callable[[Slow], None]) -> None:
    """A6: one read takes long since another thread of ours held the interpreter; all the rest is there."""
    data = bytes(index % 251 for index in range(30_000))
    wire = Slow(data, waits={stalled: 100.0})
    on_its_clock(wire)
    body = WSGIBody(wire, len(data), terminated=False)
    assert body.read(65_536, 5) == data
    assert body.replay().read() == data


def test_wsgi_body_complete_after_timeout_read() -> None:
    """A6: what is complete is not late, whatever the clock says."""
    body = WSGIBody(Wire(b"abc"), 3, terminated=False)
    assert body.read(10, -1) == b"abc"
    assert body.replay().read() == b"abc"
    endless = WSGIBody(Wire(b"abc", ends=True), None, terminated=True)
    assert endless.read(10, -1) == b"abc"
    assert endless.replay().read() == b"abc"


def test_wsgi_body_client_disconnect_unread_and_partial_replay() -> None:
    body = WSGIBody(Wire(b"ab", ends=True), 4, terminated=False)
    assert body.read(10, LONG) is None, "as under ASGI: a part of a body is no body"
    assert body.unread == "the client disconnected before it was complete"
    assert body.replay().read() == b"ab"


def test_wsgi_body_no_length_not_terminated_not_read() -> None:
    """Without a length, and where the server does not end the stream, only the application may know how to read it."""
    wire = Wire(b"chunks that only the application can read")
    body = WSGIBody(wire, None, terminated=False)
    assert not body.read(100, LONG)
    assert not body.started
    assert len(wire.data) == 41


def test_wsgi_body_stream_error_raised_on_replay() -> None:
    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError("the client is gone")

    body = WSGIBody(Broken(), 10, terminated=False)
    assert body.read(100, LONG) is None
    with pytest.raises(OSError, match="the client is gone"):
        body.replay().read()


def test_wsgi_body_async_read_wicket_error() -> None:
    with pytest.raises(WicketError, match="use decide"):
        finished(WSGIBody(Wire(b""), 0, terminated=False).aread(10, 1))
