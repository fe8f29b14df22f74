"""Keys of every kind, made once, and their public JWKs."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, Final

import jwt.algorithms
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

CURVES: Final = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1(), "ES256K": ec.SECP256K1()}
BASES: Final = ("RS256", *CURVES, "Ed25519", "Ed448")


@cache
def private_keys(which: int = 0) -> dict[str, Any]:
    """One key of each kind, by an algorithm that it can serve; others for each `which`."""
    return {
        "RS256": rsa.generate_private_key(65537, 2048),
        **{name: ec.generate_private_key(curve) for name, curve in CURVES.items()},
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
    }


@cache
def small_rsa() -> Any:
    """A key that is too small."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rsa.generate_private_key(65537, 1024)


@cache
def zero_led(name: str) -> Any:
    """A key one of whose coordinates begins with a zero byte."""
    curve, scalar = CURVES[name], 1
    while True:
        scalar += 1
        key = ec.derive_private_key(scalar, curve)
        numbers = key.public_key().public_numbers()
        if min(numbers.x, numbers.y) >> (curve.key_size - 1) // 8 * 8 == 0:
            return key


def jwk_of(key: Any, *, private: bool = False) -> dict[str, Any]:
    """The JWK of its public half, or of the whole."""
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
        ed448.Ed448PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    kind = next(each for known, each in kinds.items() if isinstance(key, known))
    made: dict[str, Any] = kind.to_jwk(key if private else key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return made
