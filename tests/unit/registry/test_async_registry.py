"""`AsyncRegistry`: its context manager lives on one loop of the gate, and loads work from every thread and loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.async_pools import LoopPool, until
from tests.support.gate_harness import Ask, acme_two, both, code, over
from tests.support.unit import OTHER_KEY, acme, asks, problems_of, token
from wicket import App, AppRef, AsyncRegistry, ConfigError, Decision, Gate, Limits, WicketError
from wicket.errors import config_error
from wicket.registry import async_registry
from wicket.registry.async_registry import RegistryLoop, run_on
from wicket.wsgi import WicketMiddleware

DEADLINE = 60.0
PATIENT = Limits(load_timeout=DEADLINE)


def gate_over(pool: LoopPool, **settings: Any) -> Gate:
    return over(AsyncRegistry(pool.open), **{"limits": PATIENT, **settings})


# --- loads


@both
def test_async_registry_loads_app_on_its_own_loop(ask: Ask) -> None:
    pool = LoopPool()
    with gate_over(pool) as gate:
        for _ in range(3):
            assert ask(gate, asks(token())).require().app_id == "acme"
        assert code(ask(gate, asks(token(), app="none"))) == "unknown_app"
    assert pool.queries == ["acme", "none"]
    assert (pool.opened, pool.closed) == (1, 1)


def test_async_registry_threads_and_loops_share_one_pool() -> None:
    pool = LoopPool(acme=acme(), two=acme_two())
    allowed: list[bool] = []
    with gate_over(pool) as gate:

        def block() -> None:
            allowed.append(gate.decide(asks(token())).allowed)

        def in_loop() -> None:
            request = asks(token(key=OTHER_KEY), app="two")
            allowed.append(asyncio.run(gate.adecide(request)).allowed)

        threads = [threading.Thread(target=target) for target in (block, in_loop) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
    assert allowed == [True] * 8
    assert sorted(pool.queries) == ["acme", "two"], "requests for one app share one load"
    assert (pool.opened, pool.closed) == (1, 1)


def test_async_registry_request_that_is_cancelled_does_not_cancel_the_load() -> None:
    pool = LoopPool()

    async def scenario(gate: Gate) -> None:
        impatient = asyncio.create_task(gate.adecide(asks(token())))
        await until(lambda: pool.queries)
        impatient.cancel()
        assert (await gate.adecide(asks(token()))).allowed

    with gate_over(pool) as gate:
        asyncio.run(scenario(gate))
    assert pool.queries == ["acme"]


def test_async_registry_works_behind_wsgi_and_warm_up() -> None:
    pool = LoopPool()
    with gate_over(pool) as gate:
        WicketMiddleware(lambda environ, start: [], gate)
        assert gate.warm_up(["acme"]).ok
        assert gate.verify(token(), app="acme").allowed
    assert pool.queries == ["acme"]


def test_async_registry_loads_run_at_most_on_registry_threads() -> None:
    pool = LoopPool(**{f"app-{number}": App(f"app-{number}") for number in range(12)})
    limits = Limits(load_timeout=DEADLINE, registry_threads=3)
    with gate_over(pool, limits=limits) as gate:
        report = gate.warm_up([f"app-{number}" for number in range(12)])
    assert report.ok
    assert 1 <= pool.most <= 3


# --- failures


def test_async_registry_lookup_errors_are_those_of_a_registry(caplog: pytest.LogCaptureFixture) -> None:
    pool = LoopPool(
        broken=config_error("origins", "is wrong"), down=RuntimeError("s3cret"), wrong={"id": "wrong"}, acme=acme()
    )
    with gate_over(pool) as gate:
        assert code(gate.decide(asks(token(), app="broken"))) == "config_invalid"
        assert code(gate.decide(asks(token(), app="down"))) == "apps_unavailable"
        assert code(gate.decide(asks(token(), app="wrong"))) == "apps_unavailable"
        assert gate.decide(asks(token())).allowed
    assert "the registry raised an exception: RuntimeError" in caplog.text
    assert "returned an object of the type dict" in caplog.text
    assert "s3cret" not in caplog.text


def test_async_registry_open_fails_next_load_opens_again(caplog: pytest.LogCaptureFixture) -> None:
    pool = LoopPool()
    pool.fail_to_open = [OSError("database down")]
    with gate_over(pool) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
        gate.refresh("acme")  # ends the back-off
        assert gate.decide(asks(token())).allowed
    assert (pool.opened, pool.closed) == (1, 1)
    assert "the registry raised an exception: OSError" in caplog.text
    assert "database down" not in caplog.text


def test_async_registry_slow_lookup_cancelled_after_load_timeout() -> None:
    cancelled = threading.Event()

    async def find(ref: AppRef) -> App | None:
        try:
            await asyncio.sleep(DEADLINE)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return None

    @asynccontextmanager
    async def open() -> AsyncIterator[Any]:
        yield find

    with over(AsyncRegistry(open), limits=Limits(load_timeout=0.1)) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
        assert cancelled.wait(DEADLINE)


def test_async_registry_slow_open_not_cancelled_by_lookup_that_gives_up() -> None:
    pool = LoopPool()
    release = threading.Event()

    @asynccontextmanager
    async def open() -> AsyncIterator[Any]:
        await until(release.is_set)
        async with pool.open() as find:
            yield find

    with over(AsyncRegistry(open), limits=Limits(load_timeout=0.1, backoff_initial=0.001, backoff_max=0.001)) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
        release.set()
        while not (decision := gate.decide(asks(token()))).allowed:
            assert code(decision) == "apps_unavailable"
    assert pool.opened == 1


@asynccontextmanager
async def _giving(lookup: Any) -> AsyncIterator[Any]:
    yield lookup


@pytest.mark.parametrize(
    ("open", "message"),
    [
        (lambda: 5, "open must return an async context manager"),
        (lambda: _giving(lambda ref: None), "the context manager must return an async function"),
    ],
)
def test_async_registry_open_or_lookup_of_wrong_kind_logged(
    open: Callable[[], Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with over(AsyncRegistry(open), limits=PATIENT) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
    assert message in caplog.text


def test_async_registry_argument_of_wrong_kind_config_error() -> None:
    async def coroutine() -> Any: ...

    async def generator() -> Any:
        yield coroutine

    for wrong in (coroutine, generator, 5, None):
        anything: Any = wrong
        problems = problems_of(lambda anything=anything: AsyncRegistry(anything))  # type: ignore[misc]
        assert problems == {"open": "must be a function that returns an async context manager"}
    pool = LoopPool()
    with pytest.raises(ConfigError, match="app_locations"):
        Gate(registry=AsyncRegistry(pool.open))


# --- close, fork and threads


def test_async_registry_close_without_load_opens_nothing() -> None:
    pool = LoopPool()
    gate_over(pool).close()
    assert (pool.opened, pool.closed) == (0, 0)


def test_async_registry_close_twice_and_after_failed_open_is_quiet() -> None:
    pool = LoopPool()
    pool.fail_to_open = [OSError()]
    gate = gate_over(pool)
    assert not gate.decide(asks(token())).allowed
    gate.close()
    gate.close()
    assert not any(thread.name.endswith("registry-loop") for thread in threading.enumerate())


def test_async_registry_error_at_exit_logged(caplog: pytest.LogCaptureFixture) -> None:
    pool, message = LoopPool(), "s3" + "cret"  # the traceback has the source line

    @asynccontextmanager
    async def open() -> AsyncIterator[Any]:
        async with pool.open() as find:
            yield find
        raise OSError(message)

    with over(AsyncRegistry(open), limits=PATIENT) as gate:
        assert gate.decide(asks(token())).allowed
    assert "closing the async registry failed: OSError" in caplog.text
    assert "s3cret" not in caplog.text


def test_async_registry_exit_that_hangs_delays_close_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_registry, "_CLOSE_TIMEOUT", 0.05)
    pool = LoopPool()
    release = threading.Event()

    @asynccontextmanager
    async def open() -> AsyncIterator[Any]:
        async with pool.open() as find:
            yield find
            await until(release.is_set)

    gate = over(AsyncRegistry(open), limits=PATIENT)
    assert gate.decide(asks(token())).allowed
    gate.close()
    assert pool.closed == 0
    release.set()
    loop = gate._registry_loop
    assert loop is not None
    assert loop._thread is not None
    loop._thread.join(DEADLINE)
    assert pool.closed == 1


def test_async_registry_forked_child_opens_its_own_pool() -> None:
    pool = LoopPool()
    with gate_over(pool) as gate:
        assert gate.decide(asks(token())).allowed
        gate._after_fork()  # what a forked child calls
        gate.refresh("acme", purge=True)
        assert gate.decide(asks(token())).allowed
        assert pool.opened == 2
        assert pool.loops[0] is not pool.loops[1]
        async_registry._abandoned[-1].result().close()  # type: ignore[attr-defined]  # the parent's, which runs here too


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_async_registry_real_fork_child_loads() -> None:
    pool = LoopPool()
    with gate_over(pool) as gate:
        assert gate.decide(asks(token())).allowed
        gate.refresh("acme", purge=True)
        child = os.fork()
        if child == 0:  # pragma: no cover - the child process is not measured
            allowed = False
            try:
                allowed = gate.decide(asks(token())).allowed and pool.opened == 2
            finally:
                os._exit(0 if allowed else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert gate.decide(asks(token())).allowed
    assert (pool.opened, pool.closed) == (1, 1)


def test_registry_loop_that_cannot_start_fails_the_load_and_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = LoopPool()
    loop = RegistryLoop(AsyncRegistry(pool.open), "loop", DEADLINE)

    def no_loop(coroutine: Any) -> None:
        coroutine.close()
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "run", no_loop)
        with pytest.raises(OSError, match="too many open files"):
            loop(AppRef("id", "acme"))
        loop.close()
    app = loop(AppRef("id", "acme"))
    assert app is not None
    assert app.id == "acme"
    loop.close()


def test_registry_loop_closed_before_the_first_look_up_opens_nothing() -> None:
    pool = LoopPool()
    loop = RegistryLoop(AsyncRegistry(pool.open), "loop", DEADLINE)
    session = loop._running_session()
    loop.close()
    assert session.loop.is_closed()
    assert pool.opened == 0


def test_run_on_closed_loop_raises_and_closes_coroutine() -> None:
    loop = asyncio.new_event_loop()
    loop.close()

    async def never() -> None: ...

    with pytest.raises(RuntimeError, match="closed"):
        run_on(loop, never(), 1.0)


def test_run_on_loop_that_ends_before_it_starts_the_coroutine_times_out() -> None:
    loop = asyncio.new_event_loop()

    async def never() -> None: ...

    coroutine = never()

    def close_soon() -> None:
        loop.close()

    timer = threading.Timer(0.05, close_soon)
    timer.start()
    with pytest.raises(TimeoutError):
        run_on(loop, coroutine, 0.5)
    timer.join()


def test_wicket_error_of_lookup_is_logged_with_its_message(caplog: pytest.LogCaptureFixture) -> None:
    pool = LoopPool(acme=WicketError("the operator's own words"))
    with caplog.at_level(logging.ERROR, "wicket"), gate_over(pool) as gate:
        decision: Decision = gate.decide(asks(token()))
        assert code(decision) == "apps_unavailable"
    assert "the operator's own words" in caplog.text
