"""The keys that integrators make from a secret by mistake. The gate never tries them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from wicket.diagnostics.report import Finding
from wicket.keys import Secret

_WRAPPINGS: Final = (
    ("a line break after it", "{}\n"),
    ("a line break after it", "{}\r\n"),
    ("a space after it", "{} "),
    ("a space before it", " {}"),
    ("double quotes around it", '"{}"'),
    ("single quotes around it", "'{}'"),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """A key that can be made from a secret by mistake.

    Args:
        value: The bytes of the key.
        code: The code of the finding.
        detail: The sentence of the finding without its subject.
        expected: What is expected.
        found: How the key was made from the secret.
    """

    value: bytes
    code: str
    detail: str
    expected: str
    found: str

    def finding(self, subject: str) -> Finding:
        """Return the finding that `subject` was made with this key, for example `The token`."""
        return Finding(self.code, f"{subject} {self.detail}", self.expected, self.found)


def secret_variants(secret: Secret) -> Iterator[Variant]:
    """Yield each such key once. The most probable one is first. The correct key is not included."""
    seen = {secret.keys[0].material, b""}
    for variant in (*_other_encodings(secret), *_extra_characters(secret)):
        if variant.value not in seen:
            seen.add(variant.value)
            yield variant


def _other_encodings(secret: Secret) -> Iterator[Variant]:
    encoding = secret.encoding
    for string in _strings(secret):
        for found, decoder in _DECODERS:
            detail = (
                f"was made with the secret decoded as {found}, and this app's secret is {_IS[encoding]}: "
                f"{_DO[encoding]}."
            )
            yield Variant(decoder(string), "secret_encoding", detail, encoding, found)


def _extra_characters(secret: Secret) -> Iterator[Variant]:
    for string in _strings(secret):
        stripped = string.strip().strip("\"'").strip()
        for found, wrapped in (
            *((f"the secret with {characters}", wrapping.format(string)) for characters, wrapping in _WRAPPINGS),
            ("the secret without the spaces or quotes around it in this app's configuration", stripped),
        ):
            detail = (
                f"was made with {found}: copy the secret without a line break, space or quote, "
                "and check how the environment variable or file is read."
            )
            yield Variant(wrapped.encode(), "secret_not_stripped", detail, "the secret alone", found)


def _strings(secret: Secret) -> list[str]:
    """Return the strings in which the owner of the app can have this secret."""
    value: bytes = secret.keys[0].material
    standard, urlsafe = base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode()
    in_hex = [value.hex(), value.hex().upper()]
    in_base64 = [standard, urlsafe, standard.rstrip("="), urlsafe.rstrip("=")]
    if secret.encoding == "hex":
        return in_hex
    if secret.encoding == "base64":
        return in_base64
    try:
        decoded = [value.decode("utf-8")]
    except UnicodeDecodeError:
        decoded = []
    return decoded if secret.encoding == "text" else [*decoded, *in_hex, *in_base64]


def _decode_hex(string: str) -> bytes:
    try:
        return bytes.fromhex(string)
    except ValueError:
        return b""


def _decode_base64(string: str) -> bytes:
    """Decode like the lenient decoders of many languages: skip other characters, and require no padding."""
    digits = re.sub(r"[^A-Za-z0-9+/]", "", string)
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        return b""


def _decode_base64url(string: str) -> bytes:
    return _decode_base64(string.replace("-", "+").replace("_", "/"))


_DECODERS: Final[tuple[tuple[str, Callable[[str], bytes]], ...]] = (
    ("text", str.encode),
    ("hex", _decode_hex),
    ("base64", _decode_base64),
    ("base64url", _decode_base64url),
)
_IS: Final = {
    "text": "the string itself",
    "hex": "encoded in hexadecimal digits",
    "base64": "encoded in base64",
    "bytes": "raw bytes",
}
_DO: Final = {
    "text": "use its characters as the key, with no decoding",
    "hex": "decode it from hex before you use it as the key",
    "base64": "decode it from base64 before you use it as the key",
    "bytes": "use the bytes as the key, with no decoding or encoding",
}
