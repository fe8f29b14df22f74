"""`wicket check`: validates a configuration, and prints its apps and what is probably not meant."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wicket.config.app import App
from wicket.errors import ConfigError, Problem
from wicket.gate import Gate
from wicket.keys import Credential, Jwks


@dataclass(slots=True)
class CheckResult:
    """The result of a check.

    Attributes:
        source: The name of the configuration.
        problems: The problems that make the configuration invalid, or a part of it.
        warnings: Settings that are valid and probably not meant: the warnings that the gate logs when it is built.
        apps: The apps, each with its settings as strings.
        has_registry: Whether the gate has a registry, whose apps are not checked.
    """

    source: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    apps: list[dict[str, str]] = field(default_factory=list)
    has_registry: bool = False

    def add_gate(self, gate: Gate) -> None:
        """Add the apps of a gate."""
        self.apps = [_describe_app(gate, app) for app in gate.apps]
        self.problems += [
            Problem("", "its configuration is not valid", "the gate logs why when it is built", app.id)
            for app in gate.broken_apps
        ]
        self.has_registry = gate._registry is not None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {"valid": not self.problems, **asdict(self)}


@contextmanager
def collect_warnings(result: CheckResult) -> Iterator[None]:
    """Add the warnings that are logged in the block to the result. Errors are collected as problems."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            result.warnings.append(record.getMessage())

    logger, collector = logging.getLogger("wicket"), Collector(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield
    except ConfigError as error:
        result.problems += error.problems
    finally:
        logger.removeHandler(collector)


def _describe_app(gate: Gate, app: App) -> dict[str, str]:
    mode = gate._context.mode_of(app).value
    origins = ", ".join(app.origins) or "every origin"
    return {
        "id": app.id,
        "profile": app.profile or "none",
        "mode": mode if app.origin_mode is None else f"{mode}, origins {app.origin_mode.value}",
        "credentials": "; ".join(_describe_credential(credential) for credential in app.credentials)
        or "none, so requests are config_missing",
        "issuer": app.issuer or "none",
        "origins": f"{origins}, and one is required" if app.require_origin else origins,
        "without token": "anonymous" if app.allow_anonymous else "refused",
    }


def _describe_credential(credential: Credential) -> str:
    kind = type(credential).__name__
    algorithms = ", ".join(credential.algorithms)
    if isinstance(credential, Jwks) and credential.source is not None:
        return f"{kind} {credential.source.redacted} ({algorithms})"
    kids = [key.kid for key in credential.keys if key.kid is not None]
    return f"{kind}{f' {kids}' if kids else ''} ({algorithms})"


def print_check(console: Console, result: CheckResult) -> None:
    """Print the apps as a table, then the warnings and the problems."""
    if result.apps:
        table = Table(*result.apps[0])
        for app in result.apps:
            table.add_row(*(Text(value) for value in app.values()))
        console.print(table)
    for warning in result.warnings:
        console.print(Text.assemble(("! ", "yellow"), warning))
    for problem in result.problems:
        console.print(Text.assemble(("✗ ", "red"), f"{result.source}: {problem}"))
    if result.has_registry:
        console.print("The apps of the registry are checked when they are loaded.")
    if not result.problems:
        apps = "1 app" if len(result.apps) == 1 else f"{len(result.apps)} apps"
        console.print(Text.assemble(("✓ ", "green"), f"{result.source} is valid: {apps}"))


def print_check_as_json(result: CheckResult) -> None:
    """Print the result as JSON in ASCII."""
    click.echo(json.dumps(result.as_dict(), indent=2))
