"""Tokens put together by hand, so that any header and any claims, however wrong, can be properly signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from wicket import base64url

SECRET = hashlib.sha256(b"the shared secret of these tests").digest()

HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def signed_bytes(header: bytes, payload: bytes, *, secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    """A token over these exact bytes, whatever they are."""
    text = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    return f"{text}.{base64url.encode(hmac.digest(secret, text.encode('ascii'), HASHES[algorithm]))}"


def signed(
    claims: Any, header: Any = None, *, secret: bytes = SECRET, algorithm: str = "HS256", ensure_ascii: bool = True
) -> str:
    """A token over the JSON of these values; the header says `algorithm` unless one is given."""
    head = {"alg": algorithm, "typ": "JWT"} if header is None else header
    spelled = (json.dumps(each, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass") for each in (head, claims))
    return signed_bytes(*spelled, secret=secret, algorithm=algorithm)
