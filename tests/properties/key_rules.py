"""The rules by which Wicket refuses JWKs that PyJWT or joserfc take, by name, each with its source; and nothing else.

And those by which it uses what one of them refuses. Each says how to take the difference away: the peer must then
make the same key of what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

from tests.properties.key_peers import PEERS, der
from wicket.keys.algorithms import ASYMMETRIC, Key, UnusableKeyError
from wicket.keys.jwk import import_jwk
from wicket.keys.weak_keys import weakness
from wicket.runtime import base64url

ALLOWED: Final = tuple(sorted(ASYMMETRIC))
FULL: Final = {"EdDSA", "Ed25519", "Ed448"}
_CURVES: Final = {"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66), "secp256k1": ("ES256K", 32)}
_OF_ENCRYPTION: Final = ("encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits")
_OPERATIONS: Final = ("sign", "verify", *_OF_ENCRYPTION)


def imported(jwk: Any) -> Key | str:
    """Wicket's key, or why it cannot serve."""
    try:
        return import_jwk(jwk, ALLOWED)
    except UnusableKeyError as unusable:
        return str(unusable)


def fitting(jwk: dict[str, Any]) -> set[str]:
    """The algorithms that a key of this kind can serve."""
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind == "RSA":
        return {name for name in ALLOWED if name[:2] in ("RS", "PS")}
    if kind == "EC":
        return {_CURVES[curve][0]} if isinstance(curve, str) and curve in _CURVES else set()
    return {"EdDSA", str(curve)} if curve in ("Ed25519", "Ed448") else set()


# --- what Wicket refuses though a peer takes it


def _spelled(value: Any) -> bool:
    """Whether a member's value is base64url in its canonical spelling."""
    try:
        return isinstance(value, str) and bool(base64url.decode(value))
    except ValueError:
        return False


def _numbers(jwk: dict[str, Any]) -> list[Any]:
    return [jwk.get(name) for name in {"RSA": ("n", "e"), "EC": ("x", "y")}.get(str(jwk.get("kty")), ("x",))]


def _integer(text: str) -> int:
    return int.from_bytes(base64url.decode(text), "big")


def _short(jwk: dict[str, Any], name: str) -> bool:
    return _spelled(jwk[name]) and len(base64url.decode(jwk[name])) < _CURVES[jwk["crv"]][1]


def _is_weak_modulus(modulus: int) -> bool:
    """By trial division, a square root and Fermat's little theorem."""
    return (
        any(modulus % number == 0 for number in (2, *range(3, 10_000, 2)))
        or math.isqrt(modulus) ** 2 == modulus
        or pow(3, modulus - 1, modulus) == 1
    )


def _edwards(jwk: dict[str, Any]) -> Any:
    kind = ed25519.Ed25519PublicKey if jwk["crv"] == "Ed25519" else ed448.Ed448PublicKey
    return kind.from_public_bytes(base64url.decode(jwk["x"]))


STRICTER: Final[dict[str, tuple[str, str, Callable[[dict[str, Any]], bool]]]] = {
    "use binds": ("use", "RFC 7517 section 4.2; DESIGN 6", lambda jwk: "use" in jwk and jwk["use"] != "sig"),
    "key_ops bind": (
        "key_ops", "RFC 7517 section 4.3; DESIGN 6",
        lambda jwk: not isinstance(jwk.get("key_ops", []), list)
        or "verify" not in jwk.get("key_ops", ["verify"])
        or not all(isinstance(each, str) for each in jwk["key_ops"])
        or ("use" in jwk and any(each in jwk["key_ops"] for each in _OF_ENCRYPTION)),
    ),
    "no member of a private key": (
        "private", "RFC 7518 section 6.3.2; DESIGN 6",
        lambda jwk: bool(jwk.keys() & {"p", "q", "dp", "dq", "qi", "oth"}),
    ),
    "coordinates of full length": (
        "coordinates", "RFC 7518 section 6.2.1.2",
        lambda jwk: jwk.get("kty") == "EC" and any(_short(jwk, name) for name in "xy"),
    ),
    "kid is a text of at most 256 characters": (
        "kid", "RFC 7517 section 4.5; DESIGN 6, Reading: size bounded",
        lambda jwk: not isinstance(jwk.get("kid", ""), str) or len(jwk["kid"]) > 256,
    ),
    "alg binds": (
        "its alg|can serve", "RFC 7517 section 4.4; DESIGN 6",
        lambda jwk: not isinstance(jwk.get("alg"), str) or jwk["alg"] not in fitting(jwk),
    ),
    "a curve that signs": (
        "no kind of key that signs", "RFC 8037 section 3.1; DESIGN 6",
        lambda jwk: jwk.get("kty") == "OKP" and jwk.get("crv") in ("X25519", "X448"),
    ),
    "RSA from 2048 to 8192 bits": (
        "2048", "RFC 7518 section 3.3; DESIGN 6",
        lambda jwk: _spelled(jwk.get("n")) and not 2048 <= _integer(jwk["n"]).bit_length() <= 8192,
    ),
    "an odd RSA exponent from 3 to 2**32": (
        "exponent", "DESIGN 6",
        lambda jwk: _spelled(jwk.get("e")) and (_integer(jwk["e"]) % 2 == 0 or not 3 <= _integer(jwk["e"]) < 2**32),
    ),
    "an odd RSA modulus without small factors that is no square, prime or power of one": (
        "the RSA modulus", "SP 800-89 section 5.3.3; DESIGN 6",
        lambda jwk: _spelled(jwk.get("n")) and _is_weak_modulus(_integer(jwk["n"])),
    ),
    "an Edwards point in its canonical encoding and not of small order": (
        "its point", "RFC 8032 sections 5.1.3 and 5.2.3; DESIGN 6",
        lambda jwk: jwk.get("kty") == "OKP" and _spelled(jwk.get("x")) and weakness(_edwards(jwk)) is not None,
    ),
    "issuer binds": (
        "its issuer", "Entra ID's key sets; DESIGN 6",
        lambda jwk: "issuer" in jwk and (not isinstance(jwk["issuer"], str) or not jwk["issuer"]),
    ),
    "canonical base64url": (
        "valid public", "RFC 7515 section 2; DESIGN 6, Reading",
        lambda jwk: not all(map(_spelled, _numbers(jwk))),
    ),
    "no member longer than its number": (
        "too long", "RFC 7518 section 6; DESIGN 6, Reading: size bounded",
        lambda jwk: any(_spelled(value) and len(value) > 11 for value in _numbers(jwk)),
    ),
}  # fmt: skip


def refused_by(jwk: Any, reason: str) -> list[str]:
    """The rules by which Wicket may have refused this JWK with this reason."""
    if not isinstance(jwk, dict):
        return []
    return [
        name
        for name, (words, _, applies) in STRICTER.items()
        if any(word in reason for word in words.split("|")) and applies(jwk)
    ]


# --- what Wicket uses though a peer refuses it


class Looser(NamedTuple):
    """Why it is harmless that Wicket uses such a key, and the JWK without what the peer minds."""

    source: str
    mend: Callable[[dict[str, Any]], dict[str, Any]]


def _without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    """All but these members."""
    return {name: held for name, held in jwk.items() if name not in names}


def _of_known_operations(jwk: dict[str, Any]) -> dict[str, Any]:
    if "key_ops" not in jwk:
        return jwk
    return {**jwk, "key_ops": [each for each in jwk["key_ops"] if not isinstance(each, str) or each in _OPERATIONS]}


def _as_eddsa(jwk: dict[str, Any]) -> dict[str, Any]:
    return {**jwk, "alg": "EdDSA"} if jwk.get("kty") == "OKP" and jwk.get("alg") in ("Ed25519", "Ed448") else jwk


def _with_eddsa(jwk: dict[str, Any]) -> dict[str, Any]:
    return {**jwk, "alg": "EdDSA"} if jwk.get("crv") == "Ed448" and jwk.get("alg") is None else jwk


LOOSER: Final[dict[str, dict[str, Looser]]] = {
    "pyjwt": {
        "Ed25519 and Ed448 as names": Looser("RFC 9864 section 2.2; DESIGN 6, by name", _as_eddsa),
        "Ed448 without alg": Looser(
            "RFC 7517 section 4.4: alg is optional; DESIGN 6: a JWK without it serves what fits its type", _with_eddsa
        ),
    },
    "joserfc": {
        "what is said of certificates is not read": Looser(
            "RFC 7517 sections 4.6 to 4.9: they are optional; DESIGN 6: x5u and x5c are never followed",
            lambda jwk: _without(jwk, "x5u", "x5c", "x5t", "x5t#S256"),
        ),
        "operations of other names beside verify": Looser(
            "RFC 7517 section 4.3: other values may be used", _of_known_operations
        ),
    },
}  # fmt: skip
"""What Wicket uses though a peer refuses it."""


def fewest(names: Iterable[str], enough: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...] | None:
    """The fewest of these names that are enough, if all together are."""
    held = tuple(names)
    chosen = (each for size in range(len(held) + 1) for each in combinations(held, size))
    return next((each for each in chosen if enough(each)), None)


def mended(peer: str, jwk: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The JWK without these differences."""
    for name in names:
        jwk = LOOSER[peer][name].mend(jwk)
    return jwk


def excused(peer: str, jwk: dict[str, Any], key: Key) -> tuple[str, ...] | None:
    """The exceptions by which Wicket may use this key as it does; none are needed where the peer has the same key."""
    wanted = der(key.material)

    def enough(names: tuple[str, ...]) -> bool:
        seen = PEERS[peer](mended(peer, jwk, names))
        return seen is not None and der(seen) == wanted

    return fewest([name for name in LOOSER[peer] if mended(peer, jwk, [name]) != jwk], enough)


def used_alone(jwk: dict[str, Any], key: Key) -> list[str]:
    """The peers that have no such key, though no exception says why."""
    return [peer for peer in PEERS if excused(peer, jwk, key) is None]
