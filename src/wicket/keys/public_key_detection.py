"""Which texts are those of public keys: whoever knows one could sign with it, if it were a secret (CVE-2022-29217).

Recognised are PEM (RFC 7468), the files of OpenSSH and of SSH2 (RFC 4716), DER of keys and of certificates, and JWKs
and sets of them (RFC 7517) in whatever spelling JSON has; each as it is, and in base64, base64url or hexadecimal.
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
_MARK: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\r\n"


def looks_like_public_key(value: bytes) -> bool:
    """Whether `value` is the text of a public key, in any of these spellings."""
    return any(each and _is_public_key(each) for each in _spellings(value))


def _spellings(value: bytes) -> Iterator[bytes]:
    """`value` as it is, without blanks around it, and what it may spell in base64 or hexadecimal."""
    bare = value.strip().removeprefix(_MARK)
    yield value
    yield bare
    if b"\0" in value:
        yield value.replace(b"\0", b"")  # UTF-16 and UTF-32
    compact = b"".join(bare.split())
    for read in (bytes.fromhex, lambda text: base64.b64decode(text, validate=True), base64.urlsafe_b64decode):
        with contextlib.suppress(ValueError):
            yield read(compact.decode("ascii"))


def _is_public_key(value: bytes) -> bool:
    return value.lstrip().startswith(_SSH) or _FRAME.search(value) is not None or _is_der(value) or _is_jwk(value)


def _is_der(value: bytes) -> bool:
    if value[:1] != b"\x30":  # as every SEQUENCE begins, and few secrets
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
    try:  # the standard library finds out about UTF-16 and UTF-32 by itself
        found: list[Any] = [json.loads(value.strip(_BLANKS).removeprefix(_MARK))]
    except (ValueError, RecursionError):
        return False
    while found:
        each = found.pop()
        if isinstance(each, dict):
            if "kty" in each:
                return True
            found.extend(each.values())
        elif isinstance(each, list):
            found.extend(each)
    return False
