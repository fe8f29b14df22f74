"""The decision flow in log-only mode, after an internal error, and for a token without a request."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.flow_harness import ELSEWHERE, acme_two, code, decided, gate_context, reason, run
from tests.support.unit import ORIGIN, OTHER_KEY, acme, asks, claims, token
from wicket import App, AppRef, Decision, Mode, Refused, Request, TokenLocation, VerifiedIdentity
from wicket.config.app import BrokenApp
from wicket.decision.flow import verify
from wicket.errors import config_error
from wicket.runtime.logs import log_internal_error

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
def test_log_only_refused_request_allowed_as_anonymous(request_: Request, refused: str, by: str) -> None:
    app = acme(mode=Mode.LOG_ONLY) if by == "app" else acme()
    decision = decided(request_, app, mode=Mode.LOG_ONLY if by == "gate" else None)
    assert (decision.allowed, decision.enforced, decision.app_id) == (True, False, "acme")
    assert refused in (code(decision), reason(decision))
    assert not decision.identity.verified
    assert decision.app is app
    with pytest.raises(Refused):
        decision.require()


def test_log_only_valid_token_verified() -> None:
    decision = decided(asks(token()), acme(mode=Mode.LOG_ONLY))
    assert (decision.allowed, decision.refusal, decision.enforced) == (True, None, False)
    assert isinstance(decision.identity, VerifiedIdentity)


def test_log_only_apps_no_app_ref_refused_unknown_app() -> None:
    decision = decided(asks(app=None), acme(mode=Mode.LOG_ONLY), acme_two(mode=Mode.LOG_ONLY))
    assert (decision.allowed, code(decision)) == (False, "unknown_app")


def test_log_only_gate_no_app_ref_allowed() -> None:
    decision = decided(asks(app=None), acme(), acme_two(), mode=Mode.LOG_ONLY)
    assert (decision.allowed, code(decision), decision.app_id, decision.app) == (True, "unknown_app", None, None)


def test_enforce_gate_log_only_app_bad_token_refused() -> None:
    assert not decided(asks("junk"), acme(mode=Mode.LOG_ONLY), mode=Mode.ENFORCE).allowed


# --- internal errors


def broken_clock() -> float:
    raise ZeroDivisionError("quoting " + token())


@pytest.mark.parametrize(("mode", "allowed"), [(Mode.ENFORCE, False), (Mode.LOG_ONLY, True)])
def test_decide_clock_raises_internal_error_follows_mode_logs_no_token(
    mode: Mode, allowed: bool, caplog: pytest.LogCaptureFixture
) -> None:
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
def test_log_internal_error_message_included_only_for_config_error(
    error: Exception, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log_internal_error("it failed", error)
    message = caplog.records[0].getMessage()
    assert message.startswith(f"it failed: {type(error).__name__}")
    assert ("is wrong" in message) is told


class Fails(TokenLocation):
    """A custom location with a bug."""

    def read(self, request: Request) -> str | None:
        raise ZeroDivisionError


def test_token_location_raises_internal_error() -> None:
    decision = decided(asks(token()), acme(token_locations=[Fails()]))
    assert (decision.allowed, code(decision)) == (False, "internal_error")


def test_token_location_raises_disallowed_origin_origin_not_allowed() -> None:
    decision = decided(asks(token(), headers=[ELSEWHERE]), acme(token_locations=[Fails()]))
    assert (decision.allowed, code(decision)) == (False, "origin_not_allowed")


# --- a token without a request


def verified(
    text: Any, *apps: App | BrokenApp, app: str = "acme", origin: str | None = None, **changes: Any
) -> Decision:
    flow = verify(gate_context(*(apps or (acme(),)), **changes), text, AppRef("id", app), origin)
    return run(flow, changes.get("registry"))


def test_verify_valid_token_allowed() -> None:
    decision = verified(token())
    assert (decision.allowed, decision.refusal, decision.enforced, decision.app_id) == (True, None, True, "acme")
    assert decision.require().user_id == "user-1"


@pytest.mark.parametrize("text", [None, ""])
def test_verify_none_or_empty_token_missing_token(text: str | None) -> None:
    decision = verified(text, acme(allow_anonymous=True))
    assert (decision.allowed, code(decision), decision.credentials_sent) == (False, "missing_token", False)


@pytest.mark.parametrize("text", [5, b"a.b.c", ["a.b.c"], {"a": 1}])
def test_verify_non_string_token_malformed(text: object) -> None:
    decision = verified(text)
    assert (decision.allowed, code(decision), reason(decision)) == (False, "invalid_token", "malformed")


@pytest.mark.parametrize(("mode", "gate"), [(Mode.LOG_ONLY, None), (Mode.ENFORCE, Mode.LOG_ONLY)])
def test_verify_log_only_malformed_token_refused(mode: Mode, gate: Mode | None) -> None:
    decision = verified("junk", acme(mode=mode), mode=gate)
    assert (decision.allowed, reason(decision), decision.enforced) == (False, "malformed", True)


@pytest.mark.parametrize(("origin", "allowed"), [(None, True), (ORIGIN, True), ("https://evil.example", False)])
def test_verify_given_disallowed_origin_refused(origin: str | None, allowed: bool) -> None:
    decision = verified(token(), acme(require_origin=True), origin=origin)
    assert decision.allowed is allowed
    assert code(decision) == (None if allowed else "origin_not_allowed")


def test_verify_unknown_or_broken_app_refused() -> None:
    decision = verified(token(), app="other")
    assert (decision.allowed, code(decision), decision.app_id) == (False, "unknown_app", None)
    assert code(verified(token(), BrokenApp("acme"))) == "config_invalid"


def test_verify_clock_raises_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    decision = verified(token(), clock=broken_clock, mode=Mode.LOG_ONLY)
    assert (decision.allowed, code(decision)) == (False, "internal_error")
    assert "the verification of a token failed" in caplog.records[0].getMessage()
