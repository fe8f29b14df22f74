"""What an attacker can make: tokens of any header, claims and signature, and a public key in every spelling."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

from wicket import App, PublicKey, Secret, profiles
from wicket.keys import Credential
from wicket.runtime import base64url

NOW: Final = 1_800_000_000
"""The time of day of every gate here."""

HASHES: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
ASYMMETRIC: Final = ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


def seed(name: str) -> bytes:
    """32 bytes that look like nothing, the same in every run."""
    return hashlib.sha256(f"attacks: {name}".encode()).digest()


def secret(name: str = "acme") -> bytes:
    """The shared secret of an app, long enough for every hash."""
    return hashlib.sha512(f"the secret of {name}".encode()).digest()


def private_key(algorithm: str, owner: str = "acme") -> Any:
    """The private key of an owner for an algorithm. RS256 and PS256 share one, and so do EdDSA and Ed25519."""
    return _private_key({"PS256": "RS256", "Ed25519": "EdDSA"}.get(algorithm, algorithm), owner)


@functools.cache
def _private_key(algorithm: str, owner: str) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed(f"ed25519 {owner}"))
    number = int.from_bytes(seed(f"{algorithm} {owner}"), "big") >> 2
    return ec.derive_private_key(number, _CURVES[algorithm])


def signature_of(message: bytes, key: Any, algorithm: str) -> bytes:
    """The signature that `algorithm` makes of `message`; for HMAC with any bytes for a secret, even none."""
    if algorithm in HASHES:
        return hmac.digest(key, message, HASHES[algorithm])
    made: bytes = get_default_algorithms()["EdDSA" if algorithm == "Ed25519" else algorithm].sign(message, key)
    return made


def text_of(part: object) -> bytes:
    """A part of a token: bytes and text as they are, anything else as JSON."""
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part, separators=(",", ":"))).encode("utf-8", "surrogatepass")


def of_any_kind(*values: Any) -> tuple[Any, ...]:
    """Values of several kinds, to be tried one after the other."""
    return values


def signed(header: object, claims: object, key: Any, algorithm: str) -> str:
    """A token over exactly this header and these claims, whatever they are, signed with `algorithm`."""
    message = f"{base64url.encode(text_of(header))}.{base64url.encode(text_of(claims))}"
    return f"{message}.{base64url.encode(signature_of(message.encode(), key, algorithm))}"


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that hold at `NOW`, with changes; None leaves a claim out."""
    held = {"sub": "ada", "iat": NOW - 60, "exp": NOW + 3600, **changes}
    return {name: value for name, value in held.items() if value is not None}


def token(algorithm: str = "HS256", key: Any = None, /, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """An honest token of the app `acme`, but for what is said otherwise."""
    head = {"alg": algorithm, "typ": "JWT", **(header or {})}
    if key is None:
        key = secret() if algorithm in HASHES else private_key(algorithm)
    return signed(head, claims(**changes), key, algorithm)


def resigned(text: str, header: object, key: Any, algorithm: str) -> str:
    """The claims of a token under another header, signed by whoever has `key`."""
    return signed(header, base64url.decode(text.split(".")[1]), key, algorithm)


def public_key(algorithm: str, owner: str = "acme", **settings: Any) -> PublicKey:
    """The public half of an owner's key as a credential."""
    return PublicKey.from_pem(pem(private_key(algorithm, owner)), algorithms=[algorithm], **settings)


def credential(algorithm: str, owner: str = "acme") -> Credential:
    """What proves tokens of that algorithm."""
    return Secret(secret(owner), algorithms=[algorithm]) if algorithm in HASHES else public_key(algorithm, owner)


def app(id: str = "acme", *credentials: Credential, **settings: Any) -> App:
    """A generic app; without credentials it has its own shared secret, for HS256."""
    return profiles.generic(id, credentials=credentials or [Secret(secret(id))], **settings)


# --- the spellings of a public key


def pem(key: PrivateKey) -> bytes:
    """The public half in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def der(key: PrivateKey) -> bytes:
    """The public half in DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:
    """The public half as a JWK, with further members."""
    public = key.public_key()
    kinds: tuple[tuple[type, Any], ...] = (
        (rsa.RSAPublicKey, RSAAlgorithm),
        (ec.EllipticCurvePublicKey, ECAlgorithm),
        (ed25519.Ed25519PublicKey, OKPAlgorithm),
    )
    made = next(kind.to_jwk(public, as_dict=True) for cls, kind in kinds if isinstance(public, cls))
    return {**{name: value for name, value in made.items() if name != "key_ops"}, **members}


@functools.cache
def certificate(algorithm: str) -> x509.Certificate:
    """A certificate of the public key, signed with its own private key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme")])
    held = private_key(algorithm)
    moment = datetime.fromtimestamp(NOW, UTC)
    builder = x509.CertificateBuilder(name, name, held.public_key(), 1, moment, moment.replace(year=2100))
    return builder.sign(held, None if isinstance(held, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def thumbprint_text(members: dict[str, Any]) -> bytes:
    """What RFC 7638 hashes: the required members, sorted, without blanks."""
    needed = {name: members[name] for name in ("crv", "e", "k", "kty", "n", "x", "y") if name in members}
    return json.dumps(needed, sort_keys=True, separators=(",", ":")).encode()


def segment(value: object) -> str:
    """A segment of a token, spelled out."""
    return base64url.encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def encrypted(header: Mapping[str, object]) -> str:
    """Five parts, as a JWE has; its ciphertext decompresses to eight megabytes."""
    bomb = zlib.compress(bytes(8_000_000), 9)
    return ".".join([segment(header), segment(bytes(256)), segment(bytes(12)), segment(bomb), segment(bytes(16))])


CRITICAL = of_any_kind(
    *(["x"], [], None, "x", [1], ["alg"], ["b64", "b64"], ["b64"], ["absent"], [["b64"]], {}, True, ["exp"], [""]),
)
"""Values of the header member `crit`, none of which may be accepted."""
