"""The request's way, top to bottom: from one request to one Decision.

The flow does no I/O. Where it lacks something it yields an `Effect`; a driver (sync or async, in `wicket.gate`) gets
it and lets the flow go on. Failures come back as values. Nothing here remembers a decision.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from wicket.app import MAX_TOKEN_BYTES, App, BrokenApp, Mode
from wicket.cache import Cache
from wicket.decision.choice import Choice, KeySets, Patience, choose_keys
from wicket.decision.effects import Effect, Fetch
from wicket.decision.identity import Identity, VerifiedIdentity
from wicket.decision.memory import SignatureMemory
from wicket.decision.tokens import decode, malformed, read_object, read_token
from wicket.decision.verifier import identify, verify_signature
from wicket.errors import Refusal, Refused, WicketError, invalid_request
from wicket.keys.algorithms import Key
from wicket.limits import Limits
from wicket.request import Request
from wicket.sources import AppRef, Cookie, NamingPlace, TokenIssuer, TokenPlace, shaped

_log: Final = logging.getLogger("wicket")

_UNKNOWN_APP: Final = Refusal("unknown_app")
_MISSING_TOKEN: Final = Refusal("missing_token")


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one request.

    `allowed`: it may pass. `identity`: who it is from, never unverified. `refusal`: why it is turned away or, where
    `enforced` is false, would have been. `app_id`: the app it named, once known. `claimed`: what the client says it
    is without proof, and nothing may be decided by it.
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


@dataclass(frozen=True, slots=True)
class House:
    """What the flow may look at: the gate's apps, where to look for names and tokens, and how to tell the time."""

    apps: Mapping[AppRef, App | BrokenApp]
    only_app: App | BrokenApp | None
    registry: Cache[AppRef, App | BrokenApp] | None
    naming: tuple[NamingPlace, ...]
    tokens: tuple[TokenPlace, ...]
    memory: SignatureMemory
    key_sets: KeySets
    mode: Mode | None
    clock: Callable[[], float]
    limits: Limits


class _Progress:
    """How far a request has come, for the one place where its end is decided."""

    __slots__ = ("app", "asked_for", "mode", "patience", "reported", "token_sent")

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.app: App | BrokenApp | None = None
        self.asked_for: AppRef | None = None
        self.mode: Mode | None = None
        self.reported: Refusal | None = None
        self.token_sent = False


def decide(house: House, request: Request, *, optional: bool = False) -> Flow:
    """Decide about one request, by its app's mode and anonymity. `optional` admits anonymous users of every app."""
    limits = house.limits
    way = _Progress(limits.log_only_timeout if house.mode is Mode.LOG_ONLY else limits.load_timeout)
    try:
        identity = yield from _walk(house, request, way, optional)
    except Refused as refused:
        way.token_sent = way.token_sent or _token_was_sent(house, request, way.app, refused.refusal)
        return _refuse(house, way, refused.refusal)
    except Exception as error:  # noqa: BLE001 - a bug of ours is not the user's fault: 503, or let pass in log-only
        log_fault("the decision about a request failed", error)
        return _refuse(house, way, Refusal("internal_error", retry_after=1))
    enforced = _mode(house, way.app) is Mode.ENFORCE and way.reported is None
    app = way.app if isinstance(way.app, App) else None
    return Decision(
        True, identity, way.reported, enforced, identity.app_id, None, way.token_sent, app, way.asked_for, house
    )


def verify(house: House, token: str | None, ref: AppRef, origin: str | None) -> Flow:
    """Decide about a token alone, for sockets, jobs and other servers: it is verified, or it is refused."""
    way = _Progress(house.limits.load_timeout)
    way.token_sent = bool(token)
    try:
        app = yield from _find_app(house, [ref], way)
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


def _walk(house: House, request: Request, way: _Progress, optional: bool) -> Generator[Effect, None, Identity]:
    # 1. Which app? Every place is read, so that nobody picks the laxer app by naming two.
    way.app = house.only_app
    refs = _named(house.naming, request)
    if not refs and house.only_app is None:
        refs = _named_by_token(house, request, way)
    if not refs and house.only_app is None:
        if optional and _token_in(house.tokens, request)[0] is None:
            return Identity(None)
        raise Refused(_UNKNOWN_APP)
    app = yield from _find_app(house, refs, way)

    # 2. From where? Before the token, so that a page that may not ask learns nothing about one.
    origin = request.single("origin")
    if not app.origin_policy.allows(origin) or (origin is None and app.require_origin):
        refusal = Refusal("origin_not_allowed")
        way.mode = house.mode or app.origin_mode or app.mode
        if way.mode is Mode.ENFORCE or _mode(house, app) is Mode.LOG_ONLY:
            raise Refused(refusal)
        way.reported, way.mode = refusal, None  # only the origin is in log-only: the token is still decided about

    # 3. Which token? Absent is not the same as bad: only a request without any may be anonymous.
    token, place = _token_in(app.tokens, request)
    if token is None:
        if app.anonymous or optional:
            return Identity(app.id)
        raise Refused(_MISSING_TOKEN)
    way.token_sent = True
    if isinstance(place, Cookie) and (way.reported is not None or (origin is None and request.unsafe)):
        # A cookie comes with requests that another site caused: without an Origin that is admitted nobody can tell.
        raise Refused(Refusal("origin_not_allowed", detail="A token in a cookie needs an Origin that this app admits."))

    # 4. to 8. Read it, choose the key, check the signature, the claims, and whether it is revoked.
    enforced = _mode(house, app) is Mode.ENFORCE
    return (yield from _verify_token(house, app, token, way, enforced=enforced))


def _verify_token(
    house: House, app: App, text: str, way: _Progress, *, enforced: bool = True
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


def _refuse(house: House, way: _Progress, refusal: Refusal) -> Decision:
    # 9. Decide. What an enforced refusal turns away, log-only lets pass as anonymous.
    if (way.mode or _mode(house, way.app)) is Mode.ENFORCE:
        return _without_proof(house, way, refusal, enforced=True)
    return _without_proof(house, way, way.reported or refusal, enforced=False)


def _without_proof(house: House, way: _Progress, refusal: Refusal, *, enforced: bool) -> Decision:
    app = way.app
    app_id = app.id if app is not None else None
    held = app if isinstance(app, App) else None
    return Decision(
        allowed=not enforced,
        identity=Identity(app_id),
        refusal=refusal,
        enforced=enforced,
        app_id=app_id,
        token_sent=way.token_sent,
        app=held,
        asked_for=way.asked_for,
        house=house,
    )


def _mode(house: House, app: App | BrokenApp | None) -> Mode:
    return house.mode or (app.mode if app is not None else Mode.ENFORCE)


def _named(naming: Iterable[NamingPlace], request: Request) -> list[AppRef]:
    refs: list[AppRef] = []
    for place in naming:
        value = place.read(request)
        if value is not None:
            ref = AppRef(place.kind, value)
            if ref not in refs:
                refs.append(ref)
    return refs


def _named_by_token(house: House, request: Request, way: _Progress) -> list[AppRef]:
    """The token's own issuer, unverified, as a look-up key; only where the naming says so and nothing else names."""
    if not any(isinstance(place, TokenIssuer) for place in house.naming):
        return []
    text, _ = _token_in(house.tokens, request)
    if text is None:
        return []
    way.token_sent = True
    issuer = read_object(decode(read_token(text, MAX_TOKEN_BYTES).payload)).get("iss")
    return [AppRef("issuer", issuer)] if isinstance(issuer, str) else []


def _find_app(house: House, refs: list[AppRef], way: _Progress) -> Generator[Effect, None, App]:
    """The one app that all `refs` name. Raises `Refused` where it is unknown, broken, out of reach, or not one."""
    found = house.only_app
    way.app = None
    for index, ref in enumerate(refs):
        if index == 0:
            way.asked_for = ref
            found = yield from _look_up(house, ref, way)
        elif found is not None and ref not in found.refs():
            other = yield from _look_up(house, ref, way)
            # No app's mode applies to what is refused here: a log-only app must not open the door to another.
            if other is not None and other.id != found.id and None in (other.id, found.id):
                raise Refused(Refusal("config_invalid"))  # a broken app of a registry, whose id nobody knows
            if other is None or other.id != found.id:
                raise invalid_request("The request names two different apps.")
            found = other if isinstance(other, BrokenApp) else found
    way.app = found
    if found is None:
        raise Refused(_UNKNOWN_APP)
    if isinstance(found, BrokenApp):
        raise Refused(Refusal("config_invalid"))
    return found


def _look_up(house: House, ref: AppRef, way: _Progress) -> Generator[Effect, None, App | BrokenApp | None]:
    """The app of that name: configured in code, or loaded from the registry by way of the cache."""
    cache = house.registry
    held = house.apps.get(ref) if isinstance(ref.value, str) else None
    if held is not None or cache is None or not shaped(ref.value):
        return held
    slot = cache.read(ref)
    patience = cache.patience(slot, way.patience, min(way.patience, house.limits.stale_timeout))
    if patience is not None:
        slot = yield from Fetch(cache, ref, slot, patience)
    app = cache.usable(slot)
    if app is None and not cache.is_absent(slot):
        raise Refused(Refusal("apps_unavailable", retry_after=cache.retry_after(slot)))
    return app


def _token_in(places: Iterable[TokenPlace], request: Request) -> tuple[str | None, TokenPlace | None]:
    """The request's token and where it rides. Cookies count only where no other place holds one."""
    found: tuple[str | None, TokenPlace | None] = (None, None)
    for place in places:
        if isinstance(place, Cookie):
            continue
        text = place.read(request)
        if text is not None:
            if found[0] is not None and text != found[0]:
                raise invalid_request("The request carries two different tokens.")
            found = (text, place)
    if found[0] is None:
        for place in places:
            if isinstance(place, Cookie):
                text = place.read(request)
                if text is not None:
                    return text, place
    return found


def _token_was_sent(house: House, request: Request, app: App | BrokenApp | None, refusal: Refusal) -> bool:
    """Whether a refused request tried to prove itself: only then may its answer say what was wrong (RFC 6750 3.1)."""
    if refusal.code == "invalid_request" and request.header("authorization") is not None:
        return True
    try:
        return _token_in(app.tokens if isinstance(app, App) else house.tokens, request)[0] is not None
    except Refused:
        return True
    except Exception:  # noqa: BLE001 - a place of the user's that fails is told where the token is read
        return False


def log_fault(what: str, error: BaseException) -> None:
    """Log where `error` came from. Its text is left out unless it is our own: it may quote a token, a key or a name."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    text = f" ({error})" if isinstance(error, WicketError) else ""
    _log.error("%s: %s%s\n%s", what, type(error).__name__, text, frames)
