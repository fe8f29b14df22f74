"""JWK import by PyJWT and by joserfc, to be held against Wicket's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import joserfc.errors
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey
from jwt import PyJWK

_KINDS: Final[dict[str, Any]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


def pyjwt_key(jwk: Any) -> Any:
    """The public key that PyJWT makes of it, if it does."""
    try:
        key = PyJWK(jwk).key
    except Exception:  # noqa: BLE001 - it raises many kinds; which one does not matter
        return None
    return key if hasattr(key, "verify") and not hasattr(key, "private_bytes") else None


def joserfc_key(jwk: Any) -> Any:
    """The public key that joserfc makes of it, if it does, and lets it verify."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", joserfc.errors.SecurityWarning)
            key = _KINDS[jwk["kty"]].import_key(jwk)
            key.check_use("sig")
            key.check_key_op("verify")
    except Exception:  # noqa: BLE001 - as above
        return None
    return None if key.is_private else key.raw_value


PEERS: Final[dict[str, Callable[[Any], Any]]] = {"pyjwt": pyjwt_key, "joserfc": joserfc_key}


def der(material: Any) -> bytes:
    """One spelling for each public key."""
    spelled: bytes = material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return spelled
