"""Apps from configuration tables: a mapping of settings becomes an `App`, or a `BrokenApp` if it is invalid."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.cors import CORS
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.revocations import Revocations
from wicket.config.websocket_refusals import WebSocketRefusals
from wicket.errors import ConfigError, Problems, config_error
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
    "websocket_refusals",
    "cors",
}
_APP_SETTING_NAMES: Final = ", ".join(sorted(_APP_SETTINGS))
_LOCATION_SETTINGS: Final = (
    ("app_locations", APP_LOCATIONS),
    ("token_locations", TOKEN_LOCATIONS),
    ("claimed_user_locations", TOKEN_LOCATIONS),
)
_UNKNOWN_OR_NO_SECRET: Final = "contains an unknown name, or no secret"


def read_app(table: Mapping[str, Any], reader: SecretReader) -> App:
    """Return the app of one table.

    Args:
        table: The settings of the app. `id` must be a valid name.
        reader: Reads the key material of credentials and identity hashes.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
        TypeError, ValueError, OverflowError: A setting has a type that no check expects.
    """
    problems = Problems()
    for name in table.keys() - _APP_SETTINGS:
        is_rule = name in RuleChanges.__annotations__
        hint = "a rule belongs in the table rules" if is_rule else f"one of {_APP_SETTING_NAMES}"
        problems.add(name, "is not a setting", hint)
    if table.get("profile", "generic") not in list(BY_NAME):  # a list, because a table's value may be unhashable
        problems.add("profile", "is not a profile", f"one of {', '.join(sorted(BY_NAME))}")
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
            hint = "issued_before, users, users_by_claim, token_ids"
            problems.add("revocations", "contains an unknown name", hint)
    if "websocket_refusals" in table:
        try:
            settings["websocket_refusals"] = _read_websocket_refusals(table["websocket_refusals"])
        except ConfigError as error:
            problems.merge("websocket_refusals", error)
    if "cors" in table:
        settings["cors"] = read_cors(problems, "cors", table["cors"])
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
    problems.add(path, "is not a mode", " or ".join(mode.value for mode in Mode))
    return None


def _profile_of(table: Mapping[str, Any]) -> Profile:
    return BY_NAME.get(str(table.get("profile")), BY_NAME["generic"])


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _read_rules(problems: Problems, rules: object) -> dict[str, Any]:
    if not isinstance(rules, dict):
        problems.add("rules", "must be a table")
        return {}
    for name in rules.keys() & _APP_SETTINGS:
        problems.add(f"rules.{name}", "is not a rule")
    return {name: value for name, value in rules.items() if name not in _APP_SETTINGS}


def read_cors(problems: Problems, path: str, table: Any) -> CORS | None:
    """Return the CORS settings of a table. If they are invalid, add problems and return None."""
    names = _field_names(CORS)
    if not isinstance(table, dict) or table.keys() - {*names.split(", ")}:
        problems.add(path, f"must be a table of {names}")
        return None
    try:
        return CORS(**table)
    except ConfigError as error:
        problems.merge(path, error)
        return None


def _read_websocket_refusals(table: Any) -> WebSocketRefusals:
    """Return the setting of the table `websocket_refusals`. The statuses are its keys, which are strings."""
    if not isinstance(table, dict) or table.keys() - {"accept", "codes"}:
        raise config_error("", "must be a table of accept, codes")
    options = dict(table)
    codes = options.get("codes")
    if isinstance(codes, dict):
        options["codes"] = {int(status) if status.isdecimal() else status: code for status, code in codes.items()}
    return WebSocketRefusals(**options)


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
            raise config_error(path, _UNKNOWN_OR_NO_SECRET, _field_names(CompanyHash)) from None
    try:
        return IdentityHash(**options)
    except TypeError:
        raise config_error("identity_hash", _UNKNOWN_OR_NO_SECRET, _field_names(IdentityHash)) from None


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


def _field_names(kind: type) -> str:
    return ", ".join(field.name for field in dataclasses.fields(kind))
