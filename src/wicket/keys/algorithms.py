"""Which algorithms there are, which key may serve which of them, and the verification by one prepared key.

An algorithm is an exact, case-sensitive name (RFC 8725 section 3.1). `none` and everything else that is not in the
table does not exist here. The cryptography is OpenSSL's, by way of the standard library and of `cryptography`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wicket.keys.weak_keys import LOCAL, RSABounds, weakness

AsymmetricKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class _Verifier(Protocol):
    def verify(self, message: bytes, key: Any, signature: bytes, /) -> bool: ...


class _HMAC:
    """HMAC in one call (RFC 7518 section 3.2), compared in constant time."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def verify(self, message: bytes, key: bytes, signature: bytes, /) -> bool:
        return hmac.compare_digest(hmac.digest(key, message, self._digest), signature)

    def sign(self, message: bytes, key: bytes) -> bytes:
        return hmac.digest(key, message, self._digest)


class _RSA:
    """RSASSA-PKCS1-v1_5 (RFC 7518 section 3.3), or RSASSA-PSS with a salt as long as the digest (section 3.5)."""

    def __init__(self, digest: hashes.HashAlgorithm, *, pss: bool = False) -> None:
        self._digest = digest
        self._padding = padding.PSS(padding.MGF1(digest), digest.digest_size) if pss else padding.PKCS1v15()

    def verify(self, message: bytes, key: rsa.RSAPublicKey, signature: bytes, /) -> bool:
        try:
            key.verify(signature, message, self._padding, self._digest)
        except InvalidSignature:
            return False
        return True


class _ECDSA:
    """ECDSA with what can be prepared once; the signature is `r || s`, each as long as the order (RFC 7518 3.4)."""

    def __init__(self, digest: hashes.HashAlgorithm, length: int) -> None:
        self._scheme = ec.ECDSA(digest)
        self._length = length

    def verify(self, message: bytes, key: ec.EllipticCurvePublicKey, signature: bytes, /) -> bool:
        length = self._length
        if len(signature) != 2 * length:
            return False
        r, s = int.from_bytes(signature[:length], "big"), int.from_bytes(signature[length:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, self._scheme)
        except InvalidSignature:
            return False
        return True


class _EdDSA:
    """EdDSA, by whichever curve the key has (RFC 8037 section 3.1)."""

    def verify(self, message: bytes, key: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey, signature: bytes, /) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


_HMACS: Final = {"HS256": _HMAC("sha256"), "HS384": _HMAC("sha384"), "HS512": _HMAC("sha512")}
_EDDSA: Final = _EdDSA()
_TABLE: Final[dict[str, _Verifier]] = {
    **_HMACS,
    "RS256": _RSA(hashes.SHA256()),
    "RS384": _RSA(hashes.SHA384()),
    "RS512": _RSA(hashes.SHA512()),
    "PS256": _RSA(hashes.SHA256(), pss=True),
    "PS384": _RSA(hashes.SHA384(), pss=True),
    "PS512": _RSA(hashes.SHA512(), pss=True),
    "ES256": _ECDSA(hashes.SHA256(), 32),
    "ES384": _ECDSA(hashes.SHA384(), 48),
    "ES512": _ECDSA(hashes.SHA512(), 66),
    "ES256K": _ECDSA(hashes.SHA256(), 32),
    "EdDSA": _EDDSA,
    "Ed25519": _EDDSA,
    "Ed448": _EDDSA,
}

HASH_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The HMAC algorithms, with the least number of bytes that their keys must have (RFC 7518 section 3.2)."""

_BLOCK: Final = {"HS256": (hashlib.sha256, 64), "HS384": (hashlib.sha384, 128), "HS512": (hashlib.sha512, 128)}

ASYMMETRIC: Final = frozenset(_TABLE) - HASH_BYTES.keys()

MAX_COST: Final = 400
"""What the attempts to verify one token may cost together; one HMAC costs 1."""
_COSTS: Final = {"ES256": 60, "ES256K": 300, "ES384": 300, "ES512": 300}
_RSA_2048_COST: Final = 20

_TENANT: Final = "{tenantid}"
_TENANT_ID: Final = re.compile("[0-9A-Za-z-]{1,64}", re.ASCII)

_FOR_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512", "secp256k1": "ES256K"}


class UnusableKeyError(Exception):
    """Key material that must not verify anything. Its one argument says why and never quotes the key."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One prepared key: what it may verify, and the fingerprint (SHA-256) of its material.

    `issuer` is the `iss` that tokens of this key must have; None leaves it to the app. `jwk_issuer` is the member
    `issuer` of its JWK: the key verifies only tokens of that issuer, whatever the app or the set says.
    """

    kid: str | None
    algorithms: tuple[str, ...]
    fingerprint: bytes = field(repr=False)
    material: Any = field(repr=False)
    issuer: str | None = None
    jwk_issuer: str | None = field(default=None, repr=False)

    def verify(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`. The caller has chosen an algorithm that the key allows."""
        return _TABLE[algorithm].verify(message, self.material, signature)

    def serves(self, claims: Mapping[str, Any]) -> bool:
        """Whether the JWK's own `issuer`, if it has one, is that of a token with these claims.

        Entra ID publishes `https://login.microsoftonline.com/{tenantid}/v2.0` in its tenant-independent key set: there
        the token's `tid` takes the place of `{tenantid}`. A `tid` that is not one plain segment fits nothing.
        """
        wanted = self.jwk_issuer
        if wanted is None:
            return True
        if _TENANT in wanted:
            tenant = claims.get("tid")
            if not isinstance(tenant, str) or _TENANT_ID.fullmatch(tenant) is None:
                return False
            wanted = wanted.replace(_TENANT, tenant)
        issuer = claims.get("iss")
        return isinstance(issuer, str) and issuer == wanted


def sign(algorithm: str, key: Key, message: bytes) -> bytes:
    """The HMAC of `message` by a shared secret, for what mints tokens."""
    return _HMACS[algorithm].sign(message, key.material)


def hmac_key(kid: str | None, algorithms: Iterable[str], value: bytes) -> Key:
    """Prepare a shared secret. Two spellings that HMAC takes for the same key have the same fingerprint (RFC 2104)."""
    names = tuple(algorithms)
    digest, block_bytes = _BLOCK[min(names)]  # HS256 before the others: two secrets that share it must look alike
    block = digest(value).digest() if len(value) > block_bytes else value
    return Key(kid, names, hashlib.sha256(b"oct\0" + block.rstrip(b"\0")).digest(), value)


def cost(key: Key, algorithm: str) -> int:
    """What one attempt to verify a signature by `key` costs, in the time of one HMAC."""
    material = key.material
    if isinstance(material, bytes):
        return 1
    if isinstance(material, rsa.RSAPublicKey):
        return -(-material.key_size * _RSA_2048_COST // 2048)
    if isinstance(material, ed448.Ed448PublicKey):
        return 300
    return _COSTS.get(algorithm, 60)


def within_budget(keys: Iterable[Key], algorithm: str, spent: int = 0) -> tuple[Key, ...]:
    """As many of `keys`, in order, as cost at most `MAX_COST` together with what is `spent` for the token already.

    If nothing is spent, the first one is always among them.
    """
    held: list[Key] = []
    for key in keys:
        first = spent == 0
        spent += cost(key, algorithm)
        if spent > MAX_COST and not first:
            break
        held.append(key)
    return tuple(held)


def public_key(
    kid: str | None,
    allowed: Iterable[str],
    material: AsymmetricKey,
    *,
    issuer: str | None = None,
    jwk_issuer: str | None = None,
    bounds: RSABounds = LOCAL,
) -> Key:
    """Prepare a public key for those of the `allowed` algorithms that fit it.

    Raises `UnusableKeyError` if none fits, if anybody can sign with the key (`weak_keys`), and for an RSA key outside `bounds`
    (RFC 7518 section 3.3; a huge modulus or exponent makes each verification slow).
    """
    weak = weakness(material, bounds)
    if weak is not None:
        raise UnusableKeyError(weak)
    fitting = compatible_algorithms(material)
    algorithms = tuple(name for name in fitting if name in expand_aliases(allowed))
    if not algorithms:
        raise UnusableKeyError(f"this key can serve {', '.join(fitting)}, and none of these is allowed")
    der = material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(kid, algorithms, hashlib.sha256(der).digest(), material, issuer, jwk_issuer)


def compatible_algorithms(material: AsymmetricKey) -> tuple[str, ...]:
    """The algorithms that a public key can serve by its type and curve; raises `UnusableKeyError` for other curves."""
    if isinstance(material, rsa.RSAPublicKey):
        return _FOR_RSA
    if isinstance(material, ed25519.Ed25519PublicKey):
        return ("EdDSA", "Ed25519")
    if isinstance(material, ed448.Ed448PublicKey):
        return ("EdDSA", "Ed448")
    name = _CURVES.get(material.curve.name)
    if name is None:
        raise UnusableKeyError("the curve is none of P-256, P-384, P-521 and secp256k1")
    return (name,)


def expand_aliases(allowed: Iterable[str]) -> frozenset[str]:
    """An allow-list with the fully specified names that `EdDSA` stands for (RFC 9864)."""
    names = frozenset(allowed)
    return names | {"Ed25519", "Ed448"} if "EdDSA" in names else names
