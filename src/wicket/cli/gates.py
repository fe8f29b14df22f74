"""The options `--config` and `--gate`, with which every command gets its gate."""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from wicket.config.app import App
from wicket.diagnostics.case import load_app
from wicket.errors import ConfigError, Refused, config_error
from wicket.gate import Gate

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_CONFIG: Final = Path("wicket.toml")
_HINT: Final = "for example myproject.auth:gate, or a function without arguments that returns the gate"


def gate_options(command: F) -> F:
    """Add the options `--config` and `--gate` to a command. It receives `config` and `gate_name`."""
    path = click.Path(path_type=Path, dir_okay=False, exists=True)
    command = click.option("--gate", "gate_name", metavar="MODULE:ATTRIBUTE", help="The gate of a Python module.")(
        command
    )
    return click.option("--config", type=path, help="The gate's TOML file.  [default: wicket.toml]")(command)


def load_gate(config: Path | None, gate_name: str | None, **settings: Any) -> Gate:
    """Return the gate that the options name. Print the problems and exit with status 2 if it is not valid.

    Args:
        config: The TOML file; None for `wicket.toml`.
        gate_name: `module:attribute`; None for the TOML file.
        settings: Arguments of `Gate`. Of these, a gate of a module accepts only `clock`.

    Raises:
        click.UsageError: The options contradict each other, or there is no configuration.
    """
    try:
        gate = build_gate(config, gate_name, **settings)
    except ConfigError as error:
        print_problems(error, source_of(config, gate_name))
        sys.exit(2)
    return gate


def build_gate(config: Path | None, gate_name: str | None, *, strict: bool = False, **settings: Any) -> Gate:
    """Return the gate that the options name. The arguments are those of `load_gate`.

    Args:
        config: The TOML file; None for `wicket.toml`.
        gate_name: `module:attribute`; None for the TOML file.
        strict: Whether one invalid app makes the whole file invalid.
        settings: Arguments of `Gate`.

    Raises:
        ConfigError: The gate cannot be loaded, or it is not valid.
        click.UsageError: The options contradict each other, or there is no configuration.
    """
    if gate_name is None:
        if config is None and not DEFAULT_CONFIG.exists():
            raise click.UsageError(
                f"there is no {DEFAULT_CONFIG} here: name a file with --config, or a gate with --gate"
            )
        return Gate.from_file(config or DEFAULT_CONFIG, strict=strict, **settings)
    if config is not None:
        raise click.UsageError("--config and --gate cannot be used together")
    if settings.keys() - {"clock"}:
        raise click.UsageError("--allow, --port and --ca cannot be used with --gate: set Gate(network=…)")
    gate = _import_gate(gate_name)
    if "clock" in settings:
        gate.clock = gate._context.clock = settings["clock"]
    return gate


def find_app(gate: Gate, app_id: str) -> App:
    """Return the app with this id or alias, from the configuration or the registry.

    Raises:
        ConfigError: There is no such app, its configuration is not valid, or the registry is not available.
    """
    try:
        return load_app(gate._context, app_id)
    except Refused as refused:
        code = refused.refusal.code
        known = [app.id for app in gate.apps] + [app.id for app in gate.broken_apps if app.id is not None]
        similar = difflib.get_close_matches(app_id, known, 1)
        names = f"did you mean {similar[0]!r}?" if similar else f"the apps are {', '.join(known) or 'in the registry'}"
        hint = names if code == "unknown_app" else "`wicket check` names the problem"
        raise config_error("--app", f"the app {app_id!r} cannot be used ({code})", hint) from None


def source_of(config: Path | None, gate_name: str | None) -> str:
    """Return the name of the configuration, for messages."""
    return gate_name if gate_name is not None else str(config or DEFAULT_CONFIG)


def print_problems(error: ConfigError, source: str | None = None) -> None:
    """Print each problem on one line to standard error. `source` is the configuration that has them."""
    for problem in error.problems:
        of_option = source is None or problem.path.startswith("--")
        click.echo(str(problem) if of_option else f"{source}: {problem}", err=True)


def _import_gate(name: str) -> Gate:
    """Import a gate as servers import an application: modules of the current directory can be imported.

    Raises:
        ConfigError: The module or the attribute does not exist, the module raises an exception, or the attribute is not
            a gate.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise config_error("--gate", "must be MODULE:ATTRIBUTE", _HINT)
    if "" not in sys.path:
        sys.path.insert(0, "")
    found: Any = _run(f"importing the module {module_name}", lambda: importlib.import_module(module_name))
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise config_error("--gate", f"{module_name} has no attribute {attribute!r}", _suggest(part, found))
        found = getattr(found, part)
    if callable(found):
        found = _run(f"the call of {name}", found)
    if not isinstance(found, Gate):
        raise config_error("--gate", f"{name} is not a Gate, but of the type {type(found).__name__}", _HINT)
    return found


def _run(action: str, function: Callable[[], Any]) -> Any:
    """Call a function of the user. A `ConfigError` passes. Any other exception becomes one, without its message.

    The message of an exception may quote a secret.
    """
    try:
        return function()
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - the module is the user's, and may raise anything
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
        what = str(error) if isinstance(error, ModuleNotFoundError) else type(error).__name__
        place = f"{frames[-1].filename}, line {frames[-1].lineno}"
        raise config_error("--gate", f"{action} failed: {what}", place) from None


def _suggest(name: str, found: object) -> str:
    """Return a hint: the attribute of `found` with a similar name, or else its gates."""
    names = [each for each in dir(found) if not each.startswith("_")]
    similar = difflib.get_close_matches(name, names, 1)
    if similar:
        return f"did you mean {similar[0]!r}?"
    gates = [each for each in names if isinstance(getattr(found, each), Gate)]
    return f"its gates are {', '.join(gates)}" if gates else _HINT
