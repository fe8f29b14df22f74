"""The verification of one token for one app: is it signed by one of these keys, do the claims hold, is it revoked."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from wicket.app import App
from wicket.base64url import decode_proven
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.identity import VerifiedIdentity
from wicket.decision.memory import SignatureMemory, Signed
from wicket.decision.tokens import UnverifiedToken, read_object
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key


def verify_signature(
    app: App, token: UnverifiedToken, keys: tuple[Key, ...], memory: SignatureMemory, trouble: Refusal | None = None
) -> tuple[Signed, Key]:
    """The payload and the one of `keys` that is shown to have signed it.

    Raises `Refused`: `bad_signature`, or the `trouble` that stands in the way of knowing all keys; `malformed` for the
    payload, which is decoded and parsed only after its signature has been verified.
    """
    text = token.text.encode("ascii")
    digest = sha256(text).digest()
    known = memory.recall(app.id, digest)
    if known is not None:
        for key in keys:
            if key.fingerprint == known.fingerprint:
                return known, key if len(keys) == 1 else owner_of(app, keys, key, known)
    algorithm = token.header.algorithm
    signature = decode_proven(token.signature)
    message = text[: len(text) - len(token.signature) - 1]
    for key in keys:
        if key.verify(algorithm, message, signature):
            payload = decode_proven(token.payload)
            signed = Signed(token.header, key.fingerprint, payload, read_object(payload))
            memory.remember(app.id, digest, token.text, signed)
            return signed, key if len(keys) == 1 else owner_of(app, keys, key, signed)
    raise Refused(trouble) if trouble is not None else invalid_token("bad_signature")


def owner_of(app: App, keys: Iterable[Key], key: Key, signed: Signed) -> Key:
    """Of keys with one material that several issuers publish, the one whose issuer the token names."""
    issuer = signed.claims.get("iss")
    twins = [each for each in keys if each.fingerprint == key.fingerprint]
    return next((each for each in twins if (each.issuer or app.issuer) == issuer), key)


def identify(app: App, signed: Signed, key: Key, now: float) -> VerifiedIdentity:
    """The user that a signed token names, if its claims hold now and it is not revoked. Raises `Refused`."""
    claims = signed.kept if signed.kept is not None else signed.claims
    check_claims(claims, signed.header.typ, app, now, key.issuer, signed.times)
    user_id, claim = read_user_id(claims, app.rules)
    if app.revocations.any and is_revoked(claims, user_id, app):
        raise invalid_token("revoked")
    return VerifiedIdentity(app, user_id, claim, signed, key.kid)
