"""Servers, clients and frameworks that share or copy scopes: each request reads its own user, an exempt path none."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from tests.integration import servers, shared_state_site
from tests.integration.direct_calls import http_scope, run_asgi
from tests.integration.multiplexed import http2, serving
from tests.integration.registry import NAMING, app_of, headers_of
from wicket import Decision, Gate
from wicket.asgi import Receive, Scope, Send, WicketMiddleware
from wicket.contrib.starlette import decision_of

ROOT = Path(__file__).resolve().parents[2]
OPEN = [[None] * 3] * 2 + ["connected"]


def own(user: str) -> list[Any]:
    return [[user] * 3] * 2 + ["connected"]


@contextlib.contextmanager
def served(server: str) -> Iterator[servers.Server]:
    pytest.importorskip(server)
    with serving(server, "tests.integration.shared_state_site:app") as running:
        yield running


def ask(connection: http.client.HTTPConnection, path: str, user: str | None = None) -> Any:
    connection.request("GET", path, headers=dict(headers_of("acme", user) if user is not None else ()))
    return json.loads(connection.getresponse().read())


@pytest.mark.parametrize("server", ["hypercorn", "anycorn"])
def test_s3_keep_alive_connection_requests_read_own_user(server: str) -> None:
    with served(server) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=servers.DEADLINE)
        try:
            for user in ("alice", "bob"):
                assert ask(connection, "/whoami", user) == own(user)
                assert ask(connection, "/open") == OPEN
        finally:
            connection.close()


@pytest.mark.parametrize("server", ["hypercorn", "anycorn"])
def test_s3_http2_concurrent_streams_read_own_user(server: str) -> None:
    """HTTP/2: three requests in progress at once, on one connection."""
    with served(server) as running:
        sent = {
            "/whoami?parties=3&name=a": headers_of("acme", "alice"),
            "/whoami?parties=3&name=b": headers_of("acme", "bob"),
            "/open?parties=3&name=c": [],
        }
        assert [json.loads(body) for body in http2(running, sent)] == [own("alice"), own("bob"), OPEN]


def test_s3_shared_lifespan_state_requests_read_own_user() -> None:
    asgi_lifespan = pytest.importorskip("asgi_lifespan")
    httpx: Any = pytest.importorskip("httpx2")

    async def main() -> list[Any]:
        async with asgi_lifespan.LifespanManager(shared_state_site.app) as manager:
            transport = httpx.ASGITransport(manager.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://site.example") as client:
                users = ("alice", None, "bob")
                asked = [
                    client.get("/whoami", headers=dict(headers_of("acme", user))) if user else client.get("/open")
                    for user in users
                ]
                return [answer.json() for answer in await asyncio.gather(*asked)]

    assert asyncio.run(main()) == [own("alice"), OPEN, own("bob")]


def test_s3_django_channels_router_copied_scope_keeps_decision(gate: Gate) -> None:
    pytest.importorskip("channels")
    conf: Any = importlib.import_module("django.conf")
    if not conf.settings.configured:
        conf.settings.configure()
    routing: Any = importlib.import_module("channels.routing")
    path: Any = importlib.import_module("django.urls").path
    seen: list[Any] = []

    async def consumer(scope: Scope, receive: Receive, send: Send) -> None:
        decided = decision_of(HTTPConnection(scope), gate)
        seen.append([decided.identity.user_id, scope["user"].user_id, scope["url_route"]["kwargs"]])

    router = routing.ProtocolTypeRouter({"http": routing.URLRouter([path("room/<name>", consumer)])})
    run_asgi(WicketMiddleware(router, gate), http_scope("/room/one", headers_of("acme")))
    assert seen == [["ada", "ada", {"name": "one"}]]


def test_p9_django_channels_auth_middleware_and_gate_in_either_order() -> None:
    pytest.importorskip("channels")
    program = [sys.executable, "-m", "tests.integration.channels_site"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "outside": ["VerifiedIdentity", "ada"],
        "outside, anonymous": ["Identity", None],
        "outside, exempt": ["UserLazyObject", None],
        "inside": ["VerifiedIdentity", "ada"],
        "inside, exempt": ["UserLazyObject", None],
    }


def test_a10_falcon_test_client_request_headers_readable() -> None:
    pytest.importorskip("falcon")
    falcon: Any = importlib.import_module("falcon.asgi")
    client: Any = importlib.import_module("falcon.testing")

    class Me:
        async def on_get(self, request: Any, response: Any) -> None:
            held: Decision = decision_of(HTTPConnection(request.scope))
            response.media = [held.identity.user_id, request.get_header("X-Own")]

    class Open:
        async def on_get(self, request: Any, response: Any) -> None:
            response.media = request.get_header("X-Own")

    site = falcon.App()
    site.add_route("/me", Me())
    site.add_route("/open", Open())
    with Gate([app_of("acme")], app_locations=NAMING) as gate:
        asked = client.TestClient(WicketMiddleware(site, gate, exempt=["/open"]))
        headers = {**dict(headers_of("acme")), "X-Own": "kept"}
        for number in range(2):
            assert asked.simulate_get("/me", headers=headers).json == ["ada", "kept"], number
        assert asked.simulate_get("/open", headers=headers).json == "kept"
