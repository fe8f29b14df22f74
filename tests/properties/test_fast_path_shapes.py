"""Requests of every shape at one gate, each also decided by the flow of a gate without caches.

The gate has answered all earlier requests. Between them, the apps of its registry change, the registry fails, key sets
rotate, caches are refreshed and clocks move. See `fast_path_shapes`.
"""

from __future__ import annotations

import inspect
import random
import textwrap
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from tests.properties.fast_path_shapes import (
    IDS,
    NAMED_BY,
    NOW,
    ORIGIN,
    TOKEN_LOCATIONS,
    VARIANTS,
    app_of,
    private_key,
    random_request,
    refs_of,
    tokens,
)
from tests.support.fast_path import fast_decision
from tests.support.thorough import example_count
from wicket import App, AppRef, Bearer, Decision, Gate, Header, JsonBody, Limits, Mode, Request, TokenIssuer
from wicket.decision import flow
from wicket.decision.context import GateContext
from wicket.decision.fast_path import _decide_known, decide_fast
from wicket.decision.io import run
from wicket.decision.key_selection import _fresh_keys, recall_signature
from wicket.decision.resolve_app import find_app_refs, resolve_app_by_known_token
from wicket.decision.verified import build_identity
from wicket.jwks.fetcher import Fetched
from wicket.keys.urls import KeySetUrl
from wicket.testing import FakeClock

SHAPES: Final = [
    *(("code", "every location"), ("registry", "one header"), ("mixed", "every location"), ("alone", "every location")),
    *(
        pytest.param(kind, named_by, marks=pytest.mark.long)
        for kind in ("code", "registry", "mixed")
        for named_by in NAMED_BY
    ),
]


class World:
    """The apps, their registry, their key set and the clocks, and one gate that stays."""

    def __init__(self, kind: str, named_by: str, mode: Mode | None, chance: random.Random) -> None:
        self.kind, self.named_by, self.mode, self.chance = kind, named_by, mode, chance
        self.clock, self.age = FakeClock(NOW), FakeClock(1_000.0)
        self.failing = False
        self.key = "jw"
        self.alone = chance.choice(IDS)
        self.versions = {id: app_of(id) for id in IDS}
        self.taken: Counter[str] = Counter()
        self.gate = self.new_gate()

    def new_gate(self) -> Gate:
        """Return a gate whose caches are empty."""
        shared: dict[str, Any] = {
            "mode": self.mode,
            "clock": self.clock,
            "monotonic": self.age,
            "fetcher": self._fetch,
            "limits": Limits(load_timeout=30.0, log_only_timeout=30.0, stale_timeout=30.0, fetch_timeout=30.0),
        }
        if self.kind == "alone":
            return Gate([app_of(self.alone)], **shared)
        locations: dict[str, Any] = {"app_locations": NAMED_BY[self.named_by], "token_locations": TOKEN_LOCATIONS}
        in_code: tuple[str, ...] = {"code": IDS, "registry": (), "mixed": IDS[:2]}[self.kind]
        registry = None if self.kind == "code" else self._load
        return Gate([app_of(id) for id in in_code], registry=registry, **locations, **shared)

    def _load(self, ref: AppRef) -> App | None:
        if self.failing:
            raise RuntimeError("the database is down")
        return refs_of(list(self.versions.values())).get(ref)

    def _fetch(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        key = {**ECAlgorithm.to_jwk(private_key(self.key).public_key(), as_dict=True), "kid": "k1"}
        return Fetched({"keys": [key]}, None, None, None, 0.0, None)

    # --- what happens between the requests

    def change(self) -> None:
        """Let one thing happen. Afterwards the cached apps and keys are those that a new gate loads."""
        id = self.chance.choice(IDS)
        kind = self.chance.choice(["version", "version", "version", "clock", "keys", "age", "refresh"])
        self.clock.now = NOW
        id = "jw" if kind == "keys" else id
        self.check_against_new_gate(id)  # the app is known, and its token too
        self.check_verify(id)
        if kind == "version":
            self.versions[id] = app_of(id, self.chance.randrange(VARIANTS))
            if self.chance.random() < 0.5:
                self.gate.refresh(id, purge=True)
            else:
                self.age.advance(10_000_000)
        elif kind == "clock":
            self.clock.now = NOW + self.chance.choice([-120, 0, 0, 0, 0, 0, 20, 100, 700])
        elif kind == "keys":
            self.key = self.chance.choice(["jw", "jw", "other"])
            if self.chance.random() < 0.5:
                self.gate.refresh("jw", purge=True)
            else:
                self.age.advance(10_000_000)
        elif kind == "age":
            self.age.advance(10_000_000)
        else:
            self.gate.refresh(id, purge=self.chance.random() < 0.5)
        self.check_against_new_gate(id)
        self.check_verify(id)

    def outage(self) -> None:
        """Let the registry fail. Apps that are cached are served, and the fast path agrees with the flow."""
        self.failing = True
        if self.chance.random() < 0.3:
            self.gate.refresh(self.chance.choice(IDS), purge=self.chance.random() < 0.5)
        for _ in range(5):
            self.check_against_flow()
        self.failing = False
        for id in IDS:
            self.gate.refresh(id, purge=True)
        self.age.advance(1_000)

    # --- the judges

    def check_against_flow(self) -> None:
        asked = random_request(self.chance)
        fast = fast_decision(self.gate._context, asked.request(), optional=asked.optional)
        by_flow = run(flow.decide(self.gate._context, asked.request(), optional=asked.optional))
        if fast is not None:
            assert facts(fast) == facts(by_flow), asked

    def check_against_new_gate(self, id: str | None = None) -> None:
        asked = random_request(self.chance, id)
        expected = None
        with self.new_gate() as new:
            expected = facts(run(flow.decide(new._context, asked.request(), optional=asked.optional)))
        for _ in range(2):
            fast = fast_decision(self.gate._context, asked.request(), optional=asked.optional)
            self.taken["flow" if fast is None else "allowed" if fast.identity.verified else "refused"] += 1
            assert fast is None or facts(fast) == expected, asked
            assert facts(self.gate.decide(asked.request(), optional=asked.optional)) == expected, asked

    def check_verify(self, id: str | None = None) -> None:
        ref = AppRef("id", id or self.chance.choice([*IDS, "plain-2", "nobody"]))
        token = tokens()[id][0] if id else self.chance.choice(self.chance.choice(list(tokens().values())))
        origin = None if id else self.chance.choice([None, None, ORIGIN, "https://evil.example"])
        with self.new_gate() as new:
            expected = facts(run(flow.verify(new._context, token, ref, origin)))
        for _ in range(2):
            assert facts(self.gate.verify(token, app=ref, origin=origin)) == expected, (ref, token, origin)

    def run(self, steps: int) -> None:
        try:
            for _ in range(steps):
                if self.chance.random() < 0.06:
                    self.change()
                if self.kind in ("registry", "mixed") and self.chance.random() < 0.02:
                    self.outage()
                if self.chance.random() < 0.1:
                    self.check_verify()
                self.check_against_new_gate()
        finally:
            self.gate.close()


def facts(decision: Decision) -> tuple[Any, ...]:
    """Everything that an application or a client can see of a decision."""
    identity, app = decision.identity, decision.app
    refusal = decision.refusal
    return (
        *(decision.allowed, decision.enforced, decision.app_id, decision.claimed_user_id, decision.credentials_sent),
        None if refusal is None else (refusal.code, refusal.reason, refusal.detail, refusal.claim),
        *(app.id if app is not None else None, decision.app_ref),
        *(identity.verified, identity.app_id, identity.user_id, identity.user_id_claim, identity.claims),
        *(identity.kid, identity.expires_at, identity.method, identity.identity),
        *(identity.scopes, identity.attributes, identity.identifiers, identity.is_authenticated, type(identity)),
        decision._context.origin if decision._context is not None else None,
    )


@pytest.mark.parametrize("mode", [None, Mode.LOG_ONLY], ids=["app's mode", "log-only"])
@pytest.mark.parametrize(("kind", "named_by"), SHAPES)
def test_fast_path_any_shape_same_decision_as_new_gate(kind: str, named_by: str, mode: Mode | None) -> None:
    @settings(max_examples=example_count(1), deadline=None, database=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        World(kind, named_by, mode, random.Random(seed)).run(30)

    check()


def test_fast_path_many_requests_allowed_and_refused_on_it() -> None:
    world = World("registry", "every location", None, random.Random(1))
    world.run(150)
    assert world.taken["allowed"] > 20
    assert world.taken["refused"] > 5


# --- single shapes that a random request seldom has


@pytest.mark.parametrize("other", [tokens()["ck"][0], tokens()["ck"][1], "junk"])
def test_fast_path_second_token_elsewhere_is_read(other: str) -> None:
    with Gate([app_of("ck")], clock=FakeClock(NOW)) as gate:

        def asked(query: str = "") -> Request:
            headers = [("Authorization", f"Bearer {tokens()['ck'][0]}"), ("Origin", ORIGIN)]
            return Request("GET", "/", query, headers)

        assert gate.decide(asked()).identity.verified
        assert fast_decision(gate._context, asked()) is not None
        assert gate.decide(asked(f"tok={other}")).identity.verified == (other == tokens()["ck"][0])


@pytest.mark.parametrize("location", [JsonBody("appId"), TokenIssuer()])
def test_fast_path_app_named_by_body_or_token_not_kept_for_the_next_request(location: Any) -> None:
    apps = [app_of("guf"), app_of("plain")]
    gate = Gate(apps, app_locations=[Header("X-App-Id"), location], token_locations=[Bearer()], clock=FakeClock(NOW))
    with gate:
        headers = [("Authorization", f"Bearer {tokens()['guf'][0]}"), ("Content-Type", "application/json")]
        first = Request("POST", "/", "", [*headers, ("Origin", ORIGIN)], body=b'{"appId": "guf"}')
        assert gate.decide(first).app_id == "guf"
        assert gate._context.fast_path.entries == {}
        nameless = Request("POST", "/", "", [("Authorization", f"Bearer {tokens()['plain'][0]}"), ("Origin", ORIGIN)])
        decision = gate.decide(nameless)
        assert not decision.allowed
        assert decision.app_id is None


# --- planted faults


FAULTS: Final[dict[str, tuple[Callable[..., Any], str, str]]] = {
    "an app named by body or issuer is kept": (find_app_refs, "ctx.names = None", "pass"),
    "the origin is missing from the key": (
        GateContext.fast_path_key,
        '[form, get(form["origin"])]',
        "[form]",
    ),
    "another location is missing from the key": (
        GateContext.fast_path_key,
        "    parts.append(self._name_at(index, request, names))",
        "    self._name_at(index, request, names)",
    ),
    "an app header is missing from the key": (GateContext.fast_path_key, "parts.append(value if", "(value if"),
    "other token locations are not read": (_decide_known, "other.read(request) is not None", "False"),
    "a stale entry of the registry": (
        GateContext.is_current,
        "self.registry.fresh_entry(context.refs[0]) is held",
        "True",
    ),
    "a stale app value": (build_identity, "passed.revision is app.revision", "True"),
    "the issuer of another token": (
        resolve_app_by_known_token,
        "gate.token_refs.entries.get(sha256(raw.encode()).digest())",
        "next(iter(gate.token_refs.entries.values()), None)",
    ),
    "a body that may name the app is not read": (
        resolve_app_by_known_token,
        "request.body is not None and gate.app_body_types",
        "False",
    ),
    "any key is accepted": (
        recall_signature,
        "if key.fingerprint == signed.fingerprint:\n            if",
        "if True:\n            if",
    ),
    "a key of a key set that must be loaded": (_fresh_keys, "sets.cache.fresh_entry(", "sets.cache.read("),
    "a kid that the app requires": (recall_signature, "header.kid is None and app.rules.require_kid", "False"),
    "revocations and the check of a known token are left out": (
        build_identity,
        "    if app.has_request_checks:",
        "    if app.has_request_checks and passed.valid_until < 0:",
    ),
    "the times are not checked": (build_identity, "check_times(times, rules, now)", "pass"),
    "a body is not read for its token": (
        decide_fast,
        "request.body is not None and app.located_tokens.body_types",
        "False",
    ),
    "a hash beside the token is not checked": (_decide_known, "app.identity_hash is not None", "False"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_fast_path_planted_fault_detected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, right, wrong = FAULTS[name]
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(right) == 1, "the source of the function has changed"
    scope = {**function.__globals__}
    exec(compile(source.replace(right, wrong), "<broken>", "exec"), scope)
    monkeypatch.setattr(function, "__code__", scope[function.__name__].__code__)
    with pytest.raises(AssertionError):
        run_worlds()


def run_worlds() -> None:
    for seed in range(100):
        for kind in ("registry", "code"):
            World(kind, "every location", None, random.Random(seed)).run(30)
