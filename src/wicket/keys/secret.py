"""Shared secrets as credentials, and the protocol of all credentials.

A credential is a shared secret, a public key, or a key set. Each has its own allow-list of algorithms. The bytes of one
kind are never used as another kind. Keys are prepared once, when the configuration is built.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, Protocol

from wicket.errors import Problems, config_error
from wicket.keys.algorithms import (
    HASH_BYTES,
    Key,
    hmac_key,
)
from wicket.keys.public_key_detection import looks_like_public_key
from wicket.runtime import base64url

Encoding = Literal["bytes", "text", "hex", "base64"]

_log = logging.getLogger("wicket")

_EXAMPLES: Final = frozenset(
    {
        b"secret",
        b"changeme",
        b"your-256-bit-secret",
        b"your-384-bit-secret",
        b"your-512-bit-secret",
        b"a-string-secret-at-least-256-bits-long",
        b"a-valid-string-secret-that-is-at-least-384-bits-long",
        b"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        b"iv_your-secret-key",
        b"sk_live_...",
        # RFC 7515 appendix A.1.1
        base64url.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
    }
)


class Credential(Protocol):
    """The interface of every kind of credential."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """The prepared keys. Empty for a remote key set."""
        ...

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The allow-list of algorithms."""
        ...


class Secret:
    """A shared secret for HMAC. Use `from_text`, `from_hex` or `from_base64` if the secret is a string.

    Args:
        value: the secret itself. It must have at least as many bytes as the hash of each of its algorithms (RFC 7518
            section 3.2).
        kid: the `kid` of tokens that are signed with the secret. None: it is tried for tokens with any `kid`.
        algorithms: the allow-list, of `HS256`, `HS384` and `HS512`.
        allow_short: True accepts a secret that is too short. This is logged.

    Attributes:
        encoding: the encoding of the value from which the secret was created: `bytes`, `text`, `hex` or `base64`.
        keys: the prepared key, as a tuple.

    Raises:
        ConfigError: the value is empty, too short, a well-known example or a public key, or an algorithm is not an HMAC
            algorithm.
    """

    __slots__ = ("algorithms", "encoding", "keys", "kid")

    def __init__(
        self,
        value: bytes,
        *,
        kid: str | None = None,
        algorithms: Iterable[str] = ("HS256",),
        allow_short: bool = False,
    ) -> None:
        self._set(value, kid, algorithms, allow_short, "bytes")

    def _set(
        self, value: bytes, kid: str | None, algorithms: Iterable[str], allow_short: bool, encoding: Encoding
    ) -> None:
        if not isinstance(value, bytes):
            raise config_error("value", "must be bytes", "use Secret.from_text, from_hex or from_base64 for a string")
        if not isinstance(allow_short, bool):
            raise config_error("allow_short", "must be true or false")
        self.kid = checked_kid(kid)
        self.algorithms = allow_list(algorithms, HASH_BYTES.keys(), "a secret")
        self.encoding: Encoding = encoding
        minimum = max(HASH_BYTES[name] for name in self.algorithms)
        if not value:
            raise config_error("value", "is empty", "create a secret: openssl rand -hex 32")
        if value.strip() in _EXAMPLES or len(set(value)) == 1:
            raise config_error(
                "value", "is a well-known example, or one byte repeated", "create a secret: openssl rand -hex 32"
            )
        if len(value) < minimum:
            hint = "create a secret: openssl rand -hex 32; or set allow_short=True"
            if not allow_short:
                raise config_error("value", f"has {len(value)} bytes, and needs at least {minimum}", hint)
            _log.warning(
                "a secret of %d bytes is in use, although at least %d bytes are required (allow_short)",
                *(len(value), minimum),
            )
        if looks_like_public_key(value):
            hint = "use PublicKey.from_pem or PublicKey.from_jwk"
            raise config_error("value", "is a public key, not a secret", hint)
        self.keys = (hmac_key(self.kid, self.algorithms, value),)

    @classmethod
    def _of(
        cls, value: bytes, encoding: Encoding, kid: str | None, algorithms: Iterable[str], allow_short: bool
    ) -> Secret:
        self = cls.__new__(cls)
        self._set(value, kid, algorithms, allow_short, encoding)
        return self

    @classmethod
    def from_text(
        cls, text: str, *, kid: str | None = None, algorithms: Iterable[str] = ("HS256",), allow_short: bool = False
    ) -> Secret:
        """Create a secret from the UTF-8 bytes of a string. Most JWT libraries use a string secret in this way.

        Args:
            text: the string.
            kid: see `Secret`.
            algorithms: see `Secret`.
            allow_short: see `Secret`.

        Raises:
            ConfigError: the string has whitespace or quotes around it, a byte order mark or a lone surrogate, or the
                secret is invalid (see `Secret`).
        """
        if not isinstance(text, str):
            raise config_error("value", "must be a string")
        if text != text.strip() or (text[:1] in "\"'" and text[:1] == text[-1:] and len(text) > 1):
            raise config_error("value", "has spaces, a line break or quotes around it", "remove them")
        if any("\ud800" <= char <= "\udfff" or char == "\ufeff" for char in text):
            raise config_error("value", "contains a byte order mark or a lone surrogate", "copy the secret again")
        return cls._of(text.encode(), "text", kid, algorithms, allow_short)

    @classmethod
    def from_hex(
        cls, text: str, *, kid: str | None = None, algorithms: Iterable[str] = ("HS256",), allow_short: bool = False
    ) -> Secret:
        """Create a secret from hexadecimal digits.

        Args:
            text: two digits for each byte, without separators.
            kid: see `Secret`.
            algorithms: see `Secret`.
            allow_short: see `Secret`.

        Raises:
            ConfigError: the string is not hexadecimal, or the secret is invalid (see `Secret`).
        """
        if not isinstance(text, str) or not re.fullmatch(r"(?:[0-9A-Fa-f]{2})*", text):
            raise config_error("value", "is not hexadecimal", "two digits for each byte, without other characters")
        return cls._of(bytes.fromhex(text), "hex", kid, algorithms, allow_short)

    @classmethod
    def from_base64(
        cls, text: str, *, kid: str | None = None, algorithms: Iterable[str] = ("HS256",), allow_short: bool = False
    ) -> Secret:
        """Create a secret from base64 or base64url (RFC 4648 sections 4 and 5).

        Args:
            text: the string, with or without padding.
            kid: see `Secret`.
            algorithms: see `Secret`.
            allow_short: see `Secret`.

        Raises:
            ConfigError: the string is not base64, or the secret is invalid (see `Secret`).
        """
        hint = "the alphabet of RFC 4648 section 4 or 5, without other characters"
        if not isinstance(text, str) or not re.fullmatch(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}", text):
            raise config_error("value", "is not base64", hint)
        unpadded = text.rstrip("=")
        try:
            value = base64.urlsafe_b64decode(unpadded.replace("+", "-").replace("/", "_") + "=" * (-len(unpadded) % 4))
        except binascii.Error:
            raise config_error("value", "is not base64", hint) from None
        return cls._of(value, "base64", kid, algorithms, allow_short)

    def __repr__(self) -> str:
        return f"Secret(kid={self.kid!r}, algorithms={self.algorithms!r})"


def credential_hint(value: object) -> str:
    """Return how a credential is made of a value of another type. Empty for a credential.

    The value is not quoted, because it may be a secret.

    Args:
        value: the value.
    """
    if isinstance(value, str):
        return "wrap it in Secret.from_text, Secret.from_hex or Secret.from_base64, or in PublicKey.from_pem"
    if isinstance(value, bytes):
        return "wrap it in Secret(…)"
    if isinstance(value, dict):
        return "wrap it in PublicKey.from_jwk, or a key set in Jwks.static"
    return "" if isinstance(getattr(value, "keys", None), tuple) else "a Secret, a PublicKey or a Jwks"


def allow_list(names: Iterable[str], possible: Iterable[str], kind: str) -> tuple[str, ...]:
    """Check an allow-list of algorithms.

    Args:
        names: the allow-list.
        possible: the algorithms that the credential can be used with.
        kind: the kind of credential, for the error.

    Returns:
        The names.

    Raises:
        ConfigError: the list is empty, or contains other names.
    """
    known = frozenset(possible)
    checked: tuple[Any, ...] = Problems().as_tuple("algorithms", names, "names")
    if not checked:
        raise config_error("algorithms", "must be a list of at least one name")
    unknown = [_printable(name) for name in checked if not isinstance(name, str) or name not in known]
    if unknown:
        raise config_error(
            "algorithms", f"{', '.join(unknown)} cannot serve {kind}", f"one of {', '.join(sorted(known))}"
        )
    return checked


def _printable(name: object) -> str:
    """Return a wrong algorithm name for an error. A longer value is not quoted, because it may be a secret."""
    return repr(name) if isinstance(name, str) and len(name) <= 10 else "another value"


def checked_kid(kid: str | None) -> str | None:
    """Check the `kid` of a credential.

    Args:
        kid: the `kid`, or None.

    Returns:
        The same value.

    Raises:
        ConfigError: it is not a string of 1 to 256 characters.
    """
    if kid is not None and (not isinstance(kid, str) or not kid or len(kid) > 256):
        raise config_error("kid", "must be a string of 1 to 256 characters")
    return kid
