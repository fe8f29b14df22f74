"""Identity hashes and body locations in a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.toml_files import problems_of, write
from wicket import Gate, Header, Query, TokenLocation
from wicket.config.locations import Bearer, JsonBody, Subprotocol

SECRET = bytes(range(32)).hex()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", SECRET)
    monkeypatch.setenv("OTHER_SECRET", bytes(range(7, 39)).hex())
    monkeypatch.setenv("VALUE_SECRET", bytes(range(8, 40)).hex())
    monkeypatch.setenv("MESSAGE_SECRET", bytes(range(9, 41)).hex())


HASHED = """
[gate]
app_locations = ["json_body:appId", "json_body:org text/plain,application/json"]

[[apps]]
id = "acme"
aliases = ["acme-inc"]
origins = ["https://acme.com"]
token_locations = ["bearer", "json_body:auth.token", "subprotocol", "subprotocol:jwt"]
claimed_user_locations = ["json_body:userId", "query:userId"]
known_attributes = ["plan"]
known_company_attributes = ["name"]
widget_settings = ["theme"]

[apps.identity_hash]
secret = { env = "ACME_SECRET", encoding = "hex" }
identifier = "email"
identifier_location = "header:X-Email"
hash_location = "json_body:hash text/plain"
encoding = "base64"
normalize = ["strip", "lower"]
accept_until = 1900000000

[apps.identity_hash.companies]
secret = { env = "OTHER_SECRET", encoding = "hex" }
location = "json_body:orgs"
id_field = "orgId"
hash_field = "orgHash"

[[apps.identity_hash.values]]
name = "context"
secret = { env = "VALUE_SECRET", encoding = "hex" }
location = "json_body:user.context"
hash_location = "header:X-Context-Hash"
form = "json"

[apps.message_hash]
secret = { env = "MESSAGE_SECRET", encoding = "hex" }
separator = "|"
encoding = "base64"
identifier = "userId"
"""


def test_toml_identity_hash_and_body_locations_are_read(tmp_path: Path) -> None:
    gate = Gate.from_file(write(tmp_path, HASHED))
    assert gate.app_locations == (JsonBody("appId"), JsonBody("org", types=("text/plain", "application/json")))
    (app,) = gate.apps
    assert app.aliases == ("acme-inc",)
    assert app.token_locations == (Bearer(), JsonBody("auth.token"), Subprotocol(), Subprotocol("jwt"))
    assert app.claimed_user_locations == (JsonBody("userId"), Query("userId"))
    assert (app.known_attributes, app.known_company_attributes) == (frozenset({"plan"}), frozenset({"name"}))
    assert app.widget_settings == {"theme"}
    rule = app.identity_hash
    assert rule is not None
    assert rule.secret.keys[0].material == bytes.fromhex(SECRET)
    assert (rule.identifier, rule.identifier_location, rule.encoding) == ("email", Header("X-Email"), "base64")
    assert (rule.hash_location, rule.normalize) == (JsonBody("hash", types=("text/plain",)), ("strip", "lower"))
    assert rule.accept_until == 1900000000
    assert rule.companies is not None
    assert rule.companies.location == JsonBody("orgs")
    assert (rule.companies.id_field, rule.companies.hash_field) == ("orgId", "orgHash")
    (context,) = rule.values
    assert (context.name, context.location, context.form) == ("context", JsonBody("user.context"), "json")
    assert (context.hash_location, context.secret.keys[0].material) == (Header("X-Context-Hash"), bytes(range(8, 40)))
    message_hash = app.message_hash
    assert message_hash is not None
    assert message_hash.secret.keys[0].material == bytes(range(9, 41))
    assert (message_hash.separator, message_hash.encoding, message_hash.identifier) == ("|", "base64", "userId")


def test_toml_identity_hash_several_identifiers_and_company_fields_are_read(tmp_path: Path) -> None:
    several = HASHED.replace('identifier = "email"', 'identifier = ["email", "userId"]')
    several = several.replace('"header:X-Email"', '["header:X-Email", "json_body:user.id"]')
    several = several.replace('"json_body:orgs"', '["json_body:orgs", "json_body:org"]')
    several = several.replace('id_field = "orgId"', 'id_field = ["orgId", "id"]')
    (app,) = Gate.from_file(write(tmp_path, several)).apps
    assert app.identity_hash is not None
    assert app.identity_hash.companies is not None
    assert app.identity_hash.companies.locations == (JsonBody("orgs"), JsonBody("org"))
    assert app.identity_hash.companies.id_fields == ("orgId", "id")
    expected: list[tuple[str, TokenLocation]] = [("email", Header("X-Email")), ("userId", JsonBody("user.id"))]
    assert list(app.identity_hash.identifiers.items()) == expected
    assert app.user_id_claims == ("sub", "email", "userId")


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('secret = { env = "ACME_SECRET", encoding = "hex" }\n', "", "identity_hash.secret"),
        ('env = "ACME_SECRET"', 'env = "NO_SUCH_SECRET"', "identity_hash.secret.env"),
        ('secret = { env = "ACME_SECRET", encoding = "hex" }', 'secret = "text"', "identity_hash.secret"),
        ('identifier = "email"', 'colour = "blue"', "identity_hash.colour"),
        ('"header:X-Email"', '"X-Email"', "identity_hash.identifier_location[0]"),
        ('"json_body:hash text/plain"', '"json_body:"', "identity_hash.hash_location[0]"),
        ('encoding = "base64"', 'encoding = "base32"', "identity_hash.encoding"),
        ("accept_until = 1900000000", 'accept_until = "2030-01-01"', "identity_hash.accept_until"),
        ('secret = { env = "OTHER_SECRET", encoding = "hex" }\n', "", "identity_hash.companies.secret"),
        ('env = "OTHER_SECRET"', 'env = "ACME_SECRET"', "identity_hash.companies.secret"),
        ('env = "VALUE_SECRET"', 'env = "NO_SUCH_SECRET"', "identity_hash.values[0].secret.env"),
        ('env = "VALUE_SECRET"', 'env = "ACME_SECRET"', "identity_hash.values[0].secret"),
        ('form = "json"', 'form = "xml"', "identity_hash.values[0].form"),
        ('name = "context"\n', "", "identity_hash.values[0].name"),
        ('form = "json"', "colour = 7", "identity_hash.values[0].colour"),
        ('"header:X-Context-Hash"', '"X-Context-Hash"', "identity_hash.values[0].hash_location[0]"),
        ('env = "MESSAGE_SECRET"', 'env = "ACME_SECRET"', "message_hash.secret"),
        ('env = "MESSAGE_SECRET"', 'env = "NO_SUCH_SECRET"', "message_hash.secret.env"),
        ('secret = { env = "MESSAGE_SECRET", encoding = "hex" }\n', "", "message_hash.secret"),
        ('separator = "|"', "separator = 7", "message_hash.separator"),
        ('separator = "|"', 'fields = ["a"]', "message_hash.fields"),
        ('env = "OTHER_SECRET"', 'env = "NO_SUCH_SECRET"', "identity_hash.companies.secret.env"),
        ('"json_body:orgs"', '"header:X-Orgs"', "identity_hash.companies.location"),
        ('id_field = "orgId"', "id_field = 7", "identity_hash.companies.id_field"),
        ('id_field = "orgId"', "colour = 7", "identity_hash.companies.colour"),
    ],
)
def test_toml_invalid_identity_hash_problem_has_its_path(tmp_path: Path, old: str, new: str, path: str) -> None:
    assert old in HASHED
    assert list(problems_of(tmp_path, HASHED.replace(old, new, 1), strict=True)) == [f"apps[0].{path}"]


@pytest.mark.parametrize("table", ['identity_hash = "x"', "identity_hash = { secret = 1, companies = 2 }"])
def test_toml_identity_hash_not_a_table_is_a_problem(tmp_path: Path, table: str) -> None:
    problems = problems_of(tmp_path, f'[[apps]]\nid = "acme"\n{table}\n', strict=True)
    assert list(problems) == ["apps[0].identity_hash" + (".companies" if "companies" in table else "")]
    assert "must be a table" in next(iter(problems.values()))


def test_toml_identity_hash_without_companies_is_read(tmp_path: Path) -> None:
    text = HASHED[: HASHED.index("[apps.identity_hash.companies]")]
    (app,) = Gate.from_file(write(tmp_path, text)).apps
    assert app.identity_hash is not None
    assert app.identity_hash.companies is None
