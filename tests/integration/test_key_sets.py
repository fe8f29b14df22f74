"""Many requests, many apps and one key set each: what one of them does costs no other anything."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest

from tests.integration.keyed import (
    DEADLINE,
    Headers,
    Held,
    Told,
    answering,
    app_of,
    ask_asgi,
    ask_wsgi,
    gate_of,
    headers_of,
    held_at,
    network_of,
    request_of,
    said,
    serve,
    ticking,
    with_kid,
)
from tests.integration.servers import eventually
from wicket import App, AppRef, Decision, Gate, Header, Jwks, Mode, PublicKey, Refusal, Request, profiles
from wicket.events import BudgetSpent
from wicket.testing.issuer import Exchange, LocalIssuer


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def other() -> Iterator[LocalIssuer]:
    with LocalIssuer() as issuer:
        yield issuer


class Resolver:
    """Says where every host is, and notes which threads asked: a fetch asks on the thread that fetches."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.threads.append(threading.get_ident())
        return ["127.0.0.1"]


# --- many at once


def test_a_thousand_first_requests_on_asgi_cause_one_fetch_which_the_event_loop_does_not_run(
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


def test_the_first_requests_of_64_threads_on_wsgi_cause_one_fetch(issuer: LocalIssuer) -> None:
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


def test_a_new_key_that_many_ask_for_at_once_is_fetched_once(issuer: LocalIssuer) -> None:
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
    assert len(issuer.requests) == 2


def test_who_is_cancelled_while_waiting_takes_nobodys_key_set_along(issuer: LocalIssuer) -> None:
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


def test_two_event_loops_and_a_thread_share_one_fetch(issuer: LocalIssuer) -> None:
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


def test_a_loop_that_is_gone_leaves_the_fetch_to_others(issuer: LocalIssuer) -> None:
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


def test_a_flood_of_random_kids_costs_two_fetches_and_one_every_30_seconds(
    issuer: LocalIssuer, other: LocalIssuer
) -> None:
    clock, told = ticking(), Told()
    apps = [app_of(issuer), app_of(other, "calm")]
    valid, calm = issuer.token("ada"), other.token("eve")
    with gate_of(issuer, *apps, network=network_of(issuer, other), monotonic=clock, on_event=told) as gate:
        assert said(gate.verify(valid, app="acme")) == "allowed"
        assert said(gate.verify(calm, app="calm")) == "allowed"
        for seconds in range(100):
            for _ in range(100):
                refused = gate.verify(with_kid(valid, secrets.token_hex(8)), app="acme")
                assert said(refused) == "invalid_token key_not_found"
            assert said(gate.verify(valid, app="acme")) == "allowed"
            assert said(gate.verify(calm, app="calm")) == "allowed"
            if seconds == 0:
                assert len(told.fetched("acme")) == 1 + 2
            clock.advance(1)
        assert len(told.fetched("acme")) <= 1 + 2 + 100 // 30
        assert (len(issuer.requests), len(other.requests)) == (len(told.fetched("acme")), 1)
        assert {each.app_id for each in told.events if isinstance(each, BudgetSpent)} == {"acme"}
        other.rotate()
        assert said(gate.verify(other.token("eve"), app="calm")) == "allowed", "the budget of the other is its own"
        assert len(other.requests) == 2


def test_a_new_key_is_found_within_30_seconds_though_a_flood_spends_the_budget(issuer: LocalIssuer) -> None:
    clock = ticking()
    with gate_of(issuer, monotonic=clock) as gate:
        token = issuer.token("ada")
        gate.verify(token, app="acme")
        for number in range(10):
            gate.verify(with_kid(token, f"invented-{number}"), app="acme")
        issuer.rotate()
        new = issuer.token("ada")
        assert said(gate.verify(new, app="acme")) == "invalid_token key_not_found"
        clock.advance(30)
        gate.verify(with_kid(token, "the attacker asks first"), app="acme")
        assert said(gate.verify(new, app="acme")) == "allowed"


def test_a_flood_while_a_fetch_runs_joins_it_or_is_refused_and_starts_none(issuer: LocalIssuer) -> None:
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
    assert len(issuer.requests) == 2


# --- slow tenants


def _tenant(issuer: LocalIssuer, name: str) -> App:
    url = f"https://{name}.tenants.test:{issuer.port}/.well-known/jwks.json"
    return app_of(issuer, name, credentials=[Jwks(url)])


def _shelf(ref: AppRef) -> App | None:
    return None


@pytest.fixture
def slow() -> Iterator[tuple[LocalIssuer, threading.Event, list[str]]]:
    """An issuer of many hosts, of which all but `good` take five seconds; released by the event, and who asked."""
    released = threading.Event()
    asked: list[str] = []

    with LocalIssuer(host="*.tenants.test") as many:

        def fault(exchange: Exchange) -> None:
            host = exchange.headers["Host"]
            if not host.startswith("good"):
                asked.append(host)
                released.wait(5)
            serve(many, exchange)

        many.fault = fault
        yield many, released, asked
        released.set()


def test_sixty_tenants_with_slow_endpoints_delay_neither_anothers_first_request_nor_a_look_up(
    slow: tuple[LocalIssuer, threading.Event, list[str]],
) -> None:
    issuer, released, asked = slow
    names = [f"slow-{number}" for number in range(60)]
    apps = [_tenant(issuer, name) for name in (*names, "good-one", "good-two")]
    token = issuer.token("ada")
    with (
        ThreadPoolExecutor(60) as clients,
        gate_of(issuer, *apps, registry=_shelf, naming=[Header("X-App-Id")]) as gate,
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
        assert {said(each.result()) for each in waiting} <= {"allowed", "keys_unavailable"}
    assert looked_up < 0.4
    assert first_request < 1.5
    assert both < 3


def test_one_host_holds_only_two_threads_of_the_fetches(
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
        assert time.monotonic() - begun < 2
        assert len(asked) == 2
        released.set()
        assert {said(each.result()) for each in waiting} == {"allowed"}


# --- nothing is shared


@pytest.mark.parametrize("order", ["one first", "other first", "both at once"])
def test_apps_whose_keys_have_one_name_never_accept_each_others_tokens(
    issuer: LocalIssuer, other: LocalIssuer, order: str
) -> None:
    claims = {"iss": "https://id.example", "sub": "ada", "exp": int(time.time()) + 600}
    tokens = {
        name: jwt.encode(claims, each.keys["key-1"], "ES256", {"kid": "key-1"})
        for name, each in (("one", issuer), ("other", other))
    }
    apps = [
        profiles.generic(name, issuer="https://id.example", credentials=[Jwks(each.jwks_url)])
        for name, each in (("one", issuer), ("other", other))
    ]
    with gate_of(issuer, *apps, network=network_of(issuer, other)) as gate, ThreadPoolExecutor(4) as threads:
        if order == "both at once":
            pairs = [(token, app) for token in tokens for app in tokens] * 5
        else:
            first = order.partition(" ")[0]
            names = sorted(tokens, key=lambda name: name != first)
            pairs = [(token, app) for app in names for token in (app, *names)] * 2
        workers = 4 if order == "both at once" else 1
        asked: Callable[[tuple[str, str]], Decision] = lambda pair: gate.verify(tokens[pair[0]], app=pair[1])  # noqa: E731
        decisions = list(threads.map(asked, pairs)) if workers > 1 else [asked(pair) for pair in pairs]
        for (token, app), decision in zip(pairs, decisions, strict=True):
            assert said(decision) == ("allowed" if token == app else "invalid_token bad_signature")
            assert decision.identity.app_id == app
    assert (len(issuer.requests), len(other.requests)) == (1, 1)


def test_apps_that_name_one_url_share_nothing(issuer: LocalIssuer) -> None:
    clock, told = ticking(), Told()
    token = issuer.token("ada")
    with gate_of(issuer, app_of(issuer), app_of(issuer, "twin"), monotonic=clock, on_event=told) as gate:
        assert said(gate.verify(token, app="acme")) == "allowed"
        assert (held_at(gate, "acme"), held_at(gate, "twin")) == (clock.now, None)
        assert said(gate.verify(token, app="twin")) == "allowed"
        assert (len(told.fetched("acme")), len(told.fetched("twin")), len(issuer.requests)) == (1, 1, 2)
        issuer.rotate()
        issuer.remove("key-1")
        gate.refresh("acme")
        assert said(gate.verify(token, app="acme")) == "invalid_token key_not_found"
        assert said(gate.verify(token, app="twin")) == "allowed", "its own set is fresh"


def test_an_app_with_two_sources_accepts_of_each_only_its_own_issuers_tokens(
    issuer: LocalIssuer, other: LocalIssuer
) -> None:
    sources = [Jwks(issuer.jwks_url, issuer=issuer.issuer), Jwks(other.jwks_url, issuer=other.issuer)]
    app = profiles.generic("acme", credentials=sources)
    with gate_of(issuer, app, network=network_of(issuer, other)) as gate:
        for each, stranger in ((issuer, other), (other, issuer)):
            assert said(gate.verify(each.token("ada"), app="acme")) == "allowed"
            assert said(gate.verify(each.token("ada", iss=stranger.issuer), app="acme")) == "invalid_token wrong_issuer"
        other.fault = answering(500)
        gate.refresh("acme", purge=True)
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "allowed"
        assert said(gate.verify(other.token("ada"), app="acme")) == "keys_unavailable", "nobody can tell"


def test_beside_a_source_that_is_down_a_local_key_serves_and_no_other_token_is_called_bad(
    issuer: LocalIssuer, other: LocalIssuer
) -> None:
    (member,) = other.document()["keys"]
    local = PublicKey.from_jwk({name: value for name, value in member.items() if name != "kid"})
    issuer.fault = answering(500)
    with gate_of(issuer, app_of(issuer, credentials=[local, Jwks(issuer.jwks_url)])) as gate:
        mine = other.token("ada", iss=issuer.issuer)
        assert said(gate.verify(mine, app="acme")) == "allowed"
        assert said(gate.verify(issuer.token("ada"), app="acme")) == "keys_unavailable"
        assert said(gate.verify(mine, app="acme")) == "allowed"


def test_a_local_key_that_the_token_names_does_not_wait_for_a_source_that_hangs(
    issuer: LocalIssuer, other: LocalIssuer
) -> None:
    local = PublicKey.from_jwk({**other.document()["keys"][0], "kid": "local"})
    token = jwt.encode(
        {"iss": issuer.issuer, "sub": "ada", "exp": int(time.time()) + 600},
        other.keys["key-1"],
        "ES256",
        {"kid": "local"},
    )
    hanging = Held(issuer)
    with gate_of(issuer, app_of(issuer, credentials=[local, Jwks(issuer.jwks_url)])) as gate:
        begun = time.monotonic()
        assert said(gate.verify(token, app="acme")) == "allowed"
        assert time.monotonic() - begun < 2
        hanging.release()


# --- getuserfeedback, end to end

Door = Callable[[Gate, Headers], tuple[int, dict[str, Any]]]


def _asgi(gate: Gate, headers: Headers) -> tuple[int, dict[str, Any]]:
    return asyncio.run(ask_asgi(gate, headers))


AUDIENCE = "https://api.getuserfeedback.com"


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.LOG_ONLY], ids=["enabled", "disabled"])
@pytest.mark.parametrize("door", [_asgi, ask_wsgi], ids=["asgi", "wsgi"])
def test_getuserfeedback_end_to_end(issuer: LocalIssuer, door: Door, mode: Mode) -> None:
    jwks = Jwks(issuer.jwks_url)
    wrong = Jwks(issuer.jwks_url.replace("jwks.json", "nothing"))
    seen: list[object] = []
    apps = [
        profiles.getuserfeedback(id, issuer=f"{issuer.issuer}/{id}", credentials=credentials, mode=mode)
        for id, credentials in (("globex", [jwks]), ("unset", []), ("broken", [wrong]))
    ]

    def token(app: str, **claims: Any) -> Headers:
        text = issuer.token("user_2abc", **{"iss": f"{issuer.issuer}/{app}", "aud": AUDIENCE, **claims})
        return [("Authorization", f"Bearer {text}")]

    with gate_of(issuer, *apps, on_event=seen.append) as gate:
        status, body = door(gate, token("globex"))
        assert (status, body) == (200, {"user": "user_2abc"}), "the token's own issuer names the app"
        for headers, code in (
            ([("X-App-Id", "globex")], "missing_token"),
            (token("unset"), "config_missing"),
            (token("broken"), "config_invalid"),
            (token("globex", exp=1), "invalid_token"),
            (token("globex", aud="https://elsewhere.example"), "invalid_token"),
        ):
            status, body = door(gate, headers)
            if mode is Mode.ENFORCE:
                assert (status, body["error"]) == (401, code)
            else:
                assert (status, body) == (200, {"user": None}), "it passes as anonymous"
            assert getattr(seen[-1], "code", None) == code, "and is reported in either mode"
            assert getattr(seen[-1], "enforced", None) is (mode is Mode.ENFORCE)
        issuer.rotate()
        assert door(gate, token("globex"))[0] == 200


@pytest.mark.parametrize("door", [_asgi, ask_wsgi], ids=["asgi", "wsgi"])
def test_an_outage_is_answered_with_503_and_when_to_come_again(issuer: LocalIssuer, door: Door) -> None:
    issuer.fault = answering(503, headers={"Retry-After": "120"})
    with gate_of(issuer) as gate:
        status, body = door(gate, headers_of(issuer.token("ada")))
        decision = gate.decide(Request(headers=headers_of(issuer.token("ada"))))
    assert (status, body["error"]) == (503, "keys_unavailable")
    assert isinstance(decision.refusal, Refusal)
    assert decision.refusal.retry_after is not None
    assert 115 <= decision.refusal.retry_after <= 120
