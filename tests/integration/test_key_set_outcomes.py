"""What fetches of key sets end as, on demand, at wrong endpoints and at those that are down; and what is told of it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import servers
from tests.integration.key_set_apps import (
    Held,
    Told,
    answering,
    app_of,
    authorities,
    gate_of,
    held_at,
    network_of,
    planned_waits,
    request_of,
    said,
    serve,
    ticking,
    trusting,
    with_kid,
)
from tests.integration.servers import eventually
from wicket import Gate, Jwks, Limits, Mode
from wicket.config.network import Network
from wicket.reporting.events import UnknownKidLimited
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


# --- on demand


def test_gate_refresh_failed_fetch_previous_key_set_used(issuer: LocalIssuer, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    issuer.fault = answering(500)
    gate.refresh("acme")
    assert len(issuer.requests) == 1
    assert said(gate.verify(token, app="acme")) == "allowed"
    assert len(issuer.requests) == 2


def test_gate_refresh_purge_failed_fetch_keys_unavailable(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    issuer.fault = answering(500)
    gate.refresh("acme", purge=True)
    assert said(gate.verify(token, app="acme")) == "keys_unavailable"
    issuer.fault = None
    clock.advance(1)
    assert said(gate.verify(token, app="acme")) == "allowed"


def test_gate_refresh_one_app_other_sets_and_backoff_unchanged(
    issuer: LocalIssuer, clock: FakeClock, told: Told
) -> None:
    down = app_of(issuer, "down", credentials=[Jwks(issuer.jwks_url.replace("jwks.json", "nothing"))])
    with gate_of(issuer, app_of(issuer), app_of(issuer, "busy"), down, monotonic=clock, on_event=told) as gate:
        for _ in range(10):
            for app in ("acme", "busy", "down"):
                gate.verify(issuer.token("ada"), app=app)
            gate.refresh("acme", purge=True)
    assert len(told.fetched("acme")) == 10
    assert len(told.fetched("busy")) == 1
    assert len(told.fetched("down")) == 1, "its back-off is its own"


# --- what is told


def test_key_set_events_and_logs_omit_url_query(
    issuer: LocalIssuer, clock: FakeClock, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(exchange: Exchange) -> None:
        serve(issuer, exchange)

    issuer.fault = fault
    app = app_of(issuer, credentials=[Jwks(f"{issuer.jwks_url}?code=hidden")])
    token = issuer.token("ada")
    with caplog.at_level(logging.DEBUG, "wicket"), gate_of(issuer, app, monotonic=clock, on_event=told) as gate:
        assert said(gate.verify(token, app="acme")) == "allowed"
        for number in range(5):
            gate.verify(with_kid(token, f"invented {number}"), app="acme")
        issuer.fault = answering(500)
        clock.advance(301)
        gate.verify(token, app="acme")
    assert issuer.requests[0].endswith("?code=hidden")
    assert {each.url for each in told.events if not hasattr(each, "code")} == {issuer.jwks_url}
    assert [type(each) for each in told.events].count(UnknownKidLimited) == 1, "and limited, as refusals are"
    first, *_, last = told.fetched()
    assert (first.gate, first.app_id, first.outcome, first.added) == ("wicket", "acme", "loaded", ("key-1",))
    assert (last.outcome, last.stale_age) == ("status", 301)
    texts = [record.getMessage() for record in caplog.records]
    assert any("loaded" in text and "key-1" in text for text in texts)
    assert any("tokens with unknown kids reached limits" in text for text in texts)
    assert any(record.levelno == logging.WARNING and "status" in record.getMessage() for record in caplog.records)
    everything = "\n".join([*texts, *(str(vars(record)) for record in caplog.records), repr(told.events)])
    assert "hidden" not in everything
    assert token not in everything


_KEYLESS = json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "key-1"}]}).encode()


@pytest.mark.parametrize(
    ("answer", "code", "outcome"),
    [
        ((404,), "config_invalid", "not_found"),
        ((410,), "config_invalid", "not_found"),
        ((200, b"<!doctype html><title>Sign in</title>"), "config_invalid", "not_json"),
        ((200, b"[]"), "config_invalid", "not_a_key_set"),
        ((200, b'{"keys": {}}'), "config_invalid", "not_a_key_set"),
        ((200, b'{"keys": []}'), "config_invalid", "no_usable_key"),
        ((200, _KEYLESS), "config_invalid", "no_usable_key"),
        ((302, b"", {"Location": "https://127.0.0.1/"}), "config_invalid", "redirect"),
        ((200, b"{}", {"Content-Encoding": "gzip"}), "config_invalid", "encoded"),
        ((200, b" " * 300_000), "config_invalid", "too_large"),
        ((500,), "config_invalid", "status"),
        ((503,), "config_invalid", "status"),
        ((429,), "config_invalid", "status"),
    ],
)
def test_s14_key_set_never_usable_any_response_config_invalid(
    issuer: LocalIssuer, told: Told, gate: Gate, answer: tuple[Any, ...], code: str, outcome: str
) -> None:
    issuer.fault = answering(*answer)
    refused = gate.verify(issuer.token("ada"), app="acme")
    assert (said(refused), told.outcomes()) == (code, [outcome])
    assert refused.refusal is not None
    assert (refused.refusal.status, refused.refusal.retry_after, refused.refusal.limited) == (503, 5, False)


def test_key_set_endpoint_hanging_outcome_timeout(issuer: LocalIssuer, told: Told) -> None:
    hanging = Held(issuer)
    with gate_of(issuer, on_event=told, limits=Limits(fetch_timeout=0.3)) as gate:
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "config_invalid"
        eventually("the fetch gave up", lambda: told.outcomes() == ["timeout"])
    hanging.release()


def test_key_set_connection_refused_outcome_connection(issuer: LocalIssuer, told: Told) -> None:
    port = servers.free_port()
    app = app_of(issuer, credentials=[Jwks(f"https://localhost:{port}/keys")])
    network = Network(["127.0.0.0/8"], [port], resolver=lambda *_: ["127.0.0.1"])
    with gate_of(issuer, app, network=network, on_event=told) as gate:
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "config_invalid"
    assert told.outcomes() == ["connection"]


def test_key_set_wrong_host_certificate_outcome_certificate(issuer: LocalIssuer, told: Told) -> None:
    app = app_of(issuer, credentials=[Jwks(issuer.jwks_url.replace("localhost", "elsewhere.test"))])
    with gate_of(issuer, app, on_event=told) as gate:
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "config_invalid"
    assert (told.outcomes(), issuer.requests) == (["certificate"], [])


@pytest.mark.parametrize("forbidden", ["address", "port"])
def test_key_set_address_or_port_not_allowed_forbidden(issuer: LocalIssuer, told: Told, forbidden: str) -> None:
    network = Network(
        [] if forbidden == "address" else ["127.0.0.0/8"],
        [issuer.port] if forbidden == "address" else [],
        ssl_context=trusting(authorities(issuer)),
        resolver=lambda *_: ["127.0.0.1"],
    )
    with gate_of(issuer, network=network, on_event=told) as gate:
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "config_invalid"
    assert (told.outcomes(), issuer.requests) == ([f"forbidden_{forbidden}"], [])


def test_key_set_404_after_success_stale_set_used(issuer: LocalIssuer, clock: FakeClock, gate: Gate) -> None:
    token = issuer.token("ada")
    gate.verify(token, app="acme")
    issuer.fault = answering(404)
    clock.advance(1000)
    assert said(gate.verify(token, app="acme")) == "allowed"
    assert said(gate.verify(with_kid(token, "other"), app="acme")) == "keys_unavailable"
    clock.advance(3000)
    assert said(gate.verify(token, app="acme")) == "keys_unavailable", "it was usable before"


def test_log_only_hanging_key_set_anonymous_after_short_wait(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Held(issuer)
    with gate_of(issuer, app_of(issuer, mode=Mode.LOG_ONLY)) as gate:
        waits = planned_waits(monkeypatch)
        decision = gate.decide(request_of(issuer.token("ada")))
        assert 0 < sum(waits) <= Limits().log_only_timeout
        assert (decision.allowed, decision.enforced, decision.identity.verified) == (True, False, False)
        assert said(decision) == "config_invalid"
        hanging.release()
        eventually("the set arrived", lambda: held_at(gate) is not None)
        assert said(gate.decide(request_of(issuer.token("ada")))) == "allowed"


def test_log_only_four_hanging_key_sets_single_timeout(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = Held(issuer)
    sources = [Jwks(f"{issuer.jwks_url}?number={number}") for number in range(4)]
    with gate_of(issuer, app_of(issuer, credentials=sources, mode=Mode.LOG_ONLY)) as gate:
        waits = planned_waits(monkeypatch)
        assert said(gate.decide(request_of(issuer.token("ada")))) == "config_invalid"
        hanging.release()
    assert 0 < sum(waits) < 2 * Limits().log_only_timeout


# --- discovery


def test_jwks_discover_metadata_fetched_once_key_set_refetched(issuer: LocalIssuer, clock: FakeClock) -> None:
    with gate_of(issuer, app_of(issuer, credentials=[Jwks.discover(issuer.issuer)]), monotonic=clock) as gate:
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
        issuer.rotate()
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
    metadata, keys, again = issuer.requests
    assert (metadata, keys, again) == ("/.well-known/openid-configuration", *["/.well-known/jwks.json"] * 2)


def test_jwks_discover_issuer_mismatch_outcome_wrong_issuer(issuer: LocalIssuer, gate: Gate) -> None:
    told = Told()
    document = json.dumps({"issuer": f"{issuer.issuer}/", "jwks_uri": issuer.jwks_url}).encode()
    issuer.fault = answering(200, document)
    app = app_of(issuer, credentials=[Jwks.discover(issuer.issuer)])
    with gate_of(issuer, app, network=network_of(issuer), on_event=told) as discovering:
        assert said(discovering.verify(issuer.token("ada"), app="acme")) == "config_invalid"
    assert told.outcomes() == ["wrong_issuer"]


def test_gate_close_fetch_threads_end_cached_key_set_used(issuer: LocalIssuer) -> None:
    def mine() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name.startswith("keyed-")]

    with gate_of(issuer, name="keyed") as gate:
        gate.verify(issuer.token("ada"), app="acme")
        assert mine()
    eventually("the threads ended", lambda: not mine())
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed", "what is held serves on"
    gate.refresh("acme", purge=True)
    assert said(gate.verify(issuer.token("ada"), app="acme")) == "keys_unavailable"
