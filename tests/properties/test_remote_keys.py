"""The state machine of remote key sets: rotations, outages and forged tokens in any order, on clocks of the test.

Two promises hold after every step. A genuine token of a published key never hears 401, unless the set in hand was
fetched after its `iat` and the leeway, or its kid was reused for a new key. And strangers cause few fetches.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.attacks.published import URL, Clocks, Published, is_signed_by, of_set
from wicket import Gate, Limits
from wicket.diagnostics.key_sets import cached_key_sets
from wicket.jwks.fetcher import FetchFailed

LEEWAY: Final = 30
FIRST: Final = 2
EVERY: Final = 30.0
KIDS: Final = ("a", "b", "c", "d", None)
TIMES: Final = st.sampled_from([0.0, 0.5, 3.0, 20.0, 31.0, 61.0, 400.0, 4000.0, 9000.0])


class RemoteKeys(RuleBasedStateMachine):
    """One app, one key set, its issuer, and strangers."""

    @initialize(kid=st.sampled_from(KIDS))
    def begin(self, kid: str | None) -> None:
        """Publish one key, and ask once or not at all."""
        self.clocks = Clocks()
        self.owners = 0
        self.published = Published({kid: self.owner()})
        self.forged_fetches = 0
        self.began = self.clocks.monotonic()
        self.due = 0  # fetches that the lifetime of a set or the end of an outage allow
        # Nothing waits: the clocks stand still meanwhile.
        limits = Limits(load_timeout=2.0, unknown_kid_burst=FIRST, unknown_kid_interval=EVERY)
        self.gate = Gate([of_set()], fetcher=self.published, limits=limits, **self.clocks.settings())
        self.gate._key_sets.waiters.place = _nowhere  # type: ignore[method-assign]

    def teardown(self) -> None:
        """End the gate's threads."""
        if hasattr(self, "gate"):
            self.gate.close()

    def owner(self) -> str:
        """A new key."""
        self.owners += 1
        return f"owner {self.owners % 8}"

    @rule(kid=st.sampled_from(KIDS))
    def publish(self, kid: str | None) -> None:
        """Add a key, or replace the one of that kid."""
        self.published.keys[kid] = self.owner()

    @rule(kid=st.sampled_from(KIDS))
    def withdraw(self, kid: str | None) -> None:
        """Take a key out of the set, unless it is the last."""
        if len(self.published.keys) > 1:
            self.published.keys.pop(kid, None)

    @rule(seconds=TIMES)
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clocks.advance(seconds)

    @rule(kind=st.sampled_from(["status", "not_found", "timeout", None]))
    def fail(self, kind: Any) -> None:
        """Let the endpoint fail, or serve again."""
        self.published.failure = None if kind is None else FetchFailed(kind)

    @rule(
        kid=st.sampled_from([*KIDS, "e", "f"]),
        ago=st.sampled_from([-30, 0, 20, 31, 500, None]),
        count=st.integers(1, 9),
    )
    def forge(self, kid: str | None, ago: int | None, count: int) -> None:
        """Have a stranger ask with any `iat`."""
        before = self.published.fetches
        version = self.held()
        for number in range(count):
            iat = None if ago is None else self.clocks.day() - ago
            decision = self.gate.verify(is_signed_by("a stranger", kid, iat, sub=f"{number}"), app="acme")
            assert decision.refusal is not None
            assert decision.refusal.code in ("invalid_token", "keys_unavailable", "config_invalid")
        # Beside the budget only one load can be due, and each failure puts the next one off.
        spent = self.published.fetches - before
        assert spent <= FIRST + 1, (spent, version)

    @rule(data=st.data(), ago=st.sampled_from([0, 1, 20, 31, 500]))
    def ask(self, data: st.DataObject, ago: int) -> None:
        """Have a genuine user ask, with a key that is published."""
        self.check(data.draw(st.sampled_from(sorted(self.published.keys, key=str))), ago)

    @rule(kid=st.sampled_from(KIDS), ago=st.sampled_from([0, 1, 20]))
    def rotate_under_fire(self, kid: str | None, ago: int) -> None:
        """Have strangers spend the budget, then publish a key and have a genuine user ask with it."""
        self.forge(kid="e", ago=0, count=4)
        self.publish(kid)
        self.check(kid, ago)

    def check(self, kid: str | None, ago: int) -> None:
        """Ask with a token of the published key, and hold the answer against the promise."""
        if kid is None and len(self.published.keys) > 1:
            kid = "z"  # a token without kid cannot be told apart; with an unknown kid the key without kid is tried
        owner = self.published.keys[None if kid == "z" else kid]
        before = self.held()
        issued = self.clocks.day() - ago
        decision = self.gate.verify(is_signed_by(owner, kid, issued, exp=int(self.clocks.day()) + 600), app="acme")
        refusal = decision.refusal
        if refusal is None:
            return
        held = self.held()
        if refusal.status == 401:
            assert refusal.reason in ("key_not_found", "bad_signature"), refusal
            assert held is not None
            assert before is not None
            reused = kid in (None, "z") or any(key.kid == kid for key in held.keys.keys)
            assert reused or held.began_at > int(issued) + LEEWAY, (refusal, held.began_at, issued)
            # A set that was fetched for this request has every published key.
            assert held.began_at < self.clocks.day() or held is before
        else:
            assert refusal.status == 503
            assert refusal.retry_after is not None
            assert refusal.retry_after >= 1
            assert refusal.limited or self.published.failure is not None or self.failed()

    def held(self) -> Any:
        """The set in hand."""
        (held,) = cached_key_sets(self.gate, self.gate.apps[0]).values()
        return held

    def failed(self) -> bool:
        """Whether the last fetch failed, so that the back-off lasts."""
        cache = self.gate._key_sets.cache
        slots = [*cache._entries.values(), *cache._negative._entries.values()]
        return any(slot.failures for slot in slots)

    @invariant()
    def strangers_cause_few_fetches(self) -> None:
        """All fetches: those of the budget, and those that were due without strangers."""
        if hasattr(self, "gate"):
            passed = self.clocks.monotonic() - self.began
            budget = FIRST + passed / EVERY
            due = 1 + passed / 60 + 12  # a set lives for a minute at least; the back-off begins with a second
            assert self.published.fetches <= budget + due, URL


def _nowhere(key: Any, seconds: float, *, on_thread: bool) -> Any:
    import contextlib

    return contextlib.nullcontext(False)


TestRemoteKeys = pytest.mark.long(RemoteKeys.TestCase)
TestRemoteKeys.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
