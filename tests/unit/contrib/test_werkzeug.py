"""Werkzeug: accessors and the decorator, with the WSGI middleware around the application."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from wicket import ConfigError, Gate, Secret, profiles
from wicket.contrib.werkzeug import WicketMiddleware, decision_of, identity_of, requires_identity
from wicket.testing import as_user

GATE = Gate(
    [
        profiles.generic(
            "acme",
            credentials=[Secret.from_text("7d1e-43b0-acme-9c52-e8f6-017a-b4d3-65ce")],
            origins=["https://acme.example"],
            scopes_claim="scope",
            allowed_scopes=["read"],
            allow_anonymous=True,
        )
    ]
)


@requires_identity("read")
def read(request: Request, item: str) -> Response:
    return Response(f"{identity_of(request, scopes=['read']).user_id} {item}")


@Request.application
def site(request: Request) -> Response:
    if request.path == "/read":
        return read(item="1", request=request)
    return Response(decision_of(request, GATE).identity.user_id or "anonymous")


def client(**claims: Any) -> Client:
    return as_user(Client(WicketMiddleware(site, GATE)), "ada", app="acme", **claims)


def test_werkzeug_view_gets_identity_and_decision() -> None:
    assert client(scope="read").get("/read").text == "ada 1"
    assert client().get("/").text == "ada"
    assert Client(WicketMiddleware(site, GATE)).get("/").text == "anonymous"


def test_werkzeug_refusals_of_view_are_answered() -> None:
    poor = client().get("/read", headers={"Origin": "https://acme.example"})
    assert (poor.status_code, poor.json["error"] if poor.json else None) == (403, "insufficient_scope")
    assert poor.headers["Access-Control-Allow-Origin"] == "https://acme.example"
    assert Client(WicketMiddleware(site, GATE)).get("/read").status_code == 401


def test_werkzeug_decorator_without_request_or_parentheses_raises_config_error() -> None:
    with pytest.raises(ConfigError, match="must get the request"):
        read("request", "1")  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(ConfigError, match="with parentheses"):
        requires_identity(read)  # type: ignore[arg-type]  # what the test is about
