"""The pool runs jobs on few threads, rejects jobs when it is full, and never blocks the caller of `submit`."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial

import pytest

import wicket.runtime.pool
from wicket.runtime.pool import Pool

LONG = 10.0
"""How long a test waits for what must happen."""


class Gated:
    """A job that signals its start, and runs until it is released."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.go = threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.running.set()
        assert self.go.wait(LONG)


@pytest.fixture
def job() -> Iterator[Gated]:
    gated = Gated()
    yield gated
    gated.go.set()


def submit(pool: Pool, job: Callable[[], None]) -> Future[None] | None:
    """The future of the job. None if it was rejected."""
    done: Future[None] = Future()
    return done if pool.submit(job, done) else None


def taken(future: Future[None] | None) -> Future[None]:
    assert future is not None
    return future


def test_pool_job_runs_on_named_daemon_thread(job: Gated) -> None:
    pool = Pool("mine", threads=1, queue=1)
    job.go.set()
    taken(submit(pool, job)).result(LONG)
    assert job.thread is not None
    assert job.thread.daemon
    assert job.thread.name == "mine-worker"
    pool.close()


def test_pool_without_jobs_starts_no_thread() -> None:
    before = threading.active_count()
    Pool("lazy", threads=4, queue=4).close()
    assert threading.active_count() == before


def test_pool_idle_thread_is_reused(job: Gated) -> None:
    pool = Pool("again", threads=4, queue=4)
    job.go.set()
    taken(submit(pool, job)).result(LONG)
    first = job.thread
    condition: threading.Condition = pool._wake
    while True:  # the thread counts as idle only once it waits
        with condition:
            if pool._idle:
                break
    taken(submit(pool, job)).result(LONG)
    assert job.thread is first
    pool.close()


def test_pool_job_exception_is_set_on_future_and_thread_continues() -> None:
    pool = Pool("raises", threads=1, queue=2)

    def fails() -> None:
        raise SystemExit("no")

    with pytest.raises(SystemExit, match="no"):
        taken(submit(pool, fails)).result(LONG)
    taken(submit(pool, lambda: None)).result(LONG)  # the thread stays alive
    pool.close()


def test_pool_thread_limit_queues_further_jobs(job: Gated) -> None:
    pool = Pool("bounded", threads=1, queue=2)
    ran = threading.Event()
    first = taken(submit(pool, job))
    assert job.running.wait(LONG)
    second = taken(submit(pool, ran.set))
    assert not ran.is_set()
    job.go.set()
    second.result(LONG)
    assert first.done()
    pool.close()


def test_pool_full_queue_refuses_job(job: Gated) -> None:
    pool = Pool("full", threads=1, queue=1)
    submit(pool, job)
    assert job.running.wait(LONG)
    assert submit(pool, lambda: None) is not None
    assert submit(pool, lambda: None) is None
    job.go.set()
    pool.close()


def test_pool_closed_refuses_jobs_and_cancels_queued(job: Gated) -> None:
    pool = Pool("closed", threads=1, queue=1)
    running = taken(submit(pool, job))
    assert job.running.wait(LONG)
    waiting = taken(submit(pool, lambda: None))
    pool.close()
    assert submit(pool, lambda: None) is None
    assert waiting.cancelled()
    job.go.set()
    running.result(LONG)
    assert job.thread is not None
    job.thread.join(LONG)
    assert not job.thread.is_alive()


def test_pool_close_wakes_waiters_of_queued_job(job: Gated) -> None:
    pool = Pool("told", threads=1, queue=1)
    submit(pool, job)
    assert job.running.wait(LONG)
    waiting = taken(submit(pool, lambda: None))
    pool.close()
    assert concurrent.futures.wait([waiting], timeout=0).done == {waiting}


def test_pool_idle_thread_ends_after_idle_time(job: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wicket.runtime.pool, "IDLE_SECONDS", 0.001)
    pool = Pool("idle", threads=1, queue=1)
    job.go.set()
    taken(submit(pool, job)).result(LONG)
    first = job.thread
    assert first is not None
    first.join(LONG)
    assert not first.is_alive()
    taken(submit(pool, job)).result(LONG)
    assert job.thread is not first


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_pool_thread_start_error_without_threads_refuses_job(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool("starved", threads=2, queue=2)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert submit(pool, lambda: None) is None
    taken(submit(pool, lambda: None)).result(LONG)
    pool.close()


def test_pool_thread_start_error_queues_job_for_running_thread(job: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool("short", threads=2, queue=2)
    submit(pool, job)
    assert job.running.wait(LONG)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        second = taken(submit(pool, lambda: None))
    job.go.set()
    second.result(LONG)
    pool.close()


def test_pool_after_fork_has_empty_queue(job: Gated) -> None:
    pool = Pool("forked", threads=1, queue=1)
    submit(pool, job)
    assert job.running.wait(LONG)
    submit(pool, lambda: None)
    assert submit(pool, lambda: None) is None
    pool.after_fork()
    taken(submit(pool, lambda: None)).result(LONG)
    pool.close()


def test_pool_two_thread_start_errors_leave_no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool("both", threads=2, queue=2)
    nested: list[threading.Thread] = []
    inner: list[Future[None] | None] = []

    def fails_while_another_starts(self: threading.Thread) -> None:
        if not nested:
            nested.append(self)
            inner.append(submit(pool, lambda: None))
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fails_while_another_starts)
        outer = submit(pool, lambda: None)
    assert (outer, inner) == (None, [None])
    assert (len(pool._jobs), pool._threads) == (0, 0)
    taken(submit(pool, lambda: None)).result(LONG)
    pool.close()


def test_pool_thread_start_memory_error_is_raised_without_leftovers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(self: threading.Thread) -> None:
        raise MemoryError

    pool = Pool("memory", threads=1, queue=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_memory)
        with pytest.raises(MemoryError):
            submit(pool, lambda: None)
    taken(submit(pool, lambda: None)).result(LONG)
    pool.close()


def test_pool_ended_thread_is_not_counted(job: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wicket.runtime.pool, "IDLE_SECONDS", 0.001)
    pool = Pool("counted", threads=1, queue=1)
    job.go.set()
    taken(submit(pool, job)).result(LONG)
    assert job.thread is not None
    job.thread.join(LONG)
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert submit(pool, lambda: None) is None


def test_pool_prioritized_job_runs_before_newer_ones(job: Gated) -> None:
    order: list[str] = []
    pool = Pool("urged", threads=1, queue=5)
    submit(pool, job)
    assert job.running.wait(LONG)
    first, second = (taken(submit(pool, partial(order.append, name))) for name in ("first", "second"))
    pool.prioritize(first)
    pool.prioritize(Future())
    job.go.set()
    second.result(LONG)
    first.result(LONG)
    assert order == ["first", "second"]
    pool.close()


def test_pool_has_backlog_only_with_runnable_jobs(job: Gated) -> None:
    pool = Pool("backlog", threads=1, queue=5, per_group=1)
    submit(pool, job)
    assert job.running.wait(LONG)
    assert not pool.has_backlog
    pool.submit(lambda: None, Future(), group=None)
    assert not pool.has_backlog, "its group is full"
    last: Future[None] = Future()
    pool.submit(lambda: None, last, group="another")
    assert pool.has_backlog
    job.go.set()
    last.result(LONG)
    pool.close()


def in_order(pool: Pool, job: Gated, jobs: list[tuple[str, str | None]]) -> list[str]:
    """The order in which jobs with these names and owners run, if they are queued while the only thread is busy."""
    order: list[str] = []
    submit(pool, job)
    assert job.running.wait(LONG)
    waiting: list[Future[None]] = []
    for name, owner in jobs:
        waiting.append(Future())
        assert pool.submit(partial(order.append, name), waiting[-1], None, owner)
    job.go.set()
    concurrent.futures.wait(waiting, LONG)
    pool.close()
    return order


def test_pool_owners_alternate_with_newest_job_first(job: Gated) -> None:
    jobs = [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("a4", "a"), ("b2", "b"), ("c1", "c")]
    assert in_order(Pool("turns", threads=1, queue=9), job, [*jobs]) == ["c1", "b2", "a4", "b1", "a3", "a2", "a1"]


def test_pool_jobs_without_owner_run_newest_first(job: Gated) -> None:
    jobs = [(str(number), None) for number in range(4)]
    assert in_order(Pool("none", threads=1, queue=9), job, [*jobs]) == ["3", "2", "1", "0"]


def test_pool_owner_history_is_bounded() -> None:
    pool = Pool("forgets", threads=1, queue=2)
    for number in range(50):
        done: Future[None] = Future()
        while not pool.submit(lambda: None, done, None, number):
            pass
        done.result(LONG)
    assert len(pool._served) <= 2 * 2 + 2
    pool.close()
