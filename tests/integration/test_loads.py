"""Loads of apps in threads and event loops: who waits for a registry and how long, and what must not hang."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import pytest
import trio

from tests.integration import servers
from tests.integration.registry import NAMING, app_of, request_of
from tests.integration.servers import eventually
from wicket import App, AppRef, ConfigError, Decision, Gate, Limits, Mode, Problem

# --- loads


class Registry:
    """Knows every app, and gives it only once it is `released`; tells when it was `entered`, and counts its calls."""

    def __init__(self, *, released: bool = False) -> None:
        self.calls: list[str] = []
        self.entered = threading.Event()
        self.released = threading.Event()
        if released:
            self.released.set()

    def __call__(self, ref: AppRef) -> App | None:
        self.calls.append(ref.value)
        self.entered.set()
        self.released.wait(servers.DEADLINE)
        return app_of(ref.value)


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    yield registry
    registry.released.set()


T = TypeVar("T")

PATIENT: Final = 60.0
"""A time-out that no busy machine reaches, in seconds."""
AT_ONCE: Final = servers.DEADLINE / 2
"""Within how many seconds a decision comes that waits neither for the registry nor for a time-out."""


@contextlib.contextmanager
def _gate(registry: Callable[[AppRef], App | None], **settings: Any) -> Iterator[Gate]:
    settings = {"limits": Limits(load_timeout=PATIENT), **settings}
    with Gate([app_of("acme")], registry=registry, app_locations=NAMING, **settings) as gate:
        yield gate


def _within(seconds: float, decide: Callable[[], T]) -> T:
    """What was decided, if that comes within `seconds`, and at all."""
    began = time.monotonic()
    decided = decide()
    assert time.monotonic() - began < seconds
    return decided


def _synchronously(gate: Gate, id: str) -> Decision:
    return gate.decide(request_of(id))


def _asynchronously(gate: Gate, id: str) -> Decision:
    return asyncio.run(gate.adecide(request_of(id)))


both_ways = pytest.mark.parametrize("decide", [_synchronously, _asynchronously])
Decide = Callable[[Gate, str], Decision]


def _code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


@both_ways
def test_registry_app_loaded_once_and_cached(decide: Decide) -> None:
    registry = Registry(released=True)
    with _gate(registry) as gate:
        assert all(decide(gate, "stored").allowed for _ in range(5))
    assert registry.calls == ["stored"]


@both_ways
def test_registry_hanging_only_first_request_waits(decide: Decide, registry: Registry) -> None:
    with _gate(registry, limits=Limits(load_timeout=0.5)) as gate:
        first = _within(AT_ONCE, lambda: decide(gate, "stored"))
        assert (first.allowed, _code(first)) == (False, "apps_unavailable")
        assert first.refusal is not None
        assert first.refusal.retry_after is not None
        again = _within(AT_ONCE, lambda: {_code(decide(gate, "stored")) for _ in range(40)})
        assert again == {"apps_unavailable"}, "none of the forty waited for half a second"
        registry.released.set()
        eventually("the app that came late is served", lambda: decide(gate, "stored").allowed)
    assert registry.calls == ["stored"]


@both_ways
def test_registry_hanging_configured_app_not_delayed(decide: Decide, registry: Registry) -> None:
    with (
        _gate(registry, limits=Limits(registry_threads=1, registry_queue=1, load_timeout=PATIENT)) as gate,
        ThreadPoolExecutor(1) as other,
    ):
        waiting = other.submit(gate.decide, request_of("stored"))
        assert registry.entered.wait(servers.DEADLINE)
        assert _within(AT_ONCE, lambda: decide(gate, "acme")).allowed
        assert not waiting.done()
        registry.released.set()
        assert waiting.result().allowed


@both_ways
def test_registry_queue_full_apps_unavailable_without_waiting(decide: Decide, registry: Registry) -> None:
    with (
        _gate(registry, limits=Limits(registry_threads=1, registry_queue=1, load_timeout=PATIENT)) as gate,
        ThreadPoolExecutor(2) as others,
    ):
        waiting = [others.submit(gate.decide, request_of("stored-1"))]
        assert registry.entered.wait(servers.DEADLINE)
        waiting.append(others.submit(gate.decide, request_of("stored-2")))
        eventually("there is no place left", lambda: len(gate._pool._jobs) == 1)
        assert _code(_within(AT_ONCE, lambda: decide(gate, "stored-3"))) == "apps_unavailable"
        registry.released.set()
        assert all(each.result().allowed for each in waiting)


_PASSWORD: Final = "hunter2"


def _raises(_: AppRef) -> App | None:
    raise ConnectionError(f"postgres://user:{_PASSWORD}@db.internal is down")


async def _coroutine() -> None: ...


@pytest.mark.parametrize(
    "registry",
    [_raises, lambda _: "acme", lambda _: _coroutine(), lambda _: {"id": "acme"}, lambda _: 1 / 0],
    ids=["raises", "a text", "a coroutine", "a table", "a bug"],
)
@both_ways
def test_registry_failure_apps_unavailable_503(decide: Decide, registry: Any, caplog: pytest.LogCaptureFixture) -> None:
    with _gate(registry) as gate:
        decision = decide(gate, "stored")
        assert (decision.allowed, _code(decision)) == (False, "apps_unavailable")
        assert decision.refusal is not None
        assert decision.refusal.status == 503
        assert decision.refusal.retry_after
        assert decide(gate, "acme").allowed
    assert "registry" in caplog.text
    assert _PASSWORD not in caplog.text, "what a database driver says may quote its password"


@both_ways
def test_registry_failure_not_called_during_backoff(decide: Decide) -> None:
    calls: list[AppRef] = []

    def fails(ref: AppRef) -> App | None:
        calls.append(ref)
        raise ConnectionError

    with _gate(fails, limits=Limits(backoff_initial=30)) as gate:
        for _ in range(10):
            assert _code(decide(gate, "stored")) == "apps_unavailable"
    assert len(calls) == 1


@both_ways
def test_registry_broken_app_config_invalid(decide: Decide, caplog: pytest.LogCaptureFixture) -> None:
    def broken(ref: AppRef) -> App | None:
        raise ConfigError([Problem("credentials[0]", "is empty")])

    with _gate(broken) as gate:
        assert _code(decide(gate, "stored")) == "config_invalid"
        assert decide(gate, "acme").allowed
    assert "credentials[0]: is empty" in caplog.text


@both_ways
def test_registry_unknown_app_negative_cache_one_call(decide: Decide) -> None:
    calls: list[AppRef] = []

    def knows_nobody(ref: AppRef) -> App | None:
        calls.append(ref)
        return None

    with _gate(knows_nobody) as gate:
        assert [_code(decide(gate, "nobody")) for _ in range(5)] == ["unknown_app"] * 5
    assert len(calls) == 1


@both_ways
def test_log_only_hanging_registry_allowed_unverified(decide: Decide, registry: Registry) -> None:
    with _gate(registry, mode=Mode.LOG_ONLY, limits=Limits(log_only_timeout=0.1, load_timeout=PATIENT)) as gate:
        decision = _within(AT_ONCE, lambda: decide(gate, "stored"))
    assert (decision.allowed, decision.enforced, _code(decision)) == (True, False, "apps_unavailable")
    assert not decision.identity.verified


@both_ways
def test_gate_closed_cached_app_allowed_new_app_apps_unavailable(decide: Decide) -> None:
    registry = Registry(released=True)
    with _gate(registry) as gate:
        assert decide(gate, "stored").allowed
    assert _code(_within(AT_ONCE, lambda: decide(gate, "stored-later"))) == "apps_unavailable"
    assert decide(gate, "stored").allowed
    assert decide(gate, "acme").allowed
    assert registry.calls == ["stored"]


def test_gate_close_queued_load_apps_unavailable(registry: Registry) -> None:
    with (
        _gate(registry, limits=Limits(registry_threads=1, load_timeout=PATIENT)) as gate,
        ThreadPoolExecutor(2) as others,
    ):
        running = others.submit(gate.decide, request_of("stored-1"))
        assert registry.entered.wait(servers.DEADLINE)
        queued = others.submit(gate.decide, request_of("stored-2"))
        eventually("it is queued", lambda: len(gate._pool._jobs) == 1)
        gate.close()
        assert _code(queued.result(AT_ONCE)) == "apps_unavailable"
        registry.released.set()
        assert running.result(AT_ONCE).allowed


# --- many at once


def test_registry_50_threads_same_app_one_call() -> None:
    registry = Registry()
    start = threading.Barrier(51)

    def ask(gate: Gate) -> Decision:
        start.wait(servers.DEADLINE)
        return gate.decide(request_of("stored"))

    with _gate(registry) as gate, ThreadPoolExecutor(50) as clients:
        asked = [clients.submit(ask, gate) for _ in range(50)]
        start.wait(servers.DEADLINE)
        assert registry.entered.wait(servers.DEADLINE)
        registry.released.set()
        assert all(each.result().identity.user_id == "ada" for each in asked)
    assert registry.calls == ["stored"]


def test_registry_200_tasks_same_app_one_call(registry: Registry) -> None:
    async def main(gate: Gate) -> list[Decision]:
        tasks = [asyncio.create_task(gate.adecide(request_of("stored"))) for _ in range(200)]
        await asyncio.sleep(0)  # each has run up to where it waits
        registry.released.set()
        return await asyncio.gather(*tasks)

    with _gate(registry) as gate:
        assert all(decision.identity.user_id == "ada" for decision in asyncio.run(main(gate)))
    assert registry.calls == ["stored"]


def test_registry_two_event_loops_and_thread_one_call(registry: Registry) -> None:
    ready = threading.Barrier(3)

    async def many(gate: Gate) -> list[Decision]:
        tasks = [asyncio.create_task(gate.adecide(request_of("stored"))) for _ in range(20)]
        await asyncio.sleep(0)
        ready.wait(servers.DEADLINE)  # the loop may stand still here: all of its tasks wait already
        return await asyncio.gather(*tasks)

    with _gate(registry) as gate, ThreadPoolExecutor(3) as threads:
        loops = [threads.submit(lambda: asyncio.run(many(gate))) for _ in range(2)]
        thread = threads.submit(gate.decide, request_of("stored"))
        ready.wait(servers.DEADLINE)
        registry.released.set()
        decisions = [decision for loop in loops for decision in loop.result()]
        assert all(decision.allowed for decision in (*decisions, thread.result()))
        assert len(decisions) == 40
    assert registry.calls == ["stored"]


def test_registry_closed_event_loop_load_serves_others(registry: Registry) -> None:
    async def leave(gate: Gate) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.adecide(request_of("stored")), 0.05)

    with _gate(registry) as gate, ThreadPoolExecutor(1) as other:
        asyncio.run(leave(gate))
        staying = other.submit(gate.decide, request_of("stored"))
        registry.released.set()
        assert staying.result().allowed
        assert asyncio.run(gate.adecide(request_of("stored"))).allowed
    assert registry.calls == ["stored"]


def test_registry_cancelled_waiter_others_allowed(registry: Registry) -> None:
    async def main(gate: Gate) -> list[Decision]:
        first, *others = (asyncio.create_task(gate.adecide(request_of("stored"))) for _ in range(10))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        registry.released.set()
        return await asyncio.gather(*others)

    with _gate(registry) as gate:
        assert all(decision.allowed for decision in asyncio.run(main(gate)))
    assert registry.calls == ["stored"]


def test_registry_load_does_not_block_event_loop(registry: Registry) -> None:
    async def main(gate: Gate) -> None:
        waiting = asyncio.create_task(gate.adecide(request_of("stored")))
        for _ in range(100):
            assert (await gate.adecide(request_of("acme"))).allowed
            await asyncio.sleep(0)
        assert not waiting.done()
        registry.released.set()
        assert (await waiting).allowed

    with _gate(registry) as gate:
        asyncio.run(main(gate))


# --- another event loop


def test_trio_configured_app_allowed_registry_app_internal_error(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.released.set()

    async def main(gate: Gate) -> None:
        with trio.fail_after(servers.DEADLINE):
            assert (await gate.adecide(request_of("acme"))).identity.user_id == "ada"
            decision = await gate.adecide(request_of("stored"))
            assert (decision.allowed, _code(decision)) == (False, "internal_error")
            assert decision.refusal is not None
            assert decision.refusal.status == 503
            verified = await gate.averify(None, app="stored-other")
            assert _code(verified) == "internal_error"

    with caplog.at_level(logging.ERROR, "wicket"), _gate(registry) as gate:
        trio.run(main, gate)
    assert any(record.levelno == logging.ERROR and "asyncio" in record.getMessage() for record in caplog.records)
