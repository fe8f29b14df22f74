"""The values of the cache: what a load brings, what is known of a key, and the negative entries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

import cachetools

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LONGEST_RETRY_AFTER: Final = 300.0
_NONE: Final[frozenset[Any]] = frozenset()


class LoadFailed(Exception):
    """A load that failed in a way that its source can describe.

    `permanent`: trying again will not mend it, the configuration is wrong. `retry_after`: the seconds after which the
    source itself asked to be tried again.
    """

    permanent: bool = False
    retry_after: float | None = None


class Loaded(NamedTuple, Generic[V]):
    """What a load brought, and for how many seconds it is fresh; None leaves that to the cache.

    `key` is the key under which the value is held, by default the one that was loaded. `names` are the keys that may
    point to it. It is invalidated by any of `tags`, by default by the owner of its key.
    """

    value: V
    lifetime: float | None = None
    key: Any = None
    names: frozenset[Any] = _NONE
    tags: tuple[Hashable, ...] = ()


class Entry(NamedTuple, Generic[V]):
    """What is known of one key. Times are of the cache's monotonic clock, in seconds.

    `begun` numbers the load that brought the value: a greater number began later. `direct` says that the source
    returned the value for the key under which it is held. `names` and `tags` are those of `Loaded`.
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


@dataclass(slots=True)
class InFlightLoad:
    """A load under way: since when, for whom, what to wait for, and the tags that were invalidated meanwhile."""

    started: float
    owner: Hashable
    done: Future[None]
    invalidations: list[frozenset[Hashable]] = field(default_factory=list)


class Started(NamedTuple):
    """A load to wait for, and for how many seconds at the most; `limited` if a limit did not allow it to start."""

    done: Future[None]
    seconds: float
    limited: bool = False


class Lifetimes(NamedTuple):
    """The lifetimes of one cache, in seconds: see the rules at the head of the file."""

    lifetime: float
    stale: float
    absent: float
    backoff_initial: float
    backoff_max: float
    timeout: float


class NegativeCache(Generic[K]):
    """The keys that have no value: absent, or failing from the start. The cache's lock guards it.

    At most `size` keys are remembered, each for as long as `times` may need it. `owner` is that of the cache.
    """

    def __init__(self, size: int, times: Lifetimes, clock: Callable[[], float], owner: Callable[[K], Hashable]) -> None:
        kept = max(times.absent, 2 * times.backoff_max, 2 * LONGEST_RETRY_AFTER)
        self._key_for_issuer = owner
        self._entries: cachetools.TTLCache[K, Entry[Any]] = cachetools.TTLCache(size, kept, clock)
        # Slots of lower versions no longer count: of one owner, of all, and those that fail permanently.
        self._dropped: cachetools.TTLCache[Hashable, int] = cachetools.TTLCache(size, kept, clock)
        self._all_below = self._permanent_below = 0

    def get(self, key: K) -> Entry[Any] | None:
        """What is known of `key`."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        owner = self._key_for_issuer(key)
        below = self._all_below if entry.absent or owner is None else self._dropped.get(owner, 0)
        if entry.permanent:
            below = max(below, self._permanent_below)
        return entry if entry.version >= below else None

    def put(self, key: K, entry: Entry[Any]) -> None:
        """Remember that `key` has no value."""
        self._entries[key] = entry

    def pop(self, key: K) -> None:
        """Forget `key`."""
        self._entries.pop(key, None)

    def drop(self, version: int, tags: Collection[Hashable], *, permanent: bool) -> None:
        """Forget what was put before `version`: see `Cache.invalidate`. It takes no longer for many keys than for few."""
        self._all_below = version
        for tag in tags:
            self._dropped[tag] = version
        if permanent:
            self._permanent_below = version
