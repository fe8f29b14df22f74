"""The straight road: the whole way of an ordinary request in one piece, for it is taken by nearly every request.

It only ever admits, and never refuses: at anything that is out of the ordinary it says None, and `wicket.decision.flow`
walks the way step by step. Whom it admits, the flow admits as the same user; a property of the tests holds the two
together. It exists for its speed alone: the same steps, less what a generator and two dozen calls cost.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from wicket.app import App, Mode
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.finding import House
from wicket.decision.flow import Decision
from wicket.decision.identity import VerifiedIdentity
from wicket.decision.tokens import HEADERS
from wicket.request import Request
from wicket.sources import Header

_ENFORCE: Final = Mode.ENFORCE


def straight(house: House, request: Request) -> Decision | None:
    """The decision about a request of an app in code, named by one header, whose token in a header was verified before.

    None for any other, and for one that the flow would refuse; whatever is raised on the way means the same.
    """
    # 1. Which app? Where several places may name one, they are held against each other by the flow.
    place = house.naming[0] if len(house.naming) == 1 else None
    if type(place) is not Header:  # a class of somebody's own may read otherwise
        return None
    name = place.glance(request)
    if name is None or "," in name:
        return None
    app = house.apps.get((place.kind, name))  # type: ignore[call-overload]  # a plain pair is found like an AppRef
    if not isinstance(app, App) or app.straight is None:
        return None

    # 2. From where?
    origin = request.header("origin")
    if origin is None:
        if app.require_origin:
            return None
    elif "," in origin or not app.origin_policy.allows(origin):
        return None

    # 3. and 4. Which token? Its very bytes were read before, if its signature is remembered.
    token = app.straight.glance(request)
    rules = app.rules
    if token is None or len(token) > rules.max_token_bytes:
        return None
    header = HEADERS.get(token.partition(".")[0])
    if header is None or (header.kid is None and rules.key_id_required):
        return None

    # 5. and 6. Which key, and did it sign? Several keys are told apart by the flow.
    keys = app.keyring.select(header.algorithm, header.kid)
    if len(keys) != 1:
        return None
    key = keys[0]
    signed = house.memory.recall(app.id, header.algorithm, key.fingerprint, sha256(token.encode()).digest())
    if signed is None or signed.kept is None:
        return None

    # 7. and 8. Do the claims hold, now, and is it not revoked?
    claims = signed.kept
    check_claims(claims, header.typ, app, house.clock(), key.issuer)
    user_id, claim = read_user_id(claims, rules)
    if app.revocations.any and is_revoked(claims, user_id, app):
        return None

    # 9. Decide.
    identity = VerifiedIdentity(app, user_id, claim, signed.payload, claims, key.kid)
    return Decision(True, identity, None, (house.mode or app.mode) is _ENFORCE, app.id, None, house.straight_way(app))
