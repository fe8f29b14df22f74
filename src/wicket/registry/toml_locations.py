"""Locations encoded as strings for configuration tables: `header:X-App-Id`, `json_body:widgetToken` and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from wicket.config.locations import (
    Bearer,
    Cookie,
    Header,
    Host,
    JsonBody,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Subprotocol,
    TokenIssuer,
)
from wicket.errors import ConfigError, Problems, config_error, did_you_mean

_Factory = Callable[[str], Any]
"""A function that takes the part after the colon and returns a location."""


def _path_segment(index: str) -> PathSegment:
    if not (index.isascii() and index.isdecimal() and len(index) < 3):
        raise config_error("", "path: must be followed by the number of the segment, from 0 to 99", "path:0")
    return PathSegment(int(index))


def _json_body(argument: str) -> JsonBody:
    """Return the body location for a path and optionally, after a space, media types joined by commas."""
    path, _, types = argument.partition(" ")
    return JsonBody(path, types=tuple(types.split(","))) if types else JsonBody(path)


APP_LOCATIONS: Final[Mapping[str, _Factory]] = {
    "publishable_key_bearer": lambda prefix: PublishableKeyBearer(prefix or "pub_"),
    "header": Header,
    "query": Query,
    "path": _path_segment,
    "json_body": _json_body,
    "host": lambda pattern: Host(pattern or None),
    "token_issuer": lambda _: TokenIssuer(),
}
TOKEN_LOCATIONS: Final[Mapping[str, _Factory]] = {
    "bearer": lambda _: Bearer(),
    "header": Header,
    "query": Query,
    "cookie": Cookie,
    "json_body": _json_body,
    "subprotocol": lambda marker: Subprotocol(marker or "bearer"),
}
_NEEDS_ARGUMENT: Final = ("header", "query", "cookie", "json_body")


def read_locations(problems: Problems, path: str, value: object, factories: Mapping[str, _Factory]) -> list[Any]:
    """Return the locations that a list of strings encodes.

    Args:
        problems: Collects the problems.
        path: The path to the setting. The problem of an invalid item has the path `path[index]`.
        value: The list of strings.
        factories: The location types by name: `APP_LOCATIONS` or `TOKEN_LOCATIONS`.
    """
    if not isinstance(value, list):
        problems.add(path, "must be a list", f"of {', '.join(factories)}, each with its argument after a colon")
        return []
    locations: list[Any] = []
    for index, item in enumerate(value):
        name, _, argument = item.partition(":") if isinstance(item, str) else ("", "", "")
        if name not in factories or (not argument and name in _NEEDS_ARGUMENT):
            hint = "add its name after a colon" if name in factories else did_you_mean(name or item, factories)
            example = "" if hint.endswith("?") else "; for example header:X-App-Id"
            problems.add(f"{path}[{index}]", "is not a location", f"{hint}{example}")
            continue
        try:
            locations.append(factories[name](argument))
        except ConfigError as error:
            problems.merge(f"{path}[{index}]", error)
    return locations
