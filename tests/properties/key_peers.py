"""JWK import by PyJWT and by joserfc, to be held against Wicket's."""

from __future__ import annotations

import warnings
from typing import Any, Final

import joserfc.errors
from joserfc.jwk import ECKey, OKPKey, RSAKey
from jwt import PyJWK

_KINDS: Final[dict[str, Any]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_FULL: Final = ("Ed25519", "Ed448")


def pyjwt_takes(jwk: Any) -> bool:
    """Whether PyJWT makes a public key of it.

    DESIGN section 6, an exception by name: it does not know `Ed25519` and `Ed448`, and takes them for `EdDSA` here.
    """
    edwards = isinstance(jwk, dict) and jwk.get("kty") == "OKP" and jwk.get("alg") in (None, *_FULL)
    try:
        read = PyJWK(jwk, "EdDSA" if edwards else None)
    except Exception:  # noqa: BLE001 - it raises many kinds; which one does not matter
        return False
    return hasattr(read.key, "verify") and not hasattr(read.key, "private_bytes")


def joserfc_takes(jwk: Any) -> bool:
    """Whether joserfc makes a public key of it that may verify."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", joserfc.errors.SecurityWarning)
            key = _KINDS[jwk["kty"]].import_key(jwk)
            key.check_use("sig")
            key.check_key_op("verify")
    except Exception:  # noqa: BLE001 - as above
        return False
    return not key.is_private


def both_refuse(jwk: Any) -> bool:
    """Whether neither makes a key of it."""
    return not pyjwt_takes(jwk) and not joserfc_takes(jwk)
