"""Warm-up: load key sets and apps before the first request needs them, and report the result of each load.

`warm_up` is a generator that yields the seconds to wait. `run` and `arun` wait, on a thread or in an event loop, until
a load ends or the seconds have passed. At most as many loads are in flight as there are threads, so the queue stays
free for requests.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef
from wicket.decision.context import GateContext
from wicket.errors import config_error
from wicket.keys.key_set import KeySetRef
from wicket.limits import Limits
from wicket.runtime.cache import Cache, Entry

Outcome = Literal["loaded", "stale", "failed", "unknown", "timeout"]

_PAUSE: Final = 0.1
"""The pause in seconds before a load that a limit has prevented is tried again."""


@dataclass(frozen=True, slots=True)
class WarmUpResult:
    """The result for one app or one key set.

    Attributes:
        app: The id or another name of the app.
        source: The URL or the issuer of the key set, without a query. None: the app itself, from the registry.
        outcome: `loaded`; `stale` (the last load failed, and an older value is used); `failed`; `unknown` (no such
            app); `timeout` (the load had not ended in time; it goes on).
        cause: Why the load failed: the kind of a `wicket.FetchFailed`, `config_invalid` or `no_app` for what a registry
            returned, `closed` if the gate is closed, or the type of an exception. Empty if it did not fail.
    """

    app: str
    source: str | None
    outcome: Outcome
    cause: str = ""


@dataclass(frozen=True, slots=True)
class WarmUpReport:
    """The result of `Gate.warm_up`.

    Attributes:
        results: One result for each app that was named and that is not in code, and for each key set.
        seconds: The duration in seconds.
    """

    results: tuple[WarmUpResult, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every app and every key set is loaded."""
        return not self.failed

    @property
    def failed(self) -> tuple[WarmUpResult, ...]:
        """The results that are not `loaded`."""
        return tuple(result for result in self.results if result.outcome != "loaded")


class _Load(NamedTuple):
    """A load of one app or key set.

    Attributes:
        cache: The cache of apps or of key sets.
        key: The key in that cache.
        app: The name of the app, for the report.
        source: The source of the key set, for the report. None: the app itself.
        group: The loads of one group share `per_group` threads.
    """

    cache: Cache[Any, Any]
    key: Any
    app: str
    source: str | None
    group: Hashable


class _Loads:
    """The loads of one pool.

    Args:
        at_most: The number of loads that may be in flight.
        per_group: The number of loads of one group that may be in flight.
        notify: Called when a load ends. It may be called on any thread.
        loop: The event loop of the caller. None: it has none.

    Attributes:
        limited: Whether a limit prevented a load from starting when `ended` was last called.
    """

    def __init__(self, at_most: int, per_group: int, notify: Callable[[], None], loop: Any) -> None:
        self._loop = loop
        self._at_most = at_most
        self._per_group = per_group
        self._notify = notify
        self._waiting: dict[Hashable, deque[_Load]] = {}
        self._running: Counter[Hashable] = Counter()
        self._in_flight: dict[_Load, Future[None]] = {}
        self.limited = False

    @property
    def unfinished(self) -> list[_Load]:
        """The loads that have not ended."""
        return [*self._in_flight, *(load for queue in self._waiting.values() for load in queue)]

    def add(self, load: _Load) -> None:
        """Add a load."""
        self._waiting.setdefault(load.group, deque()).append(load)

    def ended(self) -> Iterator[_Load]:
        """Start loads, and yield those that have ended or need none."""
        self.limited = False
        for load, done in list(self._in_flight.items()):
            if done.done():
                del self._in_flight[load]
                self._running[load.group] -= 1
                yield load
        for group in list(self._waiting):
            queue = self._waiting[group]
            while queue and self._running[group] < self._per_group and len(self._in_flight) < self._at_most:
                load = queue.popleft()
                entry = load.cache.read(load.key)
                if load.cache.fresh_entry(load.key) is not None:
                    yield load
                    continue
                started = load.cache.start(load.key, entry.version if entry is not None else 0, self._loop)
                if started is not None and started.limited:
                    self.limited = True
                    queue.append(load)
                    break
                if started is None or started.done.done():
                    yield load
                    continue
                self._in_flight[load] = started.done
                self._running[group] += 1
                started.done.add_done_callback(lambda _: self._notify())
            if not queue:
                del self._waiting[group]
            if len(self._in_flight) >= self._at_most:
                return


Steps = Generator[float, None, WarmUpReport]


def warm_up(
    gate: GateContext,
    apps: Iterable[App | BrokenApp],
    names: Iterable[str | AppRef],
    timeout: float,
    notify: Callable[[], None],
    loop: Any,
) -> Steps:
    """Load the key sets of `apps`, and the apps of the registry with these names and their key sets.

    Args:
        gate: The gate.
        apps: The configured apps.
        names: The ids, aliases or other names of further apps.
        timeout: The longest duration in seconds.
        notify: Called when a load ends. It may be called on any thread.
        loop: The event loop of the caller. None: it has none.
    """
    limits: Limits = gate.limits
    key_sets = _Loads(limits.fetch_threads, min(limits.fetch_per_host, limits.max_loads_per_app), notify, loop)
    registry = _Loads(limits.registry_threads, limits.registry_threads, notify, loop)
    results: list[WarmUpResult] = []
    added: set[str] = set()

    def add_key_sets(app: App | BrokenApp | None) -> None:
        if isinstance(app, App) and app.id not in added:
            added.add(app.id)
            for source in app.sources:
                ref = KeySetRef(app.id, source)
                key_sets.add(_Load(gate.key_sets.cache, ref, app.id, source.redacted, source.host))

    for app in apps:
        add_key_sets(app)
    for ref in dict.fromkeys(name if isinstance(name, AppRef) else AppRef("id", name) for name in names):
        if ref in gate.apps:
            continue
        if gate.registry is None:
            results.append(WarmUpResult(ref.value, None, "unknown"))
        else:
            registry.add(_Load(gate.registry, ref, ref.value, None, None))
    started_at = time.monotonic()
    while True:
        for load in registry.ended():
            entry = load.cache.read(load.key)
            results.append(_result(load, entry))
            add_key_sets(load.cache.usable(entry))
        results += [_result(load, load.cache.read(load.key)) for load in key_sets.ended()]
        unfinished = [*registry.unfinished, *key_sets.unfinished]
        remaining = timeout - (time.monotonic() - started_at)
        if not unfinished or remaining <= 0:
            break
        yield min(remaining, _PAUSE) if registry.limited or key_sets.limited else remaining
    results += [WarmUpResult(load.app, load.source, "timeout") for load in unfinished]
    return WarmUpReport(tuple(results), time.monotonic() - started_at)


def _result(load: _Load, entry: Entry[Any] | None) -> WarmUpResult:
    """Return the result of a load that has ended."""
    value = load.cache.usable(entry)
    cause = entry.cause if entry is not None else ""
    if isinstance(value, BrokenApp):
        return WarmUpResult(load.app, load.source, "failed", "config_invalid")
    if value is not None:
        return WarmUpResult(load.app, load.source, "stale" if cause else "loaded", cause)
    if load.cache.is_absent(entry):
        return WarmUpResult(load.app, load.source, "unknown")
    return WarmUpResult(load.app, load.source, "failed", cause or "closed")


def check_arguments(apps: Iterable[str | AppRef], timeout: float) -> tuple[str | AppRef, ...]:
    """Return the names of the apps as a tuple.

    Args:
        apps: The argument of `Gate.warm_up`.
        timeout: The argument of `Gate.warm_up`.

    Raises:
        ConfigError: An argument is not valid.
    """
    if isinstance(apps, str) or not isinstance(apps, Iterable):
        raise config_error("apps", "must be a list of names of apps", '["acme"]')
    names = tuple(apps)
    if not all(isinstance(name, (str, AppRef)) for name in names):
        raise config_error("apps", "must be a list of names of apps", '["acme"]')
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
        raise config_error("timeout", "must be a positive number of seconds")
    return names


Start = Callable[[Callable[[], None], Any], Steps]
"""A function that takes the function to call when a load ends, and the event loop or None, and returns the steps."""


def run(start: Start) -> WarmUpReport:
    """Run the steps on this thread.

    Args:
        start: Returns the steps.
    """
    event = threading.Event()
    flow = start(event.set, None)
    try:
        while True:
            event.wait(next(flow))
            event.clear()
    except StopIteration as end:
        report: WarmUpReport = end.value
        return report


async def arun(start: Start) -> WarmUpReport:
    """Run the steps in the running event loop of asyncio, without blocking it.

    Args:
        start: Returns the steps.
    """
    import asyncio  # only a program with an event loop calls this function, and it has imported asyncio

    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def notify() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed during the load
            loop.call_soon_threadsafe(event.set)

    flow = start(notify, loop)
    try:
        while True:
            seconds = next(flow)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
            event.clear()
    except StopIteration as end:
        report: WarmUpReport = end.value
        return report
