"""How much a call costs, counted in what this machine does meanwhile: no test has a limit in seconds of CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 400_000
"""What is refused by its size or its shape, in steps: some 10 ms of such a machine."""
QUICKLY: Final = 4_000_000
"""What is read once, in steps: some 100 ms."""
BOUNDED: Final = 40_000_000
"""A megabyte of a request that is read once, in steps: some second."""
_COUNTED: Final = 100_000
_ROUNDS: Final = 5


def steps_of(call: Callable[[], object], *, rounds: int = _ROUNDS) -> float:
    """The cost of `call` in steps of a plain loop, of which a machine of 2024 does about 40 million in a second.

    Both are measured by the CPU time of this process, in turn, and the least of all rounds counts: the load of the
    machine and its speed slow down both alike, and only ever add.
    """
    calls, loops = [], []
    for _ in range(rounds):
        loops.append(_seconds(_count))
        calls.append(_seconds(call))
    return min(calls) / min(loops) * _COUNTED


def _count() -> int:
    return sum(1 for _ in range(_COUNTED))


def _seconds(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun
