"""A cache of values with names for each test."""

from __future__ import annotations

import pytest

from tests.unit.runtime.support import Named


@pytest.fixture
def named() -> Named:
    return Named()
