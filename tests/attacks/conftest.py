"""An application with each middleware in turn, and a local issuer."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.clients import DOORS, Behind, Door
from tests.attacks.token_factory import NOW
from wicket import App, Gate, Header
from wicket.testing.issuer import LocalIssuer


@pytest.fixture(params=DOORS)
def behind(request: pytest.FixtureRequest) -> Iterator[Behind]:
    """A function that puts a gate before Starlette, and in the test's second run before Flask."""
    gates: list[Gate] = []

    def build(*apps: App, gate: Gate | None = None, paths: Any = None, **settings: Any) -> Door:
        if gate is None:
            gate = Gate(apps, **{"app_locations": [Header("X-App-Id")], "clock": lambda: NOW, **settings})
        gates.append(gate)
        return DOORS[request.param](gate, dict(paths or {}))

    yield build
    for each in gates:
        each.close()


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """A local issuer with one key."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def other() -> Iterator[LocalIssuer]:
    """Another, whose key has the same name."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def compares(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, bool]]:
    """Every constant-time comparison: both lengths and the result."""
    told: list[tuple[int, int, bool]] = []
    real = hmac.compare_digest

    def spy(first: Any, second: Any) -> bool:
        result = real(first, second)
        told.append((len(first), len(second), result))
        return result

    monkeypatch.setattr(hmac, "compare_digest", spy)
    return told
