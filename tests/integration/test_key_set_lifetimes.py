"""Key sets over time: rotation, refresh, outage, back-off and what is remembered, at a real HTTPS endpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from tests.integration import servers
from tests.integration.key_set_apps import (
    Held,
    Told,
    answering,
    app_of,
    gate_of,
    held_at,
    planned_waits,
    said,
    ticking,
    with_kid,
)
from tests.integration.servers import eventually
from wicket import Gate, Limits
from wicket.testing import FakeClock
from wicket.testing.issuer import Exchange, LocalIssuer


@pytest.fixture
def clock() -> FakeClock:
    return ticking()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def gate(issuer: LocalIssuer, clock: FakeClock, told: Told) -> Iterator[Gate]:
    """A gate with the one app `acme`, with a fixed clock."""
    with gate_of(issuer, monotonic=clock, on_event=told) as gate:
        yield gate


# --- an outage


def test_key_set_outage_stale_set_used_until_stale_if_error_ends(
    issuer: LocalIssuer, clock: FakeClock, told: Told, gate: Gate
) -> None:
    token = issuer.token("ada")
    assert said(gate.verify(token, app="acme")) == "allowed"
    issuer.fault = answering(500)
    clock.advance(300)
    for _ in range(59):
        assert said(gate.verify(token, app="acme")) == "allowed"
        clock.advance(60)
    assert said(gate.verify(token, app="acme")) == "allowed", "an hour of outage is almost over"
    assert told.outcomes("acme").count("status") <= 5 + 60 + 1
    clock.advance(61)
    refused = gate.verify(token, app="acme")
    assert said(refused) == "keys_unavailable"
    assert refused.refusal is not None
    assert refused.refusal.status == 503
    assert refused.refusal.retry_after is not None
    assert 1 <= refused.refusal.retry_after <= 60
    issuer.fault = None
    clock.advance(refused.refusal.retry_after + 1)
    assert said(gate.verify(token, app="acme")) == "allowed", "the first success ends the outage"


def test_key_set_failed_refresh_event_has_stale_age(
    issuer: LocalIssuer, clock: FakeClock, told: Told, gate: Gate
) -> None:
    gate.verify(issuer.token("ada"), app="acme")
    issuer.fault = answering(500)
    clock.advance(400)
    gate.verify(issuer.token("ada"), app="acme")
    assert [(each.outcome, each.stale_age) for each in told.fetched()] == [("loaded", None), ("status", 400)]


def test_key_set_failing_from_start_fetches_follow_backoff(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    issuer.fault = answering(500)
    token = issuer.token("ada")
    for failures in range(1, 10):
        pause = min(60.0, 2.0 ** (failures - 1))
        for _ in range(20):
            refused = gate.verify(token, app="acme")
            assert said(refused) == "config_invalid"
            assert refused.refusal is not None
            assert (refused.refusal.status, refused.refusal.retry_after) == (503, 5)
        assert len(issuer.requests) == failures
        clock.advance(0.85 * pause)
        gate.verify(token, app="acme")
        assert len(issuer.requests) == failures, "the jitter shortens a pause by a tenth at the most"
        clock.advance(0.15 * pause + 0.001)


def test_key_set_hanging_endpoint_later_requests_not_delayed(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Held(issuer)
    limits = Limits(fetch_timeout=0.4, backoff_initial=60.0)
    with gate_of(issuer, limits=limits) as gate:
        token = issuer.token("ada")
        assert said(gate.verify(token, app="acme")) == "config_invalid"
        waits = planned_waits(monkeypatch)
        assert {said(gate.verify(token, app="acme")) for _ in range(100)} == {"config_invalid"}
        assert sum(waits) == 0
    assert len(issuer.requests) == 1
    hanging.release()


@pytest.mark.parametrize("cold", [True, False], ids=["from the start", "with a set at hand"])
@pytest.mark.parametrize(
    ("asked", "granted"), [("90", 90.0), ("100000", 300.0)], ids=["90 s", "more than five minutes"]
)
def test_key_set_retry_after_honoured_up_to_300_seconds(
    issuer: LocalIssuer, clock: FakeClock, gate: Gate, asked: str, granted: float, cold: bool
) -> None:
    token = issuer.token("ada")
    if not cold:
        gate.verify(token, app="acme")
        clock.advance(301)
    issuer.fault = answering(503, headers={"Retry-After": asked})
    gate.verify(token, app="acme")
    before = len(issuer.requests)
    issuer.fault = None
    for _ in range(10):
        clock.advance(granted / 10 - 0.1)
        assert said(gate.verify(token, app="acme")) == ("config_invalid" if cold else "allowed")
        assert len(issuer.requests) == before
    clock.advance(2)
    assert said(gate.verify(token, app="acme")) == "allowed"
    assert len(issuer.requests) == before + 1


def test_key_set_retry_after_http_date_passed_on(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    gate.verify(issuer.token("ada"), app="acme")
    clock.advance(300 + 3600)
    issuer.fault = answering(429, headers={"Retry-After": formatdate(time.time() + 100, usegmt=True)})
    refused = gate.verify(issuer.token("ada"), app="acme")
    assert refused.refusal is not None
    assert refused.refusal.retry_after is not None
    assert 90 <= refused.refusal.retry_after <= 100


# --- rotation


def test_key_set_rotation_new_key_allowed_at_first_request(issuer: LocalIssuer, gate: Gate) -> None:
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
    issuer.rotate()
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
    assert len(issuer.requests) == 2


def test_key_set_removed_key_cached_token_refused_after_refresh(
    issuer: LocalIssuer, clock: FakeClock, told: Told, gate: Gate
) -> None:
    old = issuer.token("ada")
    assert [said(gate.verify(old, app="acme")) for _ in range(3)] == ["allowed"] * 3
    issuer.rotate()
    issuer.remove("key-1")
    assert said(gate.verify(old, app="acme")) == "allowed", "the set is fresh"
    clock.advance(301)
    assert said(gate.verify(old, app="acme")) == "invalid_token key_not_found"
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
    assert [(each.added, each.removed) for each in told.fetched()][:2] == [(("key-1",), ()), (("key-2",), ("key-1",))]


def test_key_set_key_replaced_under_same_kid_bad_signature(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    old = issuer.token("ada")
    assert said(gate.verify(old, app="acme")) == "allowed"
    issuer.keys["key-1"] = issuer.keys[issuer.rotate()]
    clock.advance(301)
    assert said(gate.verify(old, app="acme")) == "invalid_token bad_signature"


def test_unknown_kid_after_failed_refresh_keys_unavailable(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    issuer.fault = answering(500)
    clock.advance(301)
    assert said(gate.verify(token, app="acme")) == "allowed"
    issuer.rotate()
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "keys_unavailable"
    issuer.fault = None
    clock.advance(2)
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"


def test_unknown_kid_own_fetch_fails_keys_unavailable(issuer: LocalIssuer, gate: Gate) -> None:
    gate.verify(issuer.token("ada"), app="acme")
    issuer.rotate()
    issuer.fault = answering(500)
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "keys_unavailable"


def test_unknown_kid_negative_cache_ends_with_new_key_set(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    early = with_kid(issuer.token("ada", now=time.time() - 60), "key-2")
    same = with_kid(issuer.token("eve", now=time.time() - 60), "key-2")
    assert {said(gate.verify(early, app="acme")) for _ in range(50)} == {"invalid_token key_not_found"}
    assert said(gate.verify(same, app="acme")) == "invalid_token key_not_found"
    assert len(issuer.requests) == 2, "one fetch looked for it, and none again"
    issuer.rotate()
    gate.refresh("acme")
    assert said(gate.verify(issuer.token("ada", now=time.time() - 60), app="acme")) == "allowed"
    assert len(issuer.requests) == 3


def test_unknown_kid_negative_cache_expires_after_60_seconds(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    older = issuer.token("ada", now=time.time() - 60)
    gate.verify(with_kid(older, "key-2"), app="acme")
    issuer.rotate()
    older = issuer.token("ada", now=time.time() - 60)
    clock.advance(59)
    assert said(gate.verify(older, app="acme")) == "invalid_token key_not_found"
    clock.advance(2)
    assert said(gate.verify(older, app="acme")) == "allowed"


# --- an empty set


def _empty(exchange: Exchange) -> None:
    exchange.answer(200, b'{"keys": []}')


def test_key_set_empty_twice_known_key_refused(issuer: LocalIssuer, clock: FakeClock, told: Told, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    issuer.fault = _empty
    clock.advance(301)
    assert said(gate.verify(token, app="acme")) == "allowed"
    clock.advance(31)
    assert said(gate.verify(token, app="acme")) == "invalid_token key_not_found"
    assert told.outcomes()[:3] == ["loaded", "empty", "loaded"]
    assert told.fetched()[2].removed == ("key-1",)


def test_key_set_empty_within_30_seconds_previous_set_used(
    issuer: LocalIssuer, clock: FakeClock, told: Told, gate: Gate
) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    issuer.fault = _empty
    clock.advance(301)
    gate.verify(token, app="acme")
    for _ in range(4):
        clock.advance(7)
        gate.refresh("acme")
        assert said(gate.verify(token, app="acme")) == "allowed"
    assert told.outcomes() == ["loaded", *["empty"] * 5]
    clock.advance(3)
    gate.refresh("acme")
    assert said(gate.verify(token, app="acme")) == "invalid_token key_not_found"


def test_key_set_empty_unknown_kid_does_not_shorten_grace(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    issuer.fault = _empty
    clock.advance(301)
    assert said(gate.verify(token, app="acme")) == "allowed"
    gate.verify(with_kid(token, "invented"), app="acme")
    gate.verify(with_kid(token, "invented too"), app="acme")
    assert said(gate.verify(token, app="acme")) == "allowed", "no second has passed since the first empty answer"


def test_key_set_briefly_empty_known_key_allowed(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    for _ in range(3):
        issuer.fault = _empty
        clock.advance(301)
        assert said(gate.verify(token, app="acme")) == "allowed"
        issuer.fault = None
        clock.advance(31)
        assert said(gate.verify(token, app="acme")) == "allowed"


# --- lifetimes


def test_key_set_not_modified_renews_lifetime(issuer: LocalIssuer, clock: FakeClock, told: Told, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    for _ in range(20):
        clock.advance(301)
        assert said(gate.verify(token, app="acme")) == "allowed"
        assert held_at(gate) == clock.now
        clock.advance(200)
        fetches = len(issuer.requests)
        assert said(gate.verify(token, app="acme")) == "allowed"
        assert len(issuer.requests) == fetches, "it is fresh again"
        clock.advance(-200)
    assert told.outcomes() == ["loaded", *["not_modified"] * 20]


def test_key_set_refresh_ahead_does_not_delay_requests(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    refresh = Held(issuer)
    clock.advance(0.69 * 300)
    assert said(gate.verify(token, app="acme")) == "allowed"
    assert not refresh.entered.is_set()
    clock.advance(0.12 * 300)
    assert [said(gate.verify(token, app="acme")) for _ in range(20)] == ["allowed"] * 20
    assert refresh.entered.wait(servers.DEADLINE)
    assert held_at(gate) == 1000.0, "all of them were served with the older set, while the fetch was held"
    refresh.release()
    eventually("the newer set serves", lambda: held_at(gate) == clock.now)
    assert len(issuer.requests) == 2


def test_key_set_idle_app_not_refreshed(issuer: LocalIssuer, clock: FakeClock, told: Told) -> None:
    token = issuer.token("ada")
    with gate_of(issuer, app_of(issuer), app_of(issuer, "busy"), monotonic=clock, on_event=told) as gate:
        gate.verify(token, app="acme")
        for _ in range(20):
            clock.advance(301)
            gate.verify(token, app="busy")
    assert (len(told.fetched("acme")), len(told.fetched("busy"))) == (1, 20)


@pytest.mark.parametrize(("stated", "lifetime"), [(0, 60), (5, 60), (600, 600), (86_400, 3600), (9_999_999_999, 3600)])
def test_key_set_max_age_clamped_between_60_and_3600_seconds(clock: FakeClock, stated: int, lifetime: int) -> None:
    with LocalIssuer(max_age=stated) as issuer, gate_of(issuer, monotonic=clock) as gate:
        token = issuer.token("ada")
        gate.verify(token, app="acme")
        clock.advance(0.69 * lifetime)
        gate.verify(token, app="acme")
        assert len(issuer.requests) == 1
        clock.advance(0.31 * lifetime)
        gate.verify(token, app="acme")
        assert (len(issuer.requests), held_at(gate)) == (2, clock.now)
