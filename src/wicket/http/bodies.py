"""Read a request body before the application runs, and replay all of it to the application.

The body comes from ASGI's `receive` or from WSGI's `wsgi.input`. A body that the gate does not need is never buffered.
A body whose declared length is over the limit is not read. If a body turns out to be larger, or arrives too late, the
application continues from the point where reading stopped.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from wicket.errors import WicketError
from wicket.http.asgi_types import Message, Receive
from wicket.messages.request import Body, too_large

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_SIZE: Final = 8_192
"""The largest blocking read, in bytes."""
_IMMEDIATE_READ: Final = 0.05
"""The longest duration, in seconds, of a blocking read that returns only data that had already arrived."""
_MAX_MESSAGES: Final = 4_096
_GRACE_ITERATIONS: Final = 64
"""The number of event loop iterations that a body has after its deadline, to deliver messages that have arrived.

A server takes messages from its socket in one iteration and passes them to `receive` a few iterations later.
"""


def declared_length(value: str | None) -> int | None:
    """Parse a Content-Length header (RFC 9110 section 8.6).

    Args:
        value: The header value, or None if there is no header.

    Returns:
        The length in bytes, or None if the value is absent or invalid. A number with more than 18 digits is 10**18.
    """
    if value is None or not value.isascii() or not value.isdigit():
        return None
    digits = value.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else 10**18


class ASGIBody(Body):
    """An ASGI request body.

    If `started` is true, the application must get `receive` of this object in place of the server's `receive`.

    One task reads the body, so all messages that are available cost one iteration of the event loop. The deadline
    limits the arrival of messages. If the loop is busy, the deadline can pass while messages that have arrived are not
    read yet, so reading continues for a few iterations.

    Args:
        receive: The server's `receive`.
        length: The declared length in bytes, or None.
    """

    def __init__(self, receive: Receive, length: int | None) -> None:
        self._receive = receive
        self.length = length
        self._replayed: deque[Message] = deque()
        self._reader: asyncio.Task[bytes | None] | None = None
        self._late = False

    @property
    def started(self) -> bool:
        """Whether a message was received that the application needs, or is being received."""
        return bool(self._replayed) or self._reader is not None

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """Read the body.

        Args:
            limit: The largest accepted size, in bytes.
            seconds: The deadline, in seconds from now.

        Returns:
            The body, or None if it is larger, arrives later, or the client disconnects. `unread` then has the reason.

        Raises:
            WicketError: If the running event loop is not asyncio's.
        """
        if self.length is not None and self.length > limit:
            self.unread = too_large(self.length, limit)
            return None
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise WicketError("reading a request body needs asyncio; other event loops are not supported") from None
        reader = self._reader = asyncio.ensure_future(self._read(limit))
        try:
            await asyncio.sleep(0)  # the reader runs in this iteration, and ends if the whole body has arrived
            if not reader.done():
                await asyncio.wait({reader}, timeout=max(seconds, 0))
            for _ in range(_GRACE_ITERATIONS):
                if reader.done():
                    break
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            reader.cancel()
            raise
        if not reader.done():
            self._late = True  # the application waits for the pending message
            self.unread = f"it did not arrive within {seconds:g} seconds (limits.body_timeout)"
            return None
        if reader.exception() is not None:
            self.unread = "it could not be received"
            return None  # `receive` raises the exception in the application
        self._reader = None
        return reader.result()

    async def _read(self, limit: int) -> bytes | None:
        """Receive messages until the body is complete. Return None if it is incomplete.

        Once the body is late, the reader stops after the pending message.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            self._replayed.append(message)
            if message["type"] != "http.request":
                self.unread = "the client disconnected before it was complete"
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                self.unread = f"it has more than {limit:,} bytes, which is what limits.max_body_bytes allows"
                return None
            if not message.get("more_body", False):
                return b"".join(parts)
            if self._late:
                return None
            if len(self._replayed) > _MAX_MESSAGES:
                self.unread = f"it came in more than {_MAX_MESSAGES:,} pieces"
                return None

    async def receive(self) -> Message:
        """Return the messages of the server's `receive` from the first one."""
        if not self._replayed and self._reader is not None:
            reader, self._reader = self._reader, None
            await reader
        return self._replayed.popleft() if self._replayed else await self._receive()

    def close(self) -> None:
        """Cancel the reader. Call this when the request has ended."""
        if self._reader is not None and not self._reader.cancel() and not self._reader.cancelled():
            self._reader.exception()  # retrieve the exception, so that asyncio does not log it


class WSGIBody(Body):
    """A WSGI request body.

    If `started` is true, the application must get `replay()` in place of `wsgi.input`.

    A blocking read cannot be interrupted. A read on another thread would leave two readers on one socket. So a slow
    client blocks the request's thread, as it would block the application's. After the deadline, reading continues
    only while each read returns data that has already arrived. The first read that has to wait is the last one, unless
    it completes the body. A body with no declared length and no marked end is not read.

    Args:
        stream: The server's `wsgi.input`.
        length: The declared length in bytes, or None.
        terminated: Whether the server marks the end of the stream (`wsgi.input_terminated`).
    """

    def __init__(self, stream: Any, length: int | None, *, terminated: bool) -> None:
        self._stream = stream
        self.length = length
        self._terminated = terminated
        self._chunks: list[bytes] = []
        self._ended = False
        self._error: Exception | None = None
        self.started = False

    def read(self, limit: int, seconds: float) -> bytes | None:
        """Read the body.

        Args:
            limit: The largest accepted size, in bytes.
            seconds: The deadline, in seconds from now.

        Returns:
            The body, or None if it is larger, arrives later, or cannot be read. `unread` then has the reason.
        """
        length = self.length
        if length is not None and length > limit:
            self.unread = too_large(length, limit)
            return None
        if length is None and not self._terminated:
            self.unframed = True
            self.unread = "it has no Content-Length, and the server does not mark its end (wsgi.input_terminated)"
            return None
        self.started = True
        remaining = length if length is not None else limit + 1
        deadline = time.monotonic() + seconds
        while remaining:
            read_at = time.monotonic()
            try:
                chunk = self._stream.read(min(_CHUNK_SIZE, remaining))
            except Exception as error:  # noqa: BLE001 - the server's exception is raised in the application
                self._error = error
                self.unread = "it could not be received"
                return None
            if not chunk:
                self._ended = True
                break
            self._chunks.append(chunk)
            remaining -= len(chunk)
            if remaining and read_at > deadline and time.monotonic() - read_at > _IMMEDIATE_READ:
                self.unread = f"it did not arrive within {seconds:g} seconds (limits.body_timeout)"
                return None
        if remaining and length is not None:
            self.unread = "the client disconnected before it was complete"
            return None
        if not remaining and length is None:
            self.unread = f"it has more than {limit:,} bytes, which is what limits.max_body_bytes allows"
            return None
        self._ended = True
        return b"".join(self._chunks)

    def replay(self) -> Any:
        """Return a stream of the body from its first byte."""
        start = b"".join(self._chunks)
        if self._ended:
            return io.BytesIO(start)
        remaining = None if self.length is None else self.length - len(start)
        return io.BufferedReader(_ReplayStream(start, self._stream, remaining, self._error))


class _ReplayStream(io.RawIOBase):
    """The bytes that were read, followed by at most `remaining` bytes of the server's stream.

    If `error` is set, it is raised after the bytes that were read.
    """

    def __init__(self, start: bytes, stream: Any, remaining: int | None, error: Exception | None) -> None:
        self._start = memoryview(start)
        self._stream = stream
        self._remaining = remaining
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` from the bytes that were read, or with one read of the server's stream."""
        target = memoryview(buffer).cast("B")
        if self._start:
            chunk: Any = self._start[: len(target)]
            self._start = self._start[len(chunk) :]
        elif self._error is not None:
            raise self._error
        else:
            # Never read past the declared length: the server need not end its input there, and the read would block.
            size = len(target) if self._remaining is None else min(len(target), self._remaining)
            chunk = self._stream.read(size)
            self._remaining = None if self._remaining is None else self._remaining - len(chunk)
        target[: len(chunk)] = chunk
        return len(chunk)
