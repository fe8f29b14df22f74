"""Weak public keys, for which any attacker can sign, are rejected in every form."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.unit import problems_of, rsa_key
from wicket import Jwks, PublicKey
from wicket.keys.algorithms import ASYMMETRIC, UnusableKeyError, public_key
from wicket.keys.jwk import import_jwk
from wicket.keys.key_set import KeySource, read_key_set
from wicket.keys.weak_keys import LOCAL, REMOTE, weakness
from wicket.runtime.base64url import encode

P25519 = 2**255 - 19
P448 = 2**448 - 2**224 - 1
MERSENNE = 2**2203 - 1
"""A prime."""


def torsion(prime: int, d: int, a: int, cofactor: int) -> set[int]:
    """The y coordinates of all points of small order on `a*x*x + y*y = 1 + d*x*x*y*y`, computed by doubling from 1."""

    def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
        (x, y), (u, v) = one, two
        product = d * x * u * y * v % prime
        return (
            (x * v + u * y) * pow(1 + product, -1, prime) % prime,
            (y * v - a * x * u) * pow(1 - product, -1, prime) % prime,
        )

    def times(count: int, point: tuple[int, int]) -> tuple[int, int]:
        result = (0, 1)
        for bit in f"{count:b}":
            result = add(result, result)
            result = add(result, point) if bit == "1" else result
        return result

    def points() -> Any:
        for y in itertools.count(2):
            square = (y * y - 1) * pow(d * y * y - a, -1, prime) % prime
            root = root_of(square, prime)
            if root is not None:
                yield root, y

    found: set[tuple[int, int]] = {(0, 1)}
    order = SUBGROUPS[prime]
    for point in points():
        small = times(order, point)
        found |= {times(count, small) for count in range(cofactor)}
        if len(found) == cofactor:
            return {y for _, y in found}
    raise AssertionError


def root_of(square: int, prime: int) -> int | None:
    """A square root modulo a prime, if there is one."""
    if prime % 4 == 3:
        root = pow(square, (prime + 1) // 4, prime)
    else:
        root = pow(square, (prime + 3) // 8, prime)
        if root * root % prime != square:
            root = root * pow(2, (prime - 1) // 4, prime) % prime
    return root if root * root % prime == square else None


SUBGROUPS = {
    P25519: 2**252 + 27742317777372353535851937790883648493,
    P448: 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885,
}
SMALL_25519 = torsion(P25519, -121665 * pow(121666, -1, P25519) % P25519, -1, 8)
SMALL_448 = torsion(P448, -39081 % P448, 1, 4)


def encodings(prime: int, ys: set[int], size: int) -> list[bytes]:
    """Every encoding of points with these y coordinates: reduced or not, with each sign of x."""
    sign, bits = 8 * size - 1, 255 if size == 32 else 448
    return [
        (number | x << sign).to_bytes(size, "little")
        for y in sorted(ys)
        for number in (y, y + prime)
        if number < 2**bits
        for x in (0, 1)
    ]


SMALL = [("Ed25519", each) for each in encodings(P25519, SMALL_25519, 32)]
SMALL += [("Ed448", each) for each in encodings(P448, SMALL_448, 57)]
NOT_CANONICAL = [
    *(("Ed25519", number.to_bytes(32, "little")) for number in range(P25519 + 2, 2**255 - 1)),
    *(("Ed25519", (number | 1 << 255).to_bytes(32, "little")) for number in (P25519 + 2, 2**255 - 1)),
    *(("Ed448", number.to_bytes(57, "little")) for number in (P448 + 2, P448 + 3, 2**448 - 1, 2**448, 2**455 - 1)),
    ("Ed448", (P448 + 2 | 1 << 455).to_bytes(57, "little")),
]


def material_of(curve: str, encoded: bytes) -> Any:
    kind = ed25519.Ed25519PublicKey if curve == "Ed25519" else ed448.Ed448PublicKey
    return kind.from_public_bytes(encoded)


def every_form(material: Any, jwk: dict[str, Any], algorithm: str, reason: str) -> None:
    """The reasons for which a key is rejected as PEM, as a JWK, in a static and in a fetched set."""
    pem = material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert reason in problems_of(lambda: PublicKey.from_pem(pem, algorithms=[algorithm]))["pem"]
    assert reason in problems_of(lambda: PublicKey.from_jwk(jwk, algorithms=[algorithm]))["jwk"]
    assert "no usable key" in problems_of(lambda: Jwks.static({"keys": [jwk]}, algorithms=[algorithm]))["document"]
    source = KeySource(None, "https://id.example.com", (algorithm,))
    held = read_key_set([jwk], source)
    assert (held.keys, len(held.skipped)) == ((), 1)
    assert reason in held.skipped[0]


def test_torsion_finds_all_small_order_points() -> None:
    assert (len(SMALL_25519), len(SMALL_448)) == (5, 3)
    assert len(SMALL) == 2 * (5 + 2 + 3 + 2)


@pytest.mark.parametrize(("curve", "encoded"), SMALL, ids=lambda value: value.hex() if isinstance(value, bytes) else "")
def test_s8_public_key_small_order_point_refused(curve: str, encoded: bytes) -> None:
    jwk = {"kty": "OKP", "crv": curve, "x": encode(encoded)}
    every_form(material_of(curve, encoded), jwk, curve, "of small order")


@pytest.mark.parametrize(("curve", "encoded"), NOT_CANONICAL)
def test_s8_public_key_non_canonical_point_refused(curve: str, encoded: bytes) -> None:
    jwk = {"kty": "OKP", "crv": curve, "x": encode(encoded)}
    every_form(material_of(curve, encoded), jwk, curve, "canonical")


def test_s8_weakness_generated_edwards_key_none() -> None:
    for _ in range(50):
        assert weakness(ed25519.Ed25519PrivateKey.generate().public_key()) is None
        assert weakness(ed448.Ed448PrivateKey.generate().public_key()) is None


def rsa_jwk(modulus: int, exponent: int = 65537) -> dict[str, Any]:
    raw = (encode(each.to_bytes(-(-each.bit_length() // 8), "big")) for each in (modulus, exponent))
    return dict(zip(("n", "e"), raw, strict=True), kty="RSA")


GOOD = rsa_key().public_key().public_numbers().n


@pytest.mark.parametrize(
    ("modulus", "exponent", "reason"),
    [
        (GOOD - 1, 65537, "even"),
        (2**2047 + 2, 65537, "even"),
        (2**2047 + 1, 65537, "small factor"),
        (GOOD * 3, 65537, "small factor"),
        (GOOD * 9973, 65537, "small factor"),
        ((2**1279 - 1) ** 2, 65537, "square"),
        (GOOD, 1, "valid public key"),
        (GOOD, 2, "valid public key"),
        (GOOD, 65538, "valid public key"),
    ],
    ids=["even", "even-2", "small-factor", "factor-3", "factor-9973", "square", "e-1", "e-2", "e-even"],
)
def test_s8_rsa_key_factorable_or_bad_exponent_refused(modulus: int, exponent: int, reason: str) -> None:
    with pytest.raises(UnusableKeyError, match=reason):
        import_jwk(rsa_jwk(modulus, exponent), ["RS256"])
    source = KeySource(None, "https://id.example.com", ("RS256",))
    assert reason in read_key_set([rsa_jwk(modulus, exponent)], source).skipped[0]
    if exponent == 65537:
        material = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        every_form(material, rsa_jwk(modulus), "RS256", reason)


@pytest.mark.parametrize("modulus", [MERSENNE, (2**1279 - 1) ** 3, (2**521 - 1) ** 5], ids=["prime", "cube", "fifth"])
def test_s8_local_rsa_modulus_prime_or_prime_power_refused(modulus: int) -> None:
    material = rsa.RSAPublicNumbers(65537, modulus).public_key()
    assert "a prime or the power of one" in str(weakness(material, LOCAL))
    pem = material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert "a prime" in problems_of(lambda: PublicKey.from_pem(pem, algorithms=["RS256"]))["pem"]
    assert "a prime" in problems_of(lambda: PublicKey.from_jwk(rsa_jwk(modulus), algorithms=["RS256"]))["jwk"]
    assert problems_of(lambda: Jwks.static({"keys": [rsa_jwk(modulus)]})).keys() == {"document"}


def test_s8_fetched_rsa_modulus_not_tested_for_primality(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(modulus: int) -> bool:
        raise AssertionError("it takes a tenant's key set 0.2 s for each key")

    monkeypatch.setattr("wicket.keys.weak_keys._is_prime_power", forbidden)
    source = KeySource(None, "https://id.example.com", ("RS256",))
    assert len(read_key_set([rsa_jwk(GOOD), rsa_jwk(MERSENNE)], source).keys) == 2
    with pytest.raises(AssertionError):
        import_jwk(rsa_jwk(GOOD), ["RS256"])


def test_s8_rsa_modulus_primality_tested_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from wicket.keys import weak_keys

    modulus = rsa.generate_private_key(65537, 2048).public_key()
    before = weak_keys._is_prime_power.cache_info().misses
    for _ in range(3):
        public_key(None, ASYMMETRIC, modulus)
    assert weak_keys._is_prime_power.cache_info().misses == before + 1


def test_s8_weakness_generated_rsa_key_none() -> None:
    for bits in (2048, 3072):
        material = rsa.generate_private_key(65537, bits).public_key()
        assert weakness(material, LOCAL) is None
        assert weakness(material, REMOTE) is None
    assert math.gcd(GOOD, 2) == 1
