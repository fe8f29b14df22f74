"""Connections that outlive their decision: sockets and event streams, closed when their token expires or is revoked.

One task in each event loop looks after all of a door's open connections, twice a second. It loads nothing itself: it
asks the gate again, which has the app as it is now.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final

from wicket.decision.flow import Decision
from wicket.errors import WicketError
from wicket.gate import Gate

Message = MutableMapping[str, Any]

CLOSED: Final = 4401
"""The code with which a socket is closed: the 4000s are the application's (RFC 6455 section 7.4.2), 401 is HTTP's."""

_PERIOD: Final = 0.4


class ConnectionEnded(OSError):
    """What an application gets that sends on a socket which Wicket has closed, as from a client that hung up."""


class Lasting:
    """One connection: what the application receives and sends passes through here until it is closed.

    `raises` says whether what is sent after that raises, which ASGI has since the version 2.4 of its HTTP part; an
    application of an older server does not expect it.
    """

    def __init__(
        self,
        decision: Decision,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        *,
        websocket: bool,
        raises: bool = True,
    ) -> None:
        self.decision = decision
        self._receive = receive
        self._send = send
        self._websocket = websocket
        self._raises = raises
        self._closed: asyncio.Event = asyncio.Event()
        self._pending: asyncio.Future[Message] | None = None
        self._open = websocket  # an HTTP answer lasts only where it is an event stream
        self._over = False

    async def receive(self) -> Message:
        """The next message; a disconnection once the connection is closed."""
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._receive())
        closed = asyncio.ensure_future(self._closed.wait())
        waiting: set[asyncio.Future[Any]] = {self._pending, closed}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if self._closed.is_set():
            return (
                {"type": "websocket.disconnect", "code": CLOSED, "reason": ""}
                if self._websocket
                else {"type": "http.disconnect"}
            )
        task, self._pending = self._pending, None
        message = task.result()
        self._over = self._over or message["type"].endswith(".disconnect")
        return message

    async def send(self, message: Message) -> None:
        """Send, unless the connection is closed."""
        if self._closed.is_set():
            if self._raises:
                raise ConnectionEnded("the token of this connection no longer holds")
            return
        kind = message["type"]
        if kind == "http.response.start":
            self._open = any(
                name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
                for name, value in message["headers"]
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
        raises: bool = True,
    ) -> Lasting:
        """Look after a connection until it is left. Raises `WicketError` in another event loop than asyncio's."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WicketError("close_on_expiry needs asyncio: no other event loop can wait for it") from None
        lasting = Lasting(decision, receive, send, websocket=websocket, raises=raises)
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
        if self._task is None:
            self._task = asyncio.create_task(self._go())

    def remove(self, lasting: Lasting) -> None:
        self._held.discard(lasting)
        if not self._held and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD)
            for lasting in tuple(self._held):
                refusal = await self._gate.arevisit(lasting.decision)
                if refusal is not None:
                    task = asyncio.create_task(lasting.close(refusal.reason or refusal.code))
                    self._closing.add(task)  # a loop keeps no task alive by itself
                    task.add_done_callback(self._closing.discard)


def until_refused(gate: Gate, decision: Decision, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A WSGI event stream that ends at the first chunk after its token has expired or was revoked."""
    try:
        for chunk in chunks:
            if gate.revisit(decision) is not None:
                return
            yield chunk
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
