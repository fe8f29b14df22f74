"""A JSON Web Key Set as a credential: given whole, or named by a URL or an issuer and fetched when it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wicket.errors import config_error
from wicket.keys.algorithms import ASYMMETRIC, Key, expand_aliases
from wicket.keys.key_set import KeySource, read_members
from wicket.keys.secret import allow_list
from wicket.keys.urls import check_url

MAX_KEYS: Final = 64
"""How many members of a static key set are looked at."""

DEFAULT_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")


class Jwks:
    """A JSON Web Key Set (RFC 7517 section 5) of one issuer.

    `Jwks(url)` is fetched from an https URL, under guard, when a token needs it, and kept fresh; `issuer` is the `iss`
    that its tokens must have, the app's unless given. `Jwks.discover(issuer)` asks the issuer for that URL.
    `Jwks.static(document)` is a set that never changes. `algorithms` is the allow-list, of public-key algorithms only.

    Raises `ConfigError` for a URL or issuer that is not plain https, and for other algorithms.
    """

    __slots__ = ("algorithms", "keys", "skipped", "source")

    keys: tuple[Key, ...]
    skipped: tuple[str, ...]
    source: KeySource | None

    def __init__(self, url: str, *, algorithms: Iterable[str] = DEFAULT_ALGORITHMS, issuer: str | None = None) -> None:
        if issuer is not None and (not isinstance(issuer, str) or not issuer):
            raise config_error("issuer", "must be a text that is not empty")
        self._set(algorithms, (), ())
        self.source = KeySource(check_url(url), issuer, self.algorithms)

    def _set(self, algorithms: Iterable[str], keys: Iterable[Key], skipped: Iterable[str]) -> None:
        self.algorithms = allow_list(algorithms, ASYMMETRIC, "a key set")
        self.keys = tuple(keys)
        self.skipped = tuple(skipped)
        self.source = None

    @classmethod
    def discover(cls, issuer: str, *, algorithms: Iterable[str] = DEFAULT_ALGORITHMS) -> Jwks:
        """The set that `issuer` names in its metadata (OpenID Connect Discovery 1.0 section 4, RFC 8414)."""
        check_url(issuer, path="issuer")
        if "?" in issuer:
            raise config_error("issuer", "must have no query", "OpenID Connect Discovery 1.0 section 3")
        self = cls.__new__(cls)
        self._set(algorithms, (), ())
        self.source = KeySource(None, issuer, self.algorithms)
        return self

    @classmethod
    def static(cls, document: Mapping[str, Any], *, algorithms: Iterable[str] = DEFAULT_ALGORITHMS) -> Jwks:
        """A set that never changes. Members that must not verify are skipped; `skipped` says why, one text each.

        Raises `ConfigError` where the document is no key set, or none of its members can be used.
        """
        self = cls.__new__(cls)
        self._set(algorithms, (), ())
        members = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(members, list):
            raise config_error("document", "is not a key set", 'an object with a list "keys"')
        if len(members) > MAX_KEYS:
            raise config_error("document", f"has more than {MAX_KEYS} keys")
        self.keys, self.skipped = read_members(members, expand_aliases(self.algorithms), None)
        if not self.keys:
            raise config_error("document", "has no usable key", "; ".join(self.skipped))
        return self

    def __repr__(self) -> str:
        if self.source is not None:
            return f"Jwks({self.source.redacted!r}, algorithms={self.algorithms!r})"
        return f"Jwks({len(self.keys)} keys, {len(self.skipped)} skipped, algorithms={self.algorithms!r})"
