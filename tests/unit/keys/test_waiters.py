"""The limits of requests that wait for an allowed fetch."""

from __future__ import annotations

import asyncio
import contextlib

from tests.support.clients import finished
from tests.support.unit import Clock
from wicket.decision.io import Pause, arun, run
from wicket.keys.waiters import Waiters


def places(waiters: Waiters, key: str, count: int, seconds: float = 0.0, *, on_thread: bool) -> int:
    """The number of these requests that may wait at the same time."""
    with contextlib.ExitStack() as stack:
        return sum(stack.enter_context(waiters.place(key, seconds, on_thread=on_thread)) for _ in range(count))


def test_waiters_per_key_limit_2_threads_100_coroutines() -> None:
    waiters = Waiters(Clock())
    assert places(waiters, "a", 10, on_thread=True) == 2
    assert places(waiters, "a", 200, on_thread=False) == 100
    assert places(waiters, "a", 10, on_thread=True) == 2, "those that ended count no longer"


def test_waiters_total_limit_4_threads_1000_coroutines() -> None:
    waiters = Waiters(Clock())
    with contextlib.ExitStack() as stack:
        threads = [stack.enter_context(waiters.place(n // 2, 0.0, on_thread=True)) for n in range(12)]
        coroutines = [stack.enter_context(waiters.place(n // 100, 0.0, on_thread=False)) for n in range(1_200)]
    assert (sum(threads), sum(coroutines)) == (4, 1_000)


def test_waiters_thread_wait_budget_10_s_refills_at_one_tenth() -> None:
    clock = Clock()
    waiters = Waiters(clock)
    assert [places(waiters, "a", 1, 4.0, on_thread=True) for _ in range(3)] == [1, 1, 0]
    clock.now += 19
    assert places(waiters, "a", 1, 4.0, on_thread=True) == 0
    clock.now += 1
    assert places(waiters, "a", 1, 4.0, on_thread=True) == 1
    assert places(waiters, "a", 1, 4.0, on_thread=True) == 0
    assert places(waiters, "a", 1, 4.0, on_thread=False) == 1
    waiters.after_fork()
    assert places(waiters, "a", 1, 4.0, on_thread=True) == 1


def test_run_and_arun_pause_returns_whether_waited() -> None:
    waiters = Waiters(Clock())
    assert run(iter(Pause(waiters, "a", 0.001))) is True
    assert asyncio.run(arun(iter(Pause(waiters, "a", 0.001)))) is True
    with contextlib.ExitStack() as stack:
        for on_thread in (True, False):
            for _ in range(100):
                stack.enter_context(waiters.place("a", 0.0, on_thread=on_thread))
        assert run(iter(Pause(waiters, "a", 60.0))) is False
        assert finished(arun(iter(Pause(waiters, "a", 60.0)))) is False
