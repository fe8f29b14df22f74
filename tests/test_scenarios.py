"""Every row of the table, through both middlewares: Starlette with ASGI, Flask with WSGI."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, get_args

import pytest
from starlette.testclient import TestClient
from werkzeug.test import Client

from tests.scenarios import SCENARIOS, USERZ_ID, Ask, Scenario, build_gate, key
from tests.scenarios.checks import Answered, check
from tests.scenarios.sites import FORGED, flask_site, starlette_site
from wicket import Gate
from wicket.errors import Code, Reason

if TYPE_CHECKING:
    pass

_NOT_REACHED: Final = {"keys_unavailable"}
"""Codes of key sets that cannot be fetched: the integration tests cover them."""


Door = Callable[[Ask], Answered]


def _starlette(gate: Gate) -> Door:
    client = TestClient(starlette_site(gate))

    def ask(asked: Ask) -> Answered:
        target = f"{asked.path}?{asked.query}" if asked.query else asked.path
        answer = client.request(asked.method, target, headers=_with_forgeries(asked), content=asked.body)
        return Answered(answer.status_code, dict(answer.headers), answer.content)

    return ask


def _flask(gate: Gate) -> Door:
    client = Client(flask_site(gate), use_cookies=False)

    def ask(asked: Ask) -> Answered:
        answer = client.open(
            asked.path, method=asked.method, query_string=asked.query, headers=_with_forgeries(asked), data=asked.body
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answered(answer.status_code, headers, answer.data)

    return ask


def _with_forgeries(asked: Ask) -> list[tuple[str, str]]:
    forged = ("Remote-User", "Remote_User", "X-Remote-User", "X-Forwarded-User", "Wicket-Identity")
    return [*asked.headers, *((name, FORGED) for name in forged)]


_DOORS: Final[dict[str, Callable[[Gate], Door]]] = {"asgi": _starlette, "wsgi": _flask}


@pytest.fixture(scope="module", params=_DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return _DOORS[request.param](build_gate())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_middleware_matches_expected_response(
    scenario: Scenario, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wicket")
    answer = door(scenario.ask)
    check(scenario, answer)

    said = f"{answer.headers} {answer.body.decode()} {caplog.text}"
    for secret in (*scenario.secrets, *(text for scheme in _SECRETS for text in scheme)):
        assert secret not in said, "no response and no log record may contain a token or a secret"


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
def doors() -> tuple[Door, Door]:
    gate = build_gate()
    return _starlette(gate), _flask(gate)


def test_scenarios_names_unique() -> None:
    assert [name for name, count in Counter(each.name for each in SCENARIOS).items() if count > 1] == []


def test_scenarios_cover_all_codes_and_reasons_but_keys_unavailable() -> None:
    met: set[str | None] = {word for each in SCENARIOS for word in (each.expected.code, each.expected.reason)}
    assert {*get_args(Code), *get_args(Reason)} - met == _NOT_REACHED


def test_gate_outcomes_count_every_scenario() -> None:
    gate = build_gate()
    ask = _flask(gate)
    for scenario in SCENARIOS:
        ask(scenario.ask)
    counted = gate.outcomes()
    assert sum(each.count for each in counted if each.stage == "gate") == len(SCENARIOS)
    demanded = {each.code for each in counted if each.stage == "handler"}
    assert demanded == {"insufficient_scope", "invalid_token", "missing_token", "rate_limited"}
    assert any(each.code == "invalid_token" and each.app_id == "observed" and not each.enforced for each in counted)
