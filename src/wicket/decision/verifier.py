"""The verification of one token for one app: is it signed by one of these keys, do the claims hold, is it revoked."""

from __future__ import annotations

from wicket.app import App
from wicket.decision.choice import Choice
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.identity import VerifiedIdentity
from wicket.decision.memory import SignatureMemory, Signed
from wicket.decision.tokens import HEADERS, UnverifiedToken, decode, read_object
from wicket.errors import Refused, invalid_token
from wicket.keys.algorithms import Key


def recognise(app: App, text: str, memory: SignatureMemory, now: float) -> VerifiedIdentity | None:
    """The user of a token whose very bytes were read and verified before, with a key that the app itself has now.

    The key is chosen anew, and the claims are held against the rules. None where the token is not remembered, or its
    key is one of a remote set: then it goes the whole way. Raises `Refused` as `identify` does.
    """
    header = HEADERS.get(text.partition(".")[0])
    rules = app.rules
    if header is None or len(text) > rules.max_token_bytes or not text.isascii():
        return None
    if rules.key_id_required and header.kid is None:
        return None
    keys = app.keyring.select(header.algorithm, header.kid)
    for key in keys:
        signed = memory.recall(app.id, memory.key(app.id, header.algorithm, key, text))
        if signed is not None:
            return identify(app, header.typ, signed, key if len(keys) == 1 else _owner(app, keys, key, signed), now)
    return None


def verify_signature(app: App, token: UnverifiedToken, choice: Choice, memory: SignatureMemory) -> tuple[Signed, Key]:
    """The payload and the key that is shown to have signed it.

    Raises `Refused`: `bad_signature`, or what stands in the way of knowing all keys; `malformed` for the payload,
    which is decoded and parsed only after its signature has been verified.
    """
    algorithm = token.header.algorithm
    keys = choice.keys
    named = [(key, memory.key(app.id, algorithm, key, token.text)) for key in keys]
    for key, name in named:
        known = memory.recall(app.id, name)
        if known is not None:
            return known, _owner(app, keys, key, known)
    signature = decode(token.signature)
    message = token.signed
    for key, name in named:
        if key.verify(algorithm, message, signature):
            payload = decode(token.payload)
            signed = Signed(payload, read_object(payload))
            memory.remember(app.id, name, token.text, signed)
            return signed, _owner(app, keys, key, signed)
    raise Refused(choice.trouble) if choice.trouble is not None else invalid_token("bad_signature")


def _owner(app: App, keys: tuple[Key, ...], key: Key, signed: Signed) -> Key:
    """Of keys with one material that several issuers publish, the one whose issuer the token names."""
    if len(keys) == 1:
        return key
    issuer = signed.claims.get("iss")
    twins = [each for each in keys if each.fingerprint == key.fingerprint]
    return next((each for each in twins if (each.issuer or app.issuer) == issuer), key)


def identify(app: App, typ: str | None, signed: Signed, key: Key, now: float) -> VerifiedIdentity:
    """The user that a signed token names, if its claims hold now and it is not revoked. Raises `Refused`."""
    claims = signed.kept if signed.kept is not None else signed.claims
    check_claims(claims, typ, app, now, key.issuer)
    user_id, claim = read_user_id(claims, app.rules)
    if app.revocations.any and is_revoked(claims, user_id, app):
        raise invalid_token("revoked")
    return VerifiedIdentity(app, user_id, claim, signed.payload, claims, key.kid)
