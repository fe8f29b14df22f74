"""How many requests may wait for the next permitted fetch of a key set. Anybody can send a token with an unknown kid.

A coroutine that waits costs a few kilobytes. A thread that waits serves nobody else, so few threads wait at a time,
and over a long time all of them together wait for at most a tenth of the time of one thread.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Final

_COROUTINES: Final = (100, 1_000)
_THREADS: Final = (2, 4)
"""How many wait at most for one key, and in all."""
_THREAD_SECONDS: Final = 10.0
_THREAD_SHARE: Final = 0.1
"""For how many seconds threads may wait at first, and how much of each later second is added to that."""


class Waiters:
    """Counts the requests that wait, by key. Times are seconds of `clock`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """Start with no waiters: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._waiting: dict[bool, Counter[Hashable]] = {True: Counter(), False: Counter()}
        self._seconds = _THREAD_SECONDS
        self._since = self._clock()

    @contextlib.contextmanager
    def place(self, key: Hashable, seconds: float, *, on_thread: bool) -> Iterator[bool]:
        """Whether one more request may wait for `key` for so many seconds. It counts until the context ends."""
        with self._lock:
            waiting = self._waiting[on_thread]
            for_key, in_all = _THREADS if on_thread else _COROUTINES
            allowed = waiting[key] < for_key and waiting.total() < in_all
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
