"""The watch over lasting connections: it closes what no longer holds, and nothing and nobody holds it up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.properties.doors import finished
from tests.unit.http.connections import Hand, Line, gate_at, run, verified
from tests.unit.support import NOW, asks, claims, token
from wicket import Decision, WicketError
from wicket.http import monitor as module
from wicket.http.lasting import Lasting
from wicket.http.monitor import Watch


@contextlib.asynccontextmanager
async def over(watch: Watch, decision: Decision, line: Line) -> AsyncIterator[Lasting]:
    """Look after a socket meanwhile, as the door does."""
    lasting = watch.over(decision, line.receive, line.send, websocket=True)
    try:
        yield lasting
    finally:
        await watch.leave(lasting)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.01)
    monkeypatch.setattr(module, "_CLOSE_TIMEOUT", 0.05)


def test_a_watch_closes_what_has_expired_and_nothing_else() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        watch = Watch(gate)
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


def test_a_client_that_never_lets_go_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        watch = Watch(gate)
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


def test_a_fault_in_one_round_does_not_end_the_watch() -> None:
    async def main() -> None:
        clock = Hand()
        gate = gate_at(clock)
        line = Line()
        async with over(Watch(gate), verified(gate), line):
            clock.broken = True
            await asyncio.wait_for(clock.failed.wait(), 10)
            clock.now = NOW + 60
            assert (await line.closing())["code"] == 4401

    run(main)


def test_a_watch_over_nothing_does_nothing() -> None:
    async def main() -> None:
        gate = gate_at(Hand())
        watch = Watch(gate)
        before = len(asyncio.all_tasks())
        for _ in range(2):
            line = Line()
            async with over(watch, verified(gate), line):
                assert len(asyncio.all_tasks()) == before + 1
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == before

    run(main)


def test_what_the_application_leaves_is_waited_for_no_more() -> None:
    async def main() -> None:
        gate = gate_at(Hand())
        line = Line()
        before = asyncio.all_tasks()
        async with over(Watch(gate), verified(gate), line) as lasting:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lasting.receive(), 0.01)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    run(main)


def test_only_asyncio_can_watch() -> None:
    async def main() -> None:
        gate, line = gate_at(Hand()), Line()
        async with over(Watch(gate), verified(gate), line):
            raise AssertionError("is not reached")

    with pytest.raises(WicketError, match="asyncio"):
        finished(main())
