"""The connection monitor closes connections that are no longer valid, also after errors and with blocked clients."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.clients import finished
from tests.support.unit import BY_HEADER, NOW, acme, asks, claims, gate_of, secret, token
from tests.unit.http.connections import BlockedSend, FakeServer, FaultyClock, gate_at, run, verified
from wicket import App, Decision, Gate, Mode, Refusal, Refused, Revocations, Rules, WicketError
from wicket.decision.revalidation import judge as judge_now
from wicket.http import monitor as module
from wicket.http.asgi_types import Message
from wicket.http.long_lived import LiveConnection
from wicket.http.monitor import ConnectionMonitor


def track(monitor: ConnectionMonitor, decision: Decision) -> LiveConnection:
    return monitor.track(decision, FakeServer().receive, FakeServer().send, websocket=True)


@contextlib.asynccontextmanager
async def tracked(monitor: ConnectionMonitor, decision: Decision, server: FakeServer) -> AsyncIterator[LiveConnection]:
    """Track a WebSocket during the block, as the middleware does."""
    live = monitor.track(decision, server.receive, server.send, websocket=True)
    try:
        yield live
    finally:
        await monitor.untrack(live)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.01)
    monkeypatch.setattr(module, "_CLOSE_TIMEOUT", 0.05)


def test_monitor_expired_connection_closed_others_kept() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        monitor = ConnectionMonitor(gate)
        early, late, server, other = (
            verified(gate),
            gate.decide(asks(token(claims(exp=NOW + 90)))),
            FakeServer(),
            FakeServer(),
        )
        async with (
            tracked(monitor, early, server),
            tracked(monitor, late, other),
        ):
            clock.now = NOW + 60
            assert await server.close_message() == {"type": "websocket.close", "code": 4401, "reason": "expired"}
            assert other.sent == []
            clock.now = NOW + 90
            assert (await other.close_message())["reason"] == "expired"

    run(main)


@pytest.mark.parametrize(
    ("result", "code", "reason"), [("The user is blocked.", 4401, "bad_claim"), (False, 4503, "internal_error")]
)
def test_monitor_check_of_app_called_in_each_round(result: Any, code: int, reason: str) -> None:
    results: list[Any] = [None]
    calls = 0
    called = asyncio.Event()

    def check(claims: object) -> Any:
        nonlocal calls
        calls += 1
        if calls > 5:
            called.set()
        return results[-1]

    async def main() -> None:
        gate = gate_of(acme(check=check))
        server = FakeServer()
        async with tracked(ConnectionMonitor(gate), gate.decide(asks(token())), server):
            await asyncio.wait_for(called.wait(), 10)
            assert server.sent == []
            results.append(result)
            assert await server.close_message() == {"type": "websocket.close", "code": code, "reason": reason}

    run(main)


def test_monitor_blocked_client_other_connections_closed() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        monitor = ConnectionMonitor(gate)
        servers = [FakeServer() for _ in range(5)]
        servers[0].blocked = True
        async with contextlib.AsyncExitStack() as all_open:
            for server in servers:
                decision = gate.decide(asks(token(claims(exp=NOW + (60 if server.blocked else 80)))))
                await all_open.enter_async_context(tracked(monitor, decision, server))
            clock.now = NOW + 60
            await servers[0].close_message()
            clock.now = NOW + 80
            for server in servers[1:]:
                assert (await server.close_message())["code"] == 4401

    run(main)


def test_monitor_error_in_round_later_expiry_closed() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        server = FakeServer()
        async with tracked(ConnectionMonitor(gate), verified(gate), server):
            clock.broken = True
            await asyncio.wait_for(clock.failed.wait(), 10)
            clock.now = NOW + 60
            assert (await server.close_message())["code"] == 4401

    run(main)


def test_monitor_no_connections_no_task() -> None:
    async def main() -> None:
        gate = gate_at(FaultyClock())
        monitor = ConnectionMonitor(gate)
        before = len(asyncio.all_tasks())
        for _ in range(2):
            server = FakeServer()
            async with tracked(monitor, verified(gate), server):
                assert len(asyncio.all_tasks()) == before + 1
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == before

    run(main)


def test_monitor_application_returned_pending_receive_cancelled() -> None:
    async def main() -> None:
        gate = gate_at(FaultyClock())
        server = FakeServer()
        before = asyncio.all_tasks()
        async with tracked(ConnectionMonitor(gate), verified(gate), server) as live:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(live.receive(), 0.01)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    run(main)


def test_monitor_outside_asyncio_wicket_error() -> None:
    async def main() -> None:
        gate, server = gate_at(FaultyClock()), FakeServer()
        async with tracked(ConnectionMonitor(gate), verified(gate), server):
            raise AssertionError("not reached")

    with pytest.raises(WicketError, match="asyncio"):
        finished(main())


def tracked_count(monitor: ConnectionMonitor) -> int:
    """Return the number of tracked connections and pending closing messages."""
    return sum(len(item._connections) + len(item._closing) + len(item._unjudged) for item in monitor._loops.values())


async def until(check: Callable[[], bool]) -> None:
    """Run the event loop until `check` returns true."""
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


def test_monitor_many_expired_connections_closings_per_step_bounded() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        monitor, decision, count = ConnectionMonitor(gate), verified(gate), 20 * module._CLOSINGS_PER_YIELD
        closed: list[int] = []
        iteration = 0

        async def send(message: Message) -> None:
            closed.append(iteration)

        sockets = [monitor.track(decision, FakeServer().receive, send, websocket=True) for _ in range(count)]
        clock.now = NOW + 60
        while len(closed) < count:
            iteration += 1
            await asyncio.sleep(0)
        assert max(Counter(closed).values()) <= module._CLOSINGS_PER_YIELD
        for item in sockets:
            await monitor.untrack(item)
        await until(lambda: tracked_count(monitor) == 0)

    run(main)


class JudgeCounter:
    """Counts calls of `judge`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._judge = judge_now
        monkeypatch.setattr(module, "judge", self)

    def __call__(self, *args: Any) -> Any:
        self.count += 1
        return self._judge(*args)


def test_monitor_connection_not_due_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        judged = JudgeCounter(monkeypatch)
        clock = FaultyClock()
        gate = gate_at(clock)
        monitor, server, last = ConnectionMonitor(gate), FakeServer(), FakeServer()
        long = gate.decide(asks(token(claims(exp=NOW + 3600))))
        async with tracked(monitor, long, server):
            for number in range(1, 4):
                async with tracked(monitor, gate.decide(asks(token(claims(iat=clock.now, exp=clock.now + 60)))), last):
                    await until(lambda: judged.count >= 2 * number)  # noqa: B023 - it is awaited at once
                    clock.now += 60
                    await last.close_message()
                    last = FakeServer()
            assert judged.count == 1 + 3 * 2, "the long one once, each short one when added and when due"
            assert server.sent == []

    run(main)


def test_monitor_registry_app_read_once_per_round_change_closes_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        apps = [acme(app_locations=())]
        lookups: list[object] = []
        with Gate(registry=lambda ref: apps[-1], app_locations=BY_HEADER, clock=lambda: NOW) as gate:
            monitor, servers = ConnectionMonitor(gate), [FakeServer() for _ in range(50)]
            decision = gate.decide(asks(token()))
            context = gate._context
            assert context.registry is not None
            read = context.registry.read

            def counted(ref: Any) -> Any:
                lookups.append(ref)
                return read(ref)

            monkeypatch.setattr(context.registry, "read", counted)
            async with contextlib.AsyncExitStack() as all_open:
                for server in servers:
                    await all_open.enter_async_context(tracked(monitor, decision, server))
                await until(lambda: len(lookups) >= 3)
                assert all(server.sent == [] for server in servers)
                apps.append(acme(app_locations=(), revocations=Revocations(users={"user-1": NOW})))
                gate.refresh("acme")
                for server in servers:
                    assert (await server.close_message())["reason"] == "revoked"
                assert len(lookups) < len(servers), "fewer look-ups than connections"
                await until(lambda: tracked_count(monitor) == 0)

    run(main)


@pytest.mark.parametrize("error", [Refused(Refusal("apps_unavailable")), RuntimeError("broken")])
def test_monitor_registry_error_known_app_applied(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        clock, lookups = FaultyClock(), asyncio.Event()

        async def fails(flow: Any) -> None:
            flow.close()
            lookups.set()
            raise error

        with Gate(
            registry=lambda ref: acme(app_locations=(), rules=Rules(leeway=0)), app_locations=BY_HEADER, clock=clock
        ) as gate:
            server, decision = FakeServer(), verified(gate)
            monkeypatch.setattr(module, "arun", fails)
            async with tracked(ConnectionMonitor(gate), decision, server):
                await asyncio.wait_for(lookups.wait(), 10)
                clock.now = NOW + 60
                assert (await server.close_message())["reason"] == "expired"

    run(main)


@pytest.mark.parametrize("mode", ["app", "gate"])
def test_monitor_log_only_connection_not_tracked(mode: str) -> None:
    async def main() -> None:
        app = acme(mode=Mode.LOG_ONLY if mode == "app" else Mode.ENFORCE)
        gate = gate_of(app, mode=None if mode == "app" else Mode.LOG_ONLY)
        monitor = ConnectionMonitor(gate)
        async with tracked(monitor, gate.decide(asks(token())), FakeServer()):
            assert tracked_count(monitor) == 0

    run(main)


def test_monitor_untracked_connections_heap_bounded() -> None:
    async def main() -> None:
        gate = gate_at(FaultyClock())
        monitor, decision = ConnectionMonitor(gate), verified(gate)
        async with tracked(monitor, decision, FakeServer()):
            (loop_monitor,) = monitor._loops.values()
            for _ in range(3):
                connections = [
                    monitor.track(decision, FakeServer().receive, FakeServer().send, websocket=True) for _ in range(400)
                ]
                await until(lambda: not loop_monitor._unjudged)
                for item in connections:
                    await monitor.untrack(item)
            assert len(loop_monitor._expiries) <= 2 + module._CHECKS_PER_YIELD

    run(main)


def test_monitor_socket_closed_by_client_or_application_untracked() -> None:
    async def main() -> None:
        gate = gate_at(FaultyClock())
        monitor, server = ConnectionMonitor(gate), FakeServer()
        async with tracked(monitor, verified(gate), server) as live:
            server.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
            await live.receive()
            assert tracked_count(monitor) == 0
        async with tracked(monitor, verified(gate), FakeServer()) as live:
            await live.send({"type": "websocket.close", "code": 1000})
            assert tracked_count(monitor) == 0

    run(main)


def test_monitor_close_message_blocked_cancelled_after_timeout() -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        monitor, server = ConnectionMonitor(gate), BlockedSend()
        live = monitor.track(verified(gate), FakeServer().receive, server, websocket=True)
        clock.now = NOW + 60
        assert (await live.receive())["code"] == 4401
        assert tracked_count(monitor) == 1
        await monitor.untrack(live)
        await until(lambda: tracked_count(monitor) == 0)
        assert server.interrupted == 1

    run(main)


def test_monitor_clock_error_logged_and_later_expiry_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        clock = FaultyClock()
        gate = gate_at(clock)
        monitor, server = ConnectionMonitor(gate), FakeServer()
        async with tracked(monitor, verified(gate), server):
            (loop_monitor,) = monitor._loops.values()
            await until(lambda: not loop_monitor._unjudged)
            clock.broken = True
            await asyncio.wait_for(clock.failed.wait(), 10)
            clock.now = NOW + 60
            assert (await server.close_message())["reason"] == "expired"
        assert "the clock of the gate failed" in caplog.text

    run(main)


def test_monitor_app_log_only_connection_closed_only_after_enforce() -> None:
    async def main() -> None:
        clock = FaultyClock()
        apps = [acme(app_locations=(), rules=Rules(leeway=0))]
        with Gate(registry=lambda ref: apps[0], app_locations=BY_HEADER, clock=clock) as gate:
            monitor, server = ConnectionMonitor(gate), FakeServer()
            async with tracked(monitor, verified(gate), server):
                (loop_monitor,) = monitor._loops.values()
                await until(lambda: len(loop_monitor._expiries) == 1)
                (group,) = loop_monitor._groups.values()

                async def change(mode: Mode) -> None:
                    apps[0] = acme(app_locations=(), rules=Rules(leeway=0), mode=mode)
                    gate.refresh("acme")
                    await until(lambda: group.app is apps[0] and not loop_monitor._unjudged)

                await change(Mode.ENFORCE)
                assert len(loop_monitor._expiries) == 1
                await change(Mode.LOG_ONLY)
                clock.now = NOW + 60
                await until(lambda: not loop_monitor._expiries)
                assert server.sent == []
                await change(Mode.ENFORCE)
                assert (await server.close_message())["reason"] == "expired"

    run(main)


def test_monitor_connection_ended_during_round_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKS_PER_YIELD", 1)

    async def main() -> None:
        judged: list[object] = []
        with Gate(
            registry=lambda ref: App(str(ref.value), app_locations=(), credentials=[secret()]),
            app_locations=BY_HEADER,
            clock=lambda: NOW,
        ) as gate:
            monitor = ConnectionMonitor(gate)
            decisions = [gate.decide(asks(token(), app=name)) for name in ("a", "b", "c")]
            server = FakeServer()
            connections = [monitor.track(item, server.receive, server.send, websocket=True) for item in decisions]

            def judge(*args: Any) -> None:
                judged.append(args)
                for item in connections[1:]:
                    item.end()

            monkeypatch.setattr(module, "judge", judge)
            await until(lambda: tracked_count(monitor) == 1)
            await until(lambda: not monitor._loops[asyncio.get_running_loop()]._unjudged)
            assert len(judged) <= 2, "the first one, and the one that was not ended"
            await monitor.untrack(connections[0])

    run(main)
