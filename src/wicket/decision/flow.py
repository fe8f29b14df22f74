"""The decision flow: from one request to one Decision, top to bottom.

The flow does no I/O. It yields an `Effect` when it needs I/O, and a driver of `wicket.decision.io` performs the I/O and
resumes the flow. Every failure is a `Decision`, never an exception. The flow caches no decision.

Steps: 1. resolve the app; 2. check the origin; 3. extract the token; 4. parse it; 5. select the keys; 6. verify the
signature; 7. check the claims; 8. check revocation; 9. decide.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Final

from wicket.config.app import App, Mode
from wicket.config.locations import AppRef, Cookie
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import _MISSING_TOKEN, Decision
from wicket.decision.extract_token import claimed_user_id, credentials_sent, extract_token, token_from
from wicket.decision.identity import Identity, VerifiedIdentity, build_identity
from wicket.decision.identity_hash import check_hash_matches_token, identify_by_hash
from wicket.decision.io import Effect
from wicket.decision.key_selection import select_keys, select_local_keys
from wicket.decision.resolve_app import check_body_app_refs, find_app_refs, resolve_app, resolve_configured_app
from wicket.decision.signature import Verification, verify_signature
from wicket.decision.token_parser import malformed, parse_token, parse_token_or_raise
from wicket.errors import DETAIL, Refusal, Refused, invalid_request
from wicket.messages.request import MAX_HEADERS, Request
from wicket.runtime.logs import log_internal_error

_MAY_BE_IN_BODY: Final = frozenset({"unknown_app", "missing_token"})
"""Refusals of a missing value that may be in a body that was not read."""
_DETAIL_WITHOUT_BODY: Final = {
    DETAIL["missing_token"]: "This request requires a token, but it has none outside its body.",
    DETAIL["unknown_app"]: "This request names no configured app outside its body.",
}


Flow = Generator[Effect, None, Decision]


def decide(gate: GateContext, request: Request, *, optional: bool = False) -> Flow:
    """Decide one request, by the mode and the anonymity setting of its app.

    Args:
        gate: The gate.
        request: The request.
        optional: Whether anonymous users are allowed for every app.

    Returns:
        The decision.
    """
    ctx = RequestContext(gate, gate.load_timeout, app=gate.only_app)
    try:
        if request.flooded:
            raise _too_many_headers()

        # 1. Resolve the app. Read every location, so that a client cannot pick the laxer app by naming two.
        app = resolve_configured_app(gate, request, ctx)
        if app is None:
            yield from find_app_refs(gate, request, ctx)
            if optional and not ctx.refs and gate.only_app is None:
                token, _ = yield from extract_token(gate, gate.located_tokens, request)
                if token is None:
                    return _allow(request, ctx, Identity(None))
            app = yield from resolve_app(gate, ctx.refs, ctx)

        # 2. Check the origin before the token, so a blocked page learns nothing about the token.
        origin = ctx.origin = request.single_header("origin")
        if not app.allows_origin(origin):
            _handle_blocked_origin(app, ctx)

        # 3. Extract the token. A missing token differs from a bad one: only a request without a token may be anonymous.
        token, location = token_from(app.located_tokens.headers_and_query, request)
        if token is None:
            token, location = yield from extract_token(gate, app.located_tokens, request)
            yield from check_body_app_refs(gate, request, ctx)
        if token is None:
            hashed = identify_by_hash(app, request, gate.clock(), anonymous=app.allow_anonymous or optional)
            if hashed is not None:
                ctx.credentials_sent = True
                return _allow(request, ctx, hashed)
            if app.allow_anonymous or optional:
                return _allow(request, ctx, Identity(app.id, app))
            raise Refused(_MISSING_TOKEN)
        ctx.credentials_sent = True
        if request.document is not None and token_from(app.located_tokens.body, request)[0] not in (None, token):
            raise invalid_request("The request carries two different tokens.")
        if isinstance(location, Cookie) and (
            ctx.unenforced_refusal is not None or (origin is None and request.is_unsafe)
        ):
            # The browser adds cookies to requests that other sites cause. Only an allowed Origin rules that out.
            detail = "A token in a cookie requires an Origin that this app allows."
            raise Refused(Refusal("origin_not_allowed", detail=detail))

        # 4. to 8. Parse the token, select the keys, verify the signature, check the claims and revocation.
        enforced = gate.mode_of(app) is Mode.ENFORCE
        identity = yield from _verify_token(gate, app, token, ctx, enforced=enforced)
        if app.identity_hash is not None:
            check_hash_matches_token(app, request, identity, gate.clock())
    except Refused as refused:
        return _refuse(request, ctx, refused.refusal)
    except Exception as error:  # noqa: BLE001 - a bug in Wicket is not the user's fault: 503, or allowed in log-only
        log_internal_error("the decision about a request failed", error)
        return _refuse(request, ctx, Refusal("internal_error", retry_after=1))
    return _allow(request, ctx, identity)


def check_origin(gate: GateContext, request: Request) -> Flow:
    """Do only steps 1 and 2: resolve the app and check the origin. Preflights and origin checks have no token.

    Args:
        gate: The gate.
        request: The request.

    Returns:
        The decision, with an anonymous identity.
    """
    ctx = RequestContext(gate, gate.load_timeout, app=gate.only_app)
    try:
        if request.flooded:
            raise _too_many_headers()
        app = resolve_configured_app(gate, request, ctx)
        if app is None:
            yield from find_app_refs(gate, request, ctx)
            app = yield from resolve_app(gate, ctx.refs, ctx)
        origin = ctx.origin = request.single_header("origin")
        if not app.allows_origin(origin):
            _handle_blocked_origin(app, ctx)
    except Refused as refused:
        return _refuse(request, ctx, refused.refusal)
    except Exception as error:  # noqa: BLE001 - as in decide
        log_internal_error("the decision about an origin failed", error)
        return _refuse(request, ctx, Refusal("internal_error", retry_after=1))
    return _allow(request, ctx, Identity(app.id, app))


def anonymous(gate: GateContext, request: Request) -> Decision:
    """Allow a request as anonymous without a check, because the operator exempts it."""
    app = gate.only_app
    ctx = RequestContext(gate, gate.load_timeout, app=app)
    return _allow(request, ctx, Identity(app.id, app) if isinstance(app, App) else Identity(None))


def verify(gate: GateContext, token: str | None, ref: AppRef, origin: str | None) -> Flow:
    """Verify a token without a request, for sockets, jobs and other servers. No mode and no anonymity applies.

    Args:
        gate: The gate.
        token: The token.
        ref: The reference of the app.
        origin: The origin to check; None for no check.

    Returns:
        The decision. It is allowed only with a verified identity.
    """
    ctx = RequestContext(gate, gate.limits.load_timeout, (ref,), credentials_sent=bool(token))
    try:
        app = yield from resolve_app(gate, ctx.refs, ctx)
        raw = _checked_token(app, token, origin)
        identity = yield from _verify_token(gate, app, raw, ctx)
    except Exception as error:  # noqa: BLE001 - as in decide
        return _decision_for_error(ctx, error)
    return Decision(True, identity, None, True, app.id, None, ctx)


def verify_configured(gate: GateContext, token: str | None, ref: AppRef, origin: str | None) -> Decision | None:
    """Verify a token as `verify` does, without any I/O.

    Args:
        gate: The gate.
        token: The token.
        ref: The reference of the app.
        origin: The origin to check; None for no check.

    Returns:
        The decision; None if the app is not configured in code or has remote key sets.
    """
    try:
        ctx = gate.standalone_contexts.get(ref) or gate.standalone_context(ref)
    except TypeError:  # the reference is not hashable; it may be from a client's message
        return None
    if ctx is None:
        return None
    app = ctx.app
    try:
        raw = token if origin is None and isinstance(token, str) and token else _checked_token(app, token, origin)
        parsed = parse_token(raw, app.rules.max_token_bytes)
        if isinstance(parsed, Refusal):
            return Decision(False, Identity(app.id, app), parsed, True, app.id, None, ctx)
        signed, key = verify_signature(app, parsed, select_local_keys(app, parsed.header), gate.signature_cache)
        identity = build_identity(app, signed, key, gate.clock())
    except Exception as error:  # noqa: BLE001 - as in decide
        return _decision_for_error(ctx if token else RequestContext(gate, ctx.load_timeout, ctx.refs, app), error)
    return Decision(True, identity, None, True, app.id, None, ctx)


def _decision_for_error(ctx: RequestContext, error: Exception) -> Decision:
    if isinstance(error, Refused):
        return _refused_decision(ctx, error.refusal, enforced=True)
    log_internal_error("the verification of a token failed", error)
    return _refused_decision(ctx, Refusal("internal_error", retry_after=1), enforced=True)


def _checked_token(app: App, token: object, origin: str | None) -> str:
    """Check the arguments of `verify`.

    Returns:
        The token.

    Raises:
        Refused: The app does not allow the origin, or the token is missing or not a string.
    """
    if origin is not None and not (isinstance(origin, str) and app.allows_origin(origin)):
        raise Refused(Refusal("origin_not_allowed"))
    if token is None or token == "":
        raise Refused(_MISSING_TOKEN)
    if not isinstance(token, str):
        raise malformed("The token is not a string.")
    return token


def _too_many_headers() -> Refused:
    return invalid_request(f"The request may have at most {MAX_HEADERS} headers.")


def _handle_blocked_origin(app: App, ctx: RequestContext) -> None:
    """Refuse the origin, or record the refusal if only the origin check is in log-only mode.

    In that case the token is still checked.

    Raises:
        Refused: The origin check is enforced, or the whole app is in log-only mode.
    """
    refusal = Refusal("origin_not_allowed")
    gate = ctx.gate
    ctx.mode = gate.mode or app.origin_mode or app.mode
    if ctx.mode is Mode.ENFORCE or gate.mode_of(app) is Mode.LOG_ONLY:
        raise Refused(refusal)
    ctx.unenforced_refusal, ctx.mode = refusal, None


def _verify_token(
    gate: GateContext, app: App, raw: str, ctx: RequestContext, *, enforced: bool = True
) -> Generator[Effect, None, VerifiedIdentity]:
    """Do steps 4 to 8. `raw` is the token as it was sent."""
    token = ctx.token
    if token is None or token.text is not raw or len(raw) > app.rules.max_token_bytes:
        token = parse_token_or_raise(raw, app.rules.max_token_bytes)
    if not app.sources:  # the common case: the app has no remote key set
        signed, key = verify_signature(app, token, select_local_keys(app, token.header), gate.signature_cache)
    else:
        verification = Verification(app, token, gate.signature_cache, gate.clock())
        timeouts = gate.key_load_timeouts(ctx.load_timeout, enforced=enforced)
        selection = yield from select_keys(gate.key_sets, app, token.header, timeouts, verification)
        signed, key = verification.result(selection.unavailable)
    return build_identity(app, signed, key, gate.clock())


def _allow(request: Request, ctx: RequestContext, identity: Identity) -> Decision:
    # 9. Decide.
    if ctx.unenforced_refusal is not None:
        ctx.request = request
    ctx.body_unread = request.body_unread
    enforced = ctx.unenforced_refusal is None and ctx.gate.mode_of(ctx.app) is Mode.ENFORCE
    claimed = None if identity.verified else claimed_user_id(ctx.app, request)
    return Decision(True, identity, ctx.unenforced_refusal, enforced, identity.app_id, claimed, ctx)


def _refuse(request: Request, ctx: RequestContext, refusal: Refusal) -> Decision:
    # 9. Decide. Log-only mode allows the request as anonymous.
    ctx.request = request
    if request.body_unread is not None:
        ctx.body_unread = request.body_unread
        if refusal.code in _MAY_BE_IN_BODY or refusal.reason == "bad_identity_hash":
            detail = _DETAIL_WITHOUT_BODY.get(refusal.detail, refusal.detail)
            refusal = replace(refusal, detail=f"{detail} {request.body_unread}")
    locations = ctx.app.located_tokens if isinstance(ctx.app, App) else ctx.gate.located_tokens
    ctx.credentials_sent = ctx.credentials_sent or credentials_sent(locations, request, refusal)
    if (ctx.mode or ctx.gate.mode_of(ctx.app)) is Mode.ENFORCE:
        return _refused_decision(ctx, refusal, enforced=True)
    return _refused_decision(
        ctx, ctx.unenforced_refusal or refusal, enforced=False, claimed=claimed_user_id(ctx.app, request)
    )


def _refused_decision(ctx: RequestContext, refusal: Refusal, *, enforced: bool, claimed: str | None = None) -> Decision:
    app = ctx.app
    app_id = app.id if app is not None else None
    return Decision(
        not enforced, Identity(app_id, app if isinstance(app, App) else None), refusal, enforced, app_id, claimed, ctx
    )
