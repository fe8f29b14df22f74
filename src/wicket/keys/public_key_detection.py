"""Detection of public keys among secrets. Any attacker could sign with a public key that is used as an HMAC secret.

See CVE-2022-29217. The detected forms are PEM (RFC 7468), the files of OpenSSH and of SSH2 (RFC 4716), DER of keys and
certificates, and JWKs and JWK sets (RFC 7517) in every JSON encoding. Each form is detected as it is, and in base64,
base64url or hexadecimal.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

_FRAME: Final = re.compile(rb"----[- ]BEGIN [A-Z0-9 ]*(?:KEY|CERTIFICATE|REQUEST|CRL|PARAMETERS)\b")
_SSH: Final = (b"ssh-", b"ecdsa-sha2-nistp", b"sk-ssh-", b"sk-ecdsa-")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_JSON_WHITESPACE: Final = b" \t\r\n"


def looks_like_public_key(value: bytes) -> bool:
    """Return whether a value is a public key in one of the detected forms.

    Args:
        value: the bytes of a secret.
    """
    return any(decoded and _is_public_key(decoded) for decoded in _decodings(value))


def _decodings(value: bytes) -> Iterator[bytes]:
    """Yield the value, the value without whitespace around it, and its decoding from base64 and hexadecimal."""
    stripped = value.strip().removeprefix(_BYTE_ORDER_MARK)
    yield value
    yield stripped
    if b"\0" in value:
        yield value.replace(b"\0", b"")  # UTF-16 and UTF-32
    compact = b"".join(stripped.split())
    for decode in (bytes.fromhex, lambda string: base64.b64decode(string, validate=True), base64.urlsafe_b64decode):
        with contextlib.suppress(ValueError):
            yield decode(compact.decode("ascii"))


def _is_public_key(value: bytes) -> bool:
    return value.lstrip().startswith(_SSH) or _FRAME.search(value) is not None or _is_der(value) or _is_jwk(value)


def _is_der(value: bytes) -> bool:
    if value[:1] != b"\x30":  # the tag of a SEQUENCE, with which every DER key starts
        return False
    from cryptography.x509 import load_der_x509_certificate

    for load in (load_der_public_key, load_der_x509_certificate):
        with contextlib.suppress(ValueError, UnsupportedAlgorithm):
            load(value)
            return True
    return False


def _is_jwk(value: bytes) -> bool:
    if value[:1] in (b"{", b"[") and b'"kty"' in value:
        return True
    try:  # json.loads detects UTF-16 and UTF-32
        pending: list[Any] = [json.loads(value.strip(_JSON_WHITESPACE).removeprefix(_BYTE_ORDER_MARK))]
    except (ValueError, RecursionError):
        return False
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "kty" in item:
                return True
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
