"""A bounded, refreshing cache of values that are loaded from elsewhere: apps of a registry, and key sets.

It combines single-flight loads, refresh ahead, stale-if-error (RFC 5861), back-off and a negative cache. The state of a
key determines the behaviour of a request for it:

    empty     There is no entry. The request waits for a load.
    fresh     The value is younger than about 75 % of its lifetime (70 to 80 %, at random). It is served.
    ageing    The value is older, and still within its lifetime. It is served, and the first request starts a load.
    stale     The lifetime has ended. A request waits briefly for a load. While loads fail, the value is served.
    expired   The lifetime and the stale time have ended. The value is not served. The request waits for a load.
    absent    The source answered that the key does not exist. The answer is kept for a short time (negative cache).

Back-off applies in every state: after a failed load, no load starts before `retry_at`. Failures of an empty key count
too. At most one load per key is in flight, and every request that waits for the key joins it. Entries are immutable.
Reads take no lock, writes do. Keys without a value (absent, or failed from the start) are kept in a bounded store apart
from the values, so a flood of unknown names cannot evict real values.

`EntryStore` says how values, names and tags are kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future
from typing import Any

from wicket.runtime.entries import Entry as Entry
from wicket.runtime.entries import InFlightLoad, K, V
from wicket.runtime.entries import Lifetimes as Lifetimes
from wicket.runtime.entries import Loaded as Loaded
from wicket.runtime.entries import LoadFailed as LoadFailed
from wicket.runtime.entries import Started as Started
from wicket.runtime.entry_store import EntryStore
from wicket.runtime.pool import Pool, cancel_future

Load = Callable[[K, V | None], Loaded[V] | None]
"""A load function. It receives the key and the current value, or None."""


class Cache(EntryStore[K, V]):
    """A bounded cache with single-flight loads and three lifetimes: refresh ahead, fresh, stale-if-error.

    Args:
        load: loads one key, on a thread of the pool, and may block. It receives the key and the current value, or None.
            It returns None if the key does not exist, and raises if it cannot tell.
        pool: the pool on which loads run.
        lifetimes: the lifetimes, in seconds.
        size: the maximum number of values. The oldest is evicted.
        negative_size: the maximum number of keys in the negative cache.
        on_failure: receives the key and the exception of every failed load. The exception is not stored.
        clock: a monotonic clock, in seconds.
        group: returns the group of a key. The loads of one group share a part of the pool's threads.
        owner: returns the owner of a key, or None if only a load can determine it.
        per_owner: the maximum number of loads of one owner that are in flight. None: no limit.
        load_on: returns the load function for a request, from the event loop of the request, or from None if it has
            none. It may raise for None. If it is None, `load` is used.
    """

    def __init__(
        self,
        load: Load[K, V],
        *,
        pool: Pool,
        lifetimes: Lifetimes,
        size: int,
        negative_size: int,
        on_failure: Callable[[K, BaseException], None],
        clock: Callable[[], float] = time.monotonic,
        group: Callable[[K], Hashable] = lambda key: None,
        owner: Callable[[K], Hashable] = lambda key: None,
        per_owner: int | None = None,
        load_on: Callable[[Any], Load[K, V]] | None = None,
    ) -> None:
        super().__init__(lifetimes=lifetimes, size=size, negative_size=negative_size, clock=clock, owner=owner)
        self._load = load
        self._load_on = load_on
        self._group_of = group
        self._per_owner = per_owner
        self._pool = pool
        self._on_failure = on_failure

    def after_fork(self) -> None:
        """Keep the values. Reset the lock, which a parent's thread may have held, the loads and the negative cache."""
        super().after_fork()
        self._in_flight: dict[K, InFlightLoad] = {}
        self._loads: Counter[Hashable] = Counter()

    def wait_time(self, entry: Entry[V] | None, timeout: float, stale_timeout: float) -> float | None:
        """Return how long a request should wait for a newer entry.

        Args:
            entry: the current entry, or None.
            timeout: the wait if no value can be served, in seconds.
            stale_timeout: the wait if a stale value can be served, in seconds.

        Returns:
            The seconds to wait. 0: start a load and do not wait. None: start no load.
        """
        if entry is None:
            return timeout
        now = self._clock()
        if now < entry.refresh_at or now < entry.retry_at:
            return None
        if now < entry.fresh_until:
            return 0.0
        return stale_timeout if now < entry.usable_until else timeout

    def usable(self, entry: Entry[V] | None) -> V | None:
        """Return the value of `entry` if it may be served, fresh or stale, else None."""
        if entry is None or self._clock() >= entry.usable_until:
            return None
        return entry.value

    def is_absent(self, entry: Entry[V] | None) -> bool:
        """Return whether `entry` is a negative entry of an absent key and has not ended."""
        return entry is not None and entry.absent and self._clock() < entry.fresh_until

    def now(self) -> float:
        """Return the time of the cache's monotonic clock, in seconds."""
        return self._clock()

    def retry_after(self, entry: Entry[V] | None) -> int:
        """Return the whole seconds after which a refused request may be repeated, at least 1 (`Retry-After`)."""
        return max(1, round(entry.retry_at - self._clock())) if entry else 1

    def loading(self, key: K) -> bool:
        """Return whether a load of `key` is in flight."""
        return key in self._in_flight

    def start(self, key: K, seen: int, loop: Any = None) -> Started | None:
        """Start a load of `key`, or join the load that is in flight.

        Args:
            key: the key to load.
            seen: the version of the entry that the caller has read. 0: there was none.
            loop: the event loop of the request. None: it has none.

        Returns:
            The load, and the maximum time to wait for it. The time is counted from the start of the load, so a load
            that hangs delays only the first requests. `limited` is True if the owner of `key` has its maximum number
            of loads in flight, or the pool rejects the load. None if the entry is newer than `seen`, or in back-off.
        """
        load = self._load if self._load_on is None else self._load_on(loop)
        with self._lock:
            now = self._clock()
            entry = self._any_entry(key)
            if entry is not None and (entry.version != seen or now < entry.retry_at):
                return None
            flight = self._in_flight.get(key)
            joined = flight is not None
            if flight is None:
                owner = self._owner_of(key)
                flight = InFlightLoad(now, owner, Future())
                if self._per_owner is not None and self._loads[owner] >= self._per_owner:
                    return Started(flight.done, 0.0, limited=True)
                self._in_flight[key] = flight
                self._loads[owner] += 1
        if joined:
            self._pool.prioritize(flight.done)
            return Started(flight.done, max(0.0, flight.started + self._lifetimes.timeout - now))
        # The lock is released first. Starting a thread may switch to it, and under gevent it would then wait for the
        # lock for ever.
        accepted = False
        try:
            # Without a limit per owner, a client can invent owners, so the pool must not schedule by them.
            pool_owner = flight.owner if self._per_owner is not None else None
            accepted = self._pool.submit(lambda: self._run(key, load), flight.done, self._group_of(key), pool_owner)
        finally:
            if not accepted:
                with self._lock:
                    self._end_load(key)
                cancel_future(flight.done)
        if not accepted:
            return Started(flight.done, 0.0, limited=not self._pool.closed)
        return Started(flight.done, self._lifetimes.timeout)

    def _end_load(self, key: K) -> None:
        """Remove the in-flight load of `key`. The caller holds the lock."""
        flight = self._in_flight.pop(key, None)
        if flight is not None:
            self._loads[flight.owner] -= 1
            if self._loads[flight.owner] <= 0:
                del self._loads[flight.owner]

    def invalidate(self, tags: Collection[Hashable], *, purge: bool = False, permanent: bool = False) -> None:
        """Invalidate all entries with one of `tags`. The next request for such an entry starts a load.

        Negative entries of absent keys are always dropped, those of failed keys if their owner is one of `tags` or
        unknown. A load in flight is repeated once if its result has one of `tags` or is an absence.

        Args:
            tags: the tags to invalidate.
            purge: True evicts the values. False serves them as stale until the load has ended.
            permanent: True also drops the permanent failures of every owner.
        """
        with self._lock:
            self._invalidate(tags, purge=purge, permanent=permanent)
            for flight in self._in_flight.values():
                flight.invalidations.append(frozenset(tags))

    def _run(self, key: K, load: Load[K, V]) -> None:
        """Load `key` and publish the result. It runs on a thread of the pool."""
        repeated = False
        while True:
            loaded: Loaded[V] | None = None
            failure: BaseException | None = None
            current = self._value_entry(key)
            begun = next(self._versions)
            try:
                loaded = load(key, current.value if current is not None else None)
            except BaseException as error:  # noqa: BLE001 - requests get the stale value or a 503, never the exception
                failure = error
            else:
                loaded = loaded and self._with_defaults(key, loaded)
            with self._lock:
                invalidations, self._in_flight[key].invalidations = self._in_flight[key].invalidations, []
                # A result may be older than an invalidation that came during the load. Then the load is repeated.
                outdated = failure is None and self._is_outdated(key, loaded, begun, invalidations)
                if outdated and not repeated:
                    repeated = True
                    continue
                self._end_load(key)
                if outdated:
                    # Outdated twice: the result is discarded, and the waiting requests start a new load. Frequent
                    # invalidations, which may concern other keys, must not occupy a thread for ever.
                    self._names.pop(key, None)
                    self._drop(key)
                else:
                    self._publish(key, loaded, failure, begun)
                break
        if failure is not None:
            self._on_failure(key, failure)

    def _with_defaults(self, key: K, loaded: Loaded[V]) -> Loaded[V]:
        """Return `loaded` with the key of its entry and its tags."""
        return loaded._replace(
            key=key if loaded.key is None else loaded.key, tags=loaded.tags or (self._owner_of(key),)
        )
