"""A bounded cache of values that belong to apps: shares, eviction, and old versions of an app."""

from __future__ import annotations

from tests.support.unit import acme
from wicket import App
from wicket.decision.per_app_cache import PerAppCache


def test_per_app_cache_app_over_its_share_loses_its_oldest_value() -> None:
    cache: PerAppCache[int] = PerAppCache(10, 2)
    busy, quiet = acme(), App("quiet")
    cache.add(quiet, "q", 0)
    for number in range(5):
        cache.add(busy, number, number)
    assert cache.entries == {"q": 0, 3: 3, 4: 4}


def test_per_app_cache_full_apps_lose_values_in_turn() -> None:
    cache: PerAppCache[str] = PerAppCache(4, 3)
    first, second, third = App("first"), App("second"), App("third")
    for app in (first, second):
        for number in (1, 2):
            cache.add(app, (app.id, number), app.id)
    cache.add(third, "third", "third")
    assert set(cache.entries) == {("first", 2), ("second", 1), ("second", 2), "third"}
    cache.add(third, "another", "third")
    assert set(cache.entries) == {("first", 2), ("second", 2), "third", "another"}
    cache.add(third, "last", "third")
    assert set(cache.entries) == {("first", 2), ("second", 2), "another", "last"}, "two of four is more than its share"
    cache.add(first, "more", "first")
    assert set(cache.entries) == {("second", 2), "another", "last", "more"}


def test_per_app_cache_other_version_of_app_drops_older_values() -> None:
    cache: PerAppCache[App] = PerAppCache(10, 10)
    for _ in range(3):
        app = acme()
        cache.add(app, "one", app)
        cache.add(app, object(), app)
    assert len(cache.entries) == 2
    assert set(map(id, cache.entries.values())) == {id(app)}


def test_per_app_cache_many_values_oldest_ones_evicted_at_once() -> None:
    cache: PerAppCache[int] = PerAppCache(200, 100)
    app = acme()
    for number in range(101):
        cache.add(app, number, number)
    assert set(cache.entries) == set(range(3, 101))
    assert len(cache) == 98


def test_per_app_cache_key_taken_over_by_other_app_kept_when_first_app_is_cleared() -> None:
    cache: PerAppCache[str] = PerAppCache(10, 10)
    first, second = App("first"), App("second")
    cache.add(first, "key", "of first")
    cache.add(second, "key", "of second")
    cache.clear_app("first")
    assert cache.entries == {"key": "of second"}


def test_per_app_cache_evicted_app_returns_in_same_revision_keeps_its_values() -> None:
    cache: PerAppCache[int] = PerAppCache(2, 1)
    app = acme()
    for number in range(3):
        cache.add(app, number, number)
    assert cache.entries == {2: 2}
    cache.add(App("other"), "o", 0)
    assert cache.entries == {2: 2, "o": 0}


def test_per_app_cache_same_key_again_replaced() -> None:
    cache: PerAppCache[int] = PerAppCache(1, 1)
    app = acme()
    for number in range(3):
        cache.add(app, "key", number)
    assert cache.entries == {"key": 2}


def test_per_app_cache_cleared_app_has_no_value() -> None:
    cache: PerAppCache[int] = PerAppCache(10, 10)
    app, other = acme(), App("other")
    cache.add(app, "a", 1)
    cache.add(other, "b", 2)
    for _ in range(2):
        cache.clear_app("acme")
    assert cache.entries == {"b": 2}
