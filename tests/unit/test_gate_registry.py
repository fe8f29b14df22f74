"""Registry apps: they are loaded once and cached, kept while the registry fails, and checked when they are loaded."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.gate_harness import LONG, Ask, Registry, acme_two, both, code, messages, over
from tests.support.unit import KEY, NOW, OTHER_KEY, Clock, acme, asks, claims, secret, token
from wicket import App, AppRef, Header, Limits, Mode, Request, Revocations, TokenIssuer
from wicket.config.app import BrokenApp
from wicket.errors import ConfigError, Problem, config_error

# --- apps of a registry


@both
def test_registry_repeated_requests_load_app_once(ask: Ask) -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate:
        for _ in range(3):
            assert ask(gate, asks(token())).require().app_id == "acme"
        assert registry.asked == [AppRef("id", "acme")]
        assert ask(gate, asks(token(), app="other")).refusal == ask(gate, asks(token(), app="other")).refusal
        assert registry.asked[1:] == [AppRef("id", "other")]


def test_gate_verify_registry_app_allowed() -> None:
    with over(Registry(acme=acme())) as gate:
        assert gate.verify(token(), app="acme").allowed
    with over(Registry(acme=acme())) as gate:
        assert asyncio.run(gate.averify(token(), app="acme")).allowed


@both
def test_registry_error_apps_unavailable_and_logged_without_its_text(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with over(Registry(acme=OSError("host db.internal is down"))) as gate:
        decision = ask(gate, asks(token()))
    assert (decision.allowed, code(decision)) == (False, "apps_unavailable")
    assert decision.refusal is not None
    assert (decision.refusal.status, decision.refusal.retry_after) == (503, 1)
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any("the registry raised an exception: OSError" in message for message in messages)
    assert not any("db.internal" in message for message in messages)


@both
def test_registry_broken_app_config_invalid_and_others_allowed(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with over(Registry(broken=config_error("origins[0]", "is not an origin"), acme=acme())) as gate:
        broken = ask(gate, asks(token(), app="broken"))
        assert (code(broken), broken.app_id) == ("config_invalid", "broken")
        assert ask(gate, asks(token())).allowed
    assert any("origins[0]: is not an origin" in record.getMessage() for record in caplog.records)


def test_registry_broken_app_by_publishable_key_config_invalid() -> None:
    with over(
        Registry(pub_acme=config_error("id", "is wrong")), app_locations=[Header("X-Key", "publishable_key")]
    ) as gate:
        decision = gate.decide(Request(headers=[("X-Key", "pub_acme")]))
    assert (code(decision), decision.app_id) == ("config_invalid", None)


@pytest.mark.parametrize("value", ["an app", 5, BrokenApp("acme")])
def test_registry_wrong_return_type_apps_unavailable_and_logged(
    value: object, caplog: pytest.LogCaptureFixture
) -> None:
    with over(Registry(acme=value)) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
    (message,) = [text for text in messages(caplog) if "the registry returned" in text]
    assert re.fullmatch(
        rf"the registry returned an object of the type {type(value).__name__}"
        r" for the app with the id #[0-9a-f]{12}\. It must return an App or None",
        message,
    )


def test_registry_unawaited_coroutine_is_closed_apps_unavailable() -> None:
    async def find(ref: AppRef) -> App | None:
        return None

    with over(lambda ref: find(ref)) as gate:
        assert code(gate.decide(asks(token()))) == "apps_unavailable"
    gc.collect()  # an unawaited, unclosed coroutine would cause a warning, and warnings are errors


def test_registry_token_issuer_is_looked_up() -> None:
    registry = Registry(**{"https://id": acme(issuer="https://id")})
    with over(registry, app_locations=[TokenIssuer()]) as gate:
        assert gate.decide(asks(token(claims(iss="https://id")), app=None)).allowed
    assert registry.asked == [AppRef("issuer", "https://id")]


# --- a cached app, and a registry that fails


HICCUPS = [config_error("credentials[0]", "is empty"), OSError(), "an app"]
AGED = Limits(stale_timeout=LONG)


@both
@pytest.mark.parametrize("hiccup", HICCUPS)
def test_registry_error_serves_stale_app_and_retries_with_backoff(ask: Ask, hiccup: Any) -> None:
    clock = Clock()
    registry = Registry(acme=acme())
    with over(registry, monotonic=clock, limits=AGED) as gate:
        assert ask(gate, asks(token())).allowed
        registry.apps["acme"] = hiccup
        clock.now += 61
        for _ in range(3):
            assert ask(gate, asks(token())).allowed
        assert len(registry.asked) == 2, "the second load waits for the backoff"
        clock.now += 1.1
        assert ask(gate, asks(token())).allowed
        assert len(registry.asked) == 3
        registry.apps["acme"] = acme(revocations=Revocations(users={"user-1": NOW}))
        clock.now += 2.1
        assert code(ask(gate, asks(token()))) == "invalid_token", "the loaded app replaces the cached one immediately"


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_registry_error_after_stale_time_refused(hiccup: Any) -> None:
    clock = Clock()
    registry = Registry(acme=acme())
    with over(registry, monotonic=clock, limits=AGED) as gate:
        assert gate.decide(asks(token())).allowed
        registry.apps["acme"] = hiccup
        clock.now += 61
        assert gate.decide(asks(token())).allowed
        clock.now += 3600
        decision = gate.decide(asks(token()))
        broken = isinstance(hiccup, ConfigError)
        assert code(decision) == ("config_invalid" if broken else "apps_unavailable")
        assert decision.app_id == ("acme" if broken else None)


def test_log_record_stale_app_now_broken_once_per_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, clock = [100.0], Clock()
    monkeypatch.setattr("wicket.reporting.reporter.time", SimpleNamespace(monotonic=lambda: now[0]))
    registry = Registry(acme=acme(publishable_key="pub_acme"), pub_acme=acme(publishable_key="pub_acme"))
    locations = [Header("X-App-Id"), Header("X-Key", "publishable_key")]
    by_key = Request(headers=[("X-Key", "pub_acme"), ("Authorization", f"Bearer {token()}")])

    def invalid_records() -> list[logging.LogRecord]:
        records = [record for record in caplog.records if "is not valid" in record.getMessage()]
        caplog.clear()
        return records

    with over(registry, app_locations=locations, monotonic=clock, limits=AGED) as gate:
        assert gate.decide(by_key).allowed
        registry.apps["pub_acme"] = ConfigError([Problem("id", "is wrong"), Problem("mode", "is wrong too")])
        for _ in range(3):
            clock.now += 70
            assert gate.decide(by_key).allowed
        (record,) = invalid_records()
        assert record.levelno == logging.ERROR
        assert record.app_id == "acme"  # type: ignore[attr-defined]
        for part in ("app acme:", "id: is wrong", "mode: is wrong too"):
            assert part in record.getMessage()
        now[0] += 60
        clock.now += 70
        assert gate.decide(by_key).allowed
        assert len(invalid_records()) == 1


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_registry_error_after_purge_refused(hiccup: Any) -> None:
    registry = Registry(acme=acme())
    with over(registry) as gate:
        assert gate.decide(asks(token())).allowed
        registry.apps["acme"] = hiccup
        gate.refresh("acme", purge=True)
        expected = "config_invalid" if isinstance(hiccup, ConfigError) else "apps_unavailable"
        assert code(gate.decide(asks(token()))) == expected


def test_registry_broken_app_is_retried_with_backoff() -> None:
    clock = Clock()
    registry = Registry(acme=config_error("id", "is wrong"))
    with over(registry, monotonic=clock) as gate:
        for _ in range(3):
            assert code(gate.decide(asks(token()))) == "config_invalid"
        assert len(registry.asked) == 1
        registry.apps["acme"] = acme()
        clock.now += 1.1
        assert gate.decide(asks(token())).allowed


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_registry_error_in_log_only_allowed_unenforced(hiccup: Any) -> None:
    with over(Registry(acme=hiccup), mode=Mode.LOG_ONLY) as gate:
        decision = gate.decide(asks(token()))
        assert (decision.allowed, decision.enforced, decision.identity.verified) == (True, False, False)


@both
def test_registry_full_queue_apps_unavailable_and_limited(ask: Ask) -> None:
    reading, go = threading.Event(), threading.Event()

    def slow(ref: AppRef) -> App | None:
        reading.set()
        assert go.wait(LONG)
        return acme()

    limits = Limits(registry_threads=1, registry_queue=1, load_timeout=LONG)
    with over(slow, limits=limits) as gate:
        waiting = [threading.Thread(target=gate.decide, args=(asks(token(), app=name),)) for name in ("one", "two")]
        waiting[0].start()
        assert reading.wait(LONG)
        waiting[1].start()
        cache: Any = gate._registry
        while not cache.loading(AppRef("id", "two")) or not gate._pool._jobs:
            threading.Event().wait(0.001)
        refusal = ask(gate, asks(token(), app="three")).refusal
        assert refusal is not None
        assert (refusal.code, refusal.status, refusal.retry_after) == ("apps_unavailable", 503, 1)
        assert refusal.limited
        go.set()
        for thread in waiting:
            thread.join(LONG)


# --- invalid results of a registry


def test_registry_app_with_other_id_unknown_app_and_warning(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(ACME=acme())
    with over(registry) as gate:
        assert code(gate.decide(asks(token(), app="ACME"))) == "unknown_app"
        assert code(gate.verify(token(), app="ACME")) == "unknown_app"
    assert registry.asked == [AppRef("id", "ACME")]
    (record,) = [record for record in caplog.records if "the registry returned the app acme" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.app_id == "acme"  # type: ignore[attr-defined]
    assert "for the id 'ACME'" in record.getMessage()
    assert "add it to the app's aliases" in record.getMessage()


NAMED = acme(aliases=["slug"], publishable_key="pub_acme", hosts=["acme.example"], issuer="https://id.acme.example")
NAMES = {"id": "slug", "publishable_key": "pub_acme", "host": "acme.example", "issuer": "https://id.acme.example"}
SETTINGS = {"id": "aliases", "publishable_key": "publishable_key", "host": "hosts", "issuer": "issuer"}


@both
@pytest.mark.parametrize("kind", list(NAMES))
def test_registry_app_ref_not_of_app_unknown_app_and_logged_once(
    ask: Ask, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    locations = [Header("X-Name", kind)]

    def asking(name: str) -> Request:
        issued = claims(iss="https://id.acme.example")
        return Request(headers=[("X-Name", name), ("Authorization", f"Bearer {token(issued)}")])

    with over(lambda ref: NAMED, app_locations=locations) as gate:
        assert ask(gate, asking(NAMES[kind])).allowed
        for _ in range(2):
            for name in (NAMES[kind].upper(), "another"):
                assert code(ask(gate, asking(name))) == "unknown_app"
        assert ask(gate, asking(NAMES[kind])).allowed
    (message,) = [text for text in messages(caplog) if "not one of the app's names" in text]
    assert "the app acme" in message
    assert message.endswith(f"add it to the app's {SETTINGS[kind]}")


@pytest.mark.parametrize(
    ("kind", "name", "logged"),
    [
        ("id", "x" * 64, "x" * 64),
        ("id", "x" * 65, "x" * 64 + "…"),
        ("publishable_key", "pub_" + "x" * 40, "pub_xxxxxxxx…"),
    ],
)
def test_log_record_unverified_app_ref_is_truncated(
    kind: Any, name: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = Request(headers=[("X-Name", name)])
    for registry in (lambda ref: acme(), Registry(**{name: config_error("id", "is wrong")})):
        with over(registry, app_locations=[Header("X-Name", kind)]) as gate:
            gate.decide(request)
    assert len([text for text in messages(caplog) if f" {logged!r}" in text]) == 2


def test_registry_app_with_many_aliases_takes_one_cache_entry() -> None:
    aliases = [f"alias-{number}" for number in range(200)]
    app = acme(aliases=aliases)
    registry = Registry(two=acme_two(), acme=app, **dict.fromkeys(aliases, app))
    with over(registry, limits=Limits(max_apps=50)) as gate:
        assert gate.decide(asks(token(key=OTHER_KEY), app="two")).allowed
        for alias in aliases:
            assert gate.decide(asks(token(), app=alias)).allowed
        assert sorted(str(item.id) for item in gate._registry.values()) == ["acme", "two"]  # type: ignore[union-attr]
        registry.apps.clear()
        for name, key in (("two", OTHER_KEY), ("alias-0", KEY), ("alias-199", KEY)):
            assert gate.decide(asks(token(key=key), app=name)).allowed


def test_registry_alias_removed_then_refreshed_unknown_app() -> None:
    registry = Registry(acme=acme(aliases=["slug"]), slug=acme(aliases=["slug"]))
    with over(registry) as gate:
        for name in ("slug", "acme"):
            assert gate.decide(asks(token(), app=name)).allowed
        registry.apps.update(acme=acme(), slug=acme())
        gate.refresh("acme")
        assert gate.decide(asks(token())).allowed
        assert code(gate.decide(asks(token(), app="slug"))) == "unknown_app"


def test_registry_app_also_configured_uses_configured_app(caplog: pytest.LogCaptureFixture) -> None:
    lax = acme(publishable_key="pub_acme", allow_anonymous=True, credentials=[secret(OTHER_KEY)])
    locations = [Header("X-App-Id"), Header("X-Key", "publishable_key")]
    by_key = [("X-Key", "pub_acme")]
    with over(Registry(pub_acme=lax), apps=[acme()], app_locations=locations) as gate:
        assert code(gate.decide(Request(headers=by_key))) == "missing_token"
        assert code(gate.decide(asks(token(key=OTHER_KEY), app=None, headers=by_key))) == "invalid_token"
        assert gate.decide(asks(token(), app=None, headers=by_key)).allowed
        assert gate.decide(asks(token(), headers=by_key)).allowed
    assert (
        "the registry returned the app acme, which is also configured in code. The app from the code is used"
        in messages(caplog)
    )


def test_p18_log_record_broken_registry_app_has_its_id(caplog: pytest.LogCaptureFixture) -> None:
    with over(Registry(**{"customer-4711": config_error("id", "is wrong")})) as gate:
        assert code(gate.decide(asks(token(), app="customer-4711"))) == "config_invalid"
    (record,) = [item for item in caplog.records if getattr(item, "code", None) == "config_invalid"]
    assert (record.levelno, getattr(record, "app_id")) == (logging.WARNING, "customer-4711")  # noqa: B009


def test_log_record_broken_app_has_id_and_every_problem(caplog: pytest.LogCaptureFixture) -> None:
    problems = ConfigError([Problem("id", "is wrong"), Problem("origins[0]", "is not an origin")])
    with over(Registry(broken=problems)) as gate:
        assert code(gate.decide(asks(token(), app="broken"))) == "config_invalid"
    (record,) = [record for record in caplog.records if "configuration of the registry app" in record.getMessage()]
    assert record.levelno == logging.ERROR
    assert record.app_id == "broken"  # type: ignore[attr-defined]
    for part in ("'broken'", "id: is wrong", "origins[0]: is not an origin"):
        assert part in record.getMessage()


def test_log_record_unverified_broken_refs_at_most_16_per_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with over(Registry(**{f"name-{number}": config_error("id", "is wrong") for number in range(40)})) as gate:
        for number in range(40):
            assert code(gate.decide(asks(token(), app=f"name-{number}"))) == "config_invalid"
    assert len([text for text in messages(caplog) if "configuration of the registry app" in text]) == 16


def test_log_record_registry_errors_limited_per_type_without_text(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("wicket.reporting.reporter.time", SimpleNamespace(monotonic=lambda: now[0]))
    failing: dict[str, Any] = {f"app-{number}": OSError("password=hunter2") for number in range(5)}
    registry = Registry(**failing, other=KeyError("password=hunter2"))

    def faults() -> list[str]:
        lines = [text.splitlines()[0] for text in messages(caplog) if "the registry raised" in text]
        caplog.clear()
        return lines

    with over(registry) as gate:
        for name in ("app-0", "app-1", "app-2", "other", "app-3"):
            assert code(gate.decide(asks(token(), app=name))) == "apps_unavailable"
        assert "hunter2" not in caplog.text
        assert faults() == [f"the registry raised an exception: {kind}" for kind in ("OSError", "KeyError")]
        now[0] += 60
        gate.decide(asks(token(), app="app-4"))
        assert faults() == ["the registry raised an exception: OSError"]
