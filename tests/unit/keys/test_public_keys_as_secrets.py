"""A public key is rejected as a secret in every encoding. Similar values are accepted."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.unit import pem, private_key, problems_of, rsa_jwk, rsa_key
from wicket import Secret


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
def test_secret_public_key_text_config_error(text: Callable[[], str]) -> None:
    value = text().strip().encode()
    assert problems_of(lambda: Secret(value)) == {"value": "is a public key, not a secret"}


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
def test_secret_certificate_der_any_encoding_config_error(build: Callable[[bytes], Secret]) -> None:
    assert problems_of(lambda: build(certificate())) == {"value": "is a public key, not a secret"}


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.replace('"kty"', '"\\u006bty"').encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-32"),
        lambda text: b" \xef\xbb\xbf " + text.encode(),
        lambda text: base64.b64encode(text.encode("utf-8-sig")),
        lambda text: base64.b64encode(b"\n" + text.encode()),
    ],
    ids=["escaped", "utf-16", "utf-16-le", "utf-32", "mark between spaces", "mark in base64", "space in base64"],
)
def test_secret_jwk_any_json_encoding_config_error(encode: Callable[[str], bytes]) -> None:
    value = encode(json.dumps(rsa_jwk()))
    assert problems_of(lambda: Secret(value)) == {"value": "is a public key, not a secret"}


@pytest.mark.parametrize(
    "text", ['{"not": ["a", {"key": 1}], "of": "any kind, it is long enough"}', '["x",' + "[" * 40_000]
)
def test_secret_json_without_key_accepted(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


@pytest.mark.parametrize("text", ["-----BEGIN OpenVPN Static key V1-----\n0123456789abcdef0123456789abcdef"])
def test_secret_pem_frame_without_public_key_accepted(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


def test_secret_asn1_sequence_without_key_accepted() -> None:
    value = b"\x30\x26" + bytes(range(38))
    assert Secret(value).keys[0].material == value


@pytest.mark.parametrize(
    "text", ["disk-ssh-0f7c1b7a9d8e4c5fa6b7c8d9e0f1a2b3", "not an ssh-rsa key: 0f7c1b7a9d8e4c5fa6b7c8d9e0f1a2b3"]
)
def test_secret_ssh_marker_inside_text_accepted(text: str) -> None:
    assert Secret.from_text(text).keys[0].material == text.encode()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_secret_pem_utf16_or_utf32_config_error(encoding: str) -> None:
    value = pem(rsa_key()).encode(encoding)
    assert problems_of(lambda: Secret(value)) == {"value": "is a public key, not a secret"}


def test_secret_pem_body_without_frame_config_error() -> None:
    body = "".join(pem(rsa_key()).splitlines()[1:-1])
    assert problems_of(lambda: Secret.from_text(body)) == {"value": "is a public key, not a secret"}
    assert problems_of(lambda: Secret.from_base64(body)) == {"value": "is a public key, not a secret"}


# --- attacks


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
def test_secret_public_key_der_or_pem_any_encoding_config_error(
    build: Callable[[bytes], Secret], algorithm: str
) -> None:
    wrong = {"value": "is a public key, not a secret"}
    assert problems_of(lambda: build(der(algorithm))) == wrong
    text = pem(private_key(algorithm)).encode()
    if build is not Secret:
        assert problems_of(lambda: build(text)) == wrong


def test_secret_pem_with_byte_order_mark_config_error() -> None:
    value = b"\xef\xbb\xbf" + pem(rsa_key()).encode()
    assert problems_of(lambda: Secret(value)) == {"value": "is a public key, not a secret"}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_secret_public_key_der_bytes_or_base64_config_error(algorithm: str) -> None:
    for build in (Secret, lambda key: Secret.from_text(base64.b64encode(key).decode())):
        assert problems_of(lambda build=build: build(der(algorithm))) == {  # type: ignore[misc]
            "value": "is a public key, not a secret"
        }
