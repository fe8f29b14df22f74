"""The HTTP answer to a refused request: problem+json (RFC 9457), the challenge (RFC 6750), a vendor's own body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from wicket.app import App
from wicket.decision.flow import Decision
from wicket.errors import Refusal, Refused
from wicket.gate import Gate
from wicket.request import Answer

_TITLE: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_UNQUOTABLE: Final = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_NO_CHALLENGE: Final = frozenset({"origin_not_allowed"})


def answer_to(gate: Gate, decision: Decision) -> Answer:
    """The answer to a request that `decision` turns away."""
    refusal = decision.refusal or Refusal("internal_error", retry_after=1)
    return answer_refusal(gate, refusal, decision.app, token_sent=decision.token_sent)


def answer_refused(gate: Gate, decision: Decision, refused: Refused) -> Answer:
    """The answer to a request whose handler demanded more than the decision gave, and raised `Refused`."""
    return answer_refusal(gate, refused.refusal, decision.app, token_sent=decision.token_sent)


def answer_refusal(gate: Gate, refusal: Refusal, app: App | None, *, token_sent: bool) -> Answer:
    """Status, headers and body of one refusal, in the form of the app's vendor where it has one of its own."""
    body: Mapping[str, Any]
    if app is not None and app.errors is not None:
        status, body = app.errors(refusal)
        content_type = "application/json"
    else:
        status, body = refusal.status, _problem(gate, refusal)
        content_type = "application/problem+json"
    encoded = json.dumps(body).encode()
    headers = [
        ("content-type", content_type),
        ("content-length", str(len(encoded))),
        ("cache-control", "no-store"),
    ]
    if refusal.status in (400, 401, 403) and refusal.code not in _NO_CHALLENGE:
        headers.append(("www-authenticate", _challenge(gate.realm, refusal, token_sent)))
    if refusal.retry_after is not None:
        headers.append(("retry-after", str(refusal.retry_after)))
    return Answer(status, tuple(headers), encoded)


def _problem(gate: Gate, refusal: Refusal) -> dict[str, Any]:
    return {
        "type": f"{gate.error_docs}{refusal.code}" if gate.error_docs else "about:blank",
        "title": _TITLE[refusal.status],
        "status": refusal.status,
        "detail": refusal.detail,
        "error": refusal.code,
        "reason": refusal.reason,
    }


def _challenge(realm: str, refusal: Refusal, token_sent: bool) -> str:
    """`WWW-Authenticate`: error information only where a token was sent, and one of three codes (RFC 6750 3, 3.1)."""
    challenge = f'Bearer realm="{_quotable(realm)}"'
    if not token_sent:
        return challenge
    code = refusal.code if refusal.code in ("invalid_request", "insufficient_scope") else "invalid_token"
    return f'{challenge}, error="{code}", error_description="{_quotable(refusal.detail)}"'


def _quotable(text: str) -> str:
    return _UNQUOTABLE.sub("?", text)
