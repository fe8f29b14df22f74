"""Apps from configuration tables: a mapping of settings becomes an `App`, or a `BrokenApp` if it is invalid."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.cors import CORS, DEFAULT_CORS
from wicket.config.identity_hash import CompanyHash, IdentityHash, ValueHash
from wicket.config.locations import AppLocation, TokenLocation
from wicket.config.message_hash import MessageHash
from wicket.config.revocations import Revocations
from wicket.config.rules import RuleChanges
from wicket.config.websocket_refusals import DEFAULT_WEBSOCKET_REFUSALS, WebSocketRefusals
from wicket.errors import ConfigError, Problems, config_error, did_you_mean
from wicket.profiles import BY_NAME, Profile
from wicket.registry.credentials import SecretReader, read_credential, read_credentials
from wicket.registry.extensions import NO_EXTENSIONS, Extensions
from wicket.registry.toml_locations import read_locations
from wicket.settings import Setting, settings_of


class TableContext(NamedTuple):
    """What a table refers to.

    Args:
        reader: Reads the key material of credentials and identity hashes.
        extensions: The functions that the table may name. Nothing is imported.
        directory: Relative paths of files are relative to it.
    """

    reader: SecretReader
    extensions: Extensions
    directory: Path = Path()


_Hash = TypeVar("_Hash", IdentityHash, CompanyHash, ValueHash, MessageHash)

Form = Callable[[Problems, str, Any, TableContext], Any]
"""A function that takes the problems, the path to a setting, its value in a table and the context of the table.

It returns the value of the setting in Python. If the value in the table is invalid, it adds a problem, or raises
`ConfigError` with paths that start with the name of the setting.
"""

_APP_SETTINGS: Final = {name: setting for name, setting in settings_of(App).items() if setting.form is not None}


def read_settings(
    problems: Problems,
    path: str,
    table: Mapping[str, Any],
    settings: Mapping[str, Setting],
    context: TableContext,
    forms: Mapping[str, Form],
) -> dict[str, Any]:
    """Return the settings that a table has, each as the value in Python.

    Args:
        problems: Collects the problems.
        path: The path to the table. Empty: the paths of problems start with the name of a setting.
        table: The table.
        settings: The definitions of settings. Those whose form is not in `forms` are left out.
        context: What the table refers to.
        forms: The forms in which the table holds settings.
    """
    prefix = f"{path}." if path else ""
    values: dict[str, Any] = {}
    for name, setting in settings.items():
        form = forms.get(setting.form or "")
        if name in table and form is not None:
            try:
                values[name] = form(problems, f"{prefix}{name}", table[name], context)
            except ConfigError as error:
                problems.merge(path, error)
    return values


def read_app(table: Mapping[str, Any], reader: SecretReader, extensions: Extensions = NO_EXTENSIONS) -> App:
    """Return the app of one table.

    Args:
        table: The settings of the app. `id` must be a valid name.
        reader: Reads the key material of credentials and identity hashes.
        extensions: The functions that the table may name in addition to the locations of Wicket. Nothing is imported.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
        TypeError, ValueError, OverflowError: A setting has a type that no check expects.
    """
    problems = Problems(app=table["id"])
    for name in sorted(table.keys() - _APP_SETTINGS.keys()):
        is_rule = name in RuleChanges.__annotations__
        hint = "a rule belongs in the table rules" if is_rule else did_you_mean(name, _APP_SETTINGS)
        problems.add(name, "is not a setting", hint)
    if table.get("profile", "generic") not in list(BY_NAME):  # a list, because a table's value may be unhashable
        problems.add("profile", "is not a profile", did_you_mean(table["profile"], BY_NAME))
    settings = read_settings(problems, "", table, _APP_SETTINGS, TableContext(reader, extensions), FORMS)
    settings.update(_read_rules(problems, table.get("rules", {})))
    try:
        app = _profile_of(table)(table["id"], **settings)
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
    app_settings = settings_of(App).keys()
    for name in sorted(rules.keys() & app_settings):
        problems.add(f"rules.{name}", "is not a rule", "it is a setting of the app, and belongs before the table rules")
    return {name: value for name, value in rules.items() if name not in app_settings}


def _part_of(kind: type, default: Any, convert: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> Form:
    """Return the form of a setting that is a table of the arguments of a class.

    Args:
        kind: The class. The paths of its problems start with the name of an argument.
        default: The value of the setting if the table is invalid.
        convert: Returns the arguments for a table.
    """
    names = [field.name for field in dataclasses.fields(kind)]

    def read(problems: Problems, path: str, value: Any, context: TableContext) -> Any:
        before = len(problems.found)
        _add_unknown(problems, path, value, names)
        if len(problems.found) == before:
            try:
                return kind(**convert(value))
            except ConfigError as error:
                problems.merge(path, error)
        return default

    return read


def _with_integer_statuses(table: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `WebSocketRefusals`. The statuses of a table are its keys, which are strings."""
    codes = table.get("codes")
    if not isinstance(codes, dict):
        return table
    return {**table, "codes": {int(name) if name.isdecimal() else name: code for name, code in codes.items()}}


def _read_identity_hash(table: Any, context: TableContext) -> IdentityHash:
    """Return the settings of the table `identity_hash`. Its secrets are tables like those of credentials."""
    options = _read_hash_options("identity_hash", table, context, ("identifier_location", "hash_location"))
    if "companies" in options:
        options["companies"] = _read_hash_part(
            "identity_hash.companies", CompanyHash, options["companies"], context, ("location",)
        )
    if isinstance(options.get("values"), list):
        options["values"] = [
            _read_hash_part(f"identity_hash.values[{index}]", ValueHash, item, context, ("location", "hash_location"))
            for index, item in enumerate(options["values"])
        ]
    return _built("identity_hash", IdentityHash, options)


def _read_hash_part(
    path: str, kind: type[_Hash], table: Any, context: TableContext, locations: tuple[str, ...]
) -> _Hash:
    """Return the settings of a table in the table `identity_hash`."""
    options = _read_hash_options(path, table, context, locations)
    try:
        return _built("", kind, options)
    except ConfigError as error:
        problems = Problems()
        problems.merge(path, error)
        raise ConfigError(problems.found) from None


def _read_message_hash(table: Any, context: TableContext) -> MessageHash:
    """Return the settings of the table `message_hash`. Its secret is a table like that of a credential."""
    return _built("message_hash", MessageHash, _read_hash_options("message_hash", table, context, ()))


def _built(path: str, kind: type[_Hash], options: Mapping[str, Any]) -> _Hash:
    try:
        return kind(**options)
    except TypeError:
        raise _unknown_or_no_secret(path, options, kind) from None


def _read_hash_options(path: str, table: Any, context: TableContext, locations: tuple[str, ...]) -> dict[str, Any]:
    """Return the table with its secret and its locations decoded.

    Args:
        path: The path to the table.
        table: The table.
        context: What the table refers to.
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
            options["secret"] = read_credential({**secret, "kind": "secret"}, context.reader)
        except ConfigError as error:
            problems.merge(f"{path}.secret", error)
    for name in locations:
        if name in options:
            several = isinstance(options[name], list)
            values = options[name] if several else [options[name]]
            decoded = read_locations(problems, f"{path}.{name}", values, TokenLocation, context.extensions)
            options[name] = decoded if several else (decoded[0] if decoded else None)
    problems.raise_if_any()
    return options


def _read_extension(problems: Problems, path: str, value: Any, extensions: Extensions) -> Any:
    if not isinstance(value, str) or value not in extensions or isinstance(extensions[value], type):
        problems.add(path, "is not the name of an extension", ", ".join(extensions) or "see [gate.extensions]")
        return None
    return extensions[value]


def _unknown_or_no_secret(path: str, options: Mapping[str, Any], kind: type) -> ConfigError:
    """Return the error of a table that does not have the fields of a dataclass."""
    problems = Problems()
    prefix = f"{path}." if path else ""
    fields = [field for field in dataclasses.fields(kind) if field.init]
    for name in sorted(options.keys() - {field.name for field in fields}):
        problems.add(f"{prefix}{name}", "is not a setting", did_you_mean(name, [field.name for field in fields]))
    for field in fields:
        required = field.default is dataclasses.MISSING and field.name != "secret"
        if required and field.name not in options:
            problems.add(f"{prefix}{field.name}", "must be set", "see docs/identity-hashes.md")
    if "secret" not in options:
        problems.add(f"{prefix}secret", "must be set", 'secret = { env = "ACME_HASH_SECRET", encoding = "text" }')
    return ConfigError(problems.found)


def _add_unknown(problems: Problems, path: str, table: Any, known: Iterable[str]) -> None:
    """Add a problem for each name of a table that is not known, or one if the value is no table."""
    if not isinstance(table, dict):
        problems.add(path, "must be a table")
        return
    for name in sorted(table.keys() - {*known}):
        problems.add(f"{path}.{name}", "is not a setting", did_you_mean(name, known))


def table_of(kind: type) -> Form:
    """Return the form of a setting that is a table of other settings, of the class `kind`. They all have defaults."""
    names = settings_of(kind).keys()

    def read(problems: Problems, path: str, value: Any, context: TableContext) -> Any:
        before = len(problems.found)
        _add_unknown(problems, path, value, names)
        return kind(**value) if len(problems.found) == before else kind()

    return read


FORMS: Final[Mapping[str, Form]] = {
    "value": lambda problems, path, value, context: value,
    "mode": lambda problems, path, value, context: read_mode(problems, path, value) or Mode.ENFORCE,
    "app_locations": lambda problems, path, value, context: read_locations(
        problems, path, value, AppLocation, context.extensions
    ),
    "token_locations": lambda problems, path, value, context: read_locations(
        problems, path, value, TokenLocation, context.extensions
    ),
    "extension": lambda problems, path, value, context: _read_extension(problems, path, value, context.extensions),
    "credentials": lambda problems, path, value, context: read_credentials(problems, value, context.reader),
    "revocations": table_of(Revocations),
    "identity_hash": lambda problems, path, value, context: _read_identity_hash(value, context),
    "websocket_refusals": _part_of(WebSocketRefusals, DEFAULT_WEBSOCKET_REFUSALS, _with_integer_statuses),
    "cors": _part_of(CORS, DEFAULT_CORS),
    "message_hash": lambda problems, path, value, context: _read_message_hash(value, context),
}
"""The forms in which a table of an app holds a setting. `id`, `profile` and `rules` are read apart."""
