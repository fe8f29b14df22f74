"""The entries of the cache with a fake clock: fresh, stale, absent and failing ones, and eviction."""

from __future__ import annotations

import pytest

from tests.support.cache_harness import Bench
from wicket.runtime import entry_store
from wicket.runtime.cache import Entry


def test_cache_empty_key_is_unknown_without_load(bench: Bench) -> None:
    entry = bench.cache.read("a")
    assert entry is None
    assert bench.cache.usable(entry) is None
    assert not bench.cache.is_absent(entry)
    assert bench.cache.retry_after(entry) == 1
    assert bench.patience() == 5.0
    assert bench.source.asked == []


def test_cache_fresh_value_is_served_without_load(bench: Bench) -> None:
    bench.load()
    assert bench.value() == "value"
    assert bench.patience() is None
    assert bench.source.asked == ["a"]


def test_cache_value_due_for_refresh_is_served_without_wait(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 74.9
    assert bench.patience() is None
    bench.clock.now += 0.1
    assert bench.patience() == 0
    assert bench.value() == "value"


@pytest.mark.parametrize(("jitter", "ahead"), [(0.0, 80.0), (1.0, 70.0)])
def test_cache_refresh_at_is_70_to_80_percent_of_lifetime(
    jitter: float, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wicket.runtime.entries.random.random", lambda: jitter)
    bench = Bench()
    entry = bench.load()
    assert entry is not None
    assert entry.refresh_at == pytest.approx(1000 + ahead)


def test_cache_stale_value_is_served_after_short_wait(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 100
    assert bench.patience() == 1.0
    assert bench.value() == "value"
    bench.clock.now += 999.9
    assert bench.patience() == 1.0
    assert bench.value() == "value"


def test_cache_expired_value_is_not_served(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 1100
    assert bench.value() is None
    assert bench.patience() == 5.0


def test_cache_newer_value_replaces_older(bench: Bench) -> None:
    first = bench.load()
    bench.clock.now += 90
    second = bench.load(value="newer")
    assert bench.value() == "newer"
    assert first is not None
    assert second is not None
    assert second.version > first.version
    assert second.fresh_until == 1190


def test_negative_cache_entry_ends_after_its_lifetime(bench: Bench) -> None:
    entry = bench.load(value=None)
    assert bench.cache.is_absent(entry)
    assert bench.value() is None
    assert bench.patience() is None
    bench.clock.now += 10
    assert not bench.cache.is_absent(entry)
    assert bench.patience() == 5.0


def test_cache_value_absent_on_reload_is_removed(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 90
    assert bench.cache.is_absent(bench.load(value=None))
    assert bench.value() is None


def test_negative_cache_expired_entry_is_replaced_by_value(bench: Bench) -> None:
    bench.load(value=None)
    bench.clock.now += 10
    bench.load(value="here")
    assert bench.value() == "here"


def test_cache_load_failure_is_reported_and_not_raised(bench: Bench) -> None:
    error = KeyError("no")
    entry = bench.load(value=error)
    assert bench.failures == [("a", error)]
    assert not bench.cache.is_absent(entry)
    assert bench.value() is None


def test_cache_load_raising_system_exit_is_a_failure(bench: Bench) -> None:
    bench.load(value=SystemExit())
    assert [type(error) for _, error in bench.failures] == [SystemExit]


def test_cache_repeated_failures_back_off_from_1_to_60_seconds(bench: Bench) -> None:
    pauses = []
    for _ in range(9):
        entry = bench.load(value=OSError())
        assert entry is not None
        pauses.append(entry.retry_at - bench.clock.now)
        bench.clock.now = entry.retry_at
    assert pauses == pytest.approx([0.95 * pause for pause in (1, 2, 4, 8, 16, 32, 60, 60, 60)])


def test_cache_load_during_backoff_is_neither_started_nor_awaited(bench: Bench) -> None:
    bench.load(value=OSError())
    entry = bench.load(value=OSError())
    assert entry is not None
    assert entry.failures == 1
    assert bench.source.asked == ["a"]
    assert bench.patience() is None
    bench.clock.now += 1
    assert bench.patience() == 5.0


def test_cache_failing_loads_serve_stale_value_until_expiry(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 150
    entry = bench.load(value=OSError())
    assert bench.value() == "value"
    assert bench.patience() is None
    assert entry is not None
    assert entry.failures == 1
    bench.clock.now += 950
    assert bench.value() is None


def test_cache_successful_load_resets_backoff(bench: Bench) -> None:
    bench.load(value=OSError())
    bench.clock.now += 1
    entry = bench.load()
    assert entry is not None
    assert (entry.failures, entry.retry_at) == (0, 0.0)
    assert bench.value() == "value"


@pytest.mark.parametrize(("pause", "seconds"), [(0.95, 1), (30.4, 30), (-5.0, 1)])
def test_cache_retry_after_is_whole_seconds_of_at_least_one(bench: Bench, pause: float, seconds: int) -> None:
    assert bench.cache.retry_after(Entry(1, retry_at=bench.clock.now + pause)) == seconds


def test_cache_full_evicts_oldest_value(bench: Bench) -> None:
    for key in "abcd":
        bench.load(key, key)
    assert [bench.value(key) for key in "abcd"] == [None, "b", "c", "d"]


def test_cache_full_keeps_reloaded_value_as_youngest(bench: Bench) -> None:
    for key in "abc":
        bench.load(key, key)
    bench.clock.now += 90
    bench.load("a", "again")
    bench.load("d", "d")
    assert [bench.value(key) for key in "abcd"] == ["again", None, "c", "d"]


def test_negative_cache_flood_evicts_no_value(bench: Bench) -> None:
    bench.load("a", "a")
    for number in range(100):
        bench.load(f"no-{number}", None)
    assert bench.value("a") == "a"
    assert bench.cache.read("no-0") is None
    assert bench.cache.is_absent(bench.cache.read("no-99"))


def test_a4_cache_evicted_key_is_still_known_as_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_store, "_MAX_LOADED", 3)
    bench = Bench(size=1)
    for key in "abcd":
        bench.load(key)
    bench.load("e", None)
    assert [bench.cache.was_loaded(key) for key in "abcde"] == [False, True, True, True, False]
