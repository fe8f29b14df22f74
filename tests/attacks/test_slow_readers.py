"""Clients that do not read: neither they nor their number keep anything of the server beyond the end of their token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.attacks.readers import DEADLINE, SERVERS, reading
from wicket import Mode
from wicket.http import monitor
from wicket.http.long_lived import ConnectionEnded

pytestmark = [  # uvicorn's oldest implementation of sockets is deprecated, and what it uses
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*implementation is deprecated"),
]

SLOW = pytest.mark.parametrize(("server", "kind"), SERVERS, ids=[" ".join(each) for each in SERVERS])


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 4 * DEADLINE))


@SLOW
def test_s12_long_lived_expired_unreading_client_task_ended(
    server: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_CLOSE_TIMEOUT", 0.05)

    async def main() -> None:
        async with reading(server, kind) as (world, _):
            await world.app.blocked()
            assert world.watched() == 1
            assert not world.app.ended.is_set(), "while its token holds it may take its time"
            world.now += 60
            await asyncio.wait_for(world.app.ended.wait(), DEADLINE)
            assert isinstance(world.app.told, ConnectionEnded)
            await asyncio.wait_for(world.done.wait(), DEADLINE)
            assert world.watched() == 0

    run(main)


@SLOW
def test_s12_long_lived_expired_late_reader_receives_end(
    server: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "_CLOSE_TIMEOUT", DEADLINE)

    async def main() -> None:
        async with reading(server, kind) as (world, reader):
            await world.app.blocked()
            world.now += 60
            await asyncio.wait_for(world.app.ended.wait(), DEADLINE)
            end = b"\r\n0\r\n\r\n" if kind == "http" else b"\x88\x09" + (4401).to_bytes(2, "big") + b"expired"
            assert end in await reader.read_until(end)

    run(main)


@SLOW
def test_s12_long_lived_log_only_connection_not_ended(server: str, kind: str) -> None:
    async def main() -> None:
        async with reading(server, kind, mode=Mode.LOG_ONLY) as (world, _):
            await world.app.blocked()
            world.now += 60
            assert world.watched() == 0
            assert not world.app.ended.is_set()

    run(main)
