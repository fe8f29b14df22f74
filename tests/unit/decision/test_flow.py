"""The request's way, step by step, with its effects answered by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.choosing import no_key_sets
from tests.unit.support import (
    BY_HEADER,
    KEY,
    NOW,
    ORIGIN,
    OTHER_KEY,
    Clock,
    HandPool,
    acme,
    asks,
    claims,
    loads,
    secret,
    segment,
    token,
)
from wicket import (
    App,
    AppRef,
    Bearer,
    ConfigError,
    Cookie,
    Decision,
    Header,
    Identity,
    Limits,
    Mode,
    PathSegment,
    PublicKeyBearer,
    Query,
    Refusal,
    Refused,
    Request,
    Rules,
    TokenIssuer,
    VerifiedIdentity,
)
from wicket.app import BrokenApp
from wicket.cache import Cache, Times
from wicket.decision.effects import Fetch
from wicket.decision.flow import Flow, decide, log_fault, verify
from wicket.decision.house import House
from wicket.decision.memory import SignatureMemory
from wicket.errors import config_error
from wicket.sources import Holders

ELSEWHERE = ("Origin", "https://evil.example")
TIMES = Times(lifetime=60, stale=3600, absent=10, backoff_first=1, backoff_last=60, timeout=5)


class Town:
    """A registry on a cache that the test turns by hand."""

    def __init__(self, **apps: Any) -> None:
        self.apps: dict[str, Any] = apps
        self.pool = HandPool()
        self.clock = Clock()
        self.waits: list[float] = []
        self.cache: Cache[AppRef, App | BrokenApp] = Cache(
            loads(self.load),
            pool=self.pool,
            times=TIMES,
            size=10,
            absent_size=10,
            on_failure=lambda key, error: None,
            clock=self.clock,
        )

    def load(self, ref: AppRef) -> App | BrokenApp | None:
        found = self.apps.get(ref.value)
        if isinstance(found, Exception):
            raise found
        assert found is None or isinstance(found, App | BrokenApp)
        return found


def house(*apps: App | BrokenApp, town: Town | None = None, **changes: Any) -> House:
    index = {ref: app for app in apps for ref in app.refs()}
    settings: dict[str, Any] = {
        "apps": index,
        "only_app": apps[0] if len(apps) == 1 and town is None else None,
        "registry": town.cache if town else None,
        "naming": BY_HEADER,
        "holders": Holders((Bearer(),)),
        "key_sets": no_key_sets(),
        "memory": SignatureMemory(total=10, per_app=10, max_bytes=4096),
        "mode": None,
        "clock": lambda: NOW,
        "limits": Limits(),
    }
    return House(**{**settings, **changes})


def run(flow: Flow, town: Town | None = None, load: bool = True) -> Decision:
    """Drive a flow; loads are run at once, or never."""
    try:
        fetch = next(flow)
        while True:
            assert town is not None
            assert isinstance(fetch, Fetch)
            town.waits.append(fetch.patience)
            fetch.cache.start(fetch.key, fetch.seen)
            if load:
                town.pool.run()
            fetch.slot = fetch.cache.read(fetch.key)
            fetch = flow.send(None)
    except StopIteration as end:
        decision: Decision = end.value
        return decision


def decided(request: Request, *apps: App | BrokenApp, optional: bool = False, **changes: Any) -> Decision:
    return run(decide(house(*apps, **changes), request, optional=optional), changes.get("town"))


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


def reason(decision: Decision) -> str | None:
    return decision.refusal.reason if decision.refusal else None


# --- what a decision is


def test_a_good_token_passes_with_its_identity() -> None:
    app = acme()
    decision = decided(asks(token()), app)
    assert (decision.allowed, decision.refusal, decision.enforced, decision.app_id) == (True, None, True, "acme")
    assert decision.require().user_id == "user-1"
    assert decision.token_sent
    assert decision.app is app
    assert decision.asked_for == AppRef("id", "acme")
    assert decision.claimed is None


def test_a_bad_token_is_turned_away_without_an_identity() -> None:
    decision = decided(asks(token(key=OTHER_KEY)), acme())
    assert (decision.allowed, reason(decision), decision.enforced) == (False, "bad_signature", True)
    assert type(decision.identity) is Identity
    assert decision.identity.app_id == "acme"
    with pytest.raises(Refused) as caught:
        decision.require()
    assert caught.value.refusal is decision.refusal


def test_require_asks_for_a_token_where_an_anonymous_request_passed() -> None:
    decision = decided(asks(), acme(anonymous=True))
    assert (decision.allowed, decision.refusal) == (True, None)
    with pytest.raises(Refused) as caught:
        decision.require()
    assert caught.value.refusal == Refusal("missing_token")


def test_require_asks_for_scopes() -> None:
    app = acme(rules=Rules(scopes_claim="scope"), scopes=["read", "write"])
    decision = decided(asks(token(claims(scope="read admin"))), app)
    assert decision.require("read").user_id == "user-1"
    for missing in ("write", "admin"):
        with pytest.raises(Refused) as caught:
            decision.require("read", missing)
        assert caught.value.refusal.code == "insufficient_scope"
        assert caught.value.refusal.detail == f"The token lacks a scope that this request needs: {missing}."


def test_the_repr_of_a_decision_holds_no_token() -> None:
    text = token()
    assert text not in repr(decided(asks(text), acme()))


# --- 1. which app


def test_the_only_app_needs_no_name() -> None:
    assert decided(asks(token(), app=None), acme()).allowed


def test_the_only_app_is_not_meant_by_another_name() -> None:
    decision = decided(asks(token(), app="other"), acme())
    assert (code(decision), decision.app_id, decision.asked_for) == ("unknown_app", None, AppRef("id", "other"))


@pytest.mark.parametrize("app", [None, "other", "", "a" * 200, "a b"])
def test_a_request_that_names_no_known_app_is_turned_away(app: str | None) -> None:
    decision = decided(asks(token(), app=app), acme(), acme_two())
    assert (decision.allowed, code(decision), decision.enforced, decision.app_id) == (False, "unknown_app", True, None)
    assert decision.app is None


def acme_two(**settings: Any) -> App:
    """A second app, with a key of its own."""
    return App(
        "two", **{"credentials": [secret(OTHER_KEY)], "public_key": "pub_two", "issuer": "https://two", **settings}
    )


BOTH_PLACES = (Header("X-App-Id"), Query("appId"), PathSegment(0))


def test_places_that_name_the_same_app_agree() -> None:
    request = asks(token(), query="appId=acme", path="/acme")
    assert decided(request, acme(), acme_two(), naming=BOTH_PLACES).allowed


@pytest.mark.parametrize("query", ["appId=two", "appId=unknown"])
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.LOG_ONLY])
def test_two_different_apps_are_an_invalid_request_whatever_their_mode(query: str, mode: Mode) -> None:
    decision = decided(asks(token(), query=query), acme(mode=mode), acme_two(mode=mode), naming=BOTH_PLACES)
    assert (decision.allowed, code(decision)) == (False, "invalid_request")
    assert decision.app_id is None


def test_two_names_of_one_app_agree() -> None:
    naming = (Header("X-App-Id"), PublicKeyBearer())
    app = acme(public_key="pub_acme", tokens=[Header("X-Token")])
    request = Request(headers=[("X-App-Id", "acme"), ("Authorization", "Bearer pub_acme"), ("X-Token", token())])
    assert decided(request, app, acme_two(), naming=naming).allowed


def test_a_place_named_twice_is_an_invalid_request() -> None:
    decision = decided(asks(token(), headers=[("X-App-Id", "acme")]), acme(), acme_two())
    assert (decision.allowed, code(decision)) == (False, "invalid_request")


BY_ISSUER = (Header("X-App-Id"), TokenIssuer())


def test_the_tokens_issuer_names_the_app_where_nothing_else_does() -> None:
    text = token(claims(iss="https://two"), key=OTHER_KEY)
    decision = decided(asks(text, app=None), acme(), acme_two(), naming=BY_ISSUER)
    assert decision.require().app_id == "two"


def test_the_tokens_issuer_does_not_count_where_the_app_is_named() -> None:
    text = token(claims(iss="https://two"))
    assert decided(asks(text), acme(), acme_two(), naming=BY_ISSUER).require().app_id == "acme"


def test_the_named_app_must_still_have_signed_the_token() -> None:
    text = token(claims(iss="https://two"), key=KEY)
    assert reason(decided(asks(text, app=None), acme(), acme_two(), naming=BY_ISSUER)) == "bad_signature"


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
def test_an_issuer_that_names_no_app_is_told(text: str | None, expected: tuple[str, str | None]) -> None:
    decision = decided(asks(text, app=None), acme(), acme_two(), naming=BY_ISSUER)
    assert (decision.allowed, code(decision), reason(decision)) == (False, *expected)
    assert decision.token_sent is (text is not None)


def test_where_an_anonymous_request_may_come_it_needs_no_app() -> None:
    decision = decided(asks(app=None), acme(), acme_two(), optional=True)
    assert (decision.allowed, decision.app_id, decision.identity.app_id, decision.enforced) == (True, None, None, True)


def test_a_token_needs_an_app_even_where_anonymous_requests_may_come() -> None:
    assert code(decided(asks(token(), app=None), acme(), acme_two(), optional=True)) == "unknown_app"


def test_a_broken_app_is_told_as_such() -> None:
    decision = decided(asks(token()), BrokenApp("acme"), acme_two())
    assert (decision.allowed, code(decision), decision.app_id, decision.app) == (False, "config_invalid", "acme", None)


def test_a_broken_app_in_log_only_lets_pass_as_anonymous() -> None:
    decision = decided(asks(token()), BrokenApp("acme", mode=Mode.LOG_ONLY), acme_two())
    assert (decision.allowed, code(decision), decision.enforced) == (True, "config_invalid", False)
    assert not decision.identity.verified


# --- 2. from where


def test_an_origin_that_the_app_does_not_admit_is_turned_away_before_its_token_is_read() -> None:
    decision = decided(asks("junk", headers=[ELSEWHERE]), acme())
    assert (decision.allowed, code(decision), reason(decision)) == (False, "origin_not_allowed", None)


@pytest.mark.parametrize("require", [True, False])
def test_an_origin_is_missed_only_where_it_is_required(require: bool) -> None:
    assert decided(asks(token()), acme(require_origin=require)).allowed is not require
    assert decided(asks(token(), headers=[("Origin", ORIGIN)]), acme(require_origin=require)).allowed


def test_two_origins_are_an_invalid_request() -> None:
    decision = decided(asks(token(), headers=[("Origin", ORIGIN), ("Origin", ORIGIN)]), acme())
    assert code(decision) == "invalid_request"


@pytest.mark.parametrize(
    ("mode", "origin_mode", "gate", "allowed", "enforced"),
    [
        (Mode.ENFORCE, None, None, False, True),
        (Mode.ENFORCE, Mode.ENFORCE, None, False, True),
        (Mode.ENFORCE, Mode.LOG_ONLY, None, True, False),
        (Mode.LOG_ONLY, None, None, True, False),
        (Mode.LOG_ONLY, Mode.LOG_ONLY, None, True, False),
        (Mode.LOG_ONLY, Mode.ENFORCE, None, False, True),
        (Mode.ENFORCE, None, Mode.LOG_ONLY, True, False),
        (Mode.ENFORCE, Mode.ENFORCE, Mode.LOG_ONLY, True, False),
        (Mode.LOG_ONLY, Mode.LOG_ONLY, Mode.ENFORCE, False, True),
    ],
)
def test_the_origin_check_has_its_mode(
    mode: Mode, origin_mode: Mode | None, gate: Mode | None, allowed: bool, enforced: bool
) -> None:
    app = acme(mode=mode, origin_mode=origin_mode)
    decision = decided(asks(token(), headers=[ELSEWHERE]), app, mode=gate)
    assert (decision.allowed, code(decision), decision.enforced) == (allowed, "origin_not_allowed", enforced)


def test_where_only_the_origin_is_reported_a_good_token_gives_its_identity() -> None:
    decision = decided(asks(token(), headers=[ELSEWHERE]), acme(origin_mode=Mode.LOG_ONLY))
    assert (decision.allowed, code(decision), decision.enforced) == (True, "origin_not_allowed", False)
    assert decision.require().user_id == "user-1"


def test_where_only_the_origin_is_reported_a_bad_token_is_turned_away() -> None:
    decision = decided(asks(token(key=OTHER_KEY), headers=[ELSEWHERE]), acme(origin_mode=Mode.LOG_ONLY))
    assert (decision.allowed, reason(decision), decision.enforced) == (False, "bad_signature", True)


def test_where_only_the_origin_is_enforced_a_bad_token_passes_as_anonymous() -> None:
    app = acme(mode=Mode.LOG_ONLY, origin_mode=Mode.ENFORCE)
    decision = decided(asks(token(key=OTHER_KEY), headers=[("Origin", ORIGIN)]), app)
    assert (decision.allowed, reason(decision), decision.enforced) == (True, "bad_signature", False)


# --- 3. which token


@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize("optional", [True, False])
def test_without_a_token_only_an_anonymous_request_passes(anonymous: bool, optional: bool) -> None:
    decision = decided(asks(), acme(anonymous=anonymous), optional=optional)
    if anonymous or optional:
        assert (decision.allowed, decision.refusal, decision.identity.verified) == (True, None, False)
        assert decision.app_id == "acme"
    else:
        assert (decision.allowed, code(decision), decision.token_sent) == (False, "missing_token", False)


@pytest.mark.parametrize("optional", [True, False])
def test_a_token_that_is_there_and_bad_is_never_anonymous(optional: bool) -> None:
    decision = decided(asks(token(key=OTHER_KEY)), acme(anonymous=True), optional=optional)
    assert (decision.allowed, reason(decision)) == (False, "bad_signature")


TWO_PLACES = {"tokens": [Bearer(), Header("X-Token"), Query("jwt")]}


def test_the_same_token_may_come_twice() -> None:
    text = token()
    request = asks(text, headers=[("X-Token", text)], query=f"jwt={text}")
    assert decided(request, acme(**TWO_PLACES)).allowed


@pytest.mark.parametrize("other", [token(key=OTHER_KEY), token(claims(sub="user-2")), "junk"])
def test_two_different_tokens_are_an_invalid_request(other: str) -> None:
    decision = decided(asks(token(), headers=[("X-Token", other)]), acme(**TWO_PLACES))
    assert (decision.allowed, code(decision)) == (False, "invalid_request")
    assert decision.refusal is not None
    assert decision.refusal.detail == "The request carries two different tokens."


@pytest.mark.parametrize("place", ["header", "query"])
def test_a_token_is_read_from_wherever_it_rides(place: str) -> None:
    text = token()
    request = asks(headers=[("X-Token", text)]) if place == "header" else asks(query=f"jwt={text}")
    assert decided(request, acme(**TWO_PLACES)).require().user_id == "user-1"


WITH_COOKIE = {"tokens": [Cookie("t"), Cookie("u"), Bearer()]}


def cookied(text: str, **settings: Any) -> Request:
    return asks(headers=[("Cookie", f"t={text}"), *settings.pop("headers", ())], **settings)


def test_a_cookie_holds_the_token_where_no_other_place_does() -> None:
    assert decided(cookied(token()), acme(**WITH_COOKIE)).require().user_id == "user-1"
    assert decided(asks(headers=[("Cookie", f"u={token()}")]), acme(**WITH_COOKIE)).allowed
    assert code(decided(asks(headers=[("Cookie", "x=1")]), acme(**WITH_COOKIE))) == "missing_token"


def test_a_cookie_does_not_count_beside_another_token() -> None:
    request = asks(token(), headers=[("Cookie", "t=junk")])
    assert decided(request, acme(**WITH_COOKIE)).allowed


@pytest.mark.parametrize(
    "settings", [{"method": "POST"}, {"method": "DELETE"}, {"websocket": True}], ids=["post", "delete", "socket"]
)
def test_a_cookie_on_an_unsafe_request_needs_an_origin(settings: dict[str, Any]) -> None:
    decision = decided(cookied(token(), **settings), acme(**WITH_COOKIE))
    assert (decision.allowed, code(decision)) == (False, "origin_not_allowed")
    assert decision.refusal is not None
    assert decision.refusal.detail == "A token in a cookie needs an Origin that this app admits."
    assert decided(cookied(token(), headers=[("Origin", ORIGIN)], **settings), acme(**WITH_COOKIE)).allowed


def test_a_bearer_on_an_unsafe_request_needs_no_origin() -> None:
    assert decided(asks(token(), method="POST"), acme(**WITH_COOKIE)).allowed


# --- 4. to 8. the token


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("junk", "malformed"),
        (token({"sub": "u"}), "missing_claim"),
        (token(claims(exp=1)), "expired"),
        (token(algorithm="HS512", key=bytes(range(64))), "algorithm_not_allowed"),
    ],
)
def test_a_token_that_does_not_pass_has_a_reason(text: str, expected: str) -> None:
    decision = decided(asks(text), acme())
    assert (decision.allowed, code(decision), reason(decision)) == (False, "invalid_token", expected)
    assert decision.token_sent


def test_the_size_is_the_apps_own() -> None:
    assert reason(decided(asks(token()), acme(rules=Rules(max_token_bytes=10)))) == "too_large"


# --- 9. log-only


@pytest.mark.parametrize(
    ("request_", "refused"),
    [
        (asks(), "missing_token"),
        (asks("junk"), "malformed"),
        (asks(token(key=OTHER_KEY)), "bad_signature"),
        (asks(token(claims(exp=1))), "expired"),
    ],
)
@pytest.mark.parametrize("by", ["app", "gate"])
def test_log_only_lets_pass_as_anonymous_and_reports(request_: Request, refused: str, by: str) -> None:
    app = acme(mode=Mode.LOG_ONLY) if by == "app" else acme()
    decision = decided(request_, app, mode=Mode.LOG_ONLY if by == "gate" else None)
    assert (decision.allowed, decision.enforced, decision.app_id) == (True, False, "acme")
    assert refused in (code(decision), reason(decision))
    assert not decision.identity.verified
    assert decision.app is app
    with pytest.raises(Refused):
        decision.require()


def test_log_only_gives_a_good_token_its_identity() -> None:
    decision = decided(asks(token()), acme(mode=Mode.LOG_ONLY))
    assert (decision.allowed, decision.refusal, decision.enforced) == (True, None, False)
    assert isinstance(decision.identity, VerifiedIdentity)


def test_a_request_without_an_app_is_enforced_though_all_apps_are_in_log_only() -> None:
    decision = decided(asks(app=None), acme(mode=Mode.LOG_ONLY), acme_two(mode=Mode.LOG_ONLY))
    assert (decision.allowed, code(decision)) == (False, "unknown_app")


def test_a_gate_in_log_only_lets_a_request_without_an_app_pass() -> None:
    decision = decided(asks(app=None), acme(), acme_two(), mode=Mode.LOG_ONLY)
    assert (decision.allowed, code(decision), decision.app_id, decision.app) == (True, "unknown_app", None, None)


def test_a_gate_that_enforces_overrides_log_only() -> None:
    assert not decided(asks("junk"), acme(mode=Mode.LOG_ONLY), mode=Mode.ENFORCE).allowed


# --- a bug of ours


def broken_clock() -> float:
    raise ZeroDivisionError("quoting " + token())


@pytest.mark.parametrize(("mode", "allowed"), [(Mode.ENFORCE, False), (Mode.LOG_ONLY, True)])
def test_a_bug_is_not_the_users_fault(mode: Mode, allowed: bool, caplog: pytest.LogCaptureFixture) -> None:
    text = token()
    decision = decided(asks(text), acme(mode=mode), clock=broken_clock)
    assert (decision.allowed, code(decision), decision.identity.verified) == (allowed, "internal_error", False)
    assert decision.refusal is not None
    assert decision.refusal.retry_after == 1
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, "wicket")
    assert "ZeroDivisionError" in record.getMessage()
    assert "broken_clock" in record.getMessage()
    assert text not in record.getMessage()
    assert text[:20] not in record.getMessage()


@pytest.mark.parametrize(("error", "told"), [(config_error("id", "is wrong"), True), (ValueError("is wrong"), False)])
def test_a_fault_is_logged_with_its_text_only_where_it_is_our_own(
    error: Exception, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log_fault("it failed", error)
    message = caplog.records[0].getMessage()
    assert message.startswith(f"it failed: {type(error).__name__}")
    assert ("is wrong" in message) is told


# --- a token alone


def verified(
    text: Any, *apps: App | BrokenApp, app: str = "acme", origin: str | None = None, **changes: Any
) -> Decision:
    flow = verify(house(*(apps or (acme(),)), **changes), text, AppRef("id", app), origin)
    return run(flow, changes.get("town"))


def test_a_token_alone_is_verified() -> None:
    decision = verified(token())
    assert (decision.allowed, decision.refusal, decision.enforced, decision.app_id) == (True, None, True, "acme")
    assert decision.require().user_id == "user-1"


@pytest.mark.parametrize("text", [None, ""])
def test_no_token_alone_is_missing(text: str | None) -> None:
    decision = verified(text, acme(anonymous=True))
    assert (decision.allowed, code(decision), decision.token_sent) == (False, "missing_token", False)


@pytest.mark.parametrize("text", [5, b"a.b.c", ["a.b.c"], {"a": 1}])
def test_a_token_that_is_no_text_is_malformed(text: object) -> None:
    decision = verified(text)
    assert (decision.allowed, code(decision), reason(decision)) == (False, "invalid_token", "malformed")


@pytest.mark.parametrize(("mode", "gate"), [(Mode.LOG_ONLY, None), (Mode.ENFORCE, Mode.LOG_ONLY)])
def test_a_token_alone_knows_no_log_only(mode: Mode, gate: Mode | None) -> None:
    decision = verified("junk", acme(mode=mode), mode=gate)
    assert (decision.allowed, reason(decision), decision.enforced) == (False, "malformed", True)


@pytest.mark.parametrize(("origin", "allowed"), [(None, True), (ORIGIN, True), ("https://evil.example", False)])
def test_an_origin_that_is_given_is_checked(origin: str | None, allowed: bool) -> None:
    decision = verified(token(), acme(require_origin=True), origin=origin)
    assert decision.allowed is allowed
    assert code(decision) == (None if allowed else "origin_not_allowed")


def test_a_token_of_no_known_app_is_told() -> None:
    decision = verified(token(), app="other")
    assert (decision.allowed, code(decision), decision.app_id) == (False, "unknown_app", None)
    assert code(verified(token(), BrokenApp("acme"))) == "config_invalid"


def test_a_bug_does_not_verify_a_token(caplog: pytest.LogCaptureFixture) -> None:
    decision = verified(token(), clock=broken_clock, mode=Mode.LOG_ONLY)
    assert (decision.allowed, code(decision)) == (False, "internal_error")
    assert "the verification of a token failed" in caplog.records[0].getMessage()


# --- apps that must be loaded


def test_an_app_is_loaded_by_its_name() -> None:
    town = Town(acme=acme())
    decision = decided(asks(token()), town=town)
    assert decision.require().app_id == "acme"
    assert town.waits == [5.0]
    assert decided(asks(token()), town=town).allowed
    assert town.waits == [5.0]


def test_an_app_in_code_is_not_loaded() -> None:
    town = Town()
    assert decided(asks(token()), acme(), town=town).allowed
    assert town.waits == []


@pytest.mark.parametrize("name", ["a" * 129, "a b", "é"])
def test_a_name_without_the_shape_of_one_is_not_looked_up(name: str) -> None:
    town = Town()
    assert code(decided(asks(token(), app=name), town=town)) == "unknown_app"
    assert town.waits == []


def test_a_name_that_the_registry_does_not_know_is_unknown() -> None:
    town = Town()
    for _ in range(2):
        assert code(decided(asks(token()), town=town)) == "unknown_app"
    assert town.waits == [5.0]


def test_an_outage_of_the_registry_is_not_the_users_fault() -> None:
    town = Town(acme=OSError())
    decision = decided(asks(token()), town=town)
    assert (decision.allowed, code(decision), decision.app_id) == (False, "apps_unavailable", None)
    assert decision.refusal is not None
    assert decision.refusal.retry_after == 1
    assert decision.refusal.status == 503


def test_an_app_that_does_not_come_in_time_is_unavailable() -> None:
    town = Town(acme=acme())
    assert code(run(decide(house(town=town), asks(token())), town, load=False)) == "apps_unavailable"


def test_an_older_app_serves_on_while_a_load_runs_behind_it() -> None:
    town = Town(acme=acme())
    decided(asks(token()), town=town)
    town.clock.now += 59
    assert decided(asks(token()), town=town).allowed
    assert town.waits == [5.0, 0.0]


def test_a_stale_app_is_waited_for_briefly_and_serves_on() -> None:
    town = Town(acme=acme())
    decided(asks(token()), town=town)
    town.clock.now += 61
    town.apps["acme"] = OSError()
    assert decided(asks(token()), town=town).allowed
    assert town.waits == [5.0, 1.0]


def test_a_gate_in_log_only_waits_for_no_more_than_half_a_second() -> None:
    town = Town(acme=acme())
    for _ in range(2):
        decided(asks(token()), town=town, mode=Mode.LOG_ONLY)
        town.clock.now += 61
    assert town.waits[0] == 0.5
    assert max(town.waits) == 0.5


def test_a_token_alone_is_waited_for_in_full_though_the_gate_is_in_log_only() -> None:
    town = Town(acme=acme())
    flow = verify(house(town=town, mode=Mode.LOG_ONLY), token(), AppRef("id", "acme"), None)
    assert run(flow, town).allowed
    assert town.waits == [5.0]


def test_a_broken_app_of_the_registry_is_told_by_whatever_it_is_named() -> None:
    town = Town(acme=BrokenApp("acme"), pub_acme=BrokenApp(None))
    naming = (Header("X-App-Id"), PublicKeyBearer())
    request = Request(headers=[("X-App-Id", "acme"), ("Authorization", "Bearer pub_acme")])
    assert code(decided(request, town=town, naming=naming)) == "config_invalid"
    assert code(decided(Request(headers=[("X-App-Id", "acme")]), town=town, naming=naming)) == "config_invalid"


def test_a_second_name_is_looked_up_where_the_app_does_not_say_it() -> None:
    town = Town(acme=acme(), alias=acme(), two=acme_two())
    naming = (Header("X-App-Id"), Query("appId"))
    assert decided(asks(token(), query="appId=alias"), town=town, naming=naming).allowed
    assert code(decided(asks(token(), query="appId=two"), town=town, naming=naming)) == "invalid_request"


def test_what_a_driver_throws_is_a_bug_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    flow = decide(house(town=Town()), asks(token()))
    next(flow)
    with pytest.raises(StopIteration) as end:
        flow.throw(ConfigError([]))
    assert end.value.value.refusal.code == "internal_error"
    assert len(caplog.records) == 1


def test_a_fetch_says_what_it_has_seen() -> None:
    town = Town(acme=acme())
    ref = AppRef("id", "acme")
    assert Fetch(town.cache, ref, None, 5.0).seen == 0
    town.cache.start(ref, 0)
    town.pool.run()
    slot = town.cache.read(ref)
    assert slot is not None
    fetch = Fetch(town.cache, ref, slot, 5.0)
    assert (fetch.seen, fetch.slot) == (slot.version, slot)


REQUESTS: list[Callable[[], Request]] = [lambda: asks(token()), lambda: asks("junk"), lambda: asks()]


@pytest.mark.parametrize("make", REQUESTS)
def test_the_same_request_is_decided_the_same_way_twice(make: Callable[[], Request]) -> None:
    town = house(acme())
    first, second = (run(decide(town, make())) for _ in range(2))
    assert (first.allowed, first.refusal, repr(first.identity)) == (
        second.allowed,
        second.refusal,
        repr(second.identity),
    )


# --- whether a refused request tried to prove itself


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (asks(app="other"), False),
        (asks(token(), app="other"), True),
        (asks("a b", app="other"), True),
        (Request(headers=[("X-App-Id", "acme"), ("X-App-Id", "acme")]), False),
        (Request(headers=[("X-App-Id", "acme"), ("X-App-Id", "acme"), ("Authorization", "Bearer")]), True),
        (Request(headers=[("X-App-Id", "acme"), ("Origin", "https://evil.example"), ("X-Token", "t")]), True),
        (Request(headers=[("X-App-Id", "acme"), ("Origin", "https://evil.example")]), False),
        (Request(headers=[("X-App-Id", "acme"), ("X-Token", "t"), ("X-Token", "t")]), True),
    ],
)
def test_a_refused_request_says_whether_a_token_was_sent(request_: Request, sent: bool) -> None:
    decision = decided(request_, acme(tokens=[Bearer(), Header("X-Token")]), acme_two())
    assert decision.refusal is not None
    assert decision.token_sent is sent


class Fails:
    """A place of a user's own, with a bug."""

    def read(self, request: Request) -> str | None:
        raise ZeroDivisionError


def test_a_place_with_a_bug_is_not_the_users_fault() -> None:
    decision = decided(asks(token()), acme(tokens=[Fails()]))
    assert (decision.allowed, code(decision)) == (False, "internal_error")


def test_a_place_with_a_bug_does_not_break_another_refusal() -> None:
    decision = decided(asks(token(), headers=[ELSEWHERE]), acme(tokens=[Fails()]))
    assert (decision.allowed, code(decision)) == (False, "origin_not_allowed")


# --- an app in log-only opens no door to another


@pytest.mark.parametrize("order", [("acme", "two"), ("two", "acme")])
def test_an_app_and_a_broken_one_in_log_only_are_two_different_apps(order: tuple[str, str]) -> None:
    first, second = order
    request = asks(token(key=OTHER_KEY), app=first, query=f"appId={second}")
    broken = BrokenApp("two", mode=Mode.LOG_ONLY)
    decision = decided(request, acme(), broken, naming=BOTH_PLACES)
    assert (decision.allowed, code(decision), decision.enforced) == (False, "invalid_request", True)
    assert decision.app_id is None


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("order", [("acme", "nameless"), ("nameless", "acme")])
def test_a_broken_app_that_nobody_can_name_is_enforced_whatever_the_other_name_says(
    order: tuple[str, str], mode: Mode
) -> None:
    town = Town(acme=acme(mode=mode), nameless=BrokenApp(None, mode=mode))
    naming = (Header("X-First"), Query("second"))
    request = Request(headers=[("X-First", order[0])], query=f"second={order[1]}")
    decision = decided(request, town=town, naming=naming)
    assert (decision.allowed, code(decision), decision.enforced) == (False, "config_invalid", True)
    assert decision.app_id is None


@pytest.mark.parametrize("mode", list(Mode))
def test_a_token_in_a_cookie_from_an_origin_that_is_only_reported_follows_the_apps_mode(mode: Mode) -> None:
    app = acme(mode=mode, origin_mode=Mode.LOG_ONLY, **WITH_COOKIE)
    decision = decided(cookied(token(), headers=[ELSEWHERE]), app)
    enforced = mode is Mode.ENFORCE
    assert (decision.allowed, code(decision), decision.enforced) == (not enforced, "origin_not_allowed", enforced)
    assert not decision.identity.verified


def test_a_token_in_a_cookie_from_an_origin_that_is_admitted_passes() -> None:
    app = acme(origin_mode=Mode.LOG_ONLY, **WITH_COOKIE)
    assert decided(cookied(token(), headers=[("Origin", ORIGIN)]), app).identity.verified
