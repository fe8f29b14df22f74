"""The fast path against the flow: both make the same decision about each request that the fast path decides."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from hypothesis import event, given
from hypothesis import settings as runs
from hypothesis import strategies as st

from tests.scenarios import SCENARIOS, Scenario, build_gate
from tests.support.fast_path import fast_decision
from tests.support.thorough import example_count
from wicket import (
    App,
    Bearer,
    Cookie,
    Decision,
    Gate,
    Header,
    IdentityHash,
    JsonBody,
    Limits,
    Mode,
    Query,
    Request,
    Revocations,
    Secret,
    profiles,
)
from wicket.decision.flow import decide
from wicket.decision.io import run

NOW = 1_761_000_000
KEYS = {name: bytes([number]) * 31 + b"x" for number, name in enumerate(("acme", "next", "beta", "hash"), 1)}
PLAIN: dict[str, Any] = {"sub": "user-1", "iat": NOW, "exp": NOW + 600}


def signed(*, key: str = "acme", kid: str | None = None, typ: str | None = "JWT", **claims: Any) -> str:
    payload = {name: value for name, value in {**PLAIN, **claims}.items() if value is not None}
    return jwt.encode(payload, KEYS[key], algorithm="HS256", headers={"kid": kid, "typ": typ} if kid else {"typ": typ})


TOKENS = [
    signed(),
    signed(kid="1"),
    signed(kid="2", key="next"),
    signed(kid="9"),
    signed(key="next"),
    signed(key="beta"),
    signed(exp=NOW - 31),
    signed(exp=NOW - 29),
    signed(exp=None),
    signed(exp=NOW + 90_000),
    signed(nbf=NOW + 31),
    signed(iat=NOW + 31),
    signed(iat=None),
    signed(sub=None),
    signed(sub=""),
    signed(sub="mallory"),
    signed(jti="stolen"),
    signed(jti="other"),
    signed(iss="https://id.example"),
    signed(aud="widgets"),
    signed(aud=["widgets", "x"], iss="https://id.example"),
    signed(app="acme", role="user"),
    signed(typ="at+jwt"),
    signed(plan="x" * 2_000),
    signed(many=list(range(80))),
]
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "credentials": st.sampled_from(
            [
                [Secret(KEYS["acme"], kid="1"), Secret(KEYS["next"], kid="2")],
                [Secret(KEYS["acme"]), Secret(KEYS["next"])],
                [Secret(KEYS["acme"]), Secret(KEYS["next"], kid="2")],
            ]
        ),
        "origins": st.sampled_from([[], ["*"], ["https://a.example"], ["*.a.example", "http://localhost:*"]]),
        "require_origin": st.booleans(),
        "mode": st.sampled_from(Mode),
        "origin_mode": st.sampled_from(Mode),
        "issuer": st.just("https://id.example"),
        "audience": st.just("widgets"),
        "allow_anonymous": st.booleans(),
        "aliases": st.just(["acme-2"]),
        "revocations": st.sampled_from(
            [
                Revocations(issued_before=NOW),
                Revocations(users={"mallory": NOW}),
                Revocations(token_ids=frozenset({"stolen"})),
            ]
        ),
        "token_locations": st.sampled_from(
            [[Header("X-Token")], [Bearer(), Header("X-Token")], [Bearer(), Cookie("t")], [Bearer(), JsonBody("t")]]
        ),
        "identity_hash": st.just(IdentityHash(secret=Secret(KEYS["hash"]))),
        "require_kid": st.booleans(),
        "max_token_bytes": st.sampled_from([150, 1_000]),
        "max_lifetime": st.just(86_400),
        "allowed_typ": st.just(["at+jwt"]),
        "leeway": st.sampled_from([0, 30]),
        "app_claim": st.just("app"),
        "required_values": st.just({"role": "user"}),
        "allowed_values": st.sampled_from([{"role": ["admin", "user"]}, {"sub": ["user-1"]}]),
    },
)


def headers_of(name: str, values: list[str], *, twice: bool = True) -> st.SearchStrategy[list[tuple[str, str]]]:
    """A header in its ordinary form, in each form that may have another meaning, repeated, or absent."""
    forms = ["{}", " {}", "{} ", "{},", "{},{}", "\t{}", "{}\xa0"]
    one = st.builds(lambda value, form: [(name, form.format(value, value))], st.sampled_from(values), formatted(forms))
    return st.one_of(one, one, one, st.builds(list.__add__, one, one) if twice else st.nothing(), st.just([]))


def formatted(forms: list[str]) -> st.SearchStrategy[str]:
    """The first form as often as all the others together."""
    return st.one_of(st.just(forms[0]), st.sampled_from(forms))


REQUESTS = st.builds(
    lambda app, origin, token, other, query, method: Request(
        method, "/", query, [*app, *origin, *token, *other], body=None
    ),
    headers_of("X-App-Id", ["acme", "acme", "acme", "acme-2", "ACME", "beta", "nobody"]),
    headers_of(
        "Origin", ["https://a.example", "https://b.a.example", "http://localhost:1", "null", "https://A.example"]
    ),
    st.one_of(
        headers_of("Authorization", [f"Bearer {token}" for token in TOKENS]),
        headers_of(
            "Authorization", [f"{scheme}{TOKENS[0]}" for scheme in ("bearer ", "Bearer  ", "Bearer\t", "Token ")]
        ),
        headers_of("X-Token", TOKENS),
    ),
    st.one_of(st.just([]), headers_of("X-Token", TOKENS[:2]), headers_of("Cookie", [f"t={TOKENS[0]}"])),
    st.sampled_from(["", "appId=acme", "appId=beta"]),
    st.sampled_from(["GET", "POST", "OPTIONS"]),
)


def gate_of(app: App, app_locations: list[Any], mode: Mode | None) -> Gate:
    beta = profiles.generic("beta", credentials=[Secret(KEYS["beta"])])
    return Gate([app, beta], app_locations=app_locations, mode=mode, clock=lambda: NOW, limits=Limits(load_timeout=0.1))


def headers_sent(request: Request) -> list[tuple[str, str]]:
    """The headers of a request as the view has collected them."""
    return list(request.raw_headers.items())


def same(one: Decision, other: Decision) -> bool:
    def fields(decision: Decision) -> tuple[Any, ...]:
        identity = decision.identity
        return (
            *(decision.allowed, decision.refusal, decision.enforced, decision.app_id, decision.claimed_user_id),
            *(decision.credentials_sent, decision.app, identity.verified, identity.app_id, identity.user_id),
            *(identity.user_id_claim, identity.claims, identity.kid, identity.expires_at, identity.method),
        )

    return fields(one) == fields(other)


@runs(max_examples=example_count(400), deadline=None)
@given(
    settings=SETTINGS,
    request=REQUESTS,
    app_locations=st.sampled_from(
        [[Header("X-App-Id")], [Header("X-App-Id"), Query("appId")], [Header("X-App-Id"), JsonBody("a")]]
    ),
    mode=st.sampled_from([None, None, Mode.LOG_ONLY, Mode.ENFORCE]),
)
def test_fast_path_any_request_same_decision_as_flow(
    settings: dict[str, Any], request: Request, app_locations: list[Any], mode: Mode | None
) -> None:
    if any(isinstance(place, Cookie) for place in settings.get("token_locations", ())):
        settings["origins"] = ["https://a.example"]  # an app with a cookie token needs explicit origins
    app = profiles.generic("acme", **{"credentials": [Secret(KEYS["acme"])], **settings})
    with gate_of(app, app_locations, mode) as gate:
        for token in TOKENS:  # fill the signature cache
            gate.verify(token, app="acme")
            gate.verify(token, app="beta")
        headers = [pair for pair in headers_sent(request) if pair[0] not in ("authorization", "x-token", "cookie")]
        for token in TOKENS:  # remember the app and the origin, if they are allowed
            for header in (("Authorization", f"Bearer {token}"), ("X-Token", token)):
                run(decide(gate._context, Request(query=request.query, headers=[*headers, header])))
        by_flow = run(decide(gate._context, request))
        fast = fast_decision(gate._context, request)
        event("flow" if fast is None else "allowed" if fast.identity.verified else "refused")
        if fast is not None:
            assert same(fast, by_flow)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_fast_path_every_scenario_same_decision_as_flow(scenario: Scenario) -> None:
    ask = scenario.ask
    gate = build_gate()
    single_location = Gate(
        gate.apps,
        app_locations=[Header("X-App-Id")],
        token_locations=gate.token_locations,
        clock=gate.clock,
        limits=gate.limits,
    )
    for context in (gate._context, single_location._context):
        request = Request(ask.method, ask.path, ask.query, ask.headers, body=ask.body)
        run(decide(context, request))
        again = Request(ask.method, ask.path, ask.query, ask.headers, body=ask.body)
        by_flow = run(decide(context, again))
        fast = fast_decision(context, Request(ask.method, ask.path, ask.query, ask.headers, body=ask.body))
        assert fast is None or same(fast, by_flow)


def test_fast_path_ordinary_request_remembered_at_first_time() -> None:
    app = profiles.generic("acme", credentials=[Secret(KEYS["acme"])], origins=["https://a.example"])
    with gate_of(app, [Header("X-App-Id")], None) as gate:
        headers = [("X-App-Id", "acme"), ("Origin", "https://a.example"), ("Authorization", f"Bearer {signed()}")]
        request = Request(headers=headers)
        by_flow = run(decide(gate._context, request))
        gate._context.clear_app("acme")
        for _ in range(2):
            fast = fast_decision(gate._context, request)
            assert fast is not None
            assert same(fast, by_flow)
            assert [entry.app for entry in gate._context.fast_path.entries.values()] == [app]
        assert gate.decide(request).allowed
        assert gate._try_fast_path(request, optional=False) is not None
        assert gate.outcomes()[0].count == 2, "both are counted"


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("acme", None),
        ("acme", "https://a.example,https://a.example"),
        ("acme", "https://a.example,"),
        ("acme", f"https://{'a' * 600}.example"),
        ("acme,acme", "https://a.example"),
        ("acme,2", "https://a.example"),  # an alias that no header can carry, because a comma separates repeated values
        ("acme,", "https://a.example"),
        ("nobody", "https://a.example"),
        ("a" * 600, "https://a.example"),
    ],
)
def test_fast_path_refused_app_ref_or_origin_not_remembered(name: str, origin: str | None) -> None:
    app = profiles.generic(
        "acme",
        credentials=[Secret(KEYS["acme"])],
        origins=["https://a.example"],
        require_origin=True,
        aliases=["acme,2"],
    )
    with gate_of(app, [Header("X-App-Id")], None) as gate:

        def asks(name: str, origin: str | None) -> Request:
            headers = [("X-App-Id", name), ("Authorization", f"Bearer {signed()}")]
            return Request(headers=[*headers, *([("Origin", origin)] if origin is not None else [])])

        assert gate.decide(asks("acme", "https://a.example")).allowed
        remembered = dict(gate._context.fast_path.entries)
        assert len(remembered) == 1
        for _ in range(2):
            by_flow = run(decide(gate._context, asks(name, origin)))
            assert not by_flow.allowed
            assert same(gate.decide(asks(name, origin)), by_flow)
        assert gate._context.fast_path.entries == remembered


@pytest.mark.parametrize("origin", [" https://a.example", "https://a.example\t"])
def test_fast_path_padded_origin_same_decision_as_flow(origin: str) -> None:
    app = profiles.generic("acme", credentials=[Secret(KEYS["acme"])], origins=["https://a.example"])
    with gate_of(app, [Header("X-App-Id")], None) as gate:
        request = Request(headers=[("X-App-Id", "acme"), ("Authorization", f"Bearer {signed()}"), ("Origin", origin)])
        by_flow = gate.decide(request)
        fast = fast_decision(gate._context, request)
        assert fast is not None
        assert fast.allowed
        assert same(fast, by_flow)


def test_fast_path_long_origin_of_any_page_not_remembered() -> None:
    app = profiles.generic("acme", credentials=[Secret(KEYS["acme"])], origins=["*"])
    with gate_of(app, [Header("X-App-Id")], None) as gate:
        origin = f"https://{'.'.join(['a' * 60] * 9)}.example"
        request = Request(headers=[("X-App-Id", "acme"), ("Authorization", f"Bearer {signed()}"), ("Origin", origin)])
        gate.decide(request)
        assert gate._context.fast_path.entries == {}


def test_fast_path_cached_fingerprint_mismatch_not_used() -> None:
    app = profiles.generic("acme", credentials=[Secret(KEYS["acme"])])
    with gate_of(app, [Header("X-App-Id")], None) as gate:
        request = Request(headers=[("X-App-Id", "acme"), ("Authorization", f"Bearer {signed()}")])
        assert gate.decide(request).allowed
        assert fast_decision(gate._context, request) is not None
        (entry,) = gate._context.signature_cache.partitions["acme"].values()
        changed = entry.fingerprint = entry.fingerprint[::-1]
        assert gate.decide(request).allowed, "the signature is verified again"
        (entry,) = gate._context.signature_cache.partitions["acme"].values()
        assert entry.fingerprint == changed[::-1]


def test_fast_path_required_kid_absent_not_used() -> None:
    app = profiles.generic("acme", credentials=[Secret(KEYS["acme"], kid="1")], require_kid=True)
    with gate_of(app, [Header("X-App-Id")], None) as gate:
        request = Request(headers=[("X-App-Id", "acme"), ("Authorization", f"Bearer {signed(kid='1')}")])
        assert gate.decide(request).allowed
        assert fast_decision(gate._context, request) is not None
        (entry,) = gate._context.signature_cache.partitions["acme"].values()
        entry.header = entry.header._replace(kid=None)
        assert gate.decide(request).allowed, "the token is parsed and verified again"
        (entry,) = gate._context.signature_cache.partitions["acme"].values()
        assert entry.header.kid == "1"


class _Choosy(Bearer):
    """A custom location that reads fewer requests than its base class."""

    def read(self, request: Request) -> str | None:
        return super().read(request) if request.method == "POST" else None


def test_token_location_custom_subclass_own_read_used() -> None:
    app = profiles.generic("acme", credentials=[Secret(KEYS["acme"])], token_locations=[_Choosy()])
    with gate_of(app, [Header("X-App-Id")], None) as gate:
        headers = [("X-App-Id", "acme"), ("Authorization", f"Bearer {signed()}")]
        assert gate.decide(Request("POST", headers=headers)).allowed
        assert not gate.decide(Request("GET", headers=headers)).allowed
