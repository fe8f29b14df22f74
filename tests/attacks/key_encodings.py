"""One public key in every encoding that has been used as a shared secret in a known incident."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.attacks.token_factory import certificate, der, jwk, pem, private_key, thumbprint_text
from wicket.runtime import base64url


@functools.cache
def spellings(algorithm: str) -> dict[str, bytes]:
    """The public key of `acme` for an algorithm, as bytes that might serve as an HMAC secret."""
    key = private_key(algorithm)
    found = {
        **_armoured("PEM", pem(key)),
        **_binary("DER", der(key)),
        **_of_jwk(jwk(key)),
        **_of_certificate(algorithm),
        **_of_kind(key.public_key()),
    }
    once = {value: name for name, value in found.items()}  # the one line of a short key is its own base64
    return {name: value for value, name in once.items()}


def _armoured(name: str, text: bytes) -> dict[str, bytes]:
    """A text with `-----BEGIN`, and what editors, variables and forms make of it."""
    bare = text.rstrip(b"\n")
    body = b"".join(bare.splitlines()[1:-1])
    return {
        name: text,
        f"{name} without its last line break": bare,
        f"{name} with two line breaks at its end": text + b"\n",
        f"{name} with CRLF": text.replace(b"\n", b"\r\n"),
        f"{name} with CR": text.replace(b"\n", b"\r"),
        f"{name} behind a blank": b" " + text,
        f"{name} behind a tab": b"\t" + text,
        f"{name} behind a line break": b"\n" + text,
        f"{name} behind a byte order mark": b"\xef\xbb\xbf" + text,
        f"{name} behind NUL": b"\0" + text,
        f"{name} with NUL at its end": text + b"\0",
        f"{name} in one line": bare.replace(b"\n", b""),
        f"{name} with spelled line breaks": bare.replace(b"\n", b"\\n"),
        f"{name} in quotes": b'"' + bare + b'"',
        f"{name} in UTF-16": text.decode().encode("utf-16"),
        f"{name} in lower case": text.lower(),
        f"the body of {name}": body,
        f"the body of {name} in lines": b"\n".join(bare.splitlines()[1:-1]) + b"\n",
        f"{name} in base64": base64.b64encode(text),
        f"{name} in base64url": base64url.encode(text).encode(),
        f"{name} in hexadecimal": text.hex().encode(),
        f"{name} as a JSON text": json.dumps(text.decode()).encode(),
    }


def _binary(name: str, value: bytes) -> dict[str, bytes]:
    return {
        name: value,
        f"{name} and a line break": value + b"\n",
        f"{name} in base64 and a line break": base64.b64encode(value) + b"\n",
        f"{name} in MIME's base64": base64.encodebytes(value),
        f"{name} in base64 without padding, and a blank": base64.b64encode(value).rstrip(b"=") + b" ",
        f"{name} in base64url with padding, behind a blank": b" " + base64.urlsafe_b64encode(value),
        f"{name} in hexadecimal": value.hex().encode(),
        f"{name} in upper-case hexadecimal": value.hex().upper().encode(),
        f"{name} in hexadecimal with colons": value.hex(":").encode(),
        f"SHA-256 of {name}": hashlib.sha256(value).digest(),
        f"SHA-256 of {name} in hexadecimal": hashlib.sha256(value).hexdigest().encode(),
        f"SHA-256 of {name} in base64": base64.b64encode(hashlib.sha256(value).digest()),
        f"SHA-1 of {name}": hashlib.sha1(value).digest(),
        f"MD5 of {name}": hashlib.md5(value).digest(),
    }


def _of_jwk(members: dict[str, Any]) -> dict[str, bytes]:
    compact = {"separators": (",", ":")}
    named = {**members, "kid": "1", "use": "sig"}
    texts = {
        "JWK": json.dumps(members),
        "JWK without blanks": json.dumps(members, **compact),  # type: ignore[arg-type]  # a table of keywords
        "JWK with indents": json.dumps(members, indent=2),
        "JWK with a kid": json.dumps(named),
        "JWK with a kid, without blanks": json.dumps(named, **compact),  # type: ignore[arg-type]  # as above
        "JWK backwards": json.dumps(dict(reversed(members.items()))),
        "JWK behind a blank": " " + json.dumps(members),
        "JWK and a line break": json.dumps(members) + "\n",
        "JWK behind a byte order mark": "\ufeff" + json.dumps(members),
        "JWKS": json.dumps({"keys": [members]}),
        "JWKS without blanks": json.dumps({"keys": [named]}, **compact),  # type: ignore[arg-type]  # as above
        "JWKS with indents": json.dumps({"keys": [members]}, indent=2),
        "a list of JWK": json.dumps([members]),
        "JWK as a JSON text": json.dumps(json.dumps(members)),
        "JWK as Python writes it": repr(members),
    }
    digest = hashlib.sha256(thumbprint_text(members)).digest()
    return {
        **{name: text.encode() for name, text in texts.items()},
        "JWK in base64": base64.b64encode(texts["JWK"].encode()),
        "JWK in base64url": base64url.encode(texts["JWK without blanks"].encode()).encode(),
        "JWKS in base64": base64.b64encode(texts["JWKS"].encode()),
        "what a thumbprint hashes": thumbprint_text(members) + b"\n",
        "thumbprint": base64url.encode(digest).encode(),
        "thumbprint, raw": digest,
        "thumbprint in hexadecimal": digest.hex().encode(),
        "thumbprint as a URN": b"urn:ietf:params:oauth:jwk-thumbprint:sha-256:" + base64url.encode(digest).encode(),
        **{f"the member {name}": str(members[name]).encode() for name in ("n", "x", "y") if name in members},
    }


def _of_certificate(algorithm: str) -> dict[str, bytes]:
    held = certificate(algorithm)
    raw = held.public_bytes(Encoding.DER)
    text = held.public_bytes(Encoding.PEM)
    return {
        "certificate": text,
        "certificate without its last line break": text.rstrip(b"\n"),
        "certificate in DER": raw,
        "certificate as x5c": base64.b64encode(raw),
        "certificate's x5t": base64url.encode(hashlib.sha1(raw).digest()).encode(),
        "certificate's x5t#S256": base64url.encode(hashlib.sha256(raw).digest()).encode(),
    }


def _of_kind(public: object) -> dict[str, bytes]:
    if isinstance(public, rsa.RSAPublicKey):
        return {**_ssh(public), **_of_rsa(public)}
    if isinstance(public, ec.EllipticCurvePublicKey):
        return {**_ssh(public), **_of_curve(public)}
    if isinstance(public, ed25519.Ed25519PublicKey):
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {**_ssh(public), "raw key": raw, "raw key in hexadecimal": raw.hex().encode()}
    raise AssertionError("a kind of key of which nobody knows the spellings")


def _ssh(public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> dict[str, bytes]:
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    _, text = line.split(b" ")
    wire = base64.b64decode(text)
    return {
        "SSH": line,
        "SSH and a line break": line + b"\n",
        "SSH with a comment": line + b" ada@acme.example",
        "SSH behind a blank": b" " + line,
        "SSH behind options": b"restrict " + line,
        "SSH without its kind": text,
        "SSH on the wire": wire,
        "SSH fingerprint": b"SHA256:" + base64.b64encode(hashlib.sha256(wire).digest()).rstrip(b"="),
    }


def _of_rsa(public: rsa.RSAPublicKey) -> dict[str, bytes]:
    number = public.public_numbers().n
    raw = number.to_bytes(public.key_size // 8, "big")
    pkcs1 = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    return {
        "PKCS#1": pkcs1,
        "PKCS#1 without its last line break": pkcs1.rstrip(b"\n"),
        "PKCS#1 with CRLF": pkcs1.replace(b"\n", b"\r\n"),
        "PKCS#1 behind a blank": b" " + pkcs1,
        "PKCS#1 in DER": public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
        "PKCS#1 in base64": base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.PKCS1)),
        "raw modulus": raw,
        "raw modulus behind a zero": b"\0" + raw,
        "raw modulus, little end first": raw[::-1],
        "raw modulus in hexadecimal": raw.hex().encode(),
        "raw modulus in base64": base64.b64encode(raw),
        "modulus in decimal": str(number).encode(),
        "modulus as openssl prints it": b"Modulus=" + raw.hex().upper().encode() + b"\n",
    }


def _of_curve(public: ec.EllipticCurvePublicKey) -> dict[str, bytes]:
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    half = len(point) // 2
    return {
        "point": point,
        "point, compressed": compressed,
        "point in hexadecimal": point.hex().encode(),
        "point, compressed, in hexadecimal": compressed.hex().encode(),
        "point in base64": base64.b64encode(point),
        "x and y": point[1:],
        "raw x": point[1 : half + 1],
        "raw y": point[half + 1 :],
    }
