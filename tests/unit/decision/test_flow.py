"""The decision flow, step by step: origin, token and decision. The tests perform its I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.flow_harness import ELSEWHERE, acme_two, code, decided, gate_context, reason, run
from tests.support.unit import ORIGIN, OTHER_KEY, acme, asks, claims, token
from wicket import AppRef, Bearer, Cookie, Header, Identity, Mode, Query, Refusal, Refused, Request, Rules
from wicket.decision.flow import decide

# --- Decision


def test_decide_valid_token_allowed_with_identity() -> None:
    app = acme()
    decision = decided(asks(token()), app)
    assert (decision.allowed, decision.refusal, decision.enforced, decision.app_id) == (True, None, True, "acme")
    assert decision.require().user_id == "user-1"
    assert decision.credentials_sent
    assert decision.app is app
    assert decision.app_ref == AppRef("id", "acme")
    assert decision.claimed_user_id is None


def test_decide_bad_signature_refused_with_anonymous_identity() -> None:
    decision = decided(asks(token(key=OTHER_KEY)), acme())
    assert (decision.allowed, reason(decision), decision.enforced) == (False, "bad_signature", True)
    assert type(decision.identity) is Identity
    assert decision.identity.app_id == "acme"
    with pytest.raises(Refused) as caught:
        decision.require()
    assert caught.value.refusal is decision.refusal


def test_require_anonymous_decision_raises_missing_token() -> None:
    decision = decided(asks(), acme(allow_anonymous=True))
    assert (decision.allowed, decision.refusal) == (True, None)
    with pytest.raises(Refused) as caught:
        decision.require()
    assert caught.value.refusal == Refusal("missing_token")


def test_require_missing_scope_raises_insufficient_scope() -> None:
    app = acme(rules=Rules(scopes_claim=("scope",)), allowed_scopes=["read", "write"])
    decision = decided(asks(token(claims(scope="read admin"))), app)
    assert decision.require("read").user_id == "user-1"
    for missing in ("write", "admin"):
        with pytest.raises(Refused) as caught:
            decision.require("read", missing)
        assert caught.value.refusal.code == "insufficient_scope"
        assert caught.value.refusal.detail == f"The token lacks a scope that this request requires: {missing}."


def test_decision_repr_contains_no_token() -> None:
    text = token()
    assert text not in repr(decided(asks(text), acme()))


REQUESTS: list[Callable[[], Request]] = [lambda: asks(token()), lambda: asks("junk"), lambda: asks()]


@pytest.mark.parametrize("make", REQUESTS)
def test_decide_same_request_twice_same_decision(make: Callable[[], Request]) -> None:
    registry = gate_context(acme())
    first, second = (run(decide(registry, make())) for _ in range(2))
    assert (first.allowed, first.refusal, repr(first.identity)) == (
        second.allowed,
        second.refusal,
        repr(second.identity),
    )


# --- 2. check the origin


def test_origin_not_allowed_refused_before_token_parsing() -> None:
    decision = decided(asks("junk", headers=[ELSEWHERE]), acme())
    assert (decision.allowed, code(decision), reason(decision)) == (False, "origin_not_allowed", None)


@pytest.mark.parametrize("require", [True, False])
def test_require_origin_missing_origin_refused(require: bool) -> None:
    assert decided(asks(token()), acme(require_origin=require)).allowed is not require
    assert decided(asks(token(), headers=[("Origin", ORIGIN)]), acme(require_origin=require)).allowed


def test_origin_two_headers_invalid_request() -> None:
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
def test_origin_mode_disallowed_origin_follows_effective_mode(
    mode: Mode, origin_mode: Mode | None, gate: Mode | None, allowed: bool, enforced: bool
) -> None:
    app = acme(mode=mode, origin_mode=origin_mode)
    decision = decided(asks(token(), headers=[ELSEWHERE]), app, mode=gate)
    assert (decision.allowed, code(decision), decision.enforced) == (allowed, "origin_not_allowed", enforced)


def test_origin_mode_log_only_disallowed_origin_valid_token_verified() -> None:
    decision = decided(asks(token(), headers=[ELSEWHERE]), acme(origin_mode=Mode.LOG_ONLY))
    assert (decision.allowed, code(decision), decision.enforced) == (True, "origin_not_allowed", False)
    assert decision.require().user_id == "user-1"


def test_origin_mode_log_only_disallowed_origin_bad_token_refused() -> None:
    decision = decided(asks(token(key=OTHER_KEY), headers=[ELSEWHERE]), acme(origin_mode=Mode.LOG_ONLY))
    assert (decision.allowed, reason(decision), decision.enforced) == (False, "bad_signature", True)


def test_origin_mode_enforce_log_only_app_bad_token_anonymous() -> None:
    app = acme(mode=Mode.LOG_ONLY, origin_mode=Mode.ENFORCE)
    decision = decided(asks(token(key=OTHER_KEY), headers=[("Origin", ORIGIN)]), app)
    assert (decision.allowed, reason(decision), decision.enforced) == (True, "bad_signature", False)


# --- 3. extract the token


@pytest.mark.parametrize("anonymous", [True, False])
@pytest.mark.parametrize("optional", [True, False])
def test_missing_token_allowed_only_if_anonymous_or_optional(anonymous: bool, optional: bool) -> None:
    decision = decided(asks(), acme(allow_anonymous=anonymous), optional=optional)
    if anonymous or optional:
        assert (decision.allowed, decision.refusal, decision.identity.verified) == (True, None, False)
        assert decision.app_id == "acme"
    else:
        assert (decision.allowed, code(decision), decision.credentials_sent) == (False, "missing_token", False)


@pytest.mark.parametrize("optional", [True, False])
def test_allow_anonymous_bad_token_refused(optional: bool) -> None:
    decision = decided(asks(token(key=OTHER_KEY)), acme(allow_anonymous=True), optional=optional)
    assert (decision.allowed, reason(decision)) == (False, "bad_signature")


TWO_PLACES = {"token_locations": [Bearer(), Header("X-Token"), Query("jwt")]}


def test_token_locations_same_token_in_each_allowed() -> None:
    text = token()
    request = asks(text, headers=[("X-Token", text)], query=f"jwt={text}")
    assert decided(request, acme(**TWO_PLACES)).allowed


@pytest.mark.parametrize("other", [token(key=OTHER_KEY), token(claims(sub="user-2")), "junk"])
def test_token_locations_different_tokens_invalid_request(other: str) -> None:
    decision = decided(asks(token(), headers=[("X-Token", other)]), acme(**TWO_PLACES))
    assert (decision.allowed, code(decision)) == (False, "invalid_request")
    assert decision.refusal is not None
    assert decision.refusal.detail == "The request carries two different tokens."


@pytest.mark.parametrize("place", ["header", "query"])
def test_token_locations_header_or_query_token_verified(place: str) -> None:
    text = token()
    request = asks(headers=[("X-Token", text)]) if place == "header" else asks(query=f"jwt={text}")
    assert decided(request, acme(**TWO_PLACES)).require().user_id == "user-1"


WITH_COOKIE = {"token_locations": [Cookie("t"), Cookie("u"), Bearer()]}


def cookied(text: str, **settings: Any) -> Request:
    return asks(headers=[("Cookie", f"t={text}"), *settings.pop("headers", ())], **settings)


def test_cookie_token_without_other_token_verified() -> None:
    assert decided(cookied(token()), acme(**WITH_COOKIE)).require().user_id == "user-1"
    assert decided(asks(headers=[("Cookie", f"u={token()}")]), acme(**WITH_COOKIE)).allowed
    assert code(decided(asks(headers=[("Cookie", "x=1")]), acme(**WITH_COOKIE))) == "missing_token"


def test_cookie_token_beside_bearer_ignored() -> None:
    request = asks(token(), headers=[("Cookie", "t=junk")])
    assert decided(request, acme(**WITH_COOKIE)).allowed


@pytest.mark.parametrize(
    "settings", [{"method": "POST"}, {"method": "DELETE"}, {"websocket": True}], ids=["post", "delete", "socket"]
)
def test_cookie_token_unsafe_request_without_origin_refused(settings: dict[str, Any]) -> None:
    decision = decided(cookied(token(), **settings), acme(**WITH_COOKIE))
    assert (decision.allowed, code(decision)) == (False, "origin_not_allowed")
    assert decision.refusal is not None
    assert decision.refusal.detail == "A token in a cookie requires an Origin that this app allows."
    assert decided(cookied(token(), headers=[("Origin", ORIGIN)], **settings), acme(**WITH_COOKIE)).allowed


def test_bearer_token_unsafe_request_without_origin_allowed() -> None:
    assert decided(asks(token(), method="POST"), acme(**WITH_COOKIE)).allowed


@pytest.mark.parametrize("mode", list(Mode))
def test_cookie_token_log_only_disallowed_origin_follows_app_mode(mode: Mode) -> None:
    app = acme(mode=mode, origin_mode=Mode.LOG_ONLY, **WITH_COOKIE)
    decision = decided(cookied(token(), headers=[ELSEWHERE]), app)
    enforced = mode is Mode.ENFORCE
    assert (decision.allowed, code(decision), decision.enforced) == (not enforced, "origin_not_allowed", enforced)
    assert not decision.identity.verified


def test_cookie_token_log_only_origin_mode_allowed_origin_verified() -> None:
    app = acme(origin_mode=Mode.LOG_ONLY, **WITH_COOKIE)
    assert decided(cookied(token(), headers=[("Origin", ORIGIN)]), app).identity.verified


# --- 4. to 8. verify the token


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("junk", "malformed"),
        (token({"sub": "u"}), "missing_claim"),
        (token(claims(exp=1)), "expired"),
        (token(algorithm="HS512", key=bytes(range(64))), "algorithm_not_allowed"),
    ],
)
def test_decide_invalid_token_refused_with_reason(text: str, expected: str) -> None:
    decision = decided(asks(text), acme())
    assert (decision.allowed, code(decision), reason(decision)) == (False, "invalid_token", expected)
    assert decision.credentials_sent


def test_max_token_bytes_exceeded_too_large() -> None:
    assert reason(decided(asks(token()), acme(rules=Rules(max_token_bytes=10)))) == "too_large"


# --- whether a refused request carried credentials


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
def test_credentials_sent_refused_request_true_only_with_credentials(request_: Request, sent: bool) -> None:
    decision = decided(request_, acme(token_locations=[Bearer(), Header("X-Token")]), acme_two())
    assert decision.refusal is not None
    assert decision.credentials_sent is sent
