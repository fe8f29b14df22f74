"""The signature memory: it remembers that these exact bytes were signed by this exact key, and never a decision.

Origin, times, claims, revocation and mode are evaluated on every request. An entry is found by the app and the SHA-256
of the whole token, its algorithm and `kid` among it, and proves something only for a key of the very material that
signed it: the key is chosen anew for each request, and one that is gone takes what it signed along. Reads take no lock;
entries are immutable and never handed out.
"""

from __future__ import annotations

import threading
from typing import Final

from wicket.decision.claims import Claims, TokenTimes, read_times
from wicket.decision.token_parser import JOSEHeader, parse_json_object
from wicket.errors import Refused

_KEPT_MEMBERS: Final = 64
_SHORT: Final = 256


class VerifiedPayload:
    """A payload whose signature was verified by a key with this `fingerprint`, its header, and its claims.

    The claims are only read. Those of a payload with many members are not kept: parsed, they can take twenty times its
    size. `times` are its dates; None where they do not have their form, which whoever checks the claims will say.
    """

    __slots__ = ("cached_claims", "fingerprint", "header", "payload", "times")

    def __init__(self, header: JOSEHeader, fingerprint: bytes, payload: bytes, claims: Claims) -> None:
        many = len(payload) > _SHORT and payload.count(b",") + payload.count(b"{") + payload.count(b"[") > _KEPT_MEMBERS
        self.header = header
        self.fingerprint = fingerprint
        self.payload = payload
        self.cached_claims = None if many else claims
        self.times: TokenTimes | None
        try:
            self.times = read_times(claims)
        except Refused:
            self.times = None

    @property
    def claims(self) -> Claims:
        """The claims, parsed anew where they were not kept."""
        return parse_json_object(self.payload) if self.cached_claims is None else self.cached_claims


class SignatureCache:
    """At most `total` entries in all and `per_app` for one app; the oldest of an app make room for its newest."""

    def __init__(self, *, total: int, per_app: int, max_bytes: int) -> None:
        self._total = total
        self._per_app = per_app
        self._max_bytes = max_bytes
        self._entries: dict[str, dict[bytes, VerifiedPayload]] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held, and count anew what it may have been adding."""
        self._lock = threading.Lock()
        self._count = sum(len(entries) for entries in self._entries.values())

    def __len__(self) -> int:
        return self._count

    def knows(self, app_id: str) -> bool:
        """Whether any token of this app is remembered."""
        return app_id in self._entries

    def get(self, app_id: str, digest: bytes) -> VerifiedPayload | None:
        """What is remembered of the token with this SHA-256. It proves nothing but for a key of its fingerprint."""
        entries = self._entries.get(app_id)
        return entries.get(digest) if entries is not None else None

    def add(self, app_id: str, digest: bytes, token: str, signed: VerifiedPayload) -> None:
        """Remember a verified signature, unless the token is too long to be worth it."""
        if len(token) > self._max_bytes:
            return
        with self._lock:
            entries = self._entries.get(app_id)
            if entries is None:
                entries = self._entries[app_id] = {}
            if digest not in entries:
                if self._count >= self._total or len(entries) >= self._per_app:
                    self._evict(app_id, entries)
                self._count += 1
            entries[digest] = signed  # where it was known, another key has signed it as well, and is the one in use

    def clear_app(self, app_id: str) -> None:
        """Forget all that one app's keys signed."""
        with self._lock:
            self._count -= len(self._entries.pop(app_id, {}))

    def _evict(self, app_id: str, entries: dict[bytes, VerifiedPayload]) -> None:
        """For one more: out of the app's own if it has more than its share, else of the app whose turn it is."""
        full = self._count >= self._total
        own = len(entries) >= self._per_app or (full and len(entries) * len(self._entries) > self._total)
        self._forget_oldest(app_id if own else next(iter(self._entries)))
        self._entries.setdefault(app_id, entries)

    def _forget_oldest(self, app_id: str) -> None:
        """Drop an app's oldest entry, and put the app behind all others, so that they give way in turn."""
        entries = self._entries.pop(app_id)
        del entries[next(iter(entries))]
        self._count -= 1
        if entries:
            self._entries[app_id] = entries
