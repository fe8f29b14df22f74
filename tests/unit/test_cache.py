"""The refreshing cache, rule by rule, on a clock and a pool that the test turns by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.unit.support import Clock, HandPool, loads
from wicket.cache import Cache, Slot, Times
from wicket.pool import Pool

LONG = 10.0
TIMES = Times(lifetime=100, stale=1000, absent=10, backoff_first=1, backoff_last=60, timeout=5)


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
    """A cache with all that it stands on."""

    def __init__(self, size: int = 3, absent_size: int = 3) -> None:
        self.clock = Clock()
        self.pool = HandPool()
        self.source = Source()
        self.failures: list[tuple[str, BaseException]] = []
        self.cache: Cache[str, Any] = Cache(
            loads(self.source),
            pool=self.pool,
            times=TIMES,
            size=size,
            absent_size=absent_size,
            on_failure=lambda key, error: self.failures.append((key, error)),
            clock=self.clock,
        )

    def load(self, key: str = "a", value: Any = "value") -> Slot[Any] | None:
        """Have `key` loaded with this outcome, and what is known of it then."""
        self.source.values[key] = value
        slot = self.cache.read(key)
        self.cache.start(key, slot.version if slot else 0)
        self.pool.run()
        return self.cache.read(key)

    def patience(self, key: str = "a") -> float | None:
        return self.cache.patience(self.cache.read(key), 5.0, 1.0)

    def value(self, key: str = "a") -> Any:
        return self.cache.usable(self.cache.read(key))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("wicket.cache.random.random", lambda: 0.5)
    return Bench()


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
    monkeypatch.setattr("wicket.cache.random.random", lambda: jitter)
    bench = Bench()
    slot = bench.load()
    assert slot is not None
    assert slot.ahead_at == pytest.approx(1000 + ahead)


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
    assert bench.cache.retry_after(Slot(1, retry_at=bench.clock.now + pause)) == seconds


def test_one_load_runs_at_a_time_and_everybody_joins_it(bench: Bench) -> None:
    first = bench.cache.start("a", 0)
    bench.clock.now += 2
    second = bench.cache.start("a", 0)
    assert first is not None
    assert second is not None
    assert first[0] is second[0]
    assert (first[1], second[1]) == (5.0, 3.0)
    assert bench.pool.run() == 1


def test_a_load_that_hangs_is_not_waited_for_by_every_request_anew(bench: Bench) -> None:
    bench.cache.start("a", 0)
    bench.clock.now += 60
    joined = bench.cache.start("a", 0)
    assert joined is not None
    assert joined[1] == 0.0


def test_no_load_starts_where_the_entry_moved_on(bench: Bench) -> None:
    bench.load()
    assert bench.cache.start("a", 0) is None
    assert bench.pool.jobs == []


def test_no_load_starts_where_the_pool_is_full(bench: Bench) -> None:
    bench.pool.full = True
    assert bench.cache.start("a", 0) is None
    bench.pool.full = False
    assert bench.cache.start("a", 0) is not None


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


def test_an_outdated_value_is_loaded_anew_and_serves_until_then(bench: Bench) -> None:
    bench.load("a", "a")
    bench.load("b", "b")
    bench.cache.outdate(lambda key, value: (key, value) != ("a", "a"))
    assert bench.patience("a") == 1.0
    assert bench.value("a") == "a"
    assert bench.patience("b") is None
    bench.load("a", "newer")
    assert bench.value("a") == "newer"


def test_a_second_demand_does_not_stand_for_the_load_that_the_first_asked_for(bench: Bench) -> None:
    bench.load("a", "old")
    bench.cache.outdate(lambda key, value: False)
    seen = bench.cache.read("a")
    assert seen is not None
    bench.cache.outdate(lambda key, value: False)
    bench.source.values["a"] = "new"
    assert bench.cache.start("a", seen.version) is not None, "whoever saw the outdated entry must have it loaded"
    bench.pool.run()
    assert bench.value("a") == "new"


class _Published(dict[str, Any]):
    """Slots that let a reader look in between, while a load replaces an entry."""

    def __init__(self, slots: dict[str, Any]) -> None:
        super().__init__(slots)
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


def test_a_value_that_is_loaded_anew_is_never_gone(bench: Bench) -> None:
    bench.load("a", "old")
    bench.clock.now += 70
    slots = bench.cache._slots = _Published(bench.cache._slots)
    seen: list[Slot[Any] | None] = []
    reader = threading.Thread(target=lambda: seen.append(bench.cache.read("a")), name="reader")

    def read_in_between() -> None:
        assert slots.taken_out.wait(10)
        reader.start()

    helper = threading.Thread(target=read_in_between)
    helper.start()
    bench.load("a", "new")
    for thread in (helper, reader):
        thread.join(10)
    assert seen[0] is not None
    assert seen[0].value == "new"


def test_a_purged_value_serves_no_more(bench: Bench) -> None:
    bench.load("a", "a")
    bench.cache.outdate(lambda key, value: False, purge=True)
    assert bench.cache.read("a") is None
    assert bench.patience("a") == 5.0


def test_with_the_outdated_the_unknown_names_are_forgotten(bench: Bench) -> None:
    bench.load("absent", None)
    bench.load("failing", OSError())
    bench.cache.outdate(lambda key, value: True)
    assert bench.cache.read("absent") is None
    assert bench.cache.read("failing") is None


@pytest.mark.parametrize("first", ["old", None])
def test_a_load_under_way_is_not_believed_once_outdated_and_starts_again(bench: Bench, first: object) -> None:
    bench.source.values["a"] = first
    outdated = iter([True])

    def overtaken(key: str) -> Any:
        if next(outdated, False):
            bench.cache.outdate(lambda key, value: False)
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


def test_a_forked_child_forgets_the_loads_and_keeps_the_values(bench: Bench) -> None:
    bench.load("a", "a")
    bench.cache.start("b", 0)
    bench.pool.jobs.clear()
    bench.cache.after_fork()
    assert bench.value("a") == "a"
    assert bench.load("b", "b") is not None
    assert bench.value("b") == "b"


class EagerPool(Pool):
    """A pool whose thread is done before `submit` returns, as a real one may be."""

    def submit(self, job: Callable[[], None], done: Future[None], lane: Hashable = None) -> bool:
        job()
        done.set_result(None)
        return True


def test_a_load_that_is_done_before_submit_returns_is_believed() -> None:
    cache: Cache[str, str] = Cache(
        loads(str.upper),
        pool=EagerPool("eager", threads=1, queue=1),
        times=TIMES,
        size=1,
        absent_size=1,
        on_failure=lambda key, error: None,
    )
    started = cache.start("a", 0)
    assert started is not None
    assert started[0].done()
    assert cache.usable(cache.read("a")) == "A"


def test_a_load_on_a_real_pool_is_believed() -> None:
    pool = Pool("real", threads=1, queue=1)
    cache: Cache[str, str] = Cache(
        loads(str.upper), pool=pool, times=TIMES, size=1, absent_size=1, on_failure=lambda key, error: None
    )
    started = cache.start("a", 0)
    assert started is not None
    started[0].result(LONG)
    assert cache.usable(cache.read("a")) == "A"
    pool.close()


def loading_under(bench: Bench, keep: Callable[[str, Any], bool], times: int) -> None:
    """Let a demand to forget come during each of the next loads."""
    demands = iter(range(times))

    def overtaken(key: str) -> Any:
        if next(demands, None) is not None:
            bench.cache.outdate(keep)
        return bench.source(key)

    bench.cache._load = loads(overtaken)


def test_a_storm_of_demands_for_other_keys_starves_no_load(bench: Bench) -> None:
    loading_under(bench, lambda key, value: key == "a", times=20)
    bench.load("a", "value")
    assert bench.source.asked == ["a"]
    assert bench.value() == "value"
    assert bench.patience() is None


def test_a_value_is_loaded_again_as_long_as_demands_concern_it(bench: Bench) -> None:
    loading_under(bench, lambda key, value: key != "a", times=2)
    bench.load("a", "value")
    assert bench.source.asked == ["a"] * 3
    assert bench.value() == "value"


def test_a_demand_is_weighed_against_what_was_loaded(bench: Bench) -> None:
    loading_under(bench, lambda key, value: value != "old", times=1)
    assert bench.load("a", "new") is not None
    assert bench.source.asked == ["a"]


def test_what_is_absent_is_looked_for_once_more_at_most(bench: Bench) -> None:
    loading_under(bench, lambda key, value: True, times=20)
    assert bench.cache.is_absent(bench.load("a", None))
    assert bench.source.asked == ["a", "a"]


def test_a_load_that_fails_is_not_repeated_for_a_demand(bench: Bench) -> None:
    loading_under(bench, lambda key, value: False, times=20)
    slot = bench.load("a", OSError())
    assert bench.source.asked == ["a"]
    assert slot is not None
    assert (slot.failures, len(bench.failures)) == (1, 1)
    assert bench.cache._flights == {}


def test_a_load_that_fails_after_it_was_repeated_is_a_failure(bench: Bench) -> None:
    loading_under(bench, lambda key, value: False, times=1)
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


def test_a_pool_that_raises_leaves_no_load_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Future[None]] = []

    def no_memory(job: Callable[[], None], done: Future[None], lane: Hashable) -> bool:
        given.append(done)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(bench.pool, "submit", no_memory)
        with pytest.raises(MemoryError):
            bench.cache.start("a", 0)
    assert given[0].cancelled()
    bench.load()
    assert bench.value() == "value"


def test_a_demand_leaves_alone_what_it_does_not_concern(bench: Bench) -> None:
    bench.load("failing", OSError())
    bench.load("absent", None)
    bench.cache.start("other", 0)
    bench.cache.outdate(lambda key, value: False, concerns=lambda key: key == "failing")
    assert bench.cache.read("failing") is None
    assert bench.cache.is_absent(bench.cache.read("absent"))
    bench.source.values["other"] = "value"
    bench.pool.run()
    assert bench.source.asked.count("other") == 1
    assert bench.value("other") == "value"


def test_whoever_joins_a_load_brings_it_forward(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    urged: list[Future[None]] = []
    monkeypatch.setattr(bench.pool, "urge", urged.append)
    first = bench.cache.start("a", 0)
    assert first is not None
    assert urged == []
    assert bench.cache.start("a", 0) == first
    assert urged == [first[0]]
