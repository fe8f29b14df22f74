"""Verify the signature of one token with the keys of its app.

`verify_signature` is for an app whose keys are all known. `Verification` is for an app with remote key sets, whose keys
become known while the token is verified. Both use the signature cache.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from wicket.config.app import App
from wicket.config.rules import MAX_NUMERIC_DATE
from wicket.decision.signature_cache import SignatureCache, VerifiedPayload
from wicket.decision.token_parser import UnverifiedToken, parse_json_object
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key, cost, within_budget
from wicket.runtime.base64url import PADDING, decode_standard

_BAD_SIGNATURE: Final = Refusal("invalid_token", "bad_signature")
_OTHER_ISSUER: Final = "The key that signed the token is published for another issuer."


def verify_signature(
    app: App, token: UnverifiedToken, keys: tuple[Key, ...], cache: SignatureCache, digest: bytes | None = None
) -> tuple[VerifiedPayload, Key]:
    """Verify the signature of `token` with one of `keys`.

    The payload is decoded and parsed only after the signature is verified.

    Args:
        app: The app of the request.
        token: The parsed token.
        keys: The keys of the app that may have signed the token.
        cache: The signature cache of the gate.
        digest: The SHA-256 of a token that the cache does not have; None to look it up here.

    Returns:
        The payload and the key that signed it.

    Raises:
        Refused: `bad_signature` if no key signed the token, `malformed` if the payload is not a JSON object,
            `wrong_issuer` if the JWK of the key is bound to another issuer than the token's.
    """
    verified = find_signer(app, token, keys, cache, digest)
    if verified is None:
        raise Refused(_BAD_SIGNATURE)  # created once, because any client can cause it
    signed, key = verified
    if len(keys) == 1 and key.jwk_issuer is None:  # the common case
        return verified
    key_for_issuer = owner_of(app, keys, key, signed)
    if key_for_issuer is None:
        raise wrong_jwk_issuer()
    return signed, key_for_issuer


def find_signer(
    app: App, token: UnverifiedToken, keys: tuple[Key, ...], cache: SignatureCache, digest: bytes | None = None
) -> tuple[VerifiedPayload, Key] | None:
    """Find the key that signed `token`, without a check of issuers. The arguments are those of `verify_signature`.

    Returns:
        The payload and the first key that signed it; None if no key did.

    Raises:
        Refused: `malformed` if the payload is not a JSON object.
    """
    if digest is None and cache.knows(app.id):
        digest = sha256(token.encoded).digest()
        cached = cache.get(app.id, digest)
        if cached is not None:
            for key in keys:
                if key.fingerprint == cached.fingerprint:
                    return cached, key
    algorithm = token.header.algorithm
    signature = a2b_base64(token.signature_base64 + PADDING)
    signing_input = token.signing_input
    for key in keys:
        if key.verify(algorithm, signing_input, signature):
            payload = a2b_base64(token.payload_base64 + PADDING)
            signed = VerifiedPayload(token.header, key.fingerprint, payload, parse_json_object(payload))
            cache.add(app.id, digest or sha256(token.encoded).digest(), token.text, signed)
            return signed, key
    return None


def owner_of(app: App, keys: Collection[Key], key: Key, signed: VerifiedPayload) -> Key | None:
    """Pick the key for the issuer of the token, if several issuers publish the same key.

    Args:
        app: The app of the request. Its issuer is the issuer of a key that has none.
        keys: All known keys of the app.
        key: The key that signed the token.
        signed: The payload of the token.

    Returns:
        The key whose issuer matches the token's `iss`, or else the first copy of `key`; None if the JWKs of all copies
        are bound to other issuers.
    """
    claims = signed.claims
    copies = [copy for copy in keys if copy.fingerprint == key.fingerprint and copy.serves(claims)]
    issuer = claims.get("iss")
    return next((copy for copy in copies if (copy.issuer or app.issuer) == issuer), copies[0] if copies else None)


def wrong_jwk_issuer() -> Refused:
    """Return the refusal of a token whose key is bound to another issuer."""
    return invalid_token("wrong_issuer", _OTHER_ISSUER, claim="iss")


class Verification:
    """The verification of one token while the keys of its app become known.

    Each key is tried once. The keys that are tried for one token cost at most `MAX_COST`. Each fetch of a key set
    allows the same cost again, so the keys of the new set are tried too. `issued_at` is the only part of the payload
    that is read before the signature is verified. It decides only whether a key set is fetched again, within the budget
    of fetches.

    Attributes:
        token: The parsed token.
        now: The time at which the request arrived, in seconds since 1970, by the clock of the gate.
    """

    __slots__ = (
        "_app",
        "_cache",
        "_cost",
        "_key_for_issuer",
        "_known",
        "_signed",
        "_signer",
        "_tried",
        "now",
        "token",
    )

    def __init__(self, app: App, token: UnverifiedToken, cache: SignatureCache, now: float) -> None:
        self._app = app
        self._cache = cache
        self._known: dict[int, Key] = {}
        self._tried: set[bytes] = set()
        self._signed: VerifiedPayload | None = None
        self._signer: Key | None = None
        self._key_for_issuer: Key | None = None
        self._cost = 0
        self.token = token
        self.now = now

    @property
    def leeway(self) -> float:
        """The largest difference between the clocks of the issuer and of the gate, in seconds."""
        return self._app.rules.leeway

    @property
    def issued_at(self) -> float:
        """The unverified `iat` of the token, in seconds since 1970; `now` if the token has no valid `iat`."""
        try:
            issued = parse_json_object(decode_standard(self.token.payload_base64)).get("iat")
        except Refused:
            return self.now
        if isinstance(issued, bool) or not isinstance(issued, (int, float)) or abs(issued) > MAX_NUMERIC_DATE:
            return self.now
        return issued

    def decided_without(self, issuer: str | None) -> bool:
        """Return whether a key verifies the token and a key set of `issuer` cannot change the result.

        A key set of the token's issuer can change it if the verifying key is from a set of another issuer. The token's
        issuer may publish the same key.
        """
        if self._signed is None:
            return False
        return self._key_for_issuer is None or self._is_owned() or issuer != self._signed.claims.get("iss")

    def renew(self) -> None:
        """Allow the whole cost again, after a fetch of a key set. The budget of fetches bounds how often."""
        self._cost = 0

    def verifies(self, keys: tuple[Key, ...]) -> bool:
        """Try the new keys among `keys`.

        A key from a set of another issuer than the token's is used only if no other key verifies the token.

        Returns:
            Whether one of `keys`, or a key that was tried before, verifies the token and belongs to its issuer.

        Raises:
            Refused: `malformed` if the payload is not a JSON object.
        """
        self._known.update((id(key), key) for key in keys)
        new = {key.fingerprint: key for key in reversed(keys) if key.fingerprint not in self._tried}
        algorithm = self.token.header.algorithm
        untried = within_budget(reversed(new.values()), algorithm, self._cost)
        if self._signed is None and untried:
            self._tried.update(key.fingerprint for key in untried)
            self._cost += sum(cost(key, algorithm) for key in untried)
            verified = find_signer(self._app, self.token, untried, self._cache)
            if verified is not None:
                self._signed, self._signer = verified
        if self._signed is None or self._signer is None:
            return False
        self._key_for_issuer = owner_of(self._app, self._known.values(), self._signer, self._signed)
        return self._is_owned()

    def _is_owned(self) -> bool:
        """Return whether the verifying key belongs to the token's issuer, or is from no key set of an issuer."""
        signed, key = self._signed, self._key_for_issuer
        return signed is not None and key is not None and key.issuer in (None, signed.claims.get("iss"))

    def result(self, unavailable: Refusal | None) -> tuple[VerifiedPayload, Key]:
        """Return the payload and the key that signed it.

        Args:
            unavailable: Why a key set is not available; None if all are.

        Raises:
            Refused: `unavailable` if it is set and no key of the token's issuer verifies the token. Otherwise
                `bad_signature` if no key verifies it, `wrong_issuer` if the JWK of the key is bound to another issuer.
        """
        if self._signed is not None and self._key_for_issuer is not None and (unavailable is None or self._is_owned()):
            return self._signed, self._key_for_issuer
        if unavailable is not None:
            raise Refused(unavailable)
        raise invalid_token("bad_signature") if self._signed is None else wrong_jwk_issuer()
