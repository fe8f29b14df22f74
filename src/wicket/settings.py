"""Definitions of settings: each setting is one field of a frozen dataclass, made by `setting()`.

The constructor, the paths of problems, the tables of a file, profiles and the reference page `docs/settings.md` derive
from the fields. The docstring below a field is its documentation.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from wicket.errors import Problems

Check = Callable[[Problems, str, Any], Any]
"""A function that takes the problems, the path to a setting and its value, and returns the value to store.

If the value is invalid, it adds a problem with that path. The returned value is then of no further use.
"""

_KEY: Final = "wicket"


class Setting(NamedTuple):
    """The definition of one setting.

    Args:
        name: The name of the setting.
        check: Checks and converts a value.
        default: The default of the constructor. `dataclasses.MISSING`: there is none, or it is made for each object.
        stored: The default after the check.
        form: How a table of a file holds the value: a name in `wicket.registry.tables.FORMS`. None: a file cannot set
            it.
        preset: Whether a profile can set it for all its apps.
        adds: Whether a profile's value remains, and the value of an app is added to it.
        show: Whether the repr contains the setting.
    """

    name: str
    check: Check
    default: Any
    stored: Any
    form: str | None
    preset: bool
    adds: bool
    show: bool


def setting(
    check: Check,
    *,
    default: Any = dataclasses.MISSING,
    default_factory: Any = dataclasses.MISSING,
    form: str | None = "value",
    preset: bool = False,
    adds: bool = False,
    repr: bool = True,
) -> Any:
    """Return a dataclass field that defines a setting.

    Args:
        check: Checks and converts a value.
        default: The default. It must pass the check.
        default_factory: Returns the default, if it has no hash.
        form: How a table of a file holds the value. None: a file cannot set it.
        preset: Whether a profile can set it for all its apps.
        adds: Whether a profile's value remains, and the value of an app is added to it.
        repr: Whether the repr contains the setting.
    """
    # `field` raises ValueError if both are given. A required setting has neither.
    given: dict[str, Any] = {"default": default, "default_factory": default_factory}
    return dataclasses.field(**given, repr=repr, metadata={_KEY: (check, form, preset, adds)})


@functools.cache
def settings_of(kind: type) -> Mapping[str, Setting]:
    """Return the settings that a dataclass defines, by name, in the order of their definition.

    Raises:
        ConfigError: The default of a setting does not pass its check.
    """
    found: dict[str, Setting] = {}
    problems = Problems()
    for field in dataclasses.fields(kind):
        if _KEY not in field.metadata:
            continue
        check, form, preset, adds = field.metadata[_KEY]
        required = field.default is dataclasses.MISSING
        stored = field.default if required else check(problems, field.name, field.default)
        found[field.name] = Setting(field.name, check, field.default, stored, form, preset, adds, field.repr)
    problems.raise_if_any()
    return MappingProxyType(found)


@functools.cache
def _checks_of(kind: type, prefix: str) -> tuple[tuple[str, str, Check, Any, Any], ...]:
    return tuple(
        (item.name, f"{prefix}{item.name}", item.check, item.default, item.stored)
        for item in settings_of(kind).values()
    )


def check_settings(problems: Problems, value: object, prefix: str = "") -> None:
    """Check the settings of a new dataclass instance, and replace each by what its check returns.

    Args:
        problems: Collects the problems.
        value: The instance. It may be frozen.
        prefix: What precedes the names of the settings in paths, for example `rules.`.
    """
    kind: type = type(value)
    for name, path, check, default, stored in _checks_of(kind, prefix):
        given = getattr(value, name)
        # A default was checked once. Most settings of most apps have their default.
        checked = stored if given is default else check(problems, path, given)
        if checked is not given:
            object.__setattr__(value, name, checked)


# --- checks


def satisfies(is_valid: Callable[[Any], bool], message: str, hint: str = "") -> Check:
    """Return a check that stores a value as it is, and adds a problem with this message if `is_valid` returns False."""

    def check(problems: Problems, path: str, value: Any) -> Any:
        if not is_valid(value):
            problems.add(path, message, hint)
        return value

    return check


def or_none(check: Check) -> Check:
    """Return a check that accepts None, and else does what `check` does."""
    return lambda problems, path, value: None if value is None else check(problems, path, value)


def instance_of(kind: type, expected: str) -> Check:
    """Return a check for an instance of `kind`. The message is `must be` and `expected`."""
    return satisfies(lambda value: isinstance(value, kind), f"must be {expected}")


boolean: Final = instance_of(bool, "true or false")


def is_sync_function(value: object) -> bool:
    """Return whether `value` can be called and is not async."""
    return (
        callable(value)
        and not inspect.iscoroutinefunction(value)
        and not inspect.iscoroutinefunction(getattr(type(value), "__call__", None))  # noqa: B004 - not a test of callable
    )


def items_of(is_valid: Callable[[Any], bool], noun: str, hint: str | Callable[[Any], str]) -> Check:
    """Return a check for an iterable whose items are valid. It stores a tuple.

    Args:
        is_valid: Returns whether an item is valid. The problem of an invalid item has the path `path[index]`.
        noun: What an item is, in the singular, for the messages.
        hint: How to correct an invalid item, or a function that takes the item and returns it.
    """

    def check(problems: Problems, path: str, values: object) -> tuple[Any, ...]:
        items = problems.as_tuple(path, values, f"{noun}s")
        for index, item in enumerate(items):
            if not is_valid(item):
                problems.add(f"{path}[{index}]", f"is not a {noun}", hint if isinstance(hint, str) else hint(item))
        return items

    return check


def is_nonempty_string(value: object) -> bool:
    """Return whether `value` is a string with at least one character."""
    return isinstance(value, str) and bool(value)
