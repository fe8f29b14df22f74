"""Every example runs as it stands, and prints what its reader is told to expect; the README's code is real."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PRINTS = {
    "starlette_app.py": ["'user': 'user-1'", "403 insufficient_scope", "201 {'thanks': 'user-1'}"],
    "flask_app.py": ['401 missing_token | Bearer realm="wicket"', "'user': 'user-2'", "403 insufficient_scope"],
    "getuserfeedback_rollout.py": [
        "no token          200 {'user': None, 'would_refuse': 'missing_token'}",
        "by discovery      200 {'user': 'user-4', 'would_refuse': None}",
        "no token          401 missing_token",
        "expired           401 invalid_token",
        "no key set yet    401 config_missing",
        "wrong key-set URL 503 config_invalid",
    ],
    "log_only_rollout.py": ["would refuse: 1 x invalid_token expired", "old   -> 401 invalid_token"],
    "recipes.py": [
        "intercom           200 7 by user_id, jwt",
        "intercom, by hash  200 7 by user_id, identity_hash",
        "zendesk            200 7 by external_id, jwt",
        "canny              200 7 by id, jwt",
        "chatwoot           200 7 by identifier, identity_hash",
        "knock              200 7 by sub, jwt",
        "pylon              200 ada@acme.com by email, identity_hash",
        "novu               200 7 by subscriberId, identity_hash",
        "help scout         200 ada@acme.com by email, identity_hash",
    ],
    "own_database.py": ["app-2718:user-1      (1 look-ups", "broken    -> config_invalid", "nobody    -> unknown_app"],
}


def test_examples_directory_matches_expected_output_table() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == PRINTS.keys()


@pytest.mark.parametrize("name", PRINTS)
def test_example_script_exits_zero_with_expected_output(name: str) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stderr
    for text in PRINTS[name]:
        assert text in result.stdout


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def test_readme_python_applications_execute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", "5f" * 31 + "01")
    monkeypatch.setenv("INITECH_SECRET", "sk_live_0123456789abcdef0123456789abcdef")
    whole = [block for block in blocks("python") if "Starlette(routes" in block or "Flask(__name__)" in block]
    assert len(whole) == 2
    for block in whole:
        exec(compile(block, "README.md", "exec"), {"os": os, "__name__": "readme"})


def test_readme_toml_strict_load_expected_apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wicket import Gate

    monkeypatch.setenv("ACME_SECRET", "5f" * 31 + "01")
    for name in ("UMBRELLA_JWT_SECRET", "UMBRELLA_HASH_SECRET"):
        monkeypatch.setenv(name, f"{name}-0123456789abcdef0123456789abcdef")
    (tmp_path / "wicket.toml").write_text("\n".join(blocks("toml")), "utf-8")
    apps = Gate.from_file(tmp_path / "wicket.toml", strict=True).apps
    assert [app.profile for app in apps] == ["userz", "featurebase"]
    assert apps[1].identity_hash is not None
    assert apps[1].identity_hash.accept_until == datetime(2027, 12, 28, 13, 20, tzinfo=UTC).timestamp()


def test_readme_documents_every_code_and_reason() -> None:
    from typing import get_args

    from wicket.errors import Code, Reason

    text = (ROOT / "README.md").read_text("utf-8")
    later = {"rate_limited", "bad_identity_hash"}
    for word in {*get_args(Code), *get_args(Reason)} - later:
        assert f"`{word}`" in text, word
