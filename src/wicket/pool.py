"""Small pools of daemon threads with a bounded queue, on which everything that may block is run."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

IDLE_SECONDS = 30.0


class Pool:
    """At most `threads` daemon threads, started when needed and gone when idle; at most `queue` jobs wait.

    A job that cannot be taken (queue full, pool closed, interpreter going down) is refused at once.
    """

    def __init__(self, name: str, *, threads: int, queue: int) -> None:
        self._name = name
        self._size = threads
        self._limit = queue
        self._closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """Start anew with nothing queued: in a forked child neither the threads nor the lock's owner exist."""
        self._wake = threading.Condition(threading.Lock())
        self._jobs: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._threads = 0
        self._alive = 0
        self._idle = 0

    def submit(self, job: Callable[[], None], done: Future[None]) -> bool:
        """Run `job` soon on a thread of the pool, and fulfil `done` then. False where the job cannot be taken.

        No lock may be held by the caller: starting a thread can hand control to it.
        """
        with self._wake:
            if self._closed or len(self._jobs) >= self._limit:
                return False
            self._jobs.append((job, done))
            if self._idle >= len(self._jobs) or self._threads >= self._size:
                self._wake.notify()
                return True
            self._threads += 1
        try:
            threading.Thread(target=self._work, name=f"{self._name}-worker", daemon=True).start()
        except BaseException as error:
            with self._wake:
                self._threads -= 1
                # A thread that runs will take the job; one that is only being started may fail as this one did.
                lost = self._alive == 0 and (job, done) in self._jobs
                if lost:
                    self._jobs.remove((job, done))
            if not isinstance(error, RuntimeError):  # no thread left, or the interpreter goes down
                raise
            return not lost
        return True

    def close(self) -> None:
        """Take no more jobs and let the threads end; jobs that wait are given up as cancelled."""
        with self._wake:
            self._closed = True
            waiting, self._jobs = self._jobs, deque()
            self._wake.notify_all()
        for _, done in waiting:
            give_up(done)

    def _work(self) -> None:
        wake = self._wake
        with wake:
            self._alive += 1
        while True:
            with wake:
                self._idle += 1
                wake.wait_for(lambda: self._jobs or self._closed, IDLE_SECONDS)
                self._idle -= 1
                if not self._jobs:
                    self._threads -= 1
                    self._alive -= 1
                    return
                job, done = self._jobs.popleft()
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - whatever a job raises belongs to who waits for it
                done.set_exception(error)
            else:
                done.set_result(None)
            del job, done  # a thread that waits must not keep the last job's app alive


def give_up(done: Future[None]) -> None:
    """Tell whoever waits for `done` that it will not come."""
    done.cancel()
    done.set_running_or_notify_cancel()
