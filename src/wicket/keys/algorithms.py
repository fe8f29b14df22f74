"""The algorithms, the compatibility of keys and algorithms, and signature verification by one prepared key.

An algorithm is an exact, case-sensitive name (RFC 8725 section 3.1). `none` and all other names that are not in the
table are unknown. The cryptography is OpenSSL's, through the standard library and `cryptography`.
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
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wicket.keys.weak_keys import LOCAL, RSABounds, weakness

AsymmetricKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class _Verifier(Protocol):
    def verify(self, message: bytes, key: Key, signature: bytes, /) -> bool: ...


class _HMAC:
    """HMAC (RFC 7518 section 3.2), compared in constant time.

    A copy of an HMAC that has its key takes 40 % of the time of a new one. A key gets such an HMAC when it is first
    used, because it takes 800 bytes.
    """

    def __init__(self, digest: hashes.HashAlgorithm) -> None:
        self._digest = digest

    def verify(self, message: bytes, key: Key, signature: bytes, /) -> bool:
        keyed = key._keyed_hmac
        if keyed is None or keyed[0] is not self:
            keyed = self, HMAC(key.material, self._digest)
            object.__setattr__(key, "_keyed_hmac", keyed)  # threads may replace it by an equal one
        computed = keyed[1].copy()
        computed.update(message)
        return hmac.compare_digest(computed.finalize(), signature)


class _RSA:
    """RSASSA-PKCS1-v1_5 (RFC 7518 section 3.3), or RSASSA-PSS with a salt of the digest's length (section 3.5)."""

    def __init__(self, digest: hashes.HashAlgorithm, *, pss: bool = False) -> None:
        self._hash = getattr(hashlib, digest.name)
        self._digest = Prehashed(digest)
        self._padding = padding.PSS(padding.MGF1(digest), digest.digest_size) if pss else padding.PKCS1v15()

    def verify(self, message: bytes, key: Key, signature: bytes, /) -> bool:
        try:
            key.material.verify(signature, self._hash(message).digest(), self._padding, self._digest)
        except InvalidSignature:
            return False
        return True


class _ECDSA:
    """ECDSA (RFC 7518 section 3.4). The signature is `r || s`, each with the length of the curve's order."""

    def __init__(self, digest: hashes.HashAlgorithm, length: int) -> None:
        self._hash = getattr(hashlib, digest.name)
        self._scheme = ec.ECDSA(Prehashed(digest))
        self._length = length

    def verify(self, message: bytes, key: Key, signature: bytes, /) -> bool:
        length = self._length
        if len(signature) != 2 * length:
            return False
        r, s = int.from_bytes(signature[:length], "big"), int.from_bytes(signature[length:], "big")
        try:
            key.material.verify(encode_dss_signature(r, s), self._hash(message).digest(), self._scheme)
        except InvalidSignature:
            return False
        return True


class _EdDSA:
    """EdDSA with the curve of the key (RFC 8037 section 3.1)."""

    def verify(self, message: bytes, key: Key, signature: bytes, /) -> bool:
        try:
            key.material.verify(signature, message)
        except InvalidSignature:
            return False
        return True


# `hashlib` hashes a token in less time than the `cryptography` package, so RSA and ECDSA get the digest of the message.
_EDDSA: Final = _EdDSA()
_TABLE: Final[dict[str, _Verifier]] = {
    "HS256": _HMAC(hashes.SHA256()),
    "HS384": _HMAC(hashes.SHA384()),
    "HS512": _HMAC(hashes.SHA512()),
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
"""The minimum key length in bytes of each HMAC algorithm (RFC 7518 section 3.2)."""

_BLOCK: Final = {"HS256": (hashlib.sha256, 64), "HS384": (hashlib.sha384, 128), "HS512": (hashlib.sha512, 128)}

ASYMMETRIC: Final = frozenset(_TABLE) - HASH_BYTES.keys()
"""The algorithms with a public key."""

MAX_COST: Final = 400
"""The maximum total cost of the attempts to verify one token. One HMAC costs 1."""
_COSTS: Final = {"ES256": 60, "ES256K": 300, "ES384": 300, "ES512": 300}
_RSA_2048_COST: Final = 20

_TENANT: Final = "{tenantid}"
_TENANT_ID: Final = re.compile("[0-9A-Za-z-]{1,64}", re.ASCII)

_FOR_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512", "secp256k1": "ES256K"}


class UnusableKeyError(Exception):
    """Key material that must not verify any token. The message states the reason and never quotes the key."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One prepared key.

    Attributes:
        kid: the key ID (RFC 7515 section 4.1.4). None if it has none.
        algorithms: the algorithms that it may verify.
        fingerprint: the SHA-256 of its material.
        material: the secret bytes, or the public key object.
        issuer: the `iss` that tokens of this key must have. None: the issuer of the app.
        jwk_issuer: the member `issuer` of its JWK. The key verifies only tokens of that issuer, regardless of the app
            and the key set. None: the JWK has none.
    """

    kid: str | None
    algorithms: tuple[str, ...]
    fingerprint: bytes = field(repr=False)
    material: Any = field(repr=False)
    issuer: str | None = None
    jwk_issuer: str | None = field(default=None, repr=False)
    _keyed_hmac: tuple[_HMAC, HMAC] | None = field(default=None, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Key], tuple[Any, ...]]:
        # Without the prepared HMAC, which cannot be copied.
        return type(self), (
            *(self.kid, self.algorithms, self.fingerprint),
            *(self.material, self.issuer, self.jwk_issuer),
        )

    def verify(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is a signature of `message` by this key.

        Args:
            algorithm: one of `algorithms`. The caller has checked that.
            message: the signing input (RFC 7515 section 5.2).
            signature: the decoded signature.
        """
        return _TABLE[algorithm].verify(message, self, signature)

    def serves(self, claims: Mapping[str, Any]) -> bool:
        """Return whether the key may verify a token with these claims, by the `issuer` of its JWK.

        Entra ID publishes `https://login.microsoftonline.com/{tenantid}/v2.0` in its tenant-independent key set. In
        such an issuer, `{tenantid}` is replaced by the token's `tid`. A `tid` that is not one plain segment never
        matches.

        Args:
            claims: the claims of the token.

        Returns:
            True if the JWK has no `issuer`, or if it equals the token's `iss`.
        """
        expected = self.jwk_issuer
        if expected is None:
            return True
        if _TENANT in expected:
            tenant = claims.get("tid")
            if not isinstance(tenant, str) or _TENANT_ID.fullmatch(tenant) is None:
                return False
            expected = expected.replace(_TENANT, tenant)
        issuer = claims.get("iss")
        return isinstance(issuer, str) and issuer == expected


def hmac_key(kid: str | None, algorithms: Iterable[str], value: bytes) -> Key:
    """Prepare a shared secret.

    Two values that are the same key for HMAC have the same fingerprint. HMAC hashes values that are longer than its
    block and pads shorter ones with zero bytes (RFC 2104 section 2).

    Args:
        kid: the key ID, or None.
        algorithms: HMAC algorithms.
        value: the bytes of the secret.
    """
    names = tuple(algorithms)
    # HS256 first: two secrets that share it must have the same fingerprint
    return Key(kid, names, _hmac_fingerprint(min(names), value), value)


def _hmac_fingerprint(algorithm: str, value: bytes) -> bytes:
    digest, block_bytes = _BLOCK[algorithm]
    block = digest(value).digest() if len(value) > block_bytes else value
    return hashlib.sha256(b"oct\0" + block.rstrip(b"\0")).digest()


def all_fingerprints(key: Key) -> frozenset[bytes]:
    """Return the fingerprints of a key, for a shared secret those for each HMAC algorithm.

    Two shared secrets have a common fingerprint if they are the same key for any HMAC algorithm, whether or not their
    allow-lists have it. An identity hash is an HMAC-SHA256, whatever the allow-list of its secret says.

    Args:
        key: the key.
    """
    material = key.material
    if not isinstance(material, bytes):
        return frozenset((key.fingerprint,))
    return frozenset(_hmac_fingerprint(algorithm, material) for algorithm in _BLOCK)


def cost(key: Key, algorithm: str) -> int:
    """Return the cost of one signature verification, as a multiple of one HMAC.

    Args:
        key: the key.
        algorithm: the algorithm of the token.
    """
    material = key.material
    if isinstance(material, bytes):
        return 1
    if isinstance(material, rsa.RSAPublicKey):
        return -(-material.key_size * _RSA_2048_COST // 2048)
    if isinstance(material, ed448.Ed448PublicKey):
        return 300
    return _COSTS.get(algorithm, 60)


def within_budget(keys: Iterable[Key], algorithm: str, spent: int = 0) -> tuple[Key, ...]:
    """Return the first keys whose attempts together cost at most `MAX_COST`.

    Args:
        keys: the keys in the order in which they are tried.
        algorithm: the algorithm of the token.
        spent: the cost of earlier attempts for the same token.

    Returns:
        The keys. If `spent` is 0, the first key is always included.
    """
    selected: list[Key] = []
    for key in keys:
        first = spent == 0
        spent += cost(key, algorithm)
        if spent > MAX_COST and not first:
            break
        selected.append(key)
    return tuple(selected)


def public_key(
    kid: str | None,
    allowed: Iterable[str],
    material: AsymmetricKey,
    *,
    issuer: str | None = None,
    jwk_issuer: str | None = None,
    bounds: RSABounds = LOCAL,
) -> Key:
    """Prepare a public key.

    Args:
        kid: the key ID, or None.
        allowed: the allowed algorithms.
        material: the public key.
        issuer: the `iss` that tokens of this key must have. None: the issuer of the app.
        jwk_issuer: the member `issuer` of its JWK, or None.
        bounds: the limits of RSA keys (RFC 7518 section 3.3). A huge modulus or exponent makes each verification slow.

    Returns:
        The key, with the allowed algorithms that are compatible with it.

    Raises:
        UnusableKeyError: no allowed algorithm is compatible, the private key is easy to compute (`weak_keys`), or an
            RSA key is outside `bounds`.
    """
    weak = weakness(material, bounds)
    if weak is not None:
        raise UnusableKeyError(weak)
    compatible = compatible_algorithms(material)
    algorithms = tuple(name for name in compatible if name in expand_aliases(allowed))
    if not algorithms:
        raise UnusableKeyError(f"this key can serve {', '.join(compatible)}, and none of these is allowed")
    der = material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(kid, algorithms, hashlib.sha256(der).digest(), material, issuer, jwk_issuer)


def compatible_algorithms(material: AsymmetricKey) -> tuple[str, ...]:
    """Return the algorithms that a public key can be used with, by its type and curve.

    Args:
        material: the public key.

    Raises:
        UnusableKeyError: the curve is not supported.
    """
    if isinstance(material, rsa.RSAPublicKey):
        return _FOR_RSA
    if isinstance(material, ed25519.Ed25519PublicKey):
        return ("EdDSA", "Ed25519")
    if isinstance(material, ed448.Ed448PublicKey):
        return ("EdDSA", "Ed448")
    name = _CURVES.get(material.curve.name)
    if name is None:
        raise UnusableKeyError("its curve is not P-256, P-384, P-521 or secp256k1")
    return (name,)


def is_algorithm(name: str) -> bool:
    """Return whether `name` is an algorithm of the table, so that a message may quote it."""
    return name in _TABLE


def expand_aliases(allowed: Iterable[str]) -> frozenset[str]:
    """Return an allow-list, with `Ed25519` and `Ed448` added if it contains `EdDSA` (RFC 9864).

    Args:
        allowed: the names of the allowed algorithms.
    """
    names = frozenset(allowed)
    return names | {"Ed25519", "Ed448"} if "EdDSA" in names else names
