"""A value with several names is stored once: its pointers, its invalidation, and the newer of two loads."""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from typing import Any

import pytest

from tests.support.cache_harness import TIMES
from tests.support.unit import Clock, HandPool
from wicket.runtime.cache import Cache, Entry, Loaded, LoadFailed


class Named:
    """A cache of values that state their key and their names. Keys in `owned` have an owner."""

    def __init__(self, size: int = 3, absent_size: int = 50, per_owner: int | None = None) -> None:
        self.clock, self.pool = Clock(), HandPool()
        self.source: dict[str, Any] = {}
        self.cache: Cache[str, Any] = Cache(
            self._load,
            pool=self.pool,
            times=TIMES,
            size=size,
            absent_size=absent_size,
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


@pytest.fixture
def named() -> Named:
    return Named()


def test_cache_names_of_one_value_share_one_entry(named: Named) -> None:
    names = [f"name-{number}" for number in range(12)]
    named.load("id-other", app("id-other"))
    for name in names:
        named.load(name, app("id", *names, value="one"))
    assert [named.value(name) for name in names] == ["one"] * 12
    assert sorted(named.cache._entries) == ["id", "id-other"]


def test_cache_purged_entry_removes_only_its_names(named: Named) -> None:
    names = [f"name-{number}" for number in range(100)]
    named.load("id-other", app("id-other", "name-other"))
    for name in names:
        named.load(name, app("id", *names, value="one"))
    named.load("name-other", app("id-other", "name-other", value="other"))
    assert len(named.cache._names) == 101
    assert named.value("name-0") == "one"
    named.cache.invalidate(["id"], purge=True)
    assert set(named.cache._names) == {"name-other"}
    assert named.value("name-other") == "other"


def test_cache_reload_keeps_names_that_value_still_lists(named: Named) -> None:
    for name in ("a", "b", "c"):
        named.load(name, app("id", "a", "b", "c"))
    named.clock.now += 90
    named.load("a", app("id", "a", "b", value="two"))
    assert set(named.cache._names) == {"a", "b"}
    assert named.value("b") == "two"


def test_cache_key_of_named_value_is_unknown_until_loaded(named: Named) -> None:
    named.load("name", app("id", "name", value="one"))
    assert named.cache.read("id") is None
    assert named.cache.is_absent(named.load("id", None))
    assert named.value("name") == "one", "a request for a key that the source lacks evicts nothing"


def test_cache_key_loaded_after_name_shares_the_entry(named: Named) -> None:
    named.load("name", app("id", "name", value="one"))
    named.load("id", app("id", "name", value="two"))
    assert (named.value("id"), named.value("name")) == ("two", "two")
    named.clock.now += 90
    named.load("name", app("id", "name", value="three"))
    assert (named.value("id"), named.value("name")) == ("three", "three")


def test_cache_name_dropped_by_value_is_loaded_again(named: Named) -> None:
    named.load("name", app("id", "name"))
    named.load("id", app("id"))
    assert named.cache.read("name") is None
    assert named.cache.is_absent(named.load("name", None))


def test_cache_name_moved_to_other_value_resolves_there(named: Named) -> None:
    named.load("name", app("id-1", "name", value="one"))
    named.load("id-1", app("id-1", "name", value="one"))
    named.clock.now += 90
    named.load("name", app("id-2", "name", value="two"))
    assert named.value("name") == "two"
    assert named.value("id-1") == "one"


def test_cache_name_that_became_a_key_has_its_own_entry(named: Named) -> None:
    named.load("id-2", app("id-1", "id-2", value="one"))
    named.clock.now += 90
    named.load("id-2", app("id-2", value="two"))
    assert named.value("id-2") == "two"
    assert named.cache._names == {}


def test_cache_absent_key_removes_its_entry_and_names(named: Named) -> None:
    named.load("name", app("id", "name"))
    named.load("id", app("id", "name"))
    named.clock.now += 90
    assert named.cache.is_absent(named.load("id", None))
    assert named.cache.read("name") is None
    assert named.cache._tagged == {}


# --- two loads of one value at once


def loading(named: Named, *keys: str) -> None:
    for key in keys:
        named.start(key)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_cache_concurrent_loads_of_two_names_share_one_entry(named: Named, order: tuple[int, int]) -> None:
    named.source.update(a=app("id", "a", "b"), b=app("id", "a", "b"))
    loading(named, "a", "b")
    named.run(*order)
    assert named.value("a") == named.value("b")
    assert list(named.cache._entries) == ["id"]


class Overtaking(Named):
    """A cache in which other keys are loaded completely while `a` is being loaded."""

    def __init__(self, *meanwhile: tuple[str, Any], times: int = 1) -> None:
        super().__init__()
        self.meanwhile, self.left = meanwhile, times
        self.asked: list[str] = []

    def _load(self, key: str, held: Any) -> Loaded[Any] | None:
        self.asked.append(key)
        found = self.source[key]
        if key == "a" and self.left:
            self.left -= 1
            for other, brought in self.meanwhile:
                self.clock.now += 200
                self.load(other, brought)
        if isinstance(found, BaseException):
            raise found
        return found  # type: ignore[no-any-return]


def test_cache_load_started_before_newer_value_does_not_replace_it() -> None:
    named = Overtaking(("b", app("id", "a", "b", value="revoked")))
    named.load("a", app("id", "a", "b", value="old"))
    assert (named.value("a"), named.value("b")) == ("revoked", "revoked")


def test_cache_older_load_of_key_resolves_to_newer_value() -> None:
    named = Overtaking(("b", Loaded("new", key="a", names=frozenset("b"), tags=("a",))))
    named.load("a", Loaded("old", key="a", names=frozenset("b"), tags=("a",)))
    assert (named.value("a"), named.value("b")) == ("new", "new")


def test_cache_name_dropped_in_flight_twice_is_loaded_twice_then_unknown() -> None:
    named = Overtaking(("id", app("id", value="without a")), times=2)
    assert named.load("a", app("id", "a")) is None
    assert named.asked.count("a") == 2
    assert named.value("id") == "without a"


def test_cache_absent_result_older_than_value_is_ignored() -> None:
    named = Overtaking(("b", Loaded("new", key="a", names=frozenset("b"), tags=("a",))))
    named.load("b", Loaded("one", key="a", names=frozenset("b"), tags=("a",)))
    named.left = 0
    named.load("a", Loaded("one", key="a", names=frozenset("b"), tags=("a",)))
    named.left = 1
    named.clock.now += 90
    named.source["a"] = None
    named.start("a")
    named.pool.run()
    assert named.value("a") == "new"


def test_cache_failure_older_than_value_is_ignored() -> None:
    named = Overtaking(("b", app("id", "a", "b")))
    named.load("b", app("id", "a", "b"))
    named.left = 0
    named.load("a", app("id", "a", "b"))
    named.left = 1
    named.clock.now += 90
    entry = named.load("a", OSError())
    assert entry is not None
    assert (entry.failures, entry.retry_at) == (0, 0.0)


def test_cache_failure_by_name_counts_for_the_entry(named: Named) -> None:
    named.load("name", app("id", "name"))
    named.load("id", app("id", "name"))
    named.clock.now += 90
    named.load("name", OSError())
    entry = named.cache.read("id")
    assert entry is not None
    assert entry.failures == 1
    assert named.cache.read("name") == entry


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
    assert (named.cache._loads, named.cache._flights) == ({}, {})


def test_cache_dangling_name_is_unknown(named: Named) -> None:
    named.load("id", app("id", "name"))
    named.cache._names.update({"lost": "gone", "unlisted": "id"})
    assert named.cache.read("lost") is None
    assert named.cache.read("unlisted") is None
    assert named.cache.is_absent(named.load("unlisted", None))
