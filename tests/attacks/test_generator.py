"""Thousands of generated attacks: none is allowed, and in log-only none has an identity.

Valid requests between them are allowed.
"""

from __future__ import annotations

import functools
from collections import Counter
from itertools import cycle
from urllib.parse import unquote

import pytest

from tests.attacks.fixtures import Headers, Sent, apps, asked, gate_of, honest, key_of
from tests.attacks.generator import ALGORITHMS, KINDS, Attack, attacks
from tests.attacks.token_factory import NOW, app, credential, token
from tests.support.clients import DOORS, Answered
from wicket import Gate, Header, Mode
from wicket.errors import Code
from wicket.keys.algorithms import Key
from wicket.testing import FakeClock

LEAST = 5_000
SHORT = ("HS256", "ES256")
ALGORITHM_CASES = [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in ALGORITHMS]
"""Every algorithm; the attacks of most are long, because signing and verifying them takes seconds."""
CODES: dict[str, set[Code]] = {
    **{kind: {"invalid_token"} for kind in KINDS},
    "encoding": {"invalid_token", "invalid_request"},
    "name": {"invalid_token", "invalid_request", "unknown_app"},
}
"""How an attack of each kind may be refused. Trouble of our own, a 503, is never among it."""


@functools.cache
def generated(algorithm: str) -> tuple[Attack, ...]:
    """The attacks of one algorithm, made once."""
    return tuple(attacks(algorithm))


def sent_by(door: str, gate: Gate, sent: Sent) -> Answered:
    """Send a request through one of the middlewares."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.headers]
    return DOORS[door](gate, headers, path=_decoded(sent.path, door), query=sent.query.encode("latin-1"))


def _decoded(path: str, door: str) -> str:
    """The ASGI middleware takes the path that the server has decoded."""
    return unquote(path) if door == "asgi" else path


def check_honest(door: str, gate: Gate, headers: Headers, who: str) -> None:
    """An honest request passes as the user that it is from."""
    answered = sent_by(door, gate, Sent(headers))
    assert answered.passed
    assert answered.decision is not None
    assert answered.decision.identity.identity == who


def token_of(headers: Headers) -> str:
    """The token of a plain request."""
    return dict(headers)["Authorization"].removeprefix("Bearer ")


def who_of(headers: Headers) -> str:
    """Whom an honest request is from."""
    return f"{dict(headers)['X-App-Id']}:ada"


@pytest.mark.parametrize("algorithm", ALGORITHM_CASES)
def test_gate_generated_attack_refused(algorithm: str) -> None:
    gate = gate_of(algorithm, None)
    good = asked(honest(algorithm))
    for door in DOORS:
        check_honest(door, gate, good, "acme:ada")
    for number, attack in enumerate(generated(algorithm)):
        for door in DOORS:
            for before in attack.sent.before:
                check_honest(door, gate, before, who_of(before))
            answered = sent_by(door, gate, attack.sent)
            assert not answered.passed, attack
            assert answered.status in (400, 401), attack
            assert any(f'"error": "{code}"'.encode() in answered.body for code in CODES[attack.kind]), attack
        if number % 100 == 0:
            check_honest("asgi", gate, good, "acme:ada")
    for door in DOORS:
        check_honest(door, gate, good, "acme:ada")
    assert {each.code for each in gate.outcomes()} <= {"allowed", "invalid_token", "invalid_request", "unknown_app"}


@pytest.mark.parametrize("algorithm", ALGORITHM_CASES)
def test_fast_path_and_verify_generated_attack_refused(algorithm: str) -> None:
    """By one header alone an app in code is found at once; each attack comes twice, and its token without a request."""
    gate = gate_of(algorithm, None, "a header")
    everybody = {each: asked(honest(algorithm, each), each) for each in ("acme", "mallory")}

    def check_everybody() -> None:
        for name, headers in everybody.items():
            for door in DOORS:
                check_honest(door, gate, headers, f"{name}:ada")
            assert gate.verify(token_of(headers), app=name).require().identity == f"{name}:ada"

    for _ in range(2):
        check_everybody()
    assert len(gate._context.fast_path.entries) == len(everybody) * len(DOORS), "one entry for each user and protocol"
    for number, attack in enumerate(each for each in generated(algorithm) if each.kind != "name"):
        for before in attack.sent.before:
            check_honest("asgi", gate, before, who_of(before))
        for _ in range(2):
            answered = sent_by("asgi" if number % 2 else "wsgi", gate, attack.sent)
            assert not answered.passed, attack
            assert any(f'"error": "{code}"'.encode() in answered.body for code in CODES[attack.kind]), attack
        text, name = token_of(attack.sent.headers), dict(attack.sent.headers)["X-App-Id"]
        assert not gate.verify(text, app=name).allowed, attack
        if number % 100 == 0:
            check_everybody()
    check_everybody()
    assert {each.code for each in gate.outcomes()} <= {"allowed", "invalid_token", "invalid_request", "unknown_app"}


@pytest.mark.parametrize("algorithm", ALGORITHM_CASES)
def test_log_only_generated_attack_anonymous(algorithm: str) -> None:
    gate = gate_of(algorithm, Mode.LOG_ONLY)
    good = asked(honest(algorithm))
    for attack, door in zip(generated(algorithm), cycle(DOORS), strict=False):
        for before in attack.sent.before:
            check_honest(door, gate, before, who_of(before))
        answered = sent_by(door, gate, attack.sent)
        assert answered.passed, attack
        decision = answered.decision
        assert decision is not None
        assert not decision.enforced
        assert decision.refusal is not None
        assert decision.refusal.code in CODES[attack.kind], attack
        identity = decision.identity
        assert (identity.verified, identity.user_id, identity.claims, identity.identity) == (False, None, {}, ""), (
            attack
        )
    for door in DOORS:
        check_honest(door, gate, good, "acme:ada")


@pytest.mark.long
def test_generator_every_kind_enough_distinct_attacks() -> None:
    every = [attack for algorithm in ALGORITHMS for attack in generated(algorithm)]
    assert len({token_of(attack.sent.headers) for attack in every if attack.kind != "name"}) >= LEAST
    met = Counter((attack.kind, attack.algorithm) for attack in every)
    for kind in KINDS:
        for algorithm in ALGORITHMS:
            assert met[kind, algorithm] >= 20, (kind, algorithm)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "EdDSA", "Ed25519"])
def test_generator_second_run_same_attacks(algorithm: str) -> None:
    """Of the other algorithms too, but for what signatures of ECDSA and PSS have of chance."""
    again = [(each.kind, each.what) for each in attacks(algorithm)]
    assert again == [(each.kind, each.what) for each in generated(algorithm)]


def test_generator_signature_check_disabled_attacks_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attacks would pass where they should not: what is refused above is refused for its signature."""
    monkeypatch.setattr(Key, "verify", lambda *_: True)
    gate = gate_of("ES256", None)
    passed = Counter(each.kind for each in generated("ES256") if sent_by("asgi", gate, each.sent).passed)
    assert passed.keys() == {"header", "claims", "encoding", "signature", "key", "app", "kid", "memory", "name"}
    assert passed["signature"] > 100
    assert passed["memory"] > 100


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signature_cache_key_changed_without_refresh_entry_ends(algorithm: str) -> None:
    """The registry gives the app another key under the same name; nothing is forgotten on purpose."""
    ticks = FakeClock(1000.0)
    own, other = (app("acme", credential(algorithm, owner)) for owner in ("acme", "mallory"))
    registered = [own]
    good, bad = (token(algorithm, key_of(algorithm, owner)) for owner in ("acme", "mallory"))
    with Gate(
        registry=lambda ref: registered[0], app_locations=[Header("X-App-Id")], clock=lambda: NOW, monotonic=ticks
    ) as gate:
        for held, wanted in ((own, True), (other, False), (own, True)):
            registered[0] = held
            ticks.advance(3600)
            for _ in range(3):
                assert gate.verify(good, app="acme").allowed is wanted
                assert gate.verify(bad, app="acme").allowed is not wanted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signature_cache_expiry_key_or_app_change_entry_ends(algorithm: str) -> None:
    clock = FakeClock(float(NOW))
    held = {each.id: each for each in apps(algorithm)}
    registered = dict(held)
    with Gate(registry=lambda ref: registered.get(ref.value), app_locations=[Header("X-App-Id")], clock=clock) as gate:
        good = honest(algorithm, exp=NOW + 600)
        assert gate.verify(good, app="acme").allowed
        for wrong in ("mallory", "twins"):
            registered["acme"] = app("acme", *held[wrong].credentials, issuer=held["acme"].issuer)
            gate.refresh("acme", purge=True)
            assert not gate.verify(good, app="acme").allowed
        registered["acme"] = held["acme"]
        gate.refresh("acme", purge=True)
        assert gate.verify(good, app="acme").allowed
        del registered["acme"]
        gate.refresh("acme", purge=True)
        assert not gate.verify(good, app="acme").allowed
        registered["acme"] = held["acme"]
        gate.refresh("acme", purge=True)
        assert gate.verify(good, app="acme").allowed
        clock.advance(631)
        assert not gate.verify(good, app="acme").allowed
