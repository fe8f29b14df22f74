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
from wicket.config.cors import DEFAULT_CORS
from wicket.config.locations import is_valid_name
from wicket.errors import ConfigError, Problem, Problems, config_error
from wicket.limits import Limits
from wicket.registry.credentials import SecretReader
from wicket.registry.tables import read_app, read_broken_app, read_cors, read_mode
from wicket.registry.toml_locations import APP_LOCATIONS, TOKEN_LOCATIONS, read_locations
from wicket.registry.toml_network import read_network

_log: Final = logging.getLogger("wicket")

_GATE_SETTINGS: Final = frozenset(
    {"name", "mode", "realm", "error_docs", "app_locations", "token_locations", "limits", "network", "cors"}
)
_ENV_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def read_file(path: str | os.PathLike[str], *, strict: bool) -> tuple[list[App | BrokenApp], dict[str, Any]]:
    """Read the apps and the gate settings of a TOML file.

    Args:
        path: The path to the file. Relative paths in the file are relative to its directory.
        strict: Whether one invalid app makes the whole file invalid. If False, the problems of the app are logged and
            it becomes a `BrokenApp`.

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
    settings = _read_gate(file_problems, document.get("gate", {}), source.parent, reader)
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
            apps.append(read_app(table, reader))
        except ConfigError as error:
            app_problems.merge(app_path, error)
            apps.append(read_broken_app(table))
        except (TypeError, ValueError, OverflowError):  # an unexpected value must not affect the other apps
            app_problems.add(app_path, "has a value of the wrong type or form")
            apps.append(read_broken_app(table))
    no_valid_app = not any(isinstance(app, App) for app in apps)
    if file_problems.found or (app_problems.found and (strict or no_valid_app)):
        raise ConfigError([*file_problems.found, *app_problems.found])
    for problem in app_problems.found:
        _log.error("%s: %s. The app's requests are refused as config_invalid", source.name, problem)
    return apps, settings


def _load(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text("utf-8"))
    except OSError as error:
        raise config_error("", f"{source.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise config_error("", f"{source.name} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise config_error("", f"{source.name} is not TOML: {error}") from None
    except (ValueError, RecursionError):
        raise config_error("", f"{source.name} is not TOML: a number is too long, or it is nested too deeply") from None


def _read_gate(problems: Problems, table: Any, directory: Path, reader: SecretReader) -> dict[str, Any]:
    if not isinstance(table, dict):
        problems.add("gate", "must be a table", "[gate]")
        return {}
    for name in table.keys() - _GATE_SETTINGS:
        problems.add(f"gate.{name}", "is not a setting", f"one of {', '.join(sorted(_GATE_SETTINGS))}")
    settings: dict[str, Any] = {}
    for name in ("name", "realm", "error_docs"):
        if name in table:
            settings[name] = table[name]
            if not isinstance(table[name], str):
                problems.add(f"gate.{name}", "must be a string")
    if "mode" in table:
        settings["mode"] = read_mode(problems, "gate.mode", table["mode"])
    for name, factories in (("app_locations", APP_LOCATIONS), ("token_locations", TOKEN_LOCATIONS)):
        if name in table:
            settings[name] = read_locations(problems, f"gate.{name}", table[name], factories)
    if "network" in table:
        settings["network"] = read_network(problems, table["network"], directory, reader)
    if "cors" in table:
        settings["cors"] = read_cors(problems, "gate.cors", table["cors"]) or DEFAULT_CORS
    if "limits" in table:
        try:
            settings["limits"] = Limits(**table["limits"])
        except ConfigError as error:
            problems.merge("gate", error)
        except TypeError:
            problems.add("gate.limits", "contains an unknown limit", f"one of {', '.join(Limits.__slots__)}")
    return settings


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
            raise config_error("env", f"the environment variable {name} is not set")
    else:
        try:
            content = (directory / table["file"]).read_text("utf-8")
        except OSError as error:
            raise config_error("file", f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise config_error("file", "is not UTF-8") from None
    return content.removesuffix("\n").removesuffix("\r")
