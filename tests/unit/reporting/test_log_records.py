"""The log records of a gate: their level, their fields, and their rate limit."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.unit import NOW, acme, asks, claims, token
from tests.unit.reporting.support import (
    EXPIRED,
    MISSING,
    Time,
    anonymous,
    lines,
    passed,
    refused,
    reporter,
)
from wicket import (
    App,
    AppRef,
    ConfigError,
    Decision,
    DecisionEvent,
    Gate,
    Header,
    Mode,
    Refusal,
    Request,
    Rules,
)
from wicket.decision.context import OutcomeKey
from wicket.decision.refusals import format_refusal
from wicket.reporting import reporter as module
from wicket.reporting.redaction import short_hash
from wicket.reporting.reporter import Reporter


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        (passed(), (logging.DEBUG, "allowed app=acme allowed")),
        (anonymous(), (logging.DEBUG, "allowed app=acme anonymous")),
        (refused(EXPIRED), (logging.INFO, "refused app=acme invalid_token (expired): The token has expired.")),
        (
            refused(MISSING),
            (logging.INFO, "refused app=acme missing_token: This request requires a token, but it has none."),
        ),
        (
            anonymous(EXPIRED, enforced=False),
            (logging.WARNING, "would refuse app=acme invalid_token (expired): The token has expired."),
        ),
        (
            anonymous(MISSING, enforced=False),
            (logging.INFO, "would refuse app=acme missing_token: This request requires a token, but it has none."),
        ),
    ],
)
def test_log_record_level_depends_on_decision(
    decision: Decision, line: tuple[int, str], log: pytest.LogCaptureFixture
) -> None:
    reporter().decided(decision)
    assert lines(log) == [line]


def test_log_record_unknown_app_has_documented_fields(log: pytest.LogCaptureFixture) -> None:
    reporter().decided(refused(Refusal("unknown_app"), None))
    (record,) = log.records
    fields = (
        *("gate", "app_id", "code", "reason", "enforced", "stage", "kid", "unknown_app_hash", "suppressed"),
        *("detail", "claim", "origin", "method", "path"),
    )
    assert {name: getattr(record, name) for name in fields} == {
        "gate": "wicket",
        "app_id": None,
        "code": "unknown_app",
        "reason": None,
        "enforced": True,
        "stage": "gate",
        "kid": None,
        "unknown_app_hash": short_hash("the-name-they-sent"),
        "suppressed": 0,
        "detail": "This request names an app that is not configured here.",
        "claim": None,
        "origin": None,
        "method": None,
        "path": None,
    }
    assert record.name == "wicket"
    assert f"name#{short_hash('the-name-they-sent')}" in record.getMessage()
    assert "the-name-they-sent" not in record.getMessage()


def test_log_record_repeated_refusal_once_per_minute_with_count(log: pytest.LogCaptureFixture, clock: Time) -> None:
    report = reporter()
    for _ in range(3):
        report.decided(refused(EXPIRED))
    clock.now += 59.9
    report.decided(refused(EXPIRED))
    assert lines(log) == [(logging.INFO, "refused app=acme invalid_token (expired): The token has expired.")]
    clock.now += 0.1
    report.decided(refused(EXPIRED))
    assert lines(log)[1:] == [
        (
            logging.INFO,
            "refused app=acme invalid_token (expired): The token has expired. [similar records left out: 3]",
        )
    ]
    assert [getattr(record, "suppressed") for record in log.records] == [0, 3]  # noqa: B009
    clock.now += 60
    report.decided(refused(EXPIRED))
    assert lines(log)[2:] == [(logging.INFO, "refused app=acme invalid_token (expired): The token has expired.")]


def test_log_record_limit_applies_per_app_and_reason(log: pytest.LogCaptureFixture, clock: Time) -> None:
    report = reporter()
    for decision in (refused(EXPIRED), refused(MISSING), refused(EXPIRED, "other"), refused(EXPIRED)):
        report.decided(decision)
    assert len(log.records) == 3


def test_log_record_allowed_requests_are_not_limited(log: pytest.LogCaptureFixture, clock: Time) -> None:
    report = reporter()
    for _ in range(3):
        report.decided(passed())
    assert len(log.records) == 3


def test_log_record_limit_entries_are_bounded(log: pytest.LogCaptureFixture, clock: Time) -> None:
    report = reporter(max_outcomes=2)
    for app in ("a", "b", "c", "a", "c"):
        report.decided(refused(EXPIRED, app))
    assert [getattr(record, "app_id") for record in log.records] == ["a", "b", "c", "a"]  # noqa: B009


def test_log_record_below_level_does_not_use_the_limit(caplog: pytest.LogCaptureFixture, clock: Time) -> None:
    report = reporter()
    with caplog.at_level(logging.WARNING, "wicket"):
        report.decided(refused(EXPIRED))
        report.decided(passed())
    assert caplog.records == []
    with caplog.at_level(logging.INFO, "wicket"):
        report.decided(refused(EXPIRED))
    assert len(caplog.records) == 1


def ask(gate: Gate, origin: str | None = None, path: str = "/widget/boot", query: str = "") -> None:
    headers = [("X-App-Id", "acme"), *([("Origin", origin)] if origin is not None else [])]
    gate.decide(Request("POST", path, query, headers))


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.LOG_ONLY])
def test_p18_log_record_blocked_origins_differ_by_origin_method_and_path(
    mode: Mode, log: pytest.LogCaptureFixture
) -> None:
    events: list[DecisionEvent] = []
    gate = Gate([acme(origins=["https://acme.com"], mode=mode)], on_event=events.append)  # type: ignore[arg-type]
    for origin in ("https://staging.acme.com", "http://localhost:3000", "https://staging.acme.com"):
        ask(gate, origin, query="token=secret")
    records = [record for record in log.records if getattr(record, "code", None) == "origin_not_allowed"]
    assert [(getattr(each, "origin"), getattr(each, "method"), getattr(each, "path")) for each in records] == [  # noqa: B009
        ("https://staging.acme.com", "POST", "/widget/boot"),
        ("http://localhost:3000", "POST", "/widget/boot"),
    ]
    assert [event.origin for event in events] == [
        "https://staging.acme.com",
        "http://localhost:3000",
        "https://staging.acme.com",
    ]
    assert "POST /widget/boot origin=http://localhost:3000" in records[1].getMessage()
    assert "token=" not in log.text


@pytest.mark.parametrize(
    ("settings", "changes", "claim", "expected"),
    [
        ({"issuer": "https://id.acme.com"}, {"iss": "https://other"}, "iss", "https://id.acme.com"),
        ({"audience": ["a", "b"]}, {"aud": "c"}, "aud", "a or b"),
        ({"rules": Rules(app_claim="app")}, {"app": "other"}, "app", "acme"),
        ({"rules": Rules(required_values={"plan": "pro"})}, {"plan": "free"}, "plan", "'pro'"),
        ({"rules": Rules(max_lifetime=60)}, {"exp": NOW + 90}, "exp", "at most 60 seconds"),
        ({"rules": Rules(min_lifetime=60)}, {"exp": NOW + 50}, "exp", "at least 60 seconds"),
        ({"rules": Rules(allowed_typ=frozenset({"at+jwt"}))}, {}, None, "typ at+jwt"),
        ({"issuer": "https://id.acme.com/\n" + "x " * 200}, {"iss": "a"}, "iss", None),
    ],
)
def test_p18_log_record_and_event_name_the_claim_and_what_was_expected(
    settings: dict[str, Any],
    changes: dict[str, Any],
    claim: str | None,
    expected: str | None,
    log: pytest.LogCaptureFixture,
) -> None:
    events: list[Any] = []
    with Gate([acme(mode=Mode.LOG_ONLY, **settings)], on_event=events.append, clock=lambda: NOW) as gate:
        decision = gate.decide(asks(token(claims(**changes))))
        response = format_refusal(gate, decision.refusal or MISSING, None, credentials_sent=True)
    (record,) = [record for record in log.records if hasattr(record, "expected")]
    named = getattr(record, "claim"), getattr(record, "expected")  # noqa: B009 - fields of extra
    assert (events[0].claim, events[0].expected) == named
    assert named[0] == claim
    subject = f" for the claim {claim}" if claim is not None else ""
    assert f"Expected{subject}: {named[1]}." in record.getMessage()
    if expected is not None:
        assert named[1] == expected
        assert expected.encode() not in response.body
    else:
        assert named[1].startswith("https://id.acme.com/\\nx x")
        assert len(named[1]) == 256


def test_p18_log_record_many_origins_are_one_kind_after_the_first_sixteen(
    log: pytest.LogCaptureFixture, clock: Time
) -> None:
    gate = Gate([acme(origins=["https://acme.com"])])
    for number in range(40):
        ask(gate, f"https://page-{number}.example")
    origins = [getattr(record, "origin") for record in log.records if hasattr(record, "origin")]  # noqa: B009
    assert origins == [f"https://page-{number}.example" for number in range(17)]


@pytest.mark.parametrize("limited", [False, True])
def test_log_record_outage_from_many_origins_is_one_record(
    limited: bool, log: pytest.LogCaptureFixture, clock: Time
) -> None:
    report = reporter()
    for number in range(40):
        decision = refused(Refusal("keys_unavailable", limited=limited))
        assert decision._context is not None
        decision._context.request = Request(headers=[("Origin", f"https://page-{number}.example")])
        report.decided(decision)
    (record,) = [record for record in log.records if hasattr(record, "origin")]
    assert (record.levelname, getattr(record, "origin")) == ("WARNING", "https://page-0.example")  # noqa: B009


def test_log_record_names_that_a_registry_calls_broken_are_one_kind_after_the_first_sixteen(
    log: pytest.LogCaptureFixture, clock: Time
) -> None:
    def registry(ref: AppRef) -> App | None:
        raise ConfigError([])

    with Gate(registry=registry, app_locations=[Header("X-App-Id")]) as gate:
        for number in range(40):
            gate.decide(Request(headers=[("X-App-Id", f"invented-{number}")]))
        named = [getattr(record, "app_id") for record in log.records if hasattr(record, "code")]  # noqa: B009
        assert named == [f"invented-{number}" for number in range(17)]
        counted = {each.app_id: each.count for each in gate.outcomes()}
    assert counted == {f"invented-{number}": 1 for number in range(16)} | {"…": 24}


def test_log_record_distinct_origins_bounded_by_max_outcomes() -> None:
    report = reporter(max_outcomes=2)
    keys: list[OutcomeKey] = [
        (f"app-{number}", "origin_not_allowed", None, True, "gate", False, False) for number in range(5)
    ]
    assert [report._limited_value(key, "https://a.example") for key in keys] == ["https://a.example"] * 5
    assert len(report._origins) == 2


def test_log_record_client_values_are_escaped_and_truncated(log: pytest.LogCaptureFixture) -> None:
    gate = Gate([acme(origins=["https://acme.com"])])
    ask(gate, "https://é\n" + "x" * 300, path="/a\r\nb")
    (record,) = [record for record in log.records if hasattr(record, "origin")]
    assert getattr(record, "path") == "/a\\r\\nb"  # noqa: B009
    origin: str = getattr(record, "origin")  # noqa: B009
    assert origin.startswith("https://\\xe9\\nxxx")
    assert len(origin) == 256
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("enforced", [True, False])
@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("config_missing"),
        Refusal("config_invalid"),
        Refusal("keys_unavailable", retry_after=1),
        Refusal("apps_unavailable", retry_after=1),
        Refusal("internal_error", retry_after=1),
    ],
)
def test_p18_log_record_config_or_outage_refusal_is_warning_with_remedy(
    refusal: Refusal, enforced: bool, log: pytest.LogCaptureFixture, clock: Time
) -> None:
    report = reporter()
    for _ in range(5):
        report.decided(anonymous(refusal, allowed=not enforced, enforced=enforced))
    (record,) = log.records
    assert record.levelno == logging.WARNING
    assert f"app=acme {refusal.code}: {refusal.detail} {module._REMEDY[refusal.code]}" in record.getMessage()


def test_log_record_limited_refusal_mentions_limits(log: pytest.LogCaptureFixture) -> None:
    events: list[DecisionEvent] = []
    report = reporter(events.append)
    report.decided(refused(Refusal("keys_unavailable", retry_after=1, limited=True)))
    assert log.records[0].getMessage().endswith("raise it in Limits.")
    assert events[0].limited is True


def test_log_record_repeated_internal_error_once_per_minute_per_kind(
    log: pytest.LogCaptureFixture, clock: Time
) -> None:
    reporter = Reporter("wicket", None, 10)
    for error in (OSError("hunter2"), OSError(), KeyError("hunter2")):
        reporter.internal_error("it failed", error)
    clock.now += 60
    reporter.internal_error("it failed", OSError())
    assert [record.getMessage().splitlines()[0] for record in log.records] == [
        f"it failed: {kind}" for kind in ("OSError", "KeyError", "OSError")
    ]
