"""The fast path without the flow."""

from __future__ import annotations

from wicket import Decision, Request
from wicket.decision.context import GateContext
from wicket.decision.fast_path import decide_fast


def fast_decision(context: GateContext, request: Request, *, optional: bool = False) -> Decision | None:
    """Return the decision of the fast path; None if the flow must decide."""
    try:
        result = decide_fast(context, request, optional=optional)
    except Exception:  # noqa: BLE001 - any exception means that the flow decides
        return None
    return result if isinstance(result, Decision) else None
