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

A value may have several keys, its names. It is held once, under the key that its load states, and each name for which
the source returned it points there. A pointer counts only while the held value lists the name, and ends with the entry.
A load that began before the one that brought the held value does not replace it.

An entry is invalidated by its tags, in a time that does not depend on how many entries are held.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future
from typing import Final, Generic

from wicket.runtime.entries import LONGEST_RETRY_AFTER, InFlightLoad, K, NegativeCache, V
from wicket.runtime.entries import Entry as Entry
from wicket.runtime.entries import Lifetimes as Lifetimes
from wicket.runtime.entries import Loaded as Loaded
from wicket.runtime.entries import LoadFailed as LoadFailed
from wicket.runtime.entries import Started as Started
from wicket.runtime.pool import Pool, cancel_future

_AHEAD: Final = 0.8
_JITTER: Final = 0.1
_MAX_LOADED: Final = 100_000


class Cache(Generic[K, V]):
    """Bounded, single-flight, with soft and hard lifetimes.

    `load` runs on `pool` and may block; it is given the key and the value that is held, returns what it loaded, or None
    where there is no such thing, and raises where it cannot tell. What it raises is handed to `on_failure` and kept
    out of everything else. `lane` says for a key with what it shares the pool's threads. `owner` says to whom a key
    belongs, or None where only its load tells; of one owner at most `per_owner` loads are under way at a time.
    """

    def __init__(
        self,
        load: Callable[[K, V | None], Loaded[V] | None],
        *,
        pool: Pool,
        times: Lifetimes,
        size: int,
        absent_size: int,
        on_failure: Callable[[K, BaseException], None],
        clock: Callable[[], float] = time.monotonic,
        lane: Callable[[K], Hashable] = lambda key: None,
        owner: Callable[[K], Hashable] = lambda key: None,
        per_owner: int | None = None,
    ) -> None:
        self._load = load
        self._lane = lane
        self._key_for_issuer = owner
        self._per_owner = per_owner
        self._pool = pool
        self._times = times
        self._size = size
        self._on_failure = on_failure
        self._clock = clock
        self._versions = itertools.count(1)
        self._absent_size = absent_size
        self._entries: dict[K, Entry[V]] = {}
        self._names: dict[K, K] = {}
        self._loaded: dict[int, None] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Keep what was loaded; drop the loads and the locked store, which a thread of the parent may have held."""
        self._lock = threading.Lock()
        self._flights: dict[K, InFlightLoad] = {}
        self._loads: Counter[Hashable] = Counter()
        self._tagged: dict[Hashable, dict[K, None]] = {}
        for key, entry in self._entries.items():
            self._tag(key, entry)
        self._negative: NegativeCache[K] = NegativeCache(
            self._absent_size, self._times, self._clock, self._key_for_issuer
        )

    def read(self, key: K) -> Entry[V] | None:
        """What is known of `key`, without starting anything."""
        entry = self._held(key)
        if entry is None:
            with self._lock:  # again: a load that is being published takes the old entry out first
                entry = self._known(key)
        return entry

    def _held(self, key: K) -> Entry[V] | None:
        """The entry with a value that `key` leads to."""
        entry = self._entries.get(key)
        if entry is not None and entry.direct:
            return entry
        home = self._names.get(key)
        if home is not None:
            entry = self._entries.get(home)
            if entry is not None and key in entry.names:
                return entry
        return None

    def _known(self, key: K) -> Entry[V] | None:
        """As `read`; the lock is held."""
        return self._held(key) or self._negative.get(key)

    def wait_time(self, entry: Entry[V] | None, timeout: float, stale_timeout: float) -> float | None:
        """How long a request should wait for a newer `slot`: None, not at all; 0, start a load but do not wait."""
        if entry is None:
            return timeout
        now = self._clock()
        if now < entry.refresh_at or now < entry.retry_at:
            return None
        if now < entry.fresh_until:
            return 0.0
        return stale_timeout if now < entry.usable_until else timeout

    def usable(self, entry: Entry[V] | None) -> V | None:
        """The value of `slot`, if it may still serve."""
        if entry is None or self._clock() >= entry.usable_until:
            return None
        return entry.value

    def is_absent(self, entry: Entry[V] | None) -> bool:
        """Whether the source said, not long ago, that there is no such thing."""
        return entry is not None and entry.absent and self._clock() < entry.fresh_until

    def now(self) -> float:
        """The cache's monotonic clock, in seconds."""
        return self._clock()

    def was_loaded(self, key: K) -> bool:
        """Whether this process has had a value of `key`, evicted or not. The newest 100,000 hashes are remembered."""
        return key in self._entries or hash(key) in self._loaded

    def retry_after(self, entry: Entry[V] | None) -> int:
        """In how many whole seconds a request that was turned away may come again; at least 1."""
        return max(1, round(entry.retry_at - self._clock())) if entry else 1

    def values(self) -> list[V]:
        """All that is held, old or not."""
        with self._lock:
            return [entry.value for entry in self._entries.values() if entry.value is not None]

    def tagged(self, tag: Hashable) -> list[V]:
        """The values that are held with this tag, old or not."""
        with self._lock:
            slots = [self._entries[key] for key in self._tagged.get(tag, ())]
        return [entry.value for entry in slots if entry.value is not None]

    def loading(self, key: K) -> bool:
        """Whether a load of `key` is under way."""
        return key in self._flights

    def start(self, key: K, seen: int) -> Started | None:
        """Bring `key` up to date unless its version moved on from `seen`; join the load that runs, if one does.

        Returns what to wait for and how long at the most: a load that hangs is waited for once, not by every
        request anew. None where there is nothing to wait for. `limited` where the owner of `key` has as many loads
        under way as it may have, or the pool does not take another.
        """
        with self._lock:
            now = self._clock()
            entry = self._known(key)
            if entry is not None and (entry.version != seen or now < entry.retry_at):
                return None
            flight = self._flights.get(key)
            joined = flight is not None
            if flight is None:
                owner = self._key_for_issuer(key)
                flight = InFlightLoad(now, owner, Future())
                if self._per_owner is not None and self._loads[owner] >= self._per_owner:
                    return Started(flight.done, 0.0, limited=True)
                self._flights[key] = flight
                self._loads[owner] += 1
        if joined:
            self._pool.prioritize(flight.done)
            return Started(flight.done, max(0.0, flight.started + self._times.timeout - now))
        # Without the lock: starting a thread may hand control to it, and under gevent nobody would hand it back.
        taken = False
        try:
            # Where owners are unlimited, anybody can invent one: they take no turns.
            turn = flight.owner if self._per_owner is not None else None
            taken = self._pool.submit(lambda: self._run(key), flight.done, self._lane(key), turn)
        finally:
            if not taken:
                with self._lock:
                    self._ended(key)
                cancel_future(flight.done)
        if not taken:
            return Started(flight.done, 0.0, limited=not self._pool.closed)
        return Started(flight.done, self._times.timeout)

    def _ended(self, key: K) -> None:
        """No load of `key` is under way any longer; the lock is held."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            self._loads[flight.owner] -= 1
            if self._loads[flight.owner] <= 0:
                del self._loads[flight.owner]

    def invalidate(self, tags: Collection[Hashable], *, purge: bool = False, permanent: bool = False) -> None:
        """Load every entry with one of `tags` again at its next request; purged ones are not served in the meantime.

        Negative entries are dropped: all that are absent, those that fail if their owner is one of `tags` or unknown,
        and, with `permanent`, those of every owner that fail permanently. A load under way is repeated once if its
        result has one of `tags` or is an absence.
        """
        with self._lock:
            for key in [key for tag in tags for key in self._tagged.get(tag, ())]:
                entry = self._entries.get(key)
                if entry is not None and purge:
                    self._drop(key)
                elif entry is not None:
                    # The version stays: a request that saw the entry before must not take this for a newer one.
                    self._entries[key] = entry._replace(
                        refresh_at=0.0, fresh_until=0.0, failures=0, retry_at=0.0, permanent=False
                    )
            self._negative.drop(next(self._versions), tags, permanent=permanent)
            for flight in self._flights.values():
                flight.invalidations.append(frozenset(tags))

    def _run(self, key: K) -> None:
        again = False
        while True:
            loaded: Loaded[V] | None = None
            failure: BaseException | None = None
            held = self._held(key)
            begun = next(self._versions)
            try:
                loaded = self._load(key, held.value if held is not None else None)
            except BaseException as error:  # noqa: BLE001 - whatever a source raises, its users are served or told 503
                failure = error
            else:
                loaded = loaded and self._filed(key, loaded)
            with self._lock:
                invalidations, self._flights[key].invalidations = self._flights[key].invalidations, []
                # What was loaded before a demand to forget it may be older than the demand: it is loaded once more.
                late = self._overtaken(key, loaded, begun, invalidations)
                if failure is None and late and not again:
                    again = True
                    continue
                self._ended(key)
                if failure is None and late:
                    # Too old twice: nobody believes it, and whoever waited asks anew. A storm of demands, which may
                    # be about others, does not keep a thread at it for ever.
                    self._names.pop(key, None)
                    self._drop(key)
                else:
                    self._publish(key, loaded, failure, begun)
                break
        if failure is not None:
            self._on_failure(key, failure)

    def _filed(self, key: K, loaded: Loaded[V]) -> Loaded[V]:
        """`loaded` with the key under which it is held, and its tags."""
        return loaded._replace(
            key=key if loaded.key is None else loaded.key, tags=loaded.tags or (self._key_for_issuer(key),)
        )

    def _overtaken(
        self, key: K, loaded: Loaded[V] | None, begun: int, invalidations: list[frozenset[Hashable]]
    ) -> bool:
        """Whether the result of a load may be older than a demand, or than a value that does not list its name."""
        if loaded is None:
            return bool(invalidations)
        if not all(demand.isdisjoint(loaded.tags) for demand in invalidations):
            return True
        newer = self._entries.get(loaded.key)
        return newer is not None and newer.begun > begun and key != loaded.key and key not in newer.names

    def _publish(self, key: K, loaded: Loaded[V] | None, failure: BaseException | None, begun: int = 0) -> None:
        times, now, version = self._times, self._clock(), next(self._versions)
        if failure is not None:
            held = self._held(key)
            before = held or self._known(key)
            failures = before.failures + 1 if before else 1
            pause = min(times.backoff_max, times.backoff_initial * 2 ** min(failures - 1, 16))
            permanent, asked = False, 0.0
            if isinstance(failure, LoadFailed):
                permanent, asked = failure.permanent, failure.retry_after or 0.0
            retry_at = now + max(min(asked, LONGEST_RETRY_AFTER), pause * (1 - _JITTER * random.random()))
            if held is not None and held.begun <= begun:
                home = key if self._entries.get(key) is held else self._names[key]
                self._entries[home] = held._replace(
                    version=version, failures=failures, retry_at=retry_at, permanent=permanent
                )
            elif held is None:
                self._negative.put(key, Entry(version, failures=failures, retry_at=retry_at, permanent=permanent))
            return
        self._negative.pop(key)
        if loaded is None:
            self._names.pop(key, None)
            held = self._entries.get(key)
            if held is not None and held.direct and held.begun <= begun:
                self._drop(key)
            if self._held(key) is None:
                until = now + times.absent
                self._negative.put(key, Entry(version, None, until, until, until, absent=True))
            return
        home, direct = loaded.key, key == loaded.key
        self._loaded.pop(hash(home), None)
        self._loaded[hash(home)] = None
        if len(self._loaded) > _MAX_LOADED:
            del self._loaded[next(iter(self._loaded))]
        self._names.pop(key, None)
        if not direct:
            self._names[key] = home
        before = self._entries.get(home)
        if before is not None and before.begun > begun:
            self._entries[home] = before._replace(direct=before.direct or direct)
            return
        self._drop(home, keep=loaded.names)
        while len(self._entries) >= self._size:
            self._drop(next(iter(self._entries)))
        lifetime = times.lifetime if loaded.lifetime is None else loaded.lifetime
        ahead = lifetime * (_AHEAD - _JITTER * random.random())
        fresh_until = now + lifetime
        self._entries[home] = entry = Entry(
            *(version, loaded.value, now + ahead, fresh_until, fresh_until + times.stale),
            begun=begun,
            direct=direct or (before is not None and before.direct),
            names=loaded.names,
            tags=loaded.tags,
        )
        self._tag(home, entry)

    def _tag(self, key: K, entry: Entry[V]) -> None:
        for tag in entry.tags:
            self._tagged.setdefault(tag, {})[key] = None

    def _drop(self, key: K, keep: Collection[K] = ()) -> None:
        """Take out an entry with a value, if there is one, and the pointers to it but for `keep`; the lock is held."""
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
