"""The decisions of a gate for sync and async callers: without a load, during a load, and after a fork."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import Future
from typing import Any

import pytest

import wicket.decision.io
import wicket.gate
from tests.support.gate_harness import LONG, QUICK, Ask, Registry, acme_two, both, code, over
from tests.support.unit import KEY, NOW, ORIGIN, OTHER_KEY, acme, asks, claims, gate_of, private_key, token
from wicket import App, AppRef, Decision, DecisionEvent, Gate, Jwks, Limits, OutcomeCount
from wicket.decision import context
from wicket.jwks.fetcher import Fetched
from wicket.keys.urls import KeySetUrl
from wicket.runtime.cache import Cache

# --- decisions


@both
def test_gate_decide_returns_allowed_invalid_token_or_missing_token(ask: Ask) -> None:
    with gate_of(acme()) as gate:
        assert ask(gate, asks(token())).require().user_id == "user-1"
        assert code(ask(gate, asks(token(key=OTHER_KEY)))) == "invalid_token"
        assert code(ask(gate, asks())) == "missing_token"


def test_gate_optional_missing_token_allowed() -> None:
    with gate_of(acme()) as gate:
        assert gate.decide(asks(), optional=True).allowed
        assert asyncio.run(gate.adecide(asks(), optional=True)).allowed
        assert not gate.decide(asks("junk"), optional=True).allowed


def test_gate_verify_many_app_names_bounds_standalone_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MAX_FAST_PATH_ENTRIES", 2)
    names = ["acme", "acme-2", "acme-3", "acme-4"]
    with gate_of(acme(aliases=names[1:])) as gate:
        for name in names * 2:
            assert gate.verify(token(), app=name).require().user_id == "user-1"
            refused = gate.verify(None, app=name)
            assert (code(refused), refused.credentials_sent) == ("missing_token", False)
        assert len(gate._context.standalone_contexts.entries) <= 2


@pytest.mark.parametrize("app", ["acme", AppRef("id", "acme"), AppRef("publishable_key", "pub_acme")])
def test_gate_verify_valid_token_by_any_app_ref_allowed(app: str | AppRef) -> None:
    with gate_of(acme(publishable_key="pub_acme")) as gate:
        for decision in (gate.verify(token(), app=app), asyncio.run(gate.averify(token(), app=app))):
            assert decision.require().user_id == "user-1"


@pytest.mark.parametrize(("origin", "allowed"), [(None, True), (ORIGIN, True), ("https://evil.example", False)])
def test_gate_verify_given_origin_is_checked(origin: str | None, allowed: bool) -> None:
    with gate_of(acme()) as gate:
        assert gate.verify(token(), app="acme", origin=origin).allowed is allowed
        assert asyncio.run(gate.averify(token(), app="acme", origin=origin)).allowed is allowed


@pytest.mark.parametrize("name", [["acme"], {"id": "acme"}, None, 7, ""])
def test_gate_verify_invalid_app_ref_unknown_app(name: Any) -> None:
    with gate_of(acme()) as gate:
        for decision in (gate.verify(token(), app=name), asyncio.run(gate.averify(token(), app=name))):
            assert code(decision) == "unknown_app"


@pytest.mark.parametrize("origin", [["https://app.example.com"], 7, b"https://app.example.com"])
def test_gate_verify_origin_of_wrong_type_origin_not_allowed(origin: Any) -> None:
    with gate_of(acme()) as gate:
        assert code(gate.verify(token(), app="acme", origin=origin)) == "origin_not_allowed"


def test_gate_clock_after_token_expiry_expired() -> None:
    now = [float(NOW)]
    with Gate([acme()], clock=lambda: now[0]) as gate:
        assert gate.decide(asks(token())).allowed
        now[0] += 4000
        decision = gate.decide(asks(token()))
    assert decision.refusal is not None
    assert decision.refusal.reason == "expired"


def test_gate_decisions_emit_events_and_are_counted() -> None:
    events: list[DecisionEvent] = []
    with gate_of(acme(), on_event=events.append) as gate:
        gate.decide(asks(token()))
        asyncio.run(gate.adecide(asks()))
        gate.verify("junk", app="acme")
        asyncio.run(gate.averify(token(), app="acme"))
        assert [event.code for event in events] == [None, "missing_token", "invalid_token", None]
        assert gate.outcomes()[0] == OutcomeCount("acme", "allowed", None, True, 2)
    assert {event.gate for event in events} == {"wicket"}


def test_gate_claims_mutated_by_handler_do_not_affect_next_request() -> None:
    text = token(claims(roles=["user"]))
    with gate_of(acme()) as gate:
        gate.decide(asks(text)).require().claims["roles"].append("admin")
        assert gate.decide(asks(text)).require().claims["roles"] == ["user"]


def test_gate_adecide_without_loads_needs_no_event_loop() -> None:
    with gate_of(acme()) as gate:
        coroutine = gate.adecide(asks(token()))
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        assert stopped.value.value.allowed


def test_gate_verify_clock_error_internal_error() -> None:
    def broken() -> float:
        raise ZeroDivisionError

    for gate in (over(Registry(acme=acme()), clock=broken), gate_of(acme(), clock=broken)):
        with gate:
            decision = gate.verify(token(), app="acme")
        assert (decision.allowed, code(decision)) == (False, "internal_error")


# --- loads


@both
def test_gate_slow_registry_apps_unavailable_after_load_timeout(ask: Ask) -> None:
    go = threading.Event()

    def slow(ref: AppRef) -> App | None:
        assert go.wait(LONG)
        return acme()

    with over(slow, limits=QUICK) as gate:
        assert code(ask(gate, asks(token()))) == "apps_unavailable"
        go.set()


class Purging:
    """Purges an app before its loaded value is read, the first `times` times. Each purge takes `seconds`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, seconds: float = 0) -> None:
        self.now, self.left = 0.0, times
        self.gate: Gate
        read = Cache.read

        def purging(cache: Cache[Any, Any], key: Any) -> Any:
            entry = read(cache, key)
            if entry is None or self.left == 0:
                return entry
            left, self.left = self.left - 1, 0  # refresh() reads the cache too
            self.now += seconds
            self.gate.refresh("acme", purge=True)
            self.left = left
            return read(cache, key)

        monkeypatch.setattr(Cache, "read", purging)

    def over(self, registry: Registry) -> Gate:
        self.gate = over(registry, monotonic=lambda: self.now, limits=Limits(load_timeout=2.0))
        return self.gate


@both
@pytest.mark.parametrize(
    ("times", "seconds", "loads", "refused"),
    [(1, 0, 2, None), (2, 0, 2, "apps_unavailable"), (1, 2.5, 1, "apps_unavailable")],
)
def test_gate_app_purged_on_load_is_reloaded_once_within_load_timeout(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, times: int, seconds: float, loads: int, refused: str | None
) -> None:
    registry = Registry(acme=acme())
    with Purging(monkeypatch, times, seconds).over(registry) as gate:
        assert code(ask(gate, asks(token()))) == refused
        assert len(registry.asked) == loads
        assert ask(gate, asks(token())).allowed


def test_gate_concurrent_requests_load_app_once() -> None:
    go, asked = threading.Event(), []

    def slow(ref: AppRef) -> App | None:
        asked.append(ref)
        assert go.wait(LONG)
        return acme()

    async def ask_all(gate: Gate) -> list[Decision]:
        tasks = [asyncio.create_task(gate.adecide(asks(token()))) for _ in range(5)]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*tasks)

    with over(slow) as gate:
        decisions = asyncio.run(ask_all(gate))
    assert all(decision.allowed for decision in decisions)
    assert len(asked) == 1


def test_gate_cancelled_request_keeps_load_for_others() -> None:
    go = threading.Event()

    def slow(ref: AppRef) -> App | None:
        assert go.wait(LONG)
        return acme()

    async def hang_up(gate: Gate) -> Decision:
        leaving, staying = (asyncio.create_task(gate.adecide(asks(token()))) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        go.set()
        return await staying

    with over(slow) as gate:
        assert asyncio.run(hang_up(gate)).allowed


def test_gate_load_finished_after_loop_closed_is_used() -> None:
    go, ended = threading.Event(), threading.Event()

    def slow(ref: AppRef) -> App | None:
        assert go.wait(LONG)
        return acme()

    with over(slow, limits=QUICK) as gate:
        assert code(asyncio.run(gate.adecide(asks(token())))) == "apps_unavailable"
        flight = gate._registry._in_flight[AppRef("id", "acme")]  # type: ignore[union-attr]
        flight.done.add_done_callback(lambda _: ended.set())
        go.set()
        assert ended.wait(LONG)
        assert gate.decide(asks(token())).allowed


def test_gate_adecide_load_without_asyncio_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    with over(Registry(acme=acme())) as gate:
        coroutine = gate.adecide(asks(token()))
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        assert code(stopped.value.value) == "internal_error"
    assert any("that needs asyncio" in record.getMessage() for record in caplog.records)


@both
def test_gate_full_pool_apps_unavailable(ask: Ask) -> None:
    go, running = threading.Event(), threading.Event()

    def slow(ref: AppRef) -> App | None:
        running.set()
        assert go.wait(LONG)
        return None

    limits = Limits(load_timeout=0.05, registry_threads=1, registry_queue=1)
    with over(slow, limits=limits) as gate:
        codes = [code(ask(gate, asks(token(), app=name))) for name in ("a", "b", "c")]
        assert codes == ["apps_unavailable"] * 3
        go.set()


def test_gate_closed_registry_unavailable_and_configured_apps_allowed() -> None:
    gate = over(Registry(acme=acme()), apps=[acme_two()])
    gate.close()
    assert code(gate.decide(asks(token()))) == "apps_unavailable"
    assert gate.decide(asks(token(key=OTHER_KEY), app="two")).allowed


@pytest.mark.parametrize("first", ["load", "cancellation"])
def test_drivers_wait_cancelled_as_load_completes_raises_cancelled_error(first: str) -> None:
    async def hang_up() -> None:
        done: Future[None] = Future()
        task = asyncio.create_task(wicket.decision.io._wait(done, LONG))
        await asyncio.sleep(0)
        if first == "cancellation":
            task.cancel()
        done.set_result(None)
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(hang_up())


def test_gate_fetcher_exception_config_invalid_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fetcher(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        raise ZeroDivisionError(KEY.hex())

    app = acme(credentials=[Jwks("https://id.example.com/keys")], issuer="https://id.example.com")
    private = private_key("ES256")
    with Gate([app], fetcher=fetcher) as gate:
        decision = gate.verify(token(key=private, algorithm="ES256", kid="k1"), app="acme")
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.status) == ("config_invalid", 503)
    assert "a key set could not be loaded: ZeroDivisionError" in caplog.text
    assert KEY.hex() not in caplog.text


# --- forks


def test_gate_after_fork_keeps_loaded_apps() -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate, gate_of(acme_two()) as other:
        assert gate.decide(asks(token())).allowed
        wicket.gate._after_fork_in_child()
        assert gate.decide(asks(token())).allowed
        assert other.decide(asks(token(key=OTHER_KEY), app="two")).allowed
        assert len(registry.asked) == 1
        assert gate.decide(asks(token(), app="other")).refusal is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_gate_forked_during_load_serves_in_child() -> None:
    program = textwrap.dedent(
        """
        import os, threading
        from wicket import App, Gate, Header, Request

        running, go = threading.Event(), threading.Event()
        parent = os.getpid()

        def find(ref):
            if os.getpid() == parent:
                running.set()
                go.wait(10)
            return App("acme", allow_anonymous=True)

        gate = Gate(registry=find, app_locations=[Header("X-App-Id")])
        request = Request(headers=[("X-App-Id", "acme")])
        thread = threading.Thread(target=gate.decide, args=(request,))
        thread.start()
        running.wait(10)
        child = os.fork()
        if child == 0:
            os._exit(0 if gate.decide(request).allowed else 3)
        _, status = os.waitpid(child, 0)
        go.set()
        thread.join()
        raise SystemExit(os.waitstatus_to_exitcode(status))
        """
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=240).returncode == 0


def test_gate_without_references_is_garbage_collected() -> None:
    gate = gate_of(acme())
    gone = weakref.ref(gate)
    del gate
    gc.collect()
    assert gone() is None
