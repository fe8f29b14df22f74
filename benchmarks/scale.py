"""Measures what must add no cost: log-only mode, many apps, many origins, many threads."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Final
from unittest import mock

from benchmarks import fixtures
from benchmarks.fixtures import APP_ID, admitted
from benchmarks.measure import Batch, Row, interleaved
from wicket import Gate, Limits, Mode, Request, profiles
from wicket.asgi import ASGIApp, Receive, Scope, Send, WicketMiddleware

APPS: Final = 100_000
ORIGINS: Final = 1_000
THREADS: Final = 64
FEW_THREADS: Final = 4
TENANTS: Final = 20_000
TURN: Final = 1_000
"""The number of requests in one batch of `_many_tenants`."""
SPREAD: Final = 200


def modes() -> list[Row]:
    """Measures log-only mode against enforce mode, with valid tokens."""
    token = fixtures.token_for("user-1")
    enforcing = fixtures.gate_with(fixtures.app_with())
    reporting = fixtures.gate_with(fixtures.app_with(mode=Mode.LOG_ONLY))
    requests = [_request(token)]
    return [
        _compared(
            "modes",
            "log-only against enforce, accepted token: gate.decide",
            "log-only",
            "enforce",
            {"log-only": _decisions(reporting, requests, 100), "enforce": _decisions(enforcing, requests, 100)},
            bound=1.05,
            calls=100,
        )
    ]


def sizes() -> list[Row]:
    """Measures 100,000 apps in code against one, 20,000 of a registry against ten, 1,000 exact origins against one."""
    return [_many_apps(), _many_tenants(), *_many_origins()]


def _many_tenants() -> Row:
    """Measures what 20,000 users at random add to a request: each in another app of a registry, and all in ten apps."""
    chance = random.Random(1)
    batches: dict[str, Batch] = {}
    for tenants in (TENANTS, 10):
        secrets = {f"app-{number}": number.to_bytes(4, "big") * 8 for number in range(1, tenants + 1)}
        apps = {
            ref: app
            for id, secret in secrets.items()
            for app in [fixtures.app_with(id=id, secret=secret)]
            for ref in app.refs()
        }
        gate = Gate(
            registry=apps.get, app_locations=profiles.generic.app_locations, limits=Limits(max_apps=2 * TENANTS)
        )
        names = list(secrets)
        headers = [
            [(name.encode(), value.encode()) for name, value in fixtures.headers_of(token, app=id).items()]
            for number in range(TENANTS)
            for id in [names[number % tenants]]
            for token in [fixtures.token_for(f"user-{number}", key=secrets[id])]
        ]
        chance.shuffle(headers)
        batches.setdefault("bare", _in_turn(_site, headers))
        batches[f"{tenants:,}"] = _in_turn(WicketMiddleware(_site, gate=gate), headers)
    samples = interleaved(batches, calls=TURN, rounds=2 * TENANTS // TURN)
    many, few = f"{TENANTS:,}", "10"
    ratio, spread = samples.ratio(many, few, less="bare")
    added = {name: samples.median(name, less="bare") for name in (many, few)}
    return Row(
        "sizes",
        f"added to a request, {TENANTS:,} users at random: {many} apps of a registry against {few}, ASGI",
        ratio,
        1.5,
        spread=spread,
        note=f"{many} {added[many]:.1f} µs, {few} {added[few]:.1f} µs",
        micros=added,
    )


async def _site(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def _in_turn(app: ASGIApp, headers: list[list[tuple[bytes, bytes]]]) -> Batch:
    """Returns a batch that sends the next requests. Every request was sent once before."""
    following = itertools.cycle(headers)
    loop = asyncio.new_event_loop()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def requests(count: int) -> None:
        statuses: set[int] = set()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.add(message["status"])

        for pairs in itertools.islice(following, count):
            scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": pairs}
            await app(scope, receive, send)
        if statuses != {200}:
            raise RuntimeError(f"requests were answered with {statuses}")

    loop.run_until_complete(requests(len(headers)))
    return lambda: loop.run_until_complete(requests(TURN))


def _many_apps() -> Row:
    """Measures the same number of users, each in a separate app, and all in one app."""
    secrets = {f"app-{number}": number.to_bytes(4, "big") * 8 for number in range(1, APPS)}
    many = fixtures.gate_with(
        *(fixtures.app_with(id=id, secret=secret) for id, secret in secrets.items()), fixtures.app_with()
    )
    one = fixtures.gate_with(fixtures.app_with())
    asked = list(secrets)[:: APPS // SPREAD][:SPREAD]
    in_many = [_request(fixtures.token_for(f"user-of-{id}", key=secrets[id]), app=id) for id in asked]
    in_one = [_request(fixtures.token_for(f"user-of-{id}")) for id in asked]
    return _compared(
        "sizes",
        f"{APPS:,} apps in code against 1: gate.decide, {SPREAD} users on each side",
        "many",
        "one",
        {"many": _decisions(many, in_many, SPREAD), "one": _decisions(one, in_one, SPREAD)},
        bound=1.2,
        calls=SPREAD,
        rounds=60,
    )


def _many_origins() -> list[Row]:
    token = fixtures.token_for("user-1")
    some = tuple(f"https://site-{number}.example" for number in range(ORIGINS - 1))
    many = fixtures.gate_with(fixtures.app_with(origins=(*some, fixtures.ORIGIN)))
    one = fixtures.gate_with(fixtures.app_with(origins=(fixtures.ORIGIN,)))
    cases = {
        "the origin as it is listed": (fixtures.ORIGIN, True),
        "the origin in another spelling": (f"{fixtures.ORIGIN.upper()}:443", True),
        "a strange origin": (fixtures.FOREIGN_ORIGIN, False),
    }
    return [
        _compared(
            "sizes",
            f"{ORIGINS:,} exact origins against 1: gate.decide, {case}",
            "many",
            "one",
            {
                "many": _decisions(many, [_request(token, origin=origin)], 100, allowed=allowed),
                "one": _decisions(one, [_request(token, origin=origin)], 100, allowed=allowed),
            },
            bound=1.2,
            calls=100,
        )
        for case, (origin, allowed) in cases.items()
    ]


def threads() -> list[Row]:
    """Measures the throughput of 4 and 64 threads against one thread, and the locks that a known token acquires."""
    gate = fixtures.gate_with(fixtures.app_with())
    requests = [_request(fixtures.token_for(f"user-{number}")) for number in range(THREADS)]
    run = _decisions(gate, requests, THREADS)
    run()
    each, rounds = 20, 7
    per_second: dict[int, list[float]] = {1: [], FEW_THREADS: [], THREADS: []}
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(rounds):
            for workers, made in per_second.items():
                made.append(_throughput(pool, run, workers, each * THREADS // workers) * THREADS)
    medians = {workers: sorted(made)[rounds // 2] for workers, made in per_second.items()}
    taken, asked = _locks_taken()
    return [
        *(
            Row(
                "threads",
                f"throughput of {workers} threads on one gate against 1: gate.decide",
                medians[workers] / medians[1],
                note=f"{medians[workers]:,.0f} decisions a second against {medians[1]:,.0f}",
            )
            for workers in (FEW_THREADS, THREADS)
        ),
        Row(
            "threads",
            "locks taken for a known token",
            taken / asked,
            1 / 1024,
            unit="per decision",
            note=f"{taken} in {asked:,}: outcomes are counted together, once in 1,024",
        ),
    ]


def _throughput(pool: ThreadPoolExecutor, run: Batch, workers: int, batches: int) -> float:
    """Returns batches per second of all threads, from the start of the first to the end of the last."""
    start = threading.Barrier(workers)

    def work() -> tuple[float, float]:
        start.wait()
        begun = time.perf_counter()
        for _ in range(batches):
            run()
        return begun, time.perf_counter()

    spans = [each.result() for each in [pool.submit(work) for _ in range(workers)]]
    return workers * batches / (max(end for _, end in spans) - min(begun for begun, _ in spans))


class _CountedLock:
    """A lock that counts the acquisitions of all its instances."""

    taken = 0

    def __init__(self, make: Callable[[], Any]) -> None:
        self._lock = make()

    def acquire(self, *arguments: Any) -> bool:
        type(self).taken += 1
        return bool(self._lock.acquire(*arguments))

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _locks_taken() -> tuple[int, int]:
    """Counts the lock acquisitions of a gate in that many decisions about a known token."""
    make, make_reentrant = threading.Lock, threading.RLock
    with (
        mock.patch.object(threading, "Lock", partial(_CountedLock, make)),
        mock.patch.object(threading, "RLock", partial(_CountedLock, make_reentrant)),
    ):
        gate = fixtures.gate_with(fixtures.app_with())
    request = _request(fixtures.token_for("user-1"))()
    before = _CountedLock.taken
    admitted(gate.decide(request))
    if _CountedLock.taken == before:
        raise RuntimeError("a first-seen token took no lock: the locks are not counted")
    asked, before = 102_400, _CountedLock.taken
    for _ in range(asked):
        gate.decide(request)
    return _CountedLock.taken - before, asked


def _request(token: str, *, app: str = APP_ID, origin: str = fixtures.ORIGIN) -> Callable[[], Request]:
    """Makes a new `Request`, as each server does."""
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fixtures.headers_of(token).items()}
    environ.update({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_APP_ID": app, "HTTP_ORIGIN": origin})
    return lambda: Request.from_wsgi(environ)


def _decisions(gate: Gate, requests: list[Callable[[], Request]], calls: int, *, allowed: bool = True) -> Batch:
    """Returns a batch of decisions about these requests in turn."""
    for request in requests:
        if gate.decide(request()).identity.verified is not allowed:
            raise RuntimeError("a decision is not as it should be")
    turns, rest = divmod(calls, len(requests))
    if rest:
        raise ValueError("the calls must be a multiple of the requests")

    def batch() -> None:
        for _ in range(turns):
            for request in requests:
                gate.decide(request())

    return batch


def _compared(
    part: str, what: str, name: str, to: str, batches: dict[str, Batch], *, bound: float, calls: int, rounds: int = 150
) -> Row:
    samples = interleaved(batches, calls=calls, rounds=rounds)
    ratio, spread = samples.ratio(name, to)
    micros = {each: samples.median(each) for each in batches}
    note = ", ".join(f"{each} {value:.1f} µs" for each, value in micros.items())
    return Row(part, what, ratio, bound, spread=spread, note=note, micros=micros)
