"""What came back from the signers, and how a gate is asked about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from wicket import App, Gate, Request, VerifiedIdentity


@dataclass(frozen=True)
class SignedElsewhere:
    """Tokens and hashes by the name of their order, the public halves of the issuers' keys by `kid`, and the time.

    `now` is when every token was signed. The gates of these suites have this time, however late a test runs.
    """

    now: int
    tokens: dict[str, str] = field(repr=False)
    keys: dict[str, dict[str, Any]]


def admitted(app: App, request: Request, *, now: float) -> VerifiedIdentity:
    """The identity of a request that must pass at the time `now`."""
    decision = gate_of(app, now=now).decide(request)
    assert decision.allowed, decision.refusal
    assert decision.enforced
    assert decision.refusal is None
    assert decision.app_id == app.id
    identity = decision.require()
    assert identity.app_id == app.id
    assert identity.method == "jwt"
    return identity


def refused(app: App, request: Request, *, now: float) -> str:
    """The reason for which a request must be turned away at the time `now`."""
    decision = gate_of(app, now=now).decide(request)
    assert not decision.allowed
    assert not decision.identity.verified
    assert decision.refusal is not None
    assert decision.refusal.code == "invalid_token"
    assert decision.refusal.status == 401
    assert decision.refusal.reason is not None
    return decision.refusal.reason


def gate_of(app: App, *, now: float) -> Gate:
    """A gate that holds this app, and whose clock says `now`."""
    return Gate([app], clock=lambda: now)


def request(query: str = "", headers: Iterable[tuple[str, str]] = ()) -> Request:
    """A widget's request."""
    return Request("POST", "/v1/feedback", query, [("Origin", "https://acme.com"), *headers])
