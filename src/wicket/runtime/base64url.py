"""Strict base64url (RFC 7515 section 2): no padding, no other characters, one canonical encoding for each value."""

from __future__ import annotations

import binascii
import string
from typing import Final

_ALPHABET: Final = (string.ascii_letters + string.digits + "-_").encode()
_STANDARD_ALPHABET: Final = (string.ascii_letters + string.digits + "+/").encode()
LAST: Final = tuple(
    frozenset(characters[index : index + 1] for index in range(len(characters) + empty))
    for characters, empty in ((_STANDARD_ALPHABET, 1), (b"", 0), (b"AQgw", 0), (b"AEIMQUYcgkosw048", 0))
)
"""The last characters of canonical encodings in the standard alphabet, by their length modulo 4.

Any other character leaves unused bits that are not zero. A length of 1 modulo 4 encodes no whole byte. An empty value
has no last character.
"""

DOT: Final = ord(".")
INVALID: Final = ord("!")
"""The byte to which `TO_STANDARD` maps each byte that is neither a base64url character nor a dot."""
PADDING: Final = b"=="
"""The padding with which `binascii.a2b_base64` decodes a value of any length. It ignores surplus padding."""
_STANDARD: Final = dict(zip(_ALPHABET + b".", _STANDARD_ALPHABET + b".", strict=True))
TO_STANDARD: Final = bytes(_STANDARD.get(character, INVALID) for character in range(256))
"""The table for `bytes.translate` from the base64url alphabet to the standard alphabet. A dot stays a dot."""
_TO_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def is_canonical(value: bytes) -> bool:
    """Return whether the base64 encoding of a value is canonical.

    Args:
        value: characters of the standard alphabet only, without padding.

    Returns:
        True if the length encodes whole bytes and the unused bits of the last character are zero.
    """
    return value[-1:] in LAST[len(value) % 4]


def decode(value: str) -> bytes:
    """Decode a base64url string.

    Args:
        value: any string.

    Returns:
        The bytes that it encodes.

    Raises:
        ValueError: the string is not the canonical encoding of its bytes.
    """
    standard = value.encode("ascii", "replace").translate(TO_STANDARD)
    if INVALID in standard or DOT in standard or not is_canonical(standard):
        raise ValueError("not canonical base64url")
    return decode_standard(standard)


def decode_canonical(value: str) -> bytes:
    """Decode a base64url string without a check.

    Args:
        value: a string that is known to be canonical base64url.

    Returns:
        The bytes that it encodes.
    """
    return decode_standard(value.encode("ascii").translate(TO_STANDARD))


def decode_standard(value: bytes) -> bytes:
    """Decode base64 without a check.

    Args:
        value: characters of the standard alphabet that are known to be canonical, without padding.

    Returns:
        The bytes that they encode.
    """
    return binascii.a2b_base64(value + PADDING)


def encode(value: bytes) -> str:
    """Encode bytes as base64url.

    Args:
        value: any bytes.

    Returns:
        The canonical encoding, without padding.
    """
    return binascii.b2a_base64(value, newline=False).translate(_TO_URL_SAFE).rstrip(b"=").decode()
