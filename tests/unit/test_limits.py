"""Each limit has a default and must be a positive number."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from tests.support.unit import problems_of
from wicket import ConfigError, Limits

NAMES = [field.name for field in fields(Limits)]
COUNTS = [field.name for field in fields(Limits) if isinstance(getattr(Limits(), field.name), int)]


def test_limits_defaults_equal_design_values() -> None:
    limits = Limits()
    assert limits.log_only_timeout == 0.5
    assert (limits.backoff_initial, limits.backoff_max) == (1.0, 60.0)
    assert limits.app_stale_if_error == 3600.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "5", None, True])
def test_limits_value_not_positive_number_is_a_problem(name: str, value: Any) -> None:
    assert problems_of(lambda: Limits(**{name: value})) == {f"limits.{name}": "must be a positive number"}


@pytest.mark.parametrize("name", COUNTS)
def test_limits_count_not_whole_is_a_problem(name: str) -> None:
    changed: dict[str, Any] = {name: 1.5}
    assert problems_of(lambda: Limits(**changed)) == {f"limits.{name}": "must be a whole number"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in COUNTS])
def test_limits_time_int_or_float_allowed(name: str) -> None:
    for value in (1, 0.25):
        changed: dict[str, Any] = {name: value}
        assert getattr(Limits(**changed), name) == value


def test_limits_several_invalid_values_all_reported() -> None:
    found = problems_of(lambda: Limits(max_apps=0, load_timeout=-1, negative_cache_size=1.5))  # type: ignore[arg-type]
    assert set(found) == {"limits.max_apps", "limits.load_timeout", "limits.negative_cache_size"}


@pytest.mark.parametrize(
    ("name", "value", "usable"),
    [
        ("remote_rsa_bits", 2047, False),
        ("remote_rsa_bits", 2048, True),
        ("remote_rsa_bits", 8192, True),
        ("remote_rsa_bits", 8193, False),
        ("remote_rsa_exponent", 2, False),
        ("remote_rsa_exponent", 3, True),
        ("remote_rsa_exponent", 2**32 - 1, True),
        ("remote_rsa_exponent", 2**32, False),
    ],
)
def test_s10_limits_remote_rsa_bound_outside_range_raises_config_error(name: str, value: int, usable: bool) -> None:
    if usable:
        assert getattr(Limits(**{name: value}), name) == value
    else:
        with pytest.raises(ConfigError, match=name):
            Limits(**{name: value})
