"""Flask's sugar: before an application, before a blueprint, and views that demand an identity."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Blueprint, Flask, request
from flask.testing import FlaskClient

from wicket import ConfigError, Gate, Secret, profiles
from wicket.contrib.flask import Wicket, current_identity, decision_of, identity_of, requires_identity
from wicket.testing import as_user


def make_gate(id: str = "acme", name: str = "wicket", **settings: Any) -> Gate:
    secret = Secret.from_text(f"the secret text of the app {id}, thirty-two bytes")
    rules: dict[str, Any] = {"scopes_claim": "scope", "scopes": ["read"], **settings}
    return Gate([profiles.generic(id, credentials=[secret], **rules)], name=name)


def add_views(app: Flask | Blueprint) -> None:
    @app.get("/me")
    def me() -> list[Any]:
        return [current_identity.app_id, current_identity.user_id, request.remote_user]

    @app.get("/read")
    @requires_identity("read")
    def read() -> str:
        return identity_of(request).user_id

    @app.get("/maybe")
    def maybe() -> str:
        return decision_of(request).identity.user_id or "anonymous"


def make_client(gate: Gate, **paths: Any) -> FlaskClient:
    app = Flask("test")
    add_views(app)
    Wicket(gate, **paths).init_app(app)
    return app.test_client()


def test_a_view_reads_its_verified_identity() -> None:
    client = as_user(make_client(make_gate()), "user 1", app="acme", scope="read")
    assert client.get("/me").get_json() == ["acme", "user 1", "acme:user%201"]
    assert client.get("/read").text == "user 1"
    assert client.get("/maybe").text == "user 1"


def test_a_view_that_demands_an_identity_answers_with_the_refusal() -> None:
    client = make_client(make_gate(anonymous=True))
    assert client.get("/maybe").text == "anonymous"
    for path in ("/me", "/read"):
        response = client.get(path)
        assert (response.status_code, response.get_json()["error"]) == (401, "missing_token")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="wicket"'
        assert response.headers["Content-Type"] == "application/problem+json"


def test_a_missing_scope_is_insufficient_scope_and_not_a_bare_403() -> None:
    response = as_user(make_client(make_gate()), "user-1", app="acme").get("/read")
    assert (response.status_code, response.get_json()["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_before_an_application_no_view_runs_for_a_refused_request() -> None:
    client = make_client(make_gate())
    assert client.get("/maybe").get_json()["error"] == "missing_token"
    assert client.get("/no-such-page").status_code == 401


def test_before_a_blueprint_only_its_own_views_are_gated() -> None:
    app, api = Flask("test"), Blueprint("api", "api", url_prefix="/api")
    add_views(app)
    add_views(api)
    gate = make_gate()
    Wicket(gate, exempt=["/api/maybe"], optional=["/api/read"]).init_app(api)
    app.register_blueprint(api)
    stranger = app.test_client()
    refused = stranger.get("/api/me")
    assert (refused.status_code, refused.get_json()["error"]) == (401, "missing_token")
    assert refused.headers["Cache-Control"] == "no-store"
    assert stranger.get("/api/read").get_json()["error"] == "missing_token"
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    assert stranger.options("/api/me", headers=preflight).status_code == 200
    user = as_user(app.test_client(), "user-1", app="acme", gate=gate)
    assert user.get("/api/me").get_json() == ["acme", "user-1", "acme:user-1"]
    app.testing = True
    for path in ("/maybe", "/api/maybe"):
        with pytest.raises(ConfigError, match="decided nothing"):
            stranger.get(path)


def test_two_gates_do_not_disturb_each_other() -> None:
    users, partners = make_gate("acme"), make_gate("partner", name="partners")
    app, api = Flask("test"), Blueprint("partners", "partners", url_prefix="/partners")

    @api.get("/me")
    def me() -> list[str]:
        return [identity_of(request, partners).user_id, identity_of(request, "partners").app_id]

    add_views(app)
    Wicket(users, exempt=["/partners/*"]).init_app(app)
    Wicket(partners).init_app(api)
    app.register_blueprint(api)
    user = as_user(app.test_client(), "user-1", app="acme", gate=users)
    partner = as_user(app.test_client(), "p-1", app="partner", gate=partners)
    assert user.get("/me").get_json()[:2] == ["acme", "user-1"]
    assert user.get("/partners/me").get_json()["error"] == "unknown_app"
    assert partner.get("/partners/me").get_json() == ["p-1", "partner"]
