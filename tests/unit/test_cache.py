"""What the refreshing cache holds, by a clock turned by hand: what is fresh, stale, absent or failing, and how much."""

from __future__ import annotations

import pytest

from tests.unit.benches import Bench
from wicket.runtime import cache as cache_module
from wicket.runtime.cache import Entry


def test_of_an_empty_key_nothing_is_known(bench: Bench) -> None:
    slot = bench.cache.read("a")
    assert slot is None
    assert bench.cache.usable(slot) is None
    assert not bench.cache.is_absent(slot)
    assert bench.cache.retry_after(slot) == 1
    assert bench.patience() == 5.0
    assert bench.source.asked == []


def test_a_fresh_value_is_served_without_a_load(bench: Bench) -> None:
    bench.load()
    assert bench.value() == "value"
    assert bench.patience() is None
    assert bench.source.asked == ["a"]


def test_an_ageing_value_is_served_while_a_load_runs_behind_it(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 74.9
    assert bench.patience() is None
    bench.clock.now += 0.1
    assert bench.patience() == 0
    assert bench.value() == "value"


@pytest.mark.parametrize(("jitter", "ahead"), [(0.0, 80.0), (1.0, 70.0)])
def test_a_value_ages_at_four_fifths_of_its_life_or_a_little_before(
    jitter: float, ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wicket.runtime.cache.random.random", lambda: jitter)
    bench = Bench()
    slot = bench.load()
    assert slot is not None
    assert slot.refresh_at == pytest.approx(1000 + ahead)


def test_a_stale_value_is_waited_for_briefly_and_serves_on(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 100
    assert bench.patience() == 1.0
    assert bench.value() == "value"
    bench.clock.now += 999.9
    assert bench.patience() == 1.0
    assert bench.value() == "value"


def test_an_expired_value_serves_no_more(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 1100
    assert bench.value() is None
    assert bench.patience() == 5.0


def test_a_newer_value_takes_the_place_of_the_older(bench: Bench) -> None:
    first = bench.load()
    bench.clock.now += 90
    second = bench.load(value="newer")
    assert bench.value() == "newer"
    assert first is not None
    assert second is not None
    assert second.version > first.version
    assert second.fresh_until == 1190


def test_what_is_absent_is_remembered_for_a_short_while(bench: Bench) -> None:
    slot = bench.load(value=None)
    assert bench.cache.is_absent(slot)
    assert bench.value() is None
    assert bench.patience() is None
    bench.clock.now += 10
    assert not bench.cache.is_absent(slot)
    assert bench.patience() == 5.0


def test_a_value_that_vanished_at_its_source_is_gone(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 90
    assert bench.cache.is_absent(bench.load(value=None))
    assert bench.value() is None


def test_what_was_absent_can_come(bench: Bench) -> None:
    bench.load(value=None)
    bench.clock.now += 10
    bench.load(value="here")
    assert bench.value() == "here"


def test_a_failure_is_reported_and_not_raised(bench: Bench) -> None:
    error = KeyError("no")
    slot = bench.load(value=error)
    assert bench.failures == [("a", error)]
    assert not bench.cache.is_absent(slot)
    assert bench.value() is None


def test_whatever_a_source_raises_is_a_failure(bench: Bench) -> None:
    bench.load(value=SystemExit())
    assert [type(error) for _, error in bench.failures] == [SystemExit]


def test_failures_back_off_from_one_second_to_a_minute(bench: Bench) -> None:
    pauses = []
    for _ in range(9):
        slot = bench.load(value=OSError())
        assert slot is not None
        pauses.append(slot.retry_at - bench.clock.now)
        bench.clock.now = slot.retry_at
    assert pauses == pytest.approx([0.95 * pause for pause in (1, 2, 4, 8, 16, 32, 60, 60, 60)])


def test_no_load_starts_before_its_time_and_nobody_waits_for_one(bench: Bench) -> None:
    bench.load(value=OSError())
    slot = bench.load(value=OSError())
    assert slot is not None
    assert slot.failures == 1
    assert bench.source.asked == ["a"]
    assert bench.patience() is None
    bench.clock.now += 1
    assert bench.patience() == 5.0


def test_while_loads_fail_the_old_value_serves_on(bench: Bench) -> None:
    bench.load()
    bench.clock.now += 150
    slot = bench.load(value=OSError())
    assert bench.value() == "value"
    assert bench.patience() is None
    assert slot is not None
    assert slot.failures == 1
    bench.clock.now += 950
    assert bench.value() is None


def test_a_value_ends_the_back_off(bench: Bench) -> None:
    bench.load(value=OSError())
    bench.clock.now += 1
    slot = bench.load()
    assert slot is not None
    assert (slot.failures, slot.retry_at) == (0, 0.0)
    assert bench.value() == "value"


@pytest.mark.parametrize(("pause", "seconds"), [(0.95, 1), (30.4, 30), (-5.0, 1)])
def test_retry_after_is_in_whole_seconds_and_at_least_one(bench: Bench, pause: float, seconds: int) -> None:
    assert bench.cache.retry_after(Entry(1, retry_at=bench.clock.now + pause)) == seconds


def test_the_oldest_value_makes_room(bench: Bench) -> None:
    for key in "abcd":
        bench.load(key, key)
    assert [bench.value(key) for key in "abcd"] == [None, "b", "c", "d"]


def test_a_value_loaded_anew_is_the_youngest(bench: Bench) -> None:
    for key in "abc":
        bench.load(key, key)
    bench.clock.now += 90
    bench.load("a", "again")
    bench.load("d", "d")
    assert [bench.value(key) for key in "abcd"] == ["again", None, "c", "d"]


def test_a_flood_of_unknown_names_pushes_out_no_value(bench: Bench) -> None:
    bench.load("a", "a")
    for number in range(100):
        bench.load(f"no-{number}", None)
    assert bench.value("a") == "a"
    assert bench.cache.read("no-0") is None
    assert bench.cache.is_absent(bench.cache.read("no-99"))


def test_a4_what_was_loaded_once_is_remembered_when_it_was_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_MAX_LOADED", 3)
    bench = Bench(size=1)
    for key in "abcd":
        bench.load(key)
    bench.load("e", None)
    assert [bench.cache.was_loaded(key) for key in "abcde"] == [False, True, True, True, False]
