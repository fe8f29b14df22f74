"""Threads and tasks on the short ways of apps in code, through both doors and by hand, while time and memory change.

An app in code never changes, so its requests find much of their way done; see `wicket.decision.fast_path` and
`verify_configured`. Here they come at once, with good tokens and bad, of this app and of another, from pages that may ask
and that may not, while the clock goes forth and back and what is remembered is forgotten. See `roads`.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.properties.concurrency import turns_taken_often
from tests.properties.fast_path_machine import Roads, change_by
from tests.properties.fast_path_model import IN_CODE, LOADED, A, Ask, asks_by, passes_of
from wicket.decision import context as house
from wicket.decision.context import GateContext
from wicket.decision.fast_path import _build_entry, decide_fast
from wicket.decision.flow import verify_configured

FEW = 3
OUTCOMES = {
    "accepted",
    "algorithm_not_allowed",
    "bad_signature",
    "expired",
    "issued_in_future",
    "key_not_found",
    "not_yet_valid",
    "origin_not_allowed",
    "revoked",
    "unknown_app",
    "wrong_issuer",
}


@pytest.fixture(autouse=True)
def _threads_take_turns_often() -> Iterator[None]:
    with turns_taken_often():
        yield


@pytest.fixture
def _few_roads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "MAX_FAST_PATH_ENTRIES", FEW)


def hammered(roads: Roads, *, turns: int = 4, asks: int = 200) -> Counter[str]:
    """Some bursts of requests and changes, each answer checked; how often what was said, and who went straight."""
    chance = random.Random(7)
    outcomes: Counter[str] = Counter()
    try:
        for turn in range(turns):
            changes = [change_by(roads, chance) for _ in range(asks // 2)]
            sent = asks_by(chance, asks)
            before = len(roads.gate.taken)
            outcomes.update(each.said[0] for each in roads.burst(sent, changes))
            outcomes.update(f"straight through {door}" for _, door in roads.gate.taken[before:])
            roads.change("mixed", replace(IN_CODE[-1], published=(f"mixed/{1 + turn % 2}",)), said=False)
            roads.grow_old((60.0, 10_000.0)[turn % 2])
            for ask in dict.fromkeys(sent):  # whatever the burst left behind
                roads.check(roads.through_wsgi(ask))
        all_is_quiet(roads)
    finally:
        roads.gate.close()
    return outcomes


def all_is_quiet(roads: Roads) -> None:
    """Now everybody who is honest is admitted at once, the second time on the straight road."""
    roads.back_to_the_beginning()
    for rule in (*IN_CODE, *LOADED):
        ask = Ask(rule.id, passes_of(rule.id)[0], A)
        for seen in (roads.by_hand(ask), roads.through_wsgi(ask), roads.through_wsgi(ask)):
            roads.check(seen)
            assert seen.said[0] == "accepted"
        assert rule in LOADED or roads.gate.taken[-1] == (rule.id, "wsgi")
        roads.check(asyncio.run(roads.through_asgi(ask)))
        assert rule in LOADED or roads.gate.taken[-1] == (rule.id, "asgi")


@pytest.mark.long
def test_fast_path_concurrent_requests_only_possible_answers() -> None:
    roads = Roads(tiny=False)
    outcomes = hammered(roads)

    assert outcomes.keys() >= OUTCOMES
    assert outcomes["straight through wsgi"] > 150
    assert outcomes["straight through asgi"] > 40
    assert roads.gate._context.fast_path
    assert {ref.value for ref in roads.gate._context.standalone_contexts} > {
        "plain",
        "plain-2",
        "other",
        "kids",
        "wary",
        "lax",
    }


@pytest.mark.long
@pytest.mark.usefixtures("_few_roads")
def test_fast_path_tiny_caches_only_possible_answers() -> None:
    roads = Roads(tiny=True)
    outcomes = hammered(roads, turns=7)

    assert outcomes.keys() >= OUTCOMES
    assert outcomes["straight through wsgi"] > 150
    assert outcomes["straight through asgi"] > 40
    context = roads.gate._context
    assert len(context.fast_path) < FEW + 5  # each thread may have added one at the same time
    assert len(context.standalone_contexts) < FEW + 5
    memory = context.signature_cache
    assert (
        len(memory) == sum(len(entries) for entries in memory._entries.values()) <= context.limits.signature_cache_size
    )


# --- the model sees what would be wrong


WRONG: dict[str, tuple[Callable[..., Any], str, str]] = {
    "the claims are not checked": (
        decide_fast,
        "check_claims(claims, header.typ, app, house.clock(), key.issuer, signed.times)",
        "pass",
    ),
    "nobody is revoked": (decide_fast, "app.revocations.any and is_revoked(claims, user_id, app)", "False"),
    "any key will do": (decide_fast, "key.fingerprint != signed.fingerprint", "False"),
    "the road of another app": (decide_fast, "held.get(spelled[place.name])", "None"),
    "the road of another origin": (decide_fast, 'held.get(spelled["origin"]))', "None)"),
    "the road of an origin that may not ask": (_build_entry, "not app.allows_origin(origin)", "False"),
    "the road of no origin": (_build_entry, "app.require_origin", "False"),
    "the entry of another app": (
        GateContext.standalone_context,
        "Alone(self, app, ref)",
        "next(iter(self.alone.values()), None) or Alone(self, app, ref)",
    ),
    "any origin by hand": (verify_configured, "origin is None and isinstance", "isinstance"),
    "a clock that stands": (decide_fast, "house.clock()", "1_760_000_000"),
    "one clock for all": (verify_configured, "house.clock()", "1_760_000_000"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.usefixtures("_few_roads")
def test_model_broken_fast_path_detected(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, right, instead = WRONG[wrong]
    text = textwrap.dedent(inspect.getsource(function))
    assert text.count(right) == 1, "the function is written otherwise by now"
    scope = {**function.__globals__}
    exec(compile(text.replace(right, instead), "<wrong>", "exec"), scope)
    monkeypatch.setattr(function, "__code__", scope[function.__name__].__code__)

    with pytest.raises(AssertionError, match=r"is none of|of another origin"):
        hammered(Roads(tiny=True), asks=100)
