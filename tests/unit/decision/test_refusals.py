"""Responses to refused requests: status, headers and body, and quoting of their values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import wicket.asgi
import wicket.wsgi
from tests.support.unit import ORIGIN, OTHER_KEY, acme, asks, gate_of, problems_of, secret, token
from wicket import App, Decision, Gate, Identity, Mode, Refusal, Refused
from wicket.decision.refusals import format_refusal, reason_phrase
from wicket.errors import STATUS, Code
from wicket.messages.response import Response

CODES: tuple[Code, ...] = get_args(Code)


@pytest.fixture
def gate() -> Gate:
    return gate_of(acme())


def headers(response: Response) -> dict[str, str]:
    by_name = dict(response.headers)
    assert len(by_name) == len(response.headers)
    return by_name


def body(response: Response) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(response.body)
    return decoded


def refused(gate: Gate, refusal: Refusal, app: App | None = None, *, credentials_sent: bool = True) -> Response:
    return format_refusal(gate, refusal, app, credentials_sent=credentials_sent)


def test_decision_response_bad_signature_problem_json_and_challenge(gate: Gate) -> None:
    response = gate.decide(asks(token(key=OTHER_KEY))).response(cors=False)
    detail = "The token's signature does not verify with this app's keys."
    assert response.status == 401
    assert body(response) == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": detail,
        "error": "invalid_token",
        "reason": "bad_signature",
    }
    assert headers(response) == {
        "content-type": "application/problem+json",
        "content-length": str(len(response.body)),
        "cache-control": "no-store",
        "www-authenticate": f'Bearer realm="wicket", error="invalid_token", error_description="{detail}"',
    }


@pytest.mark.parametrize("code", CODES)
def test_format_refusal_every_code_status_title_and_no_store(gate: Gate, code: Code) -> None:
    response = refused(gate, Refusal(code, "expired" if code == "invalid_token" else None, "Because."))
    assert (response.status, body(response)["status"]) == (STATUS[code], STATUS[code])
    assert body(response)["title"]
    assert headers(response)["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("invalid_token", "invalid_token"),
        ("invalid_request", "invalid_request"),
        ("insufficient_scope", "insufficient_scope"),
    ],
)
def test_challenge_token_or_request_code_error_and_description(gate: Gate, code: Code, error: str) -> None:
    challenge = headers(refused(gate, Refusal(code, None, "Because.")))["www-authenticate"]
    assert challenge == f'Bearer realm="wicket", error="{error}", error_description="Because."'


@pytest.mark.parametrize("code", ["config_missing", "config_invalid", "unknown_app"])
def test_a4_challenge_config_or_unknown_app_code_realm_only(gate: Gate, code: Code) -> None:
    challenge = headers(refused(gate, Refusal(code, None, "Because.")))["www-authenticate"]
    assert challenge == 'Bearer realm="wicket"'


def test_a4_format_refusal_key_set_never_usable_503_without_challenge(gate: Gate) -> None:
    response = refused(gate, Refusal("config_invalid", retry_after=5))
    assert (response.status, body(response)["status"], headers(response)["retry-after"]) == (503, 503, "5")
    assert "www-authenticate" not in headers(response)


@pytest.mark.parametrize("code", ["missing_token", "unknown_app", "invalid_token"])
def test_challenge_no_credentials_sent_realm_only(gate: Gate, code: Code) -> None:
    response = refused(gate, Refusal(code, None, "Because."), credentials_sent=False)
    assert headers(response)["www-authenticate"] == 'Bearer realm="wicket"'


@pytest.mark.parametrize(
    "code", ["origin_not_allowed", "rate_limited", "keys_unavailable", "apps_unavailable", "internal_error"]
)
def test_challenge_code_unrelated_to_credentials_absent(gate: Gate, code: Code) -> None:
    assert "www-authenticate" not in headers(refused(gate, Refusal(code)))


def test_retry_after_header_present_only_with_refusal_value(gate: Gate) -> None:
    assert headers(refused(gate, Refusal("apps_unavailable", retry_after=7)))["retry-after"] == "7"
    assert "retry-after" not in headers(refused(gate, Refusal("apps_unavailable")))


@pytest.mark.parametrize("text", ['a" x="b', "a\\b", "a\r\nSet-Cookie: x", "é\u2028", "a\x00b\x7f"])
def test_challenge_special_characters_stay_within_quotes(text: str) -> None:
    gate = gate_of(acme(), realm=text)
    challenge = headers(refused(gate, Refusal("invalid_request", None, text)))["www-authenticate"]
    quoted = r'"[\x20\x21\x23-\x5b\x5d-\x7e]*"'
    assert re.fullmatch(f"Bearer realm={quoted}, error={quoted}, error_description={quoted}", challenge)
    assert challenge.count('"') == 6


def test_error_docs_configured_type_is_docs_url_and_code() -> None:
    gate = gate_of(acme(), error_docs="https://docs.example/errors/")
    response = refused(gate, Refusal("missing_token"))
    assert body(response)["type"] == "https://docs.example/errors/missing_token"


def vendors(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    return 418, {"ä": refusal.code}


def test_format_error_custom_status_and_body_with_standard_headers(gate: Gate) -> None:
    response = refused(gate, Refusal("missing_token"), acme(format_error=vendors))
    assert (response.status, body(response)) == (418, {"ä": "missing_token"})
    assert headers(response)["content-type"] == "application/json"
    assert headers(response)["content-length"] == str(len(response.body))
    assert "www-authenticate" in headers(response)
    assert "retry-after" in headers(
        refused(gate, Refusal("keys_unavailable", retry_after=1), acme(format_error=vendors))
    )


def test_decision_response_without_refusal_internal_error(gate: Gate) -> None:
    response = Decision(False, Identity(None), None, True, None).response()
    assert (response.status, body(response)["error"]) == (503, "internal_error")
    assert headers(response)["retry-after"] == "1"


def test_decision_response_insufficient_scope_uses_format_error() -> None:
    gate = gate_of(acme(format_error=vendors))
    decision = gate.decide(asks(token()))
    response = decision.response(Refused(Refusal("insufficient_scope")))
    assert (response.status, body(response)) == (418, {"ä": "insufficient_scope"})
    assert 'error="insufficient_scope"' in headers(response)["www-authenticate"]


def test_decision_response_has_cors_headers_unless_disabled() -> None:
    gate = gate_of(acme(allow_anonymous=True))
    page = [("Origin", ORIGIN)]
    for request in (asks("bad", headers=page), asks(app="unknown", headers=page)):
        response = gate.decide(request).response()
        assert headers(response)["access-control-allow-origin"] == ORIGIN
        assert headers(response)["vary"] == "Origin"
        assert not {"vary", "access-control-allow-origin"} & headers(gate.decide(request).response(cors=False)).keys()
    allowed = gate.decide(asks(headers=page))
    assert headers(allowed.response(Refused(Refusal("rate_limited"))))["access-control-allow-origin"] == ORIGIN
    allowed.cors = False
    assert "vary" not in headers(allowed.response(Refused(Refusal("rate_limited"))))
    several = gate_of(acme(), App("other", credentials=[secret(OTHER_KEY)]))
    nameless = several.decide(asks(app=None, headers=page), optional=True)
    response = nameless.response(Refused(Refusal("missing_token")))
    assert (nameless.app_id, headers(response)["access-control-allow-origin"]) == (None, ORIGIN)


@pytest.mark.parametrize("mode", Mode)
def test_decision_response_allowed_request_without_exception_raises_config_error(mode: Mode) -> None:
    allowed = gate_of(acme(allow_anonymous=True, mode=mode)).decide(asks())
    assert problems_of(allowed.response) == {"refused": "must be given, because the decision allows this request"}


def test_decision_response_uses_realm_and_error_docs_of_gate() -> None:
    gate = gate_of(acme(), realm="feedback", error_docs="https://docs.example/errors/")
    response = gate.decide(asks()).response()
    assert headers(response)["www-authenticate"] == 'Bearer realm="feedback"'
    assert body(response)["type"] == "https://docs.example/errors/missing_token"


def test_decision_response_bad_token_contains_no_token(gate: Gate) -> None:
    text = token(key=OTHER_KEY)
    response = gate.decide(asks(text)).response()
    assert text not in response.body.decode() + repr(response.headers)


def raises(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    raise ZeroDivisionError


def not_json(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    return 400, {"error": object()}


def no_pair(refusal: Refusal) -> Any:
    return None


@pytest.mark.parametrize("errors", [raises, not_json, no_pair])
def test_format_error_raises_or_invalid_result_problem_json(
    errors: Any, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    response = refused(gate, Refusal("missing_token"), acme(format_error=errors))
    assert (response.status, body(response)["error"]) == (401, "missing_token")
    assert headers(response)["content-type"] == "application/problem+json"
    assert "format_error of app acme failed" in caplog.records[0].getMessage()


@pytest.mark.parametrize(("status", "phrase"), [(401, "Unauthorized"), (429, "Too Many Requests"), (599, "Refused")])
def test_reason_phrase_status_standard_phrase(status: int, phrase: str) -> None:
    assert reason_phrase(status) == phrase


@pytest.mark.parametrize("status", [200, 302, 399, 600, "401", None])
def test_format_error_non_error_status_problem_json(status: Any, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    def lax(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
        return status, {}

    response = refused(gate, Refusal("missing_token"), acme(format_error=lax))
    assert (response.status, body(response)["error"]) == (401, "missing_token")
    assert headers(response)["content-type"] == "application/problem+json"
    assert "format_error of app acme failed" in caplog.records[0].getMessage()


def lax(refusal: Refusal) -> tuple[int, Mapping[str, Any]]:
    return 200, {"ok": True}


@pytest.mark.parametrize("errors", [lax, raises])
def test_format_error_fails_asgi_and_wsgi_same_problem_json(errors: Any) -> None:
    gate = gate_of(acme(format_error=errors))
    page = Starlette(routes=[Route("/", lambda request: PlainTextResponse("open"))])
    client = TestClient(wicket.asgi.WicketMiddleware(page, gate))
    over_asgi = client.get("/")
    flask = Flask("test")
    flask.add_url_rule("/", view_func=lambda: "open")
    flask.wsgi_app = wicket.wsgi.WicketMiddleware(flask.wsgi_app, gate)  # type: ignore[method-assign]
    over_wsgi = flask.test_client().get("/")
    assert over_asgi.status_code == over_wsgi.status_code == 401
    assert over_asgi.headers["content-type"] == over_wsgi.headers["content-type"] == "application/problem+json"
    assert over_asgi.json() == over_wsgi.get_json()
    assert over_asgi.json()["error"] == "missing_token"


@pytest.mark.parametrize("middleware", [wicket.asgi.WicketMiddleware, wicket.wsgi.WicketMiddleware])
@pytest.mark.parametrize("gate", [None, "wicket", Gate])
def test_middleware_missing_or_invalid_gate_config_error(middleware: Any, gate: Any) -> None:
    assert problems_of(lambda: middleware(lambda *args: None, gate=gate)) == {"gate": "must be a Gate"}
