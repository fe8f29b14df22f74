"""Wicket, PyJWT and joserfc judge the same tokens by the same rules: every disagreement has a name, or is a bug.

What Wicket accepts both accept, with the same claims, but for `LOOSER`; what it refuses though one of them accepts it
is refused by a rule of `STRICTER`. Tokens are made up by hypothesis, and by mutating good ones.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import joserfc.errors
import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.engine import mutated
from tests.fuzz.tokens import WORDS
from tests.properties.known_differences import LOOSER, STRICTER, Case, excused, explained
from tests.properties.reference_libraries import Pair, joserfc_claims, pairs, pyjwt, same_time
from tests.properties.strategies import ALMOST_GOOD, CLAIMS, HEADERS
from tests.properties.tokens import NOW, app, good_claims
from tests.support.thorough import example_count
from wicket import App, Gate, Rules

quick = settings(max_examples=example_count(150), deadline=None)

ALGORITHMS = sorted(pairs())
REQUIRED = frozenset({"sub", "exp"})
APPS: list[dict[str, Any]] = [
    {},
    {"issuer": "https://id.example"},
    {"audience": ["https://api.example", "x"], "issuer": "https://id.example"},
    {"rules": Rules(required_claims=frozenset({"sub", "exp", "iat", "jti"}), leeway=0)},
    {"rules": Rules(required_claims=frozenset(), leeway=0.5, user_id_claims=("sub", "email"))},
    {"rules": Rules(required_claims=REQUIRED, max_lifetime=7200, min_lifetime=60, max_token_bytes=600)},
    {"rules": Rules(required_claims=REQUIRED, allow_integer_user_id=True)},
]
PEERS: dict[str, Callable[[Pair, str, App], dict[str, Any]]] = {"pyjwt": pyjwt, "joserfc": joserfc_claims}
REFUSES = (
    jwt.PyJWTError,
    joserfc.errors.JoseError,
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    AttributeError,
)
"""What the peers raise: not all of it is meant, such as what a lone surrogate or an endless number brings about."""


@pytest.fixture(autouse=True, scope="module")
def _same_time_for_all() -> Iterator[None]:
    with same_time():
        yield


def held_by(pair: Pair, which: int) -> App:
    return app(credentials=[pair.credential], origins=[], **APPS[which])


def asked(peer: str, pair: Pair, token: str, held: App) -> dict[str, Any] | None:
    try:
        return PEERS[peer](pair, token, held)
    except REFUSES:
        return None


def judged(pair: Pair, token: str, which: int) -> str:
    """How the three see the token, in a word; fails where they disagree and no rule says why."""
    held = held_by(pair, which)
    case = Case(token, held, pair.algorithm)
    decision = Gate([held], clock=lambda: NOW).verify(token, app=held.id)
    read = {peer: asked(peer, pair, token, held) for peer in PEERS}
    if decision.allowed:
        claims = decision.identity.claims
        for peer, seen in read.items():
            if seen is None:
                assert excused(case, peer), f"{peer} refuses what Wicket accepts: {token}"
            else:
                assert json.dumps(seen) == json.dumps(claims)  # 1 is not 1.0, and not True
        return "accepted" if None not in read.values() else "excused"
    if all(seen is None for seen in read.values()):
        return "refused"
    assert decision.refusal is not None
    assert explained(case, decision.refusal.reason), f"{decision.refusal} has no rule: {token}"
    return "stricter"


@pytest.mark.long
@quick
@given(claims=CLAIMS | ALMOST_GOOD, header=HEADERS, which=st.integers(0, len(APPS) - 1))
def test_verify_any_claims_and_header_peers_agree(claims: dict[str, Any], header: Any, which: int) -> None:
    pair = pairs()["HS256"]
    given = header if isinstance(header, dict) else {}
    judged(pair, pair.sign(claims, given), which)
    judged(pair, pair.sign(claims, {**given, "alg": "HS256"}), which)


@pytest.mark.long
@quick
@given(changes=CLAIMS, which=st.integers(0, len(APPS) - 1))
def test_verify_almost_valid_claims_peers_agree(changes: dict[str, Any], which: int) -> None:
    pair, good = pairs()["HS256"], good_for(which)
    assert judged(pair, pair.sign(good), which) == "accepted"
    for name, value in changes.items():
        judged(pair, pair.sign({**good, name: value}), which)
        judged(pair, pair.sign({key: held for key, held in good.items() if key != name}), which)


def good_for(which: int) -> dict[str, Any]:
    claims = good_claims(iss="https://id.example", aud="https://api.example", jti="1")
    if "audience" not in APPS[which]:
        del claims["aud"]
    return claims


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=example_count(8), deadline=None)
@given(claims=ALMOST_GOOD, which=st.integers(0, len(APPS) - 1))
def test_verify_every_algorithm_peers_agree(algorithm: str, claims: dict[str, Any], which: int) -> None:
    pair = pairs()[algorithm]
    best = judged(pair, pair.sign(good_for(which)), which)

    assert best == ("excused" if algorithm in ("Ed25519", "Ed448") else "accepted")
    judged(pair, pair.sign(claims), which)


@pytest.mark.parametrize("signer", ALGORITHMS)
def test_verify_token_of_other_key_refused_by_all(signer: str) -> None:
    token = pairs()[signer].sign(good_claims())
    for algorithm in ALGORITHMS:
        if algorithm != signer:
            assert judged(pairs()[algorithm], token, 0) == "refused"


MUTANTS = 3000


def mutants(pair: Pair, chance: random.Random) -> Iterator[tuple[str, int]]:
    """Good tokens, changed: their header or payload before they are signed, or their text afterwards."""
    others = [json.dumps(good_for(which)).encode() for which in range(len(APPS))]
    head = json.dumps({"alg": pair.algorithm, "typ": "JWT"}).encode()
    for turn in range(MUTANTS):
        which = turn % len(APPS)
        payload = others[which]
        kind = turn % 5
        if kind < 2:
            yield pair.sign_bytes(head, mutated(payload, others, WORDS, chance)), which
        elif kind == 2:
            yield pair.sign_bytes(mutated(head, [head], WORDS, chance), payload), which
        else:
            text = pair.sign_bytes(head, payload)
            at, length = chance.randrange(len(text) + 1), chance.randrange(3)
            put = chance.choice(["", "=", ".", "A", "_", "é", "\n", " ", "==", "-" * 4])
            yield (text[:at] + put + text[at + length :] if kind == 3 else text + put), which


@pytest.mark.long
@pytest.mark.says_parts("a mutant's claims hold pieces of headers, and another's user is such a piece")
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_verify_mutated_token_peers_agree(algorithm: str) -> None:
    pair, chance = pairs()[algorithm], random.Random(algorithm)
    seen: Counter[str] = Counter()
    distinct: set[str] = set()
    for token, which in mutants(pair, chance):
        distinct.add(token)
        seen[judged(pair, token, which)] += 1

    assert len(distinct) >= MUTANTS // 2
    assert min(seen[each] for each in ("accepted", "refused", "stricter")) >= 20, seen


def raw(pair: Pair, payload: str, header: str = '{"alg":"HS256","typ":"JWT"}') -> str:
    return pair.sign_bytes(header.encode(), payload.encode())


GOOD = json.dumps({"sub": "user-1", "exp": NOW + 60})
EXAMPLES: dict[str, tuple[Callable[[Pair], str], int]] = {
    "one spelling: base64url without padding, three parts": (lambda pair: pair.sign(good_claims()) + "=", 0),
    "JSON objects in UTF-8, no duplicate member, no half character, finite numbers, at most 32 deep": (
        lambda pair: raw(pair, GOOD.replace("{", '{"sub":"root",')), 0,
    ),
    "no crit, b64, zip, enc": (lambda pair: pair.sign(good_claims(), {"zip": "DEF"}), 0),
    "kid and typ are strings": (lambda pair: pair.sign(good_claims(), {"typ": 1}), 0),
    "no other typ than JWT": (lambda pair: pair.sign(good_claims(), {"typ": "at+jwt"}), 0),
    "at most so many bytes": (lambda pair: pair.sign(good_claims(x="x" * 600)), 5),
    "a NumericDate is a number from the year 1 to the year 9999": (lambda pair: pair.sign(good_claims(exp=10**15)), 0),
    "fractions of nbf and iat count": (lambda pair: pair.sign(good_claims(nbf=NOW + 30.5)), 0),
    "lifetime bounds": (lambda pair: pair.sign(good_claims(exp=NOW + 8000)), 5),
    "the user id is a text of 1 to 256 characters without controls": (
        lambda pair: pair.sign(good_claims(sub="u" * 257)), 0,
    ),
    "iss is a string": (lambda pair: pair.sign(good_claims(iss=7)), 0),
    "an audience is not for an app without one": (lambda pair: pair.sign(good_claims(aud="x")), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", STRICTER)
def test_stricter_rule_example_only_wicket_refuses(name: str) -> None:
    """A list with a rule that is never needed would hide a bug behind it."""
    pair = pairs()["HS256"]
    make, which = EXAMPLES[name]
    token = make(pair)

    decision = Gate([held_by(pair, which)], clock=lambda: NOW).verify(token, app="acme")
    assert decision.refusal is not None
    assert judged(pair, token, which) == "stricter"
    assert explained(Case(token, held_by(pair, which), "HS256"), decision.refusal.reason) == [name]
    assert STRICTER[name].source


LOOSER_EXAMPLES: dict[str, tuple[str, dict[str, Any], int]] = {
    "fractional exp": ("HS256", {"exp": NOW - 29.5}, 0),
    "Ed25519 and Ed448 as names": ("Ed448", {}, 0),
    "integer user ids": ("HS256", {"sub": 7}, 6),
}


@pytest.mark.parametrize("peer", LOOSER)
def test_looser_rule_example_peer_refuses(peer: str) -> None:
    for name in LOOSER[peer]:
        algorithm, changes, which = LOOSER_EXAMPLES[name]
        pair = pairs()[algorithm]
        token = pair.sign(good_claims(**changes))
        assert judged(pair, token, which) == "excused"
        assert asked(peer, pair, token, held_by(pair, which)) is None
        assert excused(Case(token, held_by(pair, which), algorithm), peer) == [name]


def test_harness_token_only_wicket_allows_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = pairs()["HS256"]
    monkeypatch.setitem(PEERS, "joserfc", lambda *_: pyjwt(pair, "x", app()))
    with pytest.raises(AssertionError, match="joserfc refuses what Wicket accepts"):
        judged(pair, pair.sign(good_claims()), 0)


def test_harness_unexplained_refusal_detected() -> None:
    pair = pairs()["HS256"]
    other = Pair("HS256", b"z" * 31 + b"y", b"z" * 31 + b"y", pair.credential)
    with pytest.raises(AssertionError, match="has no rule"):
        judged(other, other.sign(good_claims()), 0)
