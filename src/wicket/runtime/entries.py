"""The values of the cache: the result of a load, the entry of a key, and the negative cache."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

import cachetools

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LONGEST_RETRY_AFTER: Final = 300.0
"""The longest pause that a source can ask for, in seconds."""
_AHEAD: Final = 0.8
_JITTER: Final = 0.1
_NONE: Final[frozenset[Any]] = frozenset()


class LoadFailed(Exception):
    """A load failed, and its source can describe the failure.

    Attributes:
        permanent: True if a retry cannot succeed, because the configuration is wrong.
        retry_after: the pause before the next load that the source asked for, in seconds. None if it asked for none.
    """

    permanent: bool = False
    retry_after: float | None = None


class Loaded(NamedTuple, Generic[V]):
    """The result of a successful load.

    Attributes:
        value: the loaded value.
        lifetime: the time for which the value is fresh, in seconds. None: the lifetime of the cache.
        key: the key of the entry. None: the key that was loaded.
        names: the keys that may point to the entry.
        tags: the tags that invalidate the entry. Empty: the owner of the loaded key.
    """

    value: V
    lifetime: float | None = None
    key: Any = None
    names: frozenset[Any] = _NONE
    tags: tuple[Hashable, ...] = ()


class Entry(NamedTuple, Generic[V]):
    """The state of one key. All times are in seconds of the cache's monotonic clock.

    Attributes:
        version: a number that increases with every change of any entry.
        value: the value. None in a negative entry.
        refresh_at: the time from which a request starts a load and still gets this value (refresh ahead).
        fresh_until: the end of the lifetime. In a negative entry of an absent key: the end of the entry.
        usable_until: the end of the time in which a stale value may be served (RFC 5861, stale-if-error).
        failures: the number of consecutive failed loads.
        retry_at: the time before which no load starts.
        absent: True if the source answered that the key does not exist.
        permanent: True if the last load failed permanently.
        cause: why the last load failed: what its source said, or the type of the exception. Empty: it did not fail.
        begun: the sequence number of the load that returned the value. A load with a greater number began later.
        direct: True if the source returned the value for the key of the entry itself.
        names: the keys that may point to the entry.
        tags: the tags that invalidate the entry.
    """

    version: int
    value: V | None = None
    refresh_at: float = 0.0
    fresh_until: float = 0.0
    usable_until: float = 0.0
    failures: int = 0
    retry_at: float = 0.0
    absent: bool = False
    permanent: bool = False
    begun: int = 0
    direct: bool = True
    names: frozenset[Any] = _NONE
    tags: tuple[Hashable, ...] = ()
    cause: str = ""


@dataclass(slots=True)
class InFlightLoad:
    """A load that is queued or running.

    Attributes:
        started: the time of its submission, in seconds of the cache's clock.
        owner: the owner of its key.
        done: the future that all waiting requests share.
        invalidations: the sets of tags that were invalidated since the load began.
    """

    started: float
    owner: Hashable
    done: Future[None]
    invalidations: list[frozenset[Hashable]] = field(default_factory=list)


class Started(NamedTuple):
    """A load that a request can wait for.

    Attributes:
        done: the future of the load.
        seconds: the maximum time to wait for it.
        limited: True if a limit prevented the load from starting.
    """

    done: Future[None]
    seconds: float
    limited: bool = False


class Lifetimes(NamedTuple):
    """The lifetimes of one cache, in seconds.

    Attributes:
        lifetime: the time for which a loaded value is fresh, unless its load states another.
        stale: the additional time for which a value may be served while loads fail (RFC 5861, stale-if-error).
        absent: the lifetime of a negative entry of an absent key.
        backoff_initial: the pause after the first failed load. It doubles with every further failure.
        backoff_max: the longest pause after a failed load.
        timeout: the maximum time that a request waits for a load.
    """

    lifetime: float
    stale: float
    absent: float
    backoff_initial: float
    backoff_max: float
    timeout: float

    def backoff(self, failures: int, requested: float) -> float:
        """Return the pause after a failed load, in seconds.

        Args:
            failures: the number of consecutive failed loads, at least 1.
            requested: the pause that the source asked for, in seconds. 0: none.

        Returns:
            The exponential back-off, shortened by up to 10 % at random, or the requested pause if that is longer.
        """
        pause: float = min(self.backoff_max, self.backoff_initial * 2 ** min(failures - 1, 16))
        return max(min(requested, LONGEST_RETRY_AFTER), pause * (1 - _JITTER * random.random()))


def refresh_after(lifetime: float) -> float:
    """Return the age from which a value is refreshed ahead: 70 to 80 % of its lifetime, at random."""
    return lifetime * (_AHEAD - _JITTER * random.random())


class NegativeCache(Generic[K]):
    """The negative entries: keys that are absent, and keys whose loads have failed without ever returning a value.

    It does not lock. The cache calls it while it holds its lock.

    Args:
        size: the maximum number of keys.
        times: the lifetimes of the cache. An entry is kept for as long as one of them needs it.
        clock: the monotonic clock of the cache.
        owner: returns the owner of a key, or None if only a load can determine it.
    """

    def __init__(self, size: int, times: Lifetimes, clock: Callable[[], float], owner: Callable[[K], Hashable]) -> None:
        ttl = max(times.absent, 2 * times.backoff_max, 2 * LONGEST_RETRY_AFTER)
        self._owner_of = owner
        self._entries: cachetools.TTLCache[K, Entry[Any]] = cachetools.TTLCache(size, ttl, clock)
        # Entries of lower versions are invalid. The limits apply per owner, to all owners, and to permanent failures.
        self._owner_below: cachetools.TTLCache[Hashable, int] = cachetools.TTLCache(size, ttl, clock)
        self._all_below = self._permanent_below = 0

    def get(self, key: K) -> Entry[Any] | None:
        """Return the negative entry of `key`, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        owner = self._owner_of(key)
        below = self._all_below if entry.absent or owner is None else self._owner_below.get(owner, 0)
        if entry.permanent:
            below = max(below, self._permanent_below)
        return entry if entry.version >= below else None

    def put(self, key: K, entry: Entry[Any]) -> None:
        """Store the negative entry of `key`."""
        self._entries[key] = entry

    def pop(self, key: K) -> None:
        """Remove the negative entry of `key`, if there is one."""
        self._entries.pop(key, None)

    def drop(self, version: int, tags: Collection[Hashable], *, permanent: bool) -> None:
        """Invalidate older entries, in a time that does not depend on their number.

        Args:
            version: entries of lower versions are invalidated.
            tags: the owners whose failures are invalidated. Absent keys, and failures without a known owner, always
                are.
            permanent: True also invalidates the permanent failures of every owner.
        """
        self._all_below = version
        for tag in tags:
            self._owner_below[tag] = version
        if permanent:
            self._permanent_below = version
