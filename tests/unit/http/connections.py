"""Test doubles for long-lived connections: a clock, a server, and a verified decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.unit import NOW, acme, asks, claims, gate_of, token
from wicket import Decision, Gate, Rules
from wicket.http.asgi_types import Message


class FaultyClock:
    """A clock that a test sets; `broken` makes it raise once."""

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


class FakeServer:
    """The server's side of one connection."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.last = asyncio.Event()
        self.blocked = False

    async def receive(self) -> Message:
        return await self.incoming.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"].endswith((".close", ".body")):
            self.last.set()
        if self.blocked:
            await asyncio.Event().wait()

    async def close_message(self) -> Message:
        async with asyncio.timeout(10):
            await self.last.wait()
        return self.sent[-1]


class BlockedSend:
    """A server's `send` that blocks until the client reads, as flow control does."""

    def __init__(self) -> None:
        self.delivered: list[Message] = []
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
        self.delivered.append(message)

    def unblock(self) -> None:
        """Let the client read."""
        self.writable.set_result(None)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


def gate_at(clock: FaultyClock) -> Gate:
    return gate_of(acme(rules=Rules(leeway=0)), clock=clock)


def verified(gate: Gate) -> Decision:
    return gate.decide(asks(token(claims(exp=NOW + 60))))
