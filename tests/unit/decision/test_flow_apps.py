"""Step 1 of the decision flow: resolve the app by its references or the token's issuer, in code or from a registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.flow_harness import FakeRegistry, acme_two, code, decided, gate_context, reason, run
from tests.support.unit import BY_HEADER, KEY, NOW, OTHER_KEY, acme, asks, claims, segment, token
from wicket import (
    App,
    AppLocation,
    AppRef,
    Bearer,
    ConfigError,
    Gate,
    Header,
    Mode,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Request,
    TokenIssuer,
)
from wicket.config.app import BrokenApp
from wicket.decision.flow import Flow, check_origin, decide, verify
from wicket.decision.io import LoadEntry

# --- 1. resolve the app


def test_only_app_no_app_ref_allowed() -> None:
    assert decided(asks(token(), app=None), acme()).allowed


def test_only_app_other_app_ref_unknown_app() -> None:
    decision = decided(asks(token(), app="other"), acme())
    assert (code(decision), decision.app_id, decision.app_ref) == ("unknown_app", None, AppRef("id", "other"))


@pytest.mark.parametrize("app", [None, "other", "", "a" * 200, "a b"])
def test_app_ref_missing_or_unknown_unknown_app(app: str | None) -> None:
    decision = decided(asks(token(), app=app), acme(), acme_two())
    assert (decision.allowed, code(decision), decision.enforced, decision.app_id) == (False, "unknown_app", True, None)
    assert decision.app is None


BOTH_PLACES = (Header("X-App-Id"), Query("appId"), PathSegment(0))


def test_app_locations_same_app_ref_allowed() -> None:
    request = asks(token(), query="appId=acme", path="/acme")
    assert decided(request, acme(), acme_two(), app_locations=BOTH_PLACES).allowed


@pytest.mark.parametrize("query", ["appId=two", "appId=unknown"])
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.LOG_ONLY])
def test_app_locations_different_apps_any_mode_invalid_request(query: str, mode: Mode) -> None:
    decision = decided(asks(token(), query=query), acme(mode=mode), acme_two(mode=mode), app_locations=BOTH_PLACES)
    assert (decision.allowed, code(decision)) == (False, "invalid_request")
    assert decision.app_id is None


def test_app_locations_two_refs_of_one_app_allowed() -> None:
    locations = (Header("X-App-Id"), PublishableKeyBearer())
    app = acme(publishable_key="pub_acme", token_locations=[Header("X-Token")])
    request = Request(headers=[("X-App-Id", "acme"), ("Authorization", "Bearer pub_acme"), ("X-Token", token())])
    assert decided(request, app, acme_two(), app_locations=locations).allowed


def test_app_header_sent_twice_invalid_request() -> None:
    decision = decided(asks(token(), headers=[("X-App-Id", "acme")]), acme(), acme_two())
    assert (decision.allowed, code(decision)) == (False, "invalid_request")


BY_ISSUER = (Header("X-App-Id"), TokenIssuer())


def test_token_issuer_no_other_app_ref_resolves_app() -> None:
    text = token(claims(iss="https://two"), key=OTHER_KEY)
    decision = decided(asks(text, app=None), acme(), acme_two(), app_locations=BY_ISSUER)
    assert decision.require().app_id == "two"


def test_token_issuer_beside_app_ref_ignored() -> None:
    text = token(claims(iss="https://two"))
    assert decided(asks(text), acme(), acme_two(), app_locations=BY_ISSUER).require().app_id == "acme"


def test_token_issuer_token_by_key_of_other_app_bad_signature() -> None:
    text = token(claims(iss="https://two"), key=KEY)
    assert reason(decided(asks(text, app=None), acme(), acme_two(), app_locations=BY_ISSUER)) == "bad_signature"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ("unknown_app", None)),
        (token(claims()), ("unknown_app", None)),
        (token({**claims(), "iss": 5}), ("unknown_app", None)),
        (token(claims(iss="https://unknown")), ("unknown_app", None)),
        (token(claims(iss="")), ("unknown_app", None)),
        ("not.a.token", ("invalid_token", "malformed")),
        (f"{segment({'alg': 'HS256'})}.{segment('junk')}.AA", ("invalid_token", "malformed")),
        ("a" * 20_000, ("invalid_token", "too_large")),
    ],
)
def test_token_issuer_unresolvable_token_refused_with_reason(
    text: str | None, expected: tuple[str, str | None]
) -> None:
    decision = decided(asks(text, app=None), acme(), acme_two(), app_locations=BY_ISSUER)
    assert (decision.allowed, code(decision), reason(decision)) == (False, *expected)
    assert decision.credentials_sent is (text is not None)


@pytest.mark.parametrize("registry", [None, lambda ref: acme(issuer="https://one")])
def test_p12_token_issuer_of_several_apps_names_none(registry: Any) -> None:
    apps = [acme(issuer="https://one"), acme_two(issuer="https://one"), App("three", issuer="https://one")]
    text = token(claims(iss="https://one"))
    with Gate(apps, registry=registry, app_locations=BY_ISSUER, clock=lambda: NOW) as gate:
        decision = gate.decide(asks(text, app=None))
        assert (decision.allowed, code(decision), decision.enforced) == (False, "unknown_app", True)
        assert decision.refusal is not None
        assert decision.refusal.detail == (
            "This request names its app only by the token's issuer, and several apps have this issuer. "
            "It must name the app."
        )
        assert gate.decide(asks(text)).require().app_id == "acme"


@pytest.mark.parametrize(
    ("app", "token_sent", "detail"),
    [
        (None, None, "This request names no app."),
        (None, token(claims()), "This request names no app."),
        ("nobody", None, "This request names an app that is not configured here."),
        (None, token(claims(iss="https://nobody")), "This request names an app that is not configured here."),
    ],
)
def test_unknown_app_named_none_or_one_that_is_not_configured(
    app: str | None, token_sent: str | None, detail: str
) -> None:
    decision = decided(asks(token_sent, app=app), acme(), acme_two(), app_locations=BY_ISSUER)
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.detail) == ("unknown_app", detail)


def test_optional_path_no_app_and_no_token_anonymous() -> None:
    decision = decided(asks(app=None), acme(), acme_two(), optional=True)
    assert (decision.allowed, decision.app_id, decision.identity.app_id, decision.enforced) == (True, None, None, True)


def test_optional_path_token_without_app_unknown_app() -> None:
    assert code(decided(asks(token(), app=None), acme(), acme_two(), optional=True)) == "unknown_app"


def test_broken_app_valid_token_config_invalid() -> None:
    decision = decided(asks(token()), BrokenApp("acme"), acme_two())
    assert (decision.allowed, code(decision), decision.app_id, decision.app) == (False, "config_invalid", "acme", None)


def test_broken_app_log_only_allowed_as_anonymous() -> None:
    decision = decided(asks(token()), BrokenApp("acme", mode=Mode.LOG_ONLY), acme_two())
    assert (decision.allowed, code(decision), decision.enforced) == (True, "config_invalid", False)
    assert not decision.identity.verified


# --- apps that must be loaded


def test_registry_app_ref_loaded_once() -> None:
    registry = FakeRegistry(acme=acme())
    decision = decided(asks(token()), registry=registry)
    assert decision.require().app_id == "acme"
    assert registry.waits == [5.0]
    assert decided(asks(token()), registry=registry).allowed
    assert registry.waits == [5.0]


def test_registry_app_in_code_not_loaded() -> None:
    registry = FakeRegistry()
    assert decided(asks(token()), acme(), registry=registry).allowed
    assert registry.waits == []


@pytest.mark.parametrize("name", ["a" * 129, "a b", "é"])
def test_registry_invalid_app_ref_unknown_app_without_load(name: str) -> None:
    registry = FakeRegistry()
    assert code(decided(asks(token(), app=name), registry=registry)) == "unknown_app"
    assert registry.waits == []


def test_registry_unknown_app_loaded_once_unknown_app() -> None:
    registry = FakeRegistry()
    for _ in range(2):
        assert code(decided(asks(token()), registry=registry)) == "unknown_app"
    assert registry.waits == [5.0]


def test_registry_outage_apps_unavailable_503() -> None:
    registry = FakeRegistry(acme=OSError())
    decision = decided(asks(token()), registry=registry)
    assert (decision.allowed, code(decision), decision.app_id) == (False, "apps_unavailable", None)
    assert decision.refusal is not None
    assert decision.refusal.retry_after == 1
    assert decision.refusal.status == 503


def test_registry_load_timeout_apps_unavailable() -> None:
    registry = FakeRegistry(acme=acme())
    assert code(run(decide(gate_context(registry=registry), asks(token())), registry, load=False)) == "apps_unavailable"


def test_registry_app_due_for_refresh_served_without_wait() -> None:
    registry = FakeRegistry(acme=acme())
    decided(asks(token()), registry=registry)
    registry.clock.now += 59
    assert decided(asks(token()), registry=registry).allowed
    assert registry.waits == [5.0, 0.0]


def test_registry_stale_app_load_error_served_after_short_wait() -> None:
    registry = FakeRegistry(acme=acme())
    decided(asks(token()), registry=registry)
    registry.clock.now += 61
    registry.apps["acme"] = OSError()
    assert decided(asks(token()), registry=registry).allowed
    assert registry.waits == [5.0, 1.0]


def test_load_timeout_log_only_gate_at_most_half_a_second() -> None:
    registry = FakeRegistry(acme=acme())
    for _ in range(2):
        decided(asks(token()), registry=registry, mode=Mode.LOG_ONLY)
        registry.clock.now += 61
    assert registry.waits[0] == 0.5
    assert max(registry.waits) == 0.5


def test_load_timeout_verify_log_only_gate_full_timeout() -> None:
    registry = FakeRegistry(acme=acme())
    flow = verify(gate_context(registry=registry, mode=Mode.LOG_ONLY), token(), AppRef("id", "acme"), None)
    assert run(flow, registry).allowed
    assert registry.waits == [5.0]


def test_registry_broken_app_any_app_ref_config_invalid() -> None:
    registry = FakeRegistry(acme=BrokenApp("acme"), pub_acme=BrokenApp(None))
    locations = (Header("X-App-Id"), PublishableKeyBearer())
    request = Request(headers=[("X-App-Id", "acme"), ("Authorization", "Bearer pub_acme")])
    assert code(decided(request, registry=registry, app_locations=locations)) == "config_invalid"
    assert (
        code(decided(Request(headers=[("X-App-Id", "acme")]), registry=registry, app_locations=locations))
        == "config_invalid"
    )


def test_registry_second_app_ref_alias_allowed_other_app_invalid_request() -> None:
    registry = FakeRegistry(acme=acme(), alias=acme(), two=acme_two())
    locations = (Header("X-App-Id"), Query("appId"))
    assert decided(asks(token(), query="appId=alias"), registry=registry, app_locations=locations).allowed
    assert (
        code(decided(asks(token(), query="appId=two"), registry=registry, app_locations=locations)) == "invalid_request"
    )


def test_flow_driver_raises_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    flow = decide(gate_context(registry=FakeRegistry()), asks(token()))
    next(flow)
    with pytest.raises(StopIteration) as end:
        flow.throw(ConfigError([]))
    assert end.value.value.refusal.code == "internal_error"
    assert len(caplog.records) == 1


def test_load_entry_known_version_matches_cached_entry() -> None:
    registry = FakeRegistry(acme=acme())
    ref = AppRef("id", "acme")
    assert LoadEntry(registry.cache, ref, None, 5.0).known_version == 0
    registry.cache.start(ref, 0)
    registry.pool.run()
    slot = registry.cache.read(ref)
    assert slot is not None
    fetch = LoadEntry(registry.cache, ref, slot, 5.0)
    assert (fetch.known_version, fetch.entry) == (slot.version, slot)


# --- an app in log-only mode gives no access to another app


@pytest.mark.parametrize("order", [("acme", "two"), ("two", "acme")])
def test_app_locations_app_and_log_only_broken_app_invalid_request(order: tuple[str, str]) -> None:
    first, second = order
    request = asks(token(key=OTHER_KEY), app=first, query=f"appId={second}")
    broken = BrokenApp("two", mode=Mode.LOG_ONLY)
    decision = decided(request, acme(), broken, app_locations=BOTH_PLACES)
    assert (decision.allowed, code(decision), decision.enforced) == (False, "invalid_request", True)
    assert decision.app_id is None


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("order", [("acme", "nameless"), ("nameless", "acme")])
def test_broken_app_without_id_beside_other_app_enforced_config_invalid(order: tuple[str, str], mode: Mode) -> None:
    registry = FakeRegistry(acme=acme(mode=mode), nameless=BrokenApp(None, mode=mode))
    locations = (Header("X-First"), Query("second"))
    request = Request(headers=[("X-First", order[0])], query=f"second={order[1]}")
    decision = decided(request, registry=registry, app_locations=locations)
    assert (decision.allowed, code(decision), decision.enforced) == (False, "config_invalid", True)
    assert decision.app_id is None


# --- the only app applies to a request that contradicts itself


class Broken(AppLocation):
    """A location with a bug."""

    def read(self, request: Request) -> str | None:
        raise RuntimeError("a bug")


@pytest.mark.parametrize("start_flow", [decide, check_origin])
@pytest.mark.parametrize(
    ("app_locations", "expected"),
    [(BY_HEADER, "invalid_request"), ([Broken()], "internal_error")],
    ids=["twice", "a bug"],
)
def test_only_app_unreadable_app_ref_follows_app_mode(
    start_flow: Callable[..., Flow], app_locations: Any, expected: str
) -> None:
    request = Request(headers=[("X-App-Id", "acme"), ("X-App-Id", "acme"), ("Authorization", f"Bearer {token()}")])
    for mode, allowed in ((Mode.LOG_ONLY, True), (Mode.ENFORCE, False)):
        context = gate_context(acme(mode=mode, token_locations=[Bearer()]), app_locations=tuple(app_locations))
        flow = start_flow(context, request)
        with pytest.raises(StopIteration) as ended:
            next(flow)
        decision = ended.value.value
        assert (decision.allowed, code(decision), decision.app_id) == (allowed, expected, "acme")
        assert not decision.identity.verified
