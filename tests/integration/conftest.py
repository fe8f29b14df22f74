"""One uvicorn and one gunicorn for all integration tests that do not need their own; a gate and an issuer for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration import servers
from tests.integration.registry import NAMING, app_of
from wicket import Gate
from wicket.testing.issuer import LocalIssuer


@pytest.fixture(scope="session")
def asgi_server() -> Iterator[servers.Server]:
    with servers.uvicorn("tests.integration.asgi_site:app") as server:
        yield server


@pytest.fixture(scope="session")
def wsgi_server() -> Iterator[servers.Server]:
    with servers.gunicorn("tests.integration.wsgi_site:app", "--worker-class", "gthread", "--threads", "4") as server:
        yield server


@pytest.fixture(scope="session", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest) -> servers.Server:
    """Either of the two, one after the other."""
    found: servers.Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate with two apps, of which one admits anonymous requests."""
    with Gate([app_of("acme"), app_of("lobby", allow_anonymous=True)], app_locations=NAMING) as gate:
        yield gate


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """A local issuer with one key and no requests so far."""
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def other() -> Iterator[LocalIssuer]:
    """Another, whose key has the same name."""
    with LocalIssuer() as issuer:
        yield issuer
