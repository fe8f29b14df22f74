"""Find the app that a request names, and load it from the registry if necessary. The name is unverified.

All configured locations are read. Contradictions are refused before a lookup. The body is read last, and only if no
other location names the app.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from wicket.config.app import App, BrokenApp
from wicket.config.app_index import SHARED_ISSUER
from wicket.config.locations import AppLocation, AppRef, fast_app_ref, is_valid_name
from wicket.config.rules import MAX_TOKEN_BYTES
from wicket.decision.body import read_body
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.extract_token import extract_token, token_outside_body
from wicket.decision.io import Effect, LoadEntry
from wicket.decision.token_parser import parse_token_or_raise, unproven_claims
from wicket.errors import Refusal, Refused, invalid_request
from wicket.messages.request import Request
from wicket.runtime.base64url import decode_canonical

NO_APP_NAMED: Final = "This request names no app."
_ISSUER_IS_SHARED: Final = (
    "This request names its app only by the token's issuer, and several apps have this issuer. It must name the app."
)


def resolve_cached_app(
    gate: GateContext, request: Request, ctx: RequestContext, known: Mapping[int, str | None] = MappingProxyType({})
) -> App | None:
    """Resolve the app of a request that names one app, if that app is configured in code or fresh in the cache.

    Args:
        gate: The gate.
        request: The request.
        ctx: The context of the request.
        known: The values of app locations that were read before, by the index of the location.

    Sets `ctx.names` and `ctx.refs`, and `ctx.app` if the app is found.

    Returns:
        The app; None if `find_app_refs` and `resolve_app` must run.

    Raises:
        Refused: `invalid_request` if a location is repeated.
    """
    names = gate.read_names(request, known)
    ctx.names, ctx.names_read = names, True
    refs = ctx.refs = _refs(gate.app_locations, names)
    if len(refs) == 1:
        app = _cached_app(gate, refs[0])
    else:
        app = gate.only_app if not refs and isinstance(gate.only_app, App) else None
    if app is not None:
        ctx.app = app
    return app


def _cached_app(gate: GateContext, ref: AppRef) -> App | None:
    """Return the app with this reference if it is configured in code, or fresh in the cache of the registry."""
    app = gate.apps.get(ref)
    if app is None and gate.registry is not None:
        entry = gate.registry.fresh_entry(ref)
        app = entry.value if entry is not None else None
    return app if isinstance(app, App) else None


def resolve_app_by_known_token(gate: GateContext, request: Request, ctx: RequestContext) -> App | None:
    """Resolve the app of a request that only its token names, if this token named an app and was verified before.

    The references in known bytes are known, so the token is not parsed. Sets `ctx.refs`, `ctx.names` and `ctx.app` as
    `find_app_refs` and `resolve_app` do.

    Args:
        gate: The gate.
        request: The request.
        ctx: The context of the request, after `resolve_cached_app`.

    Returns:
        The app; None if `find_app_refs` and `resolve_app` must run.

    Raises:
        Refused: The request carries two different tokens.
    """
    if ctx.refs or gate.only_app is not None or not gate.token_app_locations:
        return None
    if request.body is not None and gate.app_body_types:
        return None
    ctx.gate_token = token_outside_body(gate.located_tokens, request, gate.publishable_keys)
    raw, _ = ctx.gate_token
    if raw is None or len(raw) > MAX_TOKEN_BYTES or not raw.isascii():
        return None
    refs = gate.token_refs.entries.get(sha256(raw.encode()).digest())
    if refs is None:
        return None
    app = _cached_app(gate, refs[0])
    if app is None or (len(refs) > 1 and not set(refs) <= set(app.refs())):
        return None
    ctx.names, ctx.refs, ctx.app, ctx.credentials_sent = None, refs, app, True
    ctx.naming_token = raw
    return app


def find_app_refs(gate: GateContext, request: Request, ctx: RequestContext) -> Generator[Effect, None, None]:
    """Look for the app in the body and in the token, if no header and no part of the URL names it.

    Sets `ctx.refs`, and `ctx.token` if the token was parsed. Sets `ctx.names` to None, because other values name the
    app.

    Raises:
        Refused: The token is malformed, or the request carries two different tokens.
    """
    if ctx.refs or gate.only_app is not None:
        return
    ctx.names = None
    if gate.app_body_types:
        yield from read_body(gate, request, gate.app_body_types)
        ctx.refs = _read_app_refs(gate.body_app_locations, request)
    if not ctx.refs and gate.token_app_locations:
        raw, _ = yield from extract_token(gate, gate.located_tokens, request, ctx.gate_token, gate.publishable_keys)
        if raw is not None:
            ctx.credentials_sent = True
            token = ctx.token = parse_token_or_raise(raw, MAX_TOKEN_BYTES)
            claim = unproven_claims(decode_canonical(token.payload))  # unverified: only the key of a lookup
            for locations in gate.token_app_locations:
                names = [location.read_token(token.header.kid, claim) for location in locations]
                ctx.refs = ctx.refs or _refs(
                    locations, [name if isinstance(name, str) and name else None for name in names]
                )
            ctx.naming_token = raw


def check_body_app_refs(gate: GateContext, request: Request, ctx: RequestContext) -> Generator[Effect, None, None]:
    """Check that a body that was read for its token names no other app.

    Raises:
        Refused: `invalid_request` if it names another app.
    """
    if request.document is not None and gate.body_app_locations:
        body_refs = [ref for ref in _read_app_refs(gate.body_app_locations, request) if ref not in ctx.refs]
        if body_refs:
            ctx.refs = [*ctx.refs, *body_refs]
            yield from resolve_app(gate, ctx.refs, ctx)


def _read_app_refs(locations: Iterable[AppLocation], request: Request) -> list[AppRef]:
    return _refs(locations, [location.read(request) for location in locations])


def _refs(locations: Iterable[AppLocation], names: Iterable[str | None]) -> list[AppRef]:
    """Return the different references to which the names in these locations belong."""
    refs: list[AppRef] = []
    for location, value in zip(locations, names, strict=False):  # of equal length
        if value is not None:
            ref = fast_app_ref(AppRef, (location.kind, value))
            if not refs or ref not in refs:
                refs.append(ref)
    return refs


def resolve_app(gate: GateContext, refs: Sequence[AppRef], ctx: RequestContext) -> Generator[Effect, None, App]:
    """Resolve the one app that all `refs` name. Sets `ctx.app`.

    Returns:
        The app; the gate's only app if `refs` is empty.

    Raises:
        Refused: `unknown_app` if no app is found, `config_invalid` if its configuration is invalid, `apps_unavailable`
            if it cannot be loaded, `invalid_request` if `refs` name two apps.
    """
    app = gate.only_app
    ctx.app = None
    for index, ref in enumerate(refs):
        if index == 0:
            app = yield from lookup_app(gate, ref, ctx)
        elif app is not None and ref not in app.refs():
            other = yield from lookup_app(gate, ref, ctx)
            # `ctx.app` is None here, so these refusals are enforced: a log-only app must not give access to another.
            broken = isinstance(app, BrokenApp) or isinstance(other, BrokenApp)
            if other is not None and other.id != app.id and broken and gate.registry is not None:
                raise Refused(Refusal("config_invalid"))  # the other ID may be an alias
            if other is None or other.id != app.id:
                raise invalid_request("The request names two different apps.")
            app = other if isinstance(other, BrokenApp) else app
    ctx.app = app
    if app is None:
        raise Refused(Refusal("unknown_app", detail="" if refs else NO_APP_NAMED))
    if isinstance(app, BrokenApp):
        raise Refused(Refusal("config_invalid"))
    return app


def lookup_app(gate: GateContext, ref: AppRef, ctx: RequestContext) -> Generator[Effect, None, App | BrokenApp | None]:
    """Return the app with this reference, from the apps in code or else from the registry's cache.

    Args:
        gate: The gate.
        ref: The reference.
        ctx: The context of the request. A load takes at most `ctx.load_timeout` seconds.

    Returns:
        The app; None if there is no such app; a `BrokenApp` if the registry reports an invalid configuration and the
        cache has no usable version of the app.

    Raises:
        Refused: `apps_unavailable` if the cache knows nothing about the reference, `unknown_app` if it is the issuer of
            several configured apps.
    """
    cache = gate.registry
    configured = gate.apps.get(ref) if isinstance(ref.value, str) else None
    if configured is SHARED_ISSUER:
        raise Refused(Refusal("unknown_app", detail=_ISSUER_IS_SHARED))
    if configured is not None or cache is None or not is_valid_name(ref.value):
        return configured
    entry = cache.read(ref)
    timeout = cache.wait_time(entry, ctx.load_timeout, min(ctx.load_timeout, gate.limits.stale_timeout))
    limited = False
    if timeout is not None:
        load = LoadEntry(cache, ref, entry, timeout)
        entry = yield from load
        limited = load.limited
    app = cache.usable(entry)
    if app is not None or cache.is_absent(entry):
        return app
    if entry is not None and entry.permanent:
        if entry.value is not None:
            return BrokenApp(entry.value.id)
        return BrokenApp(ref.value if ref.kind == "id" else None, confirmed=False)  # the value may be an alias
    retry_after = 1 if limited else cache.retry_after(entry)
    impatient = ctx.load_timeout < gate.limits.load_timeout and cache.loading(ref)
    raise Refused(Refusal("apps_unavailable", retry_after=retry_after, limited=limited, impatient=impatient))
