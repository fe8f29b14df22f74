"""A token that named its app before: its issuer is known, so the fast path decides the next request with it."""

from __future__ import annotations

import pytest

from tests.support.fast_path import fast_decision
from tests.support.unit import NOW, OTHER_KEY, acme, claims, secret, token
from wicket import App, AppRef, Gate, JsonBody, Request, TokenIssuer
from wicket.testing import FakeClock

ISSUER = "https://id.example"
GOOD = token({**claims(), "iss": ISSUER})
LOCATIONS = (JsonBody("app"), TokenIssuer())


def asked(text: str = GOOD, *, body: bytes | None = None) -> Request:
    headers = [("Authorization", f"Bearer {text}"), ("Content-Type", "application/json")]
    return Request("GET" if body is None else "POST", headers=headers, body=body)


def make_gate() -> Gate:
    apps = [
        acme(app_locations=LOCATIONS, issuer=ISSUER),
        App("other", app_locations=LOCATIONS, credentials=[secret(OTHER_KEY)]),
    ]
    return Gate(apps, clock=lambda: NOW)


def test_known_token_second_request_decided_by_fast_path() -> None:
    gate = make_gate()
    assert fast_decision(gate._context, asked()) is None
    by_flow = gate.decide(asked())
    assert (by_flow.app_id, by_flow.identity.verified) == ("acme", True)
    fast = fast_decision(gate._context, asked())
    assert fast is not None
    assert (fast.app_ref, fast.identity.identity) == (AppRef("issuer", ISSUER), by_flow.identity.identity)
    assert fast.credentials_sent
    assert gate._context.fast_path.entries == {}, "the next request without a name may have another token"


@pytest.mark.parametrize("text", ["x" * 20_000, "\u00e9", token({**claims(), "iss": ISSUER}, key=bytes(32))])
def test_known_token_other_token_decided_by_flow(text: str) -> None:
    gate = make_gate()
    assert gate.decide(asked()).allowed
    assert fast_decision(gate._context, asked(text)) is None
    assert not gate.decide(asked(text)).allowed


def test_known_token_body_that_may_name_the_app_is_read() -> None:
    gate = make_gate()
    assert gate.decide(asked()).allowed
    decision = gate.decide(asked(body=b'{"app": "other"}'))
    assert (decision.allowed, decision.app_id) == (False, "other")


def test_known_token_app_due_in_registry_cache_loaded_again() -> None:
    apps = {ref: app for app in (acme(issuer=ISSUER),) for ref in app.refs()}
    age = FakeClock(0.0)
    with Gate(registry=apps.get, app_locations=[TokenIssuer()], clock=lambda: NOW, monotonic=age) as gate:
        assert gate.decide(asked()).allowed
        age.advance(10_000_000)
        assert fast_decision(gate._context, asked()) is None
        assert gate.decide(asked()).allowed
        assert fast_decision(gate._context, asked()) is not None


def test_known_token_app_purged_from_registry_loaded_again() -> None:
    apps: dict[AppRef, App] = {ref: app for app in (acme(issuer=ISSUER),) for ref in app.refs()}
    with Gate(registry=apps.get, app_locations=[TokenIssuer()], clock=lambda: NOW) as gate:
        for _ in range(2):
            assert gate.decide(asked()).allowed
        assert fast_decision(gate._context, asked()) is not None
        apps.clear()
        gate.refresh("acme", purge=True)
        assert fast_decision(gate._context, asked()) is None
        decision = gate.decide(asked())
        assert decision.refusal is not None
        assert decision.refusal.code == "unknown_app"
