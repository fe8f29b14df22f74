"""Bodies read ahead of the application and replayed whole to it: what ASGI's `receive` and WSGI's input give.

What is not looked into is never buffered: a body that is declared larger than the limit is left alone, and one that
turns out to be larger, or arrives too late, goes on from where the reading stopped.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from wicket.errors import WicketError
from wicket.messages.request import Body, too_large

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Message = MutableMapping[str, Any]

_PIECE: Final = 8_192
_AT_HAND: Final = 0.05
"""A blocking read that takes no longer than these seconds gave what had arrived already."""
_MESSAGES: Final = 4_096
_TURNS: Final = 64
"""How many turns of the event loop a body has after its time is over, to hand on the messages that are there: a server
takes them from its socket in one turn and gives them to `receive` a few turns later."""


def declared_length(text: str | None) -> int | None:
    """The Content-Length, if it is one (RFC 9110 section 8.6)."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else 10**18


class ASGIBody(Body):
    """An ASGI body. Give the application `receive` in place of the server's where `begun`.

    One task reads it, so that a message that is there costs no turn of the event loop. What counts is what has arrived:
    if the loop was busy, the deadline passes before the messages that are there can be taken.
    """

    def __init__(self, receive: Callable[[], Awaitable[Message]], length: int | None) -> None:
        self._receive = receive
        self.length = length
        self._ahead: deque[Message] = deque()
        self._reader: asyncio.Task[bytes | None] | None = None
        self._late = False

    @property
    def started(self) -> bool:
        """Whether anything was received that the application must have."""
        return bool(self._ahead) or self._reader is not None

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """All of it; None where it is larger or slower, or the client hangs up."""
        if self.length is not None and self.length > limit:
            self.unread = too_large(self.length, limit)
            return None
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise WicketError("a body must be read, and that needs asyncio: no other event loop can") from None
        reader = self._reader = asyncio.ensure_future(self._read(limit))
        try:
            await asyncio.wait({reader}, timeout=max(seconds, 0))
            for _ in range(_TURNS):
                if reader.done():
                    break
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            reader.cancel()
            raise
        if not reader.done():
            self._late = True  # the application waits for the message that is on its way
            self.unread = f"it did not arrive within {seconds:g} seconds (limits.body_timeout)"
            return None
        if reader.exception() is not None:
            self.unread = "it could not be received"
            return None  # the application hears what went wrong
        self._reader = None
        return reader.result()

    async def _read(self, limit: int) -> bytes | None:
        """Take messages until the body is complete, or one more after it is late; None where it is not complete."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            self._ahead.append(message)
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
            if len(self._ahead) > _MESSAGES:
                self.unread = f"it came in more than {_MESSAGES:,} pieces"
                return None

    async def receive(self) -> Message:
        """What the server's `receive` gives, from the beginning."""
        if not self._ahead and self._reader is not None:
            reader, self._reader = self._reader, None
            await reader
        return self._ahead.popleft() if self._ahead else await self._receive()

    def close(self) -> None:
        """Nobody waits any more."""
        if self._reader is not None and not self._reader.cancel() and not self._reader.cancelled():
            self._reader.exception()  # nobody wants to hear it


class WSGIBody(Body):
    """A WSGI body. Give the application `replayed()` in place of `wsgi.input` where `begun`.

    A read cannot be interrupted, and reading on another thread would leave two readers at one socket. So what drips
    holds its own thread, as it would hold the application's. Once the time is over, reading goes on only while each
    read gives at once what has arrived: the first one that has to wait is the last, unless it completes the body. A
    body of which neither the length nor an end is known is left alone.
    """

    def __init__(self, stream: Any, length: int | None, *, terminated: bool) -> None:
        self._stream = stream
        self.length = length
        self._terminated = terminated
        self._taken: list[bytes] = []
        self._ended = False
        self._error: Exception | None = None
        self.started = False

    def read(self, limit: int, seconds: float) -> bytes | None:
        """All of it; None where it is larger or slower, or cannot be read."""
        length = self.length
        if length is not None and length > limit:
            self.unread = too_large(length, limit)
            return None
        if length is None and not self._terminated:
            self.unframed = True
            self.unread = "it has no Content-Length, and the server does not mark its end (wsgi.input_terminated)"
            return None
        self.started = True
        wanted = length if length is not None else limit + 1
        until = time.monotonic() + seconds
        while wanted:
            started = time.monotonic()
            try:
                piece = self._stream.read(min(_PIECE, wanted))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the application's to hear
                self._error = error
                self.unread = "it could not be received"
                return None
            if not piece:
                self._ended = True
                break
            self._taken.append(piece)
            wanted -= len(piece)
            if wanted and started > until and time.monotonic() - started > _AT_HAND:
                self.unread = f"it did not arrive within {seconds:g} seconds (limits.body_timeout)"
                return None
        if wanted and length is not None:
            self.unread = "the client disconnected before it was complete"
            return None
        if not wanted and length is None:
            self.unread = f"it has more than {limit:,} bytes, which is what limits.max_body_bytes allows"
            return None
        self._ended = True
        return b"".join(self._taken)

    def replay(self) -> Any:
        """A stream that gives the body from the beginning."""
        start = b"".join(self._taken)
        if self._ended:
            return io.BytesIO(start)
        left = None if self.length is None else self.length - len(start)
        return io.BufferedReader(_ReplayStream(start, self._stream, left, self._error))


class _ReplayStream(io.RawIOBase):
    """What was taken already, and then what is still to come, `left` bytes at the most."""

    def __init__(self, start: bytes, stream: Any, left: int | None, error: Exception | None) -> None:
        self._start = memoryview(start)
        self._stream = stream
        self._left = left
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` from what was taken, or with one read of what is to come."""
        target = memoryview(buffer).cast("B")
        if self._start:
            piece: Any = self._start[: len(target)]
            self._start = self._start[len(piece) :]
        elif self._error is not None:
            raise self._error
        else:
            # Not a byte past the declared length: a server need not end its input there, and would wait for more.
            piece = self._stream.read(len(target) if self._left is None else min(len(target), self._left))
            self._left = None if self._left is None else self._left - len(piece)
        target[: len(piece)] = piece
        return len(piece)
