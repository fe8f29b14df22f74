"""One connection that can outlive its decision under ASGI: a socket or an event stream.

What the application receives and sends passes through here. When the connection ends, every `receive` and `send` of
the application that is waiting ends with it, in the application's own task. No task is made for a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping
from typing import Any, Final, TypeVar, cast

from wicket.decision.decision import Decision

Message = MutableMapping[str, Any]
T = TypeVar("T")

CLOSE_CODE: Final = 4401
"""The code with which a socket is closed: the 4000s are the application's (RFC 6455 section 7.4.2), 401 is HTTP's."""

EVENT_STREAM: Final = "text/event-stream"


class ConnectionEnded(OSError):
    """What `send` raises when the token of the connection no longer holds, as if the client had hung up."""


class LiveConnection:
    """One connection: what the application receives and sends passes through here until it is closed.

    `watch` is called when the connection begins to last: at once for a socket, with its head for an event stream.
    `unwatch` is called when it is over.
    """

    __slots__ = (
        *("decision", "until", "_receive", "_send", "_websocket", "_watch", "_unwatch"),
        *("_waits", "_ended", "_open", "_over"),
    )

    def __init__(
        self,
        decision: Decision,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        *,
        websocket: bool,
        watch: Callable[[LiveConnection], None] | None = None,
        unwatch: Callable[[LiveConnection], None] | None = None,
    ) -> None:
        self.decision = decision
        self.until: float | None = None  # when it is to be looked at again, by the clock of the gate
        self._receive = receive
        self._send = send
        self._websocket = websocket
        self._watch = watch
        self._unwatch = unwatch
        self._waits: set[_Wait] = set()
        self._ended = False
        self._open = False  # an HTTP response lasts only if it is an event stream
        self._over = False
        if websocket:
            self._begin()

    @property
    def ended(self) -> bool:
        """Whether the connection was ended from this side, because its token no longer holds."""
        return self._ended

    async def receive(self) -> Message:
        """The next message; a disconnection once the connection is closed."""
        if not self._ended:
            with contextlib.suppress(ConnectionEnded):
                message = await self._until_end(self._receive())
                if message["type"].endswith(".disconnect"):
                    self.end()
                return message
        if self._websocket:
            return {"type": "websocket.disconnect", "code": CLOSE_CODE, "reason": ""}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send `message`. Raises `ConnectionEnded` if the connection is closed before or while it is sent."""
        if self._ended:
            raise _ended()
        kind = message["type"]
        if kind == "http.response.start":
            if "headers" in message:
                message = {**message, "headers": list(message["headers"])}  # an iterator can be read only once
            if any(
                name.lower() == b"content-type" and value.lower().startswith(EVENT_STREAM.encode())
                for name, value in message.get("headers", ())
            ):
                self._begin()
        if not self._open:
            await self._send(message)
            return
        await self._until_end(self._send(message))
        if kind == "websocket.close" or (kind == "http.response.body" and not message.get("more_body", False)):
            self.end()

    async def close(self, reason: str) -> None:
        """Close it from this side: a socket with the code 4401, an event stream with its end.

        The application is told at once. The server may keep the closing message back until the client reads.
        """
        if self._over or not self._open:
            return
        self._ended = True
        self.end()
        for wait in tuple(self._waits):
            wait.interrupt()
        with contextlib.suppress(Exception):  # the client may have hung up in the same moment
            await self._send(
                {"type": "websocket.close", "code": CLOSE_CODE, "reason": reason}
                if self._websocket
                else {"type": "http.response.body", "body": b"", "more_body": False}
            )

    def end(self) -> None:
        """The connection is over, or its application has returned."""
        if not self._over:
            self._over = True
            if self._open and self._unwatch is not None:
                self._unwatch(self)

    def _begin(self) -> None:
        self._open = True
        if self._watch is not None and not self._over:
            self._watch(self)

    @types.coroutine
    def _until_end(self, awaitable: Awaitable[T]) -> Generator[Any, Any, T]:
        """Await `awaitable` in the calling task. Raises `ConnectionEnded` if the connection ends first."""
        steps: Coroutine[Any, Any, T]
        steps = awaitable if isinstance(awaitable, types.CoroutineType) else _awaiting(awaitable)
        try:
            future = steps.send(None)
        except StopIteration as done:  # most servers have nothing to wait for
            return cast("T", done.value)
        result: T = yield from self._continued(steps, future)
        return result

    def _continued(self, steps: Coroutine[Any, Any, T], future: asyncio.Future[Any] | None) -> Generator[Any, Any, T]:
        """Run the rest of `steps`, which waits for `future`, and cancel it when the connection ends.

        The end cancels the future for which `steps` waits, as `Task.cancel` does. The task itself is not cancelled.
        So its count of cancellations tells a cancellation from outside, which passes, from the end.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        cancellations = task.cancelling()
        interrupted = False
        while True:
            wait = _Wait(future)
            thrown: BaseException | None = None
            self._waits.add(wait)
            if self._ended:
                wait.interrupt()  # the server has caught the first interruption, and waits again
            try:
                yield future
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - what is thrown into the task is for what it runs
                thrown = error
            finally:
                self._waits.discard(wait)
            if self._ended and thrown is None:  # it was woken in the same moment, and must not send any more
                wait.interrupted, thrown = True, asyncio.CancelledError()
            interrupted = interrupted or wait.interrupted
            try:
                future = steps.send(None) if thrown is None else steps.throw(thrown)
            except StopIteration as done:
                return cast("T", done.value)
            except (Exception, asyncio.CancelledError):
                if interrupted and task.cancelling() <= cancellations:
                    raise _ended() from None
                raise


class _Wait:
    """One wait of the server for a future, or for the next turn of the event loop (None)."""

    __slots__ = ("future", "interrupted")

    def __init__(self, future: asyncio.Future[Any] | None) -> None:
        self.future = future
        self.interrupted = False

    def interrupt(self) -> None:
        """Cancel the future. It stays as it is if it is done or cancelled already."""
        self.interrupted = self.future is not None and self.future.cancel()


def _ended() -> ConnectionEnded:
    return ConnectionEnded("the token of this connection no longer holds")


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable
