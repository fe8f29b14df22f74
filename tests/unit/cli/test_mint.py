"""`wicket mint`: a token that the app accepts, or a problem that names the option."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.unit import pem, private_key
from wicket import Gate
from wicket.cli.commands import wicket

SECRET = "6c" * 31 + "02"
CONFIG = """
[[apps]]
id = "acme"
profile = "userz"
publishable_key = "pub_acme"
[[apps.credentials]]
kind = "secret"
env = "ACME_SECRET"
encoding = "hex"
[[apps]]
id = "globex"
profile = "getuserfeedback"
issuer = "https://id.globex.com"
[[apps.credentials]]
kind = "public_key"
file = "public.pem"
algorithms = ["ES256"]
kid = "k1"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACME_SECRET", SECRET)
    key = private_key("ES256")
    (tmp_path / "public.pem").write_text(pem(key), "utf-8")
    (tmp_path / "private.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path = tmp_path / "wicket.toml"
    path.write_text(CONFIG, "utf-8")
    return path


def mint(config: Path, *args: str) -> Result:
    return CliRunner().invoke(wicket, ["mint", *args, "--config", str(config)])


def test_mint_token_passes_the_gate_with_its_attributes_and_claims(config: Path) -> None:
    members = ["--attribute", "plan=pro", "--attribute", "seats=5", "--attribute", 'note="5"', "--claim", "jti=NaN"]
    result = mint(config, "user-1", "--app", "acme", "--ttl", "600", *members)
    assert result.exit_code == 0
    with Gate.from_file(config) as gate:
        identity = gate.verify(result.output.strip(), app="acme").require()
    assert (identity.user_id, identity.attributes) == ("user-1", {"plan": "pro", "seats": 5, "note": "5"})
    assert (identity.claims["exp"] - identity.claims["iat"], identity.claims["jti"]) == (600, "NaN")
    early = mint(config, "user-1", "--app", "acme", "--now", "1000000")
    assert jwt.decode(early.output.strip(), options={"verify_signature": False})["iat"] == 1_000_000


def test_mint_private_key_file_signs(config: Path) -> None:
    key = str(config.parent / "private.pem")
    result = mint(config, "user-4", "--app", "globex", "--key", key, "--kid", "k1", "--algorithm", "ES256")
    with Gate.from_file(config) as gate:
        assert gate.verify(result.output.strip(), app="globex").require().user_id == "user-4"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["u", "--app", "acme", "--ttl", "5"], "app acme: --ttl: must be 60 to 86400 seconds for this app"),
        (["", "--app", "acme"], "app acme: SUBJECT: the app would refuse the token (bad_claim): The claim sub must be"),
        (
            ["u", "--app", "acme", "--claim", "app=other"],
            "--claim.app: the app would refuse the token (wrong_app)",
        ),
        (["u", "--app", "acme", "--claim", "x"], "--claim: must be NAME=VALUE (--claim plan=pro)"),
        (["u", "--app", "acme", "--attribute", "=x"], "--attribute: must be NAME=VALUE"),
        (["u", "--app", "acme", "--claim", "a=1", "--claim", "a=2"], "--claim: has the name 'a' twice"),
        (
            ["u", "--app", "globex"],
            "credentials: contain no shared secret (pass the private key with --key)",
        ),
        (["u", "--app", "globex", "--key", "nowhere.pem"], "--key: cannot be read: No such file"),
        (["u", "--app", "acme", "--kid", ""], "app acme: --kid: must be a string of 1 to 256 characters"),
        (["u", "--app", "acmee"], "--app: the app 'acmee' cannot be used (unknown_app) (did you mean 'acme'?)"),
    ],
)
def test_mint_invalid_option_exits_2_and_names_it(config: Path, args: list[str], message: str) -> None:
    result = mint(config, *args)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
