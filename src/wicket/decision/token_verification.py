"""The verification of one token's signature with the keys of an app, as they become known.

Each key material is tried once. All that are tried for one token cost at most `MAX_COST`, and as much again after each
fetch of a key set, so that the keys which were tried before do not keep out those that it brought. The part of the
payload that is read before the signature is verified is `issued_at`. It decides only whether a key set must be asked
again, within its budget.
"""

from __future__ import annotations

from wicket.config.app import App
from wicket.decision.claims import LATEST
from wicket.decision.signature import find_signer, owner_of, wrong_jwk_issuer
from wicket.decision.signature_cache import SignatureCache, VerifiedPayload
from wicket.decision.token_parser import UnverifiedToken, decode, parse_json_object
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key, cost, within_budget


class Verification:
    """One token, the keys that were tried for it, and the one that verifies it.

    `now` is the time at which the request came, in seconds since 1970, by the clock of the gate.
    """

    __slots__ = (
        "_app",
        "_cost",
        "_key_for_issuer",
        "_known",
        "_memory",
        "_signed",
        "_signer",
        "_tried",
        "now",
        "token",
    )

    def __init__(self, app: App, token: UnverifiedToken, memory: SignatureCache, now: float) -> None:
        self._app = app
        self._memory = memory
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
        """By how many seconds the clocks of the issuer and of the gate may differ."""
        return self._app.rules.leeway

    @property
    def issued_at(self) -> float:
        """The unverified `iat` of the token. A token without a usable one counts as issued now."""
        try:
            value = parse_json_object(decode(self.token.payload)).get("iat")
        except Refused:
            return self.now
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > LATEST:
            return self.now
        return value

    def decided_without(self, issuer: str | None) -> bool:
        """Whether a key verifies the token, and a key set of `issuer` can change nothing about that.

        If the key is of a set of another issuer than the token's, the token's own may publish the same key.
        """
        if self._signed is None:
            return False
        return self._key_for_issuer is None or self._is_owned() or issuer != self._signed.claims.get("iss")

    def renew(self) -> None:
        """Give the token a whole budget again, for a key set was fetched. How often that happens is bounded there."""
        self._cost = 0

    def verifies(self, keys: tuple[Key, ...]) -> bool:
        """Whether one of `keys`, or of those that were tried before, verifies the token, and may sign for its issuer.

        A key whose set belongs to another issuer than the token's is kept for the case that no other key does.
        Raises `Refused` if the payload is malformed.
        """
        self._known.update((id(key), key) for key in keys)
        fresh = {key.fingerprint: key for key in reversed(keys) if key.fingerprint not in self._tried}
        algorithm = self.token.header.algorithm
        untried = within_budget(reversed(fresh.values()), algorithm, self._cost)
        if self._signed is None and untried:
            self._tried.update(key.fingerprint for key in untried)
            self._cost += sum(cost(key, algorithm) for key in untried)
            found = find_signer(self._app, self.token, untried, self._memory)
            if found is not None:
                self._signed, self._signer = found
        if self._signed is None or self._signer is None:
            return False
        self._key_for_issuer = owner_of(self._app, self._known.values(), self._signer, self._signed)
        return self._is_owned()

    def _is_owned(self) -> bool:
        """Whether the set of the key that verifies the token, if it is of one, belongs to the token's issuer."""
        signed, owner = self._signed, self._key_for_issuer
        return signed is not None and owner is not None and owner.issuer in (None, signed.claims.get("iss"))

    def result(self, trouble: Refusal | None) -> tuple[VerifiedPayload, Key]:
        """The signed payload and its key.

        Raises `Refused` if no key verifies the token, or only one of another issuer while a set of the token's own has
        `trouble`: that, else `bad_signature`, or `wrong_issuer` if the JWK of the key is bound to another issuer.
        """
        if self._signed is not None and self._key_for_issuer is not None and (trouble is None or self._is_owned()):
            return self._signed, self._key_for_issuer
        if trouble is not None:
            raise Refused(trouble)
        raise invalid_token("bad_signature") if self._signed is None else wrong_jwk_issuer()
