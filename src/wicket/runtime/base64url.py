"""Strict base64url (RFC 7515 section 2): no padding, no other character, one spelling for each value."""

from __future__ import annotations

import binascii
import re
from typing import Final

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]*")
_ALL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_LAST: Final = (_ALL | {""}, frozenset[str](), frozenset("AQgw"), frozenset("AEIMQUYcgkosw048"))
"""By the length modulo 4: which characters may stand last. Others would leave stray bits, or spell no whole byte."""

_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def is_canonical(text: str) -> bool:
    """Whether `text`, of the right characters, has a length that spells bytes and no stray bits at its end."""
    return text[-1:] in _LAST[len(text) % 4]


def decode(text: str) -> bytes:
    """The bytes that `text` spells. Raises `ValueError` for anything but their one canonical spelling."""
    if not _SHAPE.fullmatch(text) or not is_canonical(text):
        raise ValueError("not canonical base64url")
    return decode_canonical(text)


def decode_canonical(text: str) -> bytes:
    """The bytes that `text` spells, which is known to be a canonical spelling."""
    return binascii.a2b_base64(text.encode("ascii").translate(_TO_STANDARD) + b"==")  # what is too much is not read


def encode(value: bytes) -> str:
    """The one canonical spelling of `value`."""
    return binascii.b2a_base64(value, newline=False).translate(bytes.maketrans(b"+/", b"-_")).rstrip(b"=").decode()
