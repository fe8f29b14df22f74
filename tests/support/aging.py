"""What a test did not make itself is an hour old when the test uses it.

The suite takes minutes, and hours on a busy machine. A token that a module or a wide fixture made may expire before
its turn comes. Therefore `time.time` is an hour slow while modules are imported and while fixtures wider than a test
are set up. A token made there with a shorter life is expired in every run, on every machine.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

AGE: Final = 3600.0
"""By how many seconds `time.time` is behind, if it is."""

_real: Final = time.time


class _Clock:
    """The clock that replaces `time.time`."""

    def __init__(self) -> None:
        self.behind = 0.0

    def __call__(self) -> float:
        return _real() - self.behind


_CLOCK: Final = _Clock()


# The conftest of a folder that is named on the command line is imported before any hook is called.
_CLOCK.behind = AGE
time.time = _CLOCK


@contextmanager
def an_hour_ago() -> Iterator[None]:
    """`time.time` is an hour slow in this block."""
    before, _CLOCK.behind = _CLOCK.behind, AGE
    try:
        yield
    finally:
        _CLOCK.behind = before


def pytest_collection_finish() -> None:
    """The tests run by the real time."""
    _CLOCK.behind = 0.0


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Set up an hour ago what outlives a test."""
    if fixturedef.scope == "function":
        return (yield)
    with an_hour_ago():
        return (yield)
