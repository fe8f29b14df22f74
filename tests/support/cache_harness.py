"""A cache whose clock, pool and source are controlled by the test."""

from __future__ import annotations

from typing import Any

from tests.support.unit import Clock, HandPool, loads
from wicket.runtime.cache import Cache, Entry, Lifetimes

TIMES = Lifetimes(lifetime=100, stale=1000, absent=10, backoff_initial=1, backoff_max=60, timeout=5)


class Source:
    """What a cache loads from: values by key, None for what is absent, an exception for what fails."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.asked: list[str] = []

    def __call__(self, key: str) -> Any:
        self.asked.append(key)
        value = self.values.get(key)
        if isinstance(value, BaseException):
            raise value
        return value


class Bench:
    """A cache with its clock, pool and source."""

    def __init__(self, size: int = 3, absent_size: int = 3) -> None:
        self.clock = Clock()
        self.pool = HandPool()
        self.source = Source()
        self.failures: list[tuple[str, BaseException]] = []
        self.cache: Cache[str, Any] = Cache(
            loads(self.source),
            pool=self.pool,
            lifetimes=TIMES,
            size=size,
            negative_size=absent_size,
            on_failure=lambda key, error: self.failures.append((key, error)),
            clock=self.clock,
            owner=lambda key: key,
        )

    def load(self, key: str = "a", value: Any = "value") -> Entry[Any] | None:
        """Have `key` loaded with this outcome, and what is known of it then."""
        self.source.values[key] = value
        slot = self.cache.read(key)
        self.cache.start(key, slot.version if slot else 0)
        self.pool.run()
        return self.cache.read(key)

    def patience(self, key: str = "a") -> float | None:
        return self.cache.wait_time(self.cache.read(key), 5.0, 1.0)

    def value(self, key: str = "a") -> Any:
        return self.cache.usable(self.cache.read(key))
