"""A real server in this event loop, an application that sends without end, and a client that reads when it is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import hypercorn.asyncio
import hypercorn.config
import uvicorn

from tests.support.unit import NOW, acme, claims, gate_of, token
from wicket import Mode, Rules
from wicket.asgi import Receive, Scope, Send, WicketMiddleware

DEADLINE: Final = 20.0
"""How many seconds anything may take before a test gives up."""

CHUNK: Final = b"data: " + b"x" * 65_000 + b"\n\n"
_TURNS: Final = 40

SERVERS: Final = (
    ("uvicorn h11", "http"),
    ("uvicorn httptools", "http"),
    ("uvicorn websockets", "websocket"),
    ("uvicorn websockets-sansio", "websocket"),
    ("uvicorn wsproto", "websocket"),
    ("hypercorn", "http"),
    ("hypercorn", "websocket"),
)


class Endless:
    """An application that sends until it is told to stop; `told` is what `send` raised."""

    def __init__(self) -> None:
        self.sent = 0
        self.stopped = False
        self.told: BaseException | None = None
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with an event stream, or send on a socket."""
        if scope["type"] == "lifespan":
            return
        try:
            if scope["type"] == "http":
                head = [(b"content-type", b"text/event-stream")]
                await send({"type": "http.response.start", "status": 200, "headers": head})
                message: Any = {"type": "http.response.body", "body": CHUNK, "more_body": True}
            else:
                await receive()
                await send({"type": "websocket.accept"})
                message = {"type": "websocket.send", "bytes": CHUNK}
            while not self.stopped:  # what is sent to a client that hung up is taken without end
                await send(message)
                self.sent += 1
                await asyncio.sleep(0)
        except BaseException as error:
            self.told = error
            raise
        finally:
            self.ended.set()

    async def blocked(self) -> None:
        """Wait until the server keeps a message back: it does not stop to take them otherwise."""
        async with asyncio.timeout(DEADLINE):
            turns = before = 0
            while turns < _TURNS:
                await asyncio.sleep(0.01)
                turns = turns + 1 if 0 < self.sent == before else 0
                before = self.sent


class Reader:
    """A bare client connection with a small buffer, which reads nothing by itself."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)
        self._port = port

    async def ask(self, kind: str, proof: str) -> None:
        """Connect, and ask for a socket or an event stream."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        upgrade = (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\n"
        )
        head = f"GET / HTTP/1.1\r\nHost: test\r\nX-App-Id: acme\r\nAuthorization: Bearer {proof}\r\n"
        await loop.sock_sendall(self._socket, (head + (upgrade if kind == "websocket" else "") + "\r\n").encode())

    async def read_until(self, end: bytes) -> bytes:
        """The last bytes, once `end` has come, or nothing comes any more."""
        loop, last = asyncio.get_running_loop(), b""
        async with asyncio.timeout(DEADLINE):
            while end not in last and (read := await loop.sock_recv(self._socket, 1 << 16)):
                last = last[-len(end) :] + read
        return last

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class World:
    """An application behind the gate in a real server, on a clock that the test moves."""

    def __init__(self, mode: Mode) -> None:
        self.now: float = NOW
        self.app = Endless()
        self.gate = gate_of(acme(rules=Rules(leeway=0), mode=mode), clock=lambda: self.now)
        self.door = WicketMiddleware(self.app, self.gate, close_on_expiry=True)
        self.done = asyncio.Event()
        self.token = token(claims(exp=NOW + 60))

    async def served(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the server calls."""
        await self.door(scope, receive, send)
        if scope["type"] != "lifespan":
            self.done.set()

    def watched(self) -> int:
        """How many connections the monitor holds, and how many closing messages are still to be sent."""
        return sum(len(each._connections) + len(each._closing) for each in self.door._monitor._loops.values())


@contextlib.asynccontextmanager
async def reading(server: str, kind: str, *, mode: Mode = Mode.ENFORCE) -> AsyncIterator[tuple[World, Reader]]:
    """A client that has asked for a connection which lasts, and that does not read."""
    world = World(mode)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    stop = asyncio.Event()
    serving = asyncio.create_task(_STARTS[server.partition(" ")[0]](world, server, listening, stop))
    reader = Reader(port)
    try:
        await reader.ask(kind, world.token)
        yield world, reader
    finally:
        world.app.stopped = True
        reader.close()
        stop.set()
        await asyncio.wait_for(serving, DEADLINE)
        listening.close()
        world.gate.close()


async def _uvicorn(world: World, name: str, listening: socket.socket, stop: asyncio.Event) -> None:
    variant = name.partition(" ")[2]
    protocol: Any = {"ws": variant} if variant not in ("h11", "httptools") else {"http": variant}
    server = uvicorn.Server(
        uvicorn.Config(world.served, interface="asgi3", lifespan="off", log_config=None, **protocol)
    )
    serving = asyncio.create_task(server._serve([listening]))  # without its handlers of signals
    await stop.wait()
    server.should_exit = True
    await serving


async def _hypercorn(world: World, name: str, listening: socket.socket, stop: asyncio.Event) -> None:
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.graceful_timeout = 1.0
    config.errorlog = logging.getLogger("hypercorn.test")
    served: Any = world.served
    await hypercorn.asyncio.serve(served, config, shutdown_trigger=stop.wait)
    listening.detach()  # hypercorn has closed it


_STARTS: Final[dict[str, Callable[..., Any]]] = {"uvicorn": _uvicorn, "hypercorn": _hypercorn}
