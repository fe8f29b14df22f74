"""The gate: what it holds, how it drives the flow for sync and async callers, and what is wrong with one."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import wicket.drivers
import wicket.gate
from tests.unit.support import (
    BY_HEADER,
    KEY,
    NOW,
    ORIGIN,
    OTHER_KEY,
    acme,
    asks,
    claims,
    gate_of,
    jwk,
    private_key,
    problems_of,
    secret,
    token,
)
from wicket import (
    App,
    AppRef,
    Bearer,
    ConfigError,
    Decided,
    Decision,
    Gate,
    Header,
    Jwks,
    Limits,
    Mode,
    Outcome,
    Query,
    Request,
    Rules,
    Secret,
    TokenIssuer,
)
from wicket.app import BrokenApp
from wicket.cache import Cache
from wicket.decision import house
from wicket.errors import config_error
from wicket.jwks.outcome import Fetched
from wicket.keys.urls import KeySetUrl

LONG = 10.0
QUICK = Limits(load_timeout=0.05, stale_timeout=0.05, log_only_timeout=0.05)

Ask = Callable[[Gate, Request], Decision]


def sync(gate: Gate, request: Request) -> Decision:
    return gate.decide(request)


def in_a_loop(gate: Gate, request: Request) -> Decision:
    return asyncio.run(gate.adecide(request))


both = pytest.mark.parametrize("ask", [sync, in_a_loop])


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


class Registry:
    """A registry that counts what it is asked."""

    def __init__(self, **apps: Any) -> None:
        self.apps: dict[str, Any] = apps
        self.asked: list[AppRef] = []

    def __call__(self, ref: AppRef) -> App | None:
        self.asked.append(ref)
        found = self.apps.get(ref.value)
        if isinstance(found, BaseException):
            raise found
        app: App | None = found
        return app


def over(registry: Any, **settings: Any) -> Gate:
    return Gate(registry=registry, **{"naming": BY_HEADER, "clock": lambda: NOW, **settings})


# --- the answers


@both
def test_a_request_is_decided(ask: Ask) -> None:
    with gate_of(acme()) as gate:
        assert ask(gate, asks(token())).require().user_id == "user-1"
        assert code(ask(gate, asks(token(key=OTHER_KEY)))) == "invalid_token"
        assert code(ask(gate, asks())) == "missing_token"


def test_optional_admits_a_request_without_a_token() -> None:
    with gate_of(acme()) as gate:
        assert gate.decide(asks(), optional=True).allowed
        assert asyncio.run(gate.adecide(asks(), optional=True)).allowed
        assert not gate.decide(asks("junk"), optional=True).allowed


def test_a_token_alone_is_verified_for_any_number_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "MOST_ROADS", 2)
    names = ["acme", "acme-2", "acme-3", "acme-4"]
    with gate_of(acme(aliases=names[1:])) as gate:
        for name in names * 2:
            assert gate.verify(token(), app=name).require().user_id == "user-1"
            refused = gate.verify(None, app=name)
            assert (code(refused), refused.token_sent) == ("missing_token", False)
        assert len(gate.house.alone) <= 2


@pytest.mark.parametrize("app", ["acme", AppRef("id", "acme"), AppRef("public_key", "pub_acme")])
def test_a_token_alone_is_verified(app: str | AppRef) -> None:
    with gate_of(acme(public_key="pub_acme")) as gate:
        for decision in (gate.verify(token(), app=app), asyncio.run(gate.averify(token(), app=app))):
            assert decision.require().user_id == "user-1"


@pytest.mark.parametrize(("origin", "allowed"), [(None, True), (ORIGIN, True), ("https://evil.example", False)])
def test_the_origin_of_a_token_alone_is_checked(origin: str | None, allowed: bool) -> None:
    with gate_of(acme()) as gate:
        assert gate.verify(token(), app="acme", origin=origin).allowed is allowed
        assert asyncio.run(gate.averify(token(), app="acme", origin=origin)).allowed is allowed


def test_tokens_are_judged_by_the_gates_clock() -> None:
    now = [float(NOW)]
    with Gate([acme()], clock=lambda: now[0]) as gate:
        assert gate.decide(asks(token())).allowed
        now[0] += 4000
        decision = gate.decide(asks(token()))
    assert decision.refusal is not None
    assert decision.refusal.reason == "expired"


def test_each_decision_is_told_and_counted() -> None:
    events: list[Decided] = []
    with gate_of(acme(), on_event=events.append) as gate:
        gate.decide(asks(token()))
        asyncio.run(gate.adecide(asks()))
        gate.verify("junk", app="acme")
        asyncio.run(gate.averify(token(), app="acme"))
        assert [event.code for event in events] == [None, "missing_token", "invalid_token", None]
        assert gate.outcomes()[0] == Outcome("acme", "allowed", None, True, 2)
    assert {event.gate for event in events} == {"wicket"}


def test_no_handler_poisons_the_claims_of_the_next_request() -> None:
    text = token(claims(roles=["user"]))
    with gate_of(acme()) as gate:
        gate.decide(asks(text)).require().claims["roles"].append("admin")
        assert gate.decide(asks(text)).require().claims["roles"] == ["user"]


def test_a_gate_under_trio_or_no_loop_needs_no_asyncio_where_nothing_is_loaded() -> None:
    with gate_of(acme()) as gate:
        coroutine = gate.adecide(asks(token()))
        with pytest.raises(StopIteration) as end:
            coroutine.send(None)
        assert end.value.value.allowed


# --- apps of a registry


@both
def test_an_app_is_loaded_once_and_kept(ask: Ask) -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate:
        for _ in range(3):
            assert ask(gate, asks(token())).require().app_id == "acme"
        assert registry.asked == [AppRef("id", "acme")]
        assert ask(gate, asks(token(), app="other")).refusal == ask(gate, asks(token(), app="other")).refusal
        assert registry.asked[1:] == [AppRef("id", "other")]


def test_a_token_alone_is_verified_by_a_loaded_app() -> None:
    with over(Registry(acme=acme())) as gate:
        assert gate.verify(token(), app="acme").allowed
    with over(Registry(acme=acme())) as gate:
        assert asyncio.run(gate.averify(token(), app="acme")).allowed


@both
def test_an_outage_of_the_registry_is_503_and_logged_without_the_name(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with over(Registry(acme=OSError("host db.internal is down"))) as gate:
        decision = ask(gate, asks(token()))
    assert (decision.allowed, code(decision)) == (False, "apps_unavailable")
    assert decision.refusal is not None
    assert (decision.refusal.status, decision.refusal.retry_after) == (503, 1)
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any("the registry could not be asked for an app: OSError" in message for message in messages)
    assert not any("db.internal" in message for message in messages)


@both
def test_a_broken_app_answers_config_invalid_and_its_neighbours_go_on(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with over(Registry(broken=config_error("origins[0]", "is not an origin"), acme=acme())) as gate:
        assert code(ask(gate, asks(token(), app="broken"))) == "config_invalid"
        assert ask(gate, asks(token())).allowed
    assert any("origins[0]: is not an origin" in record.getMessage() for record in caplog.records)


def test_a_broken_app_named_by_its_public_key_is_told_too() -> None:
    with over(Registry(pub_acme=config_error("id", "is wrong")), naming=[Header("X-Key", "public_key")]) as gate:
        decision = gate.decide(Request(headers=[("X-Key", "pub_acme")]))
    assert (code(decision), decision.app_id) == ("config_invalid", None)


@pytest.mark.parametrize("wrong", ["an app", 5, BrokenApp("acme")])
def test_a_registry_that_returns_something_else_is_an_outage(wrong: object, caplog: pytest.LogCaptureFixture) -> None:
    with over(Registry(acme=wrong)) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
    assert any("TypeError" in record.getMessage() for record in caplog.records)


def test_a_coroutine_from_a_plain_function_is_closed_and_an_outage() -> None:
    async def find(ref: AppRef) -> App | None:
        return None

    with over(lambda ref: find(ref)) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
    gc.collect()  # a coroutine that was never awaited nor closed would warn, and warnings are errors


@both
def test_a_slow_registry_is_waited_for_only_so_long(ask: Ask) -> None:
    go = threading.Event()

    def slow(ref: AppRef) -> App | None:
        assert go.wait(LONG)
        return acme()

    with over(slow, limits=QUICK) as gate:
        assert code(ask(gate, asks(token()))) == "apps_unavailable"
        go.set()


class Purging:
    """Purges an app just before what was loaded of it is read, for the first so many times; it takes `seconds` each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, seconds: float = 0) -> None:
        self.now, self.left = 0.0, times
        self.gate: Gate
        read = Cache.read

        def purging(cache: Cache[Any, Any], key: Any) -> Any:
            slot = read(cache, key)
            if slot is None or self.left == 0:
                return slot
            self.left -= 1
            self.now += seconds
            self.gate.refresh("acme", purge=True)
            return read(cache, key)

        monkeypatch.setattr(Cache, "read", purging)

    def over(self, registry: Registry) -> Gate:
        self.gate = over(registry, monotonic=lambda: self.now, limits=Limits(load_timeout=2.0))
        return self.gate


@both
@pytest.mark.parametrize(
    ("times", "seconds", "loads", "refused"),
    [(1, 0, 2, None), (2, 0, 2, "apps_unavailable"), (1, 2.5, 1, "apps_unavailable")],
)
def test_an_app_that_is_purged_as_it_arrives_is_loaded_once_more_in_what_is_left_of_the_time(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, times: int, seconds: float, loads: int, refused: str | None
) -> None:
    registry = Registry(acme=acme())
    with Purging(monkeypatch, times, seconds).over(registry) as gate:
        assert code(ask(gate, asks(token()))) == refused
        assert len(registry.asked) == loads
        assert ask(gate, asks(token())).allowed


def test_many_requests_for_one_app_load_it_once() -> None:
    go, asked = threading.Event(), []

    def slow(ref: AppRef) -> App | None:
        asked.append(ref)
        assert go.wait(LONG)
        return acme()

    async def ask_all(gate: Gate) -> list[Decision]:
        tasks = [asyncio.create_task(gate.adecide(asks(token()))) for _ in range(5)]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*tasks)

    with over(slow) as gate:
        decisions = asyncio.run(ask_all(gate))
    assert all(decision.allowed for decision in decisions)
    assert len(asked) == 1


def test_a_client_that_hangs_up_leaves_the_load_to_the_others() -> None:
    go = threading.Event()

    def slow(ref: AppRef) -> App | None:
        assert go.wait(LONG)
        return acme()

    async def hang_up(gate: Gate) -> Decision:
        leaving, staying = (asyncio.create_task(gate.adecide(asks(token()))) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        go.set()
        return await staying

    with over(slow) as gate:
        assert asyncio.run(hang_up(gate)).allowed


def test_a_load_that_ends_after_its_loop_was_closed_disturbs_nobody() -> None:
    go, ended = threading.Event(), threading.Event()

    def slow(ref: AppRef) -> App | None:
        assert go.wait(LONG)
        return acme()

    with over(slow, limits=QUICK) as gate:
        assert code(asyncio.run(gate.adecide(asks(token())))) == "apps_unavailable"
        flight = gate._registry._flights[AppRef("id", "acme")]  # type: ignore[union-attr]
        flight.done.add_done_callback(lambda _: ended.set())
        go.set()
        assert ended.wait(LONG)
        assert gate.decide(asks(token())).allowed


def test_without_asyncio_a_load_is_refused_loudly(caplog: pytest.LogCaptureFixture) -> None:
    with over(Registry(acme=acme())) as gate:
        coroutine = gate.adecide(asks(token()))
        with pytest.raises(StopIteration) as end:
            coroutine.send(None)
        assert code(end.value.value) == "internal_error"
    assert any("that needs asyncio" in record.getMessage() for record in caplog.records)


@both
def test_a_full_pool_is_503_at_once(ask: Ask) -> None:
    go, running = threading.Event(), threading.Event()

    def slow(ref: AppRef) -> App | None:
        running.set()
        assert go.wait(LONG)
        return None

    limits = Limits(load_timeout=0.05, registry_threads=1, registry_queue=1)
    with over(slow, limits=limits) as gate:
        codes = [code(ask(gate, asks(token(), app=name))) for name in ("a", "b", "c")]
        assert codes == ["apps_unavailable"] * 3
        go.set()


def test_after_close_a_load_is_unavailable_and_apps_in_code_still_work() -> None:
    gate = over(Registry(acme=acme()), apps=[acme_two()])
    gate.close()
    assert code(gate.decide(asks(token()))) == "apps_unavailable"
    assert gate.decide(asks(token(key=OTHER_KEY), app="two")).allowed


def acme_two(**settings: Any) -> App:
    return App("two", **{"credentials": [secret(OTHER_KEY)], "naming": BY_HEADER, **settings})


def test_the_tokens_issuer_is_looked_up_in_the_registry() -> None:
    registry = Registry(**{"https://id": acme(issuer="https://id")})
    with over(registry, naming=[TokenIssuer()]) as gate:
        assert gate.decide(asks(token(claims(iss="https://id")), app=None)).allowed
    assert registry.asked == [AppRef("issuer", "https://id")]


# --- refresh


def test_a_refreshed_app_is_loaded_anew() -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate:
        assert gate.decide(asks(token())).allowed
        registry.apps["acme"] = acme(credentials=[secret(OTHER_KEY)])
        assert gate.decide(asks(token())).allowed
        gate.refresh("acme")
        assert not gate.decide(asks(token())).allowed
        assert gate.decide(asks(token(key=OTHER_KEY))).allowed
    assert len(registry.asked) == 2


@pytest.mark.parametrize(("purge", "allowed"), [(False, True), (True, False)])
def test_a_purged_app_serves_no_more_though_the_registry_fails(purge: bool, allowed: bool) -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate:
        gate.decide(asks(token()))
        registry.apps["acme"] = OSError()
        gate.refresh("acme", purge=purge)
        assert gate.decide(asks(token())).allowed is allowed


def test_a_refresh_reaches_an_app_by_all_its_names() -> None:
    by_key = Header("X-Key", "public_key")
    app = acme(public_key="pub_acme")
    registry = Registry(pub_acme=app)
    request = Request(headers=[("X-Key", "pub_acme"), ("Authorization", f"Bearer {token()}")])
    with over(registry, naming=[by_key]) as gate:
        assert gate.decide(request).allowed
        registry.apps.clear()
        gate.refresh("acme")
        assert code(gate.decide(request)) == "unknown_app"


def test_a_refresh_reaches_a_broken_app_by_all_its_names() -> None:
    registry = Registry(pub_acme=config_error("id", "is wrong"))
    request = Request(headers=[("X-Key", "pub_acme"), ("Authorization", f"Bearer {token()}")])
    with over(registry, naming=[Header("X-Key", "public_key")]) as gate:
        assert code(gate.decide(request)) == "config_invalid"
        registry.apps["pub_acme"] = acme(public_key="pub_acme")
        gate.refresh("acme")
        assert gate.decide(request).allowed


def test_a_refresh_leaves_the_other_apps_alone() -> None:
    registry = Registry(acme=acme(), two=acme_two())
    with over(registry) as gate:
        for name, key in (("acme", KEY), ("two", OTHER_KEY)):
            assert gate.decide(asks(token(key=key), app=name)).allowed
        gate.refresh("acme", purge=True)
        assert gate.decide(asks(token(key=OTHER_KEY), app="two")).allowed
    assert len(registry.asked) == 2


def test_a_new_app_is_found_after_a_refresh() -> None:
    registry = Registry()
    with over(registry) as gate:
        assert code(gate.decide(asks(token()))) == "unknown_app"
        registry.apps["acme"] = acme()
        gate.refresh("acme")
        assert gate.decide(asks(token())).allowed


def test_a_refresh_of_an_app_in_code_forgets_its_signatures() -> None:
    with gate_of(acme()) as gate:
        gate.decide(asks(token()))
        assert len(gate._memory) == 1
        gate.refresh("acme")
        assert len(gate._memory) == 0


# --- forks


def test_a_forked_child_starts_anew_and_keeps_what_was_loaded() -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate, gate_of(acme_two()) as other:
        assert gate.decide(asks(token())).allowed
        wicket.gate._after_fork_in_child()
        assert gate.decide(asks(token())).allowed
        assert other.decide(asks(token(key=OTHER_KEY), app="two")).allowed
        assert len(registry.asked) == 1
        assert gate.decide(asks(token(), app="other")).refusal is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_gate_serves_in_a_child_that_was_forked_while_it_loaded() -> None:
    program = textwrap.dedent(
        """
        import os, threading
        from wicket import App, Gate, Header, Request

        running, go = threading.Event(), threading.Event()
        parent = os.getpid()

        def find(ref):
            if os.getpid() == parent:
                running.set()
                go.wait(10)
            return App("acme", anonymous=True)

        gate = Gate(registry=find, naming=[Header("X-App-Id")])
        request = Request(headers=[("X-App-Id", "acme")])
        thread = threading.Thread(target=gate.decide, args=(request,))
        thread.start()
        running.wait(10)
        child = os.fork()
        if child == 0:
            os._exit(0 if gate.decide(request).allowed else 3)
        _, status = os.waitpid(child, 0)
        go.set()
        thread.join()
        raise SystemExit(os.waitstatus_to_exitcode(status))
        """
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_a_gate_that_nobody_holds_is_gone() -> None:
    gate = gate_of(acme())
    gone = weakref.ref(gate)
    del gate
    gc.collect()
    assert gone() is None


# --- what it is built of


def test_a_gate_holds_each_app_once() -> None:
    apps = [acme(public_key="pub_acme"), acme_two(hosts=["two.example"])]
    with gate_of(*apps) as gate:
        assert gate.apps == tuple(apps)
        assert repr(gate) == "Gate(name='wicket', apps=2, registry=False)"


def test_a_broken_app_in_code_answers_config_invalid_and_its_neighbours_go_on() -> None:
    broken = BrokenApp("broken", public_key="pub_broken")
    with Gate([broken, acme(), acme_two()], clock=lambda: NOW) as gate:
        assert code(gate.decide(asks(token(), app="broken"))) == "config_invalid"
        assert gate.decide(asks(token())).allowed
        assert gate.broken == (broken,)
        assert [app.id for app in gate.apps] == ["acme", "two"]


def test_the_naming_is_that_of_all_apps_unless_it_is_stated() -> None:
    two = acme_two(naming=[Query("appId"), *BY_HEADER])
    with gate_of(acme(), two) as gate:
        assert gate.naming == (Header("X-App-Id"), Query("appId"))
    with gate_of(acme(), two, naming=[Query("x")]) as gate:
        assert gate.naming == (Query("x"),)


def test_a_token_is_looked_for_where_the_apps_have_theirs() -> None:
    apps = (acme(tokens=[Header("X-Token")], issuer="https://id"), acme_two(issuer="https://two"))
    request = Request(headers=[("X-Token", token(claims(iss="https://id")))])
    with gate_of(*apps, naming=[TokenIssuer()]) as gate:
        assert gate.decide(request).allowed
    with gate_of(*apps, naming=[TokenIssuer()], tokens=[Bearer()]) as gate:
        assert code(gate.decide(request)) == "unknown_app"


def test_the_realm_is_the_name_unless_it_is_given() -> None:
    with gate_of(acme(), name="widgets") as gate:
        assert (gate.name, gate.realm, gate.error_docs) == ("widgets", "widgets", None)
    with gate_of(acme(), realm="Our API", error_docs="https://docs/") as gate:
        assert (gate.name, gate.realm, gate.error_docs) == ("wicket", "Our API", "https://docs/")


async def find_later(ref: AppRef) -> App | None:
    return None


class FindLater:
    async def __call__(self, ref: AppRef) -> App | None:
        return None


UNNAMED = "must say how a request names its app, since there are several"
ASYNC = "must not be async: it runs on a thread of the gate, for ASGI and WSGI alike, where no event loop runs"


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"apps": ["acme"]}, "apps[0]", "is not an App"),
        ({"apps": [acme(), acme(credentials=[])]}, "apps", "two apps have the id 'acme'"),
        (
            {"apps": [acme(public_key="pub"), acme_two(public_key="pub")]},
            "apps",
            "two apps have the public key 'pub'",
        ),
        ({"apps": [acme(hosts=["A.b"]), acme_two(hosts=["a.B"])]}, "apps", "two apps have the host 'a.b'"),
        (
            {"apps": [acme(issuer="i"), acme_two(issuer="i")], "naming": [TokenIssuer()]},
            "apps",
            "two apps have the issuer 'i'",
        ),
        (
            {"apps": [acme(), acme_two(credentials=[secret(id="other")])]},
            "apps",
            "the apps 'acme' and 'two' have the same secret",
        ),
        ({"apps": [acme(naming=()), acme_two(naming=())]}, "naming", UNNAMED),
        ({"apps": [acme()], "naming": ["X-App-Id"]}, "naming[0]", "is not a place that can be read there"),
        ({"apps": [acme()], "naming": [Bearer()]}, "naming[0]", "is not a place that can be read there"),
        ({"apps": [acme()], "network": 5}, "network", "must be a Network"),
        ({"apps": [acme()], "fetcher": 5}, "fetcher", "must be a function"),
        ({"apps": [acme()], "tokens": ["X-Token"]}, "tokens[0]", "is not a place that can be read there"),
        ({"apps": [acme()], "mode": "enforce"}, "mode", "must be Mode.ENFORCE, Mode.LOG_ONLY or None"),
        ({"apps": [acme()], "name": "my gate"}, "name", "must be an identifier"),
        ({"apps": [acme()], "name": 5}, "name", "must be an identifier"),
        ({"registry": find_later, "naming": BY_HEADER}, "registry", ASYNC),
        ({"registry": FindLater(), "naming": BY_HEADER}, "registry", ASYNC),
        ({"registry": 5, "naming": BY_HEADER}, "registry", "must be a function from an AppRef to an App or None"),
        ({"registry": Registry()}, "naming", "must be stated where a registry loads the apps"),
    ],
)
def test_a_wrong_gate_is_a_configuration_error(settings: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(lambda: Gate(**settings)) == {path: message}


@pytest.mark.parametrize("settings", [{"apps": acme()}, {"apps": 5}, {"naming": 5}, {"apps": [acme()], "tokens": 5}])
def test_what_must_be_a_list_and_is_none_is_a_configuration_error(settings: dict[str, Any]) -> None:
    problems_of(lambda: Gate(**settings))


def test_every_problem_of_a_gate_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Gate([acme(naming=()), 5], registry=5, mode=5, name="")  # type: ignore[list-item,arg-type]
    assert {problem.path for problem in caught.value.problems} == {"apps[1]", "registry", "naming", "mode", "name"}


def test_the_same_issuer_may_serve_two_apps_where_it_names_none() -> None:
    gate_of(acme(issuer="i"), acme_two(issuer="i")).close()


def test_a_gate_without_apps_knows_none() -> None:
    with Gate() as gate:
        assert code(gate.decide(asks(token()))) == "unknown_app"


# --- what it says when it starts


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("settings", "gate", "warned"),
    [
        ({"origins": []}, {}, True),
        ({"origins": [], "mode": Mode.LOG_ONLY}, {}, False),
        ({"origins": [ORIGIN]}, {}, False),
        ({"origins": ["*"]}, {}, False),
        ({"origins": [], "mode": Mode.LOG_ONLY}, {"mode": Mode.ENFORCE}, True),
        ({"origins": []}, {"mode": Mode.LOG_ONLY}, False),
    ],
)
def test_an_app_without_origins_is_warned_of_when_enforcing(
    settings: dict[str, Any], gate: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    gate_of(acme(**settings), **gate).close()
    assert ("app acme: no origins are configured, so every origin is admitted" in messages(caplog)) is warned


@pytest.mark.parametrize("mode", list(Mode))
def test_a_mode_that_overrides_is_logged(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    gate_of(acme(), mode=mode).close()
    assert messages(caplog) == [f"gate wicket: the mode {mode.value} overrides that of every app"]


SHARED = "apps acme and two share a key and an audience: a token of one is one of the other"


@pytest.mark.parametrize(
    ("first", "second", "warned"),
    [
        ({}, {}, True),
        ({"audience": "api"}, {"audience": ["api", "b"]}, True),
        ({"audience": "a"}, {"audience": "b"}, False),
        ({"audience": "a"}, {}, False),
        ({"issuer": "a"}, {"issuer": "b"}, False),
        ({"issuer": "a"}, {"issuer": "a"}, True),
        ({"issuer": "a"}, {}, True),
        ({"rules": Rules(app_claim="app")}, {"rules": Rules(app_claim="app")}, False),
        ({"rules": Rules(app_claim="app")}, {}, True),
        ({}, {"rules": Rules(app_claim="app")}, True),
    ],
)
def test_two_apps_whose_tokens_pass_for_each_other_are_named(
    first: dict[str, Any], second: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Jwks.static({"keys": [jwk(private_key("ES256"))]})
    shared: dict[str, Any] = {"credentials": [keys], "origins": [ORIGIN]}
    gate_of(acme(**{**shared, **first}), acme_two(**{**shared, **second})).close()
    assert (SHARED in messages(caplog)) is warned


def test_one_app_may_have_the_same_key_twice(caplog: pytest.LogCaptureFixture) -> None:
    gate_of(acme(credentials=[secret(), secret(id="k1")])).close()
    assert caplog.records == []


# --- a gate by a file


def test_a_gate_is_built_by_a_file_and_settings_take_precedence(tmp_path: Path) -> None:
    path = tmp_path / "wicket.toml"
    (tmp_path / "acme.key").write_text(KEY.hex())
    path.write_text(
        textwrap.dedent(
            """
            [gate]
            name = "widgets"

            [[apps]]
            id = "acme"

            [[apps.credentials]]
            kind = "secret"
            encoding = "hex"
            file = "acme.key"
            """
        )
    )
    with Gate.from_file(path, clock=lambda: NOW) as gate:
        assert gate.name == "widgets"
        assert gate.decide(asks(token())).require().app_id == "acme"
    with Gate.from_file(str(path), name="other") as gate:
        assert gate.name == "other"


# --- what a registry gives that it should not


def test_an_app_of_another_id_than_asked_for_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(ACME=acme())
    with over(registry) as gate:
        assert code(gate.decide(asks(token(), app="ACME"))) == "unknown_app"
        assert code(gate.verify(token(), app="ACME")) == "unknown_app"
    assert registry.asked == [AppRef("id", "ACME")]
    assert "the registry gave the app acme for another id, which is taken for unknown" in messages(caplog)


def test_an_app_that_is_in_code_too_counts_as_it_is_there(caplog: pytest.LogCaptureFixture) -> None:
    lax = acme(public_key="pub_acme", anonymous=True, credentials=[secret(OTHER_KEY)])
    naming = [Header("X-App-Id"), Header("X-Key", "public_key")]
    by_key = [("X-Key", "pub_acme")]
    with over(Registry(pub_acme=lax), apps=[acme()], naming=naming) as gate:
        assert code(gate.decide(Request(headers=by_key))) == "missing_token"
        assert code(gate.decide(asks(token(key=OTHER_KEY), app=None, headers=by_key))) == "invalid_token"
        assert gate.decide(asks(token(), app=None, headers=by_key)).allowed
        assert gate.decide(asks(token(), headers=by_key)).allowed
    assert "the registry gave the app acme, which is in code too and counts as it is there" in messages(caplog)


def test_the_name_of_a_broken_app_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with over(Registry(**{"a-name-of-theirs": config_error("id", "is wrong")})) as gate:
        assert code(gate.decide(asks(token(), app="a-name-of-theirs"))) == "config_invalid"
    assert "a-name-of-theirs" not in caplog.text


def test_failures_of_a_registry_are_logged_by_type_at_a_limited_rate_and_without_their_text(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("wicket.events.time", SimpleNamespace(monotonic=lambda: now[0]))
    failing: dict[str, Any] = {f"app-{number}": OSError("password=hunter2") for number in range(5)}
    registry = Registry(**failing, other=KeyError("password=hunter2"))

    def faults() -> list[str]:
        held = [text.splitlines()[0] for text in messages(caplog) if "the registry" in text]
        caplog.clear()
        return held

    with over(registry) as gate:
        for name in ("app-0", "app-1", "app-2", "other", "app-3"):
            assert code(gate.decide(asks(token(), app=name))) == "apps_unavailable"
        assert "hunter2" not in caplog.text
        assert faults() == [f"the registry could not be asked for an app: {kind}" for kind in ("OSError", "KeyError")]
        now[0] += 60
        gate.decide(asks(token(), app="app-4"))
        assert faults() == ["the registry could not be asked for an app: OSError"]


# --- wrong settings


async def hear_later(event: Decided) -> None:
    return None


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"realm": 5}, "realm", "must be a text"),
        ({"error_docs": b"https://docs/"}, "error_docs", "must be a text"),
        ({"on_event": 5}, "on_event", "must be a plain function of one event"),
        ({"on_event": hear_later}, "on_event", "must be a plain function of one event"),
        ({"clock": NOW}, "clock", "must be a function that gives the seconds since 1970"),
        ({"limits": {"load_timeout": 5}}, "limits", "must be Limits"),
        ({"naming": [TokenIssuer]}, "naming[0]", "is not a place that can be read there"),
        ({"tokens": [Bearer]}, "tokens[0]", "is not a place that can be read there"),
    ],
)
def test_a_wrong_setting_of_a_gate_is_a_configuration_error(settings: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(lambda: Gate([acme()], **settings)) == {path: message}


def test_stated_lists_that_are_empty_are_honoured() -> None:
    with gate_of(acme(issuer="https://id"), naming=[], tokens=[]) as gate:
        assert gate.naming == ()
        assert gate.tokens == ()
        assert gate.decide(asks(token(claims(iss="https://id")), app="other")).allowed  # its name is not looked at
    assert problems_of(lambda: gate_of(acme(), acme_two(), naming=[])) == {"naming": UNNAMED}


def test_a_gate_without_an_app_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    Gate().close()
    assert messages(caplog) == ["gate wicket: it has no app and no registry, so every request is refused"]
    caplog.clear()
    over(Registry()).close()
    assert messages(caplog) == []


def test_an_app_that_no_request_can_name_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    by_key = [Header("X-Key", "public_key")]
    gate_of(acme(public_key="pub_acme"), acme_two(origins=[ORIGIN]), naming=by_key).close()
    assert messages(caplog) == ["app two: it has none of the names by which requests name their app"]


def test_of_three_apps_that_share_a_key_each_pair_is_named(caplog: pytest.LogCaptureFixture) -> None:
    keys = Jwks.static({"keys": [jwk(private_key("ES256"))]})
    shared: dict[str, Any] = {"credentials": [keys], "origins": [ORIGIN]}
    third = App("three", naming=BY_HEADER, **shared)
    gate_of(acme(**shared), acme_two(**shared), third).close()
    assert [text.split(" share ")[0] for text in messages(caplog)] == [
        "apps acme and two",
        "apps acme and three",
        "apps two and three",
    ]


def digest_and_long() -> tuple[bytes, bytes]:
    long = bytes(range(65))
    return long, hashlib.sha256(long).digest()


@pytest.mark.parametrize("values", [(KEY, KEY), (KEY, KEY + b"\0"), digest_and_long()])
def test_two_secrets_that_are_one_key_for_hmac_are_the_same_secret(values: tuple[bytes, bytes]) -> None:
    first, second = values
    same = {"apps": "the apps 'acme' and 'two' have the same secret"}
    for one, other in ((first, second), (second, first)):
        apps = acme(credentials=[Secret(one)]), acme_two(credentials=[Secret(other)])
        assert token(key=one) == token(key=other)
        assert problems_of(lambda apps=apps: gate_of(*apps)) == same  # type: ignore[misc]


# --- waiting in an event loop


@pytest.mark.parametrize("first", ["load", "cancellation"])
def test_a_cancellation_that_comes_along_with_the_load_is_not_swallowed(first: str) -> None:
    async def hang_up() -> None:
        done: Future[None] = Future()
        task = asyncio.create_task(wicket.drivers._wait(done, LONG))
        await asyncio.sleep(0)
        if first == "cancellation":
            task.cancel()
        done.set_result(None)
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(hang_up())


def test_a_fetcher_that_fails_in_its_own_way_is_an_outage_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fetcher(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        raise ZeroDivisionError(KEY.hex())

    app = acme(credentials=[Jwks("https://id.example.com/keys")], issuer="https://id.example.com")
    private = private_key("ES256")
    with Gate([app], fetcher=fetcher) as gate:
        decision = gate.verify(token(key=private, algorithm="ES256", kid="k1"), app="acme")
    assert decision.refusal is not None
    assert decision.refusal.code == "keys_unavailable"
    assert "a key set could not be loaded: ZeroDivisionError" in caplog.text
    assert KEY.hex() not in caplog.text


def test_a_bug_while_a_token_alone_is_verified_is_not_the_users_fault() -> None:
    def broken() -> float:
        raise ZeroDivisionError

    for gate in (over(Registry(acme=acme()), clock=broken), gate_of(acme(), clock=broken)):
        with gate:
            decision = gate.verify(token(), app="acme")
        assert (decision.allowed, code(decision)) == (False, "internal_error")
