"""Base64url has one canonical encoding for each value, and no other is decoded."""

from __future__ import annotations

import base64

import pytest

from wicket.runtime import base64url

VALUES = [b"", b"f", b"fo", b"foo", b"foob", b"\xff\xfe\xfd", b"\xfb\xff\xbf", bytes(range(256))]


@pytest.mark.parametrize("value", VALUES)
def test_base64url_decode_of_encoded_returns_value(value: bytes) -> None:
    text = base64url.encode(value)
    assert text == base64.urlsafe_b64encode(value).decode().rstrip("=")
    assert base64url.decode(text) == value


@pytest.mark.parametrize(
    "text", ["Zg==", "Zm8=", "Zm9v=", "+/8", "Zm 9v", "Zm9v\n", "\nZm9v", "Zm9vé", "Zm.9v", "٣٣٣٣", "\ud800AAA", "="]
)
def test_base64url_decode_foreign_character_raises(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        base64url.decode(text)


@pytest.mark.parametrize("text", ["A", "AAAAA", "Zh", "Zm9", "AB", "AAB", "__", "___"])
def test_base64url_decode_non_canonical_raises(text: str) -> None:
    with pytest.raises(ValueError, match="not canonical base64url"):
        base64url.decode(text)


def test_base64url_decode_canonical_last_characters_are_4_or_16() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    def reads(text: str) -> bool:
        try:
            return base64url.encode(base64url.decode(text)) == text
        except ValueError:
            return False

    assert sum(reads("A" + last) for last in alphabet) == 4
    assert sum(reads("AA" + last) for last in alphabet) == 16
