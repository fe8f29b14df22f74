"""The pytest plugin, with fixtures for tests of applications with a gate. pytest loads it as an entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from wicket.testing.clients import as_user
from wicket.testing.clock import FakeClock

if TYPE_CHECKING:
    from wicket.testing.issuer import LocalIssuer


@pytest.fixture
def wicket_clock() -> FakeClock:
    """A clock for `Gate(clock=wicket_clock)` that does not move until the test moves it."""
    return FakeClock()


@pytest.fixture
def wicket_issuer() -> Iterator[LocalIssuer]:
    """A local HTTPS issuer, closed after the test. It needs the extra `issuer`. See `wicket.testing.issuer`."""
    from wicket.testing.issuer import LocalIssuer

    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def wicket_as_user() -> Callable[..., Any]:
    """`wicket.testing.as_user`, called as `client = wicket_as_user(client, "user-1", app="acme")`."""
    return as_user
