"""The fast path: what it reads, what it keeps, and that it refuses as the flow does."""

from __future__ import annotations

import gc
import hashlib
import hmac
from typing import Any

import pytest

from tests.support.fast_path import fast_decision
from tests.support.unit import NOW, ORIGIN, OTHER_KEY, acme, claims, secret, token
from wicket import (
    App,
    AppRef,
    Bearer,
    Gate,
    Header,
    IdentityHash,
    JsonBody,
    Jwks,
    Query,
    Request,
    Rules,
    TokenIssuer,
    ValueHash,
    profiles,
)
from wicket.config.locations import AppLocation, TokenLocation
from wicket.decision.context import FastPathEntry
from wicket.decision.flow import decide
from wicket.decision.io import run
from wicket.testing import FakeClock

GOOD = token()


class Counted(AppLocation, TokenLocation):
    """A custom location. It counts how often it is read."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.reads = 0

    def read(self, request: Request) -> str | None:
        self.reads += 1
        return request.header(self._name)


def remote_app(**settings: Any) -> App:
    key_set = Jwks("https://id.example/keys", algorithms=["ES256"], issuer="https://id.example")
    return App("remote", credentials=[key_set], **settings)


@pytest.mark.parametrize("headers", [[], [("x-app", "nobody")], [("x-app", "acme"), ("authorization", "Bearer a.b.c")]])
def test_gate_decide_refused_request_each_location_read_once(headers: list[tuple[str, str]]) -> None:
    named, located = Counted("x-app"), Counted("x-token")
    apps = [acme(token_locations=[Bearer(), located]), remote_app()]
    with Gate(apps, app_locations=[Header("X-App-Id"), named], clock=lambda: NOW) as gate:
        assert not gate.decide(Request(headers=headers)).allowed
        assert named.reads == 1
        assert located.reads <= 1


@pytest.mark.parametrize("remote", [False, True])
def test_gate_decide_one_time_token_location_read_once(remote: bool) -> None:
    located = Counted("x-token")
    app = remote_app(token_locations=[located]) if remote else acme(token_locations=[located])
    with Gate([app], clock=lambda: NOW, fetcher=_no_fetch) as gate:
        for number in (1, 2):
            gate.decide(Request(headers=[("x-token", GOOD)]))
            assert located.reads == number


def _no_fetch(*_: object, **__: object) -> Any:
    raise OSError


def test_fast_path_versions_of_registry_app_only_current_one_kept() -> None:
    age = FakeClock(0.0)
    with Gate(
        registry=lambda ref: acme(origins=[]) if ref.value == "acme" else None,
        app_locations=[Header("X-App-Id")],
        clock=lambda: NOW,
        monotonic=age,
    ) as gate:
        for number in range(20):
            age.advance(10_000_000)
            origin = ("Origin", f"https://page-{number}.example")
            headers = [("X-App-Id", "acme"), origin, ("Authorization", f"Bearer {GOOD}")]
            assert gate.decide(Request(headers=headers)).allowed
            gate.verify(GOOD, app="acme")
        gc.collect()
        kept = [item for item in gc.get_objects() if type(item) is FastPathEntry and item.gate is gate._context]
        assert len({id(entry.app) for entry in kept}) == 1
        gate.refresh("acme", purge=True)
        assert gate._context.fast_path.entries == {}
        assert gate._context.standalone_contexts.entries == {}


def test_fast_path_two_faulty_locations_first_one_refused() -> None:
    app = acme(token_locations=[Bearer(), Header("X-Token")])
    with Gate([app], clock=lambda: NOW) as gate:
        good = ("Authorization", f"Bearer {GOOD}")
        assert gate.decide(Request(headers=[("X-App-Id", "acme"), good])).allowed
        for bearer in (good, ("Authorization", "Bearer a b")):
            headers = [("X-App-Id", "acme"), bearer, ("X-Token", "a"), ("X-Token", "b")]
            by_flow = run(decide(gate._context, Request(headers=headers)))
            fast = fast_decision(gate._context, Request(headers=headers))
            assert fast is not None
            assert (fast.refusal, fast.credentials_sent) == (by_flow.refusal, by_flow.credentials_sent)


@pytest.mark.parametrize("value", [[("X-A", "1"), ("X-A", "2")], [("X-A", "1,2")]])
def test_fast_path_faulty_query_and_header_first_location_refused(value: list[tuple[str, str]]) -> None:
    orders: list[list[AppLocation]] = [[Header("X-A"), Query("a")], [Query("a"), Header("X-A")]]
    for locations in orders:
        with Gate([acme(), App("b")], app_locations=locations) as gate:
            by_flow = run(decide(gate._context, Request("GET", "/", "a=1&a=2", value)))
            fast = fast_decision(gate._context, Request("GET", "/", "a=1&a=2", value))
            assert fast is not None
            assert fast.refusal == by_flow.refusal


def test_fast_path_subclass_of_app_asked_for_every_origin() -> None:
    class Dynamic(App):
        allowed = True

        def allows_origin(self, origin: str | None) -> bool:
            return Dynamic.allowed

    with Gate([Dynamic("acme", credentials=[secret()])], clock=lambda: NOW) as gate:
        headers = [("Origin", ORIGIN), ("Authorization", f"Bearer {GOOD}")]
        assert gate.decide(Request(headers=headers)).allowed
        Dynamic.allowed = False
        assert not gate.decide(Request(headers=headers)).allowed


def test_fast_path_body_that_another_gate_did_not_read_is_reported() -> None:
    app = profiles.hissuno("acme", credentials=[secret()])
    request = Request("POST", "/", "projectId=acme", [("Content-Type", "text/plain")], body=b"x")
    with Gate([app], clock=lambda: NOW) as gate:
        gate.decide(request)
        assert request.body_unread is not None
        assert fast_decision(gate._context, request) is None


def test_gate_decide_token_that_names_app_is_not_that_of_user_invalid_request() -> None:
    issuer = "https://id.example"
    apps = [acme(issuer=issuer, app_locations=[TokenIssuer()]), App("other")]
    good = token({**claims(), "iss": issuer})
    forged = token({**claims(), "iss": issuer}, key=bytes(32))
    with Gate(apps, app_locations=[TokenIssuer()], token_locations=[Header("X-Route")], clock=lambda: NOW) as gate:
        request = Request(headers=[("X-Route", forged), ("Authorization", f"Bearer {good}")])
        decision = gate.decide(request)
        assert (decision.allowed, decision.refusal and decision.refusal.code) == (False, "invalid_request")
        assert gate._context.token_refs.entries == {}


def test_fast_path_unusual_app_name_not_kept() -> None:
    class Name(str):
        """A string of another class."""

    class Named(Counted):
        def read(self, request: Request) -> str | None:
            return Name("acme")

    with Gate([acme(), App("b")], app_locations=[Named("x"), JsonBody("a")], clock=lambda: NOW) as gate:
        assert gate.decide(Request(headers=[("Authorization", f"Bearer {GOOD}")])).app_ref == AppRef("id", "acme")
        assert gate._context.fast_path.entries == {}


@pytest.mark.parametrize("other", [GOOD, token({**claims(), "sub": "user-2"})])
def test_fast_path_known_token_and_other_location_both_read(other: str) -> None:
    app = acme(token_locations=[Bearer(), Query("t"), Query("u")])
    with Gate([app], clock=lambda: NOW) as gate:
        headers = [("X-App-Id", "acme"), ("Authorization", f"Bearer {GOOD}")]
        for _ in range(2):
            assert gate.decide(Request(headers=headers)).identity.verified
        assert gate.decide(Request("GET", "/", f"u={other}", headers)).identity.verified == (other == GOOD)


def test_fast_path_known_token_and_bad_identity_hash_refused() -> None:
    rule = IdentityHash(
        secret=secret(OTHER_KEY), identifier_location=Header("X-User"), hash_location=Header("X-Identity-Hash")
    )
    with Gate([acme(identity_hash=rule)], clock=lambda: NOW) as gate:
        headers = [("X-App-Id", "acme"), ("Authorization", f"Bearer {GOOD}")]
        for _ in range(2):
            assert gate.decide(Request(headers=headers)).identity.verified
        headers += [("X-User", "somebody"), ("X-Identity-Hash", "00" * 32)]
        decision = gate.decide(Request(headers=headers))
        assert decision.refusal is not None
        assert (decision.refusal.reason, decision.credentials_sent) == ("bad_identity_hash", True)


def test_fast_path_hash_of_any_identifier_decided_as_by_flow() -> None:
    rule = IdentityHash(
        secret=secret(OTHER_KEY),
        identifier=["userId", "email"],
        identifier_location=[Header("X-User"), Header("X-Email")],
        hash_location=Header("X-Hash"),
        values=(
            ValueHash(
                name="room",
                secret=secret(bytes(range(7, 39))),
                location=Header("X-Room"),
                hash_location=Header("X-Room-Hash"),
            ),
        ),
    )

    def hashed(text: str, key: bytes = OTHER_KEY) -> str:
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    room = [("X-Room", "7"), ("X-Room-Hash", hashed("7", bytes(range(7, 39))))]
    sent: list[tuple[list[tuple[str, str]], str | None]] = [
        ([("X-User", "ada"), ("X-Email", "a@b"), ("X-Hash", hashed("a@b"))], "acme:email:a%40b"),
        ([("X-User", "ada"), ("X-Email", "a@b"), ("X-Hash", hashed("ada")), *room], "acme:userId:ada"),
        ([("X-User", "ada"), ("X-Hash", hashed("ada")), room[0]], None),
        ([("X-User", "ada"), ("X-Email", "a@b"), ("X-Hash", hashed("eve"))], None),
        ([("Authorization", f"Bearer {GOOD}"), ("X-Hash", hashed("eve")), ("X-User", "x")], None),
        ([("Authorization", f"Bearer {GOOD}"), ("X-Hash", hashed("user-1")), ("X-User", "x")], "acme:sub:user-1"),
        ([("Authorization", f"Bearer {GOOD}"), ("X-Hash", hashed("x")), ("X-User", "x"), room[0]], "acme:sub:user-1"),
    ]
    with Gate([acme(identity_hash=rule)], clock=lambda: NOW) as gate:
        for headers, expected in sent * 2:
            request = Request(headers=[("X-App-Id", "acme"), *headers])
            decisions = [fast_decision(gate._context, request), run(decide(gate._context, request))]
            for decision in decisions:
                assert decision is not None
                assert (decision.identity.identity or None) == expected
                assert expected or (decision.refusal and decision.refusal.reason == "bad_identity_hash")
                assert decision.identity.attributes.get("room") == ("7" if room[1] in headers else None)


def test_fast_path_faulty_second_query_location_refused() -> None:
    with Gate([acme(), App("b")], app_locations=[Query("x"), Query("a")]) as gate:
        fast = fast_decision(gate._context, Request("GET", "/", "a=1&a=2"))
        assert fast is not None
        assert fast.refusal is not None
        assert fast.refusal.code == "invalid_request"


def test_gate_verify_token_without_iat_lifetime_counted_from_now() -> None:
    clock = FakeClock(float(NOW))
    app = App("acme", credentials=[secret()], rules=Rules(max_lifetime=600))
    text = token({"sub": "user-1", "exp": NOW + 1200})
    with Gate([app], clock=clock) as gate:
        refusal = gate.verify(text, app="acme").refusal
        assert refusal is not None
        assert refusal.reason == "lifetime_too_long"
        clock.advance(700)
        assert gate.verify(text, app="acme").allowed
        clock.advance(-700)
        assert not gate.verify(text, app="acme").allowed
