"""`wicket check`: problems, warnings and apps of a configuration."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wicket.cli.commands import wicket

SECRET = "6c" * 31 + "02"

VALID = """
[[apps]]
id = "acme"
profile = "userz"
publishable_key = "pub_acme"
origins = ["https://acme.com"]
require_origin = true
origin_mode = "log_only"
[[apps.credentials]]
kind = "secret"
env = "ACME_SECRET"
encoding = "hex"
kid = "2026"

[[apps]]
id = "globex"
profile = "getuserfeedback"
issuer = "https://id.globex.com"
origins = ["https://globex.com"]
allow_anonymous = true
mode = "log_only"
[[apps.credentials]]
kind = "jwks"
url = "https://id.globex.com/keys?token=hidden"

[[apps]]
id = "new"
origins = ["https://new.example"]
"""

INVALID = VALID.replace('"userz"', '"userzz"').replace('mode = "log_only"\n[[', 'mood = "log_only"\n[[')

MODULE = """
from wicket import App, Gate, Header, Secret, profiles
from wicket.config.app import BrokenApp
gate = Gate([profiles.generic("acme", credentials=[Secret.from_hex("6c" * 31 + "02")])])
loading = Gate(registry=lambda ref: None, app_locations=[Header("X-App-Id")])
partly = Gate([App("acme", origins=["https://a.com"]), BrokenApp("broken")], app_locations=[Header("X-App-Id")])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACME_SECRET", SECRET)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != ""])
    (tmp_path / "wicket.toml").write_text(VALID, "utf-8")
    (tmp_path / "checked_auth.py").write_text(MODULE, "utf-8")
    yield tmp_path
    sys.modules.pop("checked_auth", None)


def check(*args: str) -> Result:
    return CliRunner().invoke(wicket, ["check", *args])


def test_check_valid_file_prints_apps_and_exits_0(project: Path) -> None:
    result = check()
    assert result.exit_code == 0
    said = " ".join(result.output.split())
    for words in ("acme", "userz", "['2026']", "enforce", "globex", "log_only"):
        assert words in said
    assert "✓ wicket.toml is valid: 3 apps" in said
    assert "hidden" not in said
    assert SECRET[:16] not in said


def test_check_json_has_apps_and_warnings(project: Path) -> None:
    result = check("--json")
    told = json.loads(result.output)
    assert (result.exit_code, told["valid"], told["problems"], told["warnings"]) == (0, True, [], [])
    acme, globex, new = told["apps"]
    assert acme["mode"] == "enforce, origins log_only"
    assert acme["origins"] == "https://acme.com, and one is required"
    assert globex["credentials"] == "Jwks https://id.globex.com/keys (RS256, ES256, EdDSA)"
    assert globex["without token"] == "anonymous"
    assert (new["credentials"], new["issuer"]) == ("none, so requests are config_missing", "none")


def test_check_invalid_file_prints_every_problem_and_exits_1(project: Path) -> None:
    (project / "wicket.toml").write_text(INVALID, "utf-8")
    result = check()
    assert result.exit_code == 1
    assert "✗ wicket.toml: app acme: apps[0].profile: is not a profile (did you mean userz?)" in result.output
    assert "✗ wicket.toml: app globex: apps[1].mood: is not a setting (did you mean mode?)" in result.output
    assert "is valid" not in result.output
    told = json.loads(check("--json").output)
    assert told["valid"] is False
    assert {"app": "acme", "path": "apps[0].profile", "message": "is not a profile", "hint": "did you mean userz?"} in (
        told["problems"]
    )


def test_check_warning_fails_only_if_strict(project: Path) -> None:
    (project / "wicket.toml").write_text(VALID.replace('origins = ["https://new.example"]', ""), "utf-8")
    result = check()
    assert (result.exit_code, "! app new: it has no origins, so every origin is allowed" in result.output) == (0, True)
    assert check("--strict").exit_code == 1


def test_check_gate_of_module(project: Path) -> None:
    result = check("--gate", "checked_auth:gate")
    assert (result.exit_code, "✓ checked_auth:gate is valid: 1 app" in result.output) == (0, True)
    loading = check("--gate", "checked_auth:loading")
    assert (loading.exit_code, "The apps of the registry are checked when they are loaded" in loading.output) == (
        0,
        True,
    )
    partly = check("--gate", "checked_auth:partly")
    assert partly.exit_code == 1
    assert "✗ checked_auth:partly: app broken: its configuration is not valid (the gate logs why" in partly.output
    assert check("--gate", "nowhere:gate").exit_code == 2


def test_check_missing_file_exits_2(project: Path) -> None:
    assert check("--config", "nowhere.toml").exit_code == 2
    (project / "wicket.toml").unlink()
    assert check().exit_code == 2


def test_check_leaves_no_log_handler(project: Path) -> None:
    before = list(logging.getLogger("wicket").handlers)
    check()
    added = [each for each in logging.getLogger("wicket").handlers if each not in before]
    assert [type(each) for each in added] in ([], [logging.NullHandler])
