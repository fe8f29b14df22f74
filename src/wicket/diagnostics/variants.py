"""The keys that integrators make of a secret by mistake. Tried by the checker, and never by the request path."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from wicket.diagnostics.report import Finding
from wicket.keys import Secret

_AROUND: Final = (
    ("a line break behind it", "{}\n"),
    ("a line break behind it", "{}\r\n"),
    ("a space behind it", "{} "),
    ("a space before it", " {}"),
    ("double quotes around it", '"{}"'),
    ("single quotes around it", "'{}'"),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """Another key that one secret may be taken for. `finding` says how, with `{}` for what was made with it."""

    value: bytes
    mistake: str
    detail: str
    expected: str
    found: str

    def finding(self, what: str) -> Finding:
        """The finding that `what` (`The token`, `The user's hash`) was made with this key."""
        return Finding(self.mistake, f"{what} {self.detail}", self.expected, self.found)


def secret_variants(secret: Secret) -> Iterator[Variant]:
    """Every such key but the right one, the likeliest first, each once."""
    seen = {secret.keys[0].material, b""}
    for variant in (*_read_otherwise(secret), *_not_stripped(secret)):
        if variant.value not in seen:
            seen.add(variant.value)
            yield variant


def _read_otherwise(secret: Secret) -> Iterator[Variant]:
    encoding = secret.encoding
    for text in _texts(secret):
        for found, read in _READINGS:
            detail = (
                f"was made with the secret read as {found}, and this app's secret is {_IS[encoding]}: "
                f"{_DO[encoding]} before it is used as the key."
            )
            yield Variant(read(text), "secret_encoding", detail, encoding, found)


def _not_stripped(secret: Secret) -> Iterator[Variant]:
    for text in _texts(secret):
        stripped = text.strip().strip("\"'").strip()
        for found, wrapped in (
            *((f"the secret with {what}", around.format(text)) for what, around in _AROUND),
            ("the secret without the blanks or quotes that are around it in this app's configuration", stripped),
        ):
            detail = (
                f"was made with {found}: copy the secret without a line break, blank or quote, "
                "and look at how the environment variable or file is read."
            )
            yield Variant(wrapped.encode(), "secret_not_stripped", detail, "the secret alone", found)


def _texts(secret: Secret) -> list[str]:
    """The texts in which an app's owner may hold this secret."""
    value: bytes = secret.keys[0].material
    standard, urlsafe = base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode()
    in_hex = [value.hex(), value.hex().upper()]
    in_base64 = [standard, urlsafe, standard.rstrip("="), urlsafe.rstrip("=")]
    if secret.encoding == "hex":
        return in_hex
    if secret.encoding == "base64":
        return in_base64
    try:
        text = [value.decode("utf-8")]
    except UnicodeDecodeError:
        text = []
    return text if secret.encoding == "text" else [*text, *in_hex, *in_base64]


def _as_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _as_base64(text: str) -> bytes:
    """As the lenient decoders of many languages read it: other characters are skipped, padding is not needed."""
    bare = re.sub(r"[^A-Za-z0-9+/]", "", text)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return b""


def _as_base64url(text: str) -> bytes:
    return _as_base64(text.replace("-", "+").replace("_", "/"))


_READINGS: Final[tuple[tuple[str, Callable[[str], bytes]], ...]] = (
    ("text", str.encode),
    ("hex", _as_hex),
    ("base64", _as_base64),
    ("base64url", _as_base64url),
)
_IS: Final = {
    "text": "the text itself",
    "hex": "spelled in hexadecimal digits",
    "base64": "spelled in base64",
    "bytes": "the bytes themselves",
}
_DO: Final = {
    "text": "take its characters as they are, with no decoding",
    "hex": "decode it from hex",
    "base64": "decode it from base64",
    "bytes": "take the bytes as they are, with no decoding or encoding",
}
