"""What has come to stand against an identity since it was verified: asked of connections that outlast a decision."""

from __future__ import annotations

from collections.abc import Generator

from wicket.app import App, Mode
from wicket.decision.effects import Effect
from wicket.decision.finding import look_up
from wicket.decision.flow import Decision
from wicket.decision.house import House, Progress
from wicket.decision.identity import VerifiedIdentity
from wicket.errors import Refusal, Refused
from wicket.sources import AppRef


def revisit(house: House, decision: Decision) -> Generator[Effect, None, Refusal | None]:
    """Why a verified identity no longer holds: its time is over, or its app, as it is now, revoked it or has its key
    no more.

    None where it holds, where trouble of our own hides whether it does, and in log-only mode. The load of an app that
    is due is begun, and not waited for. Key sets are not asked: they are fetched for requests, never by a timer.
    """
    identity, app = decision.identity, decision.app
    if not isinstance(identity, VerifiedIdentity) or app is None or house.mode is Mode.LOG_ONLY:
        return None
    ref = decision.asked_for or AppRef("id", app.id)
    if house.registry is not None and house.apps.get(ref) is None:
        try:
            found = yield from look_up(house, ref, Progress(house, 0.0))
        except Refused:
            found = app
        if found is None or (isinstance(found, App) and found.id != app.id):
            return Refusal("unknown_app")
        app = found if isinstance(found, App) else app
    if house.mode_of(app) is Mode.LOG_ONLY:
        return None
    until = identity.holds_until(app)
    if until is not None and house.clock() >= until:
        return Refusal("invalid_token", "expired")
    if not identity.proven_by(app):
        hashed = identity.method == "identity_hash"
        return Refusal("invalid_token", "bad_identity_hash" if hashed else "bad_signature")
    return Refusal("invalid_token", "revoked") if identity.revoked_by(app) else None
