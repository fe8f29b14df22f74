"""The counts of a gate."""

from __future__ import annotations

import logging

import pytest

from tests.unit.reporting.support import EXPIRED, anonymous, passed, refused, reporter
from wicket import OutcomeCount, Refusal


def test_outcomes_are_counted_most_frequent_first() -> None:
    report = reporter()
    assert report.outcomes() == ()
    for decision in (passed(), refused(EXPIRED), passed(), anonymous(), passed(), refused(EXPIRED)):
        report.decided(decision)
    assert report.outcomes() == (
        OutcomeCount("acme", "allowed", None, True, 3),
        OutcomeCount("acme", "invalid_token", "expired", True, 2),
        OutcomeCount("acme", "anonymous", None, True, 1),
    )


def test_outcomes_log_only_refusals_are_counted_separately() -> None:
    report = reporter()
    report.decided(refused(EXPIRED))
    report.decided(anonymous(EXPIRED, enforced=False))
    assert {outcome.enforced for outcome in report.outcomes()} == {True, False}


def test_outcomes_handler_refusals_are_counted_separately() -> None:
    report = reporter()
    for _ in range(2_500):
        report.handler_refused(None, Refusal("rate_limited"))
    report.handler_refused(passed(), EXPIRED)
    assert len(report._pending) < 2_500
    assert report.outcomes() == (
        OutcomeCount(None, "rate_limited", None, True, 2_500, "handler"),
        OutcomeCount("acme", "invalid_token", "expired", True, 1, "handler"),
    )


def test_outcomes_above_max_are_counted_together() -> None:
    report = reporter(max_outcomes=2)
    for app in ("a", "b", "c", "d", "a"):
        report.decided(refused(EXPIRED, app))
    counts = {outcome.app_id: outcome.count for outcome in report.outcomes()}
    assert counts == {"a": 2, "b": 1, "…": 2}


def test_outcomes_many_decisions_are_all_counted() -> None:
    report = reporter()
    for _ in range(3000):
        report.decided(passed())
    assert len(report._pending) < 1024
    assert report.outcomes()[0].count == 3000


def test_outcomes_after_fork_continue_counting() -> None:
    report = reporter()
    report.decided(passed())
    report.after_fork()
    report.decided(passed())
    assert report.outcomes() == (OutcomeCount("acme", "allowed", None, True, 2),)


def test_outcomes_many_allowed_at_info_level_are_all_counted(log: pytest.LogCaptureFixture) -> None:
    report = reporter()
    with log.at_level(logging.INFO, "wicket"):
        for _ in range(2_500):
            report.decided(passed())
    assert report.outcomes() == (OutcomeCount("acme", "allowed", None, True, 2_500),)
