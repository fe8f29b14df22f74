"""The response to a `Refused` that a handler raised, for the exception handler of any framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wicket.decision.decision import Decision
from wicket.decision.refusals import format_refusal
from wicket.errors import Refused
from wicket.gate import Gate
from wicket.http.accessors import decisions_about, gate_decision
from wicket.messages.response import Response


def refusal_response(refused: Refused, request: Decision | Mapping[str, Any] | None, gate: Gate) -> Response:
    """Return the HTTP response to a `Refused` that a handler raised, and report the refusal.

    Call it in the exception handler of a framework.

    Args:
        refused: The exception.
        request: The ASGI scope or the WSGI environ of the request, or the decision about it. None if there is none. If
            no gate has decided the request, the response has no CORS headers and the format of no vendor.
        gate: The gate. If the decision of another gate raised `refused`, the response is the one of that gate.

    Returns:
        The status, the headers with CORS, and the body, as a named tuple. Names of headers are in lower case.
    """
    refusal = refused.refusal
    decisions = [request] if isinstance(request, Decision) else decisions_about(request or {})
    own = gate_decision(decisions, gate)
    raising = next((decision for decision in decisions if decision.required_refusal is refusal), own)
    if raising is own:  # the middleware of another gate reports its refusal itself
        gate.report_handler_refusal(own, refusal)
    if raising is None:
        return format_refusal(gate, refusal, None, credentials_sent=False)
    return raising.response(refused)
