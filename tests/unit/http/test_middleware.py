"""Request classification and the responses of the middleware itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.unit import ORIGIN, acme, asks, gate_of, problems_of
from wicket import App, Gate, Header, PathSegment, Refusal, Refused, Request
from wicket.decision.cors import NO_HEADERS
from wicket.http.middleware import Action, MiddlewareCore

PREFLIGHT = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")]


def core_of(gate: Gate | None = None, **settings: Any) -> MiddlewareCore:
    options: Any = settings
    return MiddlewareCore(gate or gate_of(acme()), options)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"gate": "gate"}, "gate"),
        ({"cors": 1}, "cors"),
        ({"cors": None}, "cors"),
        ({"close_on_expiry": "yes"}, "close_on_expiry"),
        ({"origin_check_path": "allowed"}, "origin_check_path"),
        ({"origin_check_path": 7}, "origin_check_path"),
        ({"origin_check_path": ""}, "origin_check_path"),
        ({"only": "/x"}, "only"),
        ({"root_path": "api"}, "root_path"),
        ({"root_path": "/api/"}, "root_path"),
        ({"root_path": "/"}, "root_path"),
        ({"root_path": ""}, "root_path"),
        ({"root_path": "/a/../b"}, "root_path"),
        ({"root_path": 7}, "root_path"),
        ({"preflights": "gate"}, "preflights"),
        ({"preflights": "pass"}, "preflights"),
        ({"cors": False, "preflights": "response"}, "preflights"),
        ({"cors": False, "preflights": ["gate"]}, "preflights"),
    ],
)
def test_middleware_invalid_setting_config_error(settings: dict[str, Any], path: str) -> None:
    assert list(problems_of(lambda: core_of(**settings))) == [path]


def test_classify_method_path_and_preflight_action() -> None:
    core = core_of(exempt=["/open"], optional=["/greet"], origin_check_path="/allowed")
    assert core.classify(Request("GET", "/open")) is Action.OPEN
    assert core.classify(Request("OPTIONS", "/open", headers=PREFLIGHT)) is Action.OPEN
    assert core.classify(Request("GET", "/greet")) is Action.OPTIONAL
    assert core.classify(Request("GET", "/x")) is Action.GATED
    assert core.classify(Request("OPTIONS", "/x", headers=PREFLIGHT)) is Action.PREFLIGHT
    assert core.classify(Request("OPTIONS", "/allowed", headers=PREFLIGHT)) is Action.PREFLIGHT
    assert core.classify(Request("OPTIONS", "/x", headers=PREFLIGHT[:1])) is Action.GATED
    assert core.classify(Request("POST", "/x", headers=PREFLIGHT)) is Action.GATED
    for method, action in (("GET", Action.ORIGIN_CHECK), ("HEAD", Action.ORIGIN_CHECK), ("POST", Action.GATED)):
        assert core.classify(Request(method, "/allowed")) is action
    assert core.classify(Request("GET", "/allowed/x")) is Action.GATED


@pytest.mark.parametrize(
    ("preflights", "path", "action"),
    [
        (None, "/x", Action.GATED),
        ("gate", "/x", Action.GATED),
        ("pass", "/x", Action.PASS),
        (None, "/greet", Action.OPTIONAL),
        ("gate", "/greet", Action.OPTIONAL),
        ("pass", "/greet", Action.PASS),
        (None, "/open", Action.OPEN),
        ("pass", "/open", Action.OPEN),
        ("pass", "/allowed", Action.PASS),
    ],
)
def test_classify_preflight_without_cors_follows_preflights_setting(
    preflights: str | None, path: str, action: Action
) -> None:
    core = core_of(
        cors=False, preflights=preflights, exempt=["/open"], optional=["/greet"], origin_check_path="/allowed"
    )
    assert core.classify(Request("OPTIONS", path, headers=PREFLIGHT)) is action
    assert core.classify(Request("OPTIONS", "/x")) is Action.GATED, "not a preflight"


def test_preflights_pass_decision_allowed_as_anonymous() -> None:
    gate = gate_of(acme())
    decision = core_of(gate, cors=False, preflights="pass").anonymous_decision(asks(method="OPTIONS"))
    assert (decision.allowed, decision.identity.verified, decision.refusal) == (True, False, None)
    assert (decision.app_id, gate._owns(decision)) == ("acme", True)
    several = gate_of(acme(), acme_named("other"))
    assert core_of(several, cors=False, preflights="pass").anonymous_decision(asks(method="OPTIONS")).app_id is None


def asgi_request(path: str, root: str = "") -> Request:
    return Request.from_asgi({"type": "http", "method": "GET", "path": path, "root_path": root, "headers": []})


@pytest.mark.parametrize(
    ("root_path", "served", "path", "action"),
    [
        ("/api", "", "/api/open", Action.OPEN),
        ("/api", "", "/open", Action.OPEN),
        ("/api", "", "/api/x", Action.GATED),
        ("/api", "", "/api/api/open", Action.GATED),
        ("/api", "/api", "/api/open", Action.OPEN),
        ("/api", "/other", "/api/open", Action.OPEN),
        ("/api", "/api/sub", "/api/sub/open", Action.GATED),
        ("/api", "/api/sub/", "/api/sub/open", Action.GATED),
        ("/api", "/api/sub", "/api/open", Action.GATED),
        ("/api", "/apis", "/api/open", Action.OPEN),
        ("/api/sub", "/api/sub", "/api/sub/open", Action.OPEN),
        ("keep", "/app", "/open", Action.OPEN),
        ("keep", "/app", "/app/open", Action.GATED),
        (None, "/app", "/app/open", Action.OPEN),
    ],
)
def test_root_path_setting_overrides_server_root_path(
    root_path: str | None, served: str, path: str, action: Action
) -> None:
    assert core_of(root_path=root_path, exempt=["/open"]).classify(asgi_request(path, served)) is action


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/app/allowed", Action.ORIGIN_CHECK),
        ("/allowed", Action.ORIGIN_CHECK),
        ("/appallowed", Action.GATED),
        ("/app/allowed/app/allowed", Action.GATED),
        ("allowed", Action.GATED),
        ("//allowed", Action.GATED),
    ],
)
def test_origin_check_path_only_exact_path_origin_check(path: str, action: Action) -> None:
    assert core_of(origin_check_path="/allowed").classify(asgi_request(path, "/app")) is action


def test_root_path_setting_path_segment_read_below_root() -> None:
    core = core_of(Gate([acme(), acme_named("other")], app_locations=[PathSegment(0)]), root_path="/api")
    request = asgi_request("/api/acme/x")
    assert (core.classify(request), core.always_gated) == (Action.GATED, False)
    assert PathSegment(0).read(request) == "acme"


@pytest.mark.parametrize("paths", [{"only": ["/api/*"]}, {"exempt": ["/widget/*"]}, {"optional": ["/widget/*"]}])
def test_origin_check_path_within_path_patterns_origin_check(paths: Any) -> None:
    assert (
        core_of(origin_check_path="/widget/allowed", **paths).classify(Request("GET", "/widget/allowed"))
        is Action.ORIGIN_CHECK
    )


def test_refusal_response_allowed_origin_cors_headers_added() -> None:
    gate = gate_of(acme())
    for origin, cors, readable in ((ORIGIN, True, True), (ORIGIN, False, False), ("https://evil.example", True, False)):
        request = asks(headers=[("Origin", origin)])
        response = core_of(gate, cors=cors).refusal_response(gate.decide(request))
        assert ("access-control-allow-origin" in dict(response.headers)) is readable
        assert ("vary" in dict(response.headers)) is cors


def test_refused_exception_response_cors_headers_added() -> None:
    gate = gate_of(acme(allow_anonymous=True))
    request = asks(headers=[("Origin", ORIGIN)])
    response = core_of(gate).exception_response(gate.decide(request), Refused(Refusal("insufficient_scope")))
    assert (response.status, dict(response.headers)["access-control-allow-origin"]) == (403, ORIGIN)


def test_preflight_disallowed_origin_of_known_app_403() -> None:
    gate = gate_of(acme())
    for origin, status in ((ORIGIN, 204), ("https://evil.example", 403)):
        request = asks(method="OPTIONS", headers=[("Origin", origin), PREFLIGHT[1]])
        assert core_of(gate).preflight_response(request, gate.check_origin(request)).status == status
    several = gate_of(acme(), acme_named("other"))
    request = asks(app=None, method="OPTIONS", headers=[("Origin", "https://evil.example"), PREFLIGHT[1]])
    assert core_of(several).preflight_response(request, several.check_origin(request)).status == 204


def acme_named(id: str) -> App:
    return App(id, app_locations=[Header("X-App-Id")])


def test_origin_check_without_token_allowed_origin_200_otherwise_403() -> None:
    gate = gate_of(acme())
    request = asks(headers=[("Origin", ORIGIN)])
    response = core_of(gate).origin_check_response(request, gate.check_origin(request))
    headers = dict(response.headers)
    assert (response.status, json.loads(response.body)) == (200, {"allowed": True})
    assert headers["content-length"] == str(len(response.body))
    assert (headers["cache-control"], headers["access-control-allow-origin"]) == ("no-store", ORIGIN)
    evil_request = asks(headers=[("Origin", "https://evil.example")])
    refused = core_of(gate).origin_check_response(evil_request, gate.check_origin(evil_request))
    assert (refused.status, json.loads(refused.body)["error"]) == (403, "origin_not_allowed")


def test_cors_disabled_no_headers_added() -> None:
    gate = gate_of(acme())
    request = asks(headers=[("Origin", ORIGIN)])
    decision = gate.decide(request)
    assert core_of(gate, cors=False).cors_headers(request, decision) is NO_HEADERS
    assert "vary" not in dict(decision.response(Refused(Refusal("rate_limited"))).headers)
    assert core_of(gate).cors_headers(request, gate.decide(request)) is not NO_HEADERS
