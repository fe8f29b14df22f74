"""A token bucket per key set for fetches that an unknown `kid` causes, and a negative cache of absent `kid`s.

Any client can send a token with an invented `kid`. Each source allows a burst of fetches, then one fetch per interval.
A fetch is counted when it starts. A `kid` that a fetch did not return is kept as absent until the next version of the
key set, or until its lifetime ends. The same applies to a token for which a fetch was made without success.
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
"""One fetch, minus the rounding error of the floating-point division."""


class UnknownKidLimiter:
    """The token buckets and the negative cache of all sources of one gate. It is thread-safe.

    Args:
        burst: the number of fetches that a source allows at once.
        interval: the time after which one more fetch is allowed, in seconds.
        negative_lifetime: the lifetime of an absent `kid`, in seconds.
        on_limited: called with the source when a fetch is not allowed.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        *,
        burst: int,
        interval: float,
        negative_lifetime: float,
        on_limited: Callable[[KeySetRef], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_limited = on_limited
        self._burst = burst
        self._interval = interval
        self._negative_lifetime = negative_lifetime
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """Reset all buckets and the negative cache: a thread of the parent may have held the lock during a change."""
        self._lock = threading.Lock()
        # A source without a fetch for this time has a full bucket again, so its entry can be evicted.
        self._buckets: cachetools.TTLCache[KeySetRef, tuple[float, float]] = cachetools.TTLCache(
            _MAX_SOURCES, self._burst * self._interval, self._clock
        )
        self._absent: cachetools.TTLCache[Hashable, None] = cachetools.TTLCache(
            _MAX_KIDS, self._negative_lifetime, self._clock
        )

    def try_acquire(self, source: KeySetRef, kid: str, version: int) -> bool:
        """Take one fetch from the bucket of a source, if it contains one.

        Args:
            source: the key set.
            kid: the unknown `kid`, or a token.
            version: the version of the cached key set.

        Returns:
            True if the fetch is allowed. It is then counted. False if the bucket is empty or `kid` is known to be
            absent.
        """
        with self._lock:
            if (source, version, _digest(kid)) in self._absent:
                return False
            now = self._clock()
            available = self._available(source, now)
            if available >= _WHOLE:
                self._buckets[source] = (available - 1, now)
                return True
        self._on_limited(source)
        return False

    def refund(self, source: KeySetRef) -> None:
        """Return one fetch to the bucket, if a limit of this process prevented it from starting."""
        with self._lock:
            now = self._clock()
            self._buckets[source] = (min(float(self._burst), self._available(source, now) + 1), now)

    def is_absent(self, source: KeySetRef, kid: str, version: int) -> bool:
        """Return whether `kid` is known to be absent from this version of the key set.

        Args:
            source: the key set.
            kid: the `kid`, or a token.
            version: the version of the cached key set.
        """
        with self._lock:
            return (source, version, _digest(kid)) in self._absent

    def due_in(self, source: KeySetRef) -> float:
        """Return the seconds until the next fetch of this source is allowed. 0: one is allowed now."""
        with self._lock:
            return max(0.0, (1 - self._available(source, self._clock())) * self._interval)

    def _available(self, source: KeySetRef, now: float) -> float:
        """Return the content of the bucket. The caller holds the lock."""
        available, since = self._buckets.get(source, (float(self._burst), now))
        return min(float(self._burst), available + (now - since) / self._interval)

    def add_absent(self, source: KeySetRef, kid: str, version: int) -> None:
        """Record that `kid` is absent from this version of the key set.

        Args:
            source: the key set.
            kid: the `kid`, or a token.
            version: the version of the cached key set.
        """
        with self._lock:
            self._absent[source, version, _digest(kid)] = None


def _digest(kid: str) -> bytes:
    """Return a digest of 16 bytes, because a `kid` can be as long as a token."""
    return hashlib.blake2b(kid.encode("utf-8", "replace"), digest_size=16).digest()
