"""Apps from configuration tables: a mapping of settings becomes an `App`, or a `BrokenApp` if it is invalid."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.revocations import Revocations
from wicket.errors import ConfigError, Problems, config_error, did_you_mean
from wicket.profiles import BY_NAME, Profile
from wicket.profiles.profile import RuleChanges
from wicket.registry.credentials import SecretReader, read_credential, read_credentials
from wicket.registry.toml_locations import APP_LOCATIONS, TOKEN_LOCATIONS, read_locations

_PLAIN_SETTINGS: Final = frozenset(
    {
        "publishable_key",
        "hosts",
        "issuer",
        "audience",
        "origins",
        "require_origin",
        "allow_anonymous",
        "allowed_scopes",
        "aliases",
    }
)
"""The settings that have the same value in a table and in an `App`."""

_APP_SETTINGS: Final = _PLAIN_SETTINGS | {
    "id",
    "profile",
    "mode",
    "origin_mode",
    "credentials",
    "rules",
    "revocations",
    "token_locations",
    "app_locations",
    "claimed_user_locations",
    "identity_hash",
}
_LOCATION_SETTINGS: Final = (
    ("app_locations", APP_LOCATIONS),
    ("token_locations", TOKEN_LOCATIONS),
    ("claimed_user_locations", TOKEN_LOCATIONS),
)


def read_app(table: Mapping[str, Any], reader: SecretReader) -> App:
    """Return the app of one table.

    Args:
        table: The settings of the app. `id` must be a valid name.
        reader: Reads the key material of credentials and identity hashes.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
        TypeError, ValueError, OverflowError: A setting has a type that no check expects.
    """
    problems = Problems(app=table["id"])
    for name in sorted(table.keys() - _APP_SETTINGS):
        is_rule = name in RuleChanges.__annotations__
        hint = "a rule belongs in the table rules" if is_rule else did_you_mean(name, _APP_SETTINGS)
        problems.add(name, "is not a setting", hint)
    if table.get("profile", "generic") not in list(BY_NAME):  # a list, because a table's value may be unhashable
        problems.add("profile", "is not a profile", did_you_mean(table["profile"], BY_NAME))
    settings: dict[str, Any] = {name: table[name] for name in table.keys() & _PLAIN_SETTINGS}
    for name in ("mode", "origin_mode"):
        if name in table:
            settings[name] = read_mode(problems, name, table[name]) or Mode.ENFORCE
    for name, factories in _LOCATION_SETTINGS:
        if name in table:
            settings[name] = read_locations(problems, name, table[name], factories)
    if "identity_hash" in table:
        try:
            settings["identity_hash"] = _read_identity_hash(table["identity_hash"], reader)
        except ConfigError as error:
            problems.merge("", error)
    if "revocations" in table:
        try:
            settings["revocations"] = Revocations(**table["revocations"])
        except ConfigError as error:
            problems.merge("", error)
        except TypeError:
            _add_unknown(problems, "revocations", table["revocations"], Revocations)
    settings.update(_read_rules(problems, table.get("rules", {})))
    credentials = read_credentials(problems, table.get("credentials", []), reader)
    try:
        app = _profile_of(table)(table["id"], credentials=credentials, **settings)
    except ConfigError as error:
        problems.merge("", error)
        raise ConfigError(problems.found) from None
    problems.raise_if_any()
    return app


def read_broken_app(table: Mapping[str, Any]) -> BrokenApp:
    """Return the readable settings of an invalid app: its names, so that its requests are recognized, and its mode.

    Args:
        table: The settings of the app. `id` must be a valid name.
    """
    values = (table.get(name) for name in ("publishable_key", "issuer"))
    publishable_key, issuer = (value if isinstance(value, str) else None for value in values)
    return BrokenApp(
        table["id"],
        publishable_key=publishable_key,
        issuer=issuer,
        hosts=tuple(host.lower() for host in _strings(table.get("hosts"))),
        aliases=_strings(table.get("aliases")),
        mode=read_mode(Problems(), "", table.get("mode")) or Mode.ENFORCE,
        app_locations=_profile_of(table).app_locations,
        token_locations=_profile_of(table).token_locations,
    )


def read_mode(problems: Problems, path: str, value: object) -> Mode | None:
    """Return the mode that a string names. If there is none, add a problem and return None."""
    for mode in Mode:
        if value == mode.value:
            return mode
    problems.add(path, "is not a mode", " or ".join(repr(mode.value) for mode in Mode))
    return None


def _profile_of(table: Mapping[str, Any]) -> Profile:
    return BY_NAME.get(str(table.get("profile")), BY_NAME["generic"])


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _read_rules(problems: Problems, rules: object) -> dict[str, Any]:
    if not isinstance(rules, dict):
        problems.add("rules", "must be a table")
        return {}
    for name in sorted(rules.keys() & _APP_SETTINGS):
        problems.add(f"rules.{name}", "is not a rule", "it is a setting of the app, and belongs before the table rules")
    return {name: value for name, value in rules.items() if name not in _APP_SETTINGS}


def _read_identity_hash(table: Any, reader: SecretReader) -> IdentityHash:
    """Return the settings of the table `identity_hash`. Its secrets are tables like those of credentials."""
    options = _read_hash_options("identity_hash", table, reader, ("identifier_location", "hash_location"))
    if "companies" in options:
        path = "identity_hash.companies"
        company_options = _read_hash_options(path, options["companies"], reader, ("location",))
        try:
            options["companies"] = CompanyHash(**company_options)
        except ConfigError as error:
            problems = Problems()
            problems.merge(path, error)
            raise ConfigError(problems.found) from None
        except TypeError:
            raise _unknown_or_no_secret(path, company_options, CompanyHash) from None
    try:
        return IdentityHash(**options)
    except TypeError:
        raise _unknown_or_no_secret("identity_hash", options, IdentityHash) from None


def _read_hash_options(path: str, table: Any, reader: SecretReader, locations: tuple[str, ...]) -> dict[str, Any]:
    """Return the table with its secret and its locations decoded.

    Args:
        path: The path to the table.
        table: The table.
        reader: Reads the key material of the secret.
        locations: The names of the fields that contain a location.

    Raises:
        ConfigError: The secret or a location is invalid.
    """
    if not isinstance(table, dict):
        raise config_error(path, "must be a table")
    problems = Problems()
    options = dict(table)
    secret = options.get("secret")
    if isinstance(secret, dict):
        try:
            options["secret"] = read_credential({**secret, "kind": "secret"}, reader)
        except ConfigError as error:
            problems.merge(f"{path}.secret", error)
    for name in locations:
        if name in options:
            decoded = read_locations(problems, f"{path}.{name}", [options[name]], TOKEN_LOCATIONS)
            options[name] = decoded[0] if decoded else None
    problems.raise_if_any()
    return options


def _unknown_or_no_secret(path: str, options: Mapping[str, Any], kind: type) -> ConfigError:
    """Return the error of a table that does not have the fields of a dataclass."""
    problems = Problems()
    _add_unknown(problems, path, options, kind)
    if "secret" not in options:
        problems.add(f"{path}.secret", "must be set", 'secret = { env = "ACME_HASH_SECRET", encoding = "text" }')
    return ConfigError(problems.found)


def _add_unknown(problems: Problems, path: str, options: Any, kind: type) -> None:
    """Add a problem for each name of a table that is no field of a dataclass, and one for a value that is no table."""
    if not isinstance(options, dict):
        problems.add(path, "must be a table")
        return
    known = [field.name for field in dataclasses.fields(kind)]
    for name in sorted(options.keys() - set(known)):
        problems.add(f"{path}.{name}", "is not a setting", did_you_mean(name, known))
