"""What a client must get for a row of the table: status, headers and body."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.scenarios.model import Ask, Challenge, Expected, Form, Scenario
from tests.scenarios.world import ERROR_DOCS


@dataclass(frozen=True, slots=True)
class Answered:
    """A response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def check(scenario: Scenario, answer: Answered) -> None:
    """Check a response against its row."""
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
    assert seen["user"] == expected.identity, "the framework's user is exactly the verified one"
    assert seen["verified"] is (expected.identity is not None)
    assert (seen["app_id"], seen["identity_app_id"]) == (expected.app_id, expected.app_id)
    assert (seen["enforced"], seen["code"], seen["reason"]) == (expected.enforced, expected.code, expected.reason)
    assert (seen["claimed"], seen["method"]) == (expected.claimed, expected.method)
    assert seen["body"] == hashlib.sha256(ask.body).hexdigest(), "the application reads the whole body"
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
        assert parts[2] is None, "no error about a token that was not sent (RFC 6750 section 3.1)"
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
