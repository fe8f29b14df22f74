"""The bench on which the tests of the cache stand, without chance."""

from __future__ import annotations

import pytest

from tests.support.cache_harness import Bench


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("wicket.runtime.entries.random.random", lambda: 0.5)
    return Bench()
