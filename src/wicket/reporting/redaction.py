"""Values that a client sent, as log records and events show them."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

_HASH_KEY: Final = secrets.token_bytes(16)

_MAX_SHOWN: Final = 256

_MAX_SEARCHED: Final = 4 * _MAX_SHOWN

_RUN: Final = re.compile(r"[A-Za-z0-9_-]{16,}+")
"""A run of base64url characters as long as the shortest part of a token that must not be logged."""

_WITHHELD: Final = "(withheld)"


def short_hash(name: str) -> str:
    """A short hash of an unverified name, keyed for this process: equal names can be told apart from others."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), key=_HASH_KEY, digest_size=6).hexdigest()


def shown(text: str) -> str:
    """A value that a client sent, for a record: everything but printable ASCII escaped, at most 256 characters.

    A part that looks like a token is withheld. A client may put one into a path or an Origin.
    """
    text = _RUN.sub(_withhold, text[:_MAX_SEARCHED])
    escaped = ascii(text[:_MAX_SHOWN])[1:-1]
    return escaped if len(text) <= _MAX_SHOWN and len(escaped) <= _MAX_SHOWN else f"{escaped[: _MAX_SHOWN - 1]}…"


def _withhold(run: re.Match[str]) -> str:
    """Base64url of bytes has capital and small letters and digits. Words and hexadecimal digits have not."""
    kinds = (str.isupper, str.islower, str.isdigit)
    return _WITHHELD if all(any(map(kind, run[0])) for kind in kinds) else run[0]
