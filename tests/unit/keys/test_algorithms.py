"""The algorithms of each key, and that only the right signature verifies."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import math
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.unit import KEY, OTHER_KEY, private_key, rsa_key
from wicket.keys.algorithms import (
    ASYMMETRIC,
    HASH_BYTES,
    Key,
    UnusableKeyError,
    compatible_algorithms,
    expand_aliases,
    hmac_key,
    public_key,
)

RSA_NAMES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
FITTING = {
    "RS256": RSA_NAMES,
    "ES256": ("ES256",),
    "ES384": ("ES384",),
    "ES512": ("ES512",),
    "ES256K": ("ES256K",),
    "EdDSA": ("EdDSA", "Ed25519"),
    "Ed448": ("EdDSA", "Ed448"),
}
MESSAGE = b"eyJhbGciOiJFUzI1NiJ9.e30"


def key_for(algorithm: str) -> tuple[Key, Any]:
    """The key that verifies, and the one that signs."""
    if algorithm in HASH_BYTES:
        value = bytes(range(HASH_BYTES[algorithm]))
        return hmac_key(None, (algorithm,), value), value
    private = private_key(algorithm)
    return public_key(None, (algorithm,), private.public_key()), private


def sign(algorithm: str, private: Any) -> bytes:
    name = "EdDSA" if algorithm.startswith("Ed") else algorithm
    signature: bytes = jwt.algorithms.get_default_algorithms()[name].sign(MESSAGE, private)
    return signature


def test_supported_algorithms_exact_set() -> None:
    assert {*HASH_BYTES, *ASYMMETRIC} == {
        *("HS256", "HS384", "HS512", *RSA_NAMES),
        *("ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"),
    }
    assert HASH_BYTES == {"HS256": 32, "HS384": 48, "HS512": 64}


@pytest.mark.parametrize("algorithm", sorted({*HASH_BYTES, *ASYMMETRIC}))
def test_key_verify_accepts_only_matching_signature(algorithm: str) -> None:
    key, private = key_for(algorithm)
    assert algorithm in key.algorithms
    signature = sign(algorithm, private)
    assert key.verify(algorithm, MESSAGE, signature)
    assert not key.verify(algorithm, MESSAGE + b"x", signature)
    changed = bytearray(signature)
    changed[len(changed) // 2] ^= 1
    assert not key.verify(algorithm, MESSAGE, bytes(changed))


@pytest.mark.parametrize("algorithm", sorted({*HASH_BYTES, *ASYMMETRIC}))
@pytest.mark.parametrize("signature", [b"", b"x", bytes(64), bytes(132), b"\xff" * 256, b"z" * 10_000])
def test_key_verify_malformed_signature_returns_false(algorithm: str, signature: bytes) -> None:
    assert key_for(algorithm)[0].verify(algorithm, MESSAGE, signature) is False


def test_key_verify_one_secret_with_all_hashes_in_turn_only_matching_signature() -> None:
    value = bytes(range(64))
    key = hmac_key(None, HASH_BYTES, value)
    signatures = {algorithm: sign(algorithm, value) for algorithm in HASH_BYTES}
    for algorithm, other in itertools.product(HASH_BYTES, repeat=2):
        assert key.verify(algorithm, MESSAGE, signatures[other]) is (algorithm == other)


@pytest.mark.parametrize("size", [1, 64, 65, 1000])
def test_key_verify_secret_of_any_size_equals_hmac_of_standard_library(size: int) -> None:
    value = bytes(number % 251 + 1 for number in range(size))
    key = hmac_key(None, ("HS256",), value)
    for message in (MESSAGE, b"", MESSAGE):
        assert key.verify("HS256", message, hmac.digest(value, message, "sha256"))
        assert not key.verify("HS256", message, hmac.digest(value + b"x", message, "sha256"))


@pytest.mark.parametrize("algorithm", FITTING)
def test_compatible_algorithms_match_key_type(algorithm: str) -> None:
    material = private_key(algorithm).public_key()
    assert compatible_algorithms(material) == FITTING[algorithm]
    assert public_key("k", ASYMMETRIC, material).algorithms == FITTING[algorithm]


def test_public_key_algorithms_restricted_to_allowed() -> None:
    key = public_key("k", ("RS384", "ES256", "PS256"), rsa_key().public_key())
    assert key.kid == "k"
    assert key.algorithms == ("RS384", "PS256")


def test_public_key_no_allowed_algorithm_unusable() -> None:
    with pytest.raises(UnusableKeyError, match="can serve ES256, and none of these is allowed"):
        public_key(None, ("RS256",), private_key("ES256").public_key())


def test_compatible_algorithms_other_curve_unusable() -> None:
    with pytest.raises(UnusableKeyError, match="its curve is not P-256"):
        compatible_algorithms(ec.generate_private_key(ec.SECP224R1()).public_key())


def test_public_key_rsa_1024_bits_unusable() -> None:
    with pytest.raises(UnusableKeyError, match="2048 to 8192 bits"):
        public_key(None, ("RS256",), rsa.generate_private_key(65537, 1024).public_key())


def modulus_of(bits: int) -> int:
    """An odd number of this many bits without a small factor."""
    return next(number for number in itertools.count((1 << (bits - 1)) + 1, 2) if math.gcd(number, SMALL) == 1)


SMALL = math.prod(
    number for number in range(3, 10_000, 2) if all(number % each for each in range(3, 101, 2) if each < number)
)


@pytest.mark.parametrize(("bits", "usable"), [(2047, False), (2048, True), (8192, True), (8193, False)])
def test_public_key_rsa_outside_2048_to_8192_bits_unusable(bits: int, usable: bool) -> None:
    material = rsa.RSAPublicNumbers(65537, modulus_of(bits)).public_key()
    if usable:
        assert public_key(None, ("RS256",), material).algorithms == ("RS256",)
    else:
        with pytest.raises(UnusableKeyError, match="2048 to 8192 bits"):
            public_key(None, ("RS256",), material)


@pytest.mark.parametrize(("exponent", "usable"), [(3, True), (2**32 - 1, True), (2**32 + 1, False), (2**63 + 1, False)])
def test_public_key_rsa_exponent_above_32_bits_unusable(exponent: int, usable: bool) -> None:
    material = rsa.RSAPublicNumbers(exponent, rsa_key().public_key().public_numbers().n).public_key()
    if usable:
        assert public_key(None, ("RS256",), material).algorithms == ("RS256",)
    else:
        with pytest.raises(UnusableKeyError, match="the RSA exponent must be odd"):
            public_key(None, ("RS256",), material)


def test_key_fingerprint_depends_on_material_only() -> None:
    assert hmac_key("a", ("HS256",), KEY).fingerprint == hmac_key("b", ("HS512",), KEY).fingerprint
    assert hmac_key("a", ("HS256",), KEY).fingerprint != hmac_key("a", ("HS256",), OTHER_KEY).fingerprint
    assert hmac_key("a", ("HS256",), KEY).fingerprint != hashlib.sha256(KEY).digest()
    material = rsa_key().public_key()
    assert public_key("a", ("RS256",), material).fingerprint == public_key(None, ("PS256",), material).fingerprint


def test_key_repr_excludes_material() -> None:
    assert repr(hmac_key("a", ("HS256",), KEY)) == "Key(kid='a', algorithms=('HS256',), issuer=None)"


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        (["EdDSA"], {"EdDSA", "Ed25519", "Ed448"}),
        (["Ed25519"], {"Ed25519"}),
        (["RS256", "ES256"], {"RS256", "ES256"}),
        ([], set()),
    ],
)
def test_expand_aliases_eddsa_includes_ed25519_and_ed448(allowed: list[str], names: set[str]) -> None:
    assert expand_aliases(allowed) == names
