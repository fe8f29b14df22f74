"""An async function as a registry: it runs on the loop of the request that needs it, and only for ASGI."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.support.async_pools import LoopPool, until
from tests.support.gate_harness import code, over
from tests.support.unit import acme, asks, token
from wicket import App, AppRef, ConfigError, Gate, Limits
from wicket.wsgi import WicketMiddleware

DEADLINE = 60.0
PATIENT = Limits(load_timeout=DEADLINE)


class FindLater:
    """An object whose call is async. It notes the loop of each call."""

    def __init__(self) -> None:
        self.loops: list[asyncio.AbstractEventLoop] = []

    async def __call__(self, ref: AppRef) -> App | None:
        self.loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0.01)
        return acme() if ref.value == "acme" else None


def test_async_function_runs_on_loop_of_request() -> None:
    registry = FindLater()

    async def scenario(gate: Gate) -> None:
        assert (await gate.adecide(asks(token()))).allowed
        assert code(await gate.adecide(asks(token(), app="none"))) == "unknown_app"
        assert (await gate.averify(token(), app="acme")).allowed
        assert registry.loops == [asyncio.get_running_loop()] * 2

    with over(registry, limits=PATIENT) as gate:
        asyncio.run(scenario(gate))


def test_async_function_pool_of_the_application_is_used_on_its_loop() -> None:
    """The pool is made by the application on its loop, for example in its lifespan."""
    pool = LoopPool()

    async def find(ref: AppRef) -> App | None:
        return await pool.find(ref)

    async def scenario(gate: Gate) -> None:
        await pool.start()
        decisions = await asyncio.gather(*(gate.adecide(asks(token())) for _ in range(20)))
        assert all(decision.allowed for decision in decisions)
        await pool.close()

    with over(find, limits=PATIENT) as gate:
        asyncio.run(scenario(gate))
    assert pool.queries == ["acme"], "all requests share one load"


def test_async_function_request_of_another_loop_shares_the_load() -> None:
    started, joined = threading.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def find(ref: AppRef) -> App | None:
        loops.append(asyncio.get_running_loop())
        started.set()
        await until(joined.is_set)
        return acme()

    allowed: list[bool] = []
    with over(find, limits=PATIENT) as gate:

        def ask() -> None:
            allowed.append(asyncio.run(gate.adecide(asks(token()))).allowed)

        first = threading.Thread(target=ask)
        first.start()
        assert started.wait(DEADLINE)
        assert gate._registry is not None
        (flight,) = gate._registry._in_flight.values()
        second = threading.Thread(target=ask)
        second.start()
        done: Any = flight.done
        while len(done._done_callbacks) < 2:
            threading.Event().wait(0.001)
        joined.set()
        first.join(DEADLINE)
        second.join(DEADLINE)
    assert allowed == [True, True]
    assert len(loops) == 1


def test_async_function_request_that_is_cancelled_does_not_cancel_the_load() -> None:
    pool = LoopPool()

    async def scenario(gate: Gate) -> None:
        await pool.start()
        impatient = asyncio.create_task(gate.adecide(asks(token())))
        await until(lambda: pool.queries)
        impatient.cancel()
        assert (await gate.adecide(asks(token()))).allowed

    with over(pool.find, limits=PATIENT) as gate:
        asyncio.run(scenario(gate))
    assert pool.queries == ["acme"]


def test_async_function_loop_that_ends_during_the_load_fails_it() -> None:
    entered = threading.Event()

    async def find(ref: AppRef) -> App | None:
        entered.set()
        await asyncio.sleep(DEADLINE)
        return None

    async def leave(gate: Gate) -> None:
        task = asyncio.create_task(gate.adecide(asks(token())))
        await until(entered.is_set)
        task.cancel()

    with over(find, limits=PATIENT) as gate:
        asyncio.run(leave(gate))
        assert gate._registry is not None
        while gate._registry._in_flight:
            threading.Event().wait(0.001)
        assert code(asyncio.run(gate.adecide(asks(token())))) == "apps_unavailable"


def test_async_function_warm_up_needs_a_loop() -> None:
    registry = FindLater()
    with over(registry, limits=PATIENT) as gate:
        assert asyncio.run(gate.awarm_up(["acme"])).ok
        with pytest.raises(ConfigError, match="AsyncRegistry"):
            gate.warm_up(["acme"])


@pytest.mark.parametrize("cached", [False, True])
def test_async_function_without_loop_config_error_names_async_registry(cached: bool) -> None:
    """The error does not depend on what is cached."""
    with over(FindLater(), limits=PATIENT) as gate:
        decision = asyncio.run(gate.adecide(asks(token() if cached else None)))
        calls: list[Any] = [
            lambda: gate.decide(asks(token())),
            lambda: gate.verify(token(), app="acme"),
            lambda: gate.check_origin(asks()),
            lambda: gate.revalidate(decision),
            lambda: WicketMiddleware(lambda environ, start: [], gate),
        ]
        for call in calls:
            with pytest.raises(ConfigError, match=r"registry: is an async function.*AsyncRegistry\(open\)"):
                call()


def test_async_function_blocking_driver_refused_as_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    """A flow that is driven without a loop, for example by the diagnostics, does not wait for ever."""
    from wicket.decision.flow import decide
    from wicket.decision.io import run

    with over(FindLater(), limits=PATIENT) as gate:
        assert code(run(decide(gate._context, asks(token())))) == "internal_error"
    assert "AsyncRegistry(open)" in caplog.text
