"""A key set as an immutable value, and where a remote one comes from. No I/O happens here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from wicket.keys.algorithms import Key, UnusableKeyError
from wicket.keys.jwk import import_jwk
from wicket.keys.keyring import Keyring
from wicket.keys.urls import KeySetUrl, check_url
from wicket.keys.weak_keys import LOCAL, REMOTE, RSABounds


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a remote key set comes from: a URL, or an issuer that names it; whose tokens it verifies, and with what."""

    url: KeySetUrl | None
    issuer: str | None
    algorithms: tuple[str, ...]

    @property
    def host(self) -> tuple[str, int]:
        """The host and port that are asked first, which share the threads of the fetches fairly with others."""
        url = self.url or check_url(self.issuer)
        return url.host, url.port

    @property
    def redacted(self) -> str:
        """The URL, or the issuer, without a query: for logs."""
        return self.url.redacted if self.url is not None else str(self.issuer).partition("?")[0]


class KeySet(NamedTuple):
    """One generation of a key set. `skipped` says why members were left out, one text each; it quotes no key."""

    keys: tuple[Key, ...]
    skipped: tuple[str, ...]
    keyring: Keyring

    @property
    def never_tried(self) -> tuple[str, ...]:
        """The keys that exceed the budget of each token, by their place among the keys that serve and their id."""
        return self.keyring.never_tried(without_kid=False)

    @property
    def kids(self) -> frozenset[str]:
        """The ids of the keys that serve."""
        return frozenset(key.kid for key in self.keys if key.kid is not None)

    def select(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """The keys to try. A token without a `kid` is tried only where exactly one key fits."""
        keys = self.keyring.select(algorithm, kid)
        if kid is None and sum(algorithm in key.algorithms for key in self.keys) != 1:
            return ()
        return keys


class KeySetRef(NamedTuple):
    """Whose key set, and from where: nothing of one app is ever shared with another, not a key and not a budget."""

    app_id: str
    source: KeySource


class FetchedKeySet(NamedTuple):
    """A key set as it was fetched: with where it was found, and what is needed to ask for changes only.

    `at` and `discovered_at` are of a monotonic clock, in seconds; `address` is what was dialled, and `seconds` what the
    fetch took; `empty_since` is when the endpoint first showed an empty set, which is believed at a second look.
    `began` is when the fetch that brought or confirmed the set began, by the monotonic clock, and `began_at` the same
    moment in seconds since 1970, by the clock that judges tokens. A key that the set lacks was not published then.
    """

    keys: KeySet
    url: KeySetUrl
    etag: str | None
    modified: str | None
    at: float
    discovered_at: float
    address: str | None = None
    seconds: float = 0.0
    empty_since: float | None = None
    began: float = 0.0
    began_at: float = 0.0

    @property
    def empty_seen(self) -> bool:
        """Whether the endpoint has shown an empty set since."""
        return self.empty_since is not None


def read_key_set(members: Iterable[object], source: KeySource, bounds: RSABounds = REMOTE) -> KeySet:
    """Import what can serve of a source's members. `bounds` are those of its RSA keys."""
    keys, skipped = read_members(members, source.algorithms, source.issuer, bounds)
    return KeySet(keys, skipped, Keyring(keys))


def read_members(
    members: Iterable[object], algorithms: Iterable[str], issuer: str | None, bounds: RSABounds = LOCAL
) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """The keys that can serve, and why the others cannot. A broken member is skipped, never the set."""
    keys: list[Key] = []
    skipped: list[str] = []
    for index, member in enumerate(members):
        try:
            keys.append(import_jwk(member, algorithms, issuer=issuer, bounds=bounds))
        except UnusableKeyError as unusable:
            skipped.append(f"keys[{index}]: {unusable}")
    return tuple(keys), tuple(skipped)
