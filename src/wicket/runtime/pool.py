"""Thread pools with a bounded queue. All blocking work runs on one of them."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass

IDLE_SECONDS = 30.0
"""A thread without work ends after this time, in seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    run: Callable[[], None]
    done: Future[None]
    group: Hashable
    owner: Hashable


class Pool:
    """A pool of daemon threads. A thread is started when it is needed, and ends when it is idle.

    Scheduling:

    - The jobs of one group share at most `per_group` threads, so one slow group cannot occupy all threads.
    - Owners are served in round-robin order. The next job is one of the owner that was served least recently.
    - Among the jobs of one owner, and among owners that were never served, the newest job runs first. The request that
      submitted it is the most likely to be still waiting.
    - A job without an owner is treated as the job of an owner that was never served.
    - A job is rejected immediately if the queue is full, the pool is closed, or the interpreter is shutting down.

    Args:
        name: the prefix of the thread names.
        threads: the maximum number of threads.
        queue: the maximum number of waiting jobs.
        per_group: the maximum number of threads for the jobs of one group. None: no limit.
    """

    def __init__(self, name: str, *, threads: int, queue: int, per_group: int | None = None) -> None:
        self._name = name
        self._size = threads
        self._limit = queue
        self._per_group = per_group or threads
        self._closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """Reset the pool to an empty queue. In a forked child, the threads and the owner of the lock do not exist."""
        self._wake = threading.Condition(threading.Lock())
        self._jobs: list[_Job] = []
        self._running: Counter[Hashable] = Counter()
        self._sequence = itertools.count(1)
        self._served: dict[Hashable, int] = {}
        self._threads = 0
        self._alive = 0
        self._idle = 0

    @property
    def closed(self) -> bool:
        """Whether the pool rejects all new jobs."""
        return self._closed

    @property
    def has_backlog(self) -> bool:
        """Whether a queued job could run if there were a free thread."""
        with self._wake:
            return self._idle == 0 and self._threads >= self._size and self._next() is not None

    def prioritize(self, done: Future[None]) -> None:
        """Move a queued job to the newest position, because another request waits for it.

        Args:
            done: the future of the job. Nothing happens if the job is not in the queue.
        """
        with self._wake:
            for job in self._jobs:
                if job.done is done:
                    self._jobs.remove(job)
                    self._jobs.append(job)
                    return

    def submit(
        self, run: Callable[[], None], done: Future[None], group: Hashable = None, owner: Hashable = None
    ) -> bool:
        """Queue a job.

        The caller must not hold a lock: starting a thread can switch to that thread.

        Args:
            run: the function that a thread of the pool calls.
            done: the future that gets the result: None, or the exception that `run` raised.
            group: the group of the job.
            owner: the owner of the job, for the round-robin order. None: the job is the only job of its owner.

        Returns:
            False if the job was rejected.
        """
        job = _Job(run, done, group, owner)
        with self._wake:
            if self._closed or len(self._jobs) >= self._limit:
                return False
            self._jobs.append(job)
            if self._idle >= len(self._jobs) or self._threads >= self._size:
                self._wake.notify()
                return True
            self._threads += 1
        try:
            threading.Thread(target=self._work, name=f"{self._name}-worker", daemon=True).start()
        except BaseException as error:
            with self._wake:
                self._threads -= 1
                # Python raises RuntimeError if no thread can be started or the interpreter is shutting down. A running
                # thread can still take the job. A thread that is only being started does not count: it may fail too.
                expected = isinstance(error, RuntimeError)
                lost = job in self._jobs and not (expected and self._alive)
                if lost:
                    self._jobs.remove(job)
            if not expected:
                raise
            return not lost
        return True

    def close(self) -> None:
        """Reject new jobs, cancel the queued ones, and let the threads end."""
        with self._wake:
            self._closed = True
            waiting, self._jobs = self._jobs, []
            self._wake.notify_all()
        for job in waiting:
            cancel_future(job.done)

    def _work(self) -> None:
        wake = self._wake
        with wake:
            self._alive += 1
        while True:
            with wake:
                self._idle += 1
                wake.wait_for(lambda: self._closed or self._next() is not None, IDLE_SECONDS)
                self._idle -= 1
                job = self._next()
                if job is None:
                    self._threads -= 1
                    self._alive -= 1
                    return
                self._jobs.remove(job)
                self._running[job.group] += 1
                self._mark_served(job)
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001 - the future hands every exception to the waiting requests
                exception: BaseException | None = error
            else:
                exception = None
            with wake:
                self._running -= Counter([job.group])
            if exception is not None:
                job.done.set_exception(exception)
            else:
                job.done.set_result(None)
            del job, exception  # an idle thread must not keep the app of its last job alive

    def _next(self) -> _Job | None:
        """Return the next job of a group that has a thread to spare, or None. The caller holds the lock."""
        selected: _Job | None = None
        least_recent = 0
        for job in reversed(self._jobs):
            if self._running[job.group] >= self._per_group:
                continue
            served = self._served.get(job.owner, 0) if job.owner is not None else 0
            if served == 0:
                return job
            if selected is None or served < least_recent:
                selected, least_recent = job, served
        return selected

    def _mark_served(self, job: _Job) -> None:
        """Record that the owner of `job` was served. Owners without a queued job are removed from time to time."""
        if len(self._served) > 2 * self._limit:
            waiting = {queued.owner for queued in self._jobs}
            self._served = {owner: served for owner, served in self._served.items() if owner in waiting}
        if job.owner is not None:
            self._served[job.owner] = next(self._sequence)


def cancel_future(done: Future[None]) -> None:
    """Cancel `done` and notify everything that waits for it."""
    done.cancel()
    done.set_running_or_notify_cancel()
