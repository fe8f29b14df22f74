"""Public keys as credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from wicket.errors import config_error
from wicket.keys.algorithms import (
    ASYMMETRIC,
    AsymmetricKey,
    Key,
    UnusableKeyError,
    compatible_algorithms,
    public_key,
)
from wicket.keys.jwk import import_jwk
from wicket.keys.secret import allow_list, checked_kid

_REMEDY: Final = "correct algorithms=, or use another key: RSA with 2048 bits or more, EC, or Ed25519"

_PEM_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*(?:KEY|CERTIFICATE)-----")


def single_pem(path: str, data: bytes) -> bytes:
    """Return a PEM document with one key (RFC 7468), with line breaks where it has `\\n`.

    A parser reads only the first of several keys, and tokens of the other keys would be refused.

    Args:
        path: the path of the field, for the error.
        data: the document.

    Raises:
        ConfigError: the document has several keys or certificates.
    """
    count = len(_PEM_KEY.findall(data))
    if count > 1:
        raise config_error(path, f"contains {count} keys, and must contain one", "use one credential for each key")
    return data.replace(b"\\r", b"").replace(b"\\n", b"\n")


class PublicKey:
    """One public key of an app. Use `from_pem` or `from_jwk` to create one.

    Args:
        key: the prepared key.

    Attributes:
        kid: the key ID (RFC 7515 section 4.1.4). None if it has none.
        algorithms: the allow-list. Each algorithm is compatible with the key's type and curve.
        keys: the prepared key, as a tuple.
    """

    __slots__ = ("algorithms", "keys", "kid")

    def __init__(self, key: Key) -> None:
        self.kid = key.kid
        self.algorithms = key.algorithms
        self.keys = (key,)

    @classmethod
    def from_pem(cls, text: str | bytes, *, algorithms: Iterable[str], kid: str | None = None) -> PublicKey:
        """Read a public key in PEM (RFC 7468): SubjectPublicKeyInfo or PKCS#1.

        Args:
            text: the PEM document, with one key. Line breaks may be encoded as `\\n`, as in many environment variables.
            algorithms: the allow-list. Each algorithm must be compatible with the key.
            kid: the `kid` of tokens that are signed with the key. None: it is tried for tokens with any `kid`.

        Raises:
            ConfigError: the document is not a public key (a certificate and a private key are not), it has several
                keys, the key is weak, or an algorithm is not compatible with it.
        """
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        if not isinstance(data, bytes):
            raise config_error("pem", "is not a public key in PEM", "must be a string or bytes")
        names = allow_list(algorithms, ASYMMETRIC, "a public key")
        if b"PRIVATE KEY" in data:
            raise config_error("pem", "is a private key", "use the public key: openssl pkey -pubout")
        if b"BEGIN CERTIFICATE" in data:
            raise config_error("pem", "is a certificate", "extract its public key: openssl x509 -noout -pubkey")
        data = single_pem("pem", data)
        try:
            material = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm):
            raise config_error(
                "pem", "is not a public key in PEM", "it starts with -----BEGIN PUBLIC KEY-----"
            ) from None
        if not isinstance(material, AsymmetricKey):
            raise config_error("pem", "is not a key that can verify the signature of a JWT", _REMEDY)
        try:
            compatible = compatible_algorithms(material)
            incompatible = [name for name in names if name not in compatible]
            if incompatible:
                raise UnusableKeyError(
                    f"the key cannot serve {', '.join(incompatible)}; it can serve {', '.join(compatible)}"
                )
            return cls(public_key(checked_kid(kid), names, material))
        except UnusableKeyError as unusable:
            raise config_error("pem", str(unusable), _REMEDY) from None

    @classmethod
    def from_jwk(cls, mapping: Mapping[str, Any], *, algorithms: Iterable[str] | None = None) -> PublicKey:
        """Read a public key from a JWK (RFC 7517).

        The members `use`, `key_ops` and `alg` of the JWK restrict the key.

        Args:
            mapping: the parsed JWK.
            algorithms: the allow-list. None: the `alg` of the JWK, or else the one algorithm of its curve.

        Raises:
            ConfigError: the JWK is not a usable public key, or no algorithm is compatible with it. An RSA key needs an
                `alg` or `algorithms`, because it is compatible with six algorithms.
        """
        if algorithms is not None:
            names = allow_list(algorithms, ASYMMETRIC, "a public key")
        elif isinstance(mapping, Mapping) and mapping.get("kty") == "RSA" and mapping.get("alg") is None:
            raise config_error("algorithms", "must be given, because the key has no alg")
        else:
            names = tuple(ASYMMETRIC)
        try:
            return cls(import_jwk(mapping, names))
        except UnusableKeyError as unusable:
            raise config_error("jwk", str(unusable), _REMEDY) from None

    def __repr__(self) -> str:
        return f"PublicKey(kid={self.kid!r}, algorithms={self.algorithms!r})"
