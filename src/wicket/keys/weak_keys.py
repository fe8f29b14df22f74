"""Detection of weak public keys: keys for which any attacker can sign. Their signatures prove nothing.

Ed25519 and Ed448: the signature `R = A, S = 0`, or a similar one, verifies with a public point `A` of small order, for
every message or for one in eight (RFC 8032 sections 5.1.7 and 5.2.7, cofactorless verification). RSA: the factors of
the modulus give the private key. A modulus that is even, a square or a prime, or has a small factor, is factored at
once.
"""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

_P25519: Final = 2**255 - 19
_P448: Final = 2**448 - 2**224 - 1
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
"""The y coordinate of four of the Ed25519 points of order 8; the other four have its negative."""
_SMALL_ORDER_25519: Final = frozenset({0, 1, _P25519 - 1, _ORDER_8, _P25519 - _ORDER_8})
_SMALL_ORDER_448: Final = frozenset({0, 1, _P448 - 1})
_SMALL_PRIMES_BELOW: Final = 10_000


class RSABounds(NamedTuple):
    """The limits of RSA keys. The minimum size is always 2048 bits (RFC 7518 section 3.3).

    Attributes:
        bits: the maximum size of the modulus in bits.
        exponent: the maximum public exponent.
        prime_test: True also rejects a modulus that is a prime or the power of one. The test takes 0.2 s for 4096 bits,
            so it is used only for keys in the operator's configuration, and once for each modulus.
    """

    bits: int = 8192
    exponent: int = 2**32 - 1
    prime_test: bool = True


LOCAL: Final = RSABounds()
"""The limits of keys in the operator's configuration."""
REMOTE: Final = RSABounds(bits=4096, exponent=65537, prime_test=False)
"""The limits of keys that an issuer publishes, unless the operator sets others (`Limits`)."""


def weakness(
    material: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey,
    bounds: RSABounds = LOCAL,
) -> str | None:
    """Return why a public key must not verify tokens.

    `cryptography` has already checked that the point of an `ec` key is on its curve.

    Args:
        material: the public key.
        bounds: the limits of RSA keys.

    Returns:
        The reason, which quotes nothing of the key. None if no weakness was found.
    """
    if isinstance(material, rsa.RSAPublicKey):
        numbers = material.public_numbers()
        return _rsa_weakness(numbers.n, numbers.e, bounds)
    if isinstance(material, ed25519.Ed25519PublicKey):
        encoded = int.from_bytes(material.public_bytes_raw(), "little")
        return _edwards_weakness(encoded & ((1 << 255) - 1), _P25519, _SMALL_ORDER_25519)
    if isinstance(material, ed448.Ed448PublicKey):
        encoded = int.from_bytes(material.public_bytes_raw(), "little")
        return _edwards_weakness(encoded & ((1 << 455) - 1), _P448, _SMALL_ORDER_448)
    return None


def _edwards_weakness(y: int, prime: int, small_order: frozenset[int]) -> str | None:
    """Check a point of an Edwards curve. `y` is its encoding without the sign bit of x."""
    if y % prime in small_order:
        return "its point is of small order, so any attacker can sign for it"
    return "its point is not in canonical encoding" if y >= prime else None


def _rsa_weakness(modulus: int, exponent: int, bounds: RSABounds) -> str | None:
    if not 2048 <= modulus.bit_length() <= bounds.bits:
        return f"an RSA key must have 2048 to {bounds.bits} bits"
    if not 3 <= exponent <= bounds.exponent or exponent % 2 == 0:
        maximum = "below 2**32" if bounds.exponent == LOCAL.exponent else f"at most {bounds.exponent}"
        return f"the RSA exponent must be odd, at least 3 and {maximum}"
    if modulus % 2 == 0:
        return "the RSA modulus is even"
    if math.gcd(modulus, _product_of_small_primes()) != 1:
        return "the RSA modulus has a small factor, so any attacker can sign for it"
    if math.isqrt(modulus) ** 2 == modulus:
        return "the RSA modulus is a square, so any attacker can sign for it"
    if bounds.prime_test and _is_prime_power(modulus):
        return "the RSA modulus is a prime or the power of one, so any attacker can sign for it"
    return None


@functools.cache
def _product_of_small_primes() -> int:
    sieve = bytearray([1]) * _SMALL_PRIMES_BELOW
    for number in range(3, math.isqrt(_SMALL_PRIMES_BELOW) + 1, 2):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, _SMALL_PRIMES_BELOW, number)))
    return math.prod(number for number in range(3, _SMALL_PRIMES_BELOW, 2) if sieve[number])


@functools.lru_cache(maxsize=1024)
def _is_prime_power(modulus: int) -> bool:
    """Return whether an odd number is a prime or a prime power (Cohen, *Computational Algebraic Number Theory*, 1.7.4).

    If `modulus` is `p**k`, then `2**modulus - 2` is a multiple of `p`. For a product of two primes of 2048 bits, the
    probability that both have a common factor is negligible.
    """
    return math.gcd(pow(2, modulus, modulus) - 2, modulus) != 1
