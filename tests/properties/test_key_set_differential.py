"""Key sets by Wicket, PyJWT and joserfc: a token that Wicket accepts by a set verifies with the peers' key of its kid.

Where they disagree it is by a rule that has a name: `looser` has those by which Wicket accepts more, `STRICTER` and
`PRIVATE` those by which it has no such key.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.key_material import BASES, CURVES, jwk_of, private_keys, small_rsa
from tests.properties.key_rules import ALLOWED, LOOSER, STRICTER, imported, refused_by
from tests.properties.key_set_peers import PEERS, Asked, excused_set, looser, without
from tests.properties.tokens import NOW, app, good_claims
from tests.support.thorough import example_count
from wicket import ConfigError, Gate, Jwks
from wicket.keys import key_set as keyset
from wicket.keys.keyring import Keyring

PRIVATE: Final = "this is a private key"
"""DESIGN 6: Wicket takes no key that could sign (RFC 7517 section 9.2), and the peers its public half."""

SIGNS: Final = {
    **{name: [name] for name in CURVES},
    "RS256": ["RS256", "RS512", "PS256"],
    "Ed25519": ["EdDSA"],
    "Ed448": ["EdDSA"],
}
KIDS: Final = ("a", "b", None)

CHANGES: Final[dict[str, Callable[[dict[str, Any], Any], Any]]] = {
    "bound": lambda jwk, private: {**jwk, "alg": {"RSA": "RS256", "OKP": "EdDSA"}.get(jwk["kty"]) or own(jwk)},
    "bound otherwise": lambda jwk, private: {**jwk, "alg": "RS512" if jwk["kty"] == "RSA" else "Ed25519"},
    "of use": lambda jwk, private: {**jwk, "use": "sig"},
    "for encryption": lambda jwk, private: {**jwk, "use": "enc"},
    "for signing": lambda jwk, private: {**jwk, "key_ops": ["sign"]},
    "private": lambda jwk, private: {**jwk_of(private, private=True), **({"kid": jwk["kid"]} if "kid" in jwk else {})},
    "of no number": lambda jwk, private: {name: value for name, value in jwk.items() if name not in "xn"},
    "of wrong numbers": lambda jwk, private: {**jwk, "x": "AAAA", "n": "AAAA"},
    "of an unknown kind": lambda jwk, private: {**jwk, "kty": "AKP"},
    "a secret": lambda jwk, private: {**jwk, "kty": "oct", "k": "AAAA"},
    "a secret without its value": lambda jwk, private: {"kty": "oct"},
    "small": lambda jwk, private: {**jwk_of(small_rsa()), "kid": "a"},
    "no object": lambda jwk, private: 7,
    "of an empty id": lambda jwk, private: {**jwk, "kid": ""},
    "of odd members": lambda jwk, private: {**jwk, "x5t": 7, "key_ops": ["verify", "zzz"]},
}  # fmt: skip
Recipe = tuple[str, int, str | None, str]
RECIPES: Final = st.tuples(
    st.sampled_from(BASES), st.integers(0, 1), st.sampled_from(KIDS), st.sampled_from(["good", "good", *CHANGES])
)


def own(jwk: dict[str, Any]) -> str:
    return {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}[jwk["crv"]]


def member(recipe: Recipe) -> Any:
    kind, which, kid, change = recipe
    private = private_keys(which)[kind]
    jwk = {**jwk_of(private), **({} if kid is None else {"kid": kid})}
    return CHANGES[change](jwk, private) if change != "good" else jwk


def asked(recipes: list[Recipe], signer: Recipe, kid: str | None, turn: int = 0) -> Asked:
    """A token by the signer's key that says this kid, and the set of what the recipes make."""
    kind, which = signer[:2]
    algorithm = SIGNS[kind][turn % len(SIGNS[kind])]
    token = jwt.encode(good_claims(), private_keys(which)[kind], algorithm, headers={} if kid is None else {"kid": kid})
    return Asked([member(recipe) for recipe in recipes], token, algorithm, kid)


def claims(question: Asked) -> dict[str, Any] | None:
    """What Wicket reads, if it accepts the token by this set."""
    try:
        held = app(credentials=[Jwks.static({"keys": question.members}, algorithms=ALLOWED)])
    except ConfigError:
        return None
    decision = Gate([held], clock=lambda: NOW).verify(question.token, app="acme")
    return dict(decision.identity.claims) if decision.allowed else None


def judged(question: Asked) -> list[str]:
    """How the three see the token, in words; fails where they disagree and no rule says why."""
    mine = claims(question)
    read = {peer: verify(question) for peer, verify in PEERS.items()}
    if mine is None:
        stricter = {name for peer, payload in read.items() if payload is not None for name in reasons(peer, question)}
        return sorted(stricter) or ["refused"]
    needed: list[str] = []
    for peer, payload in read.items():
        names = excused_set(peer, question)
        assert names is not None, f"accepted, though {peer} has no key for it: {question}"
        assert payload is None or json.loads(payload) == mine
        needed += names
    return needed or ["accepted"]


def reasons(peer: str, question: Asked) -> list[str]:
    """Why Wicket has none of the keys by which the peer accepts the token; fails where it has one, or no rule."""
    found: list[str] = []
    for each in question.members:
        if PEERS[peer](Asked([each], question.token, question.algorithm, question.kid)) is None:
            continue
        reason = imported(each)
        assert isinstance(reason, str), f"refused without a rule, {peer} accepts it by {each}: {question}"
        names = [PRIVATE] if reason == PRIVATE and "d" in each else refused_by(each, reason)
        assert names, f"refused without a rule: {reason}: {each}"
        found.append(names[0])
    assert found, f"refused without a rule, {peer} accepts it: {question}"
    return found


@pytest.mark.long
@settings(max_examples=example_count(200), deadline=None)
@given(
    recipes=st.lists(RECIPES, min_size=1, max_size=6),
    at=st.integers(0, 6),
    other=RECIPES,
    kid=st.sampled_from([*KIDS, "c"]),
    turn=st.integers(0, 2),
)
def test_key_set_any_members_peers_agree(
    recipes: list[Recipe], at: int, other: Recipe, kid: str | None, turn: int
) -> None:
    judged(asked(recipes, recipes[at] if at < len(recipes) else other, kid, turn))


@pytest.mark.long
def test_key_set_few_key_kinds_peers_agree() -> None:
    """Few kinds and ids, so that keys meet that one could be taken for the other."""
    chance, seen = random.Random(2), Counter[str]()
    words = ["good"] * 8 + ["private", "for encryption"] * 2 + list(CHANGES)
    for turn in range(220):
        kinds = chance.sample(BASES, 2)
        recipes = [
            (chance.choice(kinds), chance.randrange(2), chance.choice(KIDS), chance.choice(words))
            for _ in range(chance.choice([1, 2, 3, 4, 6]))
        ]
        signer = chance.choice(recipes)
        kid = chance.choice([*[signer[2]] * 4, *KIDS, "c"])
        seen.update(judged(asked(recipes, signer, kid, turn)))

    few = ["accepted", "refused", PRIVATE, "use binds", *(name for name in EXAMPLES if "alg" not in name)]
    assert min(seen[name] for name in few) >= 5, seen


ONE: Final[Recipe] = ("ES256", 0, "a", "good")
OTHER: Final[Recipe] = ("ES256", 1, "b", "good")
RSA: Final[Recipe] = ("RS256", 0, "a", "good")
EXAMPLES: Final[dict[str, Callable[[], Asked]]] = {
    "a broken member is skipped, not the set": lambda: asked([ONE, (*ONE[:3], "a secret without its value")], ONE, "a"),
    "a key without kid serves every kid": lambda: asked([(*ONE[:2], None, "good"), OTHER], ONE, "c"),
    "keys of one kid are tried": lambda: asked([(*OTHER[:2], "a", "good"), ONE], ONE, "a"),
    "without a kid every key is tried": lambda: asked([OTHER, ONE], ONE, None),
    "a key without alg serves every algorithm that fits": lambda: asked([RSA], RSA, "a", turn=1),
}


@pytest.mark.parametrize(
    ("peer", "name"), [(peer, name) for peer in PEERS for name in EXAMPLES if name in looser(peer)]
)
def test_looser_rule_example_peer_refuses(peer: str, name: str) -> None:
    """An exception that is never needed would hide a bug behind it."""
    question = EXAMPLES[name]()
    assert claims(question) is not None
    assert PEERS[peer](question) is None
    assert excused_set(peer, question) == (name,)
    assert any(PEERS[peer](way) is not None for way in without(peer, question, [name]))
    assert looser(peer)[name].source


@pytest.mark.parametrize("peer", PEERS)
def test_looser_rules_for_key_sets_all_have_examples(peer: str) -> None:
    assert looser(peer).keys() - LOOSER[peer].keys() <= EXAMPLES.keys()


STRICTER_EXAMPLES: Final[dict[str, tuple[Recipe, str | None]]] = {
    PRIVATE: (("ES256", 0, "a", "private"), "a"),
    "use binds": (("ES256", 0, "a", "for encryption"), "a"),
    "key_ops bind": (("ES256", 0, "a", "for signing"), "a"),
}


@pytest.mark.parametrize("name", STRICTER_EXAMPLES)
def test_key_set_unusable_key_refused_by_named_rule(name: str) -> None:
    recipe, kid = STRICTER_EXAMPLES[name]
    assert judged(asked([recipe, OTHER], recipe, kid)) == [name]
    assert judged(asked([OTHER, recipe], OTHER, "b")) == ["accepted"]
    assert name == PRIVATE or name in STRICTER


@pytest.mark.parametrize("name", CHANGES)
def test_key_set_bad_member_other_key_usable(name: str) -> None:
    for recipes in ([(*OTHER[:2], "a", name), ONE], [ONE, (*OTHER[:2], "a", name)]):
        question = asked(recipes, ONE, "a")
        assert claims(question) is not None
        assert "refused" not in judged(question)


@pytest.mark.parametrize("kid", ["b", "c", ""])
def test_key_set_key_of_other_kid_refused(kid: str) -> None:
    assert judged(asked([ONE, OTHER], ONE, kid)) == ["refused"]


# --- the harness sees what would be wrong


def test_harness_selection_ignoring_kid_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Keyring.select
    monkeypatch.setattr(Keyring, "select", lambda ring, algorithm, kid: chosen(ring, algorithm, None))
    with pytest.raises(AssertionError, match="accepted, though pyjwt has no key for it"):
        judged(asked([ONE, OTHER], ONE, "b"))


def test_harness_selection_dropping_first_key_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Keyring.select
    monkeypatch.setattr(Keyring, "select", lambda ring, algorithm, kid: chosen(ring, algorithm, kid)[1:])
    with pytest.raises(AssertionError, match="refused without a rule"):
        judged(asked([ONE, OTHER], ONE, "a"))


def test_harness_key_used_against_its_alg_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(jwk: Any, *given: Any, **more: Any) -> Any:
        return imported({name: value for name, value in jwk.items() if name != "alg"})

    monkeypatch.setattr(keyset, "import_jwk", careless)
    with pytest.raises(AssertionError, match="accepted, though pyjwt has no key for it"):
        judged(asked([(*RSA[:3], "bound")], RSA, "a", turn=1))


@pytest.mark.parametrize("peer", PEERS)
def test_harness_refusing_peer_detected(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, peer, lambda _: None)
    with pytest.raises(AssertionError, match=f"accepted, though {peer} has no key for it"):
        judged(asked([ONE, OTHER], ONE, "a"))


def test_harness_different_claims_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "claims", lambda _: {"sub": "somebody else"})
    with pytest.raises(AssertionError):
        judged(asked([ONE, OTHER], ONE, "a"))
