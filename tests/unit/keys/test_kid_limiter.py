"""The token bucket of unknown kids, with a fake clock."""

from __future__ import annotations

import threading
import tracemalloc

from tests.support.unit import Clock
from wicket.keys.key_set import KeySetRef, KeySource
from wicket.keys.kid_limiter import UnknownKidLimiter
from wicket.keys.urls import check_url

MINE = KeySetRef("mine", KeySource(check_url("https://id.example.com/"), None, ("RS256",)))
OTHER = KeySetRef("other", MINE.source)


class Bench:
    def __init__(self, first: int = 2, every: float = 30, remembered: float = 60) -> None:
        self.clock = Clock()
        self.spent: list[KeySetRef] = []
        self.kids = UnknownKidLimiter(
            burst=first, interval=every, negative_lifetime=remembered, on_limited=self.spent.append, clock=self.clock
        )

    def flood(self, source: KeySetRef = MINE, count: int = 100) -> int:
        """The number of fetches that this many new kids may cause."""
        return sum(self.kids.try_acquire(source, f"kid-{self.clock.now}-{index}", 1) for index in range(count))


def test_kid_limiter_burst_allows_two_fetches() -> None:
    bench = Bench()
    assert [bench.kids.try_acquire(MINE, kid, 1) for kid in "abcd"] == [True, True, False, False]
    assert bench.spent == [MINE, MINE]


def test_kid_limiter_after_burst_one_fetch_per_30_s() -> None:
    bench = Bench()
    bench.flood()
    bench.clock.now += 29.9
    assert bench.flood() == 0
    bench.clock.now += 0.1
    assert bench.flood() == 1
    assert bench.flood() == 0
    bench.clock.now += 30
    assert bench.flood() == 1


def test_kid_limiter_refused_attempts_do_not_delay_next_fetch() -> None:
    bench = Bench()
    bench.flood()
    for _ in range(60):
        bench.clock.now += 0.5
        allowed = bench.flood(count=1)
    assert allowed == 1


def test_kid_limiter_one_hour_flood_bounded_fetches() -> None:
    bench = Bench()
    fetches = 0
    for _ in range(3600):
        fetches += bench.flood(count=3)
        bench.clock.now += 1
    assert fetches <= 2 + 3600 / 30


def test_kid_limiter_idle_refills_to_burst_at_most() -> None:
    bench = Bench()
    bench.flood()
    bench.clock.now += 59
    assert bench.flood() == 1
    bench.clock.now += 3600
    assert bench.flood() == 2


def test_kid_limiter_sources_limited_independently() -> None:
    bench = Bench()
    assert bench.flood(MINE, 1000) == 2
    assert bench.flood(OTHER) == 2


def test_kid_limiter_remembered_kid_refused_without_using_burst() -> None:
    bench = Bench()
    bench.kids.add_absent(MINE, "a", 1)
    assert [bench.kids.try_acquire(MINE, "a", 1) for _ in range(5)] == [False] * 5
    assert bench.spent == []
    assert bench.flood() == 2


def test_kid_limiter_remembered_kid_expires_after_60_s() -> None:
    bench = Bench()
    bench.kids.add_absent(MINE, "a", 1)
    bench.clock.now += 59.9
    assert not bench.kids.try_acquire(MINE, "a", 1)
    bench.clock.now += 0.2
    assert bench.kids.try_acquire(MINE, "a", 1)


def test_kid_limiter_new_key_set_version_allows_remembered_kid() -> None:
    bench = Bench()
    bench.kids.add_absent(MINE, "a", 1)
    assert bench.kids.try_acquire(MINE, "a", 2)


def test_kid_limiter_remembered_kid_allowed_for_other_source() -> None:
    bench = Bench()
    bench.kids.add_absent(MINE, "a", 1)
    assert bench.kids.try_acquire(OTHER, "a", 1)


def test_kid_limiter_long_kids_bounded_memory() -> None:
    """Every request that joins a slow load adds its kid, and a kid can have 12,000 characters."""
    bench = Bench()
    tracemalloc.start()
    try:
        for index in range(1000):
            bench.kids.add_absent(MINE, f"{index}".ljust(12_000, "x"), 1)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not bench.kids.try_acquire(MINE, "999".ljust(12_000, "x"), 1)
    assert held < 2_000_000


def test_kid_limiter_custom_settings_applied() -> None:
    bench = Bench(first=5, every=2, remembered=1)
    assert bench.flood() == 5
    bench.clock.now += 4
    assert bench.flood() == 2
    bench.kids.add_absent(MINE, "a", 1)
    bench.clock.now += 4
    assert bench.kids.try_acquire(MINE, "a", 1)


def test_kid_limiter_after_fork_resets_despite_locked_lock() -> None:
    bench = Bench()
    bench.flood()
    bench.kids.add_absent(MINE, "a", 1)
    bench.kids._lock.acquire()
    bench.kids.after_fork()
    assert bench.flood() == 2
    bench.clock.now += 30
    assert bench.kids.try_acquire(MINE, "a", 1)


def test_kid_limiter_concurrent_threads_share_burst() -> None:
    bench = Bench()
    allowed: list[bool] = []
    start = threading.Barrier(8)

    def ask(number: int) -> None:
        start.wait(5)
        allowed.extend(bench.kids.try_acquire(MINE, f"{number}-{index}", 1) for index in range(50))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert (len(allowed), sum(allowed)) == (400, 2)


def test_kid_limiter_refund_permits_one_more_fetch_up_to_burst() -> None:
    bench = Bench()
    bench.flood()
    bench.kids.refund(MINE)
    assert bench.flood() == 1
    for _ in range(5):
        bench.kids.refund(MINE)
    assert bench.flood() == 2
