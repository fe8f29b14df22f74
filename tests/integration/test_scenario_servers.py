"""The table of scenarios over real connections: Starlette under uvicorn, Flask under gunicorn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration import servers
from tests.integration.servers import Server
from tests.scenarios import SCENARIOS, Scenario
from tests.scenarios.checks import Answered, check

_SITE = "tests.integration.scenario_sites"


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = (
        servers.uvicorn(f"{_SITE}:asgi")
        if request.param == "uvicorn"
        else servers.gunicorn(f"{_SITE}:wsgi", "--worker-class", "gthread", "--threads", "4")
    )
    with running as server:
        yield server


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_real_server_matches_expected_response(scenario: Scenario, server: Server) -> None:
    asked = scenario.ask
    target = f"{asked.path}?{asked.query}" if asked.query else asked.path
    hosts = [value for name, value in asked.headers if name == "Host"]
    headers = [(name, value) for name, value in asked.headers if name != "Host"]
    body = asked.body if asked.body or asked.method == "POST" else None
    answer = server.ask(target, headers, method=asked.method, body=body, host=hosts[0] if hosts else "test")
    check(scenario, Answered(answer.status, answer.headers, answer.body))
