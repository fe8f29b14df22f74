"""Tokens built from bytes, so that any header and any claims, also invalid ones, can be signed."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

from wicket import App, Rules, Secret
from wicket.runtime import base64url

SECRET: Final = hashlib.sha256(b"the shared secret of these tests").digest()
NOW: Final = 1_760_000_000

HASHES: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def joined(header: bytes, payload: bytes, signature: bytes) -> str:
    """The compact form of three parts, whatever they are."""
    return ".".join(base64url.encode(part) for part in (header, payload, signature))


def signed_bytes(header: bytes, payload: bytes, *, secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    """A token over these exact bytes, whatever they are."""
    text = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    return joined(header, payload, hmac.digest(secret, text.encode("ascii"), HASHES[algorithm]))


def signed(claims: Any, header: Any = None, *, secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    """A token over the JSON of these values; the header says `algorithm` unless one is given."""
    head = {"alg": algorithm, "typ": "JWT"} if header is None else header
    return signed_bytes(json.dumps(head).encode(), json.dumps(claims).encode(), secret=secret, algorithm=algorithm)


def good_claims(**changes: Any) -> dict[str, Any]:
    """Claims that every app of this room accepts at `NOW`, with these changes."""
    return {"sub": "user-1", "iat": NOW - 10, "exp": NOW + 3600, **changes}


def app(id: str = "acme", **settings: Any) -> App:
    """An app of this room: HS256 with `SECRET`, one origin."""
    rules = settings.pop("rules", Rules(required_claims=frozenset({"sub", "exp"})))
    return App(
        id, **{"credentials": [Secret(SECRET)], "rules": rules, "origins": ["https://app.example.com"], **settings}
    )
