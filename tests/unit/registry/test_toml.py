"""Gates from a TOML file: the settings, the problems of invalid files, and the apps that a problem affects."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.toml_files import problems_of, write
from wicket import (
    ConfigError,
    Gate,
    Header,
    Host,
    Mode,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Request,
    TokenIssuer,
    mint,
)
from wicket.config.locations import Bearer, Cookie

SECRET = "5f" * 31 + "01"

GOOD = """
[[apps]]
id = "acme"
profile = "userz"
publishable_key = "pub_acme"
origins = ["https://acme.com", "*.acme.com"]

[[apps.credentials]]
kind = "secret"
env = "ACME_SECRET"
encoding = "hex"
"""

BROKEN = """
[[apps]]
id = "globex"
mode = "log_only"
publishable_key = "pub_globex"
hosts = ["globex.example"]
origins = ["https://globex.com/path", "null"]
colour = "blue"

[[apps.credentials]]
kind = "secret"
env = "NO_SUCH_VARIABLE"
encoding = "hex"
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", SECRET)


def test_toml_app_token_is_verified(tmp_path: Path) -> None:
    gate = Gate.from_file(write(tmp_path, GOOD))
    (app,) = gate.apps
    request = Request(headers=[("Authorization", "Bearer pub_acme"), ("X-Userz-User-Token", mint(app, "user-1"))])
    assert gate.decide(request).identity.identity == "acme:user-1"


def test_toml_every_setting_is_read(tmp_path: Path) -> None:
    text = """
[gate]
name = "front"
mode = "enforce"
realm = "front area"
error_docs = "https://docs.example/errors#"
app_locations = ["header:X-App-Id", "query:app", "publishable_key_bearer:pk_", "publishable_key_bearer", "path:1",
          "host", "host:*.widgets.example", "token_issuer"]
token_locations = ["bearer", "header:X-Token", "query:jwt", "cookie:session"]
limits = { load_timeout = 2.5 }

[[apps]]
id = "acme"
mode = "log_only"
origin_mode = "enforce"
allow_anonymous = true
require_origin = true
issuer = "https://id.acme.com"
audience = ["https://api.acme.com"]
hosts = ["Acme.example"]
origins = ["https://acme.com"]
allowed_scopes = ["read"]
token_locations = ["cookie:session"]
app_locations = ["host"]
rules = { leeway = 5, required_claims = ["jti"], scopes_claim = "scope" }
revocations = { issued_before = 1700000000, users = { "user-1" = 1800000000 }, token_ids = ["t1"] }
"""
    gate = Gate.from_file(write(tmp_path, text))
    assert (gate.name, gate.realm, gate.error_docs) == ("front", "front area", "https://docs.example/errors#")
    assert gate.limits.load_timeout == 2.5
    kinds = [type(location) for location in gate.app_locations]
    assert kinds == [Header, Query, PublishableKeyBearer, PublishableKeyBearer, PathSegment, Host, Host, TokenIssuer]
    (app,) = gate.apps
    assert (app.mode, app.origin_mode, app.allow_anonymous, app.require_origin) == (
        Mode.LOG_ONLY,
        Mode.ENFORCE,
        True,
        True,
    )
    assert (app.issuer, app.audience, app.hosts) == (
        "https://id.acme.com",
        ("https://api.acme.com",),
        ("acme.example",),
    )
    assert app.rules.leeway == 5
    assert app.rules.required_claims == {"sub", "exp", "jti"}
    assert app.allowed_scopes == {"read"}
    assert (app.revocations.issued_before, app.revocations.users) == (1700000000, {"user-1": 1800000000})
    assert app.revocations.token_ids == {"t1"}
    assert app.token_locations == (Cookie("session"),)


def test_toml_rules_for_claims_are_read(tmp_path: Path) -> None:
    text = """
[[apps]]
id = "acme"

[apps.rules]
allowed_values = { azp = ["a", "b"] }
scopes_claim = ["scope", "realm_access.roles"]
attributes_claim = "user.traits"
user_id_patterns = { sub = "auth0|{user_id}" }
"""
    (app,) = Gate.from_file(write(tmp_path, text)).apps
    assert app.rules.allowed_values == {"azp": ("a", "b")}
    assert app.rules.scopes_claim == ("scope", "realm_access.roles")
    assert app.rules.attributes_claim == "user.traits"
    assert app.rules.user_id_patterns == {"sub": "auth0|{user_id}"}


def test_toml_credentials_in_relative_files_are_read(tmp_path: Path) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tmp_path / "secret.txt").write_text("s" + "ecret-text-of-initech-0123456789\n", "utf-8")
    (tmp_path / "key.pem").write_text(pem, "utf-8")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [json.loads(_jwk(public))]}), "utf-8")
    gate = Gate.from_file(
        write(
            tmp_path,
            """
[[apps]]
id = "initech"
[[apps.credentials]]
kind = "secret"
file = "secret.txt"
encoding = "text"
kid = "2026"
[[apps.credentials]]
kind = "public_key"
file = "key.pem"
algorithms = ["ES256"]
[[apps.credentials]]
kind = "jwks"
file = "keys.json"
""",
        )
    )
    (app,) = gate.apps
    assert [type(item).__name__ for item in app.credentials] == ["Secret", "PublicKey", "Jwks"]
    assert app.token_locations == (Bearer(),)
    assert gate.decide(Request(headers=[("Authorization", f"Bearer {mint(app, 'user-1')}")])).identity.kid == "2026"


def _jwk(public: ec.EllipticCurvePublicKey) -> str:
    from jwt.algorithms import ECAlgorithm

    return ECAlgorithm.to_jwk(public)


def test_toml_broken_app_config_invalid_and_others_allowed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "wicket"):
        gate = Gate.from_file(write(tmp_path, GOOD + BROKEN))
    (app,) = gate.apps
    assert [broken.id for broken in gate.broken_apps] == ["globex"]
    good = Request(headers=[("Authorization", "Bearer pub_acme"), ("X-Userz-User-Token", mint(app, "user-1"))])
    assert gate.decide(good).allowed
    broken = gate.decide(Request(headers=[("Authorization", "Bearer pub_globex")]))
    assert broken.refusal is not None
    assert (broken.refusal.code, broken.app_id, broken.enforced) == ("config_invalid", "globex", False)
    for path in ("apps[1].origins[0]", "apps[1].origins[1]", "apps[1].colour", "apps[1].credentials[0].env"):
        assert path in caplog.text


def test_toml_strict_broken_app_reports_every_problem(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, GOOD + BROKEN, strict=True)
    assert problems.keys() == {
        "apps[1].colour",
        "apps[1].credentials[0].env",
        "apps[1].origins[0]",
        "apps[1].origins[1]",
    }
    assert "is not a setting (" in problems["apps[1].colour"]


def test_toml_without_usable_app_reports_every_problem(tmp_path: Path) -> None:
    assert "apps[0].credentials[0].env" in problems_of(tmp_path, BROKEN)


def test_toml_broken_app_keeps_readable_names(tmp_path: Path) -> None:
    text = (
        GOOD + '[[apps]]\nid = "odd"\npublishable_key = 7\nhosts = "no list"\nmode = "sometimes"\naliases = "no list"\n'
    )
    (broken,) = Gate.from_file(write(tmp_path, text)).broken_apps
    assert (broken.id, broken.publishable_key, broken.hosts, broken.mode) == ("odd", None, (), Mode.ENFORCE)
    assert broken.aliases == ()


def test_toml_broken_app_by_alias_config_invalid(tmp_path: Path) -> None:
    text = '\n[[apps]]\nid = "odd"\nmode = "log_only"\napp_locations = [{ header = "X" }]\naliases = ["odd-inc", 7]\n'
    gate = Gate.from_file(write(tmp_path, GOOD + text), app_locations=[Header("X-App-Id")])
    decision = gate.decide(Request(headers=[("X-App-Id", "odd-inc")]))
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.app_id, decision.allowed) == ("config_invalid", "odd", True)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("apps = 3", "apps"),
        ("apps = [3]", "apps"),
        ("gate = 3", "gate"),
        ("[gate]\ncolour = 1", "gate.colour"),
        ("[gate]\nname = 1", "gate.name"),
        ("[gate]\nname = 'front gate'", "gate.name"),
        ("[gate]\nrealm = 1", "gate.realm"),
        ("[gate]\nlimits = 5", "gate.limits"),
        ("[gate]\nmode = 'maybe'", "gate.mode"),
        ("[gate]\napp_locations = 'header:X'", "gate.app_locations"),
        ("[gate]\napp_locations = ['header:']", "gate.app_locations[0]"),
        ("[gate]\napp_locations = ['carrier pigeon', 7]", "gate.app_locations[1]"),
        ("[gate]\napp_locations = ['path:first']", "gate.app_locations[0]"),
        ("[gate]\napp_locations = ['header:Origin']", "gate.app_locations[0].name"),
        ("[gate]\ntoken_locations = ['host']", "gate.token_locations[0]"),
        ("[gate]\nlimits = { load_timeout = -1 }", "gate.limits.load_timeout"),
        ("[gate]\nnetwork = { allowed_networks = ['everywhere'] }", "gate.network.allowed_networks[0]"),
        ("[gate]\nnetwork = { extra_ports = [0] }", "gate.network.extra_ports[0]"),
        ("[gate]\nnetwork = { ca_file = '/no/such/file' }", "gate.network.ca_file"),
        ("[gate]\nnetwork = { colour = 1 }", "gate.network"),
        ("[gate]\nnetwork = 1", "gate.network"),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'jwks'\nurl = 'http://a.example'",
            "apps[0].credentials[0].url",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'jwks'\ndiscover = 'https://a.example'\ncolour = 1",
            "apps[0].credentials[0]",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'jwks'\nurl = 'https://a.example/keys'",
            "apps[0].credentials[0]",
        ),
        ("[gate]\nlimits = { patience = 1 }", "gate.limits.patience"),
        ("[gate]\nlimits = 1", "gate.limits"),
        ("[server]\nx = 1", "server"),
        ("[[apps]]\nprofile = 'userz'", "apps[0].id"),
        ("[[apps]]\nid = 'a b'", "apps[0].id"),
        ("[[apps]]\nid = 'a'\nprofile = 'vendor'", "apps[0].profile"),
        ("[[apps]]\nid = 'a'\nmode = 1", "apps[0].mode"),
        ("[[apps]]\nid = 'a'\ntoken_locations = ['bearer:', 'pigeon']", "apps[0].token_locations[1]"),
        ("[[apps]]\nid = 'a'\nrules = 1", "apps[0].rules"),
        ("[[apps]]\nid = 'a'\nrules = { mode = 'enforce' }", "apps[0].rules.mode"),
        ("[[apps]]\nid = 'a'\nrules = { leeway = -1 }", "apps[0].rules.leeway"),
        ("[[apps]]\nid = 'a'\nrules = { colour = 1 }", "apps[0].colour"),
        ("[[apps]]\nid = 'a'\nrevocations = { issued_before = 'now' }", "apps[0].revocations.issued_before"),
        ("[[apps]]\nid = 'a'\nrevocations = { after = 1 }", "apps[0].revocations.after"),
        ("[[apps]]\nid = 'a'\nrevocations = 1", "apps[0].revocations"),
        ("[[apps]]\nid = 'a'\ncredentials = 1", "apps[0].credentials"),
        ("[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'password'", "apps[0].credentials[0].kind"),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'secret'\nenv = 'ACME_SECRET'",
            "apps[0].credentials[0].encoding",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'jwks'\nenv = 'ACME_SECRET'\nencoding = 'hex'",
            "apps[0].credentials[0].encoding",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'jwks'\nenv = 'ACME_SECRET'",
            "apps[0].credentials[0].file",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'public_key'\nenv = 'ACME_SECRET'",
            "apps[0].credentials[0]",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'secret'\nvalue = 'x'\nencoding = 'text'",
            "apps[0].credentials[0]",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'secret'\nfile = 'absent'\nencoding = 'text'",
            "apps[0].credentials[0].file",
        ),
        (
            "[[apps]]\nid = 'a'\n[[apps.credentials]]\nkind = 'secret'\nfile = 'bytes'\nencoding = 'text'",
            "apps[0].credentials[0].file",
        ),
    ],
)
def test_toml_invalid_setting_problem_has_its_path(tmp_path: Path, text: str, path: str) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert path in problems_of(tmp_path, text, strict=True)


def test_toml_unreadable_file_raises_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Gate.from_file(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Gate.from_file(tmp_path / "bytes.toml")
    with pytest.raises(ConfigError, match="not TOML"):
        Gate.from_file(write(tmp_path, "apps = ["))
    with pytest.raises(ConfigError, match="not TOML"):
        Gate.from_file(write(tmp_path, "apps = " + "[" * 100_000))


def test_toml_problem_contains_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", "not-hexadecimal-but-very-secret-all-the-same")
    problems = problems_of(tmp_path, GOOD)
    assert "apps[0].credentials[0].value" in problems
    assert "very-secret" not in " ".join(problems.values())


def test_toml_keyword_settings_override_file(tmp_path: Path) -> None:
    gate = Gate.from_file(write(tmp_path, "[gate]\nname = 'front'\n" + GOOD), name="back")
    assert gate.name == "back"


CREDENTIAL = "[[apps.credentials]]\nkind = 'secret'\n"


@pytest.mark.parametrize(
    ("malformed", "path"),
    [
        ('allowed_scopes = [["x"]]', "apps[1].allowed_scopes[0]"),
        ('origins = [["x"]]', "apps[1].origins[0]"),
        ("rules = { self = 1 }", "apps[1]"),
        ("rules = { credentials = 1 }", "apps[1].rules.credentials"),
        ("rules = { format_error = 1 }", "apps[1].rules.format_error"),
        ("format_error = 1", "apps[1].format_error"),
        (f"app_locations = ['path:{'9' * 5000}']", "apps[1].app_locations[0]"),
        ("app_locations = ['path:²']", "apps[1].app_locations[0]"),
        (f"{CREDENTIAL}encoding = ['hex']\nenv = 'ACME_SECRET'", "apps[1].credentials[0].encoding"),
        (f"{CREDENTIAL}encoding = 'hex'\nfile = \"a\\u0000b\"", "apps[1]"),
        (f"{CREDENTIAL}encoding = 'hex'\nenv = \"a\\u0000b\"", "apps[1].credentials[0].env"),
        (
            f"{CREDENTIAL}encoding = 'hex'\nenv = 'ACME_SECRET'\nalgorithms = [['HS256']]",
            "apps[1].credentials[0].algorithms",
        ),
    ],
)
def test_toml_app_with_malformed_value_keeps_other_apps(
    tmp_path: Path, malformed: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"{GOOD}[[apps]]\nid = 'wild'\npublishable_key = 'pub_wild'\n{malformed}\n"
    gate = Gate.from_file(write(tmp_path, text))
    (app,) = gate.apps
    assert [broken.id for broken in gate.broken_apps] == ["wild"]
    good = Request(headers=[("Authorization", "Bearer pub_acme"), ("X-Userz-User-Token", mint(app, "user-1"))])
    assert gate.decide(good).allowed
    refusal = gate.decide(Request(headers=[("Authorization", "Bearer pub_wild")])).refusal
    assert refusal is not None
    assert refusal.code == "config_invalid"
    assert f"{path}: " in caplog.text
    assert any(item.startswith(path) for item in problems_of(tmp_path, text, strict=True))


def test_toml_number_too_long_is_a_problem_of_the_file(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, f"{GOOD}[[apps]]\nid = 'wild'\nrules = {{ leeway = {'9' * 5000} }}\n")
    assert set(problems) == {""}
    assert "is not TOML: a number is too long" in problems[""]


@pytest.mark.parametrize("value", ["sk_live_secretvalue", "not-a-name", "A" * 65, "ACME SECRET", "1ACME"])
def test_toml_unset_env_of_secret_shape_is_not_quoted(tmp_path: Path, value: str) -> None:
    text = f"[[apps]]\nid = 'a'\n{CREDENTIAL}encoding = 'hex'\nenv = '{value}'\n"
    problem = problems_of(tmp_path, text)["apps[0].credentials[0].env"]
    assert "the environment variable of that name is not set" in problem
    assert value not in problem


def test_toml_unset_env_variable_is_named(tmp_path: Path) -> None:
    text = f"[[apps]]\nid = 'a'\n{CREDENTIAL}encoding = 'hex'\nenv = 'NO_SUCH_VARIABLE'\n"
    assert "NO_SUCH_VARIABLE is not set" in problems_of(tmp_path, text)["apps[0].credentials[0].env"]
