"""`wicket.testing.as_user`, and the fixtures of the pytest plugin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask, request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from wicket import (
    App,
    ConfigError,
    Cookie,
    Gate,
    Header,
    Host,
    JsonBody,
    PathSegment,
    PublicKey,
    Query,
    Secret,
    Subprotocol,
    TokenIssuer,
    TokenLocation,
    profiles,
)
from wicket.asgi import WicketMiddleware
from wicket.contrib.flask import Wicket, identity_of
from wicket.testing import FakeClock, as_user


def secret(name: str) -> Secret:
    return Secret.from_text(f"5c9a-7e12-{name}-d0b4-836f-1ea7-42c9")


def apps() -> list[App]:
    return [
        profiles.userz("userz", publishable_key="pub_userz", credentials=[Secret.from_hex("5e" * 31 + "01")]),
        profiles.hissuno("hissuno", credentials=[secret("hissuno")]),
        profiles.featurebase("featurebase", credentials=[secret("featurebase")], token_locations=[Query("jwt")]),
        profiles.generic("generic", credentials=[secret("generic")]),
        profiles.generic(
            "cookies",
            credentials=[secret("cookies")],
            token_locations=[Cookie("session")],
            origins=["https://a.example"],
        ),
    ]


def starlette_client(gate: Gate) -> TestClient:
    async def who(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.user.identity)

    return TestClient(Starlette(routes=[Route("/", who)], middleware=[Middleware(WicketMiddleware, gate=gate)]))


def flask_app(gate: Gate) -> Flask:
    app = Flask("test")

    @app.get("/")
    def who() -> str:
        return identity_of(request).identity

    Wicket(gate).init_app(app)
    return app


@pytest.mark.parametrize("id", ["userz", "hissuno", "featurebase", "generic", "cookies"])
def test_as_user_every_vendor_and_framework_allowed(id: str) -> None:
    gate = Gate(apps())
    who = "featurebase:userId" if id == "featurebase" else id
    assert as_user(starlette_client(gate), "user-1", app=id).get("/").text == f"{who}:user-1"
    client = as_user(flask_app(gate).test_client(), "user-1", app=id)
    assert client.get("/").text == f"{who}:user-1"
    assert client.get("/", query_string={"page": "2"}).text == f"{who}:user-1"
    assert as_user(client, "user-2", app=id).get("/", query_string="page=2").text == f"{who}:user-2"


def test_as_user_app_by_host_allowed() -> None:
    app = profiles.generic("acme", credentials=[secret("acme")], hosts=["acme.example"])
    gate = Gate([app, *apps()[3:4]], app_locations=[PathSegment(0), TokenIssuer(), Host()])
    client = starlette_client(gate)
    response = as_user(client, "user-1", app=app, gate=gate).get("/")
    assert response.text == "acme:user-1"


def test_as_user_httpx_clients_allowed() -> None:
    gate = Gate(apps()[3:4])
    flask = flask_app(gate)
    with httpx.Client(transport=httpx.WSGITransport(flask), base_url="http://test") as client:
        assert as_user(client, "user-1", app="generic").get("/").text == "generic:user-1"

    async def ask() -> str:
        inner = starlette_client(gate).app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(inner), base_url="http://test") as client:
            return (await as_user(client, "user-2", app="generic").get("/")).text

    assert asyncio.run(ask()) == "generic:user-2"


def test_as_user_claims_attributes_and_ttl_use_gate_clock() -> None:
    clock = FakeClock(1_761_000_000)
    (app,) = apps()[3:4]
    gate = Gate([app], clock=clock)
    client = as_user(starlette_client(gate), "user-1", app="generic", ttl=60, attributes={"plan": "pro"}, role="admin")
    sent = client.headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(sent, options={"verify_signature": False})
    assert claims == {
        "sub": "user-1",
        "plan": "pro",
        "role": "admin",
        "iat": 1_761_000_000,
        "exp": 1_761_000_060,
    }
    assert client.get("/").status_code == 200
    clock.advance(60 + app.rules.leeway)
    assert client.get("/").json()["reason"] == "expired"


def test_as_user_app_without_secret_requires_token() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = PublicKey.from_jwk(json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())))
    clock = FakeClock()
    gate = Gate([profiles.generic("acme", credentials=[public])], clock=clock)
    client = starlette_client(gate)
    with pytest.raises(ConfigError, match="no shared secret"):
        as_user(client, "user-1", app="acme")
    token = jwt.encode({"sub": "user-1", "exp": int(clock()) + 60}, key, algorithm="ES256")
    assert as_user(client, "user-1", app="acme", token=token).get("/").text == "acme:user-1"


def test_as_user_unknown_gate_or_app_raises_config_error() -> None:
    with pytest.raises(ConfigError, match="gate=gate"):
        as_user(TestClient(Starlette()), "user-1", app="acme")
    with pytest.raises(ConfigError, match="'unknown'"):
        as_user(starlette_client(Gate(apps()[3:4])), "user-1", app="unknown")


def test_pytest_fixtures_are_provided_by_the_package(
    wicket_as_user: Callable[..., Any], wicket_clock: FakeClock
) -> None:
    gate = Gate(apps()[3:4], clock=wicket_clock)
    assert wicket_as_user(starlette_client(gate), "user-1", app="generic").get("/").text == "generic:user-1"


def test_fake_clock_changes_only_by_advance() -> None:
    clock = FakeClock()
    before = clock()
    assert clock() == before == int(before)
    clock.advance(-10)
    assert clock() == before - 10


class Elsewhere(TokenLocation):
    """A token location that no client can send with each request."""

    def read(self, request: Any) -> str | None:
        return None


@pytest.mark.parametrize("tokens", [[], [Elsewhere()]])
def test_as_user_no_token_location_of_client_config_error(tokens: list[Any]) -> None:
    app = App("acme", credentials=[secret("acme")], token_locations=tokens)
    gate = Gate([app])
    client = starlette_client(gate)
    with pytest.raises(ConfigError, match="app"):
        as_user(client, "user-1", app="acme")


def test_as_user_body_token_location_uses_another_or_raises() -> None:
    beside = profiles.generic("acme", credentials=[secret("acme")], token_locations=[JsonBody("t"), Header("X-T")])
    client = as_user(starlette_client(Gate([beside])), "user-1", app="acme")
    assert client.headers["x-t"]
    only = profiles.generic(
        "acme", credentials=[secret("acme")], token_locations=[JsonBody("t"), Subprotocol("bearer")]
    )
    with pytest.raises(ConfigError, match="send mint"):
        as_user(starlette_client(Gate([only])), "user-1", app="acme")
