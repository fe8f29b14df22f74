"""Invalidation by tag, the negative cache, and the limit of loads of one owner."""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from typing import Any

import pytest

from tests.unit.runtime.support import Named, app
from wicket.runtime.cache import Loaded, LoadFailed

# --- invalidation


def test_cache_invalidate_by_any_tag_removes_entry(named: Named) -> None:
    for tag in ("id", "alias"):
        named.load("id", app("id", "alias", value="one"))
        assert named.cache.tagged(tag) == ["one"]
        named.cache.invalidate([tag], purge=True)
        assert named.cache.read("id") is None
    assert named.cache._tagged == {}


def test_cache_tags_after_reload_are_those_of_new_value(named: Named) -> None:
    named.load("id", app("id", "alias"))
    named.clock.now += 90
    named.load("id", app("id"))
    assert set(named.cache._tagged) == {"id"}
    named.cache.invalidate(["alias"], purge=True)
    assert named.value("id") is not None


def test_cache_evicted_entry_has_no_tags(named: Named) -> None:
    for number in range(5):
        named.load(f"id-{number}", app(f"id-{number}"))
    assert set(named.cache._tagged) == {"id-2", "id-3", "id-4"}


def test_cache_invalidate_shared_tag_affects_both_entries(named: Named) -> None:
    for id in ("id-1", "id-2"):
        named.load(id, Loaded(id, tags=("both",)))
    named.cache.invalidate(["both"])
    assert [named.cache.wait_time(named.cache.read(id), 5.0, 1.0) for id in ("id-1", "id-2")] == [1.0, 1.0]
    named.cache.invalidate(["both"], purge=True)
    assert named.cache._entries == {}


def test_cache_invalidate_after_fork_removes_entry(named: Named) -> None:
    named.load("id", app("id", "alias"))
    named.cache.after_fork()
    named.cache.invalidate(["alias"], purge=True)
    assert named.cache.read("id") is None


class _Counting(dict[Any, Any]):
    """A dictionary that counts the accessed items."""

    looked = 0

    def get(self, *key: Any) -> Any:
        self.looked += 1
        return super().get(*key)

    def __getitem__(self, key: Any) -> Any:
        self.looked += 1
        return super().__getitem__(key)

    def pop(self, *key: Any) -> Any:
        self.looked += 1
        return super().pop(*key)

    def __iter__(self) -> Any:
        for each in super().__iter__():
            self.looked += 1
            yield each

    def items(self) -> Any:
        self.looked += len(self)
        return super().items()

    values = keys = items


@pytest.mark.parametrize("purge", [False, True])
def test_cache_invalidate_cost_is_independent_of_size(purge: bool) -> None:
    looked = []
    for held in (10, 20_000):
        named = Named(size=30_000, absent_size=30_000)
        for number in range(held):
            key = f"id-{number}"
            named.cache._publish(key, app(key, f"alias-{number}"), None, number)
        stores = [_Counting(named.cache._entries), _Counting(named.cache._tagged), _Counting(named.cache._names)]
        named.cache._entries, named.cache._tagged, named.cache._names = stores
        named.cache.invalidate(["id-7"], purge=purge)
        looked.append([store.looked for store in stores])
        assert (named.cache.read("id-7") is None) is purge
    assert looked[0] == looked[1]


# --- negative entries


@pytest.mark.parametrize(
    ("key", "found", "tags", "permanent", "dropped"),
    [
        ("id-1", None, ["other"], False, True),
        ("name", None, ["other"], False, True),
        ("id-1", OSError(), ["other"], True, False),
        ("id-1", OSError(), ["id-1"], False, True),
        ("name", OSError(), ["other"], False, True),
        ("id-1", "permanent", ["other"], False, False),
        ("id-1", "permanent", ["other"], True, True),
    ],
)
def test_negative_cache_invalidate_drops_by_tag_and_permanence(
    named: Named, key: str, found: Any, tags: list[str], permanent: bool, dropped: bool
) -> None:
    if found == "permanent":
        found = LoadFailed()
        found.permanent = True
    named.load(key, found)
    named.cache.invalidate(tags, permanent=permanent)
    assert (named.cache.read(key) is None) is dropped
    assert named.cache.read(key) is named.cache.read(key)


# --- loads of one owner


def test_cache_loads_above_owner_limit_are_limited() -> None:
    named = Named(per_owner=2)
    named.cache._owner_of = lambda key: key[0]
    named.source.update({f"{owner}{number}": None for owner, number in itertools.product("ab", range(9))})
    first = [named.cache.start(key, 0) for key in ("a0", "a1", "a2", "a1", "b0")]
    assert [started is not None and started.limited for started in first] == [False, False, True, False, False]
    refused = first[2]
    assert refused is not None
    assert (refused.done.done(), refused.seconds) == (False, 0.0)
    named.pool.run()
    assert named.cache._loads == {}
    again = named.cache.start("a2", 0)
    assert again is not None
    assert not again.limited


def test_cache_load_not_taken_by_full_pool_is_not_counted() -> None:
    named = Named(per_owner=1)
    named.pool.full = True
    for _ in range(3):
        started = named.cache.start("id", 0)
        assert started is not None
        assert started.limited
    assert named.cache._loads == {}


def test_cache_start_with_closed_pool_is_not_limited(named: Named) -> None:
    named.pool.close()
    named.pool.full = True
    started = named.cache.start("id", 0)
    assert started is not None
    assert isinstance(started.done, Future)
    assert not started.limited


def test_cache_load_run_by_refusing_pool_leaves_no_state(named: Named, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_and_refuse(job: Any, *_: Any) -> bool:
        job()
        return False

    named.source["id"] = app("id")
    monkeypatch.setattr(named.pool, "submit", run_and_refuse)
    named.cache.start("id", 0)
    assert named.value("id") is not None
    assert (named.cache._loads, named.cache._in_flight) == ({}, {})
