"""A key set as an immutable value, and the source of a remote one. This module does no I/O."""

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
    """The source of a remote key set.

    Attributes:
        url: the URL of the key set. None: it is in the metadata of `issuer`.
        issuer: the `iss` that tokens must have. None: the issuer of the app.
        algorithms: the allow-list.
        allow_http: whether the URL, the issuer and the URL in its metadata may have the scheme `http`. A fetch still
            needs a rule of the operator (`Network(rules=…)`).
    """

    url: KeySetUrl | None
    issuer: str | None
    algorithms: tuple[str, ...]
    allow_http: bool = False

    @property
    def host(self) -> tuple[str, int]:
        """The host and port of the first request. Fetches from one host and port share a part of the pool's threads."""
        url = self.url or check_url(self.issuer, allow_http=self.allow_http)
        return url.host, url.port

    @property
    def redacted(self) -> str:
        """The URL or the issuer, without a query, for logs."""
        return self.url.redacted if self.url is not None else str(self.issuer).partition("?")[0]


class KeySet(NamedTuple):
    """The content of a key set.

    Attributes:
        keys: the usable keys.
        skipped: for each unusable member, a string with the reason. It does not quote the key.
        keyring: the index of `keys` for the selection.
    """

    keys: tuple[Key, ...]
    skipped: tuple[str, ...]
    keyring: Keyring

    @property
    def never_tried(self) -> tuple[str, ...]:
        """The keys that exceed the cost budget of every token, by their index in `keys` and their `kid`."""
        return self.keyring.never_tried(without_kid=False)

    @property
    def kids(self) -> frozenset[str]:
        """The `kid`s of the usable keys."""
        return frozenset(key.kid for key in self.keys if key.kid is not None)

    def select(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """Return the keys to try.

        Args:
            algorithm: the algorithm of the token.
            kid: the `kid` of the token. Without one, a key is selected only if exactly one key is compatible.
        """
        keys = self.keyring.select(algorithm, kid)
        if kid is None and sum(algorithm in key.algorithms for key in self.keys) != 1:
            return ()
        return keys


class KeySetRef(NamedTuple):
    """The key of a key set in the cache. Apps share nothing: neither a cached key nor a budget.

    Attributes:
        app_id: the id of the app.
        source: the source of the key set.
    """

    app_id: str
    source: KeySource


class FetchedKeySet(NamedTuple):
    """A fetched key set, with its URL and the validators of its last response.

    A key that the set lacks was not published at `began`.

    Attributes:
        keys: the content.
        url: the URL from which it was fetched.
        etag: the `ETag` of the response (RFC 9110 section 8.8.3), or None.
        modified: the `Last-Modified` of the response (RFC 9110 section 8.8.2), or None.
        at: the time of the last fetch that returned or confirmed the set, in seconds of a monotonic clock.
        discovered_at: the time at which the issuer's metadata was read, in seconds of the same clock.
        address: the IP address of the connection, or None.
        seconds: the duration of the fetch.
        empty_since: the time of the first empty response, in seconds of the same clock. An empty set is accepted only
            when a later fetch confirms it. None: the last response was not empty.
        began: the start of the fetch that returned or confirmed the set, in seconds of the monotonic clock.
        began_at: the same moment in seconds since 1970, by the clock that token times are compared with.
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


def read_key_set(members: Iterable[object], source: KeySource, bounds: RSABounds = REMOTE) -> KeySet:
    """Import the usable members of a remote key set.

    Args:
        members: the parsed JWKs.
        source: the source of the key set.
        bounds: the limits of RSA keys.
    """
    keys, skipped = read_members(members, source.algorithms, source.issuer, bounds)
    return KeySet(keys, skipped, Keyring(keys))


def read_members(
    members: Iterable[object], algorithms: Iterable[str], issuer: str | None, bounds: RSABounds = LOCAL
) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """Import the usable members of a key set. An unusable member is skipped, and the others are still used.

    Args:
        members: the parsed JWKs.
        algorithms: the allow-list.
        issuer: the `iss` that tokens must have. None: the issuer of the app.
        bounds: the limits of RSA keys.

    Returns:
        The keys, and for each unusable member a string with its index and the reason.
    """
    keys: list[Key] = []
    skipped: list[str] = []
    for index, member in enumerate(members):
        try:
            keys.append(import_jwk(member, algorithms, issuer=issuer, bounds=bounds))
        except UnusableKeyError as unusable:
            skipped.append(f"keys[{index}]: {unusable}")
    return tuple(keys), tuple(skipped)
