"""The request's way, top to bottom: from one request to one Decision.

The flow does no I/O. Where it lacks something it yields an `Effect`; a driver (sync or async, in `wicket.drivers`) gets
it and lets the flow go on. Failures come back as values. Nothing here remembers a decision.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

from wicket.app import App, Mode
from wicket.decision.choice import Choice, Patience, choose_keys
from wicket.decision.effects import Effect
from wicket.decision.finding import (
    House,
    Progress,
    check_names_in_body,
    claimed_by,
    find_app,
    find_token,
    look_up,
    name_app,
    token_was_sent,
)
from wicket.decision.hashes import check_agreement, identify_by_hash
from wicket.decision.identity import Identity, VerifiedIdentity
from wicket.decision.tokens import malformed, read_token
from wicket.decision.verifier import identify, verify_signature
from wicket.errors import Refusal, Refused, WicketError
from wicket.keys.algorithms import Key
from wicket.request import Request
from wicket.sources import AppRef, Cookie

_log: Final = logging.getLogger("wicket")

_MISSING_TOKEN: Final = Refusal("missing_token")


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one request.

    `allowed`: it may pass. `identity`: who it is from, never unverified. `refusal`: why it is turned away or, where
    `enforced` is false, would have been. `app_id`: the app it named, once known. `claimed`: whom an anonymous client
    says it is, without proof; nothing may be decided by it.
    """

    allowed: bool
    identity: Identity
    refusal: Refusal | None
    enforced: bool
    app_id: str | None
    claimed: str | None = None
    token_sent: bool = field(default=False, repr=False)
    app: App | None = field(default=None, repr=False, compare=False)
    asked_for: AppRef | None = field(default=None, repr=False)
    house: House | None = field(default=None, repr=False, compare=False)

    def require(self, *scopes: str) -> VerifiedIdentity:
        """The verified identity, with all of `scopes`.

        Raises `Refused`: with the refusal or `missing_token` where there is none, with `insufficient_scope` where a
        scope is missing.
        """
        identity = self.identity
        if not isinstance(identity, VerifiedIdentity):
            raise Refused(self.refusal or _MISSING_TOKEN)
        missing = sorted(set(scopes) - identity.scopes)
        if missing:
            detail = f"The token lacks a scope that this request needs: {' '.join(missing)}."
            raise Refused(Refusal("insufficient_scope", detail=detail))
        return identity


Flow = Generator[Effect, None, Decision]


def decide(house: House, request: Request, *, optional: bool = False) -> Flow:
    """Decide about one request, by its app's mode and anonymity. `optional` admits anonymous users of every app."""
    way = _setting_out(house)
    try:
        identity = yield from _walk(house, request, way, optional)
    except Refused as refused:
        return _refuse(house, request, way, refused.refusal)
    except Exception as error:  # noqa: BLE001 - a bug of ours is not the user's fault: 503, or let pass in log-only
        log_fault("the decision about a request failed", error)
        return _refuse(house, request, way, Refusal("internal_error", retry_after=1))
    return _allow(house, request, way, identity)


def admit(house: House, request: Request) -> Flow:
    """Decide only which app is asked and from where (steps 1 and 2), for what asks before there is a token."""
    way = _setting_out(house)
    try:
        yield from name_app(house, request, way)
        app = yield from find_app(house, way.refs, way)
        _check_origin(house, app, request, way)
    except Refused as refused:
        return _refuse(house, request, way, refused.refusal)
    except Exception as error:  # noqa: BLE001 - as in decide
        log_fault("the decision about an origin failed", error)
        return _refuse(house, request, way, Refusal("internal_error", retry_after=1))
    return _allow(house, request, way, Identity(app.id, app))


def verify(house: House, token: str | None, ref: AppRef, origin: str | None) -> Flow:
    """Decide about a token alone, for sockets, jobs and other servers: it is verified, or it is refused."""
    way = Progress(house.limits.load_timeout)
    way.token_sent = bool(token)
    try:
        app = yield from find_app(house, [ref], way)
        if origin is not None and not app.origin_policy.allows(origin):
            raise Refused(Refusal("origin_not_allowed"))
        if token is None or token == "":
            raise Refused(_MISSING_TOKEN)
        if not isinstance(token, str):
            raise malformed("The token is not a string.")
        identity = yield from _verify_token(house, app, token, way)
    except Refused as refused:
        refusal = refused.refusal
    except Exception as error:  # noqa: BLE001 - as in decide
        log_fault("the verification of a token failed", error)
        refusal = Refusal("internal_error", retry_after=1)
    else:
        return Decision(True, identity, None, True, app.id, None, True, app, ref, house)
    return _without_proof(house, way, refusal, enforced=True)


def revisit(house: House, decision: Decision) -> Generator[Effect, None, Refusal | None]:
    """What has come to stand against a verified identity since: its token expired, or its app, as it is now, revoked
    it. None where nothing has, where trouble of our own hides it, and for an app in log-only mode.
    """
    identity, app = decision.identity, decision.app
    if not isinstance(identity, VerifiedIdentity) or app is None:
        return None
    ref = decision.asked_for or AppRef("id", app.id)
    if house.registry is not None and house.apps.get(ref) is None:
        try:
            found = yield from look_up(house, ref, Progress(0.0))  # begins a load that is due, and waits for none
        except Refused:
            found = app
        if found is None or found.id not in (app.id, None):
            return Refusal("unknown_app")
        app = found if isinstance(found, App) else app
    if house.mode_of(app) is Mode.LOG_ONLY:
        return None
    if identity.expires_at is not None and house.clock() >= identity.expires_at + app.rules.skew:
        return Refusal("invalid_token", "expired")
    return Refusal("invalid_token", "revoked") if identity.revoked_by(app) else None


def _setting_out(house: House) -> Progress:
    limits = house.limits
    return Progress(limits.log_only_timeout if house.mode is Mode.LOG_ONLY else limits.load_timeout)


def _walk(house: House, request: Request, way: Progress, optional: bool) -> Generator[Effect, None, Identity]:
    # 1. Which app? Every place is read, so that nobody picks the laxer app by naming two.
    way.app = house.only_app
    yield from name_app(house, request, way)
    if optional and not way.refs and house.only_app is None:
        token, _ = yield from find_token(house, house.holders, request)
        if token is None:
            return Identity(None)
    app = yield from find_app(house, way.refs, way)

    # 2. From where? Before the token, so that a page that may not ask learns nothing about one.
    origin = _check_origin(house, app, request, way)

    # 3. Which token? Absent is not the same as bad: only a request without any may be anonymous.
    token, place = yield from find_token(house, app.holders, request)
    yield from check_names_in_body(house, request, way)
    if token is None:
        hashed = identify_by_hash(app, request, house.clock())
        way.token_sent = hashed is not None
        if hashed is not None:
            return hashed
        if app.anonymous or optional:
            return Identity(app.id, app)
        raise Refused(_MISSING_TOKEN)
    way.token_sent = True
    if isinstance(place, Cookie) and (way.reported is not None or (origin is None and request.unsafe)):
        # A cookie comes with requests that another site caused: without an Origin that is admitted nobody can tell.
        raise Refused(Refusal("origin_not_allowed", detail="A token in a cookie needs an Origin that this app admits."))

    # 4. to 8. Read it, choose the key, check the signature, the claims, and whether it is revoked.
    identity = yield from _verify_token(house, app, token, way, enforced=house.mode_of(app) is Mode.ENFORCE)
    check_agreement(app, request, identity, house.clock())
    return identity


def _check_origin(house: House, app: App, request: Request, way: Progress) -> str | None:
    """The request's origin. Raises `Refused` where the app does not admit it, unless that is only to be reported."""
    origin = request.single("origin")
    if not app.origin_policy.allows(origin) or (origin is None and app.require_origin):
        refusal = Refusal("origin_not_allowed")
        way.mode = house.mode or app.origin_mode or app.mode
        if way.mode is Mode.ENFORCE or house.mode_of(app) is Mode.LOG_ONLY:
            raise Refused(refusal)
        way.reported, way.mode = refusal, None  # only the origin is in log-only: the token is still decided about
    return origin


def _verify_token(
    house: House, app: App, text: str, way: Progress, *, enforced: bool = True
) -> Generator[Effect, None, VerifiedIdentity]:
    token = read_token(text, app.rules.max_token_bytes)
    first = way.patience if enforced else min(way.patience, house.limits.log_only_timeout)
    patience = Patience(first, min(first, house.limits.stale_timeout))

    def signed_by(keys: tuple[Key, ...]) -> bool:
        try:
            verify_signature(app, token, Choice(keys), house.memory)
        except Refused:
            return False
        return True

    choice = yield from choose_keys(house.key_sets, app, token.header, patience, signed_by)
    signed, key = verify_signature(app, token, choice, house.memory)
    return identify(app, token, signed, key, house.clock())


def _allow(house: House, request: Request, way: Progress, identity: Identity) -> Decision:
    # 9. Decide.
    enforced = house.mode_of(way.app) is Mode.ENFORCE and way.reported is None
    app = way.app if isinstance(way.app, App) else None
    claimed = None if identity.verified else claimed_by(app, request)
    return Decision(
        True, identity, way.reported, enforced, identity.app_id, claimed, way.token_sent, app, way.asked_for, house
    )


def _refuse(house: House, request: Request, way: Progress, refusal: Refusal) -> Decision:
    # 9. Decide. What an enforced refusal turns away, log-only lets pass as anonymous.
    holders = way.app.holders if isinstance(way.app, App) else house.holders
    way.token_sent = way.token_sent or token_was_sent(holders, request, refusal)
    if (way.mode or house.mode_of(way.app)) is Mode.ENFORCE:
        return _without_proof(house, way, refusal, enforced=True)
    claimed = claimed_by(way.app, request)
    return _without_proof(house, way, way.reported or refusal, enforced=False, claimed=claimed)


def _without_proof(
    house: House, way: Progress, refusal: Refusal, *, enforced: bool, claimed: str | None = None
) -> Decision:
    app = way.app
    app_id = app.id if app is not None else None
    held = app if isinstance(app, App) else None
    return Decision(
        allowed=not enforced,
        identity=Identity(app_id, held),
        refusal=refusal,
        enforced=enforced,
        app_id=app_id,
        claimed=claimed,
        token_sent=way.token_sent,
        app=held,
        asked_for=way.asked_for,
        house=house,
    )


def log_fault(what: str, error: BaseException) -> None:
    """Log where `error` came from. Its text is left out unless it is our own: it may quote a token, a key or a name."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    text = f" ({error})" if isinstance(error, WicketError) else ""
    _log.error("%s: %s%s\n%s", what, type(error).__name__, text, frames)
