"""The entries of the cache: values by key, by name and by tag, and the negative entries.

A value may have several keys, its names. It is stored once, under the key that its load states. Every name for which
the source returned the value points to that entry. A pointer is valid only while the entry lists the name, and is
removed with the entry. A load that began before the load of the current value does not replace that value.

Entries are immutable, and are invalidated by tag, in a time that does not depend on the number of entries.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import Final, Generic

from wicket.runtime.entries import Entry, K, Lifetimes, Loaded, LoadFailed, NegativeCache, V, refresh_after

_MAX_LOADED: Final = 100_000


class EntryStore(Generic[K, V]):
    """The bounded entries of a cache. Reads of values take no lock. The private methods that write need the lock.

    Args:
        lifetimes: the lifetimes, in seconds.
        size: the maximum number of values. The oldest is evicted.
        negative_size: the maximum number of keys in the negative cache.
        clock: a monotonic clock, in seconds.
        owner: returns the owner of a key, or None if only a load can determine it.
    """

    def __init__(
        self,
        *,
        lifetimes: Lifetimes,
        size: int,
        negative_size: int,
        clock: Callable[[], float],
        owner: Callable[[K], Hashable],
    ) -> None:
        self._lifetimes = lifetimes
        self._size = size
        self._negative_size = negative_size
        self._clock = clock
        self._owner_of = owner
        self._versions = itertools.count(1)
        # Unlike a dict, an OrderedDict does not pass the keys that were deleted to find its oldest one.
        self._entries: dict[K, Entry[V]] = OrderedDict()
        self._names: dict[K, K] = {}
        self._loaded: dict[int, None] = OrderedDict()
        self.after_fork()

    def after_fork(self) -> None:
        """Keep the values. Reset the lock, which a parent's thread may have held, and the negative cache."""
        self._lock = threading.Lock()
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

    def was_loaded(self, key: K) -> bool:
        """Return whether this process has ever loaded a value of `key`, evicted or not.

        The hashes of the newest 100,000 loaded keys are kept.
        """
        return key in self._entries or hash(key) in self._loaded

    def values(self) -> list[V]:
        """Return all values, including expired ones."""
        with self._lock:
            return [entry.value for entry in self._entries.values() if entry.value is not None]

    def tagged(self, tag: Hashable) -> list[V]:
        """Return all values with this tag, including expired ones."""
        with self._lock:
            entries = [self._entries[key] for key in self._tagged.get(tag, ())]
        return [entry.value for entry in entries if entry.value is not None]

    def _invalidate(self, tags: Collection[Hashable], *, purge: bool, permanent: bool) -> None:
        """Invalidate the entries with one of `tags`. The arguments are those of `Cache.invalidate`."""
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
