"""Definitions of settings: defaults are checked once, and every problem has the path to its setting."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from tests.support.unit import problems_of
from wicket import ConfigError
from wicket.errors import Problems
from wicket.settings import boolean, check_settings, items_of, or_none, satisfies, setting, settings_of

checked: list[Any] = []


def _count(problems: Problems, path: str, value: Any) -> Any:
    checked.append(value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Settings of every kind."""

    size: int = setting(satisfies(lambda value: isinstance(value, int), "must be a number", "5"))
    names: tuple[str, ...] = setting(items_of(str.isidentifier, "name", "a letter first"), default=())
    active: bool | None = setting(or_none(boolean), default=None, form=None, preset=True, adds=True)
    counted: int = setting(_count, default=7)
    plain: str = "not a setting"

    def __post_init__(self) -> None:
        problems = Problems()
        check_settings(problems, self, "sample.")
        problems.raise_if_any()


def test_check_settings_stores_converted_values() -> None:
    given: Any = iter(["a", "b"])
    sample = Sample(size=1, names=given, active=True)
    assert (sample.size, sample.names, sample.active, sample.plain) == (1, ("a", "b"), True, "not a setting")
    with pytest.raises(FrozenInstanceError):
        sample.size = 2  # type: ignore[misc]


def test_check_settings_reports_every_problem_with_its_path() -> None:
    invalid: Any = {"size": "1", "names": ["a", "b c"], "active": 1}
    assert problems_of(lambda: Sample(**invalid)) == {
        "sample.size": "must be a number",
        "sample.names[1]": "is not a name",
        "sample.active": "must be true or false",
    }


def test_check_settings_default_is_checked_once() -> None:
    settings_of(Sample)
    checked.clear()
    Sample(size=1)
    Sample(size=2)
    assert checked == []
    Sample(size=2, counted=8)
    assert checked == [8]


def test_settings_of_has_definitions_in_order() -> None:
    settings = settings_of(Sample)
    assert list(settings) == ["size", "names", "active", "counted"]
    assert (settings["active"].form, settings["active"].preset, settings["active"].adds) == (None, True, True)
    assert (settings["size"].form, settings["size"].preset, settings["size"].adds) == ("value", False, False)


def test_settings_of_invalid_default_raises_config_error() -> None:
    @dataclass(frozen=True)
    class Wrong:
        active: bool = setting(boolean, default=None)

    with pytest.raises(ConfigError, match="active: must be true or false"):
        settings_of(Wrong)
