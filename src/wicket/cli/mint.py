"""`wicket mint`: signs a token for a user of an app."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from wicket.config.app import App
from wicket.errors import ConfigError, Problem, Problems, config_error
from wicket.minting import mint

_OPTIONS: Final = {
    "subject": "SUBJECT",
    "attributes": "--attribute",
    "claims": "--claim",
    **{name: f"--{name}" for name in ("ttl", "now", "key", "kid", "algorithm")},
}


def parse_members(option: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Return the members of options such as `--claim plan=pro`.

    A value is JSON, or else a string: `seats=5` is a number, `plan=pro` and `plan="5"` are strings.

    Args:
        option: The name of the option, for errors.
        pairs: Each name and value, joined by `=`.

    Raises:
        ConfigError: An item is not a name and a value, or a name is repeated.
    """
    problems = Problems()
    members: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            problems.add(option, "must be NAME=VALUE", f"{option} plan=pro")
        elif name in members:
            problems.add(option, f"has the name {name!a} twice", "a claim has one value: use a JSON list for several")
        else:
            members[name] = _parse_value(value)
    problems.raise_if_any()
    return members


def _parse_value(value: str) -> Any:
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if isinstance(parsed, float) and not math.isfinite(parsed) else parsed


def mint_token(
    app: App,
    subject: str,
    *,
    ttl: float,
    attributes: dict[str, Any],
    claims: dict[str, Any],
    now: float,
    key_path: Path | None,
    kid: str | None,
    algorithm: str | None,
) -> str:
    """Return a token that the app accepts. The arguments are those of `mint`; the key is read from a file.

    Raises:
        ConfigError: The app would refuse the token, or an option is not valid. The problem has the app and the option.
    """
    key: bytes | None = None
    if key_path is not None:
        try:
            key = key_path.read_bytes()
        except OSError as error:
            hint = "a file with a private key in PEM"
            raise config_error("--key", f"cannot be read: {error.strerror}", hint) from None
    try:
        return mint(
            app,
            subject,
            ttl=ttl,
            attributes=attributes or None,
            claims=claims or None,
            now=now,
            key=key,
            kid=kid,
            algorithm=algorithm,
        )
    except ConfigError as error:
        raise ConfigError(_name_option(problem) for problem in error.problems) from None


def _name_option(problem: Problem) -> Problem:
    """Return a problem of an argument of `mint` with the option of the command line in its path."""
    name, dot, rest = problem.path.partition(".")
    hint = "pass the private key with --key" if problem.path == "credentials" else problem.hint
    return replace(problem, path=f"{_OPTIONS.get(name, name)}{dot}{rest}", hint=hint)
