"""Where the suites of others lie, and how one of their tokens is judged. Nothing of them is kept in this project."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support.key_selection import choice_of
from wicket import App, Refused, Rules
from wicket.decision.signature import verify_signature
from wicket.decision.signature_cache import SignatureCache
from wicket.decision.token_parser import decode, parse_token_or_raise
from wicket.keys.algorithms import ASYMMETRIC, Key, UnusableKeyError, hmac_key
from wicket.keys.jwk import import_jwk
from wicket.runtime import base64url

VECTORS = Path(
    os.environ.get("WICKET_VECTORS") or Path(__file__).resolve().parents[2].parent / "shared" / "vectors",
)

needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason=f"the vectors are not at {VECTORS}; say where with WICKET_VECTORS"
)

Stage = Literal["reading", "choice of key", "signature", "spelling of payload", "payload", "accepted"]

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


def load(name: str) -> Any:
    """One file of the vectors, or an empty object where the folder is absent (its tests are then skipped)."""
    path = VECTORS / name
    return json.loads(path.read_text("utf-8")) if VECTORS.is_dir() else {}


@dataclass(frozen=True)
class Held:
    """A credential that holds keys as they are: what `Secret` refuses (a well-known example) must verify here."""

    keys: tuple[Key, ...]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms of all keys."""
        return tuple(name for key in self.keys for name in key.algorithms)


def key_of(jwk: dict[str, Any], algorithms: Iterable[str] = ()) -> Key:
    """The key that a JWK of a suite verifies with. Raises `UnusableKeyError` where Wicket must not use it."""
    if jwk["kty"] == "oct":
        return hmac_key(jwk.get("kid"), [jwk.get("alg", "HS256")], base64url.decode(jwk["k"]))
    return import_jwk(jwk, algorithms or ASYMMETRIC)


def public_half(jwk: dict[str, Any]) -> dict[str, Any]:
    """A private JWK without its private members."""
    return {name: value for name, value in jwk.items() if name not in _PRIVATE}


def app_of(*keys: Key, rules: Rules | None = None, issuer: str | None = None) -> App:
    """An app whose only rules are those given; without any, claims are held to nothing but a `sub`."""
    return App(
        "conformance",
        credentials=[Held(keys)],
        rules=rules or Rules(required_claims=frozenset(), max_token_bytes=65_536),
        issuer=issuer,
        origins=["https://conformance.example"],
    )


def stage_of_refusal(app: App, text: str) -> Stage:
    """How far a token comes before it is refused.

    `payload` means that a key of the app did verify the signature, and that what was signed is no claims object;
    `spelling of payload`, that what was signed is not even canonical base64url.
    """
    try:
        token = parse_token_or_raise(text, app.rules.max_token_bytes)
    except Refused:
        return "reading"
    try:
        choice = choice_of(app, token)
    except Refused:
        return "choice of key"
    try:
        signature = decode(token.signature)
    except Refused:
        return "reading"
    verified = any(key.verify(token.header.algorithm, token.signing_input, signature) for key in choice.keys)
    try:
        verify_signature(app, token, choice.keys, SignatureCache(total=1, per_app=1, max_bytes=0))
    except Refused as refused:
        if refused.refusal.reason != ("malformed" if verified else "bad_signature"):
            raise
    else:
        return "accepted"
    if not verified:
        return "signature"
    try:
        decode(token.payload)
    except Refused:
        return "spelling of payload"
    return "payload"


def verifies_by_hand(key: Key, algorithm: str, text: str) -> bool:
    """Whether `key` signed this compact JWS, looking at nothing but its bytes."""
    signed, _, signature = text.rpartition(".")
    return key.verify(algorithm, signed.encode("ascii"), base64url.decode(signature))


__all__ = [
    "VECTORS",
    "Held",
    "UnusableKeyError",
    "app_of",
    "key_of",
    "load",
    "needs_vectors",
    "public_half",
    "stage_of_refusal",
    "verifies_by_hand",
]
