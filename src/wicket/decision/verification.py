"""The verification of one token's signature with the keys of an app, as they become known.

Each key material is tried once, and at most `MAX_KEYS` are tried for one token. What is read of the payload before the
signature is verified is `issued_at`, which decides only whether a key set must be asked again, within its budget.
"""

from __future__ import annotations

from typing import Final

from wicket.app import App
from wicket.decision.claims import LATEST
from wicket.decision.memory import SignatureMemory, Signed
from wicket.decision.tokens import UnverifiedToken, decode, read_object
from wicket.decision.verifier import owner_of, verify_signature
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key

MAX_KEYS: Final = 10


class Verification:
    """One token, the keys that were tried for it, and the one that verifies it.

    `now` is the time at which the request came, in seconds since 1970, by the clock of the gate.
    """

    __slots__ = ("_app", "_key", "_known", "_memory", "_signed", "_tried", "now", "token")

    def __init__(self, app: App, token: UnverifiedToken, memory: SignatureMemory, now: float) -> None:
        self._app = app
        self._memory = memory
        self._known: dict[int, Key] = {}
        self._tried: set[bytes] = set()
        self._signed: Signed | None = None
        self._key: Key | None = None
        self.token = token
        self.now = now

    @property
    def leeway(self) -> float:
        """By how many seconds the clocks of the issuer and of the gate may differ."""
        return self._app.rules.skew

    @property
    def issued_at(self) -> float:
        """The unverified `iat` of the token. A token without a usable one counts as issued now."""
        try:
            value = read_object(decode(self.token.payload)).get("iat")
        except Refused:
            return self.now
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > LATEST:
            return self.now
        return value

    @property
    def signed(self) -> bool:
        """Whether one of the keys that were tried verifies the token."""
        return self._signed is not None

    def verifies(self, keys: tuple[Key, ...]) -> bool:
        """Whether one of `keys`, or of those that were tried before, verifies the token, and may sign for its issuer.

        A key whose set belongs to another issuer than the token's is kept for the case that no other key does.
        Raises `Refused` if the payload is malformed.
        """
        self._known.update((id(key), key) for key in keys)
        fresh = {key.fingerprint: key for key in reversed(keys) if key.fingerprint not in self._tried}
        untried = tuple(reversed(fresh.values()))[: MAX_KEYS - len(self._tried)]
        if self._signed is None and untried:
            self._tried.update(key.fingerprint for key in untried)
            try:
                self._signed, self._key = verify_signature(self._app, self.token, untried, self._memory)
            except Refused as refused:
                if refused.refusal.reason != "bad_signature":
                    raise
        if self._signed is None or self._key is None:
            return False
        self._key = owner_of(self._app, self._known.values(), self._key, self._signed)
        return self._key.issuer is None or self._key.issuer == self._signed.claims.get("iss")

    def result(self, trouble: Refusal | None) -> tuple[Signed, Key]:
        """The signed payload and its key. Raises `Refused`: `trouble`, else `bad_signature`, if no key verifies it."""
        if self._signed is None or self._key is None:
            raise Refused(trouble) if trouble is not None else invalid_token("bad_signature")
        return self._signed, self._key
