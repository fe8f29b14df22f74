"""A local issuer per test module. Its state is reset between tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wicket.testing.issuer import LocalIssuer


@pytest.fixture(scope="module")
def house() -> Iterator[LocalIssuer]:
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(house: LocalIssuer) -> Iterator[LocalIssuer]:
    house.requests.clear()
    yield house
    house.fault = None
