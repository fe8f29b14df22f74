"""Requests of strangers at a remote key set, and the answers that tests expect."""

from __future__ import annotations

from typing import Any

from tests.attacks.published import is_signed_by
from tests.attacks.token_factory import NOW
from wicket import Gate, Refusal

ADA = (200, "acme:ada", None)
BAD_SIGNATURE = (401, "invalid_token", "bad_signature")
NOT_FOUND = (401, "invalid_token", "key_not_found")
UNAVAILABLE = (503, "keys_unavailable", None)
UNUSABLE = (503, "config_invalid", None)


def guess(kid: str, iat: float | None = NOW) -> str:
    """A token that a stranger signed."""
    return is_signed_by("a stranger", kid, iat)


def spend(gate: Gate, **about: Any) -> None:
    """Have strangers spend the budget of the app's key set."""
    for number in range(4):
        gate.verify(guess(f"invented-{number}"), app="acme", **about)


def refusal_of(gate: Gate, token: str) -> Refusal:
    refusal = gate.verify(token, app="acme").refusal
    assert refusal is not None
    return refusal
