"""`Gate.refresh`: registry apps are loaded again, and `purge` also discards stale apps."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.gate_harness import LONG, Registry, acme_two, code, over
from tests.support.unit import KEY, NOW, OTHER_KEY, acme, asks, gate_of, secret, token
from wicket import App, AppRef, Decision, Header, Query, Request, Revocations
from wicket.errors import config_error


def test_refresh_registry_app_is_loaded_again() -> None:
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
def test_refresh_then_registry_error_refused_only_after_purge(purge: bool, allowed: bool) -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate:
        gate.decide(asks(token()))
        registry.apps["acme"] = OSError()
        gate.refresh("acme", purge=purge)
        assert gate.decide(asks(token())).allowed is allowed


def test_refresh_by_id_reloads_app_found_by_publishable_key() -> None:
    by_key = Header("X-Key", "publishable_key")
    app = acme(publishable_key="pub_acme")
    registry = Registry(pub_acme=app)
    request = Request(headers=[("X-Key", "pub_acme"), ("Authorization", f"Bearer {token()}")])
    with over(registry, app_locations=[by_key]) as gate:
        assert gate.decide(request).allowed
        registry.apps.clear()
        gate.refresh("acme")
        assert code(gate.decide(request)) == "unknown_app"


@pytest.mark.parametrize("called", ["acme", "slug"])
@pytest.mark.parametrize("names", [("acme", "slug"), ("acme",), ("slug",)])
def test_refresh_by_id_or_alias_purges_app_and_signature_cache(called: str, names: tuple[str, ...]) -> None:
    registry = Registry(acme=acme(aliases=["slug"]), slug=acme(aliases=["slug"]))
    with over(registry) as gate:
        for name in names:
            assert gate.decide(asks(token(), app=name)).allowed
        revoking = acme(aliases=["slug"], revocations=Revocations(users={"user-1": NOW}))
        registry.apps.update(acme=revoking, slug=revoking)
        assert len(gate._memory) == 1
        gate.refresh(called, purge=True)
        assert len(gate._memory) == 0
        for name in names:
            assert not gate.decide(asks(token(), app=name)).allowed


def test_refresh_by_id_reloads_broken_app_found_by_publishable_key() -> None:
    registry = Registry(pub_acme=config_error("id", "is wrong"))
    request = Request(headers=[("X-Key", "pub_acme"), ("Authorization", f"Bearer {token()}")])
    with over(registry, app_locations=[Header("X-Key", "publishable_key")]) as gate:
        assert code(gate.decide(request)) == "config_invalid"
        registry.apps["pub_acme"] = acme(publishable_key="pub_acme")
        gate.refresh("acme")
        assert gate.decide(request).allowed


def test_refresh_by_id_reloads_unknown_or_broken_alias() -> None:
    first: list[Any] = [None, config_error("id", "is wrong")]
    for before in first:
        registry = Registry(acme=acme(), slug=before)
        with over(registry) as gate:
            assert not gate.decide(asks(token(), app="slug")).allowed
            registry.apps["slug"] = acme(aliases=["slug"])
            gate.refresh("acme")
            assert gate.decide(asks(token(), app="slug")).allowed


@pytest.mark.parametrize("name", ["acme", "slug", "pub_acme"])
def test_refresh_purge_during_load_by_any_name_discards_old_app(name: str) -> None:
    reading, purged = threading.Event(), threading.Event()
    rows = [acme(aliases=["slug"], publishable_key="pub_acme")]

    def load(ref: AppRef) -> App | None:
        row = rows[-1]
        reading.set()
        assert purged.wait(LONG)
        return row

    locations = [Header("X-App-Id"), Header("X-Key", "publishable_key")]
    header = ("X-Key" if name == "pub_acme" else "X-App-Id", name)
    request = Request(headers=[header, ("Authorization", f"Bearer {token()}")])
    with over(load, app_locations=locations) as gate:
        answers: list[Decision] = []
        asking = threading.Thread(target=lambda: answers.append(gate.decide(request)))
        asking.start()
        assert reading.wait(LONG)
        rows.append(acme(aliases=["slug"], publishable_key="pub_acme", revocations=Revocations(users={"user-1": NOW})))
        gate.refresh("acme", purge=True)
        purged.set()
        asking.join(LONG)
        assert [decision.allowed for decision in (*answers, gate.decide(request))] == [False, False]


def test_registry_broken_app_by_two_names_config_invalid() -> None:
    broken = config_error("id", "is wrong")
    with over(Registry(acme=broken, slug=broken), app_locations=[Header("X-App-Id"), Query("appId")]) as gate:
        assert code(gate.decide(asks(token(), query="appId=slug"))) == "config_invalid"


def test_refresh_one_app_keeps_other_apps() -> None:
    registry = Registry(acme=acme(), two=acme_two())
    with over(registry) as gate:
        for name, key in (("acme", KEY), ("two", OTHER_KEY)):
            assert gate.decide(asks(token(key=key), app=name)).allowed
        gate.refresh("acme", purge=True)
        assert gate.decide(asks(token(key=OTHER_KEY), app="two")).allowed
    assert len(registry.asked) == 2


def test_refresh_unknown_app_finds_new_app() -> None:
    registry = Registry()
    with over(registry) as gate:
        assert code(gate.decide(asks(token()))) == "unknown_app"
        registry.apps["acme"] = acme()
        gate.refresh("acme")
        assert gate.decide(asks(token())).allowed


def test_refresh_configured_app_clears_signature_cache() -> None:
    with gate_of(acme()) as gate:
        gate.decide(asks(token()))
        assert len(gate._memory) == 1
        gate.refresh("acme")
        assert len(gate._memory) == 0
