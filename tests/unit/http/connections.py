"""What the tests of lasting connections share: a clock and a server's side turned by hand, and who is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.unit import NOW, acme, asks, claims, gate_of, token
from wicket import Decision, Gate, Rules
from wicket.http.long_lived import Message


class Hand:
    """A clock turned by hand; `broken` makes it fail once."""

    def __init__(self) -> None:
        self.now: float = NOW
        self.broken = False
        self.failed = asyncio.Event()

    def __call__(self) -> float:
        if self.broken:
            self.broken = False
            self.failed.set()
            raise RuntimeError("no time")
        return self.now


class Line:
    """The server's side of one connection."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.last = asyncio.Event()
        self.stuck = False

    async def receive(self) -> Message:
        return await self.incoming.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"].endswith((".close", ".body")):
            self.last.set()
        if self.stuck:
            await asyncio.Event().wait()

    async def closing(self) -> Message:
        async with asyncio.timeout(10):
            await self.last.wait()
        return self.sent[-1]


class Stuck:
    """A server's `send` that keeps messages back while its client does not read, as flow control does."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.interrupted = 0
        self.swallows = 0
        self.fails = False
        self.writable: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, message: Message) -> None:
        while not self.writable.done():
            waiting = asyncio.get_running_loop().create_future()
            self.writable.add_done_callback(lambda _, w=waiting: None if w.done() else w.set_result(None))  # type: ignore[misc]
            try:
                await waiting
            except asyncio.CancelledError:
                self.interrupted += 1
                if self.fails:
                    raise RuntimeError("cut short") from None
                if self.interrupted > self.swallows:
                    raise
        self.taken.append(message)

    def drained(self) -> None:
        """The client reads."""
        self.writable.set_result(None)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


def gate_at(clock: Hand) -> Gate:
    return gate_of(acme(rules=Rules(leeway=0)), clock=clock)


def verified(gate: Gate) -> Decision:
    return gate.decide(asks(token(claims(exp=NOW + 60))))
