"""The request's way, top to bottom: from one request to one Decision.

The flow does no I/O. Where it lacks something it yields an `Effect`; a driver (sync or async, in `wicket.drivers`) gets
it and lets the flow go on. Failures come back as values. Nothing here remembers a decision.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import replace
from typing import Final

from wicket.config.app import App, Mode
from wicket.config.locations import AppRef, Cookie
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import _MISSING_TOKEN, Decision
from wicket.decision.identity import Identity, VerifiedIdentity
from wicket.decision.identity_hash import check_hash_matches_token, identify_by_hash
from wicket.decision.io import Effect
from wicket.decision.key_selection import select_keys, select_local_keys
from wicket.decision.resolve_app import (
    check_body_app_refs,
    claimed_user_id,
    credentials_sent,
    extract_token,
    find_app_refs,
    resolve_app,
    resolve_configured_app,
    token_from,
)
from wicket.decision.signature import build_identity, verify_signature
from wicket.decision.token_parser import malformed, parse_token, parse_token_or_raise
from wicket.decision.token_verification import Verification
from wicket.errors import DETAIL, Refusal, Refused, invalid_request
from wicket.messages.request import MAX_HEADERS, Request
from wicket.runtime.logs import log_internal_error

_log: Final = logging.getLogger("wicket")

_MAY_BE_IN_BODY: Final = frozenset({"unknown_app", "missing_token"})
"""Refusals of what was not found: a body that was not read may have held it."""
_OUTSIDE: Final = {
    DETAIL["missing_token"]: "This request needs a token, and none was found outside its body.",
    DETAIL["unknown_app"]: "Outside its body, this request names no app that is known here.",
}


Flow = Generator[Effect, None, Decision]


def decide(house: GateContext, request: Request, *, optional: bool = False) -> Flow:
    """Decide about one request, by its app's mode and anonymity. `optional` admits anonymous users of every app."""
    way = RequestContext(house, house.load_timeout, app=house.only_app)
    try:
        if request.flooded:
            raise _flooded()

        # 1. Which app? Every place is read, so that nobody picks the laxer app by naming two.
        app = resolve_configured_app(house, request, way)
        if app is None:
            yield from find_app_refs(house, request, way)
            if optional and not way.refs and house.only_app is None:
                token, _ = yield from extract_token(house, house.located_tokens, request)
                if token is None:
                    return _allow(request, way, Identity(None))
            app = yield from resolve_app(house, way.refs, way)

        # 2. From where? Before the token, so that a page that may not ask learns nothing about one.
        origin = way.origin = request.single_header("origin")
        if not app.allows_origin(origin):
            _handle_blocked_origin(app, way)

        # 3. Which token? Absent is not the same as bad: only a request without any may be anonymous.
        token, place = token_from(app.located_tokens.headers_and_query, request)
        if token is None:
            token, place = yield from extract_token(house, app.located_tokens, request)
            yield from check_body_app_refs(house, request, way)
        if token is None:
            hashed = identify_by_hash(app, request, house.clock(), anonymous=app.allow_anonymous or optional)
            if hashed is not None:
                way.credentials_sent = True
                return _allow(request, way, hashed)
            if app.allow_anonymous or optional:
                return _allow(request, way, Identity(app.id, app))
            raise Refused(_MISSING_TOKEN)
        way.credentials_sent = True
        if request.document is not None and token_from(app.located_tokens.body, request)[0] not in (None, token):
            raise invalid_request("The request carries two different tokens.")
        if isinstance(place, Cookie) and (way.unenforced_refusal is not None or (origin is None and request.is_unsafe)):
            # A cookie comes with requests that another site caused: without an Origin that is admitted nobody can tell.
            detail = "A token in a cookie needs an Origin that this app admits."
            raise Refused(Refusal("origin_not_allowed", detail=detail))

        # 4. to 8. Read it, choose the key, check the signature, the claims, and whether it is revoked.
        enforced = house.mode_of(app) is Mode.ENFORCE
        identity = yield from _verify_token(house, app, token, way, enforced=enforced)
        if app.identity_hash is not None:
            check_hash_matches_token(app, request, identity, house.clock())
    except Refused as refused:
        return _refuse(request, way, refused.refusal)
    except Exception as error:  # noqa: BLE001 - a bug of ours is not the user's fault: 503, or let pass in log-only
        log_internal_error("the decision about a request failed", error)
        return _refuse(request, way, Refusal("internal_error", retry_after=1))
    return _allow(request, way, identity)


def check_origin(house: GateContext, request: Request) -> Flow:
    """Decide only which app is asked and from where (steps 1 and 2), for what asks before there is a token."""
    way = RequestContext(house, house.load_timeout, app=house.only_app)
    try:
        if request.flooded:
            raise _flooded()
        app = resolve_configured_app(house, request, way)
        if app is None:
            yield from find_app_refs(house, request, way)
            app = yield from resolve_app(house, way.refs, way)
        origin = way.origin = request.single_header("origin")
        if not app.allows_origin(origin):
            _handle_blocked_origin(app, way)
    except Refused as refused:
        return _refuse(request, way, refused.refusal)
    except Exception as error:  # noqa: BLE001 - as in decide
        log_internal_error("the decision about an origin failed", error)
        return _refuse(request, way, Refusal("internal_error", retry_after=1))
    return _allow(request, way, Identity(app.id, app))


def anonymous(house: GateContext, request: Request) -> Decision:
    """Allow a request as anonymous without looking at what it carries, where the operator wants it passed on."""
    app = house.only_app
    way = RequestContext(house, house.load_timeout, app=app)
    return _allow(request, way, Identity(app.id, app) if isinstance(app, App) else Identity(None))


def verify(house: GateContext, token: str | None, ref: AppRef, origin: str | None) -> Flow:
    """Decide about a token alone, for sockets, jobs and other servers: it is verified, or it is refused."""
    way = RequestContext(house, house.limits.load_timeout, (ref,), credentials_sent=bool(token))
    try:
        app = yield from resolve_app(house, way.refs, way)
        text = _checked_token(app, token, origin)
        identity = yield from _verify_token(house, app, text, way)
    except Exception as error:  # noqa: BLE001 - as in decide
        return _decision_for_error(way, error)
    return Decision(True, identity, None, True, app.id, None, way)


def verify_configured(house: GateContext, token: str | None, ref: AppRef, origin: str | None) -> Decision | None:
    """As `verify`, for an app in code whose keys are all at hand: nothing can be lacking. None for any other app."""
    try:
        way = house.standalone_contexts.get(ref) or house.standalone_context(ref)
    except TypeError:  # a name that is none, out of somebody's message, perhaps
        return None
    if way is None:
        return None
    app = way.app
    try:
        text = token if origin is None and isinstance(token, str) and token else _checked_token(app, token, origin)
        read = parse_token(text, app.rules.max_token_bytes)
        if isinstance(read, Refusal):
            return Decision(False, Identity(app.id, app), read, True, app.id, None, way)
        signed, key = verify_signature(app, read, select_local_keys(app, read.header), house.signature_cache)
        identity = build_identity(app, signed, key, house.clock())
    except Exception as error:  # noqa: BLE001 - as in decide
        return _decision_for_error(way if token else RequestContext(house, way.load_timeout, way.refs, app), error)
    return Decision(True, identity, None, True, app.id, None, way)


def _decision_for_error(way: RequestContext, error: Exception) -> Decision:
    if isinstance(error, Refused):
        return _refused_decision(way, error.refusal, enforced=True)
    log_internal_error("the verification of a token failed", error)
    return _refused_decision(way, Refusal("internal_error", retry_after=1), enforced=True)


def _checked_token(app: App, token: object, origin: str | None) -> str:
    """The token that was handed over, from an origin that the app admits. Raises `Refused`."""
    if origin is not None and not (isinstance(origin, str) and app.allows_origin(origin)):
        raise Refused(Refusal("origin_not_allowed"))
    if token is None or token == "":
        raise Refused(_MISSING_TOKEN)
    if not isinstance(token, str):
        raise malformed("The token is not a string.")
    return token


def _flooded() -> Refused:
    return invalid_request(f"The request may have at most {MAX_HEADERS} headers.")


def _handle_blocked_origin(app: App, way: RequestContext) -> None:
    """Raise `Refused`, unless the origin alone is in log-only: then the token is still decided about."""
    refusal = Refusal("origin_not_allowed")
    house = way.gate
    way.mode = house.mode or app.origin_mode or app.mode
    if way.mode is Mode.ENFORCE or house.mode_of(app) is Mode.LOG_ONLY:
        raise Refused(refusal)
    way.unenforced_refusal, way.mode = refusal, None


def _verify_token(
    house: GateContext, app: App, text: str, way: RequestContext, *, enforced: bool = True
) -> Generator[Effect, None, VerifiedIdentity]:
    token = way.token
    if token is None or token.text is not text or len(text) > app.rules.max_token_bytes:
        token = parse_token_or_raise(text, app.rules.max_token_bytes)
    if not app.sources:  # as mostly: all keys are at hand
        signed, key = verify_signature(app, token, select_local_keys(app, token.header), house.signature_cache)
    else:
        verification = Verification(app, token, house.signature_cache, house.clock())
        patience = house.patience_for_keys(way.load_timeout, enforced=enforced)
        choice = yield from select_keys(house.key_sets, app, token.header, patience, verification)
        signed, key = verification.result(choice.unavailable)
    return build_identity(app, signed, key, house.clock())


def _allow(request: Request, way: RequestContext, identity: Identity) -> Decision:
    # 9. Decide.
    if way.unenforced_refusal is not None:
        way.request = request
    way.body_unread = request.body_unread
    enforced = way.unenforced_refusal is None and way.gate.mode_of(way.app) is Mode.ENFORCE
    claimed = None if identity.verified else claimed_user_id(way.app, request)
    return Decision(True, identity, way.unenforced_refusal, enforced, identity.app_id, claimed, way)


def _refuse(request: Request, way: RequestContext, refusal: Refusal) -> Decision:
    # 9. Decide. What an enforced refusal turns away, log-only lets pass as anonymous.
    way.request = request
    if request.body_unread is not None:
        way.body_unread = request.body_unread
        if refusal.code in _MAY_BE_IN_BODY or refusal.reason == "bad_identity_hash":
            detail = _OUTSIDE.get(refusal.detail, refusal.detail)
            refusal = replace(refusal, detail=f"{detail} {request.body_unread}")
    holders = way.app.located_tokens if isinstance(way.app, App) else way.gate.located_tokens
    way.credentials_sent = way.credentials_sent or credentials_sent(holders, request, refusal)
    if (way.mode or way.gate.mode_of(way.app)) is Mode.ENFORCE:
        return _refused_decision(way, refusal, enforced=True)
    return _refused_decision(
        way, way.unenforced_refusal or refusal, enforced=False, claimed=claimed_user_id(way.app, request)
    )


def _refused_decision(way: RequestContext, refusal: Refusal, *, enforced: bool, claimed: str | None = None) -> Decision:
    app = way.app
    app_id = app.id if app is not None else None
    return Decision(
        not enforced, Identity(app_id, app if isinstance(app, App) else None), refusal, enforced, app_id, claimed, way
    )
