"""Revocations in a TOML file: of a user by every user-id claim, or by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from wicket import ConfigError, Gate

FILE = """
[[apps]]
id = "acme"
profile = "featurebase"
[[apps.credentials]]
kind = "secret"
env = "ACME_SECRET"
encoding = "text"
[apps.revocations]
users = { x = 1761000000 }
[apps.revocations.users_by_claim.CLAIM]
"ada@example.com" = 1761000000
"""


def test_s15_toml_revocation_by_user_id_claim_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", "0123456789abcdef0123456789ABCDEF")
    path = tmp_path / "wicket.toml"
    path.write_text(FILE.replace("CLAIM", "email"), "utf-8")
    (app,) = Gate.from_file(path, strict=True).apps
    assert app.revocations.users == {"x": 1761000000}
    assert app.revocations.users_by_claim == {"email": {"ada@example.com": 1761000000}}
    path.write_text(FILE.replace("CLAIM", "mail"), "utf-8")
    with pytest.raises(ConfigError, match="'mail' is not a user-id claim of this app"):
        Gate.from_file(path, strict=True)
