"""Limits on the number of requests that wait for the next allowed fetch of a key set.

Any client can send a token with an unknown `kid`. A waiting coroutine costs a few kilobytes. A waiting thread serves no
other request. Therefore few threads may wait at the same time, and all waiting threads together use at most a tenth of
the time of one thread in the long term.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Final

_COROUTINES: Final = (100, 1_000)
"""The maximum number of waiting coroutines, per key and in total."""
_THREADS: Final = (2, 4)
"""The maximum number of waiting threads, per key and in total."""
_THREAD_SECONDS: Final = 10.0
"""The maximum time in seconds that threads may wait in a burst."""
_THREAD_SHARE: Final = 0.1
"""The waiting time in seconds that is added for each second that passes."""


class Waiters:
    """Counts the waiting requests of each key. It is thread-safe.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """Reset all counts: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._waiting: dict[bool, Counter[Hashable]] = {True: Counter(), False: Counter()}
        self._seconds = _THREAD_SECONDS
        self._since = self._clock()

    @contextlib.contextmanager
    def place(self, key: Hashable, seconds: float, *, on_thread: bool) -> Iterator[bool]:
        """Enter a context in which one more request waits.

        Args:
            key: the key set for which the request waits.
            seconds: the planned wait.
            on_thread: True if the request blocks a thread, False for a coroutine.

        Yields:
            True if the request may wait. It is counted until the context ends. False if a limit is reached.
        """
        with self._lock:
            waiting = self._waiting[on_thread]
            per_key, total = _THREADS if on_thread else _COROUTINES
            allowed = waiting[key] < per_key and waiting.total() < total
            if allowed and on_thread:
                now = self._clock()
                self._seconds = min(_THREAD_SECONDS, self._seconds + (now - self._since) * _THREAD_SHARE)
                self._since = now
                allowed = self._seconds >= seconds
                self._seconds -= seconds if allowed else 0.0
            if allowed:
                waiting[key] += 1
        try:
            yield allowed
        finally:
            if allowed:
                with self._lock:
                    waiting[key] -= 1
                    if not waiting[key]:
                        del waiting[key]
