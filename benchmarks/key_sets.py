"""Measures the cost of remote key sets with a local HTTPS issuer: fetches, delays of other apps, and memory.

    python -m benchmarks.key_sets

Every line shows its bound. The memory of 10,000 apps is measured with a function instead of the network.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import secrets
import statistics
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wicket import App, AppRef, Decision, Gate, Header, Jwks, Limits, profiles
from wicket.diagnostics.key_sets import cached_key_sets
from wicket.jwks.fetcher import Fetched
from wicket.keys.urls import KeySetUrl
from wicket.testing import FakeClock
from wicket.testing.issuer import Exchange, LocalIssuer

APPS, ACTIVE, BOUND = 10_000, 1_000, 500
FLOOD = 10_000
SLOW = 60

Row = tuple[str, str, str]


def app_at(url: str, issuer: str, id: str = "acme") -> App:
    """Returns an app with one remote key set."""
    return profiles.generic(id, issuer=issuer, credentials=[Jwks(url)])


def with_random_kid(token: str) -> str:
    """Returns the token with a random kid, which no key has."""
    header = json.dumps({"alg": "ES256", "typ": "JWT", "kid": secrets.token_hex(8)}).encode()
    return ".".join([base64.urlsafe_b64encode(header).rstrip(b"=").decode(), *token.split(".")[1:]])


def check(decision: Decision) -> Decision:
    """Returns the decision. Raises `RuntimeError` if it is a refusal."""
    if not decision.allowed:
        raise RuntimeError(f"refused: {decision.refusal}")
    return decision


def cold_requests() -> list[Row]:
    """Counts the fetches of many concurrent first requests."""

    async def tasks(gate: Gate, token: str) -> None:
        for decision in await asyncio.gather(*(gate.averify(token, app="acme") for _ in range(1000))):
            check(decision)

    def threads(gate: Gate, token: str) -> None:
        start = threading.Barrier(64)

        def ask(_: int) -> None:
            start.wait()
            check(gate.verify(token, app="acme"))

        with ThreadPoolExecutor(64) as pool:
            list(pool.map(ask, range(64)))

    def fetches(run: Callable[[Gate, str], None]) -> str:
        with LocalIssuer() as issuer, Gate([app_at(issuer.jwks_url, issuer.issuer)], network=issuer.network) as gate:
            run(gate, issuer.token("ada"))
            return str(len(issuer.requests))

    return [
        ("fetches caused by 1,000 cold requests at once, asyncio", fetches(lambda *a: asyncio.run(tasks(*a))), "1"),
        ("fetches caused by 64 cold threads at once", fetches(threads), "1"),
    ]


def flood() -> list[Row]:
    """Measures a flood of random kids: fetches, and the CPU time of the valid requests among them."""
    clock = FakeClock(1000.0)
    with LocalIssuer() as issuer:
        app = app_at(issuer.jwks_url, issuer.issuer)
        with Gate([app], network=issuer.network, monotonic=clock) as gate:
            token = issuer.token("ada")
            check(gate.verify(token, app="acme"))
            alone: list[float] = []
            flooded: list[float] = []
            per_round = 100
            for _ in range(FLOOD // per_round):
                alone.append(_cpu_of_valid(gate, token, [], per_round))
                flooded.append(
                    _cpu_of_valid(gate, token, [with_random_kid(token) for _ in range(per_round)], per_round)
                )
                clock.advance(0.3)  # 30 seconds in total
            fetches = len(issuer.requests) - 1
    quiet, busy = statistics.median(alone), statistics.median(flooded)
    return [
        (f"fetches caused by {FLOOD:,} random kids in 30 s", str(fetches), "at most 3"),
        ("CPU time of a valid decision, alone", f"{quiet:.1f} µs", ""),
        ("CPU time of a valid decision, amid the flood", f"{busy:.1f} µs", ""),
        ("ratio of the two", f"{busy / quiet:.2f}", "at most 1.3"),
    ]


def _cpu_of_valid(gate: Gate, token: str, strangers: list[str], count: int) -> float:
    """Returns the CPU time in microseconds of one valid decision on this thread; a foreign token precedes each."""
    spent = 0
    for index in range(count):
        if strangers:
            gate.verify(strangers[index], app="acme")
        begun = time.thread_time_ns()
        decision = gate.verify(token, app="acme")
        spent += time.thread_time_ns() - begun
        check(decision)
    return spent / count / 1000


def slow_tenants() -> list[Row]:
    """Measures the delay that 60 apps with slow endpoints (five seconds) cause for another app and for a registry."""
    with LocalIssuer(host="*.tenants.test") as issuer:

        def fault(exchange: Exchange) -> None:
            if not exchange.headers["Host"].startswith("good"):
                asked.append(exchange.path)
                issuer.wait(5)
            exchange.answer(200, json.dumps(issuer.document()).encode())

        def shelf(_: AppRef) -> App | None:
            return None

        asked: list[str] = []
        issuer.fault = fault
        names = [f"slow-{number}" for number in range(SLOW)]
        apps = [
            app_at(f"https://{name}.tenants.test:{issuer.port}/.well-known/jwks.json", issuer.issuer, name)
            for name in (*names, "good")
        ]
        token = issuer.token("ada")
        with (
            ThreadPoolExecutor(SLOW) as clients,
            Gate(apps, network=issuer.network, registry=shelf, app_locations=[Header("X-App-Id")]) as gate,
        ):
            waiting = [clients.submit(gate.verify, token, app=name) for name in names]
            until = time.monotonic() + 5
            while len(asked) < 16 and time.monotonic() < until:
                time.sleep(0.001)
            lookup_app = _seconds(lambda: gate.verify(token, app="nobody"))
            first = _seconds(lambda: check(gate.verify(token, app="good")))
            for each in waiting:
                each.result()
    return [
        (
            f"delay of a registry look-up, {SLOW} tenants' endpoints taking 5 s",
            f"{lookup_app * 1000:.1f} ms",
            "no wait",
        ),
        ("delay of an innocent app's first request amid them", f"{first * 1000:.0f} ms", "well below 5,000"),
    ]


def _seconds(call: Callable[[], object]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def memory() -> list[Row]:
    """Measures the memory of an app with its own key set, idle and active, and the bound of the number of sets."""
    with LocalIssuer() as issuer:
        document = json.dumps(issuer.document())
        tokens = [issuer.token("ada", iss=f"https://id-{number}.example") for number in range(ACTIVE)]

    def fetch(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        return Fetched(json.loads(document), '"1"', None, None, 0.0, None)

    def apps() -> list[App]:
        return [
            app_at(
                f"https://id-{number}.example/.well-known/jwks.json", f"https://id-{number}.example", f"app-{number}"
            )
            for number in range(APPS)
        ]

    def measured(used: Callable[[], float]) -> tuple[float, float, int]:
        """Returns KiB per app, KiB per active app in addition, and the number of cached sets."""
        before = used()
        with Gate(apps(), fetcher=fetch) as gate:
            idle = used()
            for number, token in enumerate(tokens):
                check(gate.verify(token, app=f"app-{number}"))
            return (idle - before) / APPS, (used() - idle) / ACTIVE, _sets(gate)

    of_process = measured(_resident)
    tracemalloc.start()
    of_objects = measured(_traced)
    tracemalloc.stop()
    with Gate(apps(), fetcher=fetch, limits=Limits(max_key_sets=BOUND)) as bounded:
        for number, token in enumerate(tokens):
            check(bounded.verify(token, app=f"app-{number}"))
        held = _sets(bounded)
    return [
        (f"memory of an idle app, {APPS:,} apps: objects", f"{of_objects[0]:.2f} KiB", ""),
        ("    the process's", f"{of_process[0]:.2f} KiB", ""),
        (
            f"memory that an active app adds, {ACTIVE:,} of them: objects",
            f"{of_objects[1]:.2f} KiB",
            "",
        ),
        ("    the process's, OpenSSL's among it", f"{of_process[1]:.2f} KiB", ""),
        (f"key sets held after {ACTIVE:,} apps were active", str(of_objects[2]), f"{ACTIVE}"),
        (f"key sets held with max_key_sets={BOUND}", str(held), f"at most {BOUND}"),
    ]


def _traced() -> float:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1024


def _resident() -> float:
    """Returns the resident memory of the process in KiB, or 0 if the system does not report it."""
    gc.collect()
    status = Path("/proc/self/status")
    return float(status.read_text().partition("VmRSS:")[2].split()[0]) if status.exists() else 0.0


def _sets(gate: Gate) -> int:
    return sum(held is not None for app in gate.apps for held in cached_key_sets(gate, app).values())


def main() -> None:
    """Print one table."""
    logging.disable(logging.CRITICAL)
    parts: list[Callable[[], list[Row]]] = [cold_requests, flood, slow_tenants, memory]
    rows: list[Any] = [row for part in parts for row in part()]
    for what, figure, bound in rows:
        print(f"{what:68}{figure:>22}   {bound}")


if __name__ == "__main__":
    main()
