"""Apps and gate settings from a TOML file. Secrets are in environment variables or separate files, never in it."""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import is_valid_name
from wicket.errors import ConfigError, Problem, Problems, config_error, did_you_mean
from wicket.limits import Limits
from wicket.registry.credentials import SecretReader
from wicket.registry.extensions import Extensions, check_extensions, import_extensions
from wicket.registry.tables import FORMS, Form, TableContext, read_app, read_broken_app, read_settings, table_of
from wicket.registry.toml_network import read_network
from wicket.settings import Setting

_log: Final = logging.getLogger("wicket")

_ENV_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def read_file(
    path: str | os.PathLike[str],
    gate_settings: Mapping[str, Setting],
    *,
    strict: bool,
    extensions: Extensions | None = None,
) -> tuple[list[App | BrokenApp], dict[str, Any]]:
    """Read the apps and the gate settings of a TOML file.

    Args:
        path: The path to the file. Relative paths in the file are relative to its directory.
        gate_settings: The definitions of the settings of a gate.
        strict: Whether one invalid app makes the whole file invalid. If False, the problems of the app are logged and
            it becomes a `BrokenApp`.
        extensions: Functions by name. They replace those of the same name in `[gate.extensions]`.

    Returns:
        The apps, and the keyword arguments of the `Gate`.

    Raises:
        ConfigError: The file cannot be read, `[gate]` or the id of an app is invalid, no app is valid, or `strict` is
            set and an app is invalid. It has every problem of the file.
    """
    source = Path(path)
    document = _load(source)
    reader = SecretReader(("env", "file"), lambda table: _read_secret(table, source.parent))
    file_problems, app_problems = Problems(), Problems()
    for name in document.keys() - {"gate", "apps"}:
        file_problems.add(name, "is not a table of this file", "[gate] and [[apps]]")
    gate = document.get("gate", {})
    imported = gate.pop("extensions", {}) if isinstance(gate, dict) else {}
    extensions = {
        **import_extensions(file_problems, "gate.extensions", imported),
        **check_extensions(file_problems, "extensions", extensions),
    }
    settings = _read_gate(file_problems, gate, gate_settings, TableContext(reader, extensions, source.parent))
    tables = document.get("apps", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        file_problems.add("apps", "must be a list of tables", "start each with [[apps]]")
        tables = []
    apps: list[App | BrokenApp] = []
    for index, table in enumerate(tables):
        app_path = f"apps[{index}]"
        if not isinstance(table.get("id"), str) or not is_valid_name(table["id"]):
            file_problems.add(f"{app_path}.id", "must be 1 to 128 visible characters")
            continue
        try:
            apps.append(read_app(table, reader, extensions))
        except ConfigError as error:
            app_problems.merge(app_path, error)
            apps.append(read_broken_app(table))
        except (TypeError, ValueError, OverflowError):  # an unexpected value must not affect the other apps
            hint = "compare each value with the documentation of apps in a file"
            app_problems.merge("", ConfigError([Problem(app_path, "has a value of the wrong type", hint, table["id"])]))
            apps.append(read_broken_app(table))
    no_valid_app = not any(isinstance(app, App) for app in apps)
    if file_problems.found or (app_problems.found and (strict or no_valid_app)):
        raise ConfigError([*file_problems.found, *app_problems.found])
    for problem in app_problems.found:
        _log.error("%s: %s. The app's requests are refused as config_invalid", source.name, problem)
    return apps, {**settings, "extensions": extensions}


def _load(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except OSError as error:
        raise config_error("", f"{source.name} cannot be read: {error.strerror}", "check the path") from None
    except UnicodeDecodeError:
        raise config_error("", f"{source.name} is not UTF-8", "save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise config_error("", f"{source.name} is not TOML: {error}", "https://toml.io has the format") from None
    except (ValueError, RecursionError):
        message = f"{source.name} is not TOML: a number is too long, or it is nested too deeply"
        raise config_error("", message, "remove the number or the nesting") from None


def _read_gate(
    problems: Problems, table: Any, settings: Mapping[str, Setting], context: TableContext
) -> dict[str, Any]:
    if not isinstance(table, dict):
        problems.add("gate", "must be a table", "[gate]")
        return {}
    names = {name for name, setting in settings.items() if setting.form is not None}
    for name in sorted(table.keys() - names):
        problems.add(f"gate.{name}", "is not a setting", did_you_mean(name, names))
    values = read_settings(problems, "gate", table, settings, context, GATE_FORMS)
    for name, value in values.items():
        settings[name].check(problems, f"gate.{name}", value)
    return values


GATE_FORMS: Final[Mapping[str, Form]] = {**FORMS, "limits": table_of(Limits), "network": read_network}
"""The forms in which the table `[gate]` holds a setting."""


def _read_secret(table: Mapping[str, Any], directory: Path) -> str:
    """Return the content of the environment variable or file of a credential, without the trailing line break."""
    sources = [name for name in ("env", "file") if isinstance(table.get(name), str)]
    if len(sources) != 1:
        raise ConfigError([Problem("", "must name an environment variable or a file", 'env = "ACME_SECRET"')])
    if sources == ["env"]:
        content = os.environ.get(table["env"])
        if content is None:
            # A value that does not look like a variable name may be the secret itself, so it is not quoted.
            name = table["env"] if _ENV_NAME.fullmatch(table["env"]) else "of that name"
            raise config_error("env", f"the environment variable {name} is not set", "set it, or use file = …")
    else:
        try:
            content = (directory / table["file"]).read_text("utf-8")
        except OSError as error:
            hint = "a relative path is relative to the TOML file"
            raise config_error("file", f"cannot be read: {error.strerror}", hint) from None
        except UnicodeDecodeError:
            raise config_error("file", "is not UTF-8", "a binary secret must be in hex or base64") from None
    return content.removesuffix("\n").removesuffix("\r")
