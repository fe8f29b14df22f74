"""The one refreshing cache: it keeps what was loaded from elsewhere, and knows when to load again.

The rules, for one key:

    empty     nothing is known: a request waits for a load
    fresh     younger than 80 % of its lifetime (with jitter): served
    ageing    past that, still within its lifetime: served, and the first request starts a load behind it
    stale     past its lifetime: a request waits briefly for a load; while loads fail the old value serves on
    expired   past lifetime + stale time: the value serves no more; as empty
    absent    the source said that there is no such thing: remembered for a short while

Back-off lies over any of them: after a failed load none starts before `retry_at`, and every failure counts, those
of an empty key too. One load per key runs at a time and everybody who waits joins it. Entries are immutable and
read without a lock; only writers lock. Keys without a value (absent, or failing from the start) live apart in a
bounded store, so that a flood of unknown names cannot push out real ones.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

import cachetools

from wicket.pool import Pool, give_up


class LoadFailed(Exception):
    """A load that failed in a way that its source can describe.

    `permanent`: trying again will not mend it, the configuration is wrong. `retry_after`: the seconds after which the
    source itself asked to be tried again.
    """

    permanent: bool = False
    retry_after: float | None = None


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_AHEAD: Final = 0.8
_JITTER: Final = 0.1
_LONGEST_RETRY_AFTER: Final = 300.0
_MAX_LOADED: Final = 100_000


class Loaded(NamedTuple, Generic[V]):
    """What a load brought, and for how many seconds it is fresh; None leaves that to the cache."""

    value: V
    lifetime: float | None = None


class Slot(NamedTuple, Generic[V]):
    """What is known of one key. Times are of the cache's monotonic clock, in seconds."""

    version: int
    value: V | None = None
    ahead_at: float = 0.0
    fresh_until: float = 0.0
    usable_until: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    absent: bool = False
    permanent: bool = False


@dataclass(slots=True)
class Flight:
    """A load under way: since when, what to wait for, and the demands to forget that came meanwhile."""

    started: float
    done: Future[None]
    demands: list[Callable[[Any, Any], bool]] = field(default_factory=list)


class Times(NamedTuple):
    """The lifetimes of one cache, in seconds: see the rules at the head of the file."""

    lifetime: float
    stale: float
    absent: float
    backoff_first: float
    backoff_last: float
    timeout: float


class Cache(Generic[K, V]):
    """Bounded, single-flight, with soft and hard lifetimes.

    `load` runs on `pool` and may block; it is given the key and the value that is held, returns what it loaded, or None
    where there is no such thing, and raises where it cannot tell. What it raises is handed to `on_failure` and kept
    out of everything else. `lane` says for a key with what it shares the pool's threads.
    """

    def __init__(
        self,
        load: Callable[[K, V | None], Loaded[V] | None],
        *,
        pool: Pool,
        times: Times,
        size: int,
        absent_size: int,
        on_failure: Callable[[K, BaseException], None],
        clock: Callable[[], float] = time.monotonic,
        lane: Callable[[K], Hashable] | None = None,
    ) -> None:
        self._load = load
        self._lane = lane
        self._pool = pool
        self._times = times
        self._size = size
        self._on_failure = on_failure
        self._clock = clock
        self._versions = itertools.count(1)
        self._absent_size = absent_size
        self._slots: dict[K, Slot[V]] = {}
        self._loaded: dict[int, None] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Keep what was loaded; drop the loads and the locked store, which a thread of the parent may have held."""
        self._lock = threading.Lock()
        self._flights: dict[K, Flight] = {}
        kept = max(self._times.absent, 2 * self._times.backoff_last, 2 * _LONGEST_RETRY_AFTER)
        self._without: cachetools.TTLCache[K, Slot[V]] = cachetools.TTLCache(self._absent_size, kept, self._clock)

    def read(self, key: K) -> Slot[V] | None:
        """What is known of `key`, without starting anything."""
        slot = self._slots.get(key)
        if slot is None:
            with self._lock:  # again: a load that is being published takes the old entry out first
                slot = self._slots.get(key) or self._without.get(key)
        return slot

    def patience(self, slot: Slot[V] | None, timeout: float, stale_timeout: float) -> float | None:
        """How long a request should wait for a newer `slot`: None, not at all; 0, start a load but do not wait."""
        if slot is None:
            return timeout
        now = self._clock()
        if now < slot.ahead_at or now < slot.retry_at:
            return None
        if now < slot.fresh_until:
            return 0.0
        return stale_timeout if now < slot.usable_until else timeout

    def usable(self, slot: Slot[V] | None) -> V | None:
        """The value of `slot`, if it may still serve."""
        if slot is None or self._clock() >= slot.usable_until:
            return None
        return slot.value

    def is_absent(self, slot: Slot[V] | None) -> bool:
        """Whether the source said, not long ago, that there is no such thing."""
        return slot is not None and slot.absent and self._clock() < slot.fresh_until

    def now(self) -> float:
        """The cache's monotonic clock, in seconds."""
        return self._clock()

    def was_loaded(self, key: K) -> bool:
        """Whether this process has had a value of `key`, evicted or not. The newest 100,000 hashes are remembered."""
        return key in self._slots or hash(key) in self._loaded

    def retry_after(self, slot: Slot[V] | None) -> int:
        """In how many whole seconds a request that was turned away may come again; at least 1."""
        return max(1, round(slot.retry_at - self._clock())) if slot else 1

    def values(self) -> list[V]:
        """All that is held, old or not."""
        with self._lock:
            return [slot.value for slot in self._slots.values() if slot.value is not None]

    def loading(self, key: K) -> bool:
        """Whether a load of `key` is under way."""
        return key in self._flights

    def start(self, key: K, seen: int) -> tuple[Future[None], float] | None:
        """Bring `key` up to date unless its version moved on from `seen`; join the load that runs, if one does.

        Returns what to wait for and how long at the most: a load that hangs is waited for once, not by every
        request anew. None where there is nothing to wait for.
        """
        with self._lock:
            now = self._clock()
            slot = self._slots.get(key) or self._without.get(key)
            if slot is not None and (slot.version != seen or now < slot.retry_at):
                return None
            flight = self._flights.get(key)
            joined = flight is not None
            if flight is None:
                flight = self._flights[key] = Flight(now, Future())
        if joined:
            self._pool.urge(flight.done)
            return flight.done, max(0.0, flight.started + self._times.timeout - now)
        # Without the lock: starting a thread may hand control to it, and under gevent nobody would hand it back.
        taken = False
        try:
            taken = self._pool.submit(lambda: self._run(key), flight.done, self._lane and self._lane(key))
        finally:
            if not taken:
                with self._lock:
                    self._flights.pop(key, None)
                give_up(flight.done)
        return (flight.done, self._times.timeout) if taken else None

    def outdate(
        self, keep: Callable[[K, V], bool], *, purge: bool = False, concerns: Callable[[K], bool] | None = None
    ) -> None:
        """Load anew, at the next request, every key whose entry `keep` does not want; purged ones serve no more.

        Forgotten in either case is which keys are absent, for nobody knows whose they may have become, and which fail
        of those that the demand `concerns` (of all, without it). A load under way starts again if `keep` does not want
        what it brings, or it brings nothing.
        """
        with self._lock:
            for key, slot in list(self._slots.items()):
                if slot.value is not None and not keep(key, slot.value):
                    if purge:
                        del self._slots[key]
                    else:
                        # The version stays: a request that saw the entry before must not take this for a newer one.
                        self._slots[key] = Slot(slot.version, slot.value, 0.0, 0.0, slot.usable_until)
            for key, slot in list(self._without.items()):
                if slot.absent or concerns is None or concerns(key):
                    self._without.pop(key, None)
            for flight in self._flights.values():
                flight.demands.append(keep)

    def _run(self, key: K) -> None:
        again = False
        while True:
            loaded: Loaded[V] | None = None
            failure: BaseException | None = None
            held = self._slots.get(key)
            try:
                loaded = self._load(key, held.value if held is not None else None)
            except BaseException as error:  # noqa: BLE001 - whatever a source raises, its users are served or told 503
                failure = error
            with self._lock:
                demands, self._flights[key].demands = self._flights[key].demands, []
                # What was loaded before a demand to forget it may be older than the demand: it is loaded once more.
                late = any(not keep(key, loaded.value) for keep in demands) if loaded else bool(demands)
                if failure is None and late and not again:
                    again = True
                    continue
                del self._flights[key]
                if failure is None and late:
                    # Too old twice: nobody believes it, and whoever waited asks anew. A storm of demands, which may
                    # be about others, does not keep a thread at it for ever.
                    self._slots.pop(key, None)
                else:
                    self._publish(key, loaded, failure)
                break
        if failure is not None:
            self._on_failure(key, failure)

    def _publish(self, key: K, loaded: Loaded[V] | None, failure: BaseException | None) -> None:
        times, now, version = self._times, self._clock(), next(self._versions)
        held = self._slots.get(key)
        if failure is not None:
            before = held or self._without.get(key)
            failures = before.failures + 1 if before else 1
            pause = min(times.backoff_last, times.backoff_first * 2 ** min(failures - 1, 16))
            permanent, asked = False, 0.0
            if isinstance(failure, LoadFailed):
                permanent, asked = failure.permanent, failure.retry_after or 0.0
            retry_at = now + max(min(asked, _LONGEST_RETRY_AFTER), pause * (1 - _JITTER * random.random()))
            if held is not None:
                self._slots[key] = held._replace(
                    version=version, failures=failures, retry_at=retry_at, permanent=permanent
                )
            else:
                self._without[key] = Slot(version, failures=failures, retry_at=retry_at, permanent=permanent)
            return
        self._slots.pop(key, None)
        self._without.pop(key, None)
        if loaded is None:
            until = now + times.absent
            self._without[key] = Slot(version, None, until, until, until, absent=True)
            return
        self._loaded.pop(hash(key), None)
        self._loaded[hash(key)] = None
        if len(self._loaded) > _MAX_LOADED:
            del self._loaded[next(iter(self._loaded))]
        while len(self._slots) >= self._size:
            del self._slots[next(iter(self._slots))]
        lifetime = times.lifetime if loaded.lifetime is None else loaded.lifetime
        ahead = lifetime * (_AHEAD - _JITTER * random.random())
        fresh_until = now + lifetime
        self._slots[key] = Slot(version, loaded.value, now + ahead, fresh_until, fresh_until + times.stale)
