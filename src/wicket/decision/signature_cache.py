"""Cache of tokens whose signature was verified. It caches the result of steps 6 and 7, never a decision.

An entry says that one key signed exactly these bytes. It is found by the app and the SHA-256 of the whole token, which
covers the algorithm and the `kid`. It applies only to a key with the same fingerprint. Each request selects the key
again, so a removed key invalidates what it signed. Origin, times, revocation and mode are checked for each request.
The other claim checks depend only on the payload, the `App` value and the issuer of the key, so an entry also says for
which of them they passed. Reads take no lock. Entries never reach an application.
"""

from __future__ import annotations

from math import inf
from typing import Final

from wicket.decision.claim_values import Claims
from wicket.decision.claims import TokenTimes, read_times
from wicket.decision.per_app_cache import PartitionedCache
from wicket.decision.token_parser import JOSEHeader, parse_json_object
from wicket.errors import Refused

_MAX_CACHED_MEMBERS: Final = 64
"""The most JSON members and values of a payload whose parsed claims are cached."""
_ALWAYS_CACHED_SIZE: Final = 256
"""The payload size in bytes up to which the parsed claims are always cached."""


class PassedClaims:
    """The result of the claim checks that do not depend on the time.

    Attributes:
        revision: `App.revision` of the app whose rules the claims follow.
        issuer: The issuer of the key that signed the token.
        user_id: The user ID of the token; empty if it has no user.
        user_id_claim: The claim that contains the user ID; empty if there is none.
        valid_from: A time from which the checks of `nbf` and `iat` pass, in seconds since 1970; infinite until the
            token is used again.
        valid_until: A time until which the check of `exp` passes, in seconds since 1970.
        qualified_user_id: The qualified user ID, once it has been read.
    """

    __slots__ = ("issuer", "qualified_user_id", "revision", "user_id", "user_id_claim", "valid_from", "valid_until")

    def __init__(self, revision: object, issuer: str | None, user_id: str, user_id_claim: str) -> None:
        self.revision = revision
        self.issuer = issuer
        self.user_id = user_id
        self.user_id_claim = user_id_claim
        self.valid_from = inf
        self.valid_until = -inf
        self.qualified_user_id: str | None = None


class VerifiedPayload:
    """The payload of a token whose signature was verified.

    The claims must not be changed. The claims of a payload with many members are not cached, because parsed claims can
    take twenty times the memory of the payload. `build_identity` releases the claims of other payloads when they have
    passed, because most later requests do not read them. If they are read again, they are cached again.

    Attributes:
        header: The header of the token.
        fingerprint: The fingerprint of the key that signed the token.
        payload: The payload in bytes of JSON.
        cached_claims: The parsed claims; None if they are not cached.
        times: `exp`, `nbf` and `iat`; None if one of them is not valid. `check_claims` refuses such a token.
        passed: The last result of the claim checks that do not depend on the time; None if they did not pass.
    """

    __slots__ = ("cached_claims", "fingerprint", "header", "passed", "payload", "times")

    def __init__(self, header: JOSEHeader, fingerprint: bytes, payload: bytes, claims: Claims) -> None:
        self.header = header
        self.fingerprint = fingerprint
        self.payload = payload
        self.cached_claims = None if len(payload) > _ALWAYS_CACHED_SIZE and _has_many_members(payload) else claims
        self.passed: PassedClaims | None = None
        self.times: TokenTimes | None
        try:
            self.times = read_times(claims)
        except Refused:
            self.times = None

    @property
    def claims(self) -> Claims:
        """The claims. They are parsed again if they are not cached."""
        claims = self.cached_claims
        if claims is None:
            claims = parse_json_object(self.payload)
            if len(self.payload) <= _ALWAYS_CACHED_SIZE or not _has_many_members(self.payload):
                self.cached_claims = claims
        return claims


def _has_many_members(payload: bytes) -> bool:
    return payload.count(b",") + payload.count(b"{") + payload.count(b"[") > _MAX_CACHED_MEMBERS


class SignatureCache(PartitionedCache[bytes, VerifiedPayload]):
    """A partitioned cache of verified payloads, by app ID and by the SHA-256 of the token.

    Args:
        total: The most entries of all apps.
        per_app: The most entries of one app.
        max_bytes: The longest token that is cached, in bytes.
    """

    def __init__(self, *, total: int, per_app: int, max_bytes: int) -> None:
        super().__init__(total=total, per_app=per_app)
        self._max_bytes = max_bytes

    def knows(self, app_id: str) -> bool:
        """Return whether the cache has an entry for this app."""
        return app_id in self.partitions

    def get(self, app_id: str, digest: bytes) -> VerifiedPayload | None:
        """Return the entry of the token with this SHA-256. It applies only to a key with the entry's fingerprint."""
        entries = self.partitions.get(app_id)
        return entries.get(digest) if entries is not None else None

    def add(self, app_id: str, digest: bytes, token: str, signed: VerifiedPayload) -> None:
        """Add a verified payload, unless the token is longer than `max_bytes`.

        Args:
            app_id: The ID of the app whose key signed the token.
            digest: The SHA-256 of `token`.
            token: The whole token.
            signed: The payload of the token. It replaces the entry of another key that also verifies the token.
        """
        if len(token) <= self._max_bytes:
            with self._lock:
                self._put(app_id, digest, signed)
