"""The pytest plugin: fixtures for tests of applications behind a gate. pytest loads it by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wicket.testing.clients import as_user
from wicket.testing.clock import Clock


@pytest.fixture
def wicket_clock() -> Clock:
    """A clock for `Gate(clock=wicket_clock)` that stands still until the test moves it."""
    return Clock()


@pytest.fixture
def wicket_as_user() -> Callable[..., Any]:
    """`wicket.testing.as_user`: `client = wicket_as_user(client, "user-1", app="acme")`."""
    return as_user
