"""Threads and tasks on the fast path, through both middlewares and `Gate.verify`, while the clock and caches change.

`wicket.decision.fast_path` and `verify_fast` share cached state between requests. Here valid and invalid tokens
of several apps arrive at once, from allowed and blocked origins, while the clock is set forwards and back and cache
entries are evicted. See `fast_path_machine`.
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
from tests.properties.fast_path_machine import FastPathMachine, random_change
from tests.properties.fast_path_model import IN_CODE, LOADED, A, RequestSpec, random_requests, token_specs_of
from wicket.decision import context
from wicket.decision.context import GateContext
from wicket.decision.fast_path import _decide_known, verify_fast
from wicket.decision.verified import _check_request, build_identity

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
def _small_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MAX_FAST_PATH_ENTRIES", FEW)


def run_bursts(machine: FastPathMachine, *, turns: int = 4, requests: int = 200) -> Counter[str]:
    """Run bursts of requests and changes, check each answer, and count the outcomes and the uses of the fast path."""
    chance = random.Random(7)
    outcomes: Counter[str] = Counter()
    try:
        for turn in range(turns):
            changes = [random_change(machine, chance) for _ in range(requests // 2)]
            sent = random_requests(chance, requests)
            before = len(machine.gate.taken)
            outcomes.update(observed.said[0] for observed in machine.burst(sent, changes))
            outcomes.update(f"fast path in {protocol}" for _, protocol in machine.gate.taken[before:])
            machine.change("mixed", replace(IN_CODE[-1], published=(f"mixed/{1 + turn % 2}",)), said=False)
            machine.expire_caches((60.0, 10_000.0)[turn % 2])
            for request in dict.fromkeys(sent):  # with the caches as the burst left them
                machine.check(machine.send_wsgi(request))
        check_after_bursts(machine)
    finally:
        machine.gate.close()
    return outcomes


def check_after_bursts(machine: FastPathMachine) -> None:
    """Check that every valid request is allowed now, and that the second one uses the fast path."""
    machine.reset()
    for rule in (*IN_CODE, *LOADED):
        request = RequestSpec(rule.id, token_specs_of(rule.id)[0], A)
        for seen in (machine.verify_only(request), machine.send_wsgi(request), machine.send_wsgi(request)):
            machine.check(seen)
            assert seen.said[0] == "accepted"
        assert machine.gate.taken[-1] == (rule.id, "wsgi")
        for _ in range(2):
            machine.check(asyncio.run(machine.send_asgi(request)))
        assert machine.gate.taken[-1] == (rule.id, "asgi")


@pytest.mark.long
def test_fast_path_concurrent_requests_only_possible_answers() -> None:
    machine = FastPathMachine(tiny=False)
    outcomes = run_bursts(machine)

    assert outcomes.keys() >= OUTCOMES
    assert outcomes["fast path in wsgi"] > 150
    assert outcomes["fast path in asgi"] > 40
    assert machine.gate._context.fast_path.entries
    assert {ref.value for ref in machine.gate._context.standalone_contexts.entries} >= {
        "plain",
        "other",
        "kids",
        "wary",
        "lax",
    }


@pytest.mark.long
@pytest.mark.usefixtures("_small_caches")
def test_fast_path_tiny_caches_only_possible_answers() -> None:
    machine = FastPathMachine(tiny=True)
    outcomes = run_bursts(machine, turns=7)

    assert outcomes.keys() >= OUTCOMES
    assert outcomes["fast path in wsgi"] > 150
    assert outcomes["fast path in asgi"] > 40
    gate_context = machine.gate._context
    assert len(gate_context.fast_path.entries) < FEW + 5  # each thread may have added one at the same time
    assert len(gate_context.standalone_contexts.entries) < FEW + 5
    cache = gate_context.signature_cache
    assert (
        len(cache)
        == sum(len(entries) for entries in cache.partitions.values())
        <= gate_context.limits.signature_cache_size
    )


# --- the model detects a broken fast path


BROKEN: dict[str, tuple[Callable[..., Any], str, str]] = {
    "the claims are not checked": (
        build_identity,
        "times = check_claims(claims, signed.header.typ, app, now, key.issuer, times)",
        "times = signed.times",
    ),
    "the times of known claims are not checked": (build_identity, "check_times(times, rules, now)", "pass"),
    "revocations are not checked": (
        _check_request,
        "app.revocations._enabled and is_revoked(claims, user_id, app)",
        "False",
    ),
    "the entry of another app header": (
        GateContext.fast_path_key,
        '(form, get(form["origin"]), get(keys[0][0]))',
        '(form, get(form["origin"]))',
    ),
    "the entry of another origin": (
        GateContext.fast_path_key,
        '(form, get(form["origin"]), get(keys[0][0]))',
        "(form, get(keys[0][0]))",
    ),
    "the context of another app": (
        GateContext.standalone_context,
        "StandaloneContext(self, app, ref, held)",
        "next(iter(self.standalone_contexts.entries.values()), None) or StandaloneContext(self, app, ref, held)",
    ),
    "any origin of a token without a request": (verify_fast, "origin is None and isinstance", "isinstance"),
    "a stopped clock in the fast path": (_decide_known, "now = gate.clock()", "now = 1_760_000_000"),
    "a stopped clock in verify_fast": (verify_fast, "gate.clock()", "1_760_000_000"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.usefixtures("_small_caches")
def test_model_broken_fast_path_detected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, right, replacement = BROKEN[name]
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(right) == 1, "the source of the function has changed"
    scope = {**function.__globals__}
    exec(compile(source.replace(right, replacement), "<broken>", "exec"), scope)
    monkeypatch.setattr(function, "__code__", scope[function.__name__].__code__)

    with pytest.raises(AssertionError, match=r"is not one of|of another origin"):
        run_bursts(FastPathMachine(tiny=True), requests=100)
