"""Measures calls in turn, in many short rounds, by the CPU time of one thread.

The speed of a machine changes from minute to minute, so only figures of the same rounds are compared.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

Batch = Callable[[], object]

_WARM: Final = 3
_BLOCKS: Final = 5
_COLLECT_EVERY: Final = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `value` is a ratio unless `unit` is set. `spread` is its minimum and maximum in five parts of the rounds. `bound`
    is its upper limit, or None if the value is only reported. `micros` holds the absolute times in microseconds.
    """

    part: str
    what: str
    value: float
    bound: float | None = None
    unit: str = ""
    spread: tuple[float, float] | None = None
    note: str = ""
    micros: Mapping[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Whether the value is within its bound; None without a bound."""
        return None if self.bound is None else self.value <= self.bound


@dataclass(frozen=True, slots=True)
class Samples:
    """Microseconds per call, by name, one for each round."""

    of: Mapping[str, list[float]]

    def median(self, name: str, *, less: str | None = None) -> float:
        """Returns the median time of a call; with `less`, of its difference to that call in the same round."""
        return _median(self._values(name, less))

    def ratio(self, name: str, to: str, *, less: str | None = None) -> tuple[float, tuple[float, float]]:
        """Returns the ratio of two medians, and its minimum and maximum in five parts of the rounds."""
        above, below = self._values(name, less), self._values(to, less)
        size = max(1, len(above) // _BLOCKS)
        parts = [
            _median(above[start : start + size]) / _median(below[start : start + size])
            for start in range(0, size * min(_BLOCKS, len(above)), size)
        ]
        return _median(above) / _median(below), (min(parts), max(parts))

    def _values(self, name: str, less: str | None) -> list[float]:
        if less is None:
            return self.of[name]
        return [value - base for value, base in zip(self.of[name], self.of[less], strict=True)]


def interleaved(
    batches: Mapping[str, Batch], *, calls: int, rounds: int, clock: Callable[[], int] = time.thread_time_ns
) -> Samples:
    """Run each batch once a round, in an order that rotates with each round; each makes `calls` calls.

    `clock` counts nanoseconds: by default those that this thread spent on a CPU, so that what other processes take
    away does not count. Garbage is collected between the rounds and not within them.
    """
    times: dict[str, list[float]] = {name: [] for name in batches}
    order = list(batches)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for number in range(-_WARM, rounds):
            for name in order:
                batch = batches[name]
                begun = clock()
                batch()
                spent = clock() - begun
                if number >= 0:
                    times[name].append(spent / calls / 1000)
            order = [*order[1:], order[0]] if number % 2 else order[::-1]
            if number % _COLLECT_EVERY == 0:
                gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    return Samples(times)


def warm_rounds(rounds: int) -> int:
    """Returns how often a batch runs in total if it is measured for `rounds`."""
    return rounds + _WARM


def repeated(call: Callable[[], object], calls: int) -> Batch:
    """Returns a batch that repeats one call."""

    def batch() -> None:
        for _ in range(calls):
            call()

    return batch


def fresh(call: Callable[[T], object], arguments: Iterable[T], calls: int) -> Batch:
    """Returns a batch that makes each call with the next argument. It raises when no argument is left."""
    left: Iterator[T] = iter(arguments)

    def batch() -> None:
        made = 0
        for argument in islice(left, calls):
            call(argument)
            made += 1
        if made != calls:
            raise RuntimeError("the arguments have run out")

    return batch


def _median(values: list[float]) -> float:
    return statistics.median(values)
