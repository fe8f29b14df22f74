"""Locations of one's own in a TOML file: registered by name in `[gate.extensions]` or in code, named in app tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.toml_files import problems_of, write
from wicket import ConfigError, Gate, Header, Refusal, Request, TokenLocation, mint

MODULE = '''
from wicket import AppLocation, TokenLocation


class Prefixed(AppLocation, TokenLocation):
    """The value of a header after a prefix."""

    def __init__(self, prefix: str) -> None:
        if prefix == "boom":
            raise RuntimeError(prefix)
        self.prefix = prefix

    def read(self, request):
        value = request.single_header("x-own") or ""
        return value.removeprefix(self.prefix) or None


class Holder:
    nested = Prefixed


def nothing(argument):
    return None
'''

APP = """
[[apps]]
id = "acme"
token_locations = ["own:v1-"]

[[apps.credentials]]
kind = "secret"
env = "ACME_SECRET"
encoding = "hex"
"""

EXTENSIONS = """
[gate.extensions]
own = "acme_locations:Holder.nested"
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_locations.py").write_text(MODULE)
    (tmp_path / "failing_locations.py").write_text("raise RuntimeError('at import')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("ACME_SECRET", "5f" * 31 + "01")
    monkeypatch.delitem(sys.modules, "acme_locations", raising=False)


class Own(TokenLocation):
    """A location that code registers."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def read(self, request: Request) -> str | None:
        return (request.single_header("x-code") or "").removeprefix(self.prefix) or None


def test_from_file_extension_of_file_location_read(tmp_path: Path) -> None:
    with Gate.from_file(write(tmp_path, EXTENSIONS + APP), strict=True) as gate:
        (app,) = gate.apps
        decision = gate.decide(Request(headers=[("X-Own", f"v1-{mint(app, 'user-1')}")]))
        assert decision.identity.identity == "acme:user-1"
        assert set(gate.settings.extensions) == {"own"}


def test_from_file_extension_of_code_replaces_that_of_file(tmp_path: Path) -> None:
    with Gate.from_file(write(tmp_path, EXTENSIONS + APP), strict=True, extensions={"own": Own}) as gate:
        (app,) = gate.apps
        assert gate.decide(Request(headers=[("X-Code", f"v1-{mint(app, 'user-1')}")])).identity.verified


def test_from_file_gate_and_app_locations_extension_used(tmp_path: Path) -> None:
    path = write(tmp_path, '[gate]\napp_locations = ["own:id="]\n' + EXTENSIONS + APP)
    with Gate.from_file(path, strict=True) as gate:
        assert [type(location).__name__ for location in gate.app_locations] == ["Prefixed"]


@pytest.mark.parametrize("word", ["own:v1-", "acme_locations:Holder.nested", "acme_locations:nothing"])
def test_from_file_app_table_import_path_or_unknown_name_config_error(tmp_path: Path, word: str) -> None:
    problems = problems_of(tmp_path, APP.replace("own:v1-", word), strict=True)
    assert set(problems) == {"apps[0].token_locations[0]"}
    assert "acme_locations" not in sys.modules, "an app table imports nothing"


@pytest.mark.parametrize(
    ("extensions", "path", "message"),
    [
        ("own = 1", "gate.extensions.own", "must be an import path"),
        ('own = "acme_locations"', "gate.extensions.own", "must be an import path"),
        ('own = "acme_locations:absent"', "gate.extensions.own", "AttributeError"),
        ('own = "no_such_module:own"', "gate.extensions.own", "ModuleNotFoundError"),
        ('own = "failing_locations:own"', "gate.extensions.own", "RuntimeError: at import"),
        ('own = "acme_locations:__name__"', "gate.extensions.own", "must be a function"),
        ('header = "acme_locations:Prefixed"', "gate.extensions.header", "is the name of a location of Wicket"),
        ('Own = "acme_locations:Prefixed"', "gate.extensions", "not a lower-case word"),
    ],
)
def test_from_file_invalid_extension_problem_with_path(
    tmp_path: Path, extensions: str, path: str, message: str
) -> None:
    problems = problems_of(tmp_path, f"[gate.extensions]\n{extensions}\n{APP}", strict=True)
    assert message in problems[path]


def test_from_file_extensions_no_table_problem_with_path(tmp_path: Path) -> None:
    assert set(problems_of(tmp_path, "[gate]\nextensions = 3\n")) == {"gate.extensions"}


@pytest.mark.parametrize(
    ("word", "message"),
    [("own:boom", "raises RuntimeError"), ("void:x", "is not a location")],
)
def test_from_file_extension_that_fails_makes_app_broken(tmp_path: Path, word: str, message: str) -> None:
    text = EXTENSIONS + 'void = "acme_locations:nothing"\n' + APP.replace("own:v1-", word)
    problems = problems_of(tmp_path, text, strict=True)
    assert message in problems["apps[0].token_locations[0]"]


@pytest.mark.parametrize(
    ("extensions", "path"),
    [({"own": 3}, "extensions.own"), ({3: Own}, "extensions"), (3, "extensions"), ({"query": Own}, "extensions.query")],
)
def test_gate_invalid_extensions_config_error(extensions: Any, path: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Gate(extensions=extensions, app_locations=[Header("x")])
    assert [problem.path for problem in raised.value.problems] == [path]


def test_gate_extensions_read_only_mapping() -> None:
    given: dict[str, Any] = {"own": Own}
    with Gate(extensions=given, app_locations=[Header("x")]) as gate:
        given.clear()
        assert dict(gate.settings.extensions) == {"own": Own}


def test_from_file_format_error_extension_used(tmp_path: Path) -> None:
    (tmp_path / "acme_errors.py").write_text("def answer(refusal):\n    return 418, {'why': refusal.code}\n")
    text = '[gate.extensions]\nanswer = "acme_errors:answer"\n' + APP.replace(
        'token_locations = ["own:v1-"]', 'format_error = "answer"'
    )
    with Gate.from_file(write(tmp_path, text), strict=True) as gate:
        assert gate.apps[0].format_error is not None
        assert gate.apps[0].format_error(Refusal("missing_token")) == (418, {"why": "missing_token"})


def test_from_file_check_extension_used(tmp_path: Path) -> None:
    (tmp_path / "acme_checks.py").write_text("def paid(claims):\n    return 'not paid'\n")
    text = '[gate.extensions]\npaid = "acme_checks:paid"\n' + APP.replace(
        'token_locations = ["own:v1-"]', 'check = "paid"'
    )
    with Gate.from_file(write(tmp_path, text), strict=True) as gate:
        assert gate.apps[0].check is not None
        assert gate.apps[0].check({}) == "not paid"


def test_from_file_check_async_extension_problem_with_path(tmp_path: Path) -> None:
    (tmp_path / "acme_async_checks.py").write_text("async def paid(claims):\n    return None\n")
    text = '[gate.extensions]\npaid = "acme_async_checks:paid"\n' + APP.replace(
        'token_locations = ["own:v1-"]', 'check = "paid"'
    )
    problems = problems_of(tmp_path, text, strict=True)
    assert "not async" in problems["apps[0].check"]


@pytest.mark.parametrize("value", ['"absent"', "3", '"acme_errors:answer"', '"own"'])
def test_from_file_format_error_no_extension_problem_with_path(tmp_path: Path, value: str) -> None:
    text = EXTENSIONS + APP.replace('token_locations = ["own:v1-"]', f"format_error = {value}")
    problems = problems_of(tmp_path, text, strict=True)
    assert "is not the name of an extension" in problems["apps[0].format_error"]
