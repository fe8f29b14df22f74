"""A bounded cache of values that belong to apps. No app can evict the values of the others."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar

from wicket.config.app import App

V = TypeVar("V")


class _Keys(NamedTuple):
    """The keys of one app, the oldest first, and the `App.revision` that they belong to."""

    revision: object
    keys: OrderedDict[Any, None]


class PerAppCache(Generic[V]):
    """A bounded cache. Reads take no lock.

    The values of an app are dropped when a value of another revision of the app is added, so that no old `App` is kept
    alive. If an app has too many values, its oldest one is evicted. If all apps together have too many, each app in
    turn loses its oldest one.

    Args:
        total: The most values of all apps.
        per_app: The most values of one app.

    Attributes:
        entries: The values by key. It must not be changed outside this class.
    """

    def __init__(self, total: int, per_app: int) -> None:
        self._total = total
        self._per_app = per_app
        self.entries: dict[Any, V] = {}
        self._apps: OrderedDict[str, _Keys] = OrderedDict()
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the lock in a forked child, because a thread of the parent may have held it."""
        self._lock = threading.Lock()

    def add(self, app: App, key: object, value: V) -> None:
        """Add a value.

        Args:
            app: The app that it belongs to.
            key: The key. It is hashable.
            value: The value.
        """
        with self._lock:
            held = self._apps.get(app.id)
            if held is not None and held.revision is not app.revision:
                self._clear(app.id)
                held = None
            if held is not None and len(held.keys) >= self._per_app and key not in held.keys:
                self._evict(app.id)
            elif len(self.entries) >= self._total and key not in self.entries:
                self._evict(next(iter(self._apps)))
            keys = self._apps.setdefault(app.id, _Keys(app.revision, OrderedDict())).keys
            keys[key] = None
            self.entries[key] = value

    def clear_app(self, app_id: str) -> None:
        """Remove all values of one app."""
        with self._lock:
            self._clear(app_id)

    def _clear(self, app_id: str) -> None:
        held = self._apps.pop(app_id, None)
        for key in held.keys if held is not None else ():
            self.entries.pop(key, None)

    def _evict(self, app_id: str) -> None:
        """Evict the oldest value of an app, and move the app to the end of the round-robin order."""
        keys = self._apps[app_id].keys
        key, _ = keys.popitem(last=False)
        self.entries.pop(key, None)
        if keys:
            self._apps.move_to_end(app_id)
        else:
            del self._apps[app_id]
