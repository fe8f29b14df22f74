"""A pool that belongs to the event loop that made it, as asyncpg's does, and registries over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.support.unit import acme
from wicket import App, AppRef


class LoopPool:
    """A pool of connections. A query on another loop than that of `start` raises, as with asyncpg.

    Attributes:
        apps: the rows: an app by its id, or the exception that a query raises.
        queries: the ids that were queried.
        most: the number of queries that ran at the same time.
        opened: how often it was started.
        closed: how often it was closed.
    """

    def __init__(self, **apps: Any) -> None:
        self.apps: dict[str, Any] = apps or {"acme": acme()}
        self.queries: list[str] = []
        self.running = self.most = self.opened = self.closed = 0
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.fail_to_open: list[Exception] = []

    async def start(self) -> None:
        if self.fail_to_open:
            raise self.fail_to_open.pop(0)
        await asyncio.sleep(0)
        self.opened += 1
        self.loops.append(asyncio.get_running_loop())

    async def close(self) -> None:
        assert asyncio.get_running_loop() is self.loops[-1]
        self.closed += 1

    async def find(self, ref: AppRef) -> App | None:
        if asyncio.get_running_loop() is not self.loops[-1]:
            raise RuntimeError("got Future attached to a different loop")
        self.queries.append(ref.value)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0.01)
            found = self.apps.get(ref.value)
            if isinstance(found, Exception):
                raise found
            app: App | None = found
            return app
        finally:
            self.running -= 1

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        await self.start()
        try:
            yield self.find
        finally:
            await self.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true that another thread or task makes true."""
    while not condition():  # noqa: ASYNC110 - what is awaited is not always on this loop
        await asyncio.sleep(0.001)
