"""Real servers in processes of their own, and the plainest clients for them. Nothing here knows what is tested."""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tests.leaks.plugin import WATCH

ROOT: Final = Path(__file__).parents[2]
DEADLINE: Final = 20.0
"""How many seconds anything may take before a test gives up."""

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs and accepts connections."""

    port: int

    def ask(
        self, target: str, headers: Headers = (), *, method: str = "GET", body: bytes | None = None, host: str = "test"
    ) -> Answer:
        """Send one request on a new connection. `target` is sent unchanged."""
        with self.asking(target, headers, method=method, body=body, host=host) as response:
            return _answer(response)

    @contextlib.contextmanager
    def asking(
        self, target: str, headers: Headers = (), *, method: str = "GET", body: bytes | None = None, host: str = "test"
    ) -> Iterator[http.client.HTTPResponse]:
        """As `ask`, with the body still to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            send(connection, target, headers, method=method, body=body, host=host)
            yield connection.getresponse()
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        """A connection for several requests. The caller closes it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def socket(self) -> socket.socket:
        """A bare connection. The caller closes it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)


def send(
    connection: http.client.HTTPConnection,
    target: str,
    headers: Headers = (),
    *,
    method: str = "GET",
    body: bytes | None = None,
    host: str = "test",
) -> None:
    """Send one request, with nothing added to what was asked for but Host and Content-Length."""
    WATCH.keep(f"{target}\n{headers}\n{body!r}")
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host)
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)


def receive(connection: http.client.HTTPConnection) -> Answer:
    """The answer to the request that was sent last."""
    return _answer(connection.getresponse())


def _answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def read_head(connection: socket.socket) -> bytes:
    """Everything up to the blank line that ends a head, and nothing after it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise AssertionError(f"the server closed the connection after {head!r}")
        head += byte
    return head


def eventually(what: str, check: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """The first result of `check` that is true; asked again and again until then, at most for `seconds`."""
    until = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds:g} seconds: {what}")
        time.sleep(0.01)


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def uvicorn(target: str, *options: str) -> Iterator[Server]:
    """uvicorn, serving `target` (`module:app`)."""

    def command(port: int) -> list[str]:
        return ["uvicorn", target, "--port", str(port), "--log-level", "warning", *options]

    with _running(command) as server:
        yield server


@contextlib.contextmanager
def hypercorn(target: str, *options: str) -> Iterator[Server]:
    """hypercorn, serving `target` (`module:app`)."""

    def command(port: int) -> list[str]:
        return ["hypercorn", target, "--bind", f"127.0.0.1:{port}", "--log-level", "warning", *options]

    with _running(command) as server:
        yield server


@contextlib.contextmanager
def gunicorn(target: str, *options: str) -> Iterator[Server]:
    """gunicorn, serving `target` (`module:app`)."""
    quiet = ["--log-level", "warning", "--graceful-timeout", "2"]
    if int(importlib.metadata.version("gunicorn").partition(".")[0]) >= 25:
        quiet.append("--no-control-socket")

    def command(port: int) -> list[str]:
        return ["gunicorn", target, "--bind", f"127.0.0.1:{port}", *quiet, *options]

    with _running(command) as server:
        yield server


@contextlib.contextmanager
def _running(command: Callable[[int], list[str]]) -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command(port)], cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _await_start(process, port, log)
            yield Server(port)
        finally:
            _stop(process)
            log.seek(0)
            WATCH.check("the log of a server", log.read().decode(errors="replace"))


def _await_start(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    def accepts() -> bool:
        if process.poll() is not None:
            log.seek(0)
            raise AssertionError(f"the server ended:\n{log.read().decode(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    eventually("the server accepts connections", accepts)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the group is its own: whatever it started ends with it
        process.wait()
