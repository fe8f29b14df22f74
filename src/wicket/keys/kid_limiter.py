"""How often a `kid` that a key set lacks may cause a fetch: a small budget per source, and a memory of absent kids.

Anybody can invent a kid. Two fetches are allowed at first, then one per 30 seconds for each source, counted when they
start. A kid that a fetch did not bring is remembered until the next generation of the set, or for a minute. A token
that a fetch of its own did not help is remembered likewise.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

import cachetools

from wicket.keys.key_set import KeySetRef

_MAX_SOURCES: Final = 100_000
_MAX_KIDS: Final = 10_000
_WHOLE: Final = 1 - 1e-9
"""One fetch, less what floating-point division loses."""


class UnknownKidLimiter:
    """The budgets of all sources of one gate. `first` fetches at once, then one every `every` seconds."""

    def __init__(
        self,
        *,
        first: int,
        every: float,
        remembered: float,
        on_limited: Callable[[KeySetRef], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_spent = on_limited
        self._first = first
        self._every = every
        self._remembered = remembered
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """Start anew: a thread of the parent may have held the lock over half a change."""
        self._lock = threading.Lock()
        # A source that spent nothing for so long has its whole budget again, and needs no entry.
        self._spent: cachetools.TTLCache[KeySetRef, tuple[float, float]] = cachetools.TTLCache(
            _MAX_SOURCES, self._first * self._every, self._clock
        )
        self._absent: cachetools.TTLCache[Hashable, None] = cachetools.TTLCache(
            _MAX_KIDS, self._remembered, self._clock
        )

    def try_acquire(self, source: KeySetRef, kid: str, version: int) -> bool:
        """Whether a fetch may be started for `kid`; if so, it is counted. False for a kid known to be absent."""
        with self._lock:
            if (source, version, _short(kid)) in self._absent:
                return False
            now = self._clock()
            left = self._left(source, now)
            if left >= _WHOLE:
                self._spent[source] = (left - 1, now)
                return True
        self._on_spent(source)
        return False

    def refund(self, source: KeySetRef) -> None:
        """Take back one counted fetch, which a limit of this process did not allow to start."""
        with self._lock:
            now = self._clock()
            self._spent[source] = (min(float(self._first), self._left(source, now) + 1), now)

    def is_absent(self, source: KeySetRef, kid: str, version: int) -> bool:
        """Whether it is remembered that the set of this version does not have `kid`."""
        with self._lock:
            return (source, version, _short(kid)) in self._absent

    def due_in(self, source: KeySetRef) -> float:
        """In how many seconds the next fetch is permitted; 0 if one is permitted now."""
        with self._lock:
            return max(0.0, (1 - self._left(source, self._clock())) * self._every)

    def _left(self, source: KeySetRef, now: float) -> float:
        left, since = self._spent.get(source, (float(self._first), now))
        return min(float(self._first), left + (now - since) / self._every)

    def remember(self, source: KeySetRef, kid: str, version: int) -> None:
        """Note that the set of this version does not have `kid`."""
        with self._lock:
            self._absent[source, version, _short(kid)] = None


def _short(kid: str) -> bytes:
    """A kid may be as long as a token; what is remembered of it may not."""
    return hashlib.blake2b(kid.encode("utf-8", "replace"), digest_size=16).digest()
