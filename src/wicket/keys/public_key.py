"""Public keys as credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
from wicket.keys.secret import _checked_kid, allow_list


class PublicKey:
    """One public key of an app, from PEM or from a JWK. The algorithms must fit the key's type and curve."""

    __slots__ = ("algorithms", "keys", "kid")

    def __init__(self, key: Key) -> None:
        self.kid = key.kid
        self.algorithms = key.algorithms
        self.keys = (key,)

    @classmethod
    def from_pem(cls, text: str | bytes, *, algorithms: Iterable[str], kid: str | None = None) -> PublicKey:
        """Read a public key in PEM (SubjectPublicKeyInfo or PKCS#1).

        Raises `ConfigError` for anything else, certificates and private keys among it, and for algorithms that do
        not fit the key.
        """
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        if not isinstance(data, bytes):
            raise config_error("pem", "is not a public key in PEM", "give it as text or bytes")
        names = allow_list(algorithms, ASYMMETRIC, "a public key")
        if b"PRIVATE KEY" in data:
            raise config_error("pem", "is a private key", "give the public half: openssl pkey -pubout")
        if b"BEGIN CERTIFICATE" in data:
            raise config_error("pem", "is a certificate", "take the key out of it: openssl x509 -noout -pubkey")
        try:
            material = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm):
            raise config_error(
                "pem", "is not a public key in PEM", "it starts with -----BEGIN PUBLIC KEY-----"
            ) from None
        if not isinstance(material, AsymmetricKey):
            raise config_error("pem", "is not a key that verifies signatures of a JWT")
        try:
            unfit = [name for name in names if name not in compatible_algorithms(material)]
            if unfit:
                raise UnusableKeyError(
                    f"the key cannot serve {', '.join(unfit)}; it can serve {', '.join(compatible_algorithms(material))}"
                )
            return cls(public_key(_checked_kid(kid), names, material))
        except UnusableKeyError as unusable:
            raise config_error("pem", str(unusable)) from None

    @classmethod
    def from_jwk(cls, mapping: Mapping[str, Any], *, algorithms: Iterable[str] | None = None) -> PublicKey:
        """Read a public key from a JWK (RFC 7517). Its own `alg`, `use` and `key_ops` bind.

        Without `algorithms` the key serves its own `alg`, or, for an elliptic curve, the one algorithm of that
        curve; an RSA key without either is a `ConfigError`, since it could serve six.
        """
        if algorithms is not None:
            names = allow_list(algorithms, ASYMMETRIC, "a public key")
        elif isinstance(mapping, Mapping) and mapping.get("kty") == "RSA" and mapping.get("alg") is None:
            raise config_error("algorithms", "must be given, since the key itself names none")
        else:
            names = tuple(ASYMMETRIC)
        try:
            return cls(import_jwk(mapping, names))
        except UnusableKeyError as unusable:
            raise config_error("jwk", str(unusable)) from None

    def __repr__(self) -> str:
        return f"PublicKey(kid={self.kid!r}, algorithms={self.algorithms!r})"
