"""Fast path: decide a request without I/O.

It calls the same functions as `wicket.decision.flow`, without a generator. If an earlier request had the same app and
the same origin, `FastPathEntry` has the result of steps 1 and 2. If the token is in the signature cache, it is not
parsed. If the decision may need I/O, the fast path returns what it has read, and the flow continues from there. A
property test checks that both have the same result.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from wicket.config.app import App
from wicket.config.locations import AppRef
from wicket.decision.context import FastPathEntry, GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.extract_token import token_outside_body
from wicket.decision.identity_hash import check_hash_matches_token
from wicket.decision.key_selection import recall_signature, select_local_keys
from wicket.decision.outcome import (
    allow,
    check_request_origin,
    check_token_location,
    checked_token,
    decision_for_error,
    identify_without_token,
    refuse,
    refused_decision,
)
from wicket.decision.resolve_app import resolve_app_by_known_token, resolve_cached_app
from wicket.decision.signature import verify_signature
from wicket.decision.signature_cache import VerifiedPayload
from wicket.decision.token_parser import parse_token
from wicket.decision.verified import build_identity
from wicket.errors import Refusal, Refused
from wicket.keys.algorithms import Key
from wicket.messages.request import Request

Verified = tuple[VerifiedPayload, Key]
"""The payload of a token, and the key that signed it."""


def decide_fast(gate: GateContext, request: Request, *, optional: bool = False) -> Decision | RequestContext | None:
    """Decide a request like `flow.decide`, without I/O.

    Each location is read once, by this function or by the flow, unless the token in a header was verified before.

    Args:
        gate: The gate.
        request: The request.
        optional: Whether anonymous users are allowed for every app.

    Returns:
        The decision. If the flow must decide: the context with which it continues, or None if it must start from the
        first step.

    Raises:
        Exception: The flow must decide, as for None.
    """
    if request.flooded or request.document is not None or request.body_unread is not None:
        return None
    ctx: RequestContext | None = None
    try:
        names: dict[int, str | None] = {}
        entry = gate.fast_path.entries.get(gate.fast_path_key(request, names))
        if entry is not None and (entry.cache_entry is None or gate.is_current(entry)):
            decision = _decide_known(gate, request, entry)
            if decision is not None:
                return decision
            app, ctx = entry.app, entry.for_request()
        else:
            # 1. Resolve the app. 2. Check the origin.
            ctx = RequestContext(gate, gate.load_timeout, app=gate.only_app)
            found = resolve_cached_app(gate, request, ctx, names) or resolve_app_by_known_token(gate, request, ctx)
            if found is None:
                return ctx
            app = found
            check_request_origin(app, request, ctx)
            ctx.origin_checked = True

        # 3. Extract the token.
        token, location = ctx.app_token = token_outside_body(app.located_tokens, request, (app.publishable_key,))
        if token is None:
            if request.body is not None and app.located_tokens.body_types:
                return ctx
            identity = identify_without_token(app, request, ctx, gate.clock(), optional=optional)
            return allow(request, ctx, identity)
        ctx.credentials_sent = True
        check_token_location(app, request, ctx, token, location)

        # 4. to 8. Find the token in the signature cache, or verify it. Check the claims and revocation.
        verified = _verify_local(gate, app, token)
        if verified is None:
            return ctx
        if isinstance(verified, Refusal):
            return refuse(request, ctx, verified)
        now = gate.clock()
        user = build_identity(app, verified[0], verified[1], now)
        if app.identity_hash is not None:
            check_hash_matches_token(app, request, user, now)
        gate.remember(request, ctx, token)
    except Refused as refused:
        if ctx is None:
            ctx = RequestContext(gate, gate.load_timeout, app=gate.only_app)
        return refuse(request, ctx, refused.refusal)
    return allow(request, ctx, user)


def _decide_known(gate: GateContext, request: Request, entry: FastPathEntry) -> Decision | None:
    """Decide a request for a known app and origin whose token in a header was verified before.

    Args:
        gate: The gate.
        request: The request.
        entry: The result of steps 1 and 2.

    Returns:
        The decision; None if the token is not in the signature cache, or if another location has a token too.
    """
    # 3. Extract the token. 4. to 6. A token in the signature cache was parsed and verified before.
    value: Any = request.raw_headers.get(entry.token_header)
    if value is None or len(value) > entry.max_length or not value.startswith(entry.prefix):
        return None
    app = entry.app
    value = value[entry.prefix_length :]
    digest = sha256(value if value.__class__ is bytes else value.encode()).digest()
    verified = recall_signature(app, digest, gate.signature_cache, gate.key_sets)
    if verified is None:
        return None
    try:
        for other in entry.besides_main:
            if other.read(request) is not None:
                return None
    except Refused:
        return None  # the locations are read again in their order, because the first refusal counts
    try:
        # 7. Check the claims. 8. Check revocation.
        now = gate.clock()
        user = build_identity(app, verified[0], verified[1], now)
        if app.identity_hash is not None:
            check_hash_matches_token(app, request, user, now)
    except Refused as refused:
        ctx = entry.for_request()
        ctx.credentials_sent = True
        return refuse(request, ctx, refused.refusal)

    # 9. Decide.
    return Decision(True, user, None, entry.enforced, app.id, None, entry)


def _verify_local(gate: GateContext, app: App, token: str) -> Verified | Refusal | None:
    """Find a token in the signature cache, or verify it if all keys of its app are local (steps 4 to 6).

    Returns:
        The payload and the key that signed it; the refusal of a malformed token; None if the flow must look for the
        key.

    Raises:
        Refused: No key of the app signed the token.
    """
    digest: bytes | None = None
    if (
        gate.signature_cache.knows(app.id)
        and len(token) <= app.rules.max_token_bytes
        and token.isascii()
        and token.count(".") == 2
    ):
        digest = sha256(token.encode()).digest()
        recalled = recall_signature(app, digest, gate.signature_cache, gate.key_sets)
        if recalled is not None:
            return recalled
    if app.sources:
        return None
    parsed = parse_token(token, app.rules.max_token_bytes)
    if isinstance(parsed, Refusal):
        return parsed  # not raised, because any client can send a malformed token
    return verify_signature(app, parsed, select_local_keys(app, parsed.header), gate.signature_cache, digest)


def verify_fast(gate: GateContext, token: str | None, ref: AppRef, origin: str | None) -> Decision | None:
    """Verify a token as `flow.verify` does, without I/O.

    Args:
        gate: The gate.
        token: The token.
        ref: The reference of the app.
        origin: The origin to check; None for no check.

    Returns:
        The decision; None if the flow must decide.
    """
    try:
        ctx = gate.standalone_context(ref)
    except TypeError:  # the reference is not hashable; it may be from a client's message
        return None
    if ctx is None:
        return None
    app = ctx.app
    try:
        raw = token if origin is None and isinstance(token, str) and token else checked_token(app, token, origin)
        verified = _verify_local(gate, app, raw)
        if verified is None:
            return None
        if isinstance(verified, Refusal):
            return refused_decision(ctx, verified, enforced=True)
        identity = build_identity(app, verified[0], verified[1], gate.clock())
    except Exception as error:  # noqa: BLE001 - as in flow.verify
        return decision_for_error(ctx if token else RequestContext(gate, ctx.load_timeout, ctx.refs, app), error)
    return Decision(True, identity, None, True, app.id, None, ctx)
