"""The requirements of RFC 7515, 7517, 7518, 7797 and 8037: signatures, keys and key sets, one test each."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.attacks.clients import Behind
from tests.attacks.token_factory import (
    CRITICAL,
    app,
    claims,
    jwk,
    of_any_kind,
    private_key,
    public_key,
    secret,
    signature_of,
    signed,
    token,
)
from tests.integration.key_set_apps import answering
from wicket import ConfigError, Jwks, PublicKey, Secret
from wicket.runtime import base64url
from wicket.testing.issuer import LocalIssuer

ADA = (200, "acme:ada", None)
MALFORMED = (401, "invalid_token", "malformed")
BAD_SIGNATURE = (401, "invalid_token", "bad_signature")
NOT_ALLOWED = (401, "invalid_token", "algorithm_not_allowed")
NOT_FOUND = (401, "invalid_token", "key_not_found")


def test_rfc7515_4_1_11_crit_any_value_malformed(behind: Behind) -> None:
    """No extension is understood here, so that not even a well-formed list can pass."""
    door = behind(app())
    assert door.ask(token()).said == ADA
    for critical in (*CRITICAL, ["kid"], ["x", "x"], ["http://example.com/x"]):
        members = {"crit": critical, "x": 1, "http://example.com/x": 1, "b64": True}
        assert door.ask(token(header=members)).said == MALFORMED, critical


def test_rfc7515_5_2_header_duplicate_member_or_not_object_malformed(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(signed('{"alg":"HS256","typ":"JWT"}', claims(), secret(), "HS256")).said == ADA
    for header in (
        *('{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"none"}', '{"alg":"HS256","alg":"HS256"}'),
        *(
            '{"alg":"HS256","\\u0061lg":"none"}',
            '{"alg":"HS256","x":{"a":1,"a":2}}',
            '{"alg":"HS256","kid":"1","kid":"2"}',
        ),
        *(
            "[]",
            '["HS256"]',
            '"HS256"',
            "null",
            "1",
            "",
            "{",
            '{"alg":"HS256"}x',
            '{"alg":"HS256"}{}',
            "{'alg':'HS256'}",
        ),
        *(
            '{"alg":"HS256",}',
            '{alg:"HS256"}',
            '{"alg":"HS256"/**/}',
            '{"alg":"HS256","a":NaN}',
            '\ufeff{"alg":"HS256"}',
        ),
    ):
        if header:
            assert door.ask(signed(header, claims(), secret(), "HS256")).said == MALFORMED, header


def test_rfc7515_2_base64url_noncanonical_malformed(behind: Behind) -> None:
    door = behind(app())
    good = token()
    assert door.ask(good).said == ADA
    for index in range(3):
        parts = good.split(".")
        for spelled in (
            f"{parts[index]}=",
            f"{parts[index]}==",
            f" {parts[index]}",
            parts[index] + "A" * _stray(parts[index]),
        ):
            changed = ".".join([*parts[:index], spelled, *parts[index + 1 :]])
            assert door.gate.verify(changed, app="acme").allowed is False
            if " " not in changed:
                assert door.ask(changed).said == MALFORMED, spelled
    head, body, signature = good.split(".")
    raw = base64url.decode(signature)
    assert door.ask(f"{head}.{body}.{base64url.encode(raw)}").said == ADA
    standard = token(sub="ada", plan="ÿÿÿ>>>???")
    assert door.ask(standard).said == ADA
    assert door.ask(standard.replace("-", "+").replace("_", "/")).said == MALFORMED
    assert "-" in standard or "_" in standard


def _stray(part: str) -> int:
    """How many characters make the length of a part one that spells no bytes."""
    return (1 - len(part)) % 4 or 4


def test_rfc7797_6_b64_header_any_value_malformed(behind: Behind) -> None:
    door = behind(app())
    assert door.ask(token()).said == ADA
    for value in of_any_kind(False, True, 0, 1, "false", None, []):
        assert door.ask(token(header={"b64": value})).said == MALFORMED, value
        assert door.ask(token(header={"b64": value, "crit": ["b64"]})).said == MALFORMED, value
    head = base64url.encode(json.dumps({"alg": "HS256", "b64": False, "crit": ["b64"]}).encode())
    message = f"{head}.{json.dumps(claims())}".replace(" ", "")
    assert door.ask(f"{message}.{base64url.encode(signature_of(message.encode(), secret(), 'HS256'))}").status in (
        400,
        401,
    )


def test_rfc7517_4_2_use_or_key_ops_not_for_verify_key_refused(behind: Behind) -> None:
    key = jwk(private_key("ES256"))
    good: list[dict[str, Any]] = [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}]
    bad: list[dict[str, Any]] = [
        *({"use": "enc"}, {"use": "SIG"}, {"use": None}, {"use": ["sig"]}, {"use": ""}),
        *({"key_ops": ["encrypt"]}, {"key_ops": []}, {"key_ops": "verify"}, {"key_ops": None}, {"key_ops": ["sign"]}),
    ]
    for members in good:
        assert behind(app("acme", PublicKey.from_jwk({**key, **members}))).ask(token("ES256")).said == ADA
    for members in bad:
        with pytest.raises(ConfigError):
            PublicKey.from_jwk({**key, **members})
        beside = jwk(private_key("ES256", "other"), kid="2")
        held = Jwks.static({"keys": [{**key, **members, "kid": "1"}, beside]})
        door = behind(app("acme", held))
        assert door.ask(token("ES256", header={"kid": "1"})).said == NOT_FOUND
        assert door.ask(token("ES256", private_key("ES256", "other"), header={"kid": "2"})).said == ADA


def test_rfc7517_4_5_duplicate_kid_at_most_four_keys_tried(behind: Behind) -> None:
    keys = [private_key("ES256", f"twin {number}") for number in range(6)]
    door = behind(app("acme", Jwks.static({"keys": [jwk(each, kid="1") for each in keys]})))
    said = [door.ask(token("ES256", each, header={"kid": "1"})).said for each in keys]
    assert said == [ADA] * 4 + [BAD_SIGNATURE] * 2
    assert door.ask(token("ES256", private_key("ES256", "mallory"), header={"kid": "1"})).said == BAD_SIGNATURE


def test_rfc7517_5_unknown_key_set_members_skipped(behind: Behind, issuer: LocalIssuer) -> None:
    odd: list[Any] = [
        {"kty": "oct"},
        {"kty": "RSA", "alg": "none"},
        {"kty": "EC", "alg": ["ES256"]},
        {"kty": "AKP"},
        7,
        None,
    ]
    document = {"keys": [*odd, *issuer.document()["keys"]], "more": {"a": 1}}
    issuer.fault = answering(200, json.dumps(document).encode())
    door = behind(app("acme", Jwks(issuer.jwks_url), issuer=issuer.issuer), network=issuer.network)
    assert door.ask(issuer.token("ada", now=1_800_000_000)).said == ADA
    for name in ("oct", "RSA"):
        assert door.ask(token("HS256", b"", header={"kid": name}, iss=issuer.issuer)).said == NOT_ALLOWED
    issuer.fault = answering(200, json.dumps({"keys": odd}).encode())
    door.gate.refresh("acme", purge=True)
    assert door.ask(issuer.token("ada", now=1_800_000_000)).said == (503, "keys_unavailable", None)


def test_rfc7518_3_2_key_shorter_than_hash_config_error(behind: Behind) -> None:
    for name, size in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        for short in (size - 1, size // 2):
            with pytest.raises(ConfigError, match=f"needs at least {size}"):
                Secret(secret()[:short], algorithms=[name])
        assert (
            behind(app("acme", Secret(secret()[:size], algorithms=[name]))).ask(token(name, secret()[:size])).said
            == ADA
        )
    with pytest.raises(ConfigError, match="needs at least 64"):
        Secret(secret()[:32], algorithms=["HS256", "HS512"])
    text = rsa.generate_private_key(65537, 1024).public_key()
    with pytest.raises(ConfigError, match="2048"):
        PublicKey.from_pem(text.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), algorithms=["PS256"])


@pytest.mark.parametrize(("algorithm", "size"), [("ES256", 32), ("ES384", 48), ("ES512", 66)])
def test_rfc7518_3_4_ecdsa_other_signature_encoding_bad_signature(behind: Behind, algorithm: str, size: int) -> None:
    key = private_key(algorithm)
    door = behind(app("acme", public_key(algorithm)))
    message, _, spelled = token(algorithm).rpartition(".")
    raw = base64url.decode(spelled)
    assert len(raw) == 2 * size
    assert door.ask(f"{message}.{spelled}").said == ADA
    r, s = raw[:size], raw[size:]
    digest = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}[algorithm]
    in_der = key.sign(message.encode(), ec.ECDSA(digest))
    assert decode_dss_signature(in_der)
    same = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    order = {
        "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        "ES384": int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
        "ES512": int("1" + "f" * 65 + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
    }[algorithm]
    zero, whole = bytes(size), order.to_bytes(size, "big")
    begun = raw
    while begun[size]:
        begun = signature_of(message.encode(), key, algorithm)
    assert door.ask(f"{message}.{base64url.encode(begun)}").said == ADA
    for bad in (
        *(begun[:size] + begun[size + 1 :], r + b"\0" + s, r + b"\0\0" + s, b"\0" + r + b"\0\0" + s, raw + raw),
        *(
            in_der,
            same,
            same.ljust(2 * size, b"\0"),
            zero + zero,
            zero + s,
            r + zero,
            whole + s,
            r + whole,
            whole + whole,
            b"\1".rjust(size, b"\0") + zero,
        ),
        *(r + s + b"\0", b"\0" + r + s, b"\0" + r + b"\0" + s, r, s, s + r, r[1:] + s, r + s[:-1], b"\xff" * 2 * size),
    ):
        assert door.ask(f"{message}.{base64url.encode(bad)}").said == BAD_SIGNATURE, bad.hex()
    with pytest.raises(ConfigError):
        PublicKey.from_pem(_pem(key), algorithms=["ES256" if algorithm != "ES256" else "ES384"])


def _pem(key: Any) -> bytes:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text


def test_rfc7518_3_5_pss_other_salt_or_hash_bad_signature(behind: Behind) -> None:
    door = behind(app("acme", public_key("PS256")))
    key: rsa.RSAPrivateKey = private_key("PS256")
    message = token("PS256").rpartition(".")[0]

    def sign(mask: hashes.HashAlgorithm, salt: int, digest: hashes.HashAlgorithm) -> str:
        made = key.sign(message.encode(), padding.PSS(padding.MGF1(mask), salt), digest)
        return f"{message}.{base64url.encode(made)}"

    assert door.ask(sign(hashes.SHA256(), 32, hashes.SHA256())).said == ADA
    for salt in (0, 20, 31, 33, 64, 222):
        assert door.ask(sign(hashes.SHA256(), salt, hashes.SHA256())).said == BAD_SIGNATURE, salt
    assert door.ask(sign(hashes.SHA1(), 32, hashes.SHA256())).said == BAD_SIGNATURE
    assert door.ask(sign(hashes.SHA512(), 32, hashes.SHA256())).said == BAD_SIGNATURE
    assert door.ask(sign(hashes.SHA512(), 64, hashes.SHA512())).said == BAD_SIGNATURE
    plain = key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert door.ask(f"{message}.{base64url.encode(plain)}").said == BAD_SIGNATURE


def test_rfc8037_2_key_agreement_curve_refused(behind: Behind) -> None:
    exchange = x25519.X25519PrivateKey.from_private_bytes(hashlib.sha256(b"x25519").digest())
    raw = exchange.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    members = {"kty": "OKP", "crv": "X25519", "x": base64url.encode(raw), "kid": "x"}
    good = jwk(private_key("EdDSA"), kid="ed")
    for bad in (
        members,
        {**members, "alg": "EdDSA", "use": "sig"},
        {**good, "crv": "X448"},
        {**good, "crv": "ed25519"},
    ):
        with pytest.raises(ConfigError):
            PublicKey.from_jwk(bad)
    with pytest.raises(ConfigError):
        PublicKey.from_pem(_pem(exchange), algorithms=["EdDSA"])
    door = behind(app("acme", Jwks.static({"keys": [members, good]})))
    assert door.ask(token("EdDSA", header={"kid": "ed"})).said == ADA
    assert door.ask(token("EdDSA", header={"kid": "x"})).said == NOT_FOUND
