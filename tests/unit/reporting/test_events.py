"""The events of a gate. None contains a token or the name of an unknown app."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.unit.reporting.support import (
    EXPIRED,
    FOREIGN_ORIGIN,
    MISSING,
    anonymous,
    context_of,
    passed,
    refused,
    reporter,
)
from wicket import (
    AppRef,
    Decision,
    DecisionEvent,
    Identity,
    Refusal,
)
from wicket.reporting.redaction import short_hash, shown


@pytest.mark.parametrize(
    ("decision", "event"),
    [
        (passed(), DecisionEvent("wicket", "acme", True, True, True, kid="k1")),
        (anonymous(), DecisionEvent("wicket", "acme", True, False, True)),
        (
            refused(EXPIRED),
            DecisionEvent("wicket", "acme", False, False, True, "invalid_token", "expired", detail=EXPIRED.detail),
        ),
        (
            anonymous(MISSING, enforced=False),
            DecisionEvent("wicket", "acme", True, False, False, "missing_token", detail=MISSING.detail),
        ),
        (
            passed(enforced=False, refusal=FOREIGN_ORIGIN),
            DecisionEvent(
                "wicket", "acme", True, True, False, "origin_not_allowed", None, "k1", detail=FOREIGN_ORIGIN.detail
            ),
        ),
    ],
)
def test_reporter_decision_emits_one_event(decision: Decision, event: DecisionEvent) -> None:
    events: list[DecisionEvent] = []
    reporter(events.append).decided(decision)
    assert events == [event]


def test_decision_event_unknown_app_contains_only_a_hash() -> None:
    events: list[DecisionEvent] = []
    report = reporter(events.append)
    report.decided(refused(Refusal("unknown_app"), None))
    assert events[0].unknown_app_hash == short_hash("the-name-they-sent")
    assert "the-name-they-sent" not in repr(events)
    report.decided(Decision(False, Identity(None), Refusal("unknown_app"), True, None))
    assert events[1].unknown_app_hash is None


def test_short_hash_is_stable_distinct_and_12_characters() -> None:
    assert short_hash("a") == short_hash("a")
    assert short_hash("a") != short_hash("b")
    assert len(short_hash("\ud800")) == 12


def test_on_event_exception_is_logged_and_not_raised(log: pytest.LogCaptureFixture) -> None:
    def fails(event: DecisionEvent) -> None:
        raise ZeroDivisionError("secret")

    reporter(fails).decided(passed())
    assert log.records[0].levelno == logging.ERROR
    assert "on_event failed: ZeroDivisionError" in log.records[0].getMessage()
    assert "secret" not in log.records[0].getMessage().split("\n")[0]


def test_reporter_app_name_that_is_no_string_raises_nothing() -> None:
    name: Any = 5
    reporter().decided(
        Decision(False, Identity(None), Refusal("unknown_app"), True, None, None, context_of(AppRef("id", name)))
    )


def test_decision_event_equal_fields_compare_equal() -> None:
    assert DecisionEvent("g", "a", True, True, True) == DecisionEvent("g", "a", True, True, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwiZSI6MX0.c2ln/b", "/a/(withheld).(withheld).c2ln/b"),
        ("https://eyJhbGciOiJIUzI1NiJ9.example", "https://(withheld).example"),
        ("/eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAwfQ.c2ln", "/(withheld).(withheld).c2ln"),
        ("/ewogICJhbGciOiAiSFMyNTYiCn0.eyAiZXhwIjogMCB9.c2ln", "/(withheld).(withheld).c2ln"),
        (f"/{'Ab0_' * 11}", "/(withheld)"),
        ("/static/WidgetBundle.js", "/static/WidgetBundle.js"),
        ("/u/550e8400-e29b-41d4-a716-446655440000", "/u/550e8400-e29b-41d4-a716-446655440000"),
        (
            "https://a-long-service-name.another-long-name.example",
            "https://a-long-service-name.another-long-name.example",
        ),
    ],
)
def test_shown_part_that_looks_like_a_token_is_withheld(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_on_event_below_log_level_is_called(caplog: pytest.LogCaptureFixture) -> None:
    events: list[DecisionEvent] = []
    with caplog.at_level(logging.ERROR, "wicket"):
        reporter(events.append).decided(passed())
    assert (len(events), caplog.records) == (1, [])
