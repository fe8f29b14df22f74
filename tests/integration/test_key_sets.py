"""Many requests, many apps and one key set each: what one of them does costs no other anything."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.key_set_apps import (
    DEADLINE,
    PATIENT,
    Held,
    Told,
    app_of,
    ask_asgi,
    ask_wsgi,
    gate_of,
    headers_of,
    network_of,
    request_of,
    said,
    serve,
    ticking,
    with_kid,
)
from tests.integration.servers import eventually
from wicket import App, AppRef, Decision, Gate, Header, Jwks, Limits
from wicket.config.network import Network
from wicket.reporting.events import UnknownKidLimited
from wicket.testing.issuer import Exchange, LocalIssuer


class Resolver:
    """Says where every host is, and notes which threads asked: a fetch asks on the thread that fetches."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.threads.append(threading.get_ident())
        return ["127.0.0.1"]


# --- many at once


def test_key_set_1000_asgi_first_requests_one_fetch_off_event_loop(
    issuer: LocalIssuer,
) -> None:
    resolver, fetch = Resolver(), Held(issuer)
    headers = headers_of(issuer.token("ada"))

    async def main(gate: Gate) -> list[int]:
        tasks = [asyncio.create_task(ask_asgi(gate, headers)) for _ in range(1000)]
        ticks = 0
        until = time.monotonic() + DEADLINE
        while not fetch.entered.is_set() or ticks < 1000:
            await asyncio.sleep(0)
            ticks += 1
            assert time.monotonic() < until
        assert not any(task.done() for task in tasks), "the loop went on while the fetch was held"
        fetch.release()
        answers = await asyncio.gather(*tasks)
        assert {body["user"] for _, body in answers} == {"ada"}
        assert threading.get_ident() not in resolver.threads
        return [status for status, _ in answers]

    with gate_of(issuer, network=network_of(issuer, resolve=resolver)) as gate:
        assert asyncio.run(main(gate)) == [200] * 1000
    assert (len(issuer.requests), len(resolver.threads)) == (1, 1)


def test_key_set_64_wsgi_first_requests_one_fetch(issuer: LocalIssuer) -> None:
    headers = headers_of(issuer.token("ada"))
    start = threading.Barrier(64)

    def ask(gate: Gate) -> tuple[int, object]:
        start.wait(DEADLINE)
        status, body = ask_wsgi(gate, headers)
        return status, body["user"]

    with gate_of(issuer) as gate, ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(ask, [gate] * 64))
    assert answers == [(200, "ada")] * 64
    assert len(issuer.requests) == 1


def test_key_set_rotation_200_requests_at_most_two_fetches(issuer: LocalIssuer) -> None:
    async def main(gate: Gate) -> None:
        await gate.averify(issuer.token("ada"), app="acme")
        issuer.rotate()
        token = issuer.token("ada")
        fetch = Held(issuer)
        tasks = [asyncio.create_task(gate.averify(token, app="acme")) for _ in range(200)]
        assert await asyncio.to_thread(fetch.entered.wait, DEADLINE)
        fetch.release()
        assert {said(decision) for decision in await asyncio.gather(*tasks)} == {"allowed"}

    with gate_of(issuer) as gate:
        asyncio.run(main(gate))
    assert len(issuer.requests) in (2, 3), "the first fetch, and the two of the budget at the most"


def test_key_set_cancelled_waiter_others_allowed(issuer: LocalIssuer) -> None:
    fetch = Held(issuer)

    async def main(gate: Gate) -> list[Decision]:
        first, *others = (asyncio.create_task(gate.adecide(request_of(issuer.token("ada")))) for _ in range(10))
        assert await asyncio.to_thread(fetch.entered.wait, DEADLINE)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        fetch.release()
        return await asyncio.gather(*others)

    with gate_of(issuer) as gate:
        assert {said(decision) for decision in asyncio.run(main(gate))} == {"allowed"}
    assert len(issuer.requests) == 1


def test_key_set_two_event_loops_and_thread_one_fetch(issuer: LocalIssuer) -> None:
    fetch = Held(issuer)
    token = issuer.token("ada")
    ready = threading.Barrier(3)

    async def many(gate: Gate) -> list[Decision]:
        tasks = [asyncio.create_task(gate.averify(token, app="acme")) for _ in range(20)]
        await asyncio.sleep(0)
        ready.wait(DEADLINE)  # the loop may stand still here: all of its tasks wait already
        return await asyncio.gather(*tasks)

    with gate_of(issuer) as gate, ThreadPoolExecutor(3) as threads:
        loops = [threads.submit(lambda: asyncio.run(many(gate))) for _ in range(2)]
        thread = threads.submit(gate.verify, token, app="acme")
        ready.wait(DEADLINE)
        fetch.release()
        decisions = [thread.result(), *(decision for loop in loops for decision in loop.result())]
    assert [said(decision) for decision in decisions] == ["allowed"] * 41
    assert len(issuer.requests) == 1


def test_key_set_closed_event_loop_fetch_serves_others(issuer: LocalIssuer) -> None:
    fetch = Held(issuer)
    token = issuer.token("ada")

    async def leave(gate: Gate) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gate.averify(token, app="acme"), 0.05)

    with gate_of(issuer) as gate:
        asyncio.run(leave(gate))
        fetch.release()
        assert said(gate.verify(token, app="acme")) == "allowed"
        assert said(asyncio.run(gate.averify(token, app="acme"))) == "allowed"
    assert len(issuer.requests) == 1


# --- floods


@pytest.mark.long
def test_unknown_kid_flood_two_fetches_then_one_per_30_seconds(issuer: LocalIssuer, other: LocalIssuer) -> None:
    clock, told = ticking(), Told()
    apps = [app_of(issuer), app_of(other, "calm")]
    valid, calm = issuer.token("ada"), other.token("eve")
    with gate_of(issuer, *apps, network=network_of(issuer, other), monotonic=clock, on_event=told) as gate:
        assert said(gate.verify(valid, app="acme")) == "allowed"
        assert said(gate.verify(calm, app="calm")) == "allowed"
        for seconds in range(100):
            for _ in range(100):
                refused = gate.verify(with_kid(valid, secrets.token_hex(8)), app="acme")
                assert said(refused) in ("invalid_token key_not_found", "keys_unavailable")
                assert refused.refusal is not None
                assert refused.refusal.limited is (said(refused) == "keys_unavailable"), "a spent budget is no outage"
            assert said(gate.verify(valid, app="acme")) == "allowed"
            assert said(gate.verify(calm, app="calm")) == "allowed"
            if seconds == 0:
                assert len(told.fetched("acme")) == 1 + 2
            clock.advance(1)
        assert len(told.fetched("acme")) <= 1 + 2 + 100 // 30
        assert (len(issuer.requests), len(other.requests)) == (len(told.fetched("acme")), 1)
        assert {each.app_id for each in told.events if isinstance(each, UnknownKidLimited)} == {"acme"}
        other.rotate()
        assert said(gate.verify(other.token("eve"), app="calm")) == "allowed", "the budget of the other is its own"
        assert len(other.requests) == 2


def test_unknown_kid_flood_new_key_found_within_30_seconds(issuer: LocalIssuer) -> None:
    clock = ticking()
    with gate_of(issuer, monotonic=clock) as gate:
        token = issuer.token("ada")
        gate.verify(token, app="acme")
        for number in range(10):
            gate.verify(with_kid(token, f"invented-{number}"), app="acme")
        issuer.rotate()
        new = issuer.token("ada")
        refusal = gate.verify(new, app="acme").refusal
        assert refusal is not None
        assert (refusal.code, refusal.status, refusal.retry_after) == ("keys_unavailable", 503, 30)
        assert refusal.limited
        clock.advance(30)
        gate.verify(with_kid(token, "the attacker asks first"), app="acme")
        assert said(gate.verify(new, app="acme")) == "allowed"


def test_unknown_kid_flood_during_fetch_at_most_two_fetches(
    issuer: LocalIssuer,
) -> None:
    token = issuer.token("ada")

    async def main(gate: Gate) -> None:
        await gate.averify(token, app="acme")
        fetch = Held(issuer)
        tasks = [asyncio.create_task(gate.averify(with_kid(token, f"no-{n}"), app="acme")) for n in range(500)]
        assert await asyncio.to_thread(fetch.entered.wait, DEADLINE)
        assert said(await gate.averify(token, app="acme")) == "allowed", "who has a known key does not wait"
        fetch.release()
        assert {said(decision) for decision in await asyncio.gather(*tasks)} == {"invalid_token key_not_found"}

    with gate_of(issuer) as gate:
        asyncio.run(main(gate))
    assert len(issuer.requests) in (2, 3), "the first fetch, and the two of the budget at the most"


# --- slow tenants


def _tenant(issuer: LocalIssuer, name: str) -> App:
    url = f"https://{name}.tenants.test:{issuer.port}/.well-known/jwks.json"
    return app_of(issuer, name, credentials=[Jwks(url)])


def _shelf(ref: AppRef) -> App | None:
    return None


@pytest.fixture
def slow() -> Iterator[tuple[LocalIssuer, threading.Event, list[str]]]:
    """An issuer of many hosts, of which all but `good` take a minute; released by the event, and who asked."""
    released = threading.Event()
    asked: list[str] = []

    with LocalIssuer(host="*.tenants.test") as many:

        def fault(exchange: Exchange) -> None:
            host = exchange.headers["Host"]
            if not host.startswith("good"):
                asked.append(host)
                released.wait(PATIENT.fetch_timeout)
            serve(many, exchange)

        many.fault = fault
        yield many, released, asked
        released.set()


def test_key_set_60_slow_endpoints_other_apps_not_delayed(
    slow: tuple[LocalIssuer, threading.Event, list[str]],
) -> None:
    issuer, released, asked = slow
    names = [f"slow-{number}" for number in range(60)]
    apps = [_tenant(issuer, name) for name in (*names, "good-one", "good-two")]
    token = issuer.token("ada")
    with (
        ThreadPoolExecutor(60) as clients,
        gate_of(issuer, *apps, registry=_shelf, app_locations=[Header("X-App-Id")]) as gate,
    ):
        waiting = [clients.submit(gate.verify, token, app=name) for name in names]
        eventually("every thread of the fetches is busy", lambda: len(asked) >= 16)
        begun = time.monotonic()
        assert said(gate.verify(token, app="nobody")) == "unknown_app"
        looked_up = time.monotonic() - begun
        assert said(gate.verify(token, app="good-one")) == "allowed"
        first_request = time.monotonic() - begun
        assert said(asyncio.run(gate.averify(token, app="good-two"))) == "allowed"
        both = time.monotonic() - begun
        released.set()
        assert {said(each.result()) for each in waiting} <= {"allowed", "config_invalid"}
    assert max(looked_up, first_request, both) < DEADLINE, "they waited for no endpoint that is slow"


def test_key_set_slow_host_limited_to_two_fetch_threads(
    slow: tuple[LocalIssuer, threading.Event, list[str]],
) -> None:
    issuer, released, asked = slow
    url = f"https://slow.tenants.test:{issuer.port}/.well-known/jwks.json"
    apps = [app_of(issuer, f"app-{number}", credentials=[Jwks(url)]) for number in range(20)]
    token = issuer.token("ada")
    with ThreadPoolExecutor(20) as clients, gate_of(issuer, *apps, _tenant(issuer, "good")) as gate:
        waiting = [clients.submit(gate.verify, token, app=app.id) for app in apps]
        eventually("two are asked for", lambda: len(asked) == 2)
        begun = time.monotonic()
        assert said(gate.verify(token, app="good")) == "allowed"
        assert time.monotonic() - begun < DEADLINE
        assert len(asked) == 2
        released.set()
        assert {said(each.result()) for each in waiting} == {"allowed"}


def test_key_set_60_hanging_tls_handshakes_other_app_not_delayed() -> None:
    resolved: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"]

    with LocalIssuer(host="*.tenants.test") as issuer, socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        port = silent.getsockname()[1]
        names = [f"slow-{number}" for number in range(60)]
        apps = [app_of(issuer, name, credentials=[Jwks(f"https://{name}.tenants.test:{port}/keys")]) for name in names]
        network = Network(
            ["127.0.0.0/8"], [issuer.port, port], ssl_context=issuer.network.ssl_context, resolver=resolve
        )
        token = issuer.token("ada")
        limits = Limits(load_timeout=60.0, fetch_connect_timeout=2.0, fetch_timeout=60.0)
        with (
            ThreadPoolExecutor(60) as clients,
            gate_of(issuer, *apps, _tenant(issuer, "good"), network=network, limits=limits) as gate,
        ):
            for name in names:
                clients.submit(gate.verify, token, app=name)
            eventually("every thread of the fetches is busy", lambda: len(resolved) >= 16)
            decision = gate.verify(token, app="good")
            gate.close()
    assert said(decision) == "allowed"
    assert resolved.index("good.tenants.test") < len(names), "it did not wait for its turn behind all of them"
