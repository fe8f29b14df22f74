"""Refusals and configuration errors say what they say in stable words."""

from __future__ import annotations

import pickle
from typing import get_args

import pytest

from tests.unit.support import problems_of
from wicket.errors import (
    DETAIL,
    STATUS,
    Code,
    ConfigError,
    Problem,
    Problems,
    Reason,
    Refusal,
    Refused,
    WicketError,
    config_error,
    invalid_request,
    invalid_token,
)

CODES: tuple[Code, ...] = get_args(Code)
REASONS: tuple[Reason, ...] = get_args(Reason)

DESIGNED = {
    "missing_token": 401,
    "invalid_token": 401,
    "config_missing": 401,
    "config_invalid": 401,
    "unknown_app": 401,
    "invalid_request": 400,
    "origin_not_allowed": 403,
    "insufficient_scope": 403,
    "rate_limited": 429,
    "keys_unavailable": 503,
    "apps_unavailable": 503,
    "internal_error": 503,
}


def test_every_code_has_the_status_that_is_documented() -> None:
    assert DESIGNED == STATUS
    assert set(CODES) == set(STATUS)


@pytest.mark.parametrize("code", [code for code in CODES if code not in ("invalid_token", "invalid_request")])
def test_a_code_alone_has_a_sentence_and_a_status(code: Code) -> None:
    refusal = Refusal(code)
    assert refusal.detail == DETAIL[code]
    assert refusal.detail.endswith(".")
    assert refusal.status == DESIGNED[code]
    assert (refusal.reason, refusal.retry_after, refusal.claim) == (None, None, None)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence_of_its_own(reason: Reason) -> None:
    refusal = invalid_token(reason, claim="exp").refusal
    assert (refusal.code, refusal.status, refusal.claim) == ("invalid_token", 401, "exp")
    assert refusal.detail == DETAIL[reason]
    assert list(DETAIL.values()).count(refusal.detail) == 1


def test_a_detail_that_is_given_is_kept() -> None:
    assert invalid_token("expired", "Too old.").refusal.detail == "Too old."
    assert invalid_request("Two tokens.").refusal == Refusal("invalid_request", None, "Two tokens.")


def test_a_refusal_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Refusal("missing_token").code = "invalid_token"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("refusal", "text"),
    [(Refusal("missing_token"), "missing_token"), (Refusal("invalid_token", "expired"), "invalid_token (expired)")],
)
def test_refused_reads_as_its_code_and_reason(refusal: Refusal, text: str) -> None:
    refused = Refused(refusal)
    assert str(refused) == text
    assert refused.refusal is refusal
    assert refused.args == (refusal.code, refusal.reason)


def test_a_fault_of_a_request_is_no_fault_of_the_configuration() -> None:
    assert issubclass(Refused, WicketError)
    assert issubclass(ConfigError, WicketError)
    assert issubclass(ConfigError, ValueError)
    assert not issubclass(Refused, ConfigError | ValueError)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("", "is wrong"), "is wrong"),
        (Problem("id", "is wrong"), "id: is wrong"),
        (Problem("id", "is wrong", "try this"), "id: is wrong (try this)"),
        (Problem("", "is wrong", "try this"), "is wrong (try this)"),
    ],
)
def test_a_problem_reads_as_path_message_and_hint(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_configuration_error_names_every_problem() -> None:
    error = ConfigError(iter([Problem("a", "one"), Problem("b", "two", "so")]))
    assert error.problems == (Problem("a", "one"), Problem("b", "two", "so"))
    assert str(error) == "a: one; b: two (so)"


def test_problems_are_raised_together_or_not_at_all() -> None:
    problems = Problems()
    problems.raise_if_any()
    problems.add("a", "one")
    problems.add("b", "two", "hint")
    assert problems_of(problems.raise_if_any) == {"a": "one", "b": "two"}


@pytest.mark.parametrize(
    ("above", "below", "path"),
    [
        ("apps", "id", "apps.id"),
        ("apps", "[2]", "apps[2]"),
        ("apps[1]", "origins[0]", "apps[1].origins[0]"),
        ("apps", "", "apps"),
        ("", "id", "id"),
        ("", "", ""),
    ],
)
def test_the_problems_of_a_part_are_put_below_its_path(above: str, below: str, path: str) -> None:
    problems = Problems()
    problems.merge_problems(above, config_error(below, "is wrong", "hint"))
    assert problems.found == [Problem(path, "is wrong", "hint")]


def test_a_refusal_and_a_configuration_error_survive_pickling() -> None:
    refusal = Refusal("invalid_token", "expired", "Too old.", 5, "exp")
    refused = pickle.loads(pickle.dumps(Refused(refusal)))
    assert (type(refused), refused.refusal, str(refused)) == (Refused, refusal, "invalid_token (expired)")
    given = ConfigError([Problem("a", "one"), Problem("b", "two", "so")])
    error = pickle.loads(pickle.dumps(given))
    assert (type(error), error.problems, str(error)) == (ConfigError, given.problems, str(given))
