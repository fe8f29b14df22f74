"""The outcome of a decision, and the steps that the flow and the fast path share."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from wicket.config.app import App, Mode
from wicket.config.locations import TokenLocation
from wicket.decision.context import RequestContext
from wicket.decision.decision import _MISSING_TOKEN, Decision
from wicket.decision.extract_token import claimed_user_id, credentials_sent, token_from
from wicket.decision.identity import Identity
from wicket.decision.identity_hash import identify_by_hash
from wicket.decision.resolve_app import NO_APP_NAMED
from wicket.decision.token_parser import malformed
from wicket.errors import DETAIL, Refusal, Refused, invalid_request
from wicket.messages.request import Request
from wicket.runtime.logs import log_internal_error

_MAY_BE_IN_BODY: Final = frozenset({"unknown_app", "missing_token"})
"""Refusals of a missing value that may be in a body that was not read."""
_DETAIL_WITHOUT_BODY: Final = {
    DETAIL["missing_token"]: "This request requires a token, but it has none outside its body.",
    NO_APP_NAMED: "This request names no app outside its body.",
}


def check_request_origin(app: App, request: Request, ctx: RequestContext) -> None:
    """Check the origin of a request (step 2). Sets `ctx.origin`.

    If only the origin check is in log-only mode, the refusal is recorded in `ctx.unenforced_refusal`, and the token is
    still checked.

    Raises:
        Refused: The app does not allow the origin, and the origin check is enforced or the whole app is in log-only
            mode. Or the header occurs twice.
    """
    origin = ctx.origin = request.single_header("origin")
    if app.allows_origin(origin):
        return
    refusal = Refusal("origin_not_allowed")
    gate = ctx.gate
    ctx.mode = gate.mode or app.origin_mode or app.mode
    if ctx.mode is Mode.ENFORCE or gate.mode_of(app) is Mode.LOG_ONLY:
        raise Refused(refusal)
    ctx.unenforced_refusal, ctx.mode = refusal, None


def identify_without_token(app: App, request: Request, ctx: RequestContext, now: float, *, optional: bool) -> Identity:
    """Identify the user of a request without a token: by an identity hash, or as anonymous.

    Sets `ctx.credentials_sent` if the request carries a valid hash.

    Args:
        app: The app of the request.
        request: The request.
        ctx: The context of the request.
        now: The current time in seconds since 1970.
        optional: Whether anonymous users are allowed for every app.

    Returns:
        The identity.

    Raises:
        Refused: `missing_token`, `config_missing`, or the hash is not valid.
    """
    anonymous = app.allow_anonymous or optional
    hashed = identify_by_hash(app, request, now, anonymous=anonymous)
    if hashed is not None:
        ctx.credentials_sent = True
        return hashed
    if anonymous:
        return Identity(app.id, app)
    raise _missing_token(app)


def _missing_token(app: App) -> Refused:
    """Return the refusal of a request without a token: `config_missing` if the app cannot verify any token yet."""
    configured = app.credentials or app.identity_hash is not None
    return Refused(_MISSING_TOKEN if configured else Refusal("config_missing"))


def check_token_location(
    app: App, request: Request, ctx: RequestContext, token: str, location: TokenLocation | None
) -> None:
    """Check that the request has no other token, and that no other site caused it if a cookie has the token.

    Args:
        app: The app of the request.
        request: The request.
        ctx: The context of the request.
        token: The token.
        location: The location of the token.

    Raises:
        Refused: `invalid_request` or `origin_not_allowed`.
    """
    if ctx.naming_token not in (None, token):
        raise invalid_request("The token that names the app is not the token of the user.")
    locations = app.located_tokens
    has_body = request.document is not None and not locations.takes_first
    if has_body and token_from(locations, locations.body, request, (app.publishable_key,))[0] not in (None, token):
        raise invalid_request("The request carries two different tokens.")
    if (location is not None and location.phase == "cookies") and (
        ctx.unenforced_refusal is not None or (ctx.origin is None and request.is_unsafe)
    ):
        # The browser adds cookies to requests that other sites cause. Only an allowed Origin rules that out.
        detail = "A token in a cookie requires an Origin that this app allows."
        raise Refused(Refusal("origin_not_allowed", detail=detail))


def allow(request: Request, ctx: RequestContext, identity: Identity) -> Decision:
    """Return the decision that allows a request (step 9)."""
    if ctx.unenforced_refusal is not None:
        ctx.request = request
    ctx.body_unread = request.body_unread
    enforced = ctx.unenforced_refusal is None and ctx.gate.mode_of(ctx.app) is Mode.ENFORCE
    claimed = None if identity.verified else claimed_user_id(ctx.app, request)
    return Decision(True, identity, ctx.unenforced_refusal, enforced, identity.app_id, claimed, ctx)


def refuse(request: Request, ctx: RequestContext, refusal: Refusal) -> Decision:
    """Return the decision that refuses a request (step 9). Log-only mode allows the request as anonymous."""
    ctx.request = request
    if request.body_unread is not None:
        ctx.body_unread = request.body_unread
        if refusal.code in _MAY_BE_IN_BODY or refusal.reason == "bad_identity_hash":
            detail = _DETAIL_WITHOUT_BODY.get(refusal.detail, refusal.detail)
            refusal = replace(refusal, detail=f"{detail} {request.body_unread}")
    locations = ctx.app.located_tokens if isinstance(ctx.app, App) else ctx.gate.located_tokens
    ctx.credentials_sent = ctx.credentials_sent or credentials_sent(locations, request, refusal)
    if (ctx.mode or ctx.gate.mode_of(ctx.app)) is Mode.ENFORCE:
        return refused_decision(ctx, refusal, enforced=True)
    return refused_decision(
        ctx, ctx.unenforced_refusal or refusal, enforced=False, claimed=claimed_user_id(ctx.app, request)
    )


def refused_decision(ctx: RequestContext, refusal: Refusal, *, enforced: bool, claimed: str | None = None) -> Decision:
    """Return a decision with a refusal.

    Args:
        ctx: The context of the request.
        refusal: The refusal.
        enforced: Whether the request is refused. If false, it is allowed as anonymous.
        claimed: The user ID that an anonymous client claims.
    """
    app = ctx.app
    app_id = app.id if app is not None else None
    return Decision(
        not enforced, Identity(app_id, app if isinstance(app, App) else None), refusal, enforced, app_id, claimed, ctx
    )


def decision_for_error(ctx: RequestContext, error: Exception) -> Decision:
    """Return the decision about a token without a request whose verification raised `error`."""
    if isinstance(error, Refused):
        return refused_decision(ctx, error.refusal, enforced=True)
    log_internal_error("the verification of a token failed", error)
    return refused_decision(ctx, Refusal("internal_error", retry_after=1), enforced=True)


def checked_token(app: App, token: object, origin: str | None) -> str:
    """Check the arguments of `verify`.

    Returns:
        The token.

    Raises:
        Refused: The app does not allow the origin, it has no credential, or the token is missing or not a string.
    """
    if origin is not None and not (isinstance(origin, str) and app.allows_origin(origin)):
        raise Refused(Refusal("origin_not_allowed"))
    if token is None or token == "":
        raise _missing_token(app)
    if not isinstance(token, str):
        raise malformed("The token is not a string.")
    return token
