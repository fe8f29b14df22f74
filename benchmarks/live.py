"""Measures long-lived connections: the cost of 10,000 WebSockets, and how they close when they expire together.

The server is uvicorn with wsproto, in this process; the client is another process. If the system allows fewer open
files, there are fewer sockets, and the rows state their number. The stall is the longest time between two turns of the
server's event loop. It includes the time that the server needs to close a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from benchmarks import fixtures
from benchmarks.measure import Row
from wicket import Gate, profiles
from wicket.asgi import Receive, Scope, Send, WicketMiddleware

SOCKETS: Final = 10_000
STALL: Final = 0.05
LAST: Final = 2.0
IDLE: Final = 3.0
_ROOT: Final = Path(__file__).resolve().parent.parent
_SPARE: Final = 200
_DEADLINE: Final = 120.0


class _Site:
    """An application that accepts each WebSocket and waits until it closes; `clock` is the clock of the gate."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.open = 0
        self.closed_at: list[float] = []

    def clock(self) -> float:
        return time.time() + self.ahead

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.open += 1
        await receive()
        self.closed_at.append(time.perf_counter())


def rows() -> list[Row]:
    """Measures the stall, the time until the last socket closes, and the idle cost, in as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < SOCKETS + _SPARE:
        wanted = SOCKETS + _SPARE if hard == resource.RLIM_INFINITY else min(hard, SOCKETS + _SPARE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    count = min(SOCKETS, soft - _SPARE)
    return asyncio.run(_measured(count))


async def _measured(count: int) -> list[Row]:
    site = _Site()
    gate = Gate([fixtures.app_with()], app_locations=profiles.generic.app_locations, clock=site.clock)
    middleware = WicketMiddleware(site, gate, close_on_expiry=True)
    async with _served(middleware) as port:
        client = await _client(port, count)
        try:
            async with asyncio.timeout(_DEADLINE):
                while site.open < count:  # noqa: ASYNC110 - it is another process that opens them
                    await asyncio.sleep(0.05)
            gc.collect()
            idle = await _idle()
            begun, spent = time.perf_counter(), time.process_time()
            site.ahead = 7200.0 + fixtures.SKEW  # every token is valid for two hours
            stall, busy, turns = await _turning(site, count)
            last, spent = max(site.closed_at) - begun, time.process_time() - spent
        finally:
            client.terminate()
            await client.wait()
    gate.close()
    less = "" if count == SOCKETS else f"; the system allows no more than {count:,} sockets"
    return [
        Row(
            "live",
            f"{count:,} sockets that expire within one second: longest stall of the loop",
            stall * 1000,
            STALL * 1000,
            unit="ms",
            note=f"{busy * 1000:.1f} ms of CPU in the busiest of {turns:,} turns{less}",
        ),
        Row(
            "live",
            f"{count:,} sockets that expire within one second: until the last is closed",
            last,
            LAST,
            unit="s",
            note=f"{spent:.1f} s of CPU, the server's own work included{less}",
        ),
        Row("live", f"{count:,} watched sockets at rest: share of a core", idle, unit="cores", note=less[2:]),
    ]


async def _idle() -> float:
    """Returns the share of a core that this process uses while it is idle."""
    spent, begun = time.process_time(), time.perf_counter()
    await asyncio.sleep(IDLE)
    return (time.process_time() - spent) / (time.perf_counter() - begun)


async def _turning(site: _Site, count: int) -> tuple[float, float, int]:
    """Run the loop until all are closed. Returns the longest turn, the most CPU time of one, and their number."""
    longest, most, turns = 0.0, 0.0, 0
    before, spent = time.perf_counter(), time.thread_time()
    async with asyncio.timeout(_DEADLINE):
        while len(site.closed_at) < count:
            await asyncio.sleep(0)
            now, used = time.perf_counter(), time.thread_time()
            longest, most, turns = max(longest, now - before), max(most, used - spent), turns + 1
            before, spent = now, used
    return longest, most, turns


@contextlib.asynccontextmanager
async def _served(app: Any) -> AsyncIterator[int]:
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        app, interface="asgi3", lifespan="off", ws="wsproto", log_config=None, ws_ping_interval=None, backlog=4096
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def _client(port: int, count: int) -> asyncio.subprocess.Process:
    """Starts a process that opens `count` sockets and reads from all of them."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.live", str(port), str(count), fixtures.token_for("user-1")),
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
    )


async def _connect(port: int, proof: str, slots: asyncio.Semaphore) -> None:
    async with slots:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = "".join(f"{name}: {value}\r\n" for name, value in fixtures.headers_of(proof).items())
        upgrade = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        upgrade += f"sec-websocket-key: {'A' * 22}=="
        writer.write(f"GET / HTTP/1.1\r\n{head}{upgrade}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
    if await reader.read(4):
        writer.write(b"\x88\x82\0\0\0\0\x11\x31")  # a close frame, with its code
    await reader.read()
    writer.close()


async def _hold(port: int, count: int, proof: str) -> None:
    slots = asyncio.Semaphore(100)
    await asyncio.gather(*(_connect(port, proof, slots) for _ in range(count)), return_exceptions=True)


if __name__ == "__main__":
    wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    asyncio.run(_hold(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
