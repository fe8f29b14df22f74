"""WSGI request bodies that the gate reads, and their replay to the application."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.clients import finished
from wicket import WicketError
from wicket.http.bodies import WSGIBody

LONG = 60.0
"""A timeout in seconds that no test reaches."""


class Socket(io.RawIOBase):
    """A socket that holds `data`. A read beyond it would block for ever, so it fails the test."""

    def __init__(self, data: bytes, *, max_read: int = 1 << 20, terminated: bool = False) -> None:
        self.data = data
        self.max_read = max_read
        self.terminated = terminated

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        if not self.terminated and (size < 0 or size > len(self.data)):
            raise AssertionError(f"blocks: {size} bytes requested, {len(self.data)} available")
        size = min(size, self.max_read)
        chunk, self.data = self.data[:size], self.data[size:]
        return chunk


@pytest.mark.parametrize("max_read", [1, 7, 8192, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 65_536])
def test_wsgi_body_declared_length_read_exactly_and_replayed(size: int, max_read: int) -> None:
    data = bytes(index % 251 for index in range(size))
    body = WSGIBody(Socket(data, max_read=max_read), size, terminated=False)
    assert not body.started
    assert body.read(65_536, LONG) == data
    assert body.started
    assert body.replay().read() == data


def test_wsgi_body_declared_too_large_not_read() -> None:
    body = WSGIBody(Socket(b""), 11, terminated=True)
    assert body.read(10, LONG) is None
    assert not body.started


@pytest.mark.parametrize("size", [0, 9, 10])
def test_wsgi_body_no_length_terminated_read_to_end(size: int) -> None:
    body = WSGIBody(Socket(b"x" * size, terminated=True), None, terminated=True)
    assert body.read(10, LONG) == b"x" * size
    assert body.replay().read() == b"x" * size


@pytest.mark.parametrize("size", [11, 12, 50_000])
def test_wsgi_body_no_length_too_large_replay_complete(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    socket = Socket(data, terminated=True)
    body = WSGIBody(socket, None, terminated=True)
    assert body.read(10, LONG) is None
    assert len(socket.data) == size - 11, "the rest is not buffered"
    assert body.replay().read() == data


def test_wsgi_body_replay_readable_as_file() -> None:
    body = WSGIBody(Socket(b"one\ntwo\nthree", terminated=True), None, terminated=True)
    assert body.read(5, LONG) is None
    stream = body.replay()
    assert stream.readable()
    assert stream.readline() == b"one\n"
    assert list(stream) == [b"two\n", b"three"]
    assert stream.read() == b""


class SlowSocket(Socket):
    """A socket with its own clock. A read takes one second, or the duration in `waits` by its number, otherwise 0."""

    def __init__(self, data: bytes, *, waits: dict[int, float] | None = None, **settings: Any) -> None:
        super().__init__(data, **settings)
        self.waits = waits
        self.time = 0.0
        self.reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.time += 1.0 if self.waits is None else self.waits.get(self.reads, 0.0)
        self.reads += 1
        return super().read(size)


UseClock = Callable[[SlowSocket], None]


@pytest.fixture
def use_socket_clock(monkeypatch: pytest.MonkeyPatch) -> UseClock:
    def use(socket: SlowSocket) -> None:
        monkeypatch.setattr("wicket.http.bodies.time.monotonic", lambda: socket.time)

    return use


@pytest.mark.parametrize("size", [40_000, 32_768, 24_577])
def test_wsgi_body_slow_client_timeout_replay_complete(size: int, use_socket_clock: UseClock) -> None:
    """If the server does not end the stream at the declared length, reading one byte more blocks."""
    data = bytes(index % 251 for index in range(size))
    socket = SlowSocket(data)
    use_socket_clock(socket)
    body = WSGIBody(socket, size, terminated=False)
    assert body.read(65_536, 1.5) is None
    assert socket.reads == 3, "the first read that starts after the deadline and has to wait is the last"
    assert body.unread == "it did not arrive within 1.5 seconds (limits.body_timeout)"
    stream = body.replay()
    assert stream.read(100) + stream.read(size - 100) == data


@pytest.mark.parametrize("stalled", [0, 1, 2, 3])
def test_wsgi_body_one_slow_read_available_body_read(stalled: int, use_socket_clock: UseClock) -> None:
    """A6: one read takes long because another thread held the interpreter; the rest has arrived."""
    data = bytes(index % 251 for index in range(30_000))
    socket = SlowSocket(data, waits={stalled: 100.0})
    use_socket_clock(socket)
    body = WSGIBody(socket, len(data), terminated=False)
    assert body.read(65_536, 5) == data
    assert body.replay().read() == data


def test_wsgi_body_complete_after_timeout_read() -> None:
    """A6: a complete body is never late."""
    body = WSGIBody(Socket(b"abc"), 3, terminated=False)
    assert body.read(10, -1) == b"abc"
    assert body.replay().read() == b"abc"
    endless = WSGIBody(Socket(b"abc", terminated=True), None, terminated=True)
    assert endless.read(10, -1) == b"abc"
    assert endless.replay().read() == b"abc"


def test_wsgi_body_client_disconnect_unread_and_partial_replay() -> None:
    body = WSGIBody(Socket(b"ab", terminated=True), 4, terminated=False)
    assert body.read(10, LONG) is None, "as in ASGI, an incomplete body is not returned"
    assert body.unread == "the client disconnected before it was complete"
    assert body.replay().read() == b"ab"


def test_wsgi_body_no_length_not_terminated_not_read() -> None:
    """Without a length and without a marked end, only the application may know how to read the body."""
    socket = Socket(b"chunks that only the application can read")
    body = WSGIBody(socket, None, terminated=False)
    assert not body.read(100, LONG)
    assert not body.started
    assert len(socket.data) == 41


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
        finished(WSGIBody(Socket(b""), 0, terminated=False).aread(10, 1))
