"""Public keys, key sets, and the rules of all credentials: the accepted values, and the configuration errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.support.unit import KEY, jwk, pem, private_key, problems_of, rsa_jwk, rsa_key
from wicket import Jwks, PublicKey, Secret

RSA_NAMES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


# --- every credential


@pytest.mark.parametrize("algorithms", ["HS256", b"HS256", [], (), None, [["HS256"]], 5])
def test_credential_algorithms_not_list_of_names_config_error(algorithms: Any) -> None:
    for build in (
        lambda: Secret(KEY, algorithms=algorithms),
        lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=algorithms),
        lambda: Jwks.static({"keys": []}, algorithms=algorithms),
    ):
        assert set(problems_of(build)) == {"algorithms"}


@pytest.mark.parametrize("id", ["", "a" * 257, 5, b"k"])
def test_credential_kid_invalid_config_error(id: Any) -> None:
    wrong = {"kid": "must be a string of 1 to 256 characters"}
    assert problems_of(lambda: Secret(KEY, kid=id)) == wrong
    assert problems_of(lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=["RS256"], kid=id)) == wrong
    assert Secret(KEY, kid="a" * 256).kid == "a" * 256


# --- public keys


@pytest.mark.parametrize(
    "algorithm", ["RS256", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"]
)
def test_public_key_from_pem_every_algorithm_accepted(algorithm: str) -> None:
    text = pem(private_key(algorithm))
    for given in (text, text.encode()):
        key = PublicKey.from_pem(given, algorithms=[algorithm], kid="k1")
        assert key.kid == "k1"
        assert algorithm in key.algorithms
        assert key.keys[0].algorithms == key.algorithms


def test_public_key_from_pem_pkcs1_accepted() -> None:
    text = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    assert PublicKey.from_pem(text, algorithms=["RS256"]).algorithms == ("RS256",)


def test_public_key_repr_shows_kid_and_algorithms_only() -> None:
    assert (
        repr(PublicKey.from_pem(pem(rsa_key()), algorithms=["RS256"])) == "PublicKey(kid=None, algorithms=('RS256',))"
    )


def private_pem(format: PrivateFormat) -> bytes:
    return rsa_key().private_bytes(Encoding.PEM, format, NoEncryption())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lambda: private_pem(PrivateFormat.PKCS8), "is a private key"),
        (lambda: private_pem(PrivateFormat.TraditionalOpenSSL), "is a private key"),
        (lambda: b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "is a certificate"),
        (lambda: "", "is not a public key in PEM"),
        (lambda: "\ud800", "is not a public key in PEM"),
        (lambda: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "is not a public key in PEM"),
        (lambda: pem(x25519.X25519PrivateKey.generate()), "is not a key that can verify the signature of a JWT"),
        (lambda: pem(dsa.generate_private_key(1024)), "is not a key that can verify the signature of a JWT"),
        (
            lambda: pem(ec.generate_private_key(ec.SECP224R1())),
            "its curve is not P-256, P-384, P-521 or secp256k1",
        ),
        (lambda: pem(rsa.generate_private_key(65537, 1024)), "an RSA key must have 2048 to 8192 bits"),
        (lambda: pem(private_key("ES256")), "the key cannot serve RS256; it can serve ES256"),
        (lambda: None, "is not a public key in PEM"),
        (lambda: 5, "is not a public key in PEM"),
    ],
    ids=[
        "pkcs8",
        "pkcs1",
        "certificate",
        "empty",
        "surrogate",
        "junk",
        "x25519",
        "dsa",
        "p224",
        "rsa1024",
        "ec",
        "none",
        "5",
    ],
)
def test_public_key_from_pem_invalid_config_error(text: Callable[[], Any], message: str) -> None:
    given = text()
    assert problems_of(lambda: PublicKey.from_pem(given, algorithms=["RS256"])) == {"pem": message}


@pytest.mark.parametrize("line_break", ["\\n", "\\r\\n", "\r\n"])
def test_p4_public_key_from_pem_encoded_line_breaks_read(line_break: str) -> None:
    key = PublicKey.from_pem(pem(rsa_key()).replace("\n", line_break), algorithms=["RS256"])
    assert key.keys[0].fingerprint == PublicKey.from_pem(pem(rsa_key()), algorithms=["RS256"]).keys[0].fingerprint


def test_p4_public_key_from_pem_several_keys_config_error() -> None:
    several = pem(rsa_key()) + pem(private_key("ES256"))
    found = problems_of(lambda: PublicKey.from_pem(several, algorithms=["RS256"]))
    assert found == {"pem": "contains 2 keys, and must contain one"}
    found = problems_of(lambda: PublicKey.from_pem(several.replace("\n", "\\n"), algorithms=["RS256"]))
    assert found == {"pem": "contains 2 keys, and must contain one"}


def test_public_key_from_pem_incompatible_algorithm_config_error() -> None:
    found = problems_of(lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=["RS256", "ES256", "EdDSA"]))
    assert found == {"pem": f"the key cannot serve ES256, EdDSA; it can serve {', '.join(RSA_NAMES)}"}


@pytest.mark.parametrize("algorithm", ["HS256", "none", "rs256"])
def test_public_key_algorithms_not_asymmetric_config_error(algorithm: str) -> None:
    wrong = {"algorithms": f"{algorithm!r} cannot serve a public key"}
    assert problems_of(lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=[algorithm])) == wrong
    assert problems_of(lambda: PublicKey.from_jwk(rsa_jwk(), algorithms=[algorithm])) == wrong


def test_public_key_from_jwk_kid_and_algorithms_kept() -> None:
    key = PublicKey.from_jwk(jwk(rsa_key(), kid="k1"), algorithms=["RS256", "PS256"])
    assert (key.kid, key.algorithms) == ("k1", ("RS256", "PS256"))


@pytest.mark.parametrize(
    ("algorithm", "members", "served"),
    [
        ("ES384", {}, ("ES384",)),
        ("EdDSA", {}, ("EdDSA", "Ed25519")),
        ("RS256", {"alg": "RS512"}, ("RS512",)),
    ],
)
def test_public_key_from_jwk_algorithms_inferred_from_key(
    algorithm: str, members: dict[str, Any], served: tuple[str, ...]
) -> None:
    assert PublicKey.from_jwk(jwk(private_key(algorithm), **members)).algorithms == served


@pytest.mark.parametrize("members", [{}, {"alg": None}])
def test_public_key_from_jwk_rsa_without_algorithms_config_error(members: dict[str, Any]) -> None:
    found = problems_of(lambda: PublicKey.from_jwk(jwk(rsa_key(), **members)))
    assert found == {"algorithms": "must be given, because the key has no alg"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"kty": "oct", "k": "AAAA"}, "a secret (kty oct) is never taken from a key set"),
        ({}, "its kty and crv name no kind of key that signs"),
        (None, "a key must be a JSON object"),
        ([], "a key must be a JSON object"),
    ],
)
def test_public_key_from_jwk_unusable_config_error(mapping: Any, message: str) -> None:
    assert problems_of(lambda: PublicKey.from_jwk(mapping)) == {"jwk": message}


# --- key sets


def test_jwks_static_unusable_members_skipped() -> None:
    document = {
        "keys": [
            jwk(rsa_key(), kid="a"),
            {"kty": "oct"},
            5,
            jwk(private_key("ES256"), kid="b"),
            jwk(private_key("ES384")),
        ]
    }
    jwks = Jwks.static(document)
    assert [(key.kid, key.algorithms) for key in jwks.keys] == [("a", ("RS256",)), ("b", ("ES256",))]
    assert jwks.skipped == (
        "keys[1]: a secret (kty oct) is never taken from a key set",
        "keys[2]: a key must be a JSON object",
        "keys[4]: this key can serve ES384, and none of these is allowed",
    )
    assert jwks.algorithms == ("RS256", "ES256", "EdDSA")
    assert repr(jwks) == "Jwks(2 keys, 3 skipped, algorithms=('RS256', 'ES256', 'EdDSA'))"


def test_jwks_static_more_than_64_keys_config_error() -> None:
    one = jwk(rsa_key())
    assert len(Jwks.static({"keys": [one] * 64}).keys) == 64
    assert problems_of(lambda: Jwks.static({"keys": [one] * 65})) == {"document": "has more than 64 keys"}


@pytest.mark.parametrize("document", [None, [], "{}", {}, {"keys": {}}, {"keys": None}, 5])
def test_jwks_static_not_key_set_config_error(document: Any) -> None:
    assert problems_of(lambda: Jwks.static(document)) == {"document": "is not a key set"}


@pytest.mark.parametrize("keys", [[], [{"kty": "oct"}]])
def test_jwks_static_without_usable_key_config_error(keys: list[Any]) -> None:
    assert problems_of(lambda: Jwks.static({"keys": keys})) == {"document": "has no usable key"}


def test_jwks_static_hmac_algorithm_config_error() -> None:
    assert problems_of(lambda: Jwks.static({"keys": []}, algorithms=["HS256"])) == {
        "algorithms": "'HS256' cannot serve a key set"
    }
