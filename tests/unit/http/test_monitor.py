"""The watch over lasting connections: it closes what no longer holds, and nothing and nobody holds it up."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.clients import finished
from tests.support.unit import BY_HEADER, NOW, acme, asks, claims, gate_of, secret, token
from tests.unit.http.connections import Hand, Line, Stuck, gate_at, run, verified
from wicket import App, Decision, Gate, Mode, Refusal, Refused, Revocations, Rules, WicketError
from wicket.decision.revalidation import judge as judge_now
from wicket.http import monitor as module
from wicket.http.long_lived import LiveConnection, Message
from wicket.http.monitor import ConnectionMonitor


@contextlib.asynccontextmanager
async def over(watch: ConnectionMonitor, decision: Decision, line: Line) -> AsyncIterator[LiveConnection]:
    """Look after a socket meanwhile, as the door does."""
    lasting = watch.track(decision, line.receive, line.send, websocket=True)
    try:
        yield lasting
    finally:
        await watch.untrack(lasting)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.01)
    monkeypatch.setattr(module, "_CLOSE_TIMEOUT", 0.05)


def test_monitor_expired_connection_closed_others_kept() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        watch = ConnectionMonitor(gate)
        early, late, line, other = verified(gate), gate.decide(asks(token(claims(exp=NOW + 90)))), Line(), Line()
        async with (
            over(watch, early, line),
            over(watch, late, other),
        ):
            clock.now = NOW + 60
            assert await line.closing() == {"type": "websocket.close", "code": 4401, "reason": "expired"}
            assert other.sent == []
            clock.now = NOW + 90
            assert (await other.closing())["reason"] == "expired"

    run(main)


def test_monitor_blocked_client_other_connections_closed() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        watch = ConnectionMonitor(gate)
        lines = [Line() for _ in range(5)]
        lines[0].stuck = True
        async with contextlib.AsyncExitStack() as all_open:
            for line in lines:
                decision = gate.decide(asks(token(claims(exp=NOW + (60 if line.stuck else 80)))))
                await all_open.enter_async_context(over(watch, decision, line))
            clock.now = NOW + 60
            await lines[0].closing()
            clock.now = NOW + 80
            for line in lines[1:]:
                assert (await line.closing())["code"] == 4401

    run(main)


def test_monitor_error_in_round_later_expiry_closed() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        line = Line()
        async with over(ConnectionMonitor(gate), verified(gate), line):
            clock.broken = True
            await asyncio.wait_for(clock.failed.wait(), 10)
            clock.now = NOW + 60
            assert (await line.closing())["code"] == 4401

    run(main)


def test_monitor_no_connections_no_task() -> None:
    async def main() -> None:
        gate = gate_at(Hand())
        watch = ConnectionMonitor(gate)
        before = len(asyncio.all_tasks())
        for _ in range(2):
            line = Line()
            async with over(watch, verified(gate), line):
                assert len(asyncio.all_tasks()) == before + 1
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == before

    run(main)


def test_monitor_application_returned_pending_receive_cancelled() -> None:
    async def main() -> None:
        gate = gate_at(Hand())
        line = Line()
        before = asyncio.all_tasks()
        async with over(ConnectionMonitor(gate), verified(gate), line) as lasting:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lasting.receive(), 0.01)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    run(main)


def test_monitor_outside_asyncio_wicket_error() -> None:
    async def main() -> None:
        gate, line = gate_at(Hand()), Line()
        async with over(ConnectionMonitor(gate), verified(gate), line):
            raise AssertionError("is not reached")

    with pytest.raises(WicketError, match="asyncio"):
        finished(main())


def held(watch: ConnectionMonitor) -> int:
    """How many connections and closing messages are left."""
    return sum(len(each._held) + len(each._closing) + len(each._unjudged) for each in watch._loops.values())


async def until(check: Callable[[], bool]) -> None:
    """Let the event loop turn until `check` is true."""
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


def test_monitor_many_expired_connections_closings_per_step_bounded() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        watch, decision, count = ConnectionMonitor(gate), verified(gate), 20 * module._CLOSINGS
        closed: list[int] = []
        turn = 0

        async def send(message: Message) -> None:
            closed.append(turn)

        sockets = [watch.track(decision, Line().receive, send, websocket=True) for _ in range(count)]
        clock.now = NOW + 60
        while len(closed) < count:
            turn += 1
            await asyncio.sleep(0)
        assert max(Counter(closed).values()) <= module._CLOSINGS
        for each in sockets:
            await watch.untrack(each)
        await until(lambda: held(watch) == 0)

    run(main)


class Looked:
    """Counts how often a connection is judged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._judge = judge_now
        monkeypatch.setattr(module, "judge", self)

    def __call__(self, *given: Any) -> Any:
        self.count += 1
        return self._judge(*given)


def test_monitor_connection_not_due_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        looked = Looked(monkeypatch)
        clock = Hand()
        gate = gate_at(clock)
        watch, line, last = ConnectionMonitor(gate), Line(), Line()
        long = gate.decide(asks(token(claims(exp=NOW + 3600))))
        async with over(watch, long, line):
            for number in range(1, 4):
                async with over(watch, gate.decide(asks(token(claims(iat=clock.now, exp=clock.now + 60)))), last):
                    await until(lambda: looked.count >= 2 * number)  # noqa: B023 - it is awaited at once
                    clock.now += 60
                    await last.closing()
                    last = Line()
            assert looked.count == 1 + 3 * 2, "the long one once, the short ones when they came and when they were due"
            assert line.sent == []

    run(main)


def test_monitor_registry_app_read_once_per_round_change_closes_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        apps = [acme(app_locations=())]
        asked: list[object] = []
        with Gate(registry=lambda ref: apps[-1], app_locations=BY_HEADER, clock=lambda: NOW) as gate:
            watch, lines = ConnectionMonitor(gate), [Line() for _ in range(50)]
            decision = gate.decide(asks(token()))
            house = gate._context
            assert house.registry is not None
            read = house.registry.read

            def counted(ref: Any) -> Any:
                asked.append(ref)
                return read(ref)

            monkeypatch.setattr(house.registry, "read", counted)
            async with contextlib.AsyncExitStack() as all_open:
                for line in lines:
                    await all_open.enter_async_context(over(watch, decision, line))
                await until(lambda: len(asked) >= 3)
                assert all(line.sent == [] for line in lines)
                apps.append(acme(app_locations=(), revocations=Revocations(users={"user-1": NOW})))
                gate.refresh("acme")
                for line in lines:
                    assert (await line.closing())["reason"] == "revoked"
                assert len(asked) < len(lines), "not once for each connection"
                await until(lambda: held(watch) == 0)

    run(main)


@pytest.mark.parametrize("error", [Refused(Refusal("apps_unavailable")), RuntimeError("broken")])
def test_monitor_registry_error_known_app_applied(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        clock, asked = Hand(), asyncio.Event()

        async def fails(flow: Any) -> None:
            flow.close()
            asked.set()
            raise error

        with Gate(
            registry=lambda ref: acme(app_locations=(), rules=Rules(leeway=0)), app_locations=BY_HEADER, clock=clock
        ) as gate:
            line, decision = Line(), verified(gate)
            monkeypatch.setattr(module, "arun", fails)
            async with over(ConnectionMonitor(gate), decision, line):
                await asyncio.wait_for(asked.wait(), 10)
                clock.now = NOW + 60
                assert (await line.closing())["reason"] == "expired"

    run(main)


@pytest.mark.parametrize("mode", ["app", "gate"])
def test_monitor_log_only_connection_not_tracked(mode: str) -> None:
    async def main() -> None:
        app = acme(mode=Mode.LOG_ONLY if mode == "app" else Mode.ENFORCE)
        gate = gate_of(app, mode=None if mode == "app" else Mode.LOG_ONLY)
        watch = ConnectionMonitor(gate)
        async with over(watch, gate.decide(asks(token())), Line()):
            assert held(watch) == 0

    run(main)


def test_monitor_untracked_connections_heap_bounded() -> None:
    async def main() -> None:
        gate = gate_at(Hand())
        watch, decision = ConnectionMonitor(gate), verified(gate)
        async with over(watch, decision, Line()):
            (held_here,) = watch._loops.values()
            for _ in range(3):
                many = [watch.track(decision, Line().receive, Line().send, websocket=True) for _ in range(400)]
                await until(lambda: not held_here._unjudged)
                for each in many:
                    await watch.untrack(each)
            assert len(held_here._expiries) <= 2 + module._LOOKS

    run(main)


def test_monitor_socket_closed_by_client_or_application_untracked() -> None:
    async def main() -> None:
        gate = gate_at(Hand())
        watch, line = ConnectionMonitor(gate), Line()
        async with over(watch, verified(gate), line) as lasting:
            line.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
            await lasting.receive()
            assert held(watch) == 0
        async with over(watch, verified(gate), Line()) as lasting:
            await lasting.send({"type": "websocket.close", "code": 1000})
            assert held(watch) == 0

    run(main)


def test_monitor_close_message_blocked_cancelled_after_timeout() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        watch, server = ConnectionMonitor(gate), Stuck()
        lasting = watch.track(verified(gate), Line().receive, server, websocket=True)
        clock.now = NOW + 60
        assert (await lasting.receive())["code"] == 4401
        assert held(watch) == 1
        await watch.untrack(lasting)
        await until(lambda: held(watch) == 0)
        assert server.interrupted == 1

    run(main)


def test_monitor_clock_error_logged_and_later_expiry_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        watch, line = ConnectionMonitor(gate), Line()
        async with over(watch, verified(gate), line):
            (held_here,) = watch._loops.values()
            await until(lambda: not held_here._unjudged)
            clock.broken = True
            await asyncio.wait_for(clock.failed.wait(), 10)
            clock.now = NOW + 60
            assert (await line.closing())["reason"] == "expired"
        assert "the clock of the gate failed" in caplog.text

    run(main)


def test_monitor_app_log_only_connection_closed_only_after_enforce() -> None:
    async def main() -> None:
        clock = Hand()
        held_app = [acme(app_locations=(), rules=Rules(leeway=0))]
        with Gate(registry=lambda ref: held_app[0], app_locations=BY_HEADER, clock=clock) as gate:
            watch, line = ConnectionMonitor(gate), Line()
            async with over(watch, verified(gate), line):
                (held_here,) = watch._loops.values()
                await until(lambda: len(held_here._expiries) == 1)
                (group,) = held_here._groups.values()

                async def change(mode: Mode) -> None:
                    held_app[0] = acme(app_locations=(), rules=Rules(leeway=0), mode=mode)
                    gate.refresh("acme")
                    await until(lambda: group.app is held_app[0] and not held_here._unjudged)

                await change(Mode.ENFORCE)
                assert len(held_here._expiries) == 1
                await change(Mode.LOG_ONLY)
                clock.now = NOW + 60
                await until(lambda: not held_here._expiries)
                assert line.sent == []
                await change(Mode.ENFORCE)
                assert (await line.closing())["reason"] == "expired"

    run(main)


def test_monitor_connection_ended_during_round_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOKS", 1)

    async def main() -> None:
        looked: list[object] = []
        with Gate(
            registry=lambda ref: App(str(ref.value), app_locations=(), credentials=[secret()]),
            app_locations=BY_HEADER,
            clock=lambda: NOW,
        ) as gate:
            watch = ConnectionMonitor(gate)
            several = [
                watch.track(gate.decide(asks(token(), app=name)), Line().receive, Line().send, websocket=True)
                for name in ("a", "b", "c")
            ]

            def judge(*given: Any) -> None:
                looked.append(given)
                for each in several[1:]:
                    each.end()

            monkeypatch.setattr(module, "judge", judge)
            await until(lambda: held(watch) == 1)
            await until(lambda: not watch._loops[asyncio.get_running_loop()]._unjudged)
            assert len(looked) <= 2, "the first, and the one that stays"
            await watch.untrack(several[0])

    run(main)
