"""A JWK is imported as a whole or not at all, and its own members restrict it."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.unit import jwk, private_key, rsa_key
from wicket.keys.algorithms import ASYMMETRIC, UnusableKeyError
from wicket.keys.jwk import import_jwk
from wicket.runtime.base64url import encode

KINDS = ["RS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed448"]
LENGTH = "its coordinates do not have the length that its curve requires"
NUMBERS = "its numbers are not a valid public key"


def number(value: int, size: int) -> str:
    return encode(value.to_bytes(size, "big"))


@pytest.mark.parametrize("algorithm", KINDS)
def test_import_jwk_public_key_every_type_accepted(algorithm: str) -> None:
    key = import_jwk(jwk(private_key(algorithm), kid="k1"), ASYMMETRIC)
    assert key.kid == "k1"
    assert algorithm in key.algorithms


def test_import_jwk_without_kid_kid_none() -> None:
    assert import_jwk(jwk(rsa_key()), ["RS256"]).kid is None


@pytest.mark.parametrize(
    "members", [{"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"x5t": "a"}]
)
def test_import_jwk_signature_use_or_key_ops_accepted(members: dict[str, Any]) -> None:
    assert import_jwk(jwk(rsa_key(), **members), ["RS256"]).algorithms == ("RS256",)


@pytest.mark.parametrize(
    ("bound", "allowed", "served"),
    [
        ("RS512", ASYMMETRIC, ("RS512",)),
        ("PS256", ["PS256", "RS256"], ("PS256",)),
        (None, ["PS256", "RS256"], ("RS256", "PS256")),
    ],
)
def test_import_jwk_alg_member_restricts_algorithms(
    bound: str | None, allowed: list[str], served: tuple[str, ...]
) -> None:
    members = {} if bound is None else {"alg": bound}
    assert import_jwk(jwk(rsa_key(), **members), allowed).algorithms == served


@pytest.mark.parametrize(
    ("bound", "allowed", "served"),
    [
        ("EdDSA", ["EdDSA"], ("EdDSA", "Ed25519")),
        ("Ed25519", ["EdDSA"], ("Ed25519",)),
        ("EdDSA", ["Ed25519"], ("Ed25519",)),
    ],
)
def test_import_jwk_eddsa_and_ed25519_alg_compatible(bound: str, allowed: list[str], served: tuple[str, ...]) -> None:
    assert import_jwk(jwk(private_key("EdDSA"), alg=bound), allowed).algorithms == served


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"kty": "oct", "k": "AAAA"}, "a secret (kty oct) is never taken from a key set"),
        ({"d": "AAAA"}, "this is a private key"),
        ({"p": "AAAA"}, "this is a private key"),
        ({"oth": []}, "this is a private key"),
        ({"use": "enc"}, "its use is not sig"),
        ({"use": None}, "its use is not sig"),
        ({"key_ops": ["encrypt"]}, "its key_ops do not contain verify"),
        ({"key_ops": []}, "its key_ops do not contain verify"),
        ({"key_ops": "verify"}, "its key_ops do not contain verify"),
        ({"key_ops": ["verify", None]}, "its key_ops are not all strings"),
        ({"use": "sig", "key_ops": ["verify", "encrypt"]}, "its use is sig, and its key_ops include encryption"),
        ({"kid": "k" * 257}, "its kid is not a string of at most 256 characters"),
        ({"kid": None}, "its kid is not a string of at most 256 characters"),
        ({"kid": 5}, "its kid is not a string of at most 256 characters"),
        ({"alg": None}, "its alg is not a string"),
        ({"alg": 5}, "its alg is not a string"),
        ({"alg": ["RS256"]}, "its alg is not a string"),
        ({"kty": "rsa"}, "its kty and crv name no kind of key that signs"),
        ({"kty": None}, "its kty and crv name no kind of key that signs"),
        ({"kty": ["RSA"]}, "its kty and crv name no kind of key that signs"),
        ({"n": None}, "its member n is not a string"),
        ({"n": ""}, "its member n is not a string"),
        ({"e": 65537}, "its member e is not a string"),
        ({"n": "A" * 2000}, "its member n is too long"),
        ({"e": encode(bytes(9))}, "its member e is too long"),
        ({"e": "AQAB=="}, NUMBERS),
        ({"e": "AQA*"}, NUMBERS),
        ({"e": "AAAA"}, NUMBERS),
        ({"e": number(65536, 3)}, NUMBERS),
        ({"e": number(1, 1)}, NUMBERS),
        ({"e": number(2**32 + 1, 8)}, "the RSA exponent must be odd, at least 3 and below 2**32"),
        ({"n": number((1 << 1023) | 1, 128)}, "an RSA key must have 2048 to 8192 bits"),
        ({"n": number((1 << 8192) | 1, 1025)}, "an RSA key must have 2048 to 8192 bits"),
    ],
)
def test_import_jwk_private_symmetric_or_invalid_member_unusable(members: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableKeyError) as caught:
        import_jwk(jwk(rsa_key(), **members), ASYMMETRIC)
    assert str(caught.value) == why
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("alg", "why"),
    [
        ("RSA-OAEP", "not an allowed algorithm; allowed: ES256, RS256"),
        ("rs256", "not an allowed algorithm; allowed: ES256, RS256"),
        ("none", "not an allowed algorithm; allowed: ES256, RS256"),
        ("", "not an allowed algorithm; allowed: ES256, RS256"),
        ("HS256", "HS256, which is not allowed; allowed: ES256, RS256"),
        ("RS512", "RS512, which is not allowed; allowed: ES256, RS256"),
        ("ES256", "ES256, and this key can serve RS256, RS384, RS512, PS256, PS384, PS512"),
    ],
)
def test_p4_import_jwk_alg_not_allowed_or_incompatible_named(alg: str, why: str) -> None:
    with pytest.raises(UnusableKeyError) as caught:
        import_jwk(jwk(rsa_key(), alg=alg), ("RS256", "ES256"))
    assert str(caught.value) == f"its alg is {why}"


@pytest.mark.parametrize("jwk", [None, 5, "text", [], [("kty", "RSA")]])
def test_import_jwk_not_object_unusable(jwk: object) -> None:
    with pytest.raises(UnusableKeyError, match="a key must be a JSON object"):
        import_jwk(jwk, ASYMMETRIC)


@pytest.mark.parametrize(
    ("algorithm", "members", "why"),
    [
        ("ES256", {"crv": "P-257"}, "its kty and crv name no kind of key that signs"),
        ("ES256", {"crv": ["P-256"]}, "its kty and crv name no kind of key that signs"),
        ("ES256", {"crv": "P-384"}, LENGTH),
        ("ES256", {"x": encode(bytes(31))}, LENGTH),
        ("ES256", {"y": encode(bytes(31))}, LENGTH),
        ("ES256", {"x": encode(bytes(32)), "y": encode(bytes(32))}, NUMBERS),
        ("ES256", {"x": encode(bytes(33))}, "its member x is too long"),
        ("ES256", {"y": None}, "its member y is not a string"),
        ("EdDSA", {"crv": "X25519"}, "its kty and crv name no kind of key that signs"),
        ("EdDSA", {"x": encode(bytes(31))}, NUMBERS),
        ("EdDSA", {"x": encode(bytes(33))}, "its member x is too long"),
        ("Ed448", {"x": encode(bytes(56))}, NUMBERS),
        ("Ed448", {"crv": "Ed25519"}, "its member x is too long"),
    ],
)
def test_import_jwk_invalid_curve_or_coordinate_unusable(algorithm: str, members: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableKeyError) as caught:
        import_jwk(jwk(private_key(algorithm), **members), ASYMMETRIC)
    assert str(caught.value) == why


def test_import_jwk_coordinate_without_leading_zeros_unusable() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    for scalar in range(1, 5000):
        private = ec.derive_private_key(scalar, ec.SECP256R1())
        x = private.public_key().public_numbers().x
        if x < 1 << 248:
            break
    assert import_jwk(jwk(private), ["ES256"]).algorithms == ("ES256",)
    with pytest.raises(UnusableKeyError, match=LENGTH):
        import_jwk(jwk(private, x=encode(x.to_bytes(31, "big"))), ["ES256"])


def test_import_jwk_error_excludes_kid_and_key_material() -> None:
    n = rsa.RSAPublicNumbers(65537, rsa_key().public_key().public_numbers().n).n
    text = number(n, 256)
    with pytest.raises(UnusableKeyError) as caught:
        import_jwk({"kty": "RSA", "n": text, "e": "AAAA", "kid": "secret-kid"}, ASYMMETRIC)
    assert text[:10] not in repr(caught.value)
    assert "secret-kid" not in repr(caught.value)
