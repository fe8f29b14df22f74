"""Measures the CPU time that Wicket adds to a request in a real server, over persistent connections.

A server is one process with one worker that serves all variants, each under its own path; they are asked in turn, in
many short rounds. Several requests are always under way, as in a server whose CPU counts: one that has nothing to do
between two requests finds its caches emptied by the system. Where there are CPUs enough, the server has one of its own.
It says itself how much CPU its process has spent (see `served.py`): the system's own figures of a process come in steps
of 10 ms, as much as some 100 requests take.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks import fixtures
from benchmarks.measure import Row, Samples
from benchmarks.server_apps import PATHS

ROUNDS: Final = 300
CALLS: Final = 60
CONNECTIONS: Final = 4
BOUND: Final = 0.25
_STARTS: Final = 20.0

_COMMANDS: Final[dict[str, Callable[[int], list[str]]]] = {
    "uvicorn": lambda port: [
        *("uvicorn", "benchmarks.server_apps:asgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--lifespan", "off", "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "600"),
    ],
    "gunicorn gthread": lambda port: [
        *("gunicorn", "benchmarks.server_apps:wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
        *("--workers", "1", "--threads", "4", "--keep-alive", "600", "--log-level", "warning"),
    ],
}


def rows() -> list[Row]:
    """Returns one row per installed server."""
    lines: list[Row] = []
    for server, command in _COMMANDS.items():
        package = server.partition(" ")[0]
        if find_spec(package) is None:
            print(f"left out: {server}: the package {package} is not installed", file=sys.stderr)
        else:
            lines.append(_row(server, command))
    return lines


def _row(server: str, command: Callable[[int], list[str]]) -> Row:
    with _apart() as cpu, _serving(command, cpu) as clients:
        samples = _measured(clients)
    bare, by_hand, wicket = PATHS
    ratio, spread = samples.ratio(wicket, by_hand, less=bare)
    micros = {name: samples.median(name, less=bare) for name in (by_hand, wicket)}
    return Row(
        "servers",
        f"CPU added to a request of {server}, empty handler, HS256: Wicket against PyJWT middleware",
        ratio,
        BOUND,
        spread=spread,
        note=f"Wicket {micros[wicket]:.1f} µs, {by_hand} {micros[by_hand]:.1f} µs, bare {samples.median(bare):.0f} µs",
        micros=micros,
    )


def _measured(clients: list[_Client]) -> Samples:
    client = clients[0]
    headers = fixtures.headers_of(fixtures.token_for("user-1"))
    wrong = fixtures.headers_of(fixtures.forged("HS256"))
    for variant, path in PATHS.items():
        if (client.ask(path, wrong)[0] == 200) is not (variant == "bare"):
            raise RuntimeError(f"{variant} does not judge a forged token as it should")
    times: dict[str, list[float]] = {variant: [] for variant in PATHS}
    order = list(PATHS)
    for number in range(-2, ROUNDS):
        for variant in order:
            path = PATHS[variant]
            before = client.cpu()
            for _ in range(CALLS // len(clients)):
                for each in clients:
                    each.send(path, headers)
                for each in clients:
                    if each.receive()[0] != 200:
                        raise RuntimeError("a request was not answered with 200")
            spent = client.cpu() - before
            if number >= 0:
                times[variant].append(spent / CALLS * 1e6)
        order = [*order[1:], order[0]]
    return Samples(times)


class _Client:
    """One persistent connection, without a library, which would use more CPU time than the server."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")

    def ask(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Returns the status and the body of the response."""
        self.send(path, headers)
        return self.receive()

    def send(self, path: str, headers: dict[str, str]) -> None:
        """Send a request."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())

    def receive(self) -> tuple[int, bytes]:
        """Returns the status and the body of the response to a sent request."""
        status = int(self._answers.readline().split()[1])
        length = 0
        while (line := self._answers.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, self._answers.read(length)

    def cpu(self) -> float:
        """Returns the CPU time of the server process in seconds."""
        return float(self.ask("/cpu", {"host": "api.example"})[1])

    def close(self) -> None:
        self._answers.close()
        self._connection.close()


@contextmanager
def _apart() -> Iterator[int | None]:
    """Returns a CPU that only the server uses, or None if there is one CPU, or if affinity cannot be set."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(usable) < 2:
        yield None
        return
    cpu = max(usable)
    os.sched_setaffinity(0, usable - {cpu})
    try:
        yield cpu
    finally:
        os.sched_setaffinity(0, usable)


@contextmanager
def _serving(command: Callable[[int], list[str]], cpu: int | None) -> Iterator[list[_Client]]:
    """Starts a server in another process on that CPU, and connects to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", *command(port)], cwd=Path(__file__).resolve().parent.parent)
    try:
        if cpu is not None:
            os.sched_setaffinity(process.pid, {cpu})
        clients = [_connected(port, process) for _ in range(CONNECTIONS)]
        try:
            yield clients
        finally:
            for client in clients:
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
