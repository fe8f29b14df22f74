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
    assert set(cache.entries) == {("second", 2), "third", "another", "last"}


def test_per_app_cache_other_version_of_app_drops_older_values() -> None:
    cache: PerAppCache[App] = PerAppCache(10, 10)
    for _ in range(3):
        app = acme()
        cache.add(app, "one", app)
        cache.add(app, object(), app)
    assert len(cache.entries) == 2
    assert set(map(id, cache.entries.values())) == {id(app)}


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
