"""Threads and tasks against one gate whose world changes: no wrong acceptance, no wrong refusal beyond the bounds.

Keys are rotated, users revoked, modes switched, apps deleted and created again, key sets exchanged, sources broken and
mended, with `refresh`, purges and eviction between, and time that passes by a clock of the test's own. See `world`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.properties.concurrency import turns_taken_often
from tests.properties.model import ABSENT, APPS, KEYS, LIFETIME, STALE, USERS, WITH_KEY_SET, Ask, Config, World
from tests.support.thorough import example_count
from wicket import Gate, Mode
from wicket.decision import remote_keys
from wicket.decision.io import Pause
from wicket.decision.signature_cache import SignatureCache
from wicket.keys.waiters import Waiters

KIND = st.sampled_from(
    [
        "rotate",
        "rotate",
        "revoke",
        "mode",
        "list",
        "delete",
        "create",
        "keys",
        "keys",
        "refresh",
        "purge",
        "purge",
        "break",
        "mend",
    ]
)
ASKS = st.builds(
    Ask,
    *(st.sampled_from(APPS), st.sampled_from(KEYS), st.sampled_from(USERS), st.sampled_from(KEYS), st.booleans()),
    st.sampled_from([False, False, False, True]),
)
HOLDS = st.tuples(st.sampled_from(["hold", "hold", "let through"]), st.just("s0"), st.just({0}))
CHANGES = st.tuples(KIND, st.sampled_from(APPS), st.sets(st.sampled_from(KEYS), min_size=1, max_size=2))


@pytest.fixture(autouse=True)
def _threads_take_turns_often() -> Iterator[None]:
    with turns_taken_often():
        yield


@pytest.fixture(autouse=True)
def _pauses_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the budget does not advance while a request waits for a fetch, so a long wait has no effect."""

    def short(waiters: Waiters, key: Hashable, seconds: float) -> Pause:
        return Pause(waiters, key, min(seconds, 0.001))

    monkeypatch.setattr(remote_keys, "Pause", short)


def make(world: World, kind: str, id: str, keys: set[int]) -> None:
    """One change of the world."""
    held: Config = world.current(id)
    both = (world.registry, world.endpoint)
    if kind == "rotate":
        world.change(world.registry, id, replace(held, keys=frozenset(keys)))
    elif kind == "revoke":
        world.change(world.registry, id, replace(held, revoked=held.revoked ^ {USERS[min(keys) % 2]}))
    elif kind == "mode":
        other = Mode.ENFORCE if held.mode is Mode.LOG_ONLY else Mode.LOG_ONLY
        world.change(world.registry, id, replace(held, mode=other))
    elif kind == "list":
        world.change(world.registry, id, replace(held, listed=not held.listed))
    elif kind == "delete":
        world.change(world.registry, id, None)
    elif kind == "create":
        world.change(world.registry, id, held)
    elif kind == "keys" and id in WITH_KEY_SET:
        world.change(world.endpoint, id, frozenset(keys))
    elif kind in ("refresh", "purge"):
        world.refresh(id, purge=kind == "purge")
    elif kind in ("hold", "let through"):
        world.hold(holding=kind == "hold")
    elif kind in ("break", "mend"):
        world.fail(both[min(keys) % 2], failing=kind == "break")


class Machine(RuleBasedStateMachine):
    """One gate over one world."""

    world: World

    @initialize(tight=st.booleans())
    def begin(self, tight: bool) -> None:
        self.world = World(tight=tight)

    @rule(asks=st.lists(ASKS, min_size=1, max_size=6), changes=st.lists(CHANGES | HOLDS, max_size=6))
    def requests_while_the_world_changes(self, asks: list[Ask], changes: list[tuple[str, str, set[int]]]) -> None:
        self.world.burst(asks, (bound(self.world, change) for change in changes))

    @rule(change=CHANGES, ask=ASKS)
    def a_change_and_then_a_request(self, change: tuple[str, str, set[int]], ask: Ask) -> None:
        make(self.world, *change)
        self.world.check(self.world.asked(replace(ask, app=change[1])))

    @rule(change=CHANGES, ask=ASKS, purge=st.booleans())
    def a_change_that_is_said(self, change: tuple[str, str, set[int]], ask: Ask, purge: bool) -> None:
        make(self.world, *change)
        self.world.refresh(change[1], purge=purge)
        self.world.check(self.world.asked(replace(ask, app=change[1])))

    @rule(seconds=st.sampled_from([0.5, ABSENT, LIFETIME * 0.75, LIFETIME, LIFETIME + STALE]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.gate.close()


def bound(world: World, change: tuple[str, str, set[int]]) -> Callable[[], None]:
    return lambda: make(world, *change)


@pytest.mark.long
def test_gate_any_concurrent_changes_only_possible_answers() -> None:
    quick = settings(
        max_examples=example_count(100),
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Machine, settings=quick)


@pytest.mark.long
@pytest.mark.parametrize("tight", [False, True], ids=["roomy", "tight"])
def test_gate_threads_during_changes_only_possible_answers(tight: bool) -> None:
    chance = random.Random(7)
    world = World(tight=tight)
    outcomes: Counter[str] = Counter()
    kinds = [
        "hold",
        "let through",
        "let through",
        "rotate",
        "revoke",
        "mode",
        "list",
        "delete",
        "create",
        "keys",
        "refresh",
        "purge",
    ]
    for turn in range(6):
        asks = [
            Ask(
                chance.choice(APPS),
                chance.choice(KEYS),
                chance.choice(USERS),
                chance.choice(KEYS),
                chance.random() < 0.3,
                chance.random() < 0.1,
            )
            for _ in range(150)
        ]
        changes = [
            (chance.choice(kinds), chance.choice(APPS), set(chance.sample(KEYS, chance.randint(1, 2))))
            for _ in range(60)
        ]
        seen = world.burst(asks, (bound(world, change) for change in changes), threads=4)
        outcomes.update(each.said[0] for each in seen)
        world.advance((0.5, LIFETIME, ABSENT)[turn % 3])
    world.gate.close()

    assert world.checked == 6 * 150 * 5
    assert outcomes.keys() >= {"accepted", "bad_signature", "key_not_found", "revoked", "unknown_app"}


# --- the model sees what would be wrong


GOOD = Ask("s0", 0, "u0", 0)


def rotated() -> World:
    """A world in which the gate has seen a token of a key that is gone since."""
    world = World(tight=False)
    world.check(world.asked(GOOD))
    make(world, "rotate", "s0", {1})
    return world


def test_gate_rotated_key_serves_until_cache_lifetime() -> None:
    world = rotated()
    assert world.asked(GOOD).said == ("accepted", True)
    world.advance(LIFETIME - 1)
    late = world.asked(GOOD)
    world.check(late)
    world.advance(1)
    assert world.asked(GOOD).said == ("bad_signature", True)
    assert world.possible(world.asked(GOOD)) == {("bad_signature", True)}
    with pytest.raises(AssertionError, match="is none of"):
        world.check(replace(world.asked(GOOD), said=("accepted", True)))


def test_gate_registry_down_serves_until_stale_if_error() -> None:
    world = rotated()
    make(world, "break", "s0", {0})
    world.advance(LIFETIME + STALE - 1)
    seen = world.asked(GOOD)
    world.check(seen)
    assert seen.said == ("accepted", True)
    world.advance(1)
    seen = world.asked(GOOD)
    world.check(seen)
    assert seen.said == ("apps_unavailable", True)
    assert ("accepted", True) not in world.possible(seen)


@pytest.mark.parametrize("purge", [False, True])
def test_model_refresh_without_effect_detected(monkeypatch: pytest.MonkeyPatch, purge: bool) -> None:
    world = rotated()
    monkeypatch.setattr(Gate, "refresh", lambda *_, **__: None)
    world.refresh("s0", purge=purge)

    with pytest.raises(AssertionError, match="'accepted', True"):
        world.check(world.asked(GOOD))


def test_model_signature_cache_ignoring_key_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    class Whatever:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]  # it is never looked up

    get = SignatureCache.get

    def careless(self: SignatureCache, app_id: str, digest: bytes) -> Any:
        found: Any = get(self, app_id, digest)
        if found is not None:
            found.fingerprint = Whatever()
        return found

    monkeypatch.setattr(SignatureCache, "get", careless)
    world = rotated()
    world.advance(LIFETIME)

    with pytest.raises(AssertionError, match="'accepted', True"):
        world.check(world.asked(GOOD))


def test_model_unexplained_refusal_detected() -> None:
    world = World(tight=False)
    seen = replace(world.asked(GOOD), said=("unknown_app", True))
    with pytest.raises(AssertionError, match="is none of"):
        world.check(seen)


def test_model_constant_unavailable_answer_detected() -> None:
    world = World(tight=True)
    world.check(world.asked(GOOD))
    for outcome in ("apps_unavailable", "keys_unavailable"):
        with pytest.raises(AssertionError, match="is none of"):
            world.check(replace(world.asked(GOOD), said=(outcome, True)))
    world.gate.close()


def test_gate_tiny_caches_after_burst_all_allowed() -> None:
    world = World(tight=True)
    asks = [Ask(app, 0, "u0", 0) for app in APPS]
    world.burst(asks * 5, [])
    world.advance(0)
    for ask in asks * 2:
        seen = world.asked(ask)
        world.check(seen)
        assert seen.said == ("accepted", True)
    world.gate.close()
