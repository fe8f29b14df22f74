"""Identities for unit tests of views, without a gate."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from flask import Flask
from flask import request as flask_request
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from werkzeug.test import EnvironBuilder

from wicket import App, ConfigError, Gate, Identity, PublicKey, Refused, Secret, profiles
from wicket.contrib import django as in_django
from wicket.contrib import flask as in_flask
from wicket.contrib import starlette as in_starlette
from wicket.testing import inject_identity, make_identity

SECRET = Secret.from_text("7d1e-43b0-acme-9c52-e8f6-017a-b4d3-65ce")


def test_make_identity_has_user_app_scopes_attributes_and_claims() -> None:
    identity = make_identity("ada", app="globex", scopes=["read", "write"], attributes={"plan": "pro"}, role="admin")
    assert (identity.app_id, identity.user_id, identity.identity) == ("globex", "ada", "globex:ada")
    assert identity.scopes == {"read", "write"}
    assert identity.attributes == {"plan": "pro", "role": "admin"}
    assert identity.verified
    assert make_identity().identity == "acme:user-1"


def test_make_identity_follows_rules_of_app() -> None:
    app = profiles.hissuno("acme", credentials=[Secret.from_text("sk_live_0123456789abcdef0123456789abcdef")])
    identity = make_identity("ada", app=app, attributes={"name": "Ada"})
    assert (identity.user_id_claim, identity.attributes) == ("userId", {"name": "Ada"})
    with pytest.raises(ConfigError, match="must be a claim"):
        make_identity(app=app, scopes=["read"])
    key = PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    with pytest.raises(ConfigError, match="no shared secret"):
        make_identity(app=profiles.generic("acme", credentials=[key]))


@in_starlette.requires_identity("read")
async def starlette_view(request: Request) -> PlainTextResponse:
    assert request.user is in_starlette.identity_of(request)
    return PlainTextResponse(" ".join([request.user.user_id, *request.auth.scopes]))


def test_inject_identity_starlette_view_gets_it() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/"})
    inject_identity(request, make_identity("ada", scopes=["read"]))
    assert asyncio.run(starlette_view(request)).body == b"ada authenticated read"
    inject_identity(request, make_identity("bob"))
    with pytest.raises(Refused, match="insufficient_scope"):
        asyncio.run(starlette_view(request))
    inject_identity(request)
    with pytest.raises(Refused, match="missing_token"):
        asyncio.run(starlette_view(request))
    assert not request.user.is_authenticated


def test_inject_identity_scope_and_environ_of_any_framework() -> None:
    scope: dict[str, Any] = {"type": "websocket", "path": "/", "headers": [(b"x-app-id", b"acme")]}
    inject_identity(scope, make_identity("ada"))
    assert scope["state"]["wicket"].require().user_id == "ada"
    environ = EnvironBuilder("/").get_environ()
    inject_identity(environ, make_identity("ada"))
    assert (environ["REMOTE_USER"], environ["wicket.identity"].user_id) == ("acme:ada", "ada")
    with pytest.raises(ConfigError, match="no ASGI scope"):
        inject_identity(object(), make_identity())


def test_inject_identity_flask_view_gets_it() -> None:
    @in_flask.requires_identity("read")
    def view() -> str:
        return in_flask.current_identity.user_id

    with Flask("site").test_request_context("/"):
        inject_identity(flask_request, make_identity("ada", scopes=["read"]))
        assert view() == "ada"
        inject_identity(flask_request, Identity("acme"))
        with pytest.raises(Refused) as raised:
            view()
        assert raised.value.refusal.code == "missing_token"


@pytest.mark.parametrize("factory", [RequestFactory, AsyncRequestFactory])
def test_inject_identity_django_view_gets_it(factory: Any) -> None:
    @in_django.requires_identity()
    def view(request: HttpRequest) -> HttpResponse:
        identity: Any = request.identity  # type: ignore[attr-defined]  # the middleware sets it
        return HttpResponse(identity.user_id)

    request = factory().get("/")
    inject_identity(request, make_identity("ada"))
    assert view(request).content == b"ada"


def test_inject_identity_for_named_gate() -> None:
    gate = Gate([App("acme", credentials=[SECRET], origins=["https://a.example"])], name="partners")
    request = Request({"type": "http", "method": "GET", "path": "/"})
    inject_identity(request, make_identity("ada"), gate=gate)
    assert in_starlette.identity_of(request, gate).user_id == "ada"
    inject_identity(request, make_identity("bob"), gate="users")
    assert in_starlette.identity_of(request, "users").user_id == "bob"
    with pytest.raises(ConfigError, match="made no decision"):
        in_starlette.identity_of(request)
