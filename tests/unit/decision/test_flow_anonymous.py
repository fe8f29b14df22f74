"""`anonymous`: the decision about a preflight that `preflights="pass"` gives to the application."""

from __future__ import annotations

import pytest

from tests.support.unit import BY_HEADER, OTHER_KEY, acme, asks, gate_of, secret
from wicket import App, Decision, Gate, Mode
from wicket.decision.flow import anonymous


def passed(gate: Gate) -> Decision:
    """The decision about a request with an invalid token, which is not read."""
    with gate:
        return anonymous(gate._context, asks("no token"))


@pytest.mark.parametrize("mode", Mode)
def test_anonymous_gate_with_one_app_allowed_for_that_app(mode: Mode) -> None:
    decision = passed(gate_of(acme(mode=mode)))
    assert (decision.allowed, decision.refusal, decision.app_id) == (True, None, "acme")
    assert (decision.identity.verified, decision.enforced) == (False, mode is Mode.ENFORCE)


def test_anonymous_gate_with_two_apps_allowed_without_app() -> None:
    two = App("two", credentials=[secret(OTHER_KEY)], app_locations=BY_HEADER)
    decision = passed(gate_of(acme(), two))
    assert (decision.allowed, decision.refusal, decision.app_id) == (True, None, None)
    assert not decision.identity.verified
