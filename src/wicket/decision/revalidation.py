"""Revalidation of a verified identity, for connections that outlive the decision about their request."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.locations import AppRef
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.io import Effect
from wicket.decision.resolve_app import lookup_app
from wicket.decision.verified import VerifiedApp, VerifiedIdentity
from wicket.errors import Refusal, Refused


def revalidate(gate: GateContext, decision: Decision) -> Generator[Effect, None, Refusal | None]:
    """Check a verified identity again.

    A load of the app starts if it is due, and the check does not wait for it. Key sets are not fetched: only requests
    cause fetches, never a timer.

    Args:
        gate: The gate that made `decision`.
        decision: The decision about the request.

    Returns:
        The refusal if the identity has expired, or if the current app has revoked it or removed its key or no longer
        exists, or if its `check` does not accept the claims. None if it is still valid, if the app cannot be loaded,
        and in log-only mode.
    """
    if not can_end(gate, decision):
        return None
    ref = name_in_registry(gate, decision)
    app: App | BrokenApp | None = decision.app
    if ref is not None:
        with contextlib.suppress(Refused):
            app = yield from app_now(gate, ref)
    result = judge(gate, decision, app)
    return result if isinstance(result, Refusal) else None


def can_end(gate: GateContext, decision: Decision) -> bool:
    """Return whether the identity can become invalid. It cannot if the gate, or an app in code, is in log-only mode."""
    if not decision.identity.verified or decision.app is None or gate.mode is Mode.LOG_ONLY:
        return False
    return decision.app.mode is Mode.ENFORCE or gate.mode is not None or name_in_registry(gate, decision) is not None


def name_in_registry(gate: GateContext, decision: Decision) -> AppRef | None:
    """Return the reference of the decision's app in the registry; None if the app is configured in code."""
    app = decision.app
    if app is None or gate.registry is None:
        return None
    ref = decision.app_ref or AppRef("id", app.id)
    return ref if gate.apps.get(ref) is None else None


def app_now(gate: GateContext, ref: AppRef) -> Generator[Effect, None, App | BrokenApp | None]:
    """Return the cached app of a registry. A load starts if it is due, and this function does not wait for it.

    Raises:
        Refused: `apps_unavailable` if the cache knows nothing about the reference.
    """
    return lookup_app(gate, ref, RequestContext(gate, 0.0))


def judge(gate: GateContext, decision: Decision, current: App | BrokenApp | None) -> Refusal | float | None:
    """Check a verified identity against the current version of its app.

    Args:
        gate: The gate that made `decision`.
        decision: The decision about the request.
        current: The current app. If it is a `BrokenApp`, the app of `decision` is used.

    Returns:
        The refusal if the identity is no longer valid. Otherwise the time at which it expires, in seconds since 1970,
        or None if it never expires. Until that time, the result changes only if `current` is another object or has a
        `check`.
    """
    identity, app = decision.identity, decision.app
    if not isinstance(identity, VerifiedIdentity | VerifiedApp) or app is None:
        return None
    if current is None or (isinstance(current, App) and current.id != app.id):
        return Refusal("unknown_app")
    app = current if isinstance(current, App) else app
    if gate.mode_of(app) is Mode.LOG_ONLY:
        return None
    valid_until = identity.valid_until(app)
    if valid_until is not None and gate.clock() >= valid_until:
        return Refusal("invalid_token", "expired")
    if not identity.still_verified_by(app):
        by_hash = identity.method == "identity_hash"
        return Refusal("invalid_token", "bad_identity_hash" if by_hash else "bad_signature")
    if identity.is_revoked_in(app):
        return Refusal("invalid_token", "revoked")
    try:
        identity.check_in(app)
    except Refused as refused:
        return refused.refusal
    return valid_until
