"""Requests for I/O that the decision flow yields, and the two drivers that perform them.

The flow is a generator without I/O. It yields a `LoadEntry`, a `ReadBody` or a `Pause` if it needs one. `run` performs
it on a thread and `arun` performs it in an event loop. Both store the result in the request and resume the flow.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Generator, Hashable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wicket.errors import WicketError
from wicket.keys.waiters import Waiters
from wicket.messages.request import Body
from wicket.runtime.cache import Cache, Entry

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")


class LoadEntry:
    """Load a cache entry that is newer than `known_version`.

    `entry = yield from LoadEntry(...)` returns the entry that the cache has afterwards, newer or not. If the load ended
    and the cache has no entry, the entry was purged or evicted before this request read it. The request must not fail
    for that reason, so the entry is loaded once more in the remaining time.

    Attributes:
        cache: The cache of apps or of key sets.
        key: The key of the entry.
        known_version: The version that the flow has read; 0 if it has read none.
        timeout: The longest wait in seconds.
        entry: The entry after the load; None if the cache has none.
        completed: Whether the load ended within `timeout`.
        limited: Whether a limit of this process prevented the load.
    """

    __slots__ = ("cache", "completed", "entry", "key", "known_version", "limited", "timeout")

    def __init__(self, cache: Cache[Any, Any], key: Any, known: Entry[Any] | None, timeout: float) -> None:
        self.cache = cache
        self.key = key
        self.known_version = known.version if known is not None else 0
        self.timeout = timeout
        self.entry: Entry[Any] | None = known
        self.completed = False
        self.limited = False

    def __iter__(self) -> Generator[LoadEntry, None, Entry[Any] | None]:
        started_at = self.cache.now()
        yield self
        remaining = self.timeout - (self.cache.now() - started_at)
        if self.entry is None and self.completed and remaining > 0:
            self.known_version, self.timeout = 0, remaining
            yield self
        return self.entry


class ReadBody:
    """Read the request body. The application can still read it afterwards.

    `raw = yield from ReadBody(...)` returns the whole body, or None if it is larger than `limit` or slower than
    `seconds`. In that case `body.unread` contains the reason.

    Attributes:
        body: The body of the request.
        limit: The largest body size in bytes.
        seconds: The longest time for reading, in seconds.
        raw: The body after the read; None if it was not read.
    """

    __slots__ = ("body", "limit", "raw", "seconds")

    def __init__(self, body: Body, limit: int, seconds: float) -> None:
        self.body = body
        self.limit = limit
        self.seconds = seconds
        self.raw: bytes | None = None

    def __iter__(self) -> Generator[ReadBody, None, bytes | None]:
        yield self
        return self.raw


class Pause:
    """Wait until a fetch is allowed, if `waiters` has a free slot. Threads have few slots.

    `waited = yield from Pause(...)` returns whether the request waited. A pause starts and cancels nothing.

    Attributes:
        waiters: The limit on the requests that wait at the same time.
        key: The key set that the request waits for.
        seconds: How long the request waits, in seconds.
        waited: Whether the request waited.
    """

    __slots__ = ("key", "seconds", "waited", "waiters")

    def __init__(self, waiters: Waiters, key: Hashable, seconds: float) -> None:
        self.waiters = waiters
        self.key = key
        self.seconds = seconds
        self.waited = False

    def __iter__(self) -> Generator[Pause, None, bool]:
        yield self
        return self.waited


Effect = LoadEntry | ReadBody | Pause


def run(flow: Generator[Effect, None, R]) -> R:
    """Run `flow` to its end and block this thread during its I/O.

    Args:
        flow: The generator of a decision.

    Returns:
        The return value of `flow`.
    """
    try:
        effect = next(flow)
        while True:
            try:
                if isinstance(effect, ReadBody):
                    effect.raw = effect.body.read(effect.limit, effect.seconds)
                elif isinstance(effect, Pause):
                    with effect.waiters.place(effect.key, effect.seconds, on_thread=True) as effect.waited:
                        if effect.waited:
                            time.sleep(effect.seconds)
                else:
                    done, seconds = _start_load(effect, None)
                    if seconds:
                        concurrent.futures.wait([done], seconds)
                    effect.completed = done.done()
            except WicketError as error:
                effect = flow.throw(error)
            else:
                effect = _resume(flow, effect)
    except StopIteration as end:
        return cast("R", end.value)


async def arun(flow: Generator[Effect, None, R]) -> R:
    """Run `flow` to its end without blocking the event loop.

    A load goes on if this task is cancelled, because other requests may wait for it.

    Args:
        flow: The generator of a decision.

    Returns:
        The return value of `flow`.

    Raises:
        WicketError: An entry must be loaded and the event loop is not asyncio's.
    """
    try:
        effect = next(flow)
        while True:
            try:
                if isinstance(effect, ReadBody):
                    effect.raw = await effect.body.aread(effect.limit, effect.seconds)
                elif isinstance(effect, Pause):
                    with effect.waiters.place(effect.key, effect.seconds, on_thread=False) as effect.waited:
                        if effect.waited:
                            await _wait(concurrent.futures.Future(), effect.seconds)
                else:
                    done, seconds = _start_load(effect, _running_loop())
                    if seconds:
                        await _wait(done, seconds)
                    effect.completed = done.done()
            except WicketError as error:
                effect = flow.throw(error)
            else:
                effect = _resume(flow, effect)
    except StopIteration as end:
        return cast("R", end.value)
    finally:
        flow.close()


def _resume(flow: Generator[Effect, None, Any], effect: Effect) -> Effect:
    if isinstance(effect, LoadEntry):
        effect.entry = effect.cache.read(effect.key)
    return flow.send(None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop of asyncio; None if another event loop runs."""
    import asyncio  # it takes a sixth of the time of `import wicket`; a program with an event loop has imported it

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _start_load(
    request: LoadEntry, loop: asyncio.AbstractEventLoop | None
) -> tuple[concurrent.futures.Future[None], float]:
    """Start a load, or join the load in progress.

    Args:
        request: The load.
        loop: The event loop of the request. None: it has none.

    Returns:
        The future to wait for and the longest wait in seconds. The wait is 0 if no load is in progress.
    """
    load = request.cache.start(request.key, request.known_version, loop)
    request.limited = load is not None and load.limited
    if load is None or load.limited:
        return concurrent.futures.Future(), 0.0
    return load.done, min(request.timeout, load.seconds)


async def _wait(done: concurrent.futures.Future[None], seconds: float) -> None:
    """Wait for a load in an event loop. Cancelling this coroutine does not cancel the load."""
    import asyncio

    loop = _running_loop()
    if loop is None:
        raise WicketError("an app or key set must be loaded, and that needs asyncio: no other event loop is supported")
    completed = asyncio.Event()

    def notify(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed during the load, so no task waits
            loop.call_soon_threadsafe(completed.set)

    done.add_done_callback(notify)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await completed.wait()
