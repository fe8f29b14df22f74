"""Helpers for the tests of the cache: values with names."""

from __future__ import annotations

from typing import Any

from tests.support.cache_harness import TIMES
from tests.support.unit import Clock, HandPool
from wicket.runtime.cache import Cache, Entry, Loaded


class Named:
    """A cache of values that state their key and their names. Keys in `owned` have an owner."""

    def __init__(self, size: int = 3, absent_size: int = 50, per_owner: int | None = None) -> None:
        self.clock, self.pool = Clock(), HandPool()
        self.source: dict[str, Any] = {}
        self.cache: Cache[str, Any] = Cache(
            self._load,
            pool=self.pool,
            lifetimes=TIMES,
            size=size,
            negative_size=absent_size,
            on_failure=lambda key, error: None,
            clock=self.clock,
            owner=lambda key: key if key.startswith("id") else None,
            per_owner=per_owner,
        )

    def _load(self, key: str, _: Any) -> Loaded[Any] | None:
        found = self.source[key]
        if isinstance(found, BaseException):
            raise found
        return found  # type: ignore[no-any-return]

    def start(self, key: str) -> None:
        entry = self.cache.read(key)
        assert self.cache.start(key, entry.version if entry else 0) is not None

    def load(self, key: str, found: Any) -> Entry[Any] | None:
        """Load `key` with this outcome, and return its entry."""
        self.source[key] = found
        self.start(key)
        self.pool.run()
        return self.cache.read(key)

    def run(self, *order: int) -> None:
        """Run the queued loads in this order."""
        jobs, self.pool.jobs = self.pool.jobs, []
        for number in order:
            job, done = jobs[number]
            job()
            done.set_result(None)

    def value(self, key: str) -> Any:
        return self.cache.usable(self.cache.read(key))


def app(id: str, *names: str, value: Any = None) -> Loaded[Any]:
    return Loaded(value or f"{id} with {names}", key=id, names=frozenset(names), tags=(id, *names))
