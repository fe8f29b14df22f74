"""JWK import by Wicket, PyJWT and joserfc: what serves is the same key to all, and no key serves that one refuses.

What Wicket refuses though a peer takes it is refused by a rule of `STRICTER`; what it uses though a peer refuses it is
an exception of `LOOSER`, without which the peer has the same key.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.key_material import BASES, jwk_of, private_keys, small_rsa, zero_led
from tests.properties.key_peers import PEERS
from tests.properties.key_rules import ALLOWED, FULL, LOOSER, STRICTER, excused, fitting, imported, mended, refused_by
from tests.properties.strategies import JSON
from tests.properties.tokens import NOW, good_claims
from tests.support.thorough import example_count
from wicket import App, Gate, Jwks
from wicket.runtime import base64url


def judged(jwk: Any) -> str:
    """How the three see a JWK, in a word; fails where they disagree and no rule says why."""
    mine = imported(jwk)
    if isinstance(mine, str):
        if all(takes(jwk) is None for takes in PEERS.values()):
            return "refused"
        held = refused_by(jwk, mine)
        assert held, f"refused without a rule: {mine}: {jwk}"
        return held[0]
    assert set(mine.algorithms) <= fitting(jwk)
    bound = jwk.get("alg")
    assert bound is None or set(mine.algorithms) == {bound} or {bound, *mine.algorithms} <= FULL
    needed: list[str] = []
    for peer in PEERS:
        names = excused(peer, jwk, mine)
        assert names is not None, f"used, though {peer} has no such key: {jwk}"
        needed += names
    return ", ".join(needed) or "used"


VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "kty": st.sampled_from(["RSA", "EC", "OKP", "oct", "rsa", ""]) | JSON,
    "crv": st.sampled_from(["P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448", "X25519", "p-256"]) | JSON,
    "alg": st.sampled_from([*ALLOWED, "none", "HS256", "ECDH-ES", "RSA-OAEP", ""]) | JSON,
    "use": st.sampled_from(["sig", "enc", "", "SIG"]) | JSON,
    "key_ops": st.sampled_from([["verify"], ["sign"], [], ["verify", "verify"], ["sign", "verify"]])
    | st.lists(st.sampled_from(["verify", "encrypt", "deriveBits", "zzz"]) | JSON, max_size=3).map(["verify"].__add__)
    | JSON,
    "kid": st.text(max_size=4) | st.just("k" * 257) | JSON,
    "n": st.binary(max_size=300).map(base64url.encode) | JSON,
    "e": st.sampled_from(["Aw", "AQAB", "AQ", "Ag", "AAEAAQ", "AQAAAAE", "AQAB=", "AQAC"]) | JSON,
    "x": st.binary(max_size=70).map(base64url.encode) | JSON,
    "y": st.binary(max_size=70).map(base64url.encode) | JSON,
    "d": st.sampled_from(["AA", ""]) | JSON,
    "k": st.just("AAAA"),
    **dict.fromkeys(("p", "qi", "oth", "x5u", "x5c", "x5t", "x5t#S256"), st.just("AAAA") | st.just([]) | JSON),
}


def some(values: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    """From one to so many of these members."""
    return st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=most, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: values[name] for name in names})
    )


@pytest.mark.long
@settings(max_examples=example_count(500), deadline=None)
@given(
    base=st.sampled_from(BASES),
    changes=some(VALUES, 3),
    dropped=st.sampled_from(["", "", "", "kty", "crv", "x", "y", "n", "e"]),
)
def test_import_jwk_altered_valid_key_peers_agree(base: str, changes: dict[str, Any], dropped: str) -> None:
    jwk = {**jwk_of(private_keys()[base]), **changes}
    jwk.pop(dropped, None)
    judged(jwk)


BESIDE: Final[dict[str, st.SearchStrategy[Any]]] = {
    "kid": st.sampled_from(["a", "", None, 7]),
    "alg": st.sampled_from(["RS256", "ES256", "EdDSA", "Ed25519", "Ed448", None, 7]),
    "use": st.sampled_from(["sig", "sig", "enc", None]),
    "key_ops": st.sampled_from(["sign", "encrypt", "zzz", None]).map(lambda other: ["verify", other]),
    **dict.fromkeys(("oth", "p", "x5u", "x5c", "x5t"), st.sampled_from(["AAAA", [], None])),
}


@pytest.mark.long
@settings(max_examples=example_count(500), deadline=None)
@given(base=st.sampled_from(BASES), beside=some(BESIDE, 2))
def test_import_jwk_extra_members_peers_agree(base: str, beside: dict[str, Any]) -> None:
    judged({**jwk_of(private_keys()[base]), **beside})


@settings(max_examples=example_count(200), deadline=None)
@given(JSON)
def test_import_jwk_any_json_refused_by_all(value: Any) -> None:
    assert judged(value) == "refused"


def mutants(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Good keys with letters of their numbers changed, cut, doubled or padded, and members exchanged."""
    bases = [jwk_of(key) for key in (*private_keys().values(), zero_led("ES256"), zero_led("ES512"))]
    for _ in range(3000):
        jwk = dict(chance.choice(bases))
        name = chance.choice([name for name in ("n", "e", "x", "y") if name in jwk])
        text = jwk[name]
        at = chance.randrange(len(text))
        jwk[name] = chance.choice(
            (text[:at] + chance.choice("AQgwB_-+/=") + text[at + 1 :], text[1:], text[:-1], f"A{text}", f"AAAA{text}",
             f"{text}=", f"{text}\n", f"{text}AAAA", text * 2, chance.choice(bases).get(name, ""),
             base64url.encode(base64url.decode(text).lstrip(b"\0")))
        )  # fmt: skip
        yield jwk


@pytest.mark.long
def test_import_jwk_mutated_key_peers_agree() -> None:
    seen = Counter(judged(jwk) for jwk in mutants(random.Random(1)))

    assert seen["used"] + seen["Ed448 without alg"] >= 50, seen
    assert seen["coordinates of full length"] >= 20, seen
    assert seen["refused"] >= 500, seen
    assert seen["canonical base64url"] >= 50, seen


@pytest.mark.parametrize("algorithm", BASES)
def test_import_jwk_valid_key_same_for_peers_and_verifies(algorithm: str) -> None:
    private = private_keys()[algorithm]
    jwk = jwk_of(private)
    assert judged({**jwk, "alg": "EdDSA"} if algorithm in FULL else jwk) == "used"

    held = App("acme", credentials=[Jwks.static({"keys": [{**jwk, "kid": "k"}]}, algorithms=ALLOWED)])
    signs = "EdDSA" if algorithm in FULL else algorithm
    token = jwt.encode(good_claims(), private, signs, headers={"kid": "k"})
    assert Gate([held], clock=lambda: NOW).verify(token, app="acme").allowed


def leading_zeros(text: str) -> str:
    return base64url.encode(b"\0" * 40 + base64url.decode(text))


def stripped(jwk: dict[str, Any]) -> dict[str, Any]:
    return {**jwk, **{name: base64url.encode(base64url.decode(jwk[name]).lstrip(b"\0")) for name in "xy"}}


def integer_of(text: str) -> int:
    return int.from_bytes(base64url.decode(text), "big")


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
        "an odd RSA modulus without small factors that is no square, prime or power of one": {
            **one,
            "n": base64url.encode((integer_of(one["n"]) - 1).to_bytes(256, "big")),
        },
        "an Edwards point in its canonical encoding and not of small order": {
            **jwk_of(private_keys()["Ed25519"]),
            "x": base64url.encode((1).to_bytes(32, "little")),
        },
        "issuer binds": {**held, "issuer": 7},
        "an odd RSA exponent from 3 to 2**32": {**one, "e": base64url.encode((2**32 + 1).to_bytes(5, "big"))},
        "canonical base64url": {**held, "x": held["x"] + "="},
        "no member of a private key": {**one, "p": "AAAA"},
        "coordinates of full length": stripped(jwk_of(zero_led("ES512"))),
        "no member longer than its number": {**held, "x": leading_zeros(held["x"])},
    }


@pytest.mark.parametrize("name", STRICTER)
def test_stricter_rule_example_only_wicket_refuses(name: str) -> None:
    assert judged(examples()[name]) == name
    assert STRICTER[name][1]


def looser_examples() -> dict[str, dict[str, Any]]:
    held = jwk_of(private_keys()["ES256"])
    return {
        "Ed25519 and Ed448 as names": {**jwk_of(private_keys()["Ed25519"]), "alg": "Ed25519"},
        "Ed448 without alg": jwk_of(private_keys()["Ed448"]),
        "what is said of certificates is not read": {**held, "x5t": 7, "x5u": "file:///etc"},
        "operations of other names beside verify": {**held, "key_ops": ["verify", "zzz"]},
    }


@pytest.mark.parametrize(("peer", "name"), [(peer, name) for peer in LOOSER for name in LOOSER[peer]])
def test_looser_rule_example_peer_refuses(peer: str, name: str) -> None:
    """An exception that is never needed would hide a bug behind it."""
    jwk = looser_examples()[name]
    assert judged(jwk) == name
    assert PEERS[peer](jwk) is None
    assert PEERS[peer](mended(peer, jwk, [name])) is not None
    assert LOOSER[peer][name].source


@pytest.mark.parametrize("peer", PEERS)
def test_harness_key_refused_by_one_peer_detected(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, peer, lambda _: None)
    with pytest.raises(AssertionError, match=f"used, though {peer} has no such key"):
        judged(jwk_of(private_keys()["ES256"]))


@pytest.mark.parametrize("peer", PEERS)
def test_harness_key_different_at_one_peer_detected(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = private_keys(1)["ES256"].public_key()
    monkeypatch.setitem(PEERS, peer, lambda _: other)
    with pytest.raises(AssertionError, match=f"used, though {peer} has no such key"):
        judged(jwk_of(private_keys()["ES256"]))


def test_looser_rules_combined_with_fault_not_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with two differences at once, and one fault that none of them names."""
    jwk = jwk_of(private_keys()["ES256"])
    good = imported(jwk)
    monkeypatch.setitem(globals(), "imported", lambda _: good)
    all_at_once = {**jwk, "x5t": 7, "key_ops": ["verify", "zzz"]}
    assert len(judged(all_at_once).split(", ")) == 2
    for fault in ({"use": "enc"}, {"key_ops": ["zzz"]}, {"kid": None}, {"x": "AAAA"}):
        with pytest.raises(AssertionError, match="has no such key"):
            judged({**all_at_once, **fault})


def test_harness_unexplained_refusal_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "imported", lambda _: "no mood for it")
    with pytest.raises(AssertionError, match="refused without a rule"):
        judged(jwk_of(private_keys()["ES256"]))
