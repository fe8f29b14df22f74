"""JWK import by Wicket, PyJWT and joserfc: no key serves that both refuse, and what serves is the same key to all.

What Wicket refuses though a peer takes it is refused by a rule that has a name here.
"""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import jwt
import jwt.algorithms
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt import PyJWK

from tests.properties.key_peers import both_refuse, joserfc_takes, pyjwt_takes
from tests.properties.strategies import JSON
from tests.properties.tokens import NOW, good_claims
from wicket import App, Gate, Jwks, base64url
from wicket.keys.algorithms import ASYMMETRIC, Key, Unusable
from wicket.keys.jwk import import_jwk

ALLOWED: Final = tuple(sorted(ASYMMETRIC))
CURVES: Final = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1(), "ES256K": ec.SECP256K1()}
FULL: Final = {"EdDSA", "Ed25519", "Ed448"}


@cache
def private_keys() -> dict[str, Any]:
    """One key of each kind, by an algorithm that it can serve."""
    return {
        "RS256": rsa.generate_private_key(65537, 2048),
        **{name: ec.generate_private_key(curve) for name, curve in CURVES.items()},
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "Ed448": ed448.Ed448PrivateKey.generate(),
    }


@cache
def small_rsa() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rsa.generate_private_key(65537, 1024)


def jwk_of(key: Any) -> dict[str, Any]:
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
        ed448.Ed448PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    kind = next(each for known, each in kinds.items() if isinstance(key, known))
    made: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return made


def imported(jwk: Any) -> Key | str:
    """The key, or why it cannot serve."""
    try:
        return import_jwk(jwk, ALLOWED)
    except Unusable as unusable:
        return str(unusable)


def spelled(value: Any) -> bool:
    """Whether a member's value is base64url in its canonical spelling."""
    try:
        return isinstance(value, str) and bool(base64url.decode(value))
    except ValueError:
        return False


def numbers(jwk: dict[str, Any]) -> list[Any]:
    return [jwk.get(name) for name in {"RSA": ("n", "e"), "EC": ("x", "y")}.get(str(jwk.get("kty")), ("x",))]


STRICTER: Final[dict[str, tuple[str, str, Callable[[dict[str, Any]], bool]]]] = {
    "use binds": ("use", "RFC 7517 section 4.2; DESIGN 6", lambda jwk: "use" in jwk and jwk["use"] != "sig"),
    "key_ops bind": (
        "key_ops", "RFC 7517 section 4.3; DESIGN 6",
        lambda jwk: not isinstance(jwk.get("key_ops", []), list) or "verify" not in jwk.get("key_ops", ["verify"]),
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
        lambda jwk: spelled(jwk.get("n")) and not 2048 <= integer(jwk["n"]).bit_length() <= 8192,
    ),
    "an odd RSA exponent from 3 to 2**32": (
        "exponent", "DESIGN 6",
        lambda jwk: spelled(jwk.get("e")) and (integer(jwk["e"]) % 2 == 0 or not 3 <= integer(jwk["e"]) < 2**32),
    ),
    "canonical base64url": (
        "valid public", "RFC 7515 section 2; DESIGN 6, Reading",
        lambda jwk: not all(map(spelled, numbers(jwk))),
    ),
    "no member longer than its number": (
        "too long", "RFC 7518 section 6; DESIGN 6, Reading: size bounded",
        lambda jwk: any(spelled(value) and len(value) > 11 for value in numbers(jwk)),
    ),
}  # fmt: skip


def integer(text: str) -> int:
    return int.from_bytes(base64url.decode(text), "big")


def fitting(jwk: dict[str, Any]) -> set[str]:
    """The algorithms that a key of this kind can serve."""
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind == "RSA":
        return {name for name in ALLOWED if name[:2] in ("RS", "PS")}
    named = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}
    if kind == "EC":
        return {named[curve]} if isinstance(curve, str) and curve in named else set()
    return {"EdDSA", str(curve)} if curve in ("Ed25519", "Ed448") else set()


def judged(jwk: Any) -> str:
    """How the three see a JWK, in a word; fails where they disagree and no rule says why."""
    mine = imported(jwk)
    if isinstance(mine, str):
        if both_refuse(jwk):
            return "refused"
        held = [name for name, (words, _, applies) in STRICTER.items() if says(mine, words) and applies(jwk)]
        assert held, f"refused without a rule: {mine}: {jwk}"
        return held[0]
    assert not both_refuse(jwk), f"used, though both refuse it: {jwk}"
    assert set(mine.algorithms) <= fitting(jwk)
    bound = jwk.get("alg")
    assert bound is None or set(mine.algorithms) == {bound} or {bound, *mine.algorithms} <= FULL
    if pyjwt_takes(jwk):
        algorithm = "EdDSA" if jwk["kty"] == "OKP" else None
        der = PyJWK(jwk, algorithm).key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert der == mine.material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "used"


def says(reason: str, words: str) -> bool:
    return any(word in reason for word in words.split("|"))


BASES: Final = st.sampled_from(["RS256", *CURVES, "Ed25519", "Ed448"])
VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "kty": st.sampled_from(["RSA", "EC", "OKP", "oct", "rsa", ""]) | JSON,
    "crv": st.sampled_from(["P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448", "X25519", "p-256"]) | JSON,
    "alg": st.sampled_from([*ALLOWED, "none", "HS256", "ECDH-ES", "RSA-OAEP", ""]) | JSON,
    "use": st.sampled_from(["sig", "enc", "", "SIG"]) | JSON,
    "key_ops": st.sampled_from([["verify"], ["sign"], [], ["verify", "verify"], ["sign", "verify"]]) | JSON,
    "kid": st.text(max_size=4) | st.just("k" * 257) | JSON,
    "n": st.binary(max_size=300).map(base64url.encode) | JSON,
    "e": st.sampled_from(["Aw", "AQAB", "AQ", "Ag", "AAEAAQ", "AQAAAAE", "AQAB=", "AQAC"]) | JSON,
    "x": st.binary(max_size=70).map(base64url.encode) | JSON,
    "y": st.binary(max_size=70).map(base64url.encode) | JSON,
    "d": st.sampled_from(["AA", ""]) | JSON,
    "k": st.just("AAAA"),
}
CHANGES: Final = st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), min_size=1, max_size=2).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
)


@settings(max_examples=500, deadline=None)
@given(base=BASES, changes=CHANGES, dropped=st.sampled_from(["", "", "", "kty", "crv", "x", "y", "n", "e"]))
def test_any_change_to_a_good_key_is_judged_alike(base: str, changes: dict[str, Any], dropped: str) -> None:
    jwk = {**jwk_of(private_keys()[base]), **changes}
    jwk.pop(dropped, None)
    judged(jwk)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_json_is_judged_alike(value: Any) -> None:
    assert judged(value) == "refused"


def mutants(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Good keys with letters of their numbers changed, cut, doubled or padded, and members exchanged."""
    bases = [jwk_of(key) for key in private_keys().values()]
    for _ in range(3000):
        jwk = dict(chance.choice(bases))
        name = chance.choice([name for name in ("n", "e", "x", "y") if name in jwk])
        text = jwk[name]
        at = chance.randrange(len(text))
        jwk[name] = chance.choice(
            (text[:at] + chance.choice("AQgwB_-+/=") + text[at + 1 :], text[1:], text[:-1], f"A{text}", f"AAAA{text}",
             f"{text}=", f"{text}\n", f"{text}AAAA", text * 2, chance.choice(bases).get(name, ""))
        )  # fmt: skip
        yield jwk


def test_mutants_of_good_keys_are_judged_alike() -> None:
    seen = Counter(judged(jwk) for jwk in mutants(random.Random(1)))

    assert seen["used"] >= 50, seen
    assert seen["refused"] >= 500, seen
    assert seen["canonical base64url"] >= 50, seen


@pytest.mark.parametrize("algorithm", ["RS256", *CURVES, "Ed25519", "Ed448"])
def test_a_good_key_is_one_to_all_and_verifies_what_it_signed(algorithm: str) -> None:
    private = private_keys()[algorithm]
    jwk = jwk_of(private)
    assert judged(jwk) == "used"
    assert pyjwt_takes(jwk)
    assert joserfc_takes(jwk)

    held = App("acme", credentials=[Jwks.static({"keys": [{**jwk, "kid": "k"}]}, algorithms=ALLOWED)])
    signs = "EdDSA" if algorithm in FULL else algorithm
    token = jwt.encode(good_claims(), private, signs, headers={"kid": "k"})
    assert Gate([held], clock=lambda: NOW).verify(token, app="acme").allowed


def leading_zeros(text: str) -> str:
    return base64url.encode(b"\0" * 40 + base64url.decode(text))


def examples() -> dict[str, dict[str, Any]]:
    held = jwk_of(private_keys()["ES256"])
    one = jwk_of(private_keys()["RS256"])
    return {
        "use binds": {**held, "use": "enc"},
        "key_ops bind": {**held, "key_ops": ["sign"]},
        "kid is a text of at most 256 characters": {**held, "kid": 7},
        "alg binds": {**held, "alg": "ES384"},
        "a curve that signs": {**jwk_of(private_keys()["Ed25519"]), "crv": "X25519"},
        "RSA from 2048 to 8192 bits": jwk_of(small_rsa()),
        "an odd RSA exponent from 3 to 2**32": {**one, "e": base64url.encode((2**32 + 1).to_bytes(5, "big"))},
        "canonical base64url": {**held, "x": held["x"] + "="},
        "no member longer than its number": {**held, "x": leading_zeros(held["x"])},
    }


@pytest.mark.parametrize("name", STRICTER)
def test_every_stricter_rule_is_one(name: str) -> None:
    assert judged(examples()[name]) == name
    assert STRICTER[name][1]


def test_the_harness_sees_a_key_that_only_wicket_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "both_refuse", lambda _: True)
    with pytest.raises(AssertionError, match="used, though both refuse it"):
        judged(jwk_of(private_keys()["ES256"]))


def test_the_harness_sees_a_refusal_without_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "imported", lambda _: "no mood for it")
    with pytest.raises(AssertionError, match="refused without a rule"):
        judged(jwk_of(private_keys()["ES256"]))
