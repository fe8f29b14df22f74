"""Two servers under mixed load: checks every response, and that no resource grows.

    python -m benchmarks.soak [--seconds 60]

uvicorn and gunicorn (gthread) serve the same apps in separate processes, while an issuer rotates its keys every five
seconds. Clients send valid tokens, invalid tokens of every kind, and bodies, open WebSockets and streams that outlive
their token, and disconnect early. Prints the outcomes, and the resources of each server. The exit status is 1 if a
response is wrong, or if memory, file descriptors or threads exceed the bounds below. Needs Linux and the extra
`test`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import certifi

from benchmarks.soak.apps import ISSUER, SEED
from benchmarks.soak.issuing import Rotating
from benchmarks.soak.load import Book, Client
from benchmarks.soak.watch import Watched, at_rest, children, watch
from wicket.testing.issuer import LocalIssuer

CLIENTS: Final = 3
SLOPE: Final = 1024.0
SLOPE_AT_FIRST: Final = 16_384.0
"""The growth of resident memory that is allowed in the second half of the run, in KiB per minute; the second value is
for runs below five minutes, because gunicorn without a gate grows by 6,000 to 8,500 in its first minute."""
OBJECTS: Final = 6000.0
"""The growth of allocated Python blocks that is allowed in the second half, in blocks per minute. Each kind of request
occurs about 2,500 times, so a kind that leaks one small object with its members exceeds it."""
LONG: Final = 300.0
SHORTEST: Final = 20.0
FILES: Final = 4
"""The number of file descriptors that an idle server may have more after the load than before it."""
THREADS: Final = 4
"""The number of threads that it may have more in the second half than in the first, in which its pools start."""
_STARTS: Final = 20.0

_COMMANDS: Final[dict[str, Callable[[int], list[str]]]] = {
    "uvicorn": lambda port: [
        *("uvicorn", "benchmarks.soak.site:asgi", "--port", str(port)),
        *("--no-access-log", "--log-level", "critical", "--timeout-keep-alive", "600"),  # it logs each refused socket
    ],
    "gunicorn gthread": lambda port: [
        *("gunicorn", "benchmarks.soak.site:wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
        *("--workers", "1", "--threads", "8", "--keep-alive", "600", "--log-level", "warning"),
    ],
}


def main() -> int:
    """Run the soak and print the result. Returns 1 if there is a problem, and 0 otherwise."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    arguments.add_argument("--seconds", type=float, default=60)
    seconds = arguments.parse_args().seconds
    if seconds < SHORTEST:
        raise SystemExit(f"--seconds must be at least {SHORTEST:g}: there are no slopes of fewer samples")
    if not Path("/proc/self/status").exists():
        raise SystemExit("the soak reads /proc, which only Linux has")
    with contextlib.ExitStack() as stack:
        issuer = stack.enter_context(LocalIssuer(max_age=2))
        rotating, book, seed = Rotating(issuer), Book(), secrets.token_hex(16)
        servers = {name: stack.enter_context(_serving(command, issuer, seed)) for name, command in _COMMANDS.items()}
        processes, problems = _soak(servers, seed, rotating, book, seconds)
    _print(processes, rotating, book)
    problems += [f"wrong answer: {each}" for each in book.wrong[:20]]
    problems += [problem for process in processes for problem in _grown(process, seconds)]
    for problem in problems:
        print(f"WRONG {problem}")
    return 1 if problems or book.wrong else 0


def _soak(
    servers: dict[str, tuple[int, int]], seed: str, rotating: Rotating, book: Book, seconds: float
) -> tuple[list[Watched], list[str]]:
    """Run the clients and watch the servers. Returns the samples of each process, and the faults of clients."""
    clients = [
        Client(name, port, seed, rotating, book, number)
        for name, (port, _) in servers.items()
        for number in range(CLIENTS + 2)
    ]
    for client in clients:
        client.once()
    processes = [Watched(name, port, pid, at_rest(pid), at_rest(pid)) for name, (port, pid) in servers.items()]
    book.counts.clear()
    broken: list[str] = []
    jobs: list[Callable[[threading.Event], None]] = [rotating.run, lambda ended: watch(processes, ended)]
    for place, client in enumerate(clients):
        number = place % (CLIENTS + 2)
        client_method = (
            client.sockets if place < CLIENTS + 2 else client.streams
        )  # only the first server has WebSockets
        jobs.append(client.streams if number == CLIENTS else client_method if number > CLIENTS else client.run)

    def guarded(job: Callable[[threading.Event], None], stopped: threading.Event) -> None:
        try:
            job(stopped)
        except Exception as error:  # noqa: BLE001 - a client that fails is a finding, and must not go unseen
            broken.append(f"a client ended with {type(error).__name__}: {error}")

    for _ in range(2):
        stopped = threading.Event()
        threads = [threading.Thread(target=guarded, args=(job, stopped)) for job in jobs]
        for thread in threads:
            thread.start()
        stopped.wait(seconds / 2)
        stopped.set()
        for thread in threads:
            thread.join()
        for process in processes:
            process.after = at_rest(process.pid, process.before)
            process.count_objects()
    return processes, broken


def _grown(process: Watched, seconds: float) -> list[str]:
    problems = []
    for what, growth, bound in (
        ("KiB of memory", process.growth(), SLOPE if seconds >= LONG else SLOPE_AT_FIRST),
        ("blocks of objects", process.growth_of_objects(), OBJECTS),
    ):
        if growth > bound:
            problems.append(f"{process.name}: it grows by {growth:.0f} {what} a minute, bound {bound:.0f}")
    more = process.after.files - process.before.files
    if more > FILES:
        problems.append(f"{process.name}: it holds {more} more file descriptors at rest than before, bound {FILES}")
    first, second = process.halves()
    more = max(each.threads for each in second) - max(each.threads for each in first)
    if more > THREADS:
        problems.append(f"{process.name}: it has {more} more threads in the second half than before, bound {THREADS}")
    return problems


def _print(processes: list[Watched], rotating: Rotating, book: Book) -> None:
    for (kind, outcome), count in sorted(book.counts.items()):
        print(f"{kind:48}{outcome:40}{count:>9,}")
    print(f"{'all of them':88}{sum(book.counts.values()):>9,}")
    print(f"{'wrong':88}{len(book.wrong):>9,}")
    print(
        f"{rotating.rotations} rotations; a new key was last refused {rotating.latest:.1f} s after it was published, "
        f"a withdrawn one last admitted {rotating.longest:.1f} s after it was withdrawn"
    )
    for process in processes:
        before, after = process.before, process.after
        print(
            f"{process.name}: memory {before.resident:,} KiB at rest, by quarters of the load "
            f"{_quarters([each.resident for each in process.samples])}; "
            f"in the second half {process.growth():+.0f} KiB a minute"
        )
        print(
            f"{process.name}: blocks of objects at rest {process.objects[0][1]:,} between the halves of the load and "
            f"{process.objects[1][1]:,} at its end: {process.growth_of_objects():+.0f} a minute"
        )
        most = max(process.samples, key=lambda each: each.files)
        print(
            f"{process.name}: file descriptors at rest {before.files} and {after.files}, at most {most.files}; "
            f"threads {before.threads} and {after.threads}"
        )


def _quarters(values: list[int]) -> str:
    return ", ".join(f"{values[round(part * (len(values) - 1) / 4)]:,}" for part in range(5))


@contextlib.contextmanager
def _serving(command: Callable[[int], list[str]], issuer: LocalIssuer, seed: str) -> Iterator[tuple[int, int]]:
    """Starts a server in another process. Yields its port, and the id of the process that serves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        trusted = Path(folder) / "trusted.pem"
        trusted.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + issuer.authority_pem)
        environment = {**os.environ, ISSUER: issuer.issuer, SEED: seed, "SSL_CERT_FILE": str(trusted)}
        process = subprocess.Popen(
            [sys.executable, "-m", *command(port)], env=environment, cwd=Path(__file__).resolve().parents[2]
        )
        try:
            _await_start(port, process)
            yield port, next(iter(children(process.pid)), process.pid)
        finally:
            process.terminate()
            process.wait(20)


def _await_start(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _STARTS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 10).close()
        except OSError:
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError("a server did not start") from None
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
