"""Writes `docs/settings.md` from the definitions of settings: `python -m tests.support.settings_page`.

The names, types and defaults are those of the dataclass fields. The meaning is the docstring below each field.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from wicket.config.app import App, AppOptions
from wicket.config.revocations import Revocations
from wicket.config.rules import RuleChanges, Rules
from wicket.gate_settings import GateOptions, GateSettings
from wicket.http.settings import MiddlewareOptions, MiddlewareSettings
from wicket.limits import Limits
from wicket.settings import Setting, settings_of

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

FORM_WORDS: Final[Mapping[str | None, str]] = {
    "value": "the same value",
    "id": "the same value",
    "profile": "the name of a profile, or none for `generic`",
    "mode": '`"enforce"` or `"log_only"`',
    "app_locations": "a list of [locations](apps.md#locations)",
    "token_locations": "a list of [locations](apps.md#locations)",
    "credentials": "tables `[[apps.credentials]]`",
    "rules": "the table `[apps.rules]`",
    "revocations": "the table `[apps.revocations]`",
    "identity_hash": "the table `[apps.identity_hash]`",
    "websocket_refusals": "the table `[apps.websocket_refusals]`, with the statuses as keys of `codes`",
    "cors": "the table `cors`",
    "message_hash": "the table `[apps.message_hash]`",
    "limits": "the table `[gate.limits]`",
    "network": "the table `[gate.network]`",
    "extension": "the name of an [extension](apps.md#a-location-of-your-own)",
    "extensions": "the table `[gate.extensions]`, with import paths",
    None: "",
}
"""What the page says about each form of `wicket.registry`."""

HEAD: Final = """\
# Settings

Every setting, with the type that its constructor accepts and its default. The types are those of Python. "In a file"
says how the TOML file of `Gate.from_file` holds the setting, if it can. [Apps and files](apps.md) shows such a file.

This page is written from the source by `python -m tests.support.settings_page`. A test compares the two.
"""


class Section(NamedTuple):
    """One table of the page.

    Args:
        heading: The heading.
        kind: The class that defines the settings.
        accepted: The types that the constructor accepts, if they are not those of the fields.
        prose: The text above the table.
        columns: The headings and contents of the columns between the default and the meaning.
    """

    heading: str
    kind: type
    accepted: type | None
    prose: str
    columns: Mapping[str, Callable[[Setting], str]]


def _in_file(setting: Setting) -> str:
    return FORM_WORDS[setting.form]


SECTIONS: Final = (
    Section(
        "App",
        App,
        AppOptions,
        "`App(id, …)`, and a call of a profile, which takes single rules instead of `rules` and `profile`."
        " `Profile(name, …)` and `extend` set those marked in the column for all apps of a profile.",
        {"in a file": _in_file, "profile": lambda setting: "yes" if setting.preset else ""},
    ),
    Section(
        "Rules",
        Rules,
        RuleChanges,
        "`Rules(…)`, a call of a profile, and `extend`. An app adds to some rules of its profile and replaces the"
        " others. `drop_required_claims` removes claims from the `required_claims` of the profile. In a file, rules are"
        " in `[apps.rules]`, with the same values. Times are in seconds, sizes in bytes.",
        {"with a profile": lambda setting: "adds" if setting.adds else "replaces"},
    ),
    Section(
        "Revocations",
        Revocations,
        None,
        "`App(revocations=Revocations(…))`. In a file, they are in `[apps.revocations]`, with the same values."
        " Times are in seconds since 1970.",
        {},
    ),
    Section(
        "Gate",
        GateSettings,
        GateOptions,
        "`Gate(apps, …)`. In a file, they are in `[gate]`.",
        {"in a file": _in_file},
    ),
    Section(
        "Limits",
        Limits,
        None,
        "`Gate(limits=Limits(…))`. In a file, they are in `[gate.limits]`, with the same values."
        " Times are in seconds, sizes in bytes, all other values are counts.",
        {},
    ),
    Section(
        "Middleware",
        MiddlewareSettings,
        MiddlewareOptions,
        "`WicketMiddleware(app, gate, …)` of `wicket.asgi` and `wicket.wsgi`, and `Wicket(gate, …)` of"
        " `wicket.contrib.flask`.",
        {},
    ),
)


def meanings(kind: type) -> dict[str, str]:
    """The docstrings below the fields of a class, by the name of the field."""
    module = inspect.getmodule(kind)
    assert module is not None
    (body,) = [
        node.body
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    ]
    found = {}
    for field, docstring in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(docstring, ast.Expr)
            and isinstance(docstring.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(docstring.value.value).split())
    return found


def accepted_types(section: Section) -> dict[str, str]:
    """The types that the constructor accepts, by the name of the setting, as they are written in the source."""
    stored = {field.name: str(field.type) for field in dataclasses.fields(section.kind)}
    if section.accepted is None:
        return stored
    types = {name: accepted_type(kind) for name, kind in stored.items()}
    return types | {name: hint.__forward_arg__ for name, hint in section.accepted.__annotations__.items()}


def accepted_type(stored: str) -> str:
    """The type that a constructor accepts for a field of this type: any iterable becomes a tuple or a frozenset."""
    return re.sub(r"\btuple\[(.+), \.\.\.\]|\bfrozenset\[(.+)\]", r"Iterable[\1\2]", stored)


def default_of(setting: Setting, field: dataclasses.Field[Any]) -> str:
    """The default as it is written in Python; empty if the setting is required."""
    value = setting.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return ""
    if isinstance(value, enum.Enum):
        return f"`{type(value).__name__}.{value.name}`"
    if dataclasses.is_dataclass(value):
        return f"`{type(value).__name__}()`"
    if callable(value):
        return f"`{value.__module__}.{value.__qualname__}`"
    if isinstance(value, frozenset) and value:
        return f"`{{{', '.join(map(repr, sorted(value)))}}}`"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"`{value:_}`"
    return f"`{value!r}`"


def _table(section: Section) -> Iterator[str]:
    headings = ("setting", "accepts", "default", *section.columns, "meaning")
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    texts, types = meanings(section.kind), accepted_types(section)
    fields = {field.name: field for field in dataclasses.fields(section.kind)}
    for name, setting in settings_of(section.kind).items():
        cells = (
            f"`{name}`",
            f"`{types[name]}`",
            default_of(setting, fields[name]),
            *(content(setting) for content in section.columns.values()),
            texts[name],
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("|  |", "| |")


def page() -> str:
    """The content of `docs/settings.md`."""
    parts = [HEAD]
    for section in SECTIONS:
        parts.append(f"\n## {section.heading}\n\n{textwrap.fill(section.prose, 120)}\n\n")
        parts.extend(f"{row}\n" for row in _table(section))
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
