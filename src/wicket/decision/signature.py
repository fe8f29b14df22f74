"""The verification of one token for one app: is it signed by one of these keys, do the claims hold, is it revoked."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Final

from wicket.config.app import App
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.identity import VerifiedIdentity
from wicket.decision.signature_cache import SignatureCache, VerifiedPayload
from wicket.decision.token_parser import UnverifiedToken, parse_json_object
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key
from wicket.runtime.base64url import decode_canonical

_BAD_SIGNATURE: Final = Refusal("invalid_token", "bad_signature")
_OTHER_ISSUER: Final = "The key that signed the token is published for another issuer."


def verify_signature(
    app: App, token: UnverifiedToken, keys: tuple[Key, ...], memory: SignatureCache
) -> tuple[VerifiedPayload, Key]:
    """Return the payload and the one of `keys` that signed it.

    Raises `Refused`: `bad_signature`; `malformed` for the payload, which is decoded and parsed only after its signature
    has been verified; `wrong_issuer` if the JWK of the key is bound to another issuer than the token's.
    """
    found = find_signer(app, token, keys, memory)
    if found is None:
        raise Refused(_BAD_SIGNATURE)  # anybody may cause it, so it is made once
    signed, key = found
    owner = owner_of(app, keys, key, signed)
    if owner is None:
        raise wrong_jwk_issuer()
    return signed, owner


def find_signer(
    app: App, token: UnverifiedToken, keys: tuple[Key, ...], memory: SignatureCache
) -> tuple[VerifiedPayload, Key] | None:
    """As `verify_signature`, without looking at issuers; None if none of `keys` signed the token."""
    text = token.text.encode("ascii")
    if memory.knows(app.id):
        known = memory.get(app.id, sha256(text).digest())
        if known is not None:
            for key in keys:
                if key.fingerprint == known.fingerprint:
                    return known, key
    algorithm = token.header.algorithm
    signature = decode_canonical(token.signature)
    message = text[: len(text) - len(token.signature) - 1]
    for key in keys:
        if key.verify(algorithm, message, signature):
            payload = decode_canonical(token.payload)
            signed = VerifiedPayload(token.header, key.fingerprint, payload, parse_json_object(payload))
            memory.add(app.id, sha256(text).digest(), token.text, signed)
            return signed, key
    return None


def owner_of(app: App, keys: Collection[Key], key: Key, signed: VerifiedPayload) -> Key | None:
    """If several issuers publish the same key, the one that matches the token's `iss`.

    None if the JWKs of all of them are bound to other issuers.
    """
    if len(keys) == 1 and key.jwk_issuer is None:
        return key
    claims = signed.claims
    twins = [each for each in keys if each.fingerprint == key.fingerprint and each.serves(claims)]
    issuer = claims.get("iss")
    return next((each for each in twins if (each.issuer or app.issuer) == issuer), twins[0] if twins else None)


def wrong_jwk_issuer() -> Refused:
    """The key that signed the token is bound to another issuer."""
    return invalid_token("wrong_issuer", _OTHER_ISSUER, claim="iss")


def build_identity(app: App, signed: VerifiedPayload, key: Key, now: float) -> VerifiedIdentity:
    """The user that a signed token names, if its claims hold now and it is not revoked. Raises `Refused`."""
    claims = signed.cached_claims if signed.cached_claims is not None else signed.claims
    check_claims(claims, signed.header.typ, app, now, key.issuer, signed.times)
    user_id, claim = read_user_id(claims, app.rules)
    if app.revocations._enabled and is_revoked(claims, user_id, app):
        raise invalid_token("revoked")
    return VerifiedIdentity(app, user_id, claim, signed, key.kid)
