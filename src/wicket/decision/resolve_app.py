"""What a request names and carries: its app, and its token or hash. What is found here is unverified.

Every configured place is read; contradictions are refused before anything is looked up. The body comes last, and is
read only where nothing else names the app or carries the token.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppLocation, AppRef, TokenLocation, TokenLocations, _fast_app_ref, is_valid_name
from wicket.config.rules import MAX_TOKEN_BYTES
from wicket.decision.claims import bad_user_id
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.io import Effect, LoadEntry, ReadBody
from wicket.decision.token_parser import decode, parse_token_or_raise, unproven_issuer
from wicket.errors import Refusal, Refused, invalid_request
from wicket.messages.json_body import parse_body
from wicket.messages.request import Body, Request

_MAX_SHOWN: Final = 256

# --- the app


def resolve_configured_app(house: GateContext, request: Request, way: RequestContext) -> App | None:
    """The app of a request that calls it by one name, if it is in code; None where `resolve_app` has to tell.

    Notes in `way.refs` by which names the request calls its app. Raises `Refused` where one place is repeated.
    """
    refs = way.refs = _read_app_refs(house.app_locations, request)
    found = house.apps.get(refs[0]) if len(refs) == 1 else None if refs else house.only_app
    if not isinstance(found, App):
        return None
    way.app = found
    return found


def find_app_refs(house: GateContext, request: Request, way: RequestContext) -> Generator[Effect, None, None]:
    """Look further for a request that no header and no part of its URL gave a name: in its body, in its token."""
    if way.refs or house.only_app is not None:
        return
    if house.app_body_types:
        yield from _read_body(house, request, house.app_body_types)
        way.refs = _read_app_refs(house.body_app_locations, request)
    if not way.refs and house.by_issuer:
        text, _ = yield from extract_token(house, house.located_tokens, request)
        if text is not None:
            way.credentials_sent = True
            token = way.token = parse_token_or_raise(text, MAX_TOKEN_BYTES)
            issuer = unproven_issuer(decode(token.payload))  # a key for looking up
            way.refs = [AppRef("issuer", issuer)] if isinstance(issuer, str) else []


def check_body_app_refs(house: GateContext, request: Request, way: RequestContext) -> Generator[Effect, None, None]:
    """A body that was read for its token must not name another app. Raises `Refused`."""
    if request.document is not None and house.body_app_locations:
        more = [ref for ref in _read_app_refs(house.body_app_locations, request) if ref not in way.refs]
        if more:
            way.refs = [*way.refs, *more]
            yield from resolve_app(house, way.refs, way)


def _read_app_refs(naming: Iterable[AppLocation], request: Request) -> list[AppRef]:
    refs: list[AppRef] = []
    for place in naming:
        value = place.read(request)
        if value is not None:
            ref = _fast_app_ref(AppRef, (place.kind, value))
            if not refs or ref not in refs:
                refs.append(ref)
    return refs


def resolve_app(house: GateContext, refs: Iterable[AppRef], way: RequestContext) -> Generator[Effect, None, App]:
    """The one app that all `refs` name. Raises `Refused` where it is unknown, broken, out of reach, or not one."""
    found = house.only_app
    way.app = None
    for index, ref in enumerate(refs):
        if index == 0:
            found = yield from lookup_app(house, ref, way)
        elif found is not None and ref not in found.refs():
            other = yield from lookup_app(house, ref, way)
            # No app's mode applies to what is refused here: a log-only app must not open the door to another.
            broken = isinstance(found, BrokenApp) or isinstance(other, BrokenApp)
            if other is not None and other.id != found.id and broken and house.registry is not None:
                raise Refused(Refusal("config_invalid"))  # a registry may have been asked by an alias
            if other is None or other.id != found.id:
                raise invalid_request("The request names two different apps.")
            found = other if isinstance(other, BrokenApp) else found
    way.app = found
    if found is None:
        raise Refused(Refusal("unknown_app"))
    if isinstance(found, BrokenApp):
        raise Refused(Refusal("config_invalid"))
    return found


def lookup_app(house: GateContext, ref: AppRef, way: RequestContext) -> Generator[Effect, None, App | BrokenApp | None]:
    """The app of that name: configured in code, or loaded from the registry by way of the cache.

    A `BrokenApp` if the registry said that the app is not valid and no app is held that can serve. Raises `Refused` if
    nothing is known of the name.
    """
    cache = house.registry
    held = house.apps.get(ref) if isinstance(ref.value, str) else None
    if held is not None or cache is None or not is_valid_name(ref.value):
        return held
    slot = cache.read(ref)
    patience = cache.wait_time(slot, way.load_timeout, min(way.load_timeout, house.limits.stale_timeout))
    limited = False
    if patience is not None:
        fetch = LoadEntry(cache, ref, slot, patience)
        slot = yield from fetch
        limited = fetch.limited
    app = cache.usable(slot)
    if app is not None or cache.is_absent(slot):
        return app
    if slot is not None and slot.permanent:
        if slot.value is not None:
            return BrokenApp(slot.value.id)
        return BrokenApp(ref.value if ref.kind == "id" else None, confirmed=False)  # it may be an alias
    retry_after = 1 if limited else cache.retry_after(slot)
    impatient = way.load_timeout < house.limits.load_timeout and cache.loading(ref)
    raise Refused(Refusal("apps_unavailable", retry_after=retry_after, limited=limited, impatient=impatient))


# --- the token


def extract_token(
    house: GateContext, holders: TokenLocations, request: Request
) -> Generator[Effect, None, tuple[str | None, TokenLocation | None]]:
    """The request's token and where it rides: headers and the query, then cookies, then the body."""
    found = token_from(holders.headers_and_query, request)
    if found[0] is None and holders.cookies:
        found = token_from(holders.cookies, request)
    if found[0] is None and holders.body_types:
        yield from _read_body(house, request, holders.body_types)
        found = token_from(holders.body, request)
    return found


def token_from(places: Iterable[TokenLocation], request: Request) -> tuple[str | None, TokenLocation | None]:
    """The one token that stands in these places. Raises `Refused` where two differ."""
    found: str | None = None
    where: TokenLocation | None = None
    for place in places:
        text = place.read(request)
        if text is not None:
            if found is not None and text != found:
                raise invalid_request("The request carries two different tokens.")
            found, where = text, place
    return found, where


def credentials_sent(holders: TokenLocations, request: Request, refusal: Refusal) -> bool:
    """Whether a refused request tried to prove itself: only then may its answer say what was wrong (RFC 6750 3.1)."""
    if refusal.reason is not None:
        return True
    if refusal.code == "missing_token":
        return False  # every place was read, and none held a token
    if refusal.code == "invalid_request" and request.header("authorization") is not None:
        return True
    try:
        return any(
            token_from(places, request)[0] is not None
            for places in (holders.headers_and_query, holders.cookies, holders.body)
        )
    except Refused:
        return True
    except Exception:  # noqa: BLE001 - a place of the user's that fails is told where the token is read
        return False


def claimed_user_id(app: App | BrokenApp | None, request: Request) -> str | None:
    """Whom an anonymous request says it is from, if it says so in the form of a user's id. Never raises."""
    for place in app.claimed_user_locations if isinstance(app, App) else ():
        try:
            text = place.read(request)
        except Exception:  # noqa: BLE001 - what is only claimed must not decide about a request
            return None
        if text is not None:
            return text if bad_user_id(text) is None else None
    return None


def _read_body(house: GateContext, request: Request, types: frozenset[str]) -> Generator[Effect, None, None]:
    """Look into the body, once, if it is of a type in which something may lie."""
    body = request.body
    if body is None:
        return
    media_type = request.media_type
    if media_type not in types:
        if _has_content(request, body):
            listed = ", ".join(sorted(types))
            said = f"its media type is {_shown(media_type)}" if media_type else "it has no media type"
            request.body_unread = f"The body was not read: {said}; the configured locations are in {listed}."
        return
    request.body, request.body_unread = None, None
    raw = yield from ReadBody(body, house.limits.max_body_bytes, house.limits.body_timeout)
    request.document = parse_body(raw)
    if raw is None and (not body.unframed or request.header("transfer-encoding") is not None):
        request.body_unread = f"The body was not read: {body.unread}."
    elif raw and request.document is None:
        request.body_unread = "The body was not read: it is not a JSON object in UTF-8."


def _has_content(request: Request, body: Body) -> bool:
    """Whether a body comes with the request, as far as its headers say so (RFC 9112 section 6.3)."""
    if body.length is not None:
        return body.length > 0
    return bool(request.media_type) or request.header("transfer-encoding") is not None


def _shown(text: str) -> str:
    """What a client sent, as one short piece of printable ASCII."""
    return text[:_MAX_SHOWN].encode("unicode_escape").decode("ascii")[:_MAX_SHOWN]
