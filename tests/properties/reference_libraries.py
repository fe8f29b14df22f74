"""PyJWT and joserfc, asked about the same token by the rules of the same app at the same time.

joserfc is told what RFC 7515 and the app leave open: members of the header that nobody understands are ignored
(RFC 7515 section 4), those that name or hold keys are not looked at (Wicket never follows them), and its own small
limits for sizes are lifted, so that a long token is the app's rule.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, Final
from unittest.mock import patch

import joserfc.errors
import joserfc.jwt
import jwt
import jwt.api_jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter
from jwt.algorithms import get_default_algorithms

from tests.properties.tokens import NOW, SECRET
from wicket import App, PublicKey, Secret
from wicket.keys import Credential
from wicket.runtime import base64url

NAMED_IN_FULL: Final = ("Ed25519", "Ed448")
KEY_MEMBERS: Final = ("jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256")


class _Frozen(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Frozen:
        return cls.fromtimestamp(NOW, tz)


@contextlib.contextmanager
def same_time() -> Iterator[None]:
    """PyJWT has no clock parameter: its `datetime` always returns `NOW`."""
    with patch.object(jwt.api_jwt, "datetime", _Frozen):
        yield


@dataclass(frozen=True)
class Pair:
    """What signs, what the peers are pinned to, and what Wicket is configured with."""

    algorithm: str
    signer: Any
    verifier: Any
    credential: Credential

    def sign(self, claims: Any, header: dict[str, Any] | None = None) -> str:
        """A token that says this algorithm, properly signed."""
        head = {"alg": self.algorithm, "typ": "JWT", **(header or {})}
        return self.sign_bytes(json.dumps(head).encode(), json.dumps(claims).encode())

    def sign_bytes(self, header: bytes, payload: bytes) -> str:
        """A token over these exact bytes, properly signed by this algorithm, whatever they say."""
        text = f"{base64url.encode(header)}.{base64url.encode(payload)}"
        known = "EdDSA" if self.algorithm in NAMED_IN_FULL else self.algorithm
        signature = get_default_algorithms()[known].sign(text.encode(), self.signer)
        return f"{text}.{base64url.encode(signature)}"


@cache
def pairs() -> dict[str, Pair]:
    """One pair for each algorithm, made once."""
    found: dict[str, Pair] = {}
    for name, secret in (("HS256", SECRET), ("HS384", SECRET * 2), ("HS512", SECRET * 2)):
        found[name] = Pair(name, secret, secret, Secret(secret, algorithms=[name]))
    rsa_key = rsa.generate_private_key(65537, 2048)
    private: dict[str, Any] = {
        **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), rsa_key),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "ES512": ec.generate_private_key(ec.SECP521R1()),
        "ES256K": ec.generate_private_key(ec.SECP256K1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
    }
    for name, key in private.items():
        found[name] = Pair(name, key, key.public_key(), PublicKey.from_pem(pem_of(key), algorithms=[name]))
    return found


def pem_of(key: Any) -> bytes:
    """The public half in PEM."""
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def pyjwt(pair: Pair, token: str, held: App, *, verify_exp: bool = True) -> dict[str, Any]:
    """PyJWT's claims of the token, by the rules of the same app. Raises where PyJWT refuses it."""
    claims: dict[str, Any] = jwt.decode(
        token,
        pair.verifier,
        algorithms=[pair.algorithm],
        audience=held.audience or None,
        issuer=held.issuer,
        leeway=held.rules.leeway,
        options={"require": sorted(held.rules.required_claims), "verify_exp": verify_exp},
    )
    return claims


def joserfc_claims(pair: Pair, token: str, held: App) -> dict[str, Any]:
    """joserfc's claims of the token, by the rules of the same app. Raises where joserfc refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", joserfc.errors.SecurityWarning)  # it would rather see EdDSA named in full
        read = joserfc.jwt.decode(token, _joserfc_key(pair), [pair.algorithm], registry=_lenient(pair.algorithm))
    options: dict[str, Any] = {name: {"essential": True, "allow_blank": True} for name in held.rules.required_claims}
    if held.issuer is not None:
        options["iss"] = {"essential": True, "value": held.issuer}
    if held.audience:
        options["aud"] = {"essential": True, "values": list(held.audience)}
    # Its leeway is said to be whole seconds, and is only ever added and subtracted.
    joserfc.jwt.JWTClaimsRegistry(now=NOW, leeway=held.rules.leeway, **options).validate(  # type: ignore[arg-type]
        read.claims
    )
    return read.claims


@cache
def _lenient(algorithm: str) -> JWSRegistry:
    unread = {name: HeaderParameter("not looked at", lambda _: None) for name in KEY_MEMBERS}
    registry = JWSRegistry(unread, algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = registry.max_signature_length = 1_000_000
    return registry


def _joserfc_key(pair: Pair) -> Any:
    kinds: dict[str, Any] = {"HS": OctKey, "RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
    return kinds[pair.algorithm[:2]].import_key(pair.verifier)
