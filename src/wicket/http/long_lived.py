"""An ASGI connection that can outlive its decision: a WebSocket or an event stream.

The messages that the application receives and sends pass through `LiveConnection`. If the connection ends, every
pending `receive` and `send` of the application ends in the application's own task. No task is created for a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, TypeVar, cast

from wicket.decision.decision import Decision
from wicket.http.asgi_types import Message, Receive, Send

T = TypeVar("T")

EVENT_STREAM: Final = "text/event-stream"


class ConnectionEnded(OSError):
    """Raised by `send` if the token of the connection is no longer valid.

    It is an `OSError`, as if the client had disconnected, so frameworks handle it as a disconnection.
    """


class LiveConnection:
    """One connection, from its decision until it is closed.

    Args:
        decision: The decision about the request.
        receive: The server's `receive`.
        send: The server's `send`.
        websocket: Whether the connection is a WebSocket.
        on_begin: Called when the connection becomes long-lived: immediately for a WebSocket, and with the response
            headers for an event stream.
        on_end: Called when a long-lived connection ends.

    Attributes:
        decision: The decision about the request, or the one that `watch` was last called with.
        check_at: The time of the next check, in seconds since 1970 by the gate's clock. None if no time is set.
    """

    __slots__ = (
        *("decision", "check_at", "_receive", "_send", "_websocket", "_on_begin", "_on_end"),
        *("_waits", "_ended", "_long_lived", "_over", "_close_code", "__weakref__"),
    )

    def __init__(
        self,
        decision: Decision,
        receive: Receive,
        send: Send,
        *,
        websocket: bool,
        on_begin: Callable[[LiveConnection], None] | None = None,
        on_end: Callable[[LiveConnection], None] | None = None,
    ) -> None:
        self.decision = decision
        self.check_at: float | None = None
        self._receive = receive
        self._send = send
        self._websocket = websocket
        self._on_begin = on_begin
        self._on_end = on_end
        self._waits: set[_Wait] = set()
        self._ended = False
        self._long_lived = False  # an HTTP response is long-lived only if it is an event stream
        self._over = False
        self._close_code = 1006
        if websocket:
            self._begin()

    @property
    def ended(self) -> bool:
        """Whether `close` ended the connection, because its token is no longer valid."""
        return self._ended

    async def receive(self) -> Message:
        """Return the next message. Once the connection is closed, return a disconnect message."""
        if not self._ended:
            with contextlib.suppress(ConnectionEnded):
                message = await self._until_end(self._receive())
                if message["type"].endswith(".disconnect"):
                    self.end()
                return message
        if self._websocket:
            return {"type": "websocket.disconnect", "code": self._close_code, "reason": ""}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send `message`.

        Raises:
            ConnectionEnded: If the connection is closed already, or is closed while the message is sent.
        """
        if self._ended:
            raise _connection_ended()
        kind = message["type"]
        if kind == "http.response.start":
            if "headers" in message:
                message = {**message, "headers": list(message["headers"])}  # an iterator can be read only once
            if any(
                name.lower() == b"content-type" and value.lower().startswith(EVENT_STREAM.encode())
                for name, value in message.get("headers", ())
            ):
                self._begin()
        if not self._long_lived:
            await self._send(message)
            return
        await self._until_end(self._send(message))
        if kind == "websocket.close" or (kind == "http.response.body" and not message.get("more_body", False)):
            self.end()

    def watch(self, decision: Decision) -> None:
        """Check another decision instead, from now on. A connection that has ended is not changed.

        Args:
            decision: The decision.
        """
        if self._over:
            return
        if self._long_lived and self._on_end is not None:
            self._on_end(self)
        self.decision, self.check_at = decision, None
        if self._long_lived and self._on_begin is not None:
            self._on_begin(self)

    async def close(self, code: int, reason: str) -> None:
        """Close the connection: a WebSocket with a close frame, an event stream with its last message.

        Pending calls of the application end immediately. The server may delay the closing message until the client
        reads.

        Args:
            code: The close code of a WebSocket.
            reason: The reason of a WebSocket's close frame.
        """
        if self._over or not self._long_lived:
            return
        self._ended = True
        self._close_code = code
        self.end()
        for wait in tuple(self._waits):
            wait.interrupt()
        with contextlib.suppress(Exception):  # the client may disconnect at the same moment
            await self._send(
                {"type": "websocket.close", "code": code, "reason": reason}
                if self._websocket
                else {"type": "http.response.body", "body": b"", "more_body": False}
            )

    def end(self) -> None:
        """Record that the connection has ended, or that the application has returned."""
        if not self._over:
            self._over = True
            if self._long_lived and self._on_end is not None:
                self._on_end(self)

    def _begin(self) -> None:
        self._long_lived = True
        if self._on_begin is not None and not self._over:
            self._on_begin(self)

    @types.coroutine
    def _until_end(self, awaitable: Awaitable[T]) -> Generator[Any, Any, T]:
        """Await `awaitable` in the calling task. Raise `ConnectionEnded` if the connection ends first."""
        coroutine: Coroutine[Any, Any, T]
        coroutine = awaitable if isinstance(awaitable, types.CoroutineType) else _awaiting(awaitable)
        try:
            future = coroutine.send(None)
        except StopIteration as stop:  # most servers complete the call without waiting
            return cast("T", stop.value)
        result: T = yield from self._run_rest(coroutine, future)
        return result

    def _run_rest(
        self, coroutine: Coroutine[Any, Any, T], future: asyncio.Future[Any] | None
    ) -> Generator[Any, Any, T]:
        """Run the rest of `coroutine`, which waits for `future`.

        If the connection ends, the future is cancelled, as `Task.cancel` does. The task itself is not cancelled, so
        `Task.cancelling` still distinguishes a cancellation from outside, which is passed on, from the end.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        cancellations = task.cancelling()
        interrupted = False
        while True:
            wait = _Wait(future)
            exception: BaseException | None = None
            self._waits.add(wait)
            if self._ended:
                wait.interrupt()  # the server caught the first interruption and waits again
            try:
                yield future
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 - an exception thrown into the task is for the coroutine
                exception = error
            finally:
                self._waits.discard(wait)
            if self._ended and exception is None:  # the future completed at the same moment; nothing more may be sent
                wait.interrupted, exception = True, asyncio.CancelledError()
            interrupted = interrupted or wait.interrupted
            try:
                future = coroutine.send(None) if exception is None else coroutine.throw(exception)
            except StopIteration as stop:
                return cast("T", stop.value)
            except (Exception, asyncio.CancelledError):
                if interrupted and task.cancelling() <= cancellations:
                    raise _connection_ended() from None
                raise


class _Wait:
    """One wait of the server for a future, or for the next iteration of the event loop (None)."""

    __slots__ = ("future", "interrupted")

    def __init__(self, future: asyncio.Future[Any] | None) -> None:
        self.future = future
        self.interrupted = False

    def interrupt(self) -> None:
        """Cancel the future. A future that is done or cancelled already does not change."""
        self.interrupted = self.future is not None and self.future.cancel()


def _connection_ended() -> ConnectionEnded:
    return ConnectionEnded("the token of this connection is no longer valid")


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable
