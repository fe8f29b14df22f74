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

A value may have several keys, its names. It is stored once, under the key that its load states. Every name for which
the source returned the value points to that entry. A pointer is valid only while the entry lists the name, and is
removed with the entry. A load that began before the load of the current value does not replace that value.

Entries are invalidated by tag, in a time that does not depend on the number of entries.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future
from typing import Any, Final, Generic

from wicket.runtime.entries import Entry as Entry
from wicket.runtime.entries import InFlightLoad, K, NegativeCache, V, refresh_after
from wicket.runtime.entries import Lifetimes as Lifetimes
from wicket.runtime.entries import Loaded as Loaded
from wicket.runtime.entries import LoadFailed as LoadFailed
from wicket.runtime.entries import Started as Started
from wicket.runtime.pool import Pool, cancel_future

_MAX_LOADED: Final = 100_000

Load = Callable[[K, V | None], Loaded[V] | None]
"""A load function. It receives the key and the current value, or None."""


class Cache(Generic[K, V]):
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
        self._load = load
        self._load_on = load_on
        self._group_of = group
        self._owner_of = owner
        self._per_owner = per_owner
        self._pool = pool
        self._lifetimes = lifetimes
        self._size = size
        self._on_failure = on_failure
        self._clock = clock
        self._versions = itertools.count(1)
        self._negative_size = negative_size
        self._entries: dict[K, Entry[V]] = {}
        self._names: dict[K, K] = {}
        self._loaded: dict[int, None] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Keep the values. Reset the lock, which a parent's thread may have held, the loads and the negative cache."""
        self._lock = threading.Lock()
        self._in_flight: dict[K, InFlightLoad] = {}
        self._loads: Counter[Hashable] = Counter()
        self._tagged: dict[Hashable, dict[K, None]] = {}
        for key, entry in self._entries.items():
            self._tag(key, entry)
        self._negative = NegativeCache[K](self._negative_size, self._lifetimes, self._clock, self._owner_of)

    def read(self, key: K) -> Entry[V] | None:
        """Return the entry of `key`, positive or negative, or None. It starts no load."""
        entry = self._value_entry(key)
        if entry is None:
            with self._lock:  # look again: a load that is being published removes the old entry first
                entry = self._any_entry(key)
        return entry

    def fresh_entry(self, key: K) -> Entry[V] | None:
        """Return the entry of `key` if its value is fresh and no load of it is due, else None. It takes no lock."""
        entry = self._value_entry(key)
        return entry if entry is not None and self._clock() < entry.refresh_at else None

    def _value_entry(self, key: K) -> Entry[V] | None:
        """Return the entry with a value for `key`, directly or by a pointer, or None."""
        entry = self._entries.get(key)
        if entry is not None and entry.direct:
            return entry
        target = self._names.get(key)
        if target is not None:
            entry = self._entries.get(target)
            if entry is not None and key in entry.names:
                return entry
        return None

    def _any_entry(self, key: K) -> Entry[V] | None:
        """Return the entry of `key`, positive or negative, or None. The caller holds the lock."""
        return self._value_entry(key) or self._negative.get(key)

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

    def was_loaded(self, key: K) -> bool:
        """Return whether this process has ever loaded a value of `key`, evicted or not.

        The hashes of the newest 100,000 loaded keys are kept.
        """
        return key in self._entries or hash(key) in self._loaded

    def retry_after(self, entry: Entry[V] | None) -> int:
        """Return the whole seconds after which a refused request may be repeated, at least 1 (`Retry-After`)."""
        return max(1, round(entry.retry_at - self._clock())) if entry else 1

    def values(self) -> list[V]:
        """Return all values, including expired ones."""
        with self._lock:
            return [entry.value for entry in self._entries.values() if entry.value is not None]

    def tagged(self, tag: Hashable) -> list[V]:
        """Return all values with this tag, including expired ones."""
        with self._lock:
            entries = [self._entries[key] for key in self._tagged.get(tag, ())]
        return [entry.value for entry in entries if entry.value is not None]

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
            for key in [key for tag in tags for key in self._tagged.get(tag, ())]:
                entry = self._entries.get(key)
                if entry is not None and purge:
                    self._drop(key)
                elif entry is not None:
                    # The version stays the same, so a request that has read the entry does not take it for a newer one.
                    self._entries[key] = entry._replace(
                        refresh_at=0.0, fresh_until=0.0, failures=0, retry_at=0.0, permanent=False, cause=""
                    )
            self._negative.drop(next(self._versions), tags, permanent=permanent)
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

    def _is_outdated(
        self, key: K, loaded: Loaded[V] | None, begun: int, invalidations: list[frozenset[Hashable]]
    ) -> bool:
        """Return whether a result may be older than an invalidation, or than a value that does not list the name."""
        if loaded is None:
            return bool(invalidations)
        if not all(tags.isdisjoint(loaded.tags) for tags in invalidations):
            return True
        newer = self._entries.get(loaded.key)
        return newer is not None and newer.begun > begun and key != loaded.key and key not in newer.names

    def _publish(self, key: K, loaded: Loaded[V] | None, failure: BaseException | None, begun: int) -> None:
        """Store the outcome of a load. The caller holds the lock."""
        if failure is not None:
            self._publish_failure(key, failure, begun)
        elif loaded is None:
            self._publish_absence(key, begun)
        else:
            self._publish_value(key, loaded, begun)

    def _publish_failure(self, key: K, failure: BaseException, begun: int) -> None:
        """Record a failed load: count it and set the back-off. The value stays."""
        version = next(self._versions)
        current = self._value_entry(key)
        previous = current or self._any_entry(key)
        failures = previous.failures + 1 if previous else 1
        permanent, requested, cause = False, 0.0, type(failure).__name__
        if isinstance(failure, LoadFailed):
            permanent, requested, cause = failure.permanent, failure.retry_after or 0.0, str(failure) or cause
        retry_at = self._clock() + self._lifetimes.backoff(failures, requested)
        if current is not None and current.begun <= begun:
            target = key if self._entries.get(key) is current else self._names[key]
            self._entries[target] = current._replace(
                version=version, failures=failures, retry_at=retry_at, permanent=permanent, cause=cause
            )
        elif current is None:
            self._negative.put(
                key, Entry(version, failures=failures, retry_at=retry_at, permanent=permanent, cause=cause)
            )

    def _publish_absence(self, key: K, begun: int) -> None:
        """Record that `key` does not exist. A value of an older load is evicted."""
        now, version = self._clock(), next(self._versions)
        self._negative.pop(key)
        self._names.pop(key, None)
        current = self._entries.get(key)
        if current is not None and current.direct and current.begun <= begun:
            self._drop(key)
        if self._value_entry(key) is None:
            until = now + self._lifetimes.absent
            self._negative.put(key, Entry(version, None, until, until, until, absent=True))

    def _publish_value(self, key: K, loaded: Loaded[V], begun: int) -> None:
        """Store a loaded value, unless a newer load has stored one."""
        lifetimes, now, version = self._lifetimes, self._clock(), next(self._versions)
        self._negative.pop(key)
        target, direct = loaded.key, key == loaded.key
        self._loaded.pop(hash(target), None)
        self._loaded[hash(target)] = None
        if len(self._loaded) > _MAX_LOADED:
            del self._loaded[next(iter(self._loaded))]
        self._names.pop(key, None)
        if not direct:
            self._names[key] = target
        previous = self._entries.get(target)
        if previous is not None and previous.begun > begun:
            self._entries[target] = previous._replace(direct=previous.direct or direct)
            return
        self._drop(target, keep=loaded.names)
        while len(self._entries) >= self._size:
            self._drop(next(iter(self._entries)))
        lifetime = lifetimes.lifetime if loaded.lifetime is None else loaded.lifetime
        fresh_until = now + lifetime
        self._entries[target] = entry = Entry(
            *(version, loaded.value, now + refresh_after(lifetime), fresh_until, fresh_until + lifetimes.stale),
            begun=begun,
            direct=direct or (previous is not None and previous.direct),
            names=loaded.names,
            tags=loaded.tags,
        )
        self._tag(target, entry)

    def _tag(self, key: K, entry: Entry[V]) -> None:
        for tag in entry.tags:
            self._tagged.setdefault(tag, {})[key] = None

    def _drop(self, key: K, keep: Collection[K] = ()) -> None:
        """Remove the value of `key`, if any, and the pointers to it except `keep`. The caller holds the lock."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for name in entry.names:
            if name not in keep and self._names.get(name) == key:
                del self._names[name]
        for tag in entry.tags:
            keys = self._tagged[tag]
            keys.pop(key, None)
            if not keys:
                del self._tagged[tag]
