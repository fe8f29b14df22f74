"""Every row of the table, in every framework and through its own test client."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Final, get_args

import pytest

from tests.scenarios import SCENARIOS, USERZ_ID, Scenario, build_gate, key
from tests.scenarios.checks import check
from tests.scenarios.clients import DOORS, NOT_SENT, PLAIN, Door
from wicket.errors import Code, Reason

_NOT_REACHED: Final = {"keys_unavailable"}
"""Codes of key sets that cannot be fetched: the integration tests cover them."""


def check_without_secrets(scenario: Scenario, ask: Door, caplog: pytest.LogCaptureFixture) -> None:
    """Send the request of a row, and check its response and that neither it nor the log has a token or a secret."""
    answer = ask(scenario.ask)
    check(scenario, answer)
    said = f"{answer.headers} {answer.body.decode()} {caplog.text}"
    for secret in (*scenario.secrets, *(text for scheme in _SECRETS for text in scheme)):
        assert secret not in said, "no response and no log record may contain a token or a secret"


@pytest.fixture(scope="module", params=PLAIN)
def plain(request: pytest.FixtureRequest) -> Iterator[Door]:
    with DOORS[request.param](build_gate()) as ask:
        yield ask


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_middleware_matches_expected_response(
    scenario: Scenario, plain: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wicket")
    check_without_secrets(scenario, plain, caplog)


@pytest.mark.parametrize("framework", [name for name in DOORS if name not in PLAIN])
def test_scenarios_test_client_of_framework_matches_expected_responses(
    framework: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wicket")
    wrong: dict[str, str] = {}
    with DOORS[framework](build_gate()) as ask:
        for scenario in SCENARIOS:
            if scenario.name in NOT_SENT.get(framework, ()):
                continue
            try:
                check_without_secrets(scenario, ask, caplog)
            except AssertionError as error:
                wrong[scenario.name] = f"{error!r}"
            caplog.clear()
    assert wrong == {}


_SECRETS: Final = [
    (key(app).hex(), repr(key(app))[2:-1]) for app in ("acme", "strict", "observed", "hissuno", USERZ_ID)
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_asgi_and_wsgi_responses_equal(scenario: Scenario, doors: tuple[Door, Door]) -> None:
    first, second = (each(scenario.ask) for each in doors)
    assert first.status == second.status
    assert bool(first.body) == bool(second.body)
    assert not first.body or first.json() == second.json()
    told = ("www-authenticate", "cache-control")
    assert [first.headers.get(name) for name in told] == [second.headers.get(name) for name in told]


@pytest.fixture(scope="module")
def doors() -> Iterator[tuple[Door, Door]]:
    gate = build_gate()
    with DOORS["asgi"](gate) as asgi, DOORS["wsgi"](gate) as wsgi:
        yield asgi, wsgi


def test_scenarios_names_unique() -> None:
    assert [name for name, count in Counter(each.name for each in SCENARIOS).items() if count > 1] == []


def test_scenarios_cover_all_codes_and_reasons_but_keys_unavailable() -> None:
    met: set[str | None] = {word for each in SCENARIOS for word in (each.expected.code, each.expected.reason)}
    assert {*get_args(Code), *get_args(Reason)} - met == _NOT_REACHED


def test_gate_outcomes_count_every_scenario() -> None:
    gate = build_gate()
    with DOORS["wsgi"](gate) as ask:
        for scenario in SCENARIOS:
            ask(scenario.ask)
    counted = gate.outcomes()
    assert sum(each.count for each in counted if each.stage == "gate") == len(SCENARIOS)
    demanded = {each.code for each in counted if each.stage == "handler"}
    assert demanded == {"insufficient_scope", "invalid_token", "missing_token", "rate_limited"}
    assert any(each.code == "invalid_token" and each.app_id == "observed" and not each.enforced for each in counted)
