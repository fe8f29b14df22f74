"""The decision about one token, which must be the same each time it is asked for."""

from __future__ import annotations

from typing import Any

import jwt

from tests.support.unit import KEY, ORIGIN, asks, gate_of
from wicket import App, Decision
from wicket.diagnostics import diagnose


def outcome(app: App, text: str) -> Decision:
    """The decision about a token: by the flow, by the fast path, by `verify` and by `diagnose`."""
    with gate_of(app) as gate:
        decisions = [gate.decide(asks(text, headers=[("Origin", ORIGIN)])) for _ in range(3)]
        decisions.append(gate.verify(text, app="acme"))
        diagnosis = diagnose(gate, "acme", text)
    assert len({(decision.allowed, decision.refusal) for decision in decisions}) == 1
    assert (diagnosis.passed, diagnosis.refusal) == (decisions[0].allowed, decisions[0].refusal)
    return decisions[0]


def why(app: App, text: str) -> tuple[str | None, str | None, str | None]:
    """The reason, the claim and the detail of the refusal of a token."""
    refusal = outcome(app, text).refusal
    assert refusal is not None
    return refusal.reason, refusal.claim, refusal.detail


def read_claims(text: str) -> dict[str, Any]:
    """The claims of a token, verified by PyJWT."""
    options: Any = {"verify_exp": False, "verify_iat": False}
    found: dict[str, Any] = jwt.decode(text, KEY, algorithms=["HS256"], options=options)
    return found
