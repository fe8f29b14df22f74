"""The verification of one token for one app: which keys, is it signed, do the claims hold, is it revoked."""

from __future__ import annotations

from wicket.app import App
from wicket.decision.claims import check_claims, is_revoked, read_user_id
from wicket.decision.identity import VerifiedIdentity
from wicket.decision.memory import SignatureMemory, Signed
from wicket.decision.tokens import UnverifiedToken, decode, read_object
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key


def select_keys(app: App, token: UnverifiedToken) -> tuple[Key, ...]:
    """The keys of `app` that may have signed `token`. Raises `Refused` where there is none."""
    header = token.header
    keyring = app.keyring
    keys = keyring.select(header.algorithm, header.kid)
    if keys:
        return keys
    if not keyring.keys:
        raise Refused(Refusal("config_missing"))
    if header.algorithm not in keyring.algorithms:
        raise invalid_token("algorithm_not_allowed")
    raise invalid_token("key_not_found")


def verify_signature(app: App, token: UnverifiedToken, keys: tuple[Key, ...], memory: SignatureMemory) -> Signed:
    """The payload, once one of `keys` is shown to have signed it. Raises `Refused`: `bad_signature` or `malformed`.

    The payload is decoded and parsed only after its signature has been verified.
    """
    algorithm = token.header.algorithm
    names = [memory.key(app.id, algorithm, key, token.text) for key in keys]
    for name in names:
        known = memory.recall(app.id, name)
        if known is not None:
            return known
    signature = decode(token.signature)
    signed = token.signed
    for key, name in zip(keys, names, strict=True):
        if key.verify(algorithm, signed, signature):
            payload = decode(token.payload)
            result = Signed.of(payload, read_object(payload), key.kid)
            memory.remember(app.id, name, token.text, result)
            return result
    raise invalid_token("bad_signature")


def identify(app: App, token: UnverifiedToken, signed: Signed, now: float) -> VerifiedIdentity:
    """The user that a signed token names, if its claims hold now and it is not revoked. Raises `Refused`."""
    claims = signed.claims
    check_claims(claims, token.header.typ, app, now)
    user_id, claim = read_user_id(claims, app.rules)
    if is_revoked(claims, user_id, app):
        raise invalid_token("revoked")
    return VerifiedIdentity(app, user_id, claim, payload=signed.payload, checked=claims, key_id=signed.key_id)
