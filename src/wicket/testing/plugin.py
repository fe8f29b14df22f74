"""The pytest plugin: fixtures for tests of applications behind a gate. pytest loads it by itself."""

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
    """A clock for `Gate(clock=wicket_clock)` that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def wicket_issuer() -> Iterator[LocalIssuer]:
    """A local issuer over HTTPS, closed after the test; needs the extra `issuer`. See `wicket.testing.issuer`."""
    from wicket.testing.issuer import LocalIssuer

    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def wicket_as_user() -> Callable[..., Any]:
    """`wicket.testing.as_user`: `client = wicket_as_user(client, "user-1", app="acme")`."""
    return as_user
