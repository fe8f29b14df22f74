"""What proves a token of an app: a shared secret, a public key, or a set of public keys.

Every credential says which kind it is and carries its own allow-list of algorithms; the bytes of one kind are never
tried as another. Keys are prepared here, once, when the configuration is built.
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
    """What every kind of credential offers to the app that holds it."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """The prepared keys."""
        ...

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The allow-list."""
        ...


class Secret:
    """A shared secret for HMAC, at least as long as the hash of each of its algorithms (RFC 7518 section 3.2).

    `value` is the key itself, in bytes; `from_text`, `from_hex` and `from_base64` say how a text spells it. `kid` is
    the `kid` of tokens signed with it, where they carry one. `algorithms` are some of HS256, HS384, HS512.

    Raises `ConfigError` for an empty or well-known value, for one that is the text of a public key, for other
    algorithms, and for a short value unless `allow_short` says that this is known (which is logged).
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
            raise config_error("value", "must be bytes", "use Secret.from_text, from_hex or from_base64 for text")
        if not isinstance(allow_short, bool):
            raise config_error("allow_short", "must be true or false")
        self.kid = _checked_kid(kid)
        self.algorithms = allow_list(algorithms, HASH_BYTES.keys(), "a secret")
        self.encoding: Encoding = encoding
        least = max(HASH_BYTES[name] for name in self.algorithms)
        if not value:
            raise config_error("value", "is empty")
        if value.strip() in _EXAMPLES or len(set(value)) == 1:
            raise config_error(
                "value", "is a well-known example, or one byte repeated", "make one: openssl rand -hex 32"
            )
        if len(value) < least:
            hint = "make one: openssl rand -hex 32; or say allow_short=True"
            if not allow_short:
                raise config_error("value", f"has {len(value)} bytes, and needs at least {least}", hint)
            _log.warning("a secret of %d bytes is in use where %d are the least (allow_short)", len(value), least)
        if looks_like_public_key(value):
            hint = "use PublicKey.from_pem or PublicKey.from_jwk"
            raise config_error("value", "is the text of a public key, not a secret", hint)
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
        """The UTF-8 bytes of `text` are the key, as most JWT libraries use a string."""
        if not isinstance(text, str):
            raise config_error("value", "must be a string")
        if text != text.strip() or (text[:1] in "\"'" and text[:1] == text[-1:] and len(text) > 1):
            raise config_error("value", "has blanks, a line break or quotes around it", "strip them")
        if any("\ud800" <= char <= "\udfff" or char == "\ufeff" for char in text):
            raise config_error("value", "has a byte order mark or half a character in it")
        return cls._of(text.encode(), "text", kid, algorithms, allow_short)

    @classmethod
    def from_hex(
        cls, text: str, *, kid: str | None = None, algorithms: Iterable[str] = ("HS256",), allow_short: bool = False
    ) -> Secret:
        """`text` spells the key in hexadecimal digits, two for each byte and nothing else."""
        if not isinstance(text, str) or not re.fullmatch(r"(?:[0-9A-Fa-f]{2})*", text):
            raise config_error("value", "is not hexadecimal", "two digits for each byte, nothing between or around")
        return cls._of(bytes.fromhex(text), "hex", kid, algorithms, allow_short)

    @classmethod
    def from_base64(
        cls, text: str, *, kid: str | None = None, algorithms: Iterable[str] = ("HS256",), allow_short: bool = False
    ) -> Secret:
        """`text` spells the key in base64, of either alphabet (RFC 4648 sections 4 and 5), padding optional."""
        hint = "the alphabet of RFC 4648 section 4 or 5, nothing between or around"
        if not isinstance(text, str) or not re.fullmatch(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}", text):
            raise config_error("value", "is not base64", hint)
        bare = text.rstrip("=")
        try:
            value = base64.urlsafe_b64decode(bare.replace("+", "-").replace("/", "_") + "=" * (-len(bare) % 4))
        except binascii.Error:
            raise config_error("value", "is not base64", hint) from None
        return cls._of(value, "base64", kid, algorithms, allow_short)

    def __repr__(self) -> str:
        return f"Secret(kid={self.kid!r}, algorithms={self.algorithms!r})"


def allow_list(names: Iterable[str], possible: Iterable[str], what: str) -> tuple[str, ...]:
    """An allow-list of algorithms for `what`. Raises `ConfigError` for an empty one and for names that cannot serve."""
    known = frozenset(possible)
    given: tuple[Any, ...] = Problems().as_tuple("algorithms", names, "names")
    if not given:
        raise config_error("algorithms", "must be a list of at least one name")
    wrong = [_shown(name) for name in given if not isinstance(name, str) or name not in known]
    if wrong:
        raise config_error(
            "algorithms", f"{', '.join(wrong)} cannot serve {what}", f"one of {', '.join(sorted(known))}"
        )
    return given


def _shown(name: object) -> str:
    """A wrong name of an algorithm, if it looks like one: a secret that stands in its place is not repeated."""
    return repr(name) if isinstance(name, str) and len(name) <= 10 else "another value"


def _checked_kid(kid: str | None) -> str | None:
    if kid is not None and (not isinstance(kid, str) or not kid or len(kid) > 256):
        raise config_error("kid", "must be a string of 1 to 256 characters")
    return kid
