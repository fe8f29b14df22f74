"""The loads of the cache: one at a time, on any pool, and repeated after an invalidation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.support.cache_harness import TIMES, Bench
from tests.support.unit import loads
from wicket.runtime.cache import Cache, Entry, Loaded
from wicket.runtime.pool import Pool

# --- one at a time


def test_cache_start_during_load_joins_it(bench: Bench) -> None:
    first = bench.cache.start("a", 0)
    bench.clock.now += 2
    second = bench.cache.start("a", 0)
    assert first is not None
    assert second is not None
    assert first[0] is second[0]
    assert (first[1], second[1]) == (5.0, 3.0)
    assert bench.pool.run() == 1


def test_cache_start_during_hung_load_has_no_wait(bench: Bench) -> None:
    bench.cache.start("a", 0)
    bench.clock.now += 60
    joined = bench.cache.start("a", 0)
    assert joined is not None
    assert joined[1] == 0.0


def test_cache_start_with_old_version_starts_no_load(bench: Bench) -> None:
    bench.load()
    assert bench.cache.start("a", 0) is None
    assert bench.pool.jobs == []


def test_cache_start_with_full_pool_is_limited(bench: Bench) -> None:
    bench.pool.full = True
    refused = bench.cache.start("a", 0)
    assert refused is not None
    assert refused.limited
    bench.pool.full = False
    taken = bench.cache.start("a", 0)
    assert taken is not None
    assert not taken.limited


def test_cache_start_during_load_prioritizes_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    prioritized: list[Future[None]] = []
    monkeypatch.setattr(bench.pool, "prioritize", prioritized.append)
    first = bench.cache.start("a", 0)
    assert first is not None
    assert prioritized == []
    assert bench.cache.start("a", 0) == first
    assert prioritized == [first[0]]


# --- different pools


def test_cache_after_fork_drops_loads_and_keeps_values(bench: Bench) -> None:
    bench.load("a", "a")
    bench.cache.start("b", 0)
    bench.pool.jobs.clear()
    bench.cache.after_fork()
    assert bench.value("a") == "a"
    assert bench.load("b", "b") is not None
    assert bench.value("b") == "b"


LONG = 10.0


class EagerPool(Pool):
    """A pool that completes the job before `submit` returns, as a real one may."""

    def submit(
        self, job: Callable[[], None], done: Future[None], group: Hashable = None, owner: Hashable = None
    ) -> bool:
        job()
        done.set_result(None)
        return True


def test_cache_load_done_before_submit_returns_is_accepted() -> None:
    cache: Cache[str, str] = Cache(
        loads(str.upper),
        pool=EagerPool("eager", threads=1, queue=1),
        lifetimes=TIMES,
        size=1,
        negative_size=1,
        on_failure=lambda key, error: None,
    )
    started = cache.start("a", 0)
    assert started is not None
    assert started[0].done()
    assert cache.usable(cache.read("a")) == "A"


def test_cache_load_on_real_pool_is_accepted() -> None:
    pool = Pool("real", threads=1, queue=1)
    cache: Cache[str, str] = Cache(
        loads(str.upper), pool=pool, lifetimes=TIMES, size=1, negative_size=1, on_failure=lambda key, error: None
    )
    started = cache.start("a", 0)
    assert started is not None
    started[0].result(LONG)
    assert cache.usable(cache.read("a")) == "A"
    pool.close()


def test_cache_pool_submit_error_leaves_no_load(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Future[None]] = []

    def no_memory(job: Callable[[], None], done: Future[None], group: Hashable, owner: Hashable) -> bool:
        given.append(done)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(bench.pool, "submit", no_memory)
        with pytest.raises(MemoryError):
            bench.cache.start("a", 0)
    assert given[0].cancelled()
    bench.load()
    assert bench.value() == "value"


# --- invalidation


def test_cache_invalidated_value_is_served_until_reloaded(bench: Bench) -> None:
    bench.load("a", "a")
    bench.load("b", "b")
    bench.cache.invalidate(["a"])
    assert bench.patience("a") == 1.0
    assert bench.value("a") == "a"
    assert bench.patience("b") is None
    bench.load("a", "newer")
    assert bench.value("a") == "newer"


def test_cache_invalidated_twice_still_starts_a_load(bench: Bench) -> None:
    bench.load("a", "old")
    bench.cache.invalidate(["a"])
    seen = bench.cache.read("a")
    assert seen is not None
    bench.cache.invalidate(["a"])
    bench.source.values["a"] = "new"
    assert bench.cache.start("a", seen.version) is not None, "whoever saw the outdated entry must have it loaded"
    bench.pool.run()
    assert bench.value("a") == "new"


class _Published(dict[str, Any]):
    """Entries that call a reader while a load replaces an entry."""

    def __init__(self, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self.taken_out, self.looked = threading.Event(), threading.Event()

    def pop(self, key: str, *default: Any) -> Any:
        held = super().pop(key, *default)
        self.taken_out.set()
        assert self.looked.wait(10)
        return held

    def get(self, key: str, default: Any = None) -> Any:
        found = super().get(key, default)
        if threading.current_thread().name == "reader":
            self.looked.set()
        return found


def test_cache_value_during_reload_is_never_missing(bench: Bench) -> None:
    bench.load("a", "old")
    bench.clock.now += 70
    entries = bench.cache._entries = _Published(bench.cache._entries)
    seen: list[Entry[Any] | None] = []
    reader = threading.Thread(target=lambda: seen.append(bench.cache.read("a")), name="reader")

    def read_in_between() -> None:
        assert entries.taken_out.wait(10)
        reader.start()

    helper = threading.Thread(target=read_in_between)
    helper.start()
    bench.load("a", "new")
    for thread in (helper, reader):
        thread.join(10)
    assert seen[0] is not None
    assert seen[0].value == "new"


def test_cache_purged_value_is_not_served(bench: Bench) -> None:
    bench.load("a", "a")
    bench.cache.invalidate(["a"], purge=True)
    assert bench.cache.read("a") is None
    assert bench.patience("a") == 5.0


def test_cache_invalidate_drops_negative_and_failed_entries(bench: Bench) -> None:
    bench.load("absent", None)
    bench.load("failing", OSError())
    bench.cache.invalidate(["failing"])
    assert bench.cache.read("absent") is None
    assert bench.cache.read("failing") is None


@pytest.mark.parametrize("first", ["old", None])
def test_cache_load_invalidated_in_flight_is_repeated(bench: Bench, first: object) -> None:
    bench.source.values["a"] = first
    outdated = iter([True])

    def overtaken(key: str) -> Any:
        if next(outdated, False):
            bench.cache.invalidate(["a"])
            try:
                return bench.source(key)
            finally:
                bench.source.values["a"] = "new"
        return bench.source(key)

    bench.cache._load = loads(overtaken)
    bench.cache.start("a", 0)
    bench.pool.run()
    assert bench.source.asked == ["a", "a"]
    assert bench.value() == "new"
    assert bench.failures == []


def loading_under(bench: Bench, tag: str, times: int) -> None:
    """Invalidate during each of the next loads."""
    invalidations = iter(range(times))

    def overtaken(key: str) -> Any:
        if next(invalidations, None) is not None:
            bench.cache.invalidate([tag])
        return bench.source(key)

    bench.cache._load = loads(overtaken)


def test_cache_invalidations_of_other_keys_repeat_no_load(bench: Bench) -> None:
    loading_under(bench, "b", times=20)
    bench.load("a", "value")
    assert bench.source.asked == ["a"]
    assert bench.value() == "value"
    assert bench.patience() is None


def test_cache_load_matched_by_one_invalidation_runs_twice(bench: Bench) -> None:
    loading_under(bench, "a", times=1)
    bench.load("a", "value")
    assert bench.source.asked == ["a"] * 2
    assert bench.value() == "value"


def test_cache_load_invalidated_repeatedly_is_dropped_after_two_runs(bench: Bench) -> None:
    loading_under(bench, "a", times=20)
    assert bench.load("a", "value") is None
    assert bench.source.asked == ["a"] * 2
    assert bench.cache._in_flight == {}


def test_cache_invalidation_in_flight_matches_tags_of_new_value(bench: Bench) -> None:
    loading_under(bench, "tag of the old", times=1)
    inner = bench.cache._load
    bench.cache._load = lambda key, held: Loaded("new", tags=("tag of the new",)) if inner(key, held) else None
    assert bench.load("a", "new") is not None
    assert bench.source.asked == ["a"]


def test_cache_absent_result_during_invalidation_is_loaded_once_more(bench: Bench) -> None:
    loading_under(bench, "b", times=1)
    assert bench.cache.is_absent(bench.load("a", None))
    assert bench.source.asked == ["a", "a"]


@pytest.mark.parametrize("held", [False, True])
def test_cache_absent_result_invalidated_repeatedly_is_dropped(bench: Bench, held: bool) -> None:
    if held:
        bench.load("a", "value")
        bench.source.asked.clear()
    loading_under(bench, "a", times=20)
    assert bench.load("a", None) is None
    assert bench.source.asked == ["a", "a"]
    assert bench.cache._in_flight == {}
    assert bench.failures == []


def test_cache_failed_load_during_invalidation_is_not_repeated(bench: Bench) -> None:
    loading_under(bench, "a", times=20)
    entry = bench.load("a", OSError())
    assert bench.source.asked == ["a"]
    assert entry is not None
    assert (entry.failures, len(bench.failures)) == (1, 1)
    assert bench.cache._in_flight == {}


def test_cache_repeated_load_that_fails_is_a_failure(bench: Bench) -> None:
    loading_under(bench, "a", times=1)
    outcomes: Any = iter(["value", OSError()])
    inner = bench.cache._load

    def then_fails(key: str, held: Any) -> Any:
        bench.source.values["a"] = next(outcomes)
        return inner(key, held)

    bench.cache._load = then_fails
    bench.cache.start("a", 0)
    bench.pool.run()
    assert bench.source.asked == ["a", "a"]
    assert bench.value() is None
    assert len(bench.failures) == 1


def test_cache_invalidate_keeps_unmatched_failures_and_loads(bench: Bench) -> None:
    bench.load("failing", OSError())
    bench.load("absent", None)
    bench.load("down", OSError())
    bench.cache.start("other", 0)
    bench.cache.invalidate(["failing"])
    assert bench.cache.read("failing") is None
    assert bench.cache.read("absent") is None, "it may be a name of what was changed"
    down = bench.cache.read("down")
    assert down is not None
    assert down.failures == 1, "its source is no better for it"
    bench.source.values["other"] = "value"
    bench.pool.run()
    assert bench.source.asked.count("other") == 1
    assert bench.value("other") == "value"


def test_cache_values_and_tagged_list_loaded_values(bench: Bench) -> None:
    for key in "abc":
        bench.load(key, {"a": "one", "b": "two"}.get(key))
    assert bench.cache.values() == ["one", "two"]
    assert [bench.cache.tagged(key) for key in "abc"] == [["one"], ["two"], []]
