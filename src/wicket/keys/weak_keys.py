"""Public keys with which anybody can sign, told by their numbers alone: no signature by them proves anything.

Ed25519 and Ed448: the signature `R = A, S = 0` or one like it verifies under a point `A` of small order, for every
message or for one in eight (RFC 8032 sections 5.1.7 and 5.2.7, cofactorless verification). RSA: who can factor the
modulus has the private key, and an even modulus, one with a small factor, a square or a prime is factored at once.
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
    """What an RSA key may have: at least 2048 and at most `bits` bits, and an exponent up to `exponent`.

    With `prime_test` a prime modulus is refused too. The test takes 0.2 s for 4096 bits, so it is for keys of the
    operator's configuration alone, and each modulus is tested once.
    """

    bits: int = 8192
    exponent: int = 2**32 - 1
    prime_test: bool = True


LOCAL: Final = RSABounds()
"""The bounds of keys that the operator configures."""
REMOTE: Final = RSABounds(bits=4096, exponent=65537, prime_test=False)
"""The bounds of keys that an issuer publishes, unless the operator allows more (`Limits`)."""


def weakness(
    material: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey,
    bounds: RSABounds = LOCAL,
) -> str | None:
    """Why this public key must not verify anything, or None. Nothing of the key is quoted.

    For elliptic curves of Weierstrass form the library has checked that the point is on its curve.
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
    """`y` is the point's encoding without the sign bit of x."""
    if y % prime in small_order:
        return "its point is of small order, so anybody can sign for it"
    return "its point is not in its canonical encoding" if y >= prime else None


def _rsa_weakness(modulus: int, exponent: int, bounds: RSABounds) -> str | None:
    if not 2048 <= modulus.bit_length() <= bounds.bits:
        return f"an RSA key must have 2048 to {bounds.bits} bits"
    if not 3 <= exponent <= bounds.exponent or exponent % 2 == 0:
        most = "below 2**32" if bounds.exponent == LOCAL.exponent else f"at most {bounds.exponent}"
        return f"the RSA exponent must be odd, at least 3 and {most}"
    if modulus % 2 == 0:
        return "the RSA modulus is even"
    if math.gcd(modulus, _product_of_small_primes()) != 1:
        return "the RSA modulus has a small factor, so anybody can sign for it"
    if math.isqrt(modulus) ** 2 == modulus:
        return "the RSA modulus is a square, so anybody can sign for it"
    if bounds.prime_test and _is_prime_power(modulus):
        return "the RSA modulus is a prime or the power of one, so anybody can sign for it"
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
    """Whether an odd number is a prime or the power of one (Cohen, *Computational Algebraic Number Theory*, 1.7.4).

    If it is `p**k`, then `2**modulus - 2` is a multiple of `p`. For a product of two primes it has a common factor with
    the modulus only by a chance that is negligible for 2048 bits.
    """
    return math.gcd(pow(2, modulus, modulus) - 2, modulus) != 1
