"""Every row of the table, through both doors: Starlette behind the ASGI middleware, Flask behind the WSGI one."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import flask
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.test import Client

from tests.scenarios import ERROR_DOCS, SCENARIOS, USERZ_ID, Ask, Challenge, Expected, Form, Scenario, build_gate, key
from wicket import Decision, Gate, Refusal, Refused
from wicket import asgi as asgi_door
from wicket import wsgi as wsgi_door
from wicket.asgi import ASGIApp, Receive, Scope, Send
from wicket.errors import Code, Reason

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_NOT_REACHED: Final = {"keys_unavailable"}
"""What takes a key set that cannot be fetched: the integration tests have it."""

_FORGED: Final = "acme:root"
"""Whom the client, or something before the gate, says it is."""

_DEMANDS: Final[dict[str, Refusal]] = {
    "/admin": Refusal("insufficient_scope"),
    "/busy": Refusal("rate_limited", retry_after=7),
    "/quotes": Refusal("insufficient_scope", detail='needs "admin"\r\nX-Admin: yes \\ é'),
}
_PATHS: Final = ("/whoami", "/mine", *_DEMANDS)
_METHODS: Final = ["GET", "POST", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client got. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Door = Callable[[Ask], Answered]


def _seen(decision: Decision, user: str | None, body: bytes) -> dict[str, Any]:
    """What a handler sees; `user` is whom its framework believes to be logged in."""
    refusal = decision.refusal
    identity = decision.identity
    return {
        "identity": identity.identity or None,
        "user": user,
        "verified": identity.verified,
        "user_id": identity.user_id,
        "claims": sorted(identity.claims),
        "app_id": decision.app_id,
        "identity_app_id": identity.app_id,
        "enforced": decision.enforced,
        "code": refusal.code if refusal else None,
        "reason": refusal.reason if refusal else None,
        "claimed": decision.claimed_user_id,
        "method": identity.method,
        "body": hashlib.sha256(body).hexdigest(),
    }


def _demand(path: str, decision: Decision) -> None:
    if path in _DEMANDS:
        raise Refused(_DEMANDS[path])
    if path == "/mine":
        decision.require()


class _Forger:
    """Stands before the gate and says that somebody is logged in, as a wrong configuration would."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"], scope["auth"] = _FORGED, _FORGED
        await self.app(scope, receive, send)


def starlette_site(gate: Gate) -> Starlette:
    """The application of the table behind the ASGI door."""

    async def handler(request: Request) -> JSONResponse:
        decision: Decision = request.state.wicket
        _demand(request.url.path, decision)
        assert request.user is decision.identity
        assert request.user.is_authenticated is decision.identity.verified
        assert ("authenticated" in request.auth.scopes) is decision.identity.verified
        return JSONResponse(_seen(decision, request.user.identity or None, await request.body()))

    return Starlette(
        routes=[Route(path, handler, methods=_METHODS) for path in (*_PATHS, "/in/{app}")],
        middleware=[Middleware(_Forger), Middleware(asgi_door.WicketMiddleware, gate=gate)],
    )


def _starlette(gate: Gate) -> Door:
    client = TestClient(starlette_site(gate))

    def ask(asked: Ask) -> Answered:
        target = f"{asked.path}?{asked.query}" if asked.query else asked.path
        answer = client.request(asked.method, target, headers=_with_forgeries(asked), content=asked.body)
        return Answered(answer.status_code, dict(answer.headers), answer.content)

    return ask


def flask_site(gate: Gate) -> flask.Flask:
    """The application of the table behind the WSGI door."""
    app = flask.Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = True  # or Flask turns what a handler raises into a 500 of its own

    def handler(app: str | None = None) -> flask.Response:
        environ = flask.request.environ
        decision: Decision = environ["wicket.decision"]
        _demand(flask.request.path, decision)
        assert environ["wicket.identity"] is decision.identity
        return flask.jsonify(_seen(decision, flask.request.remote_user, flask.request.get_data()))

    for path in (*_PATHS, "/in/<app>"):
        app.add_url_rule(path, view_func=handler, methods=_METHODS, provide_automatic_options=False)
    app.wsgi_app = _forging(wsgi_door.WicketMiddleware(app.wsgi_app, gate=gate))  # type: ignore[method-assign, assignment]
    return app


def _flask(gate: Gate) -> Door:
    client = Client(flask_site(gate), use_cookies=False)

    def ask(asked: Ask) -> Answered:
        answer = client.open(
            asked.path, method=asked.method, query_string=asked.query, headers=_with_forgeries(asked), data=asked.body
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answered(answer.status_code, headers, answer.data)

    return ask


def _forging(app: WSGIApplication) -> WSGIApplication:
    def forge(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_USER"] = _FORGED
        environ["wicket.identity"] = environ["wicket.decision"] = _FORGED
        return app(environ, start_response)

    return forge


def _with_forgeries(asked: Ask) -> list[tuple[str, str]]:
    forged = ("Remote-User", "Remote_User", "X-Remote-User", "X-Forwarded-User", "Wicket-Identity")
    return [*asked.headers, *((name, _FORGED) for name in forged)]


_DOORS: Final[dict[str, Callable[[Gate], Door]]] = {"asgi": _starlette, "wsgi": _flask}


@pytest.fixture(scope="module", params=_DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return _DOORS[request.param](build_gate())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_middleware_matches_expected_response(
    scenario: Scenario, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wicket")
    answer = door(scenario.ask)
    check(scenario, answer)

    said = f"{answer.headers} {answer.body.decode()} {caplog.text}"
    for secret in (*scenario.secrets, *(text for scheme in _SECRETS for text in scheme)):
        assert secret not in said, "neither an answer nor a log record may carry a token or a secret"


_SECRETS: Final = [
    (key(app).hex(), repr(key(app))[2:-1]) for app in ("acme", "strict", "observed", "hissuno", USERZ_ID)
]


def check(scenario: Scenario, answer: Answered) -> None:
    """Hold an answer against its row."""
    expected = scenario.expected
    assert answer.status == expected.status
    if expected.status == 200:
        _check_passed(answer, expected, scenario.ask)
    else:
        _check_refused(answer, expected, scenario.ask)


def _check_passed(answer: Answered, expected: Expected, ask: Ask) -> None:
    if ask.method == "HEAD":
        assert answer.body == b""
        return
    seen = answer.json()
    assert seen["identity"] == expected.identity
    assert seen["user"] == expected.identity, "whom the framework believes is whom the gate verified, and nobody else"
    assert seen["verified"] is (expected.identity is not None)
    assert (seen["app_id"], seen["identity_app_id"]) == (expected.app_id, expected.app_id)
    assert (seen["enforced"], seen["code"], seen["reason"]) == (expected.enforced, expected.code, expected.reason)
    assert (seen["claimed"], seen["method"]) == (expected.claimed, expected.method)
    assert seen["body"] == hashlib.sha256(ask.body).hexdigest(), "the application reads the body that was sent, whole"
    if expected.identity is None:
        assert (seen["user_id"], seen["claims"]) == (None, []), "nothing unverified reaches the application"


def _check_refused(answer: Answered, expected: Expected, ask: Ask) -> None:
    headers = answer.headers
    assert headers["cache-control"] == "no-store"
    assert headers.get("content-type") == (
        "application/problem+json" if expected.form is Form.PROBLEM else "application/json"
    )
    if expected.retry_after:
        assert 1 <= int(headers["retry-after"]) <= 60
    else:
        assert "retry-after" not in headers
    _check_challenge(headers.get("www-authenticate"), expected)
    if ask.method == "HEAD":
        assert answer.body == b""
        return
    assert int(headers["content-length"]) == len(answer.body)
    _check_body(answer.json(), expected)


def _check_challenge(given: str | None, expected: Expected) -> None:
    if expected.challenge is Challenge.NONE:
        assert given is None
        return
    assert given is not None
    parts = re.fullmatch(r'Bearer realm="([^"\\]*)"(?:, error="([^"\\]*)", error_description="([^"\\]*)")?', given)
    assert parts is not None, given
    assert parts[1] == "wicket"
    if expected.challenge is Challenge.BARE:
        assert parts[2] is None, "nothing is said about a token that was not sent (RFC 6750 section 3.1)"
        return
    if expected.challenge is Challenge.EITHER and parts[2] is None:
        return
    by_rfc_6750 = expected.code if expected.code in ("invalid_request", "insufficient_scope") else "invalid_token"
    assert parts[2] == by_rfc_6750
    assert parts[3]
    assert parts[3].isascii()
    assert parts[3].isprintable()


def _check_body(body: dict[str, Any], expected: Expected) -> None:
    word = expected.reason or expected.code
    if expected.form is Form.PROBLEM:
        assert set(body) == {"type", "title", "status", "detail", "error", "reason"}
        assert body["type"] == f"{ERROR_DOCS}{expected.code}"
        assert body["title"]
        assert body["detail"]
        assert (body["status"], body["error"], body["reason"]) == (expected.status, expected.code, expected.reason)
    elif expected.form is Form.USERZ:
        assert set(body) == {"error"}
        assert set(body["error"]) == {"code", "message"}
        assert body["error"]["code"] == word
        assert body["error"]["message"]
    elif expected.form is Form.FEATUREBASE:
        assert set(body) == {"error", "reason", "message"}
        assert (body["error"], body["reason"]) == (expected.code, expected.reason)
        assert body["message"]
    else:
        assert body == {"problem": expected.code}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario_asgi_and_wsgi_responses_equal(scenario: Scenario, doors: tuple[Door, Door]) -> None:
    first, second = (each(scenario.ask) for each in doors)
    assert first.status == second.status
    assert bool(first.body) == bool(second.body)
    assert not first.body or first.json() == second.json()
    told = ("www-authenticate", "cache-control")
    assert [first.headers.get(name) for name in told] == [second.headers.get(name) for name in told]


@pytest.fixture(scope="module")
def doors() -> tuple[Door, Door]:
    gate = build_gate()
    return _starlette(gate), _flask(gate)


def test_scenarios_names_unique() -> None:
    assert [name for name, count in Counter(each.name for each in SCENARIOS).items() if count > 1] == []


def test_scenarios_cover_all_codes_and_reasons_but_keys_unavailable() -> None:
    met: set[str | None] = {word for each in SCENARIOS for word in (each.expected.code, each.expected.reason)}
    assert {*get_args(Code), *get_args(Reason)} - met == _NOT_REACHED


def test_gate_outcomes_count_every_scenario() -> None:
    gate = build_gate()
    ask = _flask(gate)
    for scenario in SCENARIOS:
        ask(scenario.ask)
    counted = gate.outcomes()
    assert sum(each.count for each in counted if each.stage == "gate") == len(SCENARIOS)
    demanded = {each.code for each in counted if each.stage == "handler"}
    assert demanded == {"insufficient_scope", "invalid_token", "missing_token", "rate_limited"}
    assert any(each.code == "invalid_token" and each.app_id == "observed" and not each.enforced for each in counted)
