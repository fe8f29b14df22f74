"""Secrets, public keys and key sets: what is taken, what is a configuration error, and that none tells its key."""

from __future__ import annotations

import base64
import datetime
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.unit.support import KEY, jwk, pem, private_key, problems_of, rsa_key
from wicket import ConfigError, Jwks, PublicKey, Secret

RSA_NAMES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
TEXT = "x1-a-secret-of-thirty-two-bytes!"


# --- secrets


def test_the_four_spellings_of_a_secret_give_the_same_key() -> None:
    secrets = [
        Secret(KEY),
        Secret.from_hex(KEY.hex()),
        Secret.from_hex(KEY.hex().upper()),
        Secret.from_base64(base64.b64encode(KEY).decode()),
        Secret.from_base64(base64.urlsafe_b64encode(KEY).decode().rstrip("=")),
    ]
    assert {secret.keys[0].material for secret in secrets} == {KEY}
    assert [secret.encoding for secret in secrets] == ["bytes", "hex", "hex", "base64", "base64"]


def test_both_alphabets_of_base64_are_read() -> None:
    value = b"\xfb\xff\xfe" * 11
    for text in (base64.b64encode(value), base64.urlsafe_b64encode(value)):
        assert Secret.from_base64(text.decode()).keys[0].material == value


def test_a_text_is_its_utf8_bytes() -> None:
    secret = Secret.from_text("ä" * 15 + "bc")
    assert secret.keys[0].material == "ä".encode() * 15 + b"bc"
    assert secret.encoding == "text"


def test_a_secret_serves_hs256_and_what_else_is_said() -> None:
    assert Secret(KEY).algorithms == ("HS256",)
    assert Secret(KEY).id is None
    secret = Secret(bytes(range(64)), id="k1", algorithms=["HS512", "HS256"])
    assert secret.algorithms == ("HS512", "HS256")
    assert (secret.keys[0].kid, secret.keys[0].algorithms) == ("k1", ("HS512", "HS256"))


def test_the_repr_of_a_secret_holds_no_key() -> None:
    assert repr(Secret.from_text(TEXT, id="k1")) == "Secret(id='k1', algorithms=('HS256',))"


@pytest.mark.parametrize(
    ("size", "algorithms", "least"),
    [(31, ["HS256"], 32), (47, ["HS384"], 48), (63, ["HS512"], 64), (32, ["HS256", "HS512"], 64)],
)
def test_a_secret_is_as_long_as_the_hash(size: int, algorithms: list[str], least: int) -> None:
    value = bytes(range(size))
    found = problems_of(lambda: Secret(value, algorithms=algorithms))
    assert found == {"value": f"has {size} bytes, and needs at least {least}"}
    assert Secret(bytes(range(least)), algorithms=algorithms).algorithms == tuple(algorithms)


def test_a_short_secret_that_is_known_is_taken_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wicket"):
        assert Secret(b"short", allow_short=True).keys[0].material == b"short"
    assert [record.getMessage() for record in caplog.records] == [
        "a secret of 5 bytes is in use where 32 are the least (allow_short)"
    ]


def test_a_long_secret_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    Secret(KEY, allow_short=True)
    assert caplog.records == []


@pytest.mark.parametrize(
    "value",
    [
        b"secret",
        b"your-256-bit-secret",
        b"a-string-secret-at-least-256-bits-long",
        b"sk_live_...",
        b"iv_your-secret-key",
        b" secret\n",
        bytes(32),
        b"a" * 64,
        base64.urlsafe_b64decode(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
        ),
    ],
)
def test_a_well_known_example_is_no_secret(value: bytes) -> None:
    assert problems_of(lambda: Secret(value, allow_short=True)) == {
        "value": "is a well-known example, or one byte repeated"
    }


def rsa_jwk() -> dict[str, Any]:
    return jwk(rsa_key())


@pytest.mark.parametrize(
    "text",
    [
        lambda: pem(rsa_key()),
        lambda: pem(private_key("ES256")),
        lambda: pem(private_key("EdDSA")),
        lambda: pem(rsa_key()).replace("\n", "\r\n"),
        lambda: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        lambda: json.dumps(rsa_jwk()),
        lambda: json.dumps(rsa_jwk(), indent=2),
        lambda: rsa_key().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    ],
    ids=["rsa", "ec", "ed25519", "crlf", "certificate", "jwk", "indented jwk", "ssh"],
)
def test_the_text_of_a_public_key_is_no_secret(text: Callable[[], str]) -> None:
    value = text().strip().encode()
    assert problems_of(lambda: Secret(value)) == {"value": "is the text of a public key, not a secret"}


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    begins = datetime.datetime(2025, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(5)
    builder = builder.not_valid_before(begins).not_valid_after(begins + datetime.timedelta(days=3650))
    key = rsa_key()
    return builder.public_key(key.public_key()).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "build",
    [
        Secret,
        lambda der: Secret.from_text(base64.b64encode(der).decode()),
        lambda der: Secret.from_base64(base64.b64encode(der).decode()),
        lambda der: Secret.from_text(der.hex()),
        lambda der: Secret.from_hex(der.hex()),
        lambda der: Secret(base64.encodebytes(der)),
    ],
    ids=["der", "base64 as text", "base64", "hex as text", "hex", "in lines"],
)
def test_a_certificate_without_its_frame_is_no_secret(build: Callable[[bytes], Secret]) -> None:
    assert problems_of(lambda: build(certificate())) == {"value": "is the text of a public key, not a secret"}


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text.replace('"kty"', '"\\u006bty"').encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-32"),
        lambda text: b" \xef\xbb\xbf " + text.encode(),
        lambda text: base64.b64encode(text.encode("utf-8-sig")),
        lambda text: base64.b64encode(b"\n" + text.encode()),
    ],
    ids=["escaped", "utf-16", "utf-16-le", "utf-32", "mark between blanks", "mark in base64", "blank in base64"],
)
def test_a_jwk_in_any_spelling_that_json_has_is_no_secret(spell: Callable[[str], bytes]) -> None:
    value = spell(json.dumps(rsa_jwk()))
    assert problems_of(lambda: Secret(value)) == {"value": "is the text of a public key, not a secret"}


@pytest.mark.parametrize(
    "text", ['{"not": ["a", {"key": 1}], "of": "any kind, it is long enough"}', '["x",' + "[" * 40_000]
)
def test_json_without_a_key_in_it_is_one(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


@pytest.mark.parametrize("text", ["-----BEGIN OpenVPN Static key V1-----\n0123456789abcdef0123456789abcdef"])
def test_a_frame_around_no_public_key_is_one(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


def test_a_sequence_of_something_else_is_one() -> None:
    value = b"\x30\x26" + bytes(range(38))
    assert Secret(value).keys[0].material == value


@pytest.mark.parametrize(
    "text", ["disk-ssh-0f7c1b7a9d8e4c5fa6b7c8d9e0f1a2b3", "not an ssh-rsa key: 0f7c1b7a9d8e4c5fa6b7c8d9e0f1a2b3"]
)
def test_a_secret_in_which_a_mark_of_keys_merely_occurs_is_one(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_pem_of_more_bytes_to_a_character_is_no_secret(encoding: str) -> None:
    value = pem(rsa_key()).encode(encoding)
    assert problems_of(lambda: Secret(value)) == {"value": "is the text of a public key, not a secret"}


def test_the_inner_text_of_a_public_key_is_no_secret() -> None:
    body = "".join(pem(rsa_key()).splitlines()[1:-1])
    assert problems_of(lambda: Secret.from_text(body)) == {"value": "is the text of a public key, not a secret"}
    assert problems_of(lambda: Secret.from_base64(body)) == {"value": "is the text of a public key, not a secret"}


@pytest.mark.parametrize("value", ["text", None, bytearray(KEY), 5])
def test_a_secret_is_bytes(value: Any) -> None:
    assert problems_of(lambda: Secret(value)) == {"value": "must be bytes"}


@pytest.mark.parametrize(
    "build",
    [
        lambda: Secret(b""),
        *(lambda read=read: read("") for read in (Secret.from_text, Secret.from_hex, Secret.from_base64)),
    ],
)
def test_a_secret_is_not_empty(build: Callable[[], Secret]) -> None:
    assert problems_of(build) == {"value": "is empty"}


@pytest.mark.parametrize("text", [f"{TEXT}\n", f" {TEXT}", f'"{TEXT}"', f"'{TEXT}'", f"\t{TEXT}\r\n"])
def test_a_text_has_nothing_around_it(text: str) -> None:
    assert problems_of(lambda: Secret.from_text(text)) == {"value": "has blanks, a line break or quotes around it"}


@pytest.mark.parametrize("text", [f'"{TEXT}', f"{TEXT}'", f"{TEXT[:5]} {TEXT[5:]}"])
def test_a_quote_or_blank_of_its_own_is_kept(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


def test_one_quote_is_a_short_text() -> None:
    assert "needs at least" in problems_of(lambda: Secret.from_text("'x"))["value"]
    assert problems_of(lambda: Secret.from_text("'")) == {"value": "is a well-known example, or one byte repeated"}


def test_a_lone_surrogate_is_no_text() -> None:
    assert problems_of(lambda: Secret.from_text("\ud800" * 32)) == {
        "value": "has a byte order mark or half a character in it"
    }


@pytest.mark.parametrize("text", [b"bytes", 5, None])
def test_a_text_is_a_string(text: Any) -> None:
    assert problems_of(lambda: Secret.from_text(text)) == {"value": "must be a string"}
    assert problems_of(lambda: Secret.from_hex(text)) == {"value": "is not hexadecimal"}
    assert problems_of(lambda: Secret.from_base64(text)) == {"value": "is not base64"}


@pytest.mark.parametrize(
    "text", [KEY.hex()[:-1], KEY.hex() + "\n", " " + KEY.hex(), "0x" + KEY.hex(), "zz" * 32, "٣" * 64]
)
def test_hexadecimal_is_pairs_of_digits(text: str) -> None:
    assert problems_of(lambda: Secret.from_hex(text)) == {"value": "is not hexadecimal"}


@pytest.mark.parametrize("text", ["AAAA\n" * 11, "AA+_" * 11, "A" * 45, "A" * 44 + "===", "A=AA" * 11, "AAA*" * 11])
def test_base64_is_one_alphabet_and_padding(text: str) -> None:
    assert problems_of(lambda: Secret.from_base64(text)) == {"value": "is not base64"}


@pytest.mark.parametrize("algorithms", [["RS256"], ["hs256"], ["none"], ["HS256", "ES256"], ["EdDSA"]])
def test_a_secret_serves_only_hmac(algorithms: list[str]) -> None:
    wrong = algorithms[-1]
    assert problems_of(lambda: Secret(KEY, algorithms=algorithms)) == {"algorithms": f"{wrong!r} cannot serve a secret"}


@pytest.mark.parametrize("algorithms", ["HS256", b"HS256", [], (), None, [["HS256"]], 5])
def test_algorithms_are_a_list_of_names(algorithms: Any) -> None:
    for build in (
        lambda: Secret(KEY, algorithms=algorithms),
        lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=algorithms),
        lambda: Jwks.static({"keys": []}, algorithms=algorithms),
    ):
        assert set(problems_of(build)) == {"algorithms"}


@pytest.mark.parametrize("id", ["", "a" * 257, 5, b"k"])
def test_an_id_is_a_short_text(id: Any) -> None:
    wrong = {"id": "must be a string of 1 to 256 characters"}
    assert problems_of(lambda: Secret(KEY, id=id)) == wrong
    assert problems_of(lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=["RS256"], id=id)) == wrong
    assert Secret(KEY, id="a" * 256).id == "a" * 256


# --- public keys


@pytest.mark.parametrize(
    "algorithm", ["RS256", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"]
)
def test_a_public_key_is_read_from_pem(algorithm: str) -> None:
    text = pem(private_key(algorithm))
    for given in (text, text.encode()):
        key = PublicKey.from_pem(given, algorithms=[algorithm], id="k1")
        assert key.id == "k1"
        assert algorithm in key.algorithms
        assert key.keys[0].algorithms == key.algorithms


def test_pkcs1_is_read_too() -> None:
    text = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    assert PublicKey.from_pem(text, algorithms=["RS256"]).algorithms == ("RS256",)


def test_the_repr_of_a_public_key_is_short() -> None:
    assert repr(PublicKey.from_pem(pem(rsa_key()), algorithms=["RS256"])) == "PublicKey(id=None, algorithms=('RS256',))"


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
        (lambda: pem(x25519.X25519PrivateKey.generate()), "is not a key that verifies signatures of a JWT"),
        (lambda: pem(dsa.generate_private_key(1024)), "is not a key that verifies signatures of a JWT"),
        (
            lambda: pem(ec.generate_private_key(ec.SECP224R1())),
            "the curve is none of P-256, P-384, P-521 and secp256k1",
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
def test_what_is_no_public_key_in_pem_is_a_configuration_error(text: Callable[[], Any], message: str) -> None:
    given = text()
    assert problems_of(lambda: PublicKey.from_pem(given, algorithms=["RS256"])) == {"pem": message}


def test_every_algorithm_of_a_public_key_must_fit() -> None:
    found = problems_of(lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=["RS256", "ES256", "EdDSA"]))
    assert found == {"pem": f"the key cannot serve ES256, EdDSA; it can serve {', '.join(RSA_NAMES)}"}


@pytest.mark.parametrize("algorithm", ["HS256", "none", "rs256"])
def test_a_public_key_never_serves_hmac(algorithm: str) -> None:
    wrong = {"algorithms": f"{algorithm!r} cannot serve a public key"}
    assert problems_of(lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=[algorithm])) == wrong
    assert problems_of(lambda: PublicKey.from_jwk(rsa_jwk(), algorithms=[algorithm])) == wrong


def test_a_public_key_is_read_from_a_jwk() -> None:
    key = PublicKey.from_jwk(jwk(rsa_key(), kid="k1"), algorithms=["RS256", "PS256"])
    assert (key.id, key.algorithms) == ("k1", ("RS256", "PS256"))


@pytest.mark.parametrize(
    ("algorithm", "members", "served"),
    [
        ("ES384", {}, ("ES384",)),
        ("EdDSA", {}, ("EdDSA", "Ed25519")),
        ("RS256", {"alg": "RS512"}, ("RS512",)),
    ],
)
def test_a_jwk_that_says_what_it_serves_needs_no_list(
    algorithm: str, members: dict[str, Any], served: tuple[str, ...]
) -> None:
    assert PublicKey.from_jwk(jwk(private_key(algorithm), **members)).algorithms == served


@pytest.mark.parametrize("members", [{}, {"alg": None}])
def test_an_rsa_jwk_without_alg_needs_a_list(members: dict[str, Any]) -> None:
    found = problems_of(lambda: PublicKey.from_jwk(jwk(rsa_key(), **members)))
    assert found == {"algorithms": "must be given, since the key itself names none"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"kty": "oct", "k": "AAAA"}, "a secret (kty oct) is never taken from a key set"),
        ({}, "its kty and crv name no kind of key that signs"),
        (None, "a key must be a JSON object"),
        ([], "a key must be a JSON object"),
    ],
)
def test_a_jwk_that_must_not_verify_is_a_configuration_error(mapping: Any, message: str) -> None:
    assert problems_of(lambda: PublicKey.from_jwk(mapping)) == {"jwk": message}


# --- key sets


def test_a_key_set_is_taken_with_its_broken_members_skipped() -> None:
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


def test_a_key_set_may_have_64_keys() -> None:
    one = jwk(rsa_key())
    assert len(Jwks.static({"keys": [one] * 64}).keys) == 64
    assert problems_of(lambda: Jwks.static({"keys": [one] * 65})) == {"document": "has more than 64 keys"}


@pytest.mark.parametrize("document", [None, [], "{}", {}, {"keys": {}}, {"keys": None}, 5])
def test_what_is_no_key_set_is_a_configuration_error(document: Any) -> None:
    assert problems_of(lambda: Jwks.static(document)) == {"document": "is not a key set"}


@pytest.mark.parametrize("keys", [[], [{"kty": "oct"}]])
def test_a_key_set_without_a_usable_key_is_a_configuration_error(keys: list[Any]) -> None:
    assert problems_of(lambda: Jwks.static({"keys": keys})) == {"document": "has no usable key"}


def test_a_key_set_never_serves_hmac() -> None:
    assert problems_of(lambda: Jwks.static({"keys": []}, algorithms=["HS256"])) == {
        "algorithms": "'HS256' cannot serve a key set"
    }


# --- what an attacker tried


@pytest.mark.parametrize("allow_short", ["no", 1, None])
def test_allow_short_is_true_or_false(allow_short: Any) -> None:
    assert problems_of(lambda: Secret(KEY, allow_short=allow_short)) == {"allow_short": "must be true or false"}


def der(algorithm: str) -> bytes:
    encoded: bytes = private_key(algorithm).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize(
    "build",
    [
        Secret,
        lambda key: Secret.from_hex(key.hex()),
        lambda key: Secret.from_text(key.hex()),
        lambda key: Secret.from_base64(base64.b64encode(key).decode()),
        lambda key: Secret.from_base64(base64.urlsafe_b64encode(key).decode()),
        lambda key: Secret.from_text(base64.b64encode(key).decode()),
        lambda key: Secret.from_text(base64.urlsafe_b64encode(key).decode()),
        lambda key: Secret(base64.encodebytes(key)),
    ],
    ids=["der", "hex", "hex as text", "base64", "base64url", "base64 as text", "base64url as text", "in lines"],
)
def test_a_public_key_in_any_usual_spelling_is_no_secret(build: Callable[[bytes], Secret], algorithm: str) -> None:
    wrong = {"value": "is the text of a public key, not a secret"}
    assert problems_of(lambda: build(der(algorithm))) == wrong
    text = pem(private_key(algorithm)).encode()
    if build is not Secret:
        assert problems_of(lambda: build(text)) == wrong


def test_a_byte_order_mark_hides_no_public_key() -> None:
    value = b"\xef\xbb\xbf" + pem(rsa_key()).encode()
    assert problems_of(lambda: Secret(value)) == {"value": "is the text of a public key, not a secret"}


def test_a_secret_that_stands_in_place_of_an_algorithm_is_not_quoted() -> None:
    for build in (
        lambda: Secret(KEY, algorithms=[TEXT]),
        lambda: PublicKey.from_pem(pem(rsa_key()), algorithms=[TEXT]),
        lambda: Jwks.static({"keys": []}, algorithms=[TEXT]),
    ):
        assert problems_of(build)["algorithms"].startswith("another value cannot serve")
    assert problems_of(lambda: Secret(KEY, algorithms=["0123456789"]))["algorithms"].startswith("'0123456789' ")


def told(error: BaseException | None) -> str:
    """All that an exception and those behind it tell."""
    if error is None:
        return ""
    return f"{error!s} {error.args!r} {vars(error)!r} {told(error.__context__)} {told(error.__cause__)}"


@pytest.mark.parametrize("mark", ["\ufeff", chr(0xD800), chr(0xDFFF)])
@pytest.mark.parametrize("form", ["{mark}{text}", "{text}{mark}", "{mark} {text}"])
def test_a_text_with_a_mark_or_half_a_character_is_refused_and_never_told(form: str, mark: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Secret.from_text(form.format(mark=mark, text=TEXT))
    assert [problem.path for problem in caught.value.problems] == ["value"]
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert TEXT[:8] not in told(caught.value)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_in_der_is_no_secret(algorithm: str) -> None:
    for build in (Secret, lambda key: Secret.from_text(base64.b64encode(key).decode())):
        assert problems_of(lambda build=build: build(der(algorithm))) == {  # type: ignore[misc]
            "value": "is the text of a public key, not a secret"
        }
