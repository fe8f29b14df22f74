"""`--gate MODULE:ATTRIBUTE` and `--config`, which every command takes."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wicket import Secret, mint, profiles
from wicket.cli.commands import wicket

SECRET = "6c" * 31 + "02"

MODULE = f"""
SECRET = {SECRET!r}
from wicket import ConfigError, Gate, Secret, profiles
app = profiles.generic("acme", credentials=[Secret.from_hex(SECRET)], origins=["https://acme.com"])
gate = Gate([app])

def make_gate():
    return Gate([app], name="made")

def broken():
    raise ConfigError([])

def failing():
    raise RuntimeError("secret words")

class Settings:
    gate = gate
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a module `site_auth`, as the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != ""])
    (tmp_path / "site_auth.py").write_text(MODULE, "utf-8")
    (tmp_path / "raising.py").write_text("import os\nos.environ['NOT_SET']\n", "utf-8")
    (tmp_path / "lacking.py").write_text("import not_installed\n", "utf-8")
    (tmp_path / "invalid.py").write_text("from wicket import App\nApp('a b')\n", "utf-8")
    yield tmp_path
    for name in ("site_auth", "raising", "lacking", "invalid"):
        sys.modules.pop(name, None)


def token() -> str:
    return mint(profiles.generic("acme", credentials=[Secret.from_hex(SECRET)]), "user-1")


def explain(*args: str) -> Result:
    return CliRunner().invoke(wicket, ["explain", token(), "--app", "acme", *args])


@pytest.mark.parametrize("name", ["site_auth:gate", "site_auth:make_gate", "site_auth:Settings.gate"])
def test_gate_option_attribute_or_function_is_the_gate(project: Path, name: str) -> None:
    result = explain("--gate", name)
    assert (result.exit_code, "passes as acme:user-1" in result.output) == (0, True)
    late = explain("--gate", name, "--now", "4000000000")
    assert (late.exit_code, "expired" in late.output) == (1, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("site_auth", "--gate: must be MODULE:ATTRIBUTE (for example myproject.auth:gate"),
        (":gate", "--gate: must be MODULE:ATTRIBUTE"),
        ("site_auth:", "--gate: must be MODULE:ATTRIBUTE"),
        ("site_auth:gat", "--gate: site_auth has no attribute 'gat' (did you mean 'gate'?)"),
        ("site_auth:mke_gate", "--gate: site_auth has no attribute 'mke_gate' (did you mean 'make_gate'?)"),
        ("site_auth:zzz", "--gate: site_auth has no attribute 'zzz' (its gates are gate)"),
        ("raising:gate", "raising.py, line 2)"),
        ("raising:gate", "--gate: importing the module raising failed: KeyError ("),
        ("site_auth:Settings.gat", "--gate: site_auth has no attribute 'Settings.gat' (did you mean 'gate'?)"),
        ("lacking:gate", "--gate: importing the module lacking failed: No module named 'not_installed'"),
        ("nowhere:gate", "--gate: importing the module nowhere failed: No module named 'nowhere'"),
        ("site_auth:app", "--gate: site_auth:app is not a Gate, but of the type App"),
        ("site_auth:failing", "--gate: the call of site_auth:failing failed: RuntimeError"),
        ("json:zzz", "--gate: json has no attribute 'zzz' (for example myproject.auth:gate"),
        ("invalid:gate", "invalid:gate: id: must be 1 to 128 visible characters"),
    ],
)
def test_gate_option_invalid_exits_2_with_remedy(project: Path, name: str, message: str) -> None:
    result = explain("--gate", name)
    assert result.exit_code == 2
    assert message in result.output
    assert "secret words" not in result.output
    assert "Traceback" not in result.output


def test_gate_option_function_raises_config_error_exits_2(project: Path) -> None:
    assert explain("--gate", "site_auth:broken").exit_code == 2


def test_gate_and_config_options_together_exit_2(project: Path) -> None:
    (project / "wicket.toml").touch()
    result = explain("--gate", "site_auth:gate", "--config", "wicket.toml")
    assert (result.exit_code, "--config and --gate cannot be used together" in result.output) == (2, True)


def test_config_option_default_file_missing_exits_2(project: Path) -> None:
    result = explain()
    assert result.exit_code == 2
    assert "there is no wicket.toml here: name a file with --config, or a gate with --gate" in result.output
    (project / "wicket.toml").write_text("[gate]\nmode = 'maybe'\n", "utf-8")
    assert "wicket.toml: gate.mode: is not a mode" in explain().output


def test_keys_fetch_gate_option_uses_its_network(project: Path) -> None:
    command = ["keys", "fetch", "--gate", "site_auth:gate"]
    result = CliRunner().invoke(wicket, [*command, "--app", "acme"])
    assert (result.exit_code, "no app with the id 'acme' has a remote key set" in result.output) == (2, True)
    result = CliRunner().invoke(wicket, [*command, "--app", "acme", "--port", "9000"])
    assert (result.exit_code, "cannot be used with --gate" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("acme", None),
        ("acne", "--app: the app 'acne' cannot be used (unknown_app) (did you mean 'acme'?)"),
        ("zzz", "--app: the app 'zzz' cannot be used (unknown_app) (the apps are acme)"),
    ],
)
def test_explain_url_app_sends_the_request_of_its_client(project: Path, app: str, message: str | None) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    asked = [
        "explain",
        "--url",
        url,
        "--origin",
        "https://acme.com",
        "--gate",
        "site_auth:gate",
        "--app",
        app,
        "--json",
    ]
    result = CliRunner().invoke(wicket, asked)
    if message is None:
        assert (result.exit_code, json.loads(result.output)["app"]) == (1, "acme")
    else:
        assert (result.exit_code, message in result.output) == (2, True)


def test_explain_url_configuration_without_app_exits_2(project: Path) -> None:
    asked = ["explain", "--url", "http://127.0.0.1/", "--origin", "https://acme.com", "--gate", "site_auth:gate"]
    result = CliRunner().invoke(wicket, asked)
    assert (result.exit_code, "--config and --gate require --app" in result.output) == (2, True)
