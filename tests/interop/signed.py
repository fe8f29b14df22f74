"""What came back from the signers, and how a gate is asked about it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from wicket import App, Gate, Request, VerifiedIdentity


@dataclass(frozen=True)
class SignedElsewhere:
    """Tokens and hashes by the name of their order, and the public halves of the issuers' keys by `kid`."""

    tokens: dict[str, str] = field(repr=False)
    keys: dict[str, dict[str, Any]]


def admitted(app: App, request: Request, *, later: float = 0) -> VerifiedIdentity:
    """The identity of a request that must pass, `later` seconds from now."""
    decision = gate_of(app, later=later).decide(request)
    assert decision.allowed, decision.refusal
    assert decision.enforced
    assert decision.refusal is None
    assert decision.app_id == app.id
    identity = decision.require()
    assert identity.app_id == app.id
    assert identity.method == "jwt"
    return identity


def refused(app: App, request: Request, *, later: float = 0) -> str:
    """The reason for which a request must be turned away, `later` seconds from now."""
    decision = gate_of(app, later=later).decide(request)
    assert not decision.allowed
    assert not decision.identity.verified
    assert decision.refusal is not None
    assert decision.refusal.code == "invalid_token"
    assert decision.refusal.status == 401
    assert decision.refusal.reason is not None
    return decision.refusal.reason


def gate_of(app: App, *, later: float = 0) -> Gate:
    """A gate that holds this app, with a clock that runs `later` seconds ahead."""
    return Gate([app], clock=lambda: time.time() + later)


def request(query: str = "", headers: Iterable[tuple[str, str]] = ()) -> Request:
    """A widget's request."""
    return Request("POST", "/v1/feedback", query, [("Origin", "https://acme.com"), *headers])
