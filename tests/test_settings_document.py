"""Each setting is defined once: the lines for type checkers, the forms in a file and docs/settings.md agree with it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest

import wicket
from tests.support.settings_page import PAGE, SECTIONS, Section, accepted_type, meanings, page
from wicket import App, Gate, Profile, profiles
from wicket.config.app import AppOptions, ProfileDefaults
from wicket.gate_settings import GateSettings
from wicket.registry.tables import FORMS
from wicket.registry.toml import GATE_FORMS
from wicket.settings import settings_of

SOURCE: Final = Path(wicket.__file__).parent

TYPED: Final = [section for section in SECTIONS if section.accepted is not None]

FURTHER_FORMS: Final = {"audience": "str | Iterable[str] | None", "scopes_claim": "str | Iterable[str] | None"}
"""The settings that accept more than an iterable for the tuple that is stored."""

NOT_SETTINGS: Final = {"drop_required_claims"}
"""The entries of `RuleChanges` that are changes of a rule and not rules."""


def explicit_parameters(kind: type) -> set[str]:
    """The parameters of `__init__` that are not in a TypedDict."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    (found,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return {argument.arg for argument in (*found.args.args, *found.args.kwonlyargs)} - {"self"}


def test_settings_page_equals_definitions() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.support.settings_page"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_settings_every_setting_has_a_docstring(section: Section) -> None:
    texts = meanings(section.kind)
    for name in settings_of(section.kind):
        assert re.fullmatch(r"[A-Z`].{15,}\.", texts.get(name, "")), name


@pytest.mark.parametrize("section", TYPED, ids=lambda section: section.heading)
def test_settings_types_for_type_checkers_equal_definitions(section: Section) -> None:
    assert section.accepted is not None
    hints = {name: hint.__forward_arg__ for name, hint in section.accepted.__annotations__.items()}
    given = {"App": explicit_parameters(App), "Gate": {"apps"}}.get(section.heading, set())
    expected = {}
    for field in dataclasses.fields(section.kind):
        if field.name not in settings_of(section.kind) or field.name in given:
            continue
        kind = accepted_type(str(field.type))
        is_none_allowed = field.default is None and "None" not in kind
        expected[field.name] = FURTHER_FORMS.get(field.name, f"{kind} | None" if is_none_allowed else kind)
    assert {name: hint for name, hint in hints.items() if name not in NOT_SETTINGS} == expected


def test_settings_of_profile_are_those_marked_in_app() -> None:
    marked = {name for name, setting in settings_of(App).items() if setting.preset}
    assert ProfileDefaults.__annotations__.keys() == marked
    assert AppOptions.__annotations__.keys() > marked
    assert {name for name in inspect.signature(Profile).parameters if name in settings_of(App)} - {"rules"} == marked


def test_settings_signatures_name_every_setting_with_its_default() -> None:
    for callable_, kind in ((App, App), (Gate, GateSettings)):
        parameters = inspect.signature(callable_).parameters
        assert list(parameters) == list(settings_of(kind))
        for name, setting in settings_of(kind).items():
            has_default = setting.default is not dataclasses.MISSING
            assert parameters[name].default is (setting.default if has_default else inspect.Parameter.empty)


def test_settings_every_form_has_a_reader() -> None:
    assert {setting.form for setting in settings_of(App).values()} == {*FORMS, "id", "profile", "rules"}
    assert {setting.form for setting in settings_of(GateSettings).values()} <= {*GATE_FORMS, "extensions", None}


def test_profile_has_its_defaults_as_attributes() -> None:
    assert profiles.generic.app_locations == App("acme", app_locations=profiles.generic.app_locations).app_locations
    assert Profile("bare").token_locations is settings_of(App)["token_locations"].default
    assert "format_error" not in repr(profiles.userz)
    with pytest.raises(AttributeError, match="leeway"):
        _ = profiles.generic.leeway


# --- one imaginary setting of each kind is one definition, and one line for type checkers

ADDED: Final = {
    "config/app.py": (
        (
            "    aliases: tuple[str, ...] = setting(",
            "    max_companies: int = setting(instance_of(int, 'a whole number'), default=9)\n"
            '    """The largest number of companies of a user."""\n',
        ),
        ("    aliases: Iterable[str]\n", "    max_companies: int\n"),
    ),
    "config/rules.py": (
        (
            "    string_attributes_only: bool = ",
            '    require_jti: bool = setting(boolean, default=False)\n    """Whether the token must have a `jti`."""\n',
        ),
        ("    string_attributes_only: bool\n", "    require_jti: bool\n"),
    ),
    "limits.py": (("    max_key_sets: int", '    max_widgets: int = _whole(10)\n    """The number of widgets."""\n'),),
    "gate_settings.py": (
        (
            "    error_docs: str | None = ",
            '    banner: str | None = setting(_string, default=None)\n    """The sentence that starts the log."""\n',
        ),
        ("    error_docs: str | None\n", "    banner: str | None\n"),
    ),
    "http/settings.py": (
        (
            "    close_on_expiry: bool = ",
            "    trace: bool = setting(boolean, default=False, form=None)\n"
            '    """Whether each response has the name of the gate."""\n',
        ),
        ("    close_on_expiry: bool\n", "    trace: bool\n"),
    ),
}

USES: Final = """
import inspect, json
from pathlib import Path
from wicket import App, ConfigError, Gate, profiles
from wicket.asgi import WicketMiddleware
from wicket.http.settings import MiddlewareSettings

def paths(build):
    try:
        build()
    except ConfigError as error:
        return {problem.path: problem.message for problem in error.problems}

def of_file(text):
    Path("wicket.toml").write_text(text)
    return Gate.from_file("wicket.toml", strict=True)

gate = of_file('''
[gate]
banner = "hello"
limits = { max_widgets = 3 }
[[apps]]
id = "acme"
max_companies = 7
rules = { require_jti = true }
''')
(app,) = gate.apps
print(json.dumps([
    [gate.settings.banner, gate.limits.max_widgets, app.max_companies, app.rules.require_jti],
    [App("a").max_companies, profiles.userz("a", max_companies=5, require_jti=True).max_companies],
    [profiles.userz.extend(require_jti=True).rules.require_jti, Gate(banner="b").settings.banner],
    MiddlewareSettings(trace=True).options()["trace"],
    [str(inspect.signature(App).parameters["max_companies"].default), "banner" in inspect.signature(Gate).parameters],
    paths(lambda: App("a", max_companies="x", mode=1)),
    paths(lambda: profiles.userz("a", max_companies="x", require_jti=1)),
    paths(lambda: WicketMiddleware(None, gate, trace=1)),
    paths(lambda: of_file(
        "[gate]\\nbanner = 1\\nlimits = { max_widgets = 0 }\\n[[apps]]\\nid = 'a'\\nmax_companies = 'x'\\n"
    )),
]))
"""


def test_settings_added_definition_reaches_constructor_profile_and_file(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "wicket", ignore=shutil.ignore_patterns("__pycache__"))
    for name, lines in ADDED.items():
        text = (tmp_path / "wicket" / name).read_text("utf-8")
        for before, added in lines:
            assert text.count(before) == 1, before
            text = text.replace(before, added + before)
        (tmp_path / "wicket" / name).write_text(text, "utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", USES], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    found: list[Any] = json.loads(ran.stdout)
    number, boolean = "must be a whole number", "must be true or false"
    assert found == [
        ["hello", 3, 7, True],
        [9, 5],
        [True, "b"],
        True,
        ["9", True],
        {"max_companies": number, "mode": "must be Mode.ENFORCE or Mode.LOG_ONLY"},
        {"max_companies": number, "rules.require_jti": boolean},
        {"trace": boolean},
        {
            "gate.banner": "must be a string",
            "gate.limits.max_widgets": "must be a positive number",
            "apps[0].max_companies": number,
        },
    ]
