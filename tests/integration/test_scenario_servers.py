"""The table of scenarios over real connections: each framework under uvicorn, gunicorn, or the server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.integration import servers
from tests.integration.servers import Server
from tests.scenarios import SCENARIOS, Scenario
from tests.scenarios.checks import Answered, check

_TARGET: Final = "tests.integration.scenario_sites:application"
_THREADS: Final = ("--worker-class", "gthread", "--threads", "4")
_AIOHTTP: Final = ("--worker-class", "aiohttp.GunicornWebWorker")

_UVICORN: Final = ("asgi", "fastapi", "django async", "quart", "litestar", "falcon")
_GUNICORN: Final = ("wsgi", "flask extension", "django", "django rest framework", "werkzeug", "falcon wsgi")


@contextmanager
def serving(site: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server of one application of the table."""
    monkeypatch.setenv("SITE", site)
    if site in _UVICORN:
        running = servers.uvicorn(_TARGET)
    else:
        running = servers.gunicorn(_TARGET, *(_AIOHTTP if site == "aiohttp" else _THREADS))
    with running as server:
        yield server


def send(server: Server, scenario: Scenario) -> None:
    """Send the request of a row and check the response."""
    asked = scenario.ask
    target = f"{asked.path}?{asked.query}" if asked.query else asked.path
    hosts = [value for name, value in asked.headers if name == "Host"]
    headers = [(name, value) for name, value in asked.headers if name != "Host"]
    body = asked.body if asked.body or asked.method == "POST" else None
    answer = server.ask(target, headers, method=asked.method, body=body, host=hosts[0] if hosts else "test")
    check(scenario, Answered(answer.status, answer.headers, answer.body))


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as monkeypatch, serving(request.param, monkeypatch) as server:
        yield server


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_real_server_matches_expected_response(scenario: Scenario, server: Server) -> None:
    send(server, scenario)


@pytest.mark.parametrize("site", [*_UVICORN[1:], *_GUNICORN[1:], "aiohttp"])
def test_scenarios_real_server_of_framework_matches_expected_responses(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: dict[str, str] = {}
    with serving(site, monkeypatch) as server:
        for scenario in SCENARIOS:
            try:
                send(server, scenario)
            except AssertionError as error:
                wrong[scenario.name] = f"{error!r}"
    assert wrong == {}
