"""What has come to stand against an identity since it was verified: asked of connections that outlast a decision."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.locations import AppRef
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.identity import VerifiedIdentity
from wicket.decision.io import Effect
from wicket.decision.resolve_app import lookup_app
from wicket.errors import Refusal, Refused


def revalidate(house: GateContext, decision: Decision) -> Generator[Effect, None, Refusal | None]:
    """Why a verified identity no longer holds: its time is over, or its app, as it is now, revoked it or has its key
    no more.

    None where it holds, where trouble of our own hides whether it does, and in log-only mode. The load of an app that
    is due is begun, and not waited for. Key sets are not asked: they are fetched for requests, never by a timer.
    """
    if not can_end(house, decision):
        return None
    ref = name_in_registry(house, decision)
    app: App | BrokenApp | None = decision.app
    if ref is not None:
        with contextlib.suppress(Refused):
            app = yield from app_now(house, ref)
    found = judge(house, decision, app)
    return found if isinstance(found, Refusal) else None


def can_end(house: GateContext, decision: Decision) -> bool:
    """Whether anything can end the identity of `decision`; False if the gate, or an app in code, only logs."""
    if not isinstance(decision.identity, VerifiedIdentity) or decision.app is None or house.mode is Mode.LOG_ONLY:
        return False
    return decision.app.mode is Mode.ENFORCE or house.mode is not None or name_in_registry(house, decision) is not None


def name_in_registry(house: GateContext, decision: Decision) -> AppRef | None:
    """The name by which the registry is asked for the app of `decision`; None if the app is in code."""
    app = decision.app
    if app is None or house.registry is None:
        return None
    ref = decision.app_ref or AppRef("id", app.id)
    return ref if house.apps.get(ref) is None else None


def app_now(house: GateContext, ref: AppRef) -> Generator[Effect, None, App | BrokenApp | None]:
    """The app of a registry as it is now. Begins its load if that is due, and does not wait for it.

    Raises `Refused` if it cannot be had right now.
    """
    return lookup_app(house, ref, RequestContext(house, 0.0))


def judge(house: GateContext, decision: Decision, found: App | BrokenApp | None) -> Refusal | float | None:
    """Why the identity of `decision` no longer holds for its app, as it was `found` now.

    If it holds: the time at which its token expires, in seconds since 1970, or None if it never does. That stays so
    until `found` is another app. A broken app changes nothing of what it was before.
    """
    identity, app = decision.identity, decision.app
    if not isinstance(identity, VerifiedIdentity) or app is None:
        return None
    if found is None or (isinstance(found, App) and found.id != app.id):
        return Refusal("unknown_app")
    app = found if isinstance(found, App) else app
    if house.mode_of(app) is Mode.LOG_ONLY:
        return None
    until = identity.valid_until(app)
    if until is not None and house.clock() >= until:
        return Refusal("invalid_token", "expired")
    if not identity.still_verified_by(app):
        hashed = identity.method == "identity_hash"
        return Refusal("invalid_token", "bad_identity_hash" if hashed else "bad_signature")
    return Refusal("invalid_token", "revoked") if identity.is_revoked_in(app) else until
