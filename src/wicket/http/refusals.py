"""The HTTP answer to a refused request: problem+json (RFC 9457), the challenge (RFC 6750), a vendor's own body."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, Final

from wicket.config.app import App
from wicket.decision.decision import Decision
from wicket.errors import Refusal, Refused
from wicket.gate import Gate
from wicket.messages.response import Response
from wicket.runtime.logs import log_internal_error

_UNQUOTABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_NO_CHALLENGE: Final = frozenset({"origin_not_allowed"})
_NO_ERROR: Final = frozenset({"config_missing", "config_invalid", "unknown_app"})
"""Codes for which the token is not at fault, so that the challenge has no `error`."""


def response_for(gate: Gate, decision: Decision) -> Response:
    """The answer to a request that `decision` turns away."""
    refusal = decision.refusal or Refusal("internal_error", retry_after=1)
    return refusal_response(gate, refusal, decision.app, credentials_sent=decision.credentials_sent)


def response_for_exception(gate: Gate, decision: Decision, refused: Refused) -> Response:
    """The answer to a request whose handler demanded more than the decision gave, and raised `Refused`."""
    return refusal_response(gate, refused.refusal, decision.app, credentials_sent=decision.credentials_sent)


def refusal_response(gate: Gate, refusal: Refusal, app: App | None, *, credentials_sent: bool) -> Response:
    """Status, headers and body of one refusal, in the form of the app's vendor where it has one of its own."""
    status, encoded, content_type = _body(gate, refusal, app)
    headers = [
        ("content-type", content_type),
        ("content-length", str(len(encoded))),
        ("cache-control", "no-store"),
    ]
    if refusal.status in (400, 401, 403) and refusal.code not in _NO_CHALLENGE:
        headers.append(("www-authenticate", _challenge(gate.realm, refusal, credentials_sent)))
    if refusal.retry_after is not None:
        headers.append(("retry-after", str(refusal.retry_after)))
    return Response(status, tuple(headers), encoded)


def _body(gate: Gate, refusal: Refusal, app: App | None) -> tuple[int, bytes, str]:
    if app is not None and app.format_error is not None:
        try:
            status, body = app.format_error(refusal)
            if not 400 <= status <= 599:
                raise ValueError("the status of a refusal must be 400 to 599")
            return status, json.dumps(body).encode(), "application/json"
        except Exception as error:  # noqa: BLE001 - a vendor's form that fails must not turn a refusal into a 500
            log_internal_error(f"the errors of the app {app.id} failed", error)
    return refusal.status, json.dumps(_problem(gate, refusal)).encode(), "application/problem+json"


def reason_phrase(status: int) -> str:
    """The standard words for a status (RFC 9110 section 15)."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


def _problem(gate: Gate, refusal: Refusal) -> dict[str, Any]:
    return {
        "type": f"{gate.error_docs}{refusal.code}" if gate.error_docs else "about:blank",
        "title": reason_phrase(refusal.status),
        "status": refusal.status,
        "detail": refusal.detail,
        "error": refusal.code,
        "reason": refusal.reason,
    }


def _challenge(realm: str, refusal: Refusal, credentials_sent: bool) -> str:
    """`WWW-Authenticate`: an error only if a token was sent and is at fault, by one of three codes (RFC 6750 3)."""
    challenge = f'Bearer realm="{_quotable(realm)}"'
    if not credentials_sent or refusal.code in _NO_ERROR:
        return challenge
    code = refusal.code if refusal.code in ("invalid_request", "insufficient_scope") else "invalid_token"
    return f'{challenge}, error="{code}", error_description="{_quotable(refusal.detail)}"'


def _quotable(text: str) -> str:
    return _UNQUOTABLE.sub("?", text)
