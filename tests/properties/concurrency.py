"""What tests of many requests at once have in common: threads that begin together, and what a cache did meanwhile."""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from types import FrameType
from typing import Any, Final, TypeVar

T = TypeVar("T")

LONG: Final = 30.0  # how long anything may really take on a busy machine: far more than it ever does


def given_way(files: tuple[str, ...], chance: random.Random) -> Callable[..., Any]:
    """A trace function by which a thread hands over to another between any two lines of these files, by chance."""

    def line(frame: FrameType, event: str, _: object) -> Any:
        if chance.random() < 0.1:
            time.sleep(1e-6)  # whoever waits for its turn has it
        return line

    return lambda frame, event, _: line if frame.f_code.co_filename.endswith(files) else None


@contextlib.contextmanager
def turns_taken_often() -> Iterator[None]:
    """Let threads take turns after every few steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def together(
    jobs: Sequence[Callable[[], Sequence[T]]],
    meanwhile: Callable[[], None] = lambda: None,
    *,
    way: Callable[[int], Callable[..., Any]] | None = None,
) -> list[T]:
    """The results of the jobs. Each runs on its own thread, they start together, and `meanwhile` runs on this one.

    `way` makes the trace function of each.
    """
    start = threading.Barrier(len(jobs) + 1)
    brought: list[T] = []
    broken: list[BaseException] = []

    def work(number: int, job: Callable[[], Sequence[T]]) -> None:
        start.wait(LONG)
        if way is not None:
            sys.settrace(way(number))
        try:
            brought.extend(job())
        except BaseException as error:  # noqa: BLE001 - told to the test, which waits for the thread
            broken.append(error)

    threads = [threading.Thread(target=work, args=each, daemon=True) for each in enumerate(jobs)]
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
    wait([flight.done for each in caches for flight in list(each._in_flight.values())], LONG)
    assert not any(each._in_flight for each in caches), "a load hangs"


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
