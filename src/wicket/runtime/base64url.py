"""Strict base64url (RFC 7515 section 2): no padding, no other characters, one canonical encoding for each value."""

from __future__ import annotations

import binascii
import re
from typing import Final

_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_-]*")
_ALL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_LAST: Final = (_ALL | {""}, frozenset[str](), frozenset("AQgw"), frozenset("AEIMQUYcgkosw048"))
# By length modulo 4: the allowed last characters. Any other character leaves unused bits that are not zero. A length of
# 1 modulo 4 encodes no whole byte.

_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def is_canonical(value: str) -> bool:
    """Return whether a base64url string is canonical.

    Args:
        value: a string that consists of base64url characters only.

    Returns:
        True if the length encodes whole bytes and the unused bits of the last character are zero.
    """
    return value[-1:] in _LAST[len(value) % 4]


def decode(value: str) -> bytes:
    """Decode a base64url string.

    Args:
        value: any string.

    Returns:
        The bytes that it encodes.

    Raises:
        ValueError: the string is not the canonical encoding of its bytes.
    """
    if not _CHARACTERS.fullmatch(value) or not is_canonical(value):
        raise ValueError("not canonical base64url")
    return decode_canonical(value)


def decode_canonical(value: str) -> bytes:
    """Decode a base64url string without a check.

    Args:
        value: a string that is known to be canonical base64url.

    Returns:
        The bytes that it encodes.
    """
    return binascii.a2b_base64(value.encode("ascii").translate(_TO_STANDARD) + b"==")  # surplus padding is ignored


def encode(value: bytes) -> str:
    """Encode bytes as base64url.

    Args:
        value: any bytes.

    Returns:
        The canonical encoding, without padding.
    """
    return binascii.b2a_base64(value, newline=False).translate(_TO_URL_SAFE).rstrip(b"=").decode()
