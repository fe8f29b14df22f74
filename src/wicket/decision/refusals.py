"""HTTP responses to refused requests.

A response has problem details (RFC 9457), a `WWW-Authenticate` challenge (RFC 6750) and, if the app's profile defines
one, the vendor's own body.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, Final, Protocol

from wicket.config.app import App
from wicket.errors import Refusal
from wicket.messages.response import Response
from wicket.runtime.logs import log_internal_error

_UNQUOTABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_NO_CHALLENGE: Final = frozenset({"origin_not_allowed"})
_NO_ERROR: Final = frozenset({"config_missing", "config_invalid", "unknown_app"})
"""Codes whose challenge has no `error`, because the token is not the cause."""


class ResponseSettings(Protocol):
    """The settings of a gate that its refusals depend on.

    Attributes:
        realm: The realm of `WWW-Authenticate`.
        error_docs: The URL of the error documentation; None if there is none.
    """

    realm: str
    error_docs: str | None


def format_refusal(gate: ResponseSettings, refusal: Refusal, app: App | None, *, credentials_sent: bool) -> Response:
    """Return the response for one refusal, without CORS headers.

    Args:
        gate: The gate, or its context.
        refusal: The refusal.
        app: The app, whose `format_error` makes the status and the body if it is set. None if the app is unknown.
        credentials_sent: Whether the request carried a token or an identity hash.
    """
    status, encoded, content_type = _status_and_body(gate, refusal, app)
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


def _status_and_body(gate: ResponseSettings, refusal: Refusal, app: App | None) -> tuple[int, bytes, str]:
    """Return the status, the encoded body and the content type."""
    if app is not None and app.format_error is not None:
        try:
            status, body = app.format_error(refusal)
            if not 400 <= status <= 599:
                raise ValueError("the status of a refusal must be 400 to 599")
            return status, json.dumps(body).encode(), "application/json"
        except Exception as error:  # noqa: BLE001 - an exception in format_error must not turn a refusal into a 500
            log_internal_error(f"format_error of app {app.id} failed", error)
    return refusal.status, json.dumps(_problem_details(gate, refusal)).encode(), "application/problem+json"


def reason_phrase(status: int) -> str:
    """Return the standard reason phrase of a status (RFC 9110 section 15); `Refused` if the status has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


def _problem_details(gate: ResponseSettings, refusal: Refusal) -> dict[str, Any]:
    return {
        "type": f"{gate.error_docs}{refusal.code}" if gate.error_docs else "about:blank",
        "title": reason_phrase(refusal.status),
        "status": refusal.status,
        "detail": refusal.detail,
        "error": refusal.code,
        "reason": refusal.reason,
    }


def _challenge(realm: str, refusal: Refusal, credentials_sent: bool) -> str:
    """Return the value of `WWW-Authenticate`.

    `error` is included only if a token was sent and is the cause. It is one of the three codes of RFC 6750 section 3.1.
    """
    challenge = f'Bearer realm="{_quotable(realm)}"'
    if not credentials_sent or refusal.code in _NO_ERROR:
        return challenge
    code = refusal.code if refusal.code in ("invalid_request", "insufficient_scope") else "invalid_token"
    return f'{challenge}, error="{code}", error_description="{_quotable(refusal.detail)}"'


def _quotable(value: str) -> str:
    return _UNQUOTABLE.sub("?", value)
