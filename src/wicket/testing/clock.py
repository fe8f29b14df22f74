"""A clock that stands still until a test moves it."""

from __future__ import annotations

import time


class FakeClock:
    """Give it as `Gate(clock=…)`: it tells the seconds since 1970, and `advance` moves it."""

    def __init__(self, now: float | None = None) -> None:
        self.now = float(int(time.time())) if now is None else now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; with a negative number, let it go back."""
        self.now += seconds
