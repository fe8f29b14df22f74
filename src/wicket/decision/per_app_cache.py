"""Bounded caches of values that belong to apps. No app can evict the values of the others."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from wicket.config.app import App

K = TypeVar("K")
V = TypeVar("V")

_EVICTED_PART: Final = 32
"""The divisor of the number of values of an app that are evicted at once."""


class PartitionedCache(Generic[K, V]):
    """A bounded cache with one partition for each app. Reads take no lock.

    If an app has too many values, its oldest ones are evicted. If all apps together have too many, an app with more
    than an equal share loses its own oldest values, and else each app in turn loses its oldest ones.

    Args:
        total: The most values of all apps.
        per_app: The most values of one app.

    Attributes:
        partitions: The values by app ID and by key, the oldest first. It must not be changed outside this class.
    """

    def __init__(self, *, total: int, per_app: int) -> None:
        self._total = total
        self._per_app = per_app
        # Unlike a dict, an OrderedDict does not pass the keys that were deleted to find its oldest one.
        self.partitions: OrderedDict[str, dict[K, V]] = OrderedDict()
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the lock and count the values again.

        A thread of the parent process may have held the lock during the fork, while it added a value.
        """
        self._lock = threading.Lock()
        self._count = sum(len(values) for values in self.partitions.values())

    def __len__(self) -> int:
        return self._count

    def clear_app(self, app_id: str) -> None:
        """Remove all values of one app."""
        with self._lock:
            self._clear(app_id)

    def _put(self, app_id: str, key: K, value: V) -> None:
        """Add or replace a value. The caller holds the lock."""
        values = self.partitions.get(app_id)
        if values is None:
            values = self.partitions[app_id] = {}
        if key not in values:
            if self._count >= self._total or len(values) >= self._per_app:
                over_share = len(values) >= self._per_app or len(values) * len(self.partitions) > self._total
                self._evict_oldest(app_id if over_share else next(iter(self.partitions)))
                self.partitions.setdefault(app_id, values)
            self._count += 1
        values[key] = value

    def _evict_oldest(self, app_id: str) -> None:
        """Evict the oldest values of an app, and move the app to the end of the round-robin order.

        Several values of a large partition are evicted at once, because a dict passes every key that was deleted to
        find its oldest one.
        """
        values = self.partitions[app_id]
        oldest = dict(islice(values.items(), max(1, len(values) // _EVICTED_PART)))
        for key in oldest:
            del values[key]
        self._count -= len(oldest)
        if values:
            self.partitions.move_to_end(app_id)
        else:
            del self.partitions[app_id]
        self._removed(app_id, oldest)

    def _clear(self, app_id: str) -> None:
        """Remove all values of one app. The caller holds the lock."""
        values = self.partitions.pop(app_id, None)
        if values is not None:
            self._count -= len(values)
            self._removed(app_id, values)

    def _removed(self, app_id: str, values: Mapping[K, V]) -> None:
        """Called with the values of one app that were removed, by key. The caller holds the lock."""


class PerAppCache(PartitionedCache[Any, V]):
    """A partitioned cache in which a value is found without its app.

    The values of an app are dropped when a value of another revision of the app is added, so that no old `App` is kept
    alive.

    Args:
        total: The most values of all apps.
        per_app: The most values of one app.

    Attributes:
        entries: The values by key. It must not be changed outside this class.
    """

    def __init__(self, total: int, per_app: int) -> None:
        super().__init__(total=total, per_app=per_app)
        self.entries: dict[Any, V] = {}
        self._revisions: dict[str, object] = {}

    def add(self, app: App, key: object, value: V) -> None:
        """Add a value.

        Args:
            app: The app that it belongs to.
            key: The key. It is hashable.
            value: The value.
        """
        with self._lock:
            if self._revisions.get(app.id) is not app.revision:
                self._clear(app.id)
            self._put(app.id, key, value)
            self._revisions[app.id] = app.revision
            self.entries[key] = value

    def _removed(self, app_id: str, values: Mapping[Any, V]) -> None:
        for key, value in values.items():
            if self.entries.get(key) is value:  # another app may have added a value for the same key
                del self.entries[key]
        if app_id not in self.partitions:
            self._revisions.pop(app_id, None)
