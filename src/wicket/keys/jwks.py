"""A JSON Web Key Set as a credential: a static document, or a remote set that is fetched when a token needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wicket.errors import config_error
from wicket.keys.algorithms import ASYMMETRIC, Key, expand_aliases
from wicket.keys.key_set import KeySource, read_members
from wicket.keys.secret import allow_list
from wicket.keys.urls import check_url

MAX_KEYS: Final = 64
"""The maximum number of members of a static key set."""

DEFAULT_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")


class Jwks:
    """A JSON Web Key Set (RFC 7517 section 5) of one issuer.

    `Jwks(url)` is fetched from an https URL when a token needs it, with protection against SSRF, and kept fresh.
    `Jwks.discover(issuer)` gets that URL from the issuer's metadata. `Jwks.static(document)` never changes.

    Args:
        url: the https URL of the key set.
        algorithms: the allow-list. Algorithms with a public key only.
        issuer: the `iss` that tokens of this key set must have. None: the issuer of the app.
        allow_http: whether the URL may be an http URL. The fetch is refused unless a rule of `Network(rules=…)` allows
            http for its origin and this app.

    Attributes:
        keys: the keys of a static key set. Empty for a remote one.
        skipped: for each member of a static key set that is not used, a string with the reason.
        source: the source of a remote key set. None for a static one.

    Raises:
        ConfigError: the URL or the issuer is invalid, or an algorithm is not allowed.
    """

    __slots__ = ("algorithms", "keys", "skipped", "source")

    keys: tuple[Key, ...]
    skipped: tuple[str, ...]
    source: KeySource | None

    def __init__(
        self,
        url: str,
        *,
        algorithms: Iterable[str] = DEFAULT_ALGORITHMS,
        issuer: str | None = None,
        allow_http: bool = False,
    ) -> None:
        if issuer is not None and (not isinstance(issuer, str) or not issuer):
            raise config_error("issuer", "must be a non-empty string")
        self._set(algorithms, (), ())
        allowed = _is_http_allowed(allow_http)
        self.source = KeySource(check_url(url, allow_http=allowed), issuer, self.algorithms, allowed)

    def _set(self, algorithms: Iterable[str], keys: Iterable[Key], skipped: Iterable[str]) -> None:
        self.algorithms = allow_list(algorithms, ASYMMETRIC, "a key set")
        self.keys = tuple(keys)
        self.skipped = tuple(skipped)
        self.source = None

    @classmethod
    def discover(cls, issuer: str, *, algorithms: Iterable[str] = DEFAULT_ALGORITHMS, allow_http: bool = False) -> Jwks:
        """Return the remote key set whose URL is in the issuer's metadata.

        The metadata is that of OpenID Connect Discovery 1.0 section 4 or RFC 8414 section 3.

        Args:
            issuer: the https URL of the issuer, exactly as it is in the tokens' `iss`.
            algorithms: the allow-list. Algorithms with a public key only.
            allow_http: whether the issuer, and the URL in its metadata, may be http URLs. See `Jwks`.

        Raises:
            ConfigError: the issuer is not a plain https URL, has a query, or an algorithm is not allowed.
        """
        allowed = _is_http_allowed(allow_http)
        check_url(issuer, path="issuer", allow_http=allowed)
        if "?" in issuer:
            raise config_error("issuer", "must not have a query", "OpenID Connect Discovery 1.0 section 3")
        self = cls.__new__(cls)
        self._set(algorithms, (), ())
        self.source = KeySource(None, issuer, self.algorithms, allowed)
        return self

    @classmethod
    def static(cls, document: Mapping[str, Any], *, algorithms: Iterable[str] = DEFAULT_ALGORITHMS) -> Jwks:
        """Return a key set that never changes.

        Members that cannot be used are skipped. The attribute `skipped` contains the reasons.

        Args:
            document: the parsed key set, with at most 64 keys.
            algorithms: the allow-list. Algorithms with a public key only.

        Raises:
            ConfigError: the document is not a key set, has too many keys, or has no usable key.
        """
        self = cls.__new__(cls)
        self._set(algorithms, (), ())
        members = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(members, list):
            raise config_error("document", "is not a key set", 'an object with a list "keys"')
        if len(members) > MAX_KEYS:
            raise config_error("document", f"has more than {MAX_KEYS} keys", "remove the keys that are no longer used")
        self.keys, self.skipped = read_members(members, expand_aliases(self.algorithms), None)
        if not self.keys:
            raise config_error("document", "has no usable key", "; ".join(self.skipped))
        return self

    def __repr__(self) -> str:
        if self.source is not None:
            return f"Jwks({self.source.redacted!r}, algorithms={self.algorithms!r})"
        return f"Jwks({len(self.keys)} keys, {len(self.skipped)} skipped, algorithms={self.algorithms!r})"


def _is_http_allowed(allow_http: object) -> bool:
    """Return the value of `allow_http`. Raise `ConfigError` if it is not a boolean."""
    if not isinstance(allow_http, bool):
        raise config_error("allow_http", "must be true or false")
    return allow_http
