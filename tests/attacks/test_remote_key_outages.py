"""Outages of remote key sets: the response never says that the token is bad, and tells no causes apart."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.attacks.clients import Behind
from tests.attacks.key_set_requests import (
    ADA,
    NOT_FOUND,
    UNAVAILABLE,
    UNUSABLE,
    refusal_of,
)
from tests.attacks.published import ISSUER, URL, Clocks, Published, is_signed_by, of_set
from tests.attacks.token_factory import NOW, app
from wicket import Gate, Jwks, Limits, Mode, Request
from wicket.jwks.fetcher import PERMANENT, Fetched, FetchFailed, Kind
from wicket.keys.urls import KeySetUrl
from wicket.reporting.events import DecisionEvent

# --- A4, S14


KINDS: tuple[Kind, ...] = ("not_found", "redirect", "not_json", "encoded", "timeout", "status", "unresolved")


@pytest.mark.parametrize("kind", KINDS)
def test_a4_usable_key_set_any_fetch_failure_keys_unavailable(behind: Behind, kind: Kind) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", "1", NOW)).said == ADA
    published.failure = FetchFailed(kind)
    clocks.advance(3600 + 3600)
    answered = door.ask(is_signed_by("first", "1", NOW + 7200, exp=NOW + 9000))
    assert answered.said == UNAVAILABLE
    assert int(answered.headers["retry-after"]) >= 1
    door.gate.refresh("acme", purge=True)
    assert door.ask(is_signed_by("first", "1", NOW + 7200, exp=NOW + 9000)).said == UNAVAILABLE


def test_a4_evicted_key_set_fetch_failure_keys_unavailable() -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    apps = [of_set("acme"), of_set("globex")]
    limits = Limits(max_key_sets=1)
    with Gate(apps, fetcher=published, limits=limits, **clocks.settings()) as gate:
        for name in ("acme", "globex"):
            assert gate.verify(is_signed_by("first", "1", NOW), app=name).refusal is None
        published.failure = FetchFailed("not_found")
        assert refusal_of(gate, is_signed_by("first", "1", NOW)).code == "keys_unavailable"


def test_a4_empty_key_set_seen_twice_key_not_found(behind: Behind) -> None:
    published, clocks = Published({"1": "first"}), Clocks()
    door = behind(of_set(), fetcher=published, **clocks.settings())
    assert door.ask(is_signed_by("first", "1", NOW)).said == ADA
    published.keys.clear()
    assert refusal_of(door.gate, is_signed_by("second", "2", NOW)).code == "keys_unavailable"
    assert door.ask(is_signed_by("first", "1", NOW)).said == ADA
    clocks.advance(31)
    assert door.ask(is_signed_by("first", "1", NOW)).said == NOT_FOUND


def test_s14_never_usable_key_set_any_cause_same_response(behind: Behind) -> None:
    seen = set()
    kinds: tuple[Kind, ...] = (*KINDS, "forbidden_address", "connection", "certificate", "no_usable_key")
    for kind in kinds:
        published, clocks = Published({}), Clocks()
        published.failure = FetchFailed(kind, retry_after=None if kind in PERMANENT else 120.0)
        door = behind(of_set(), fetcher=published, **clocks.settings())
        for _ in range(3):
            answered = door.ask(is_signed_by("first", "1", NOW))
            seen.add((answered.said, answered.raw, tuple(sorted(answered.headers.items()))))
            clocks.advance(400)
    ((said, _, headers),) = seen
    assert said == UNUSABLE
    assert dict(headers)["retry-after"] == "5"
    assert "www-authenticate" not in dict(headers)


# --- A5


@pytest.mark.parametrize(
    "failure", [*[FetchFailed("status", status=each) for each in (400, 401, 403, 405, 429)], FetchFailed("not_json")]
)
def test_a5_discovery_4xx_or_not_json_falls_back_to_rfc8414(failure: FetchFailed) -> None:
    published = Published({"1": "first"})

    def fetch(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        if url.target.endswith("openid-configuration"):
            raise failure
        if "oauth-authorization-server" in url.target:
            return Fetched({"issuer": ISSUER, "jwks_uri": URL}, None, None, None, 0.0, None)
        return published(url, etag=etag, modified=modified)

    with Gate([app("acme", Jwks.discover(ISSUER), issuer=ISSUER)], fetcher=fetch, clock=lambda: NOW) as gate:
        assert gate.verify(is_signed_by("first", "1", NOW), app="acme").refusal is None


# --- A9


@pytest.mark.parametrize("mode", [Mode.LOG_ONLY, Mode.ENFORCE], ids=["log-only", "enforced"])
def test_a9_key_set_load_timeout_impatient_only_in_log_only(mode: Mode) -> None:
    released = threading.Event()
    published = Published({"1": "first"})
    events: list[DecisionEvent] = []

    def slow(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        released.wait(10)
        return published(url, etag=etag, modified=modified)

    request = Request(headers=[("X-App-Id", "acme"), ("Authorization", f"Bearer {is_signed_by('first', '1', NOW)}")])
    limits = Limits(log_only_timeout=0.05, load_timeout=0.1)
    told: Any = events.append
    with Gate([of_set(mode=mode)], fetcher=slow, clock=lambda: NOW, limits=limits, on_event=told) as gate:
        decision = gate.decide(request)
        released.set()
        outcomes = gate.outcomes()
    assert decision.allowed is (mode is Mode.LOG_ONLY)
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.impatient) == ("config_invalid", mode is Mode.LOG_ONLY)
    assert [each.impatient for each in events if isinstance(each, DecisionEvent)] == [mode is Mode.LOG_ONLY]
    assert [each.impatient for each in outcomes] == [mode is Mode.LOG_ONLY]


def test_a9_log_only_key_set_failure_not_impatient() -> None:
    published = Published({})
    published.failure = FetchFailed("status")
    request = Request(headers=[("X-App-Id", "acme"), ("Authorization", f"Bearer {is_signed_by('first', '1', NOW)}")])
    with Gate([of_set(mode=Mode.LOG_ONLY)], fetcher=published, clock=lambda: NOW) as gate:
        refusal = gate.decide(request).refusal
    assert refusal is not None
    assert (refusal.code, refusal.impatient) == ("config_invalid", False)


@pytest.mark.parametrize("mode", [Mode.LOG_ONLY, None], ids=["log-only", "enforced"])
def test_a9_registry_timeout_impatient_only_in_log_only(mode: Mode | None) -> None:
    released = threading.Event()

    def registry(ref: Any) -> Any:
        released.wait(10)

    request = Request(headers=[("X-App-Id", "acme")])
    limits = Limits(log_only_timeout=0.05, load_timeout=0.1)
    with Gate(registry=registry, app_locations=of_set().app_locations, mode=mode, limits=limits) as gate:
        refusal = gate.decide(request).refusal
        released.set()
    assert refusal is not None
    assert (refusal.code, refusal.impatient) == ("apps_unavailable", mode is Mode.LOG_ONLY)
