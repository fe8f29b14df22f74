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
from wicket.request import Body

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Message = MutableMapping[str, Any]

_PIECE: Final = 8_192
_MESSAGES: Final = 4_096


def declared_length(text: str | None) -> int | None:
    """The Content-Length, if it is one (RFC 9110 section 8.6)."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else 10**18


class ReceivedBody(Body):
    """An ASGI body. Give the application `receive` in place of the server's where `begun`."""

    __slots__ = ("_ahead", "_length", "_pending", "_receive")

    def __init__(self, receive: Callable[[], Awaitable[Message]], length: int | None) -> None:
        self._receive = receive
        self._length = length
        self._ahead: deque[Message] = deque()
        self._pending: asyncio.Future[Message] | None = None

    @property
    def begun(self) -> bool:
        """Whether anything was received that the application must have."""
        return bool(self._ahead) or self._pending is not None

    async def aread(self, limit: int, seconds: float) -> bytes | None:
        """All of it; None where it is larger or slower, or the client hangs up."""
        if self._length is not None and self._length > limit:
            return None
        try:
            until = asyncio.get_running_loop().time() + seconds
        except RuntimeError:
            raise WicketError("a body must be read, and that needs asyncio: no other event loop can") from None
        parts: list[bytes] = []
        size = 0
        while (message := await self._next(until)) is not None:
            self._ahead.append(message)
            late = asyncio.get_running_loop().time() > until or len(self._ahead) > _MESSAGES
            if message["type"] != "http.request" or late:
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)
        return None

    async def _next(self, until: float) -> Message | None:
        """The next message; None where it does not arrive in time: it is waited for, and not lost."""
        task = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait({task}, timeout=max(until - asyncio.get_running_loop().time(), 0))
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.done() and task.exception() is None:
            return task.result()
        self._pending = task  # the application waits for it, or hears what went wrong
        return None

    async def receive(self) -> Message:
        """What the server's `receive` gives, from the beginning."""
        if self._ahead:
            return self._ahead.popleft()
        if self._pending is not None:
            task, self._pending = self._pending, None
            return await task
        return await self._receive()

    def close(self) -> None:
        """Nobody waits any more."""
        if self._pending is not None:
            self._pending.cancel()


class StreamBody(Body):
    """A WSGI body. Give the application `replayed()` in place of `wsgi.input` where `begun`.

    A read cannot be interrupted, and reading on another thread would leave two readers at one socket. So what drips
    holds its own thread, as it would hold the application's, and what came too late is not looked into. A body of
    which neither the length nor an end is known is left alone.
    """

    __slots__ = ("_ended", "_error", "_length", "_stream", "_taken", "_terminated", "begun")

    def __init__(self, stream: Any, length: int | None, *, terminated: bool) -> None:
        self._stream = stream
        self._length = length
        self._terminated = terminated
        self._taken: list[bytes] = []
        self._ended = False
        self._error: Exception | None = None
        self.begun = False

    def read(self, limit: int, seconds: float) -> bytes | None:
        """All of it; None where it is larger or slower, or cannot be read."""
        if (self._length is None and not self._terminated) or (self._length is not None and self._length > limit):
            return None
        self.begun = True
        wanted = self._length if self._length is not None else limit + 1
        until = time.monotonic() + seconds
        while wanted:
            try:
                piece = self._stream.read(min(_PIECE, wanted))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the application's to hear
                self._error = error
                return None
            if not piece:
                break
            self._taken.append(piece)
            wanted -= len(piece)
            if time.monotonic() > until:
                self._ended = self._length is not None and wanted == 0
                return None
        self._ended = wanted > 0 or self._length is not None
        return b"".join(self._taken) if self._ended else None

    def replayed(self) -> Any:
        """A stream that gives the body from the beginning."""
        start = b"".join(self._taken)
        if self._ended:
            return io.BytesIO(start)
        left = None if self._length is None else self._length - len(start)
        return io.BufferedReader(_Resumed(start, self._stream, left, self._error))


class _Resumed(io.RawIOBase):
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
