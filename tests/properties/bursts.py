"""What tests of many requests at once have in common: threads that begin together, and what a cache did meanwhile."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from typing import Any, Final, TypeVar

T = TypeVar("T")

LONG: Final = 30.0  # how long anything may really take on a busy machine: far more than it ever does


@contextlib.contextmanager
def turns_taken_often() -> Iterator[None]:
    """Let threads take turns after every few steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def together(jobs: Sequence[Callable[[], Sequence[T]]], meanwhile: Callable[[], None] = lambda: None) -> list[T]:
    """All that the jobs bring, each on a thread of its own; they begin at once, and `meanwhile` is done here."""
    start = threading.Barrier(len(jobs) + 1)
    brought: list[T] = []
    broken: list[BaseException] = []

    def work(job: Callable[[], Sequence[T]]) -> None:
        start.wait(LONG)
        try:
            brought.extend(job())
        except BaseException as error:  # noqa: BLE001 - told to the test, which waits for the thread
            broken.append(error)

    threads = [threading.Thread(target=work, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    start.wait(LONG)
    meanwhile()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive(), "a request hangs"
    if broken:
        raise broken[0]
    return brought


def landed(*caches: Any) -> None:
    """Wait until no load of these caches is under way."""
    wait([flight.done for each in caches for flight in list(each._flights.values())], LONG)
    assert not any(each._flights for each in caches), "a load hangs"


class Published:
    """When something came into a cache: only then can it have pushed out something else.

    A request of one key is told to come again where its entry was pushed out before it was read, so something of
    another key came between the request's beginning and its end.
    """

    def __init__(self, cache: Any, moment: Callable[[], int]) -> None:
        self._seen: list[tuple[object, int, int]] = []
        publish = cache._publish

        def watched(key: object, *loaded: Any) -> None:
            begun = moment()
            publish(key, *loaded)
            self._seen.append((key, begun, moment()))

        cache._publish = watched

    def another(self, mine: Callable[[Any], bool], begun: int, ended: int) -> bool:
        """Whether something of another key came in meanwhile."""
        return any(first < ended and begun < last and not mine(key) for key, first, last in list(self._seen))
