"""`Gate.warm_up` loads key sets and apps, reports each result, and leaves threads and queues to requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.gate_harness import Registry
from tests.support.unit import BY_HEADER, NOW, asks, claims, jwk, problems_of, rsa_key, secret, token
from wicket import (
    App,
    AppRef,
    Fetched,
    FetchFailed,
    Gate,
    Jwks,
    KeySetUrl,
    Limits,
    Network,
    WarmUpReport,
    WarmUpResult,
)
from wicket.config.app import BrokenApp
from wicket.errors import config_error

DEADLINE = 60.0
WarmUp = Callable[..., WarmUpReport]


def sync(gate: Gate, *args: Any, **settings: Any) -> WarmUpReport:
    return gate.warm_up(*args, **settings)


def in_a_loop(gate: Gate, *args: Any, **settings: Any) -> WarmUpReport:
    return asyncio.run(gate.awarm_up(*args, **settings))


both = pytest.mark.parametrize("warm_up", [sync, in_a_loop])


class Endpoints:
    """A fetcher that counts. A host that starts with `bad` fails, and one that starts with `slow` waits."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.urls: list[str] = []
        self.running = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        with self._lock:
            self.urls.append(url.text)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if url.host.startswith("slow"):
                self.released.wait(DEADLINE)
            if url.host.startswith("bad"):
                raise FetchFailed("not_found", status=404)
            if url.host.startswith("broken"):
                raise ZeroDivisionError
            return Fetched({"keys": [jwk(rsa_key(), kid="a")]})
        finally:
            with self._lock:
                self.running -= 1


def app_at(id: str, *hosts: str, **settings: Any) -> App:
    """An app with a key set at each host."""
    credentials = [Jwks(f"https://{host}/keys") for host in hosts]
    return App(id, credentials=credentials, issuer="https://id", app_locations=BY_HEADER, **settings)


def gate_with(endpoints: Endpoints, *apps: App | BrokenApp, **settings: Any) -> Gate:
    limits = {"fetch_timeout": DEADLINE, "load_timeout": DEADLINE, **settings.pop("limits", {})}
    return Gate(apps, **{"fetcher": endpoints, "app_locations": BY_HEADER, "limits": Limits(**limits), **settings})


def outcomes(report: WarmUpReport) -> dict[tuple[str, str | None], str]:
    return {(result.app, result.source): result.outcome for result in report.results}


@both
def test_warm_up_key_sets_of_configured_apps_loaded(warm_up: WarmUp) -> None:
    endpoints = Endpoints()
    with gate_with(endpoints, app_at("acme", "a.example", "b.example"), app_at("two", "a.example")) as gate:
        report = warm_up(gate)
        assert report.ok
        assert report.failed == ()
        assert report.seconds < DEADLINE
        assert outcomes(report) == {
            ("acme", "https://a.example/keys"): "loaded",
            ("acme", "https://b.example/keys"): "loaded",
            ("two", "https://a.example/keys"): "loaded",
        }
        assert len(endpoints.urls) == 3
        again = warm_up(gate)
        assert outcomes(again) == outcomes(report)
        assert len(endpoints.urls) == 3, "a fresh key set is not fetched again"


@both
def test_warm_up_first_request_needs_no_load(warm_up: WarmUp) -> None:
    registry = Registry(acme=app_at("acme", "a.example"))
    endpoints = Endpoints()
    with gate_with(endpoints, registry=registry, clock=lambda: NOW) as gate:
        assert warm_up(gate, ["acme"]).ok
        assert (registry.asked, len(endpoints.urls)) == ([AppRef("id", "acme")], 1)
        signed = token(claims(iss="https://id"), key=rsa_key(), algorithm="RS256", kid="a")
        assert gate.decide(asks(signed)).allowed
        assert (registry.asked, len(endpoints.urls)) == ([AppRef("id", "acme")], 1)


@both
def test_warm_up_failing_endpoint_reported_and_never_raised(warm_up: WarmUp) -> None:
    app = app_at("acme", "bad.example", "good.example", "broken.example")
    with gate_with(Endpoints(), app) as gate:
        report = warm_up(gate)
        assert not report.ok
        assert set(report.failed) == {
            WarmUpResult("acme", "https://bad.example/keys", "failed", "not_found"),
            WarmUpResult("acme", "https://broken.example/keys", "failed", "ZeroDivisionError"),
        }
        assert outcomes(report)["acme", "https://good.example/keys"] == "loaded"
        assert warm_up(gate).failed == report.failed, "during the back-off, the last failure is reported"


@both
def test_warm_up_named_apps_of_registry_reported(warm_up: WarmUp) -> None:
    registry = Registry(
        acme=app_at("acme", "a.example", aliases=["old"], publishable_key="pub_acme"),
        old=app_at("acme", "a.example", aliases=["old"], publishable_key="pub_acme"),
        bad=RuntimeError("database"),
    )
    names = ["old", AppRef("publishable_key", "pub_none"), "bad", "none", "configured", "old"]
    with gate_with(Endpoints(), App("configured", credentials=[secret()]), registry=registry) as gate:
        report = warm_up(gate, names)
    assert outcomes(report) == {
        ("old", None): "loaded",
        ("acme", "https://a.example/keys"): "loaded",
        ("pub_none", None): "unknown",
        ("bad", None): "failed",
        ("none", None): "unknown",
    }
    assert [result.cause for result in report.results if result.app == "bad"] == ["RuntimeError"]


def test_warm_up_app_that_code_and_registry_have_is_loaded_once() -> None:
    broken = Registry(two=app_at("acme", "evil.example", aliases=["two"]))
    endpoints = Endpoints()
    with gate_with(endpoints, app_at("acme", "a.example"), registry=broken) as gate:
        report = gate.warm_up(["two"])
    assert endpoints.urls == ["https://a.example/keys"]
    assert outcomes(report) == {("two", None): "loaded", ("acme", "https://a.example/keys"): "loaded"}


def test_warm_up_named_app_without_registry_unknown() -> None:
    with gate_with(Endpoints(), app_at("acme", "a.example")) as gate:
        assert gate.warm_up(["none", "acme"]).failed == (WarmUpResult("none", None, "unknown"),)


@both
def test_warm_up_timeout_reported_and_load_goes_on(warm_up: WarmUp) -> None:
    endpoints = Endpoints()
    limits = {"fetch_per_host": 1}
    with gate_with(endpoints, app_at("acme", "slow.example"), app_at("two", "slow.example"), limits=limits) as gate:
        report = warm_up(gate, timeout=0.05)
        assert set(outcomes(report).values()) == {"timeout"}
        endpoints.released.set()
        assert warm_up(gate, timeout=DEADLINE).ok
        assert len(endpoints.urls) == 2, "the second warm-up joined the load of the first"


def test_warm_up_stays_within_threads_and_leaves_the_queue_to_requests() -> None:
    endpoints = Endpoints()
    apps = [app_at(f"app-{number}", f"slow-{number}.example") for number in range(30)]
    limits = {"fetch_threads": 3, "fetch_queue": 1}
    with gate_with(endpoints, *apps, limits=limits) as gate:
        report: list[WarmUpReport] = []
        thread = threading.Thread(target=lambda: report.append(gate.warm_up(timeout=DEADLINE)))
        thread.start()
        while endpoints.running < 3:
            threading.Event().wait(0.01)
        assert gate._fetch_pool._jobs == [], "nothing is queued"
        endpoints.released.set()
        thread.join(DEADLINE)
        assert report[0].ok
        assert len(endpoints.urls) == 30
        assert endpoints.most == 3


def test_warm_up_one_slow_host_does_not_delay_the_others() -> None:
    endpoints = Endpoints()
    apps = [app_at(f"slow-{number}", "slow.example") for number in range(20)]
    with gate_with(endpoints, *apps, app_at("fast", "fast.example"), limits={"fetch_threads": 4}) as gate:
        report = gate.warm_up(timeout=0.3)
        assert outcomes(report)["fast", "https://fast.example/keys"] == "loaded"
        assert endpoints.urls.count("https://slow.example/keys") == 2, "fetch_per_host"
        endpoints.released.set()


@both
def test_warm_up_load_that_a_limit_prevents_is_tried_again(warm_up: WarmUp, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = Endpoints()
    with gate_with(endpoints, app_at("acme", "a.example"), limits={"fetch_queue": 1}) as gate:
        submit, refused = gate._fetch_pool.submit, [True, True]
        monkeypatch.setattr(
            gate._fetch_pool, "submit", lambda *args: False if refused and refused.pop() else submit(*args)
        )
        assert warm_up(gate).ok
        assert refused == []


def test_warm_up_closed_gate_reported_as_failed() -> None:
    gate = gate_with(Endpoints(), app_at("acme", "a.example"))
    gate.close()
    assert gate.warm_up().failed == (WarmUpResult("acme", "https://a.example/keys", "failed", "closed"),)


def test_warm_up_stale_key_set_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    endpoints = Endpoints()
    with gate_with(endpoints, app_at("acme", "a.example"), monotonic=lambda: now[0]) as gate:
        assert gate.warm_up().ok
        now[0] += 400
        monkeypatch.setattr(gate._load_key_set.fetcher_for("acme"), "_fetcher", _failing)
        assert gate.warm_up().failed == (WarmUpResult("acme", "https://a.example/keys", "stale", "timeout"),)


def _failing(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
    raise FetchFailed("timeout")


@pytest.mark.parametrize("apps", ["acme", 5, [5], [None]])
def test_warm_up_invalid_apps_config_error(apps: Any) -> None:
    with gate_with(Endpoints(), app_at("acme", "a.example")) as gate:
        assert problems_of(lambda: gate.warm_up(apps)) == {"apps": "must be a list of names of apps"}


@pytest.mark.parametrize("timeout", [0, -1, True, "5", None, float("inf"), float("nan")])
def test_warm_up_invalid_timeout_config_error(timeout: Any) -> None:
    with gate_with(Endpoints(), app_at("acme", "a.example")) as gate:
        problems = problems_of(lambda: gate.warm_up(timeout=timeout))
    assert problems == {"timeout": "must be a positive number of seconds"}


def test_warm_up_loop_closed_during_load_ends_quietly() -> None:
    endpoints = Endpoints()
    with gate_with(endpoints, app_at("acme", "slow.example")) as gate:
        in_a_loop(gate, timeout=0.05)
        (flight,) = gate._key_sets.cache._in_flight.values()
        endpoints.released.set()
        flight.done.result(DEADLINE)


def test_warm_up_gate_without_loads_is_ok() -> None:
    with Gate([App("acme", credentials=[secret()])], network=Network()) as gate:
        report = gate.warm_up()
    assert (report.results, report.ok) == ((), True)


def test_warm_up_app_whose_configuration_is_not_valid_reported() -> None:
    registry = Registry(
        two=App("broken", aliases=["two"]), three=config_error("origins", "is wrong"), four=SimpleNamespace()
    )
    with gate_with(Endpoints(), BrokenApp("broken"), registry=registry) as gate:
        report = gate.warm_up(["two", "three", "four"])
    assert {result.app: result.cause for result in report.failed} == {
        "two": "config_invalid",
        "three": "config_invalid",
        "four": "no_app",
    }
