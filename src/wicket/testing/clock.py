"""A clock that does not move until a test moves it."""

from __future__ import annotations

import time


class FakeClock:
    """A clock for `Gate(clock=FakeClock())`.

    Args:
        now: The initial time, in seconds since 1970. None means the current time in whole seconds.

    Attributes:
        now: The time that the clock returns, in seconds since 1970.
    """

    def __init__(self, now: float | None = None) -> None:
        self.now = float(int(time.time())) if now is None else now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock.

        Args:
            seconds: How far to move it, in seconds. A negative number moves it back.
        """
        self.now += seconds
