"""Connections that outlive their decision: sockets and event streams, closed when their token expires or is revoked.

One task in each event loop looks after all of a door's open connections, twice a second. It loads nothing itself: it
asks the gate again, which has the app as it is now.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final

from wicket.decision.flow import Decision, log_fault
from wicket.errors import WicketError
from wicket.gate import Gate

Message = MutableMapping[str, Any]

CLOSED: Final = 4401
"""The code with which a socket is closed: the 4000s are the application's (RFC 6455 section 7.4.2), 401 is HTTP's."""

_PERIOD: Final = 0.4
_AT_ONCE: Final = 256
_STREAM: Final = "text/event-stream"


class ConnectionEnded(OSError):
    """What an application gets that sends on a socket which Wicket has closed, as from a client that hung up."""


class Lasting:
    """One connection: what the application receives and sends passes through here until it is closed."""

    def __init__(
        self,
        decision: Decision,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        *,
        websocket: bool,
    ) -> None:
        self.decision = decision
        self._receive = receive
        self._send = send
        self._websocket = websocket
        self._closed: asyncio.Event = asyncio.Event()
        self._pending: asyncio.Future[Message] | None = None
        self._open = websocket  # an HTTP answer lasts only where it is an event stream
        self._over = False

    async def receive(self) -> Message:
        """The next message; a disconnection once the connection is closed."""
        message: Message
        if not self._websocket:
            # In the caller's own task: frameworks ask whether a client is still there with a `receive` that they cancel
            # at its first wait. An event stream's end wakes the server's own `receive`.
            message = {"type": "http.disconnect"} if self._closed.is_set() else await self._receive()
            self._over = self._over or message["type"] == "http.disconnect"
            return message
        while not self._closed.is_set():
            pending = self._pending
            if pending is None:
                pending = self._pending = asyncio.ensure_future(self._receive())
            if not pending.done():
                closed = asyncio.ensure_future(self._closed.wait())
                waiting: set[asyncio.Future[Any]] = {pending, closed}
                try:
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    closed.cancel()
            if pending.done() and self._pending is pending:  # or another task, which waited too, has it
                self._pending = None
                message = pending.result()
                self._over = self._over or message["type"].endswith(".disconnect")
                return message
        return {"type": "websocket.disconnect", "code": CLOSED, "reason": ""}

    async def send(self, message: Message) -> None:
        """Send, unless the connection is closed."""
        if self._closed.is_set():
            raise ConnectionEnded("the token of this connection no longer holds")
        kind = message["type"]
        if kind == "http.response.start":
            if "headers" in message:
                message = {**message, "headers": list(message["headers"])}  # it may be gone through only once
            self._open = any(
                name.lower() == b"content-type" and value.lower().startswith(_STREAM.encode())
                for name, value in message.get("headers", ())
            )
        elif kind == "websocket.close" or (kind == "http.response.body" and not message.get("more_body", False)):
            self._over = True
        await self._send(message)

    async def close(self, reason: str) -> None:
        """Close it from this side: a socket with the code 4401, an event stream with its end."""
        if self._over or not self._open:
            return
        self._over = True
        self._closed.set()
        with contextlib.suppress(Exception):  # it may have ended by itself just now
            await self._send(
                {"type": "websocket.close", "code": CLOSED, "reason": reason}
                if self._websocket
                else {"type": "http.response.body", "body": b"", "more_body": False}
            )

    def end(self) -> None:
        """The application is done."""
        self._over = True
        if self._pending is not None:
            self._pending.cancel()


class Watch:
    """Looks after the lasting connections of one door, in whichever event loops they are."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Round] = weakref.WeakKeyDictionary()

    def over(
        self,
        decision: Decision,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        *,
        websocket: bool,
    ) -> Lasting:
        """Look after a connection until it is left. Raises `WicketError` in another event loop than asyncio's."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WicketError("close_on_expiry needs asyncio: no other event loop can wait for it") from None
        lasting = Lasting(decision, receive, send, websocket=websocket)
        self._loops.setdefault(loop, _Round(self._gate)).add(lasting)
        return lasting

    def leave(self, lasting: Lasting) -> None:
        """The application is done with it."""
        self._loops[asyncio.get_running_loop()].remove(lasting)
        lasting.end()


class _Round:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held: set[Lasting] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, lasting: Lasting) -> None:
        self._held.add(lasting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._go(), context=contextvars.Context())  # nobody's request is its own

    def remove(self, lasting: Lasting) -> None:
        self._held.discard(lasting)
        if not self._held and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD)
            for number, lasting in enumerate(tuple(self._held)):
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # nobody else waits for a round over very many
                try:
                    refusal = await self._gate.arevisit(lasting.decision)
                except Exception as error:  # noqa: BLE001 - a fault of one look must not end all that follow
                    log_fault("a lasting connection could not be looked at", error)
                    continue
                if refusal is not None:
                    task = asyncio.create_task(lasting.close(refusal.reason or refusal.code))
                    self._closing.add(task)  # a loop keeps no task alive by itself
                    task.add_done_callback(self._closing.discard)


class Ending:
    """What a WSGI application answers, ended at the first chunk after its token has expired or was revoked.

    `lasts` says, once the application has begun to answer, whether that is an event stream.
    """

    def __init__(self, gate: Gate, decision: Decision, chunks: Iterable[bytes], lasts: Callable[[], bool]) -> None:
        self._gate = gate
        self._decision = decision
        self._chunks = chunks
        self._lasts = lasts

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                if self._lasts() and self._gate.revisit(self._decision) is not None:
                    return
                yield chunk
        except ConnectionEnded:  # of a `write` (PEP 3333) among them
            if not self._lasts():
                raise

    def close(self) -> None:
        """Tell the application that nobody reads on (PEP 3333)."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def is_event_stream(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether an answer with these headers is one that lasts."""
    return any(name.lower() == "content-type" and value.lower().startswith(_STREAM) for name, value in headers)
