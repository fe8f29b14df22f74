"""What a request costs more in a real server: its CPU time, with an empty handler, over kept-alive connections.

Each variant has a server of its own, a process with one worker; they are asked in turn, in many short rounds. A
server says itself how much CPU its process has spent (see `served.py`): the system's own figures of a process come in
steps of 10 ms, as much as some 100 requests take.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks import scene
from benchmarks.measure import Row, Samples
from benchmarks.served import VARIANTS

ROUNDS: Final = 300
CALLS: Final = 60
BOUND: Final = 0.25
_STARTS: Final = 20.0

_COMMANDS: Final[dict[str, Callable[[int], list[str]]]] = {
    "uvicorn": lambda port: [
        *("uvicorn", "benchmarks.served:asgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--lifespan", "off", "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "600"),
    ],
    "gunicorn gthread": lambda port: [
        *("gunicorn", "benchmarks.served:wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
        *("--workers", "1", "--threads", "4", "--keep-alive", "600", "--log-level", "warning"),
    ],
}


def rows() -> list[Row]:
    """One line for each server that is installed."""
    lines: list[Row] = []
    for server, command in _COMMANDS.items():
        package = server.partition(" ")[0]
        if find_spec(package) is None:
            print(f"left out: {server}: the package {package} is not installed", file=sys.stderr)
        else:
            lines.append(_row(server, command))
    return lines


def _row(server: str, command: Callable[[int], list[str]]) -> Row:
    with ExitStack() as stack:
        clients = {variant: stack.enter_context(_serving(command, variant)) for variant in VARIANTS}
        samples = _measured(clients)
    bare, by_hand, wicket = VARIANTS
    ratio, spread = samples.ratio(wicket, by_hand, less=bare)
    micros = {name: samples.median(name, less=bare) for name in (by_hand, wicket)}
    return Row(
        "servers",
        f"CPU added to a request of {server}, empty handler, HS256: Wicket against PyJWT by hand",
        ratio,
        BOUND,
        spread=spread,
        note=f"Wicket {micros[wicket]:.1f} µs, {by_hand} {micros[by_hand]:.1f} µs, bare {samples.median(bare):.0f} µs",
        micros=micros,
    )


def _measured(clients: dict[str, _Client]) -> Samples:
    token = scene.token_for("user-1")
    headers = scene.headers_of(token)
    for variant, client in clients.items():
        wrong = scene.headers_of(scene.forged("HS256"))
        if (client.ask("/", wrong)[0] == 200) is not (variant == VARIANTS[0]):
            raise RuntimeError(f"{variant} does not judge a forged token as it should")
    times: dict[str, list[float]] = {variant: [] for variant in clients}
    order = list(clients)
    for number in range(-2, ROUNDS):
        for variant in order:
            client = clients[variant]
            before = client.cpu()
            for _ in range(CALLS):
                if client.ask("/", headers)[0] != 200:
                    raise RuntimeError("a request was not answered with 200")
            spent = client.cpu() - before
            if number >= 0:
                times[variant].append(spent / CALLS * 1e6)
        order = [*order[1:], order[0]]
    return Samples(times)


class _Client:
    """One kept-alive connection, without a library that would take more than the server."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")

    def ask(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """The status and the body."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        status = int(self._answers.readline().split()[1])
        length = 0
        while (line := self._answers.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, self._answers.read(length)

    def cpu(self) -> float:
        """The seconds of CPU that the server's process has spent."""
        return float(self.ask("/cpu", {"host": "api.example"})[1])

    def close(self) -> None:
        self._answers.close()
        self._connection.close()


@contextmanager
def _serving(command: Callable[[int], list[str]], variant: str) -> Iterator[_Client]:
    """A server of that variant in a process of its own, and a connection to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "BENCHMARK_VARIANT": variant}
    process = subprocess.Popen(
        [sys.executable, "-m", *command(port)], env=environment, cwd=Path(__file__).resolve().parent.parent
    )
    try:
        client = _connected(port, process)
        try:
            yield client
        finally:
            client.close()
    finally:
        process.terminate()
        process.wait(10)


def _connected(port: int, process: subprocess.Popen[bytes]) -> _Client:
    until = time.monotonic() + _STARTS
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError("a server did not start") from None
            time.sleep(0.05)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _Client(connection)
