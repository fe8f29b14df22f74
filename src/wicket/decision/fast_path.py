"""The straight road: the whole way of an ordinary request in one piece, for it is taken by nearly every request.

It only ever admits, and never refuses: at anything that is out of the ordinary it says None, and `wicket.decision.flow`
walks the way step by step. Whom it admits, the flow admits as the same user; a property of the tests holds the two
together. It exists for its speed alone: the same steps, less what a generator and two dozen calls cost.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from wicket.config.app import App
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.context import FastPathEntry, GateContext
from wicket.decision.decision import Decision
from wicket.decision.identity import VerifiedIdentity
from wicket.messages.request import HeaderNames, Request

_LONGEST: Final = 512


def decide_fast(house: GateContext, request: Request) -> Decision | None:
    """The decision about a request of an app in code, named by one header, whose token in a header was verified before.

    None for any other, and for one that the flow would refuse; whatever is raised on the way means the same.
    """
    place = (
        house.single_app_header
    )  # where several places may name an app, they are held against each other by the flow
    if place is None:
        return None

    # 1. Which app? 2. From where? What these two headers mean is found out once for all requests that bear both.
    held, spelled = request.raw_headers, request.header_names
    asked = (spelled, held.get(spelled[place.name]), held.get(spelled["origin"]))
    road = known = house.fast_path.get(asked)
    if road is None:
        road = _build_entry(house, request, spelled)
        if road is None:
            return None

    # 3. and 4. Which token? Its very bytes were read before, if its signature is remembered.
    sent: Any = held.get(road.token_header)
    if sent is None or len(sent) > road.max_length or not sent.startswith(road.prefix):
        return None
    token = sent[road.prefix_length :]
    app = road.app
    digest = sha256(token if token.__class__ is bytes else token.encode()).digest()
    signed = house.signature_cache.get(app.id, digest)
    if signed is None or signed.cached_claims is None:
        return None
    header, claims, rules = signed.header, signed.cached_claims, app.rules
    if header.kid is None and rules.require_kid:
        return None

    # 5. and 6. Which key, and did it sign? Several keys are told apart by the flow.
    keys = app.keyring.select(header.algorithm, header.kid)
    if len(keys) != 1:
        return None
    key = keys[0]
    if key.fingerprint != signed.fingerprint or (key.jwk_issuer is not None and not key.serves(claims)):
        return None

    # 7. and 8. Do the claims hold, now, and is it not revoked?
    check_claims(claims, header.typ, app, house.clock(), key.issuer, signed.times)
    user_id, claim = read_user_id(claims, rules)
    if app.revocations._enabled and is_revoked(claims, user_id, app):
        return None

    # 9. Decide.
    if known is None:
        house.remember(road, asked)  # only a request that was admitted does
    identity = VerifiedIdentity(app, user_id, claim, signed, key.kid)
    return Decision(True, identity, None, road.enforced, app.id, None, road)


def _build_entry(house: GateContext, request: Request, spelled: HeaderNames) -> FastPathEntry | None:
    """The road of an app in code that this request names, from an origin that it admits; else None."""
    place = house.single_app_header
    name = request.header(place.name) if place is not None and request.header_size(place.name) < _LONGEST else None
    if place is None or name is None or "," in name:
        return None
    app = house.apps.get((place.kind, name))  # type: ignore[call-overload]  # a plain pair is found like an AppRef
    if not isinstance(app, App) or app.fast_token_header is None or not house.signature_cache.knows(app.id):
        return None
    origin = request.header("origin") if request.header_size("origin") < _LONGEST else ","
    if origin is None:
        if app.require_origin:
            return None
    elif "," in origin or origin != origin.strip(" \t") or not app.allows_origin(origin):
        return None
    return FastPathEntry(house, app, origin, app.fast_token_header, spelled)
