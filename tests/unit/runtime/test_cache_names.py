"""A value with several names is stored once: its pointers, and the newer of two loads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.runtime.support import Named, app
from wicket.runtime.cache import Loaded


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


def test_cache_dangling_name_is_unknown(named: Named) -> None:
    named.load("id", app("id", "name"))
    named.cache._names.update({"lost": "gone", "unlisted": "id"})
    assert named.cache.read("lost") is None
    assert named.cache.read("unlisted") is None
    assert named.cache.is_absent(named.load("unlisted", None))
