"""What the tests of the gate share: ways to ask one, a registry that counts, a second app, and what was logged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.unit import BY_HEADER, NOW, OTHER_KEY, secret
from wicket import App, AppRef, Decision, Gate, Limits, Request

LONG = 10.0
QUICK = Limits(load_timeout=0.05, stale_timeout=0.05, log_only_timeout=0.05)

Ask = Callable[[Gate, Request], Decision]


def sync(gate: Gate, request: Request) -> Decision:
    return gate.decide(request)


def in_a_loop(gate: Gate, request: Request) -> Decision:
    return asyncio.run(gate.adecide(request))


both = pytest.mark.parametrize("ask", [sync, in_a_loop])


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def acme_two(**settings: Any) -> App:
    return App("two", **{"credentials": [secret(OTHER_KEY)], "app_locations": BY_HEADER, **settings})


class Registry:
    """A registry that counts what it is asked."""

    def __init__(self, **apps: Any) -> None:
        self.apps: dict[str, Any] = apps
        self.asked: list[AppRef] = []

    def __call__(self, ref: AppRef) -> App | None:
        self.asked.append(ref)
        found = self.apps.get(ref.value)
        if isinstance(found, BaseException):
            raise found
        app: App | None = found
        return app


def over(registry: Any, **settings: Any) -> Gate:
    return Gate(registry=registry, **{"app_locations": BY_HEADER, "clock": lambda: NOW, **settings})
