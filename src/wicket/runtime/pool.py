"""Small pools of daemon threads with a bounded queue, on which everything that may block is run."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass

IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    run: Callable[[], None]
    done: Future[None]
    group: Hashable
    owner: Hashable


class Pool:
    """At most `threads` daemon threads, started when needed and gone when idle; at most `queue` jobs wait.

    Jobs of one lane share at most `per_lane` threads, so that a slow one cannot hold them all. Owners take turns: the
    next job is one of the owner that was served longest ago. Of the jobs of one owner, and of owners that were not
    served yet, the newest is run first: whoever asked last still waits for it. A job without an owner is the only one
    of its owner. A job that cannot be taken (queue full, pool closed, interpreter going down) is refused at once.
    """

    def __init__(self, name: str, *, threads: int, queue: int, per_group: int | None = None) -> None:
        self._name = name
        self._size = threads
        self._limit = queue
        self._per_group = per_group or threads
        self._closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """Start anew with nothing queued: in a forked child neither the threads nor the lock's owner exist."""
        self._wake = threading.Condition(threading.Lock())
        self._jobs: list[_Job] = []
        self._running: Counter[Hashable] = Counter()
        self._turns = itertools.count(1)
        self._served: dict[Hashable, int] = {}
        self._threads = 0
        self._alive = 0
        self._idle = 0

    @property
    def closed(self) -> bool:
        """Whether the pool takes no more jobs."""
        return self._closed

    @property
    def has_backlog(self) -> bool:
        """Whether a job waits that could run if a thread were free."""
        with self._wake:
            return self._idle == 0 and self._threads >= self._size and self._next() is not None

    def prioritize(self, done: Future[None]) -> None:
        """Somebody else waits for this job too: if it is still queued, it counts as the newest."""
        with self._wake:
            for job in self._jobs:
                if job.done is done:
                    self._jobs.remove(job)
                    self._jobs.append(job)
                    return

    def submit(
        self, run: Callable[[], None], done: Future[None], group: Hashable = None, owner: Hashable = None
    ) -> bool:
        """Run `run` soon on a thread of the pool, and fulfil `done` then. False where the job cannot be taken.

        No lock may be held by the caller: starting a thread can hand control to it.
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
                # Where there is no thread left, or the interpreter goes down, one that runs may still take the job; one
                # that is only being started may fail as this one did.
                expected = isinstance(error, RuntimeError)
                lost = job in self._jobs and not (expected and self._alive)
                if lost:
                    self._jobs.remove(job)
            if not expected:
                raise
            return not lost
        return True

    def close(self) -> None:
        """Take no more jobs and let the threads end; jobs that wait are given up as cancelled."""
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
                self._note_turn(job)
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001 - whatever a job raises belongs to who waits for it
                outcome: BaseException | None = error
            else:
                outcome = None
            with wake:
                self._running -= Counter([job.group])
            if outcome is not None:
                job.done.set_exception(outcome)
            else:
                job.done.set_result(None)
            del job, outcome  # a thread that waits must not keep the last job's app alive

    def _next(self) -> _Job | None:
        """The job whose turn it is, of those whose lane has a thread to spare."""
        found: _Job | None = None
        longest_ago = 0
        for job in reversed(self._jobs):
            if self._running[job.group] >= self._per_group:
                continue
            turn = self._served.get(job.owner, 0) if job.owner is not None else 0
            if turn == 0:
                return job
            if found is None or turn < longest_ago:
                found, longest_ago = job, turn
        return found

    def _note_turn(self, job: _Job) -> None:
        """Let the owner of `job` wait for its next turn, as long as it has jobs that wait."""
        if len(self._served) > 2 * self._limit:
            waiting = {each.owner for each in self._jobs}
            self._served = {owner: turn for owner, turn in self._served.items() if owner in waiting}
        if job.owner is not None:
            self._served[job.owner] = next(self._turns)


def cancel_future(done: Future[None]) -> None:
    """Tell whoever waits for `done` that it will not come."""
    done.cancel()
    done.set_running_or_notify_cancel()
