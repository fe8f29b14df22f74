"""The command line: `explain` and `demo`."""

from __future__ import annotations

import builtins
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from wicket import Gate, cli
from wicket.cli import demo as demo_module
from wicket.cli.commands import _console, wicket

SECRET = "6c" * 31 + "02"
NOW = 1_761_000_000

CONFIG = """
[[apps]]
id = "acme"
profile = "userz"
publishable_key = "pub_acme"
origins = ["https://acme.com"]
revocations = { token_ids = ["gone"] }
[[apps.credentials]]
kind = "secret"
env = "ACME_SECRET"
encoding = "hex"

[[apps]]
id = "empty"
issuer = "https://id.example"
audience = "https://api.example"

[[apps]]
id = "broken"
origins = ["null"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACME_SECRET", SECRET)
    path = tmp_path / "wicket.toml"
    path.write_text(CONFIG, "utf-8")
    return path


def token(**claims: Any) -> str:
    held = {"sub": "user-1", "app": "acme", "iat": NOW, "exp": NOW + 3600, **claims}
    return jwt.encode(held, bytes.fromhex(SECRET), algorithm="HS256")


def explain(config: Path, *args: str, app: str = "acme", stdin: str | None = None) -> Result:
    return CliRunner().invoke(
        wicket, ["explain", "--app", app, "--config", str(config), "--now", str(NOW + 10), *args], input=stdin
    )


def test_explain_valid_token_passes_every_step(config: Path) -> None:
    result = explain(config, token(), "--origin", "https://acme.com")
    assert result.exit_code == 0
    assert "passes as acme:user-1" in result.output
    assert "✗" not in result.output
    assert "2025-10-20 22:40:00 UTC" in result.output
    for step in ("app", "origin", "read", "algorithm", "key", "signature", "iat", "exp", "claims", "user", "revoked"):
        assert f" {step} " in result.output


@pytest.mark.parametrize("now", ["nan", "inf", "-1", "1e300"])
def test_explain_invalid_now_usage_error(config: Path, now: str) -> None:
    result = explain(config, token(), "--now", now)
    assert (result.exit_code, result.output.count("seconds since 1970")) == (2, 1)


def test_explain_token_from_stdin_passes(config: Path) -> None:
    assert explain(config, stdin=token() + "\n").exit_code == 0
    assert explain(config, "-", stdin=token()).exit_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no token", "invalid_token (malformed)"),
        ("", "invalid_token (malformed)"),
        (token(exp=NOW), "invalid_token (lifetime_too_short)"),
        (token(iat=NOW - 9000, exp=NOW - 8000), "invalid_token (expired)"),
        (token(app="globex"), "invalid_token (wrong_app)"),
        (token(sub=""), "invalid_token (bad_claim)"),
        (token(jti="gone"), "invalid_token (revoked)"),
        (token(exp="soon"), "invalid_token (bad_claim)"),
        (token()[:-4] + "AAAA", "invalid_token (bad_signature)"),
        (token().rsplit(".", 1)[0] + ".A", "invalid_token (malformed)"),
        (jwt.encode({"sub": "x"}, "k" * 64, algorithm="HS512"), "invalid_token (algorithm_not_allowed)"),
        (jwt.encode({"sub": "x"}, "k" * 64, headers={"kid": "k9"}), "invalid_token (bad_signature)"),
    ],
)
def test_explain_invalid_token_reports_reason_and_exits_1(config: Path, text: str, said: str) -> None:
    result = explain(config, text or "-", stdin="")
    assert result.exit_code == 1
    assert said in result.output or (not text and "missing_token" in result.output)
    assert "✗" in result.output


def test_explain_payload_not_an_object_exits_1(config: Path) -> None:
    signed = jwt.api_jws.encode(b"text", bytes.fromhex(SECRET), algorithm="HS256")
    result = explain(config, signed)
    assert result.exit_code == 1
    assert "verifies" in result.output


def test_explain_bad_signature_marks_claims_as_unverified(config: Path) -> None:
    result = explain(config, token()[:-4] + "AAAA")
    assert "(unverified)" in result.output


def test_explain_blocked_origin_unknown_or_broken_app_is_reported(config: Path) -> None:
    assert "origin_not_allowed" in explain(config, token(), "--origin", "https://evil.example").output
    unknown = explain(config, token(), app="nobody")
    assert (unknown.exit_code, "unknown_app" in unknown.output) == (1, True)
    broken = explain(config, token(), app="broken")
    assert "its configuration is broken" in broken.output
    assert "config_invalid" in broken.output


def test_explain_app_without_credential_config_missing(config: Path) -> None:
    result = explain(config, jwt.encode({"sub": "x", "aud": "y"}, "k" * 32), app="empty")
    assert "config_missing" in result.output
    for expected in ("https://id.example", "https://api.example", "no credential"):
        assert expected in result.output


def test_explain_control_characters_are_not_printed(config: Path) -> None:
    result = explain(config, token(sub="\x1b[31mred", app="\x1b]0;title\x07"))
    assert "\x1b" not in result.output
    assert "\x07" not in result.output


def test_explain_key_material_is_not_printed(config: Path) -> None:
    for text in (token(), "no token"):
        assert SECRET[:16] not in explain(config, text).output


def test_explain_invalid_config_exits_2_with_every_path(tmp_path: Path) -> None:
    path = tmp_path / "wicket.toml"
    path.write_text("[gate]\nmode = 'maybe'\n[[apps]]\nid = 'a b'\n", "utf-8")
    result = explain(path, "x")
    assert result.exit_code == 2
    assert "gate.mode" in result.output
    assert "apps[0].id" in result.output


def test_explain_without_now_uses_system_clock(config: Path) -> None:
    result = CliRunner().invoke(wicket, ["explain", token(), "--app", "acme", "--config", str(config)])
    assert "expired" in result.output


def test_demo_every_row_is_as_expected() -> None:
    result = CliRunner().invoke(wicket, ["demo"])
    assert result.exit_code == 0, result.output
    assert "30 of 30 responses were as expected." in result.output
    for word in ("Starlette/uvicorn", "Flask/waitress", "log-only, expired", "alg: none", "origin_not_allowed"):
        assert word in result.output


def test_demo_unexpected_row_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [demo_module.Row("wrong on purpose", "", {}, 200)]
    monkeypatch.setattr(demo_module, "demo_rows", lambda vendors: rows)
    result = CliRunner().invoke(wicket, ["demo"])
    assert result.exit_code == 1
    assert "unexpected" in result.output


def test_demo_serve_keeps_servers_running_until_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            for line in console.export_text(clear=False).splitlines():
                if line.startswith("curl") and "X-Userz-User-Token" in line:
                    url = line.rsplit("'", 2)[1]
                    headers = dict(part.split("'")[0].split(": ", 1) for part in line.split("-H '")[1:])
                    asked.append(httpx.get(url, headers=headers, trust_env=False).status_code)
            raise KeyboardInterrupt

    console = Console(record=True, width=140)
    events = threading.Event

    def event() -> Any:
        return Interrupted() if "curl" in console.export_text(clear=False) else events()

    monkeypatch.setattr("wicket.cli.demo.threading.Event", event)
    assert demo_module.run_demo(console, serve=True) == 0
    assert asked == [200, 200]


def test_demo_servers_are_closed_after_use() -> None:
    vendors = demo_module.Vendors()
    with Gate(vendors.apps()) as gate, demo_module.servers(gate) as addresses:
        ports = [int(address.rsplit(":", 1)[1]) for address in addresses.values()]
    for port in ports:
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):  # noqa: PT011 - refused
            pass


def test_cli_missing_packages_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name in ("wicket.cli.commands", "wicket.cli.demo"):
            raise ImportError(name="click.core" if name.endswith("commands") else "uvicorn")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit, match=r"click.*wicket\[cli\]"):
        cli.main()
    result = CliRunner().invoke(wicket, ["demo"])
    assert "wicket[demo]" in result.output


def test_cli_installed_command_prints_version() -> None:
    code = "import sys; sys.argv = ['wicket', '--version']; from wicket.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("wicket, version ")


def test_cli_main_version_exits_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["wicket", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0


def test_console_width_follows_terminal_or_defaults_to_140(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    assert _console().width == 60
    monkeypatch.delenv("FORCE_COLOR")
    assert _console().width == 140


# --- explain: findings


def test_explain_secret_read_as_text_reports_secret_encoding(config: Path) -> None:
    signed_as_text = jwt.encode({"sub": "user-1", "app": "acme", "iat": NOW, "exp": NOW + 600}, SECRET)
    result = explain(config, signed_as_text)
    assert result.exit_code == 1
    assert "→ secret_encoding: The token was made with the secret decoded as text" in " ".join(result.output.split())
    assert SECRET not in result.output


def test_explain_json_prints_the_diagnosis(config: Path) -> None:
    refused = explain(config, token(sub=7), "--json")
    said = json.loads(refused.output)
    assert refused.exit_code == 1
    assert (said["app"], said["passed"], said["refusal"]["reason"]) == ("acme", False, "bad_claim")
    assert [each["code"] for each in said["findings"]] == ["numeric_user_id"]
    assert said["steps"][-1]["name"] == "decision"
    passed = explain(config, token(), "--json", "--origin", "https://acme.com")
    assert (passed.exit_code, json.loads(passed.output)["findings"]) == (0, [])
    unknown = explain(config, token(), "--json", app="nobody")
    assert (unknown.exit_code, json.loads(unknown.output)["refusal"]["code"]) == (1, "unknown_app")


HASHES = """
[[apps]]
id = "acme"
profile = "featurebase"
origins = ["https://acme.com"]
[apps.identity_hash]
secret = { env = "ACME_SECRET", encoding = "text" }
identifier = "userId"
"""


def test_explain_body_file_with_identity_hash_is_diagnosed(config: Path, tmp_path: Path) -> None:
    config.write_text(HASHES, "utf-8")
    path = tmp_path / "body.json"
    proof = hmac.new(SECRET.encode(), b"user-1", hashlib.sha256).hexdigest()
    path.write_text(json.dumps({"appId": "acme", "userId": "user-1", "userHash": proof}), "utf-8")
    good = explain(config, "--body", str(path))
    assert (good.exit_code, "passes as acme:userId:user-1" in good.output) == (0, True)
    path.write_text(json.dumps({"userId": "user-1", "userHash": proof.upper()}), "utf-8")
    bad = explain(config, "--body", str(path), "--json")
    assert (bad.exit_code, proof in bad.output, proof.upper() in bad.output) == (1, False, False)
    assert [each["code"] for each in json.loads(bad.output)["findings"]] == ["hash_encoding"]
    path.write_text("[1]", "utf-8")
    wrong = explain(config, "--body", str(path))
    assert (wrong.exit_code, "does not contain a JSON object" in wrong.output) == (2, True)


def test_explain_url_unreachable_exits_1_and_invalid_exits_2(config: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        result = CliRunner().invoke(wicket, ["explain", "--url", url, "--origin", "https://acme.com"])
    assert result.exit_code == 1
    assert "→ unreachable" in result.output
    wrong = CliRunner().invoke(wicket, ["explain", "--url", "acme.com", "--origin", "https://acme.com"])
    assert (wrong.exit_code, "url: is not a plain http or https URL" in wrong.output) == (2, True)
    assert CliRunner().invoke(wicket, ["explain", "--url", url]).exit_code == 2
    assert CliRunner().invoke(wicket, ["explain", "x"]).exit_code == 2
