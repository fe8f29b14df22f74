"""The decision flow: from one request to one Decision, top to bottom.

The flow does no I/O. It yields an `Effect` when it needs I/O, and a driver of `wicket.decision.io` performs the I/O and
resumes the flow. Every failure is a `Decision`, never an exception. The flow caches no decision. `fast_path` decides
most requests instead, with the same functions and without I/O.

Steps: 1. resolve the app; 2. check the origin; 3. extract the token; 4. parse it; 5. select the keys; 6. verify the
signature; 7. check the claims; 8. check revocation; 9. decide.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from wicket.config.app import App, Mode
from wicket.config.locations import AppRef
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.extract_token import extract_token
from wicket.decision.identity import Identity
from wicket.decision.identity_hash import check_hash_matches_token
from wicket.decision.io import Effect
from wicket.decision.key_selection import select_keys, select_local_keys
from wicket.decision.message_hash import identify_by_message
from wicket.decision.outcome import (
    allow,
    check_request_origin,
    check_token_location,
    checked_token,
    decision_for_error,
    identify_without_token,
    refuse,
)
from wicket.decision.resolve_app import check_body_app_refs, find_app_refs, resolve_app, resolve_cached_app
from wicket.decision.signature import Verification, verify_signature
from wicket.decision.token_parser import parse_token_or_raise
from wicket.decision.verified import VerifiedApp, VerifiedIdentity, build_identity
from wicket.errors import Refusal, Refused, invalid_request
from wicket.messages.request import MAX_HEADERS, Request
from wicket.runtime.logs import log_internal_error

Flow = Generator[Effect, None, Decision]


def decide(gate: GateContext, request: Request, *, optional: bool = False, begun: RequestContext | None = None) -> Flow:
    """Decide one request, by the mode and the anonymity setting of its app.

    Args:
        gate: The gate.
        request: The request.
        optional: Whether anonymous users are allowed for every app.
        begun: What the fast path has found out; None to begin with step 1.

    Returns:
        The decision.
    """
    ctx = RequestContext(gate, gate.load_timeout, app=gate.only_app) if begun is None else begun
    try:
        app = yield from _resolve_app_and_origin(gate, request, ctx, optional=optional)
        if app is None:
            ctx.origin = request.header("origin")
            return allow(request, ctx, Identity(None))

        # 3. Extract the token. A missing token differs from a bad one: only a request without a token may be anonymous.
        token, location = yield from extract_token(
            gate, app.located_tokens, request, ctx.app_token, (app.publishable_key,)
        )
        if request.document is not None:
            yield from check_body_app_refs(gate, request, ctx)
        if token is None:
            identity = identify_without_token(app, request, ctx, gate.clock(), optional=optional)
            return allow(request, ctx, identity)
        ctx.credentials_sent = True
        check_token_location(app, request, ctx, token, location)

        # 4. to 8. Parse the token, select the keys, verify the signature, check the claims and revocation.
        enforced = gate.mode_of(app) is Mode.ENFORCE
        verified = yield from _verify_token(gate, app, token, ctx, enforced=enforced)
        if app.identity_hash is not None:
            check_hash_matches_token(app, request, verified, gate.clock())
        gate.remember(request, ctx, token)
    except Refused as refused:
        return refuse(request, ctx, refused.refusal)
    except Exception as error:  # noqa: BLE001 - a bug in Wicket is not the user's fault: 503, or allowed in log-only
        log_internal_error("the decision about a request failed", error)
        return refuse(request, ctx, Refusal("internal_error", retry_after=1))
    return allow(request, ctx, verified)


def _resolve_app_and_origin(
    gate: GateContext, request: Request, ctx: RequestContext, *, optional: bool
) -> Generator[Effect, None, App | None]:
    """Do steps 1 and 2.

    Args:
        gate: The gate.
        request: The request.
        ctx: The context of the request.
        optional: Whether anonymous users are allowed for every app.

    Returns:
        The app; None if `optional` is set and the request has neither an app reference nor a token.

    Raises:
        Refused: No app is found, or the app does not allow the origin.
    """
    if ctx.origin_checked and isinstance(ctx.app, App):
        return ctx.app
    if request.flooded:
        raise invalid_request(f"The request may have at most {MAX_HEADERS} headers.")
    # 1. Resolve the app. Read every location, so that a client cannot pick the laxer app by naming two.
    app = None if ctx.names_read else resolve_cached_app(gate, request, ctx)
    if app is None:
        yield from find_app_refs(gate, request, ctx)
        if optional and not ctx.refs and gate.only_app is None:
            token, _ = yield from extract_token(
                gate, gate.located_tokens, request, ctx.gate_token, gate.publishable_keys
            )
            if token is None:
                return None
        app = yield from resolve_app(gate, ctx.refs, ctx)
    # 2. Check the origin before the token, so a blocked page learns nothing about the token.
    check_request_origin(app, request, ctx)
    return app


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
        app = yield from _resolve_app_and_origin(gate, request, ctx, optional=False)
    except Refused as refused:
        return refuse(request, ctx, refused.refusal)
    except Exception as error:  # noqa: BLE001 - as in decide
        log_internal_error("the decision about an origin failed", error)
        return refuse(request, ctx, Refusal("internal_error", retry_after=1))
    return allow(request, ctx, Identity(None) if app is None else Identity(app.id, app))


def anonymous(gate: GateContext, request: Request) -> Decision:
    """Allow a request as anonymous without a check, because the operator exempts it."""
    app = gate.only_app
    ctx = RequestContext(gate, gate.load_timeout, app=app)
    ctx.origin = request.header("origin")
    return allow(request, ctx, Identity(app.id, app) if isinstance(app, App) else Identity(None))


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
        raw = checked_token(app, token, origin)
        identity = yield from _verify_token(gate, app, raw, ctx)
    except Exception as error:  # noqa: BLE001 - as in decide
        return decision_for_error(ctx, error)
    return Decision(True, identity, None, True, app.id, None, ctx)


def verify_hash(gate: GateContext, proof: object, fields: Sequence[object], ref: AppRef) -> Flow:
    """Verify the hash of fields that did not come with a request. No mode and no anonymity applies.

    Args:
        gate: The gate.
        proof: The hash.
        fields: The hashed fields in their order.
        ref: The reference of the app.

    Returns:
        The decision. It is allowed only if the hash verifies. Its identity is the user, if the hash is that of a user
        ID; else it is anonymous.
    """
    ctx = RequestContext(gate, gate.limits.load_timeout, (ref,), credentials_sent=bool(proof))
    try:
        app = yield from resolve_app(gate, ctx.refs, ctx)
        identity = identify_by_message(app, proof, fields)
    except Exception as error:  # noqa: BLE001 - as in decide
        return decision_for_error(ctx, error)
    return Decision(True, identity, None, True, app.id, None, ctx)


def _verify_token(
    gate: GateContext, app: App, raw: str, ctx: RequestContext, *, enforced: bool = True
) -> Generator[Effect, None, VerifiedIdentity | VerifiedApp]:
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
