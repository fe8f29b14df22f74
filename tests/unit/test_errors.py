"""Codes, refusals and configuration errors."""

from __future__ import annotations

import pickle
from typing import get_args

import pytest

from tests.support.unit import problems_of
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


def test_error_codes_have_documented_status() -> None:
    assert DESIGNED == STATUS
    assert set(CODES) == set(STATUS)


@pytest.mark.parametrize("code", [code for code in CODES if code not in ("invalid_token", "invalid_request")])
def test_refusal_code_only_has_detail_and_status(code: Code) -> None:
    refusal = Refusal(code)
    assert refusal.detail == DETAIL[code]
    assert refusal.detail.endswith(".")
    assert refusal.status == DESIGNED[code]
    assert (refusal.reason, refusal.retry_after, refusal.claim) == (None, None, None)


@pytest.mark.parametrize("reason", REASONS)
def test_invalid_token_reason_has_unique_detail(reason: Reason) -> None:
    refusal = invalid_token(reason, claim="exp").refusal
    assert (refusal.code, refusal.status, refusal.claim) == ("invalid_token", 401, "exp")
    assert refusal.detail == DETAIL[reason]
    assert list(DETAIL.values()).count(refusal.detail) == 1


def test_refusal_given_detail_is_kept() -> None:
    assert invalid_token("expired", "Too old.").refusal.detail == "Too old."
    assert invalid_request("Two tokens.").refusal == Refusal("invalid_request", None, "Two tokens.")


def test_refusal_attribute_assignment_raises_attribute_error() -> None:
    with pytest.raises(AttributeError):
        Refusal("missing_token").code = "invalid_token"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("refusal", "text"),
    [(Refusal("missing_token"), "missing_token"), (Refusal("invalid_token", "expired"), "invalid_token (expired)")],
)
def test_refused_str_is_code_and_reason(refusal: Refusal, text: str) -> None:
    refused = Refused(refusal)
    assert str(refused) == text
    assert refused.refusal is refusal
    assert refused.args == (refusal.code, refusal.reason)


def test_refused_class_is_no_config_error_or_value_error() -> None:
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
def test_problem_str_is_path_message_and_hint(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_config_error_lists_every_problem() -> None:
    error = ConfigError(iter([Problem("a", "one"), Problem("b", "two", "so")]))
    assert error.problems == (Problem("a", "one"), Problem("b", "two", "so"))
    assert str(error) == "a: one; b: two (so)"


def test_problems_raise_if_any_raises_all_together() -> None:
    problems = Problems()
    problems.raise_if_any()
    problems.add("a", "one")
    problems.add("b", "two", "hint")
    assert problems_of(problems.raise_if_any) == {"a": "one", "b": "two"}


@pytest.mark.parametrize(
    ("prefix", "suffix", "path"),
    [
        ("apps", "id", "apps.id"),
        ("apps", "[2]", "apps[2]"),
        ("apps[1]", "origins[0]", "apps[1].origins[0]"),
        ("apps", "", "apps"),
        ("", "id", "id"),
        ("", "", ""),
    ],
)
def test_problems_merge_prefixes_paths(prefix: str, suffix: str, path: str) -> None:
    problems = Problems()
    problems.merge(prefix, config_error(suffix, "is wrong", "hint"))
    assert problems.found == [Problem(path, "is wrong", "hint")]


def test_refused_and_config_error_pickled_are_equal() -> None:
    refusal = Refusal("invalid_token", "expired", "Too old.", 5, "exp")
    refused = pickle.loads(pickle.dumps(Refused(refusal)))
    assert (type(refused), refused.refusal, str(refused)) == (Refused, refusal, "invalid_token (expired)")
    original = ConfigError([Problem("a", "one"), Problem("b", "two", "so")])
    error = pickle.loads(pickle.dumps(original))
    assert (type(error), error.problems, str(error)) == (ConfigError, original.problems, str(original))
