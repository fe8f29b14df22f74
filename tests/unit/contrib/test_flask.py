"""Flask's sugar: before an application, before a blueprint, and views that demand an identity."""

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


def test_a_view_reads_its_verified_identity() -> None:
    client = as_user(make_client(make_gate()), "user 1", app="acme", scope="read")
    assert client.get("/me").get_json() == ["acme", "user 1", "acme:user%201"]
    assert client.get("/read").text == "user 1"
    assert client.get("/maybe").text == "user 1"


def test_a_view_that_demands_an_identity_answers_with_the_refusal() -> None:
    client = make_client(make_gate(allow_anonymous=True))
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
    assert stranger.options("/api/me", headers=preflight).status_code == 204
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


@pytest.mark.parametrize("path", ["me", "/me", "/me/", "//me", "/me\n"])
@pytest.mark.parametrize("only", ["/me", "/me/*"])
def test_a_path_that_the_router_takes_for_a_gated_one_is_gated(path: str, only: str) -> None:
    app = Flask("test")

    @app.get("/me")
    def open_to_all() -> str:
        return "open"

    app.add_url_rule("/other", "other", open_to_all)
    Wicket(make_gate(), only=[only]).init_app(app)
    client = app.test_client()
    assert client.get("/other").text == "open"
    assert client.get("/", environ_overrides={"PATH_INFO": path}).get_json()["error"] == "missing_token"


def test_of_two_gates_of_one_name_each_gives_only_its_own_identity() -> None:
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
    with pytest.raises(ConfigError, match="decided nothing"):
        user.get("/api/inner")


@pytest.mark.parametrize("kind", [Flask, Blueprint])
def test_a_refusal_that_a_view_raises_is_answered(kind: type[Flask | Blueprint]) -> None:
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
    assert poor.get_json()["detail"] == "The token lacks a scope that this request needs: read."
    assert as_user(app.test_client(), "user-1", app="acme", gate=gate, scope="read").get("/read").text == "user-1"


def test_a_decorator_without_its_parentheses_is_a_configuration_error() -> None:
    def view() -> str:
        raise AssertionError

    bare: Any = requires_identity
    with pytest.raises(ConfigError, match="with parentheses"):
        bare(view)


def test_a_refusal_of_a_view_that_the_gate_left_open_is_answered_too() -> None:
    app = Flask("test")

    @app.get("/open")
    def left_open() -> str:
        raise Refused(Refusal("insufficient_scope"))

    Wicket(make_gate(), exempt=["/open"]).init_app(app)
    response = app.test_client().get("/open")
    assert (response.status_code, response.get_json()["error"]) == (403, "insufficient_scope")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="wicket"'


def test_a_refusal_of_an_accessor_survives_pickling() -> None:
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


@pytest.mark.parametrize("first", [{}, {"X-Read-First": "1"}], ids=["", "read by somebody before"])
def test_before_a_blueprint_a_body_carries_its_token_and_arrives_whole(first: dict[str, str]) -> None:
    gate, body = body_gate()
    answer = blueprint_client(gate).post("/api/echo", data=body, content_type="application/json", headers=first)
    assert (answer.status_code, answer.data) == (200, body)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("way", ["stream", "environ"])
def test_before_a_blueprint_a_body_arrives_whole_however_a_view_reads_it(way: str, chunked: bool) -> None:
    gate, body = body_gate()
    length = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True} if chunked else {}
    answer = blueprint_client(gate).post(
        f"/api/echo?way={way}", data=body, content_type="application/json", environ_overrides=length
    )
    assert (answer.status_code, answer.data) == (200, body)


def test_before_a_blueprint_every_answer_is_readable_for_the_page() -> None:
    gate = make_gate()
    client = as_user(blueprint_client(gate), "ada", app="acme", gate=gate)
    for path, status in (("/api/me", 200), ("/api/fail", 500)):
        answer = client.get(path, headers=ELSEWHERE)
        assert answer.status_code == status
        assert answer.headers.getlist("Access-Control-Allow-Origin") == ["https://page.example"]
    refused = blueprint_client(make_gate()).get("/api/me", headers=ELSEWHERE)
    assert refused.headers.getlist("Access-Control-Allow-Origin") == ["https://page.example"]
    manual = client.get("/api/manual", headers=ELSEWHERE)
    assert manual.headers.getlist("Access-Control-Allow-Origin") == ["https://own.example"]
    assert manual.headers.getlist("Vary") == ["Cookie"]


def test_before_a_blueprint_the_question_is_answered() -> None:
    client = blueprint_client(make_gate(origins=["https://page.example"]), origin_check_path="/api/maybe")
    assert client.get("/api/maybe", headers=ELSEWHERE).get_json() == {"allowed": True}
    assert client.get("/api/maybe", headers={"Origin": "https://evil.example"}).status_code == 403


def test_before_a_blueprint_without_cors_nothing_is_added() -> None:
    gate = make_gate()
    client = as_user(blueprint_client(gate, cors=False), "ada", app="acme", gate=gate)
    assert "Access-Control-Allow-Origin" not in client.get("/api/me", headers=ELSEWHERE).headers
    assert client.get("/api/me").headers.get("Vary") is None


@pytest.mark.parametrize(("preflights", "status"), [(None, 401), ("gate", 401), ("pass", 200)])
def test_before_a_blueprint_without_cors_a_preflight_is_gated_unless_preflights_pass(
    preflights: str | None, status: int
) -> None:
    client = blueprint_client(make_gate(), cors=False, preflights=preflights)
    headers = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET", "Remote-User": "acme:root"}
    with client:
        answer = client.options("/api/me", headers=headers, environ_overrides={"REMOTE_USER": "root"})
        assert answer.status_code == status
        if status == 200:
            assert not request.environ["wicket.identity"].verified
            assert not {"REMOTE_USER", "HTTP_REMOTE_USER"} & set(request.environ)


@pytest.mark.parametrize("place", ["application", "blueprint"])
def test_an_event_stream_ends_with_its_token(place: str) -> None:
    now = [1_800_000_000.0]
    gate = make_gate(skew=0)
    gate = Gate(gate.apps, clock=lambda: now[0])
    token = mint(gate.apps[0], "ada", ttl=60, now=now[0])

    def chunks() -> Iterator[bytes]:
        yield b"a"
        now[0] += 60
        yield b"b"

    if place == "blueprint":
        client, path = blueprint_client(gate, close_on_expiry=True), "/api/events"
    else:
        app = Flask("test")
        app.add_url_rule(
            "/events", view_func=lambda: Response(request.environ["test.chunks"], mimetype="text/event-stream")
        )
        Wicket(gate, close_on_expiry=True).init_app(app)
        client, path = app.test_client(), "/events"
    answer = client.get(path, headers={"Authorization": f"Bearer {token}"}, environ_overrides={"test.chunks": chunks()})
    assert (answer.status_code, answer.data) == (200, b"a")
