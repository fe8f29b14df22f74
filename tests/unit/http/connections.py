"""What the tests of lasting connections share: a clock and a server's side turned by hand, and who is connected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.unit.support import NOW, acme, asks, claims, gate_of, token
from wicket import Decision, Gate, Rules
from wicket.http.lasting import Message


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


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


def gate_at(clock: Hand) -> Gate:
    return gate_of(acme(rules=Rules(skew=0)), clock=clock)


def verified(gate: Gate) -> Decision:
    return gate.decide(asks(token(claims(exp=NOW + 60))))
