"""What has come to stand against an identity since it was verified: asked of connections that outlast a decision."""

from __future__ import annotations

from collections.abc import Generator

from wicket.app import App, Mode
from wicket.decision.effects import Effect, Fetch
from wicket.decision.finding import look_up
from wicket.decision.flow import Decision
from wicket.decision.house import House, Progress
from wicket.decision.identity import HashedIdentity, VerifiedIdentity
from wicket.errors import Refusal, Refused
from wicket.keys.keyset import SourceRef
from wicket.sources import AppRef


def revisit(house: House, decision: Decision) -> Generator[Effect, None, Refusal | None]:
    """Why a verified identity no longer holds: its token expired, or its app, as it is now, revoked it or has its key
    no more.

    None where it holds, where trouble of our own hides whether it does, and for an app in log-only mode. Loads that are
    due are begun, and none is waited for.
    """
    identity, app = decision.identity, decision.app
    if not isinstance(identity, VerifiedIdentity) or app is None:
        return None
    ref = decision.asked_for or AppRef("id", app.id)
    if house.registry is not None and house.apps.get(ref) is None:
        try:
            found = yield from look_up(house, ref, Progress(house, 0.0))
        except Refused:
            found = app
        if found is None or found.id not in (app.id, None):
            return Refusal("unknown_app")
        app = found if isinstance(found, App) else app
    if house.mode_of(app) is Mode.LOG_ONLY:
        return None
    if identity.expires_at is not None and house.clock() >= identity.expires_at + app.rules.skew:
        return Refusal("invalid_token", "expired")
    if isinstance(identity, HashedIdentity):
        if not identity.hashed_by(app):
            return Refusal("invalid_token", "bad_identity_hash")
    elif not identity.signed_by(app.keyring) and not (yield from _signed_remotely(house, app, identity)):
        return Refusal("invalid_token", "bad_signature")
    return Refusal("invalid_token", "revoked") if identity.revoked_by(app) else None


def _signed_remotely(house: House, app: App, identity: VerifiedIdentity) -> Generator[Effect, None, bool]:
    """Whether a key set of `app`, as it is held now, has the key of this identity, or is out of reach."""
    cache = house.key_sets.cache
    for source in app.sources:
        ref = SourceRef(app.id, source)
        slot = cache.read(ref)
        if cache.patience(slot, 0.0, 0.0) is not None:
            slot = yield from Fetch(cache, ref, slot, 0.0)
        held = cache.usable(slot)
        if held is None or identity.signed_by(held.keys.keyring):
            return True
    return False
