"""The suite notices what was made before its test and lives for less than an hour."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

from tests.support.aging import AGE
from wicket import App, Gate, Header, Secret, mint

ACME = App("acme", credentials=[Secret(bytes(range(7, 39)))], origins=["https://acme.com"])


class Made(NamedTuple):
    """When something was made, and a token of five minutes that was made with it."""

    at: float
    token: str


def made() -> Made:
    return Made(time.time(), mint(ACME, "ada", ttl=300))


IMPORTED = made()


@pytest.fixture(scope="module")
def by_module() -> Made:
    return made()


@pytest.fixture(scope="session")
def by_session() -> Made:
    return made()


@pytest.fixture
def by_test() -> Made:
    return made()


@pytest.fixture(params=["import", "module", "session"])
def old(request: pytest.FixtureRequest, by_module: Made, by_session: Made) -> Made:
    found: Made = {"import": IMPORTED, "module": by_module, "session": by_session}[request.param]
    return found


def outcome(token: str) -> str | None:
    with Gate([ACME], app_locations=[Header("X-App-Id")]) as gate:
        refusal = gate.verify(token, app="acme").refusal
    return None if refusal is None else refusal.reason


def test_aging_import_module_session_objects_one_hour_old(old: Made) -> None:
    assert time.time() - old.at >= AGE
    assert outcome(old.token) == "expired"


def test_aging_object_made_in_test_not_aged(by_test: Made) -> None:
    real = time.time_ns() / 1e9  # this one is never moved
    assert abs(time.time() - real) < AGE / 2
    assert abs(by_test.at - real) < AGE / 2
    assert outcome(by_test.token) is None
    assert outcome(made().token) is None
