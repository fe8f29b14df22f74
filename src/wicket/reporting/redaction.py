"""Escapes values that a client sent for log records and events."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

_HASH_KEY: Final = secrets.token_bytes(16)

_MAX_SHOWN: Final = 256

_MAX_SEARCHED: Final = 4 * _MAX_SHOWN

_BASE64URL_RUN: Final = re.compile(r"[A-Za-z0-9_-]{16,}+")
"""Base64url characters in a row, as many as the shortest part of a token that must not be logged."""

_JSON_PART: Final = re.compile(r"e(?:y[A-DI-L]|w[k-r0-3])[A-Za-z0-9_-]{8,}+(?=\.)")
"""A part of a token that is a JSON object: the base64url of `{` and a quotation mark or white space, before a dot."""

_WITHHELD: Final = "(withheld)"


def short_hash(name: str) -> str:
    """Return 12 hexadecimal digits of a hash of an unverified name. Its key is random for each process."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), key=_HASH_KEY, digest_size=6).hexdigest()


def shown(value: str) -> str:
    """Return a value that a client sent, in printable ASCII: all other characters are escaped.

    The result has at most 256 characters. A part that looks like a token is withheld, because a client may put a token
    into a path or an Origin.
    """
    value = _JSON_PART.sub(_WITHHELD, value[:_MAX_SEARCHED])
    value = _BASE64URL_RUN.sub(_redact_run, value)
    escaped = ascii(value[:_MAX_SHOWN])[1:-1]
    return escaped if len(value) <= _MAX_SHOWN and len(escaped) <= _MAX_SHOWN else f"{escaped[: _MAX_SHOWN - 1]}…"


def _redact_run(run: re.Match[str]) -> str:
    """Redact characters that may be the base64url of bytes.

    It has upper-case letters, lower-case letters and digits. Words and hexadecimal numbers do not have all three.
    """
    kinds = (str.isupper, str.islower, str.isdigit)
    return _WITHHELD if all(any(map(kind, run[0])) for kind in kinds) else run[0]
