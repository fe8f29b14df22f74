"""The older identity hash: HMAC-SHA256 of one identifier, compared in constant time. It verifies the identifier alone.

Such a hash is no token: it says nothing about when, to whom, or about any attribute, and it never expires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from wicket.config.app import App
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.locations import JsonBody, TokenLocation
from wicket.decision.claims import bad_user_id, is_revoked
from wicket.decision.identity import HashedIdentity, VerifiedIdentity
from wicket.errors import Refusal, Refused, invalid_request, invalid_token
from wicket.keys import Secret
from wicket.messages.json_body import JSONObject
from wicket.messages.request import Request


def compute_hash(secret: Secret, text: str, encoding: str) -> str:
    """The HMAC-SHA256 of `text` in UTF-8, as the encoding spells it: lower-case hexadecimal, or padded base64."""
    digest = hmac.digest(secret.keys[0].material, text.encode("utf-8"), hashlib.sha256)
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode("ascii")


def identify_by_hash(app: App, request: Request, now: float, *, anonymous: bool) -> HashedIdentity | None:
    """The user whose identifier and hash a request without a token carries; None where it carries no hash.

    `anonymous` users may say who they are without proof, and send hashes that count no more.

    Raises `Refused`: `bad_identity_hash` for half a pair and for a hash that does not verify, `revoked` where any
    cutoff covers the user, `missing_token` where the app no longer takes hashes.
    """
    rule = app.identity_hash
    if rule is None:
        return None
    proof = _text(rule.hash_location, request)
    if rule.accept_until is not None and now >= rule.accept_until:
        if proof is None or anonymous:
            return None
        raise Refused(Refusal("missing_token", detail="This app takes no identity hashes any more: it needs a token."))
    value = _text(rule.identifier_location, request)
    if proof is None:
        if value is None or anonymous:
            return None  # an anonymous user may say who it is: that is claimed, and no proof
        raise _bad(f"The request names a user by {rule.identifier} and carries no hash of it.")
    if value is None:
        raise _bad(f"The request carries a hash and no {rule.identifier} that it is of.")
    user_id = _verified(rule, value, proof)
    companies = _companies(rule.companies, rule.encoding, request) if rule.companies is not None else ()
    identity = HashedIdentity(app, user_id, rule.identifier, companies=companies, until=rule.accept_until)
    if identity.is_revoked_in(app):
        raise invalid_token("revoked")
    return identity


def check_hash_matches_token(app: App, request: Request, identity: VerifiedIdentity, now: float) -> None:
    """A hash beside a token must be of the same user, and its identifier not be revoked for the token's `iat`.

    Raises `Refused` otherwise; the token counts.
    """
    rule = app.identity_hash
    if rule is None or (rule.accept_until is not None and now >= rule.accept_until):
        return
    proof = _text(rule.hash_location, request)
    if proof is None:
        return
    signed = identity.claims.get(rule.identifier)
    value = _text(rule.identifier_location, request)
    if value is None:
        value = signed if isinstance(signed, str) else None
    if value is None:
        return  # nothing says of what it is the hash
    user_id = _verified(rule, value, proof)
    if signed is not None and rule.normalized(str(signed)) != user_id:
        raise invalid_request("The request carries a token and an identity hash of two different users.")
    if app.revocations._enabled and is_revoked({**identity.claims, rule.identifier: user_id}, identity.user_id, app):
        raise invalid_token("revoked")


def _verified(rule: IdentityHash, value: str, proof: str) -> str:
    user_id = rule.normalized(value)
    wrong = bad_user_id(user_id)
    if wrong is not None:
        raise _bad(f"The identifier {rule.identifier} {wrong}.")
    if not _same(compute_hash(rule.secret, user_id, rule.encoding), proof):
        raise _bad()
    return user_id


def _same(expected: str, given: str) -> bool:
    """In constant time, whatever was given: text beyond ASCII is never the hash."""
    return hmac.compare_digest(expected.encode("ascii"), given.encode("utf-8", "replace"))


def _companies(rule: CompanyHash, encoding: str, request: Request) -> tuple[str, ...]:
    """The ids of the companies whose hash verifies; one without a hash is not taken, one with a bad hash refused."""
    given = rule.location.parsed(request)
    ids: list[str] = []
    for pairs in given if isinstance(given, list) else ():
        if not isinstance(pairs, tuple):
            continue
        company = JSONObject(pairs)
        if company.repeats(rule.id_field) or company.repeats(rule.hash_field):
            raise _bad("A company's id or hash is given twice.")
        proof = company.get(rule.hash_field)
        if proof is None:
            continue
        identifier = company.get(rule.id_field)
        if not isinstance(identifier, str) or bad_user_id(identifier) is not None or not isinstance(proof, str):
            raise _bad("The request carries a hash of a company, and no id that it is of.")
        if not _same(compute_hash(rule.secret, identifier, encoding), proof):
            raise _bad("The hash of a company does not verify.")
        if identifier not in ids:
            ids.append(identifier)
    return tuple(ids)


def _text(place: TokenLocation | None, request: Request) -> str | None:
    """What stands at a place, integers as their digits."""
    if isinstance(place, JsonBody):
        value: Any = place.parsed(request)
        if value is not None and type(value) is not int and not isinstance(value, str):
            raise _bad(f"The body's member {place.path} is not a string.")
        return None if value is None or value == "" else str(value)
    return place.read(request) if place is not None else None


def _bad(detail: str = "") -> Refused:
    return invalid_token("bad_identity_hash", detail)
