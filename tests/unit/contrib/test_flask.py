"""The Flask extension: for an application, for a blueprint, and views that require an identity."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request
from flask.testing import FlaskClient

from wicket import Bearer, ConfigError, Gate, JsonBody, Refusal, Refused, Secret, mint, profiles
from wicket.contrib.flask import Wicket, current_identity, decision_of, identity_of, requires_identity
from wicket.testing import as_user


def make_gate(id: str = "acme", name: str = "wicket", **settings: Any) -> Gate:
    secret = Secret.from_text(f"7d1e-43b0-{id}-9c52-e8f6-017a-b4d3-65ce")
    rules: dict[str, Any] = {"scopes_claim": "scope", "allowed_scopes": ["read"], **settings}
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


def test_flask_verified_identity_is_available_in_view() -> None:
    client = as_user(make_client(make_gate()), "user 1", app="acme", scope="read")
    assert client.get("/me").get_json() == ["acme", "user 1", "acme:user%201"]
    assert client.get("/read").text == "user 1"
    assert client.get("/maybe").text == "user 1"


def test_flask_view_requiring_identity_anonymous_missing_token() -> None:
    client = make_client(make_gate(allow_anonymous=True))
    assert client.get("/maybe").text == "anonymous"
    for path in ("/me", "/read"):
        response = client.get(path)
        assert (response.status_code, response.get_json()["error"]) == (401, "missing_token")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="wicket"'
        assert response.headers["Content-Type"] == "application/problem+json"


def test_flask_missing_scope_insufficient_scope() -> None:
    response = as_user(make_client(make_gate()), "user-1", app="acme").get("/read")
    assert (response.status_code, response.get_json()["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_flask_app_refused_request_runs_no_view() -> None:
    client = make_client(make_gate())
    assert client.get("/maybe").get_json()["error"] == "missing_token"
    assert client.get("/no-such-page").status_code == 401


def test_flask_blueprint_gates_only_its_views() -> None:
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
    assert stranger.options("/api/me", headers=preflight).status_code == 204
    user = as_user(app.test_client(), "user-1", app="acme", gate=gate)
    assert user.get("/api/me").get_json() == ["acme", "user-1", "acme:user-1"]
    app.testing = True
    for path in ("/maybe", "/api/maybe"):
        with pytest.raises(ConfigError, match="made no decision"):
            stranger.get(path)


def test_flask_two_gates_have_separate_identities() -> None:
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


@pytest.mark.parametrize("path", ["me", "/me", "/me/", "//me", "/me\n"])
@pytest.mark.parametrize("only", ["/me", "/me/*"])
def test_flask_path_routed_to_gated_view_missing_token(path: str, only: str) -> None:
    app = Flask("test")

    @app.get("/me")
    def open_to_all() -> str:
        return "open"

    app.add_url_rule("/other", "other", open_to_all)
    Wicket(make_gate(), only=[only]).init_app(app)
    client = app.test_client()
    assert client.get("/other").text == "open"
    assert client.get("/", environ_overrides={"PATH_INFO": path}).get_json()["error"] == "missing_token"


def test_flask_two_gates_of_same_name_return_only_their_own_identity() -> None:
    outer, inner = make_gate("acme"), make_gate("partner")
    app, api = Flask("test"), Blueprint("api", "api", url_prefix="/api")

    @api.get("/outer")
    def of_outer() -> str:
        return identity_of(request, outer).app_id

    @api.get("/inner")
    def of_inner() -> str:
        return identity_of(request, inner).app_id

    Wicket(outer).init_app(app)
    Wicket(inner, exempt=["/api/*"]).init_app(api)
    app.register_blueprint(api)
    app.testing = True
    user = as_user(app.test_client(), "user-1", app="acme", gate=outer)
    assert user.get("/api/outer").text == "acme"
    with pytest.raises(ConfigError, match="made no decision"):
        user.get("/api/inner")


@pytest.mark.parametrize("kind", [Flask, Blueprint])
def test_flask_view_raising_refused_returns_refusal_response(kind: type[Flask | Blueprint]) -> None:
    app = Flask("test")
    views: Flask | Blueprint = app if kind is Flask else Blueprint("api", "api")

    @views.get("/read")
    def read() -> str:
        return decision_of(request).require("read").user_id

    Wicket(make_gate(allow_anonymous=True)).init_app(views)
    if isinstance(views, Blueprint):
        app.register_blueprint(views)
    response = app.test_client().get("/read")
    assert (response.status_code, response.get_json()["error"]) == (401, "missing_token")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="wicket"'
    gate = make_gate()
    poor = as_user(app.test_client(), "user-1", app="acme", gate=gate).get("/read")
    assert (poor.status_code, poor.get_json()["error"]) == (403, "insufficient_scope")
    assert poor.get_json()["detail"] == "The token lacks a scope that this request requires: read."
    assert as_user(app.test_client(), "user-1", app="acme", gate=gate, scope="read").get("/read").text == "user-1"


def test_flask_bare_requires_identity_raises_config_error() -> None:
    def view() -> str:
        raise AssertionError

    bare: Any = requires_identity
    with pytest.raises(ConfigError, match="with parentheses"):
        bare(view)


def test_flask_exempt_view_raising_refused_returns_refusal_response() -> None:
    app = Flask("test")

    @app.get("/open")
    def left_open() -> str:
        raise Refused(Refusal("insufficient_scope"))

    Wicket(make_gate(), exempt=["/open"]).init_app(app)
    response = app.test_client().get("/open")
    assert (response.status_code, response.get_json()["error"]) == (403, "insufficient_scope")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="wicket"'


def test_flask_accessor_refused_pickled_keeps_refusal() -> None:
    caught: list[Refused] = []
    app = Flask("test")

    @app.get("/")
    def view() -> str:
        with pytest.raises(Refused) as raised:
            identity_of(request)
        caught.append(pickle.loads(pickle.dumps(raised.value)))
        return "ok"

    Wicket(make_gate(allow_anonymous=True)).init_app(app)
    assert app.test_client().get("/").text == "ok"
    assert caught[0].refusal == Refusal("missing_token")


# --- bodies, pages and streams


ELSEWHERE = {"Origin": "https://page.example"}


def blueprint_client(gate: Gate, **settings: Any) -> FlaskClient:
    app, api = Flask("test"), Blueprint("api", "api", url_prefix="/api")

    @app.before_request
    def look() -> None:
        if "X-Read-First" in request.headers:
            request.get_data()

    @api.post("/echo")
    def echo() -> Response:
        assert identity_of(request).user_id
        way = request.args.get("way")
        if way is not None:
            return Response((request.stream if way == "stream" else request.environ["wsgi.input"]).read())
        return Response(request.get_data())

    @api.get("/fail")
    def fail() -> str:
        raise RuntimeError("own")

    @api.get("/manual")
    def manual() -> Response:
        return Response("own", headers={"Access-Control-Allow-Origin": "https://own.example", "Vary": "Cookie"})

    @api.get("/events")
    def events() -> Response:
        return Response(iter(request.environ["test.chunks"]), mimetype="text/event-stream")

    add_views(api)
    Wicket(gate, **settings).init_app(api)
    app.register_blueprint(api)
    return app.test_client()


def body_gate() -> tuple[Gate, bytes]:
    gate = make_gate(token_locations=[Bearer(), JsonBody("token")])
    return gate, json.dumps({"token": mint(gate.apps[0], "ada"), "fill": "x" * 20_000}).encode()


@pytest.mark.parametrize("first", [{}, {"X-Read-First": "1"}], ids=["", "read earlier"])
def test_flask_blueprint_json_body_token_is_found_and_body_replayed(first: dict[str, str]) -> None:
    gate, body = body_gate()
    response = blueprint_client(gate).post("/api/echo", data=body, content_type="application/json", headers=first)
    assert (response.status_code, response.data) == (200, body)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("way", ["stream", "environ"])
def test_flask_blueprint_body_read_by_stream_or_environ_is_complete(way: str, chunked: bool) -> None:
    gate, body = body_gate()
    length = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True} if chunked else {}
    response = blueprint_client(gate).post(
        f"/api/echo?way={way}", data=body, content_type="application/json", environ_overrides=length
    )
    assert (response.status_code, response.data) == (200, body)


def test_flask_blueprint_responses_have_cors_headers() -> None:
    gate = make_gate()
    client = as_user(blueprint_client(gate), "ada", app="acme", gate=gate)
    for path, status in (("/api/me", 200), ("/api/fail", 500)):
        response = client.get(path, headers=ELSEWHERE)
        assert response.status_code == status
        assert response.headers.getlist("Access-Control-Allow-Origin") == ["https://page.example"]
    refused = blueprint_client(make_gate()).get("/api/me", headers=ELSEWHERE)
    assert refused.headers.getlist("Access-Control-Allow-Origin") == ["https://page.example"]
    manual = client.get("/api/manual", headers=ELSEWHERE)
    assert manual.headers.getlist("Access-Control-Allow-Origin") == ["https://own.example"]
    assert manual.headers.getlist("Vary") == ["Cookie"]


def test_flask_blueprint_origin_check_path_answers_by_origin() -> None:
    client = blueprint_client(make_gate(origins=["https://page.example"]), origin_check_path="/api/maybe")
    assert client.get("/api/maybe", headers=ELSEWHERE).get_json() == {"allowed": True}
    assert client.get("/api/maybe", headers={"Origin": "https://evil.example"}).status_code == 403


def test_flask_blueprint_cors_disabled_adds_no_headers() -> None:
    gate = make_gate()
    client = as_user(blueprint_client(gate, cors=False), "ada", app="acme", gate=gate)
    assert "Access-Control-Allow-Origin" not in client.get("/api/me", headers=ELSEWHERE).headers
    assert client.get("/api/me").headers.get("Vary") is None


@pytest.mark.parametrize(("preflights", "status"), [(None, 401), ("gate", 401), ("pass", 200)])
def test_flask_blueprint_cors_disabled_preflight_gated_unless_passed(preflights: str | None, status: int) -> None:
    client = blueprint_client(make_gate(), cors=False, preflights=preflights)
    headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET", "Remote-User": "acme:root"}
    with client:
        response = client.options("/api/me", headers=headers, environ_overrides={"REMOTE_USER": "root"})
        assert response.status_code == status
        if status == 200:
            assert not request.environ["wicket.identity"].verified
            assert not {"REMOTE_USER", "HTTP_REMOTE_USER"} & set(request.environ)


@pytest.mark.parametrize("kind", ["application", "blueprint"])
def test_flask_event_stream_with_expired_token_ends(kind: str) -> None:
    now = [1_800_000_000.0]
    gate = make_gate(leeway=0)
    gate = Gate(gate.apps, clock=lambda: now[0])
    token = mint(gate.apps[0], "ada", ttl=60, now=now[0])

    def chunks() -> Iterator[bytes]:
        yield b"a"
        now[0] += 60
        yield b"b"

    if kind == "blueprint":
        client, path = blueprint_client(gate, close_on_expiry=True), "/api/events"
    else:
        app = Flask("test")
        app.add_url_rule(
            "/events", view_func=lambda: Response(request.environ["test.chunks"], mimetype="text/event-stream")
        )
        Wicket(gate, close_on_expiry=True).init_app(app)
        client, path = app.test_client(), "/events"
    response = client.get(
        path, headers={"Authorization": f"Bearer {token}"}, environ_overrides={"test.chunks": chunks()}
    )
    assert (response.status_code, response.data) == (200, b"a")
