"""Import of JSON Web Keys (RFC 7517), one at a time, so that an invalid key does not invalidate its key set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from wicket.keys.algorithms import (
    AsymmetricKey,
    Key,
    UnusableKeyError,
    compatible_algorithms,
    expand_aliases,
    is_algorithm,
    public_key,
)
from wicket.keys.weak_keys import LOCAL, RSABounds
from wicket.runtime import base64url

_CURVES: Final[dict[str, tuple[ec.EllipticCurve, int]]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
    "secp256k1": (ec.SECP256K1(), 32),
}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_FOR_ENCRYPTION: Final = frozenset({"encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"})
_MAX_KID: Final = 256
_MAX_MODULUS_BYTES: Final = 8192 // 8


def import_jwk(jwk: object, allowed: Iterable[str], *, issuer: str | None = None, bounds: RSABounds = LOCAL) -> Key:
    """Prepare one public JWK.

    The members `use`, `key_ops` and `alg` restrict the key (RFC 7517 sections 4.2 to 4.4), and so does `issuer`, which
    Entra ID's key sets contain.

    Args:
        jwk: the parsed JWK.
        allowed: the allowed algorithms.
        issuer: the issuer of the key set, which tokens of this key must have. None: the issuer of the app.
        bounds: the limits of RSA keys.

    Returns:
        The key, with the allowed algorithms that are compatible with it.

    Raises:
        UnusableKeyError: the key must not verify tokens. It is a secret (`oct`), a private key or a key for encryption,
            or it has a wrong size, a point that is not on the curve or is of small order, a modulus that is easy to
            factor, or an invalid member. The message quotes nothing of the key.
    """
    if not isinstance(jwk, Mapping):
        raise UnusableKeyError("a key must be a JSON object")
    members: Mapping[str, Any] = jwk
    if members.get("kty") == "oct":
        raise UnusableKeyError("a secret (kty oct) is never taken from a key set")
    if not _PRIVATE.isdisjoint(members):
        raise UnusableKeyError("this is a private key")
    if "use" in members and members["use"] != "sig":
        raise UnusableKeyError("its use is not sig")
    operations = members.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeyError("its key_ops do not contain verify")
    if not all(isinstance(operation, str) for operation in operations):
        raise UnusableKeyError("its key_ops are not all strings")
    if "use" in members and not _FOR_ENCRYPTION.isdisjoint(operations):
        raise UnusableKeyError("its use is sig, and its key_ops include encryption")
    kid = members.get("kid", "")
    if not isinstance(kid, str) or len(kid) > _MAX_KID:
        raise UnusableKeyError("its kid is not a string of at most 256 characters")
    algorithm = members.get("alg", "")
    if not isinstance(algorithm, str):
        raise UnusableKeyError("its alg is not a string")
    jwk_issuer = members.get("issuer")
    if "issuer" in members and (not isinstance(jwk_issuer, str) or not jwk_issuer):
        raise UnusableKeyError("its issuer is not a non-empty string")
    allowed = frozenset(allowed)
    names = expand_aliases(allowed)
    if "alg" in members:
        names &= expand_aliases([algorithm])
        if not names:  # only the name of an algorithm is quoted: another value may be anything
            which = f"{algorithm}, which is not allowed" if is_algorithm(algorithm) else "not an allowed algorithm"
            raise UnusableKeyError(f"its alg is {which}; allowed: {', '.join(sorted(allowed))}")
    material = _material(members)
    if "alg" in members and names.isdisjoint(compatible_algorithms(material)):
        compatible = ", ".join(compatible_algorithms(material))
        raise UnusableKeyError(f"its alg is {algorithm}, and this key can serve {compatible}")
    return public_key(members.get("kid"), names, material, issuer=issuer, jwk_issuer=jwk_issuer, bounds=bounds)


def _material(jwk: Mapping[str, Any]) -> AsymmetricKey:
    """Return the public key of a JWK. Raises `UnusableKeyError` if it is not a valid one."""
    kind, curve = jwk.get("kty"), jwk.get("crv")
    try:
        if kind == "RSA":
            modulus = _member(jwk, "n", _MAX_MODULUS_BYTES + 1)
            return rsa.RSAPublicNumbers(
                int.from_bytes(_member(jwk, "e", 8), "big"), int.from_bytes(modulus, "big")
            ).public_key()
        if kind == "EC" and isinstance(curve, str) and curve in _CURVES:
            ec_curve, size = _CURVES[curve]
            x, y = (_member(jwk, name, size) for name in ("x", "y"))
            if not len(x) == len(y) == size:
                raise UnusableKeyError("its coordinates do not have the length that its curve requires")
            return ec.EllipticCurvePublicNumbers(
                int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec_curve
            ).public_key()
        if kind == "OKP" and curve == "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(_member(jwk, "x", 32))
        if kind == "OKP" and curve == "Ed448":
            return ed448.Ed448PublicKey.from_public_bytes(_member(jwk, "x", 57))
    except (ValueError, UnsupportedAlgorithm):
        # The cause is suppressed: the message of a library may quote the key.
        raise UnusableKeyError("its numbers are not a valid public key") from None
    raise UnusableKeyError("its kty and crv name no kind of key that signs")


def _member(jwk: Mapping[str, Any], name: str, limit: int) -> bytes:
    """Decode a base64url member of at most `limit` bytes (RFC 7518 section 6)."""
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise UnusableKeyError(f"its member {name} is not a string")
    if len(value) > (limit * 4 + 2) // 3 + 4:
        raise UnusableKeyError(f"its member {name} is too long")
    decoded = base64url.decode(value)
    if len(decoded) > limit:
        raise UnusableKeyError(f"its member {name} is too long")
    return decoded
