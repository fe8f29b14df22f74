"""Locations encoded as strings for configuration tables: `header:X-App-Id`, `json_body:widgetToken` and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from wicket.config.locations import (
    AppLocation,
    Base64Encoded,
    Bearer,
    Cookie,
    FormBody,
    Header,
    Host,
    JsonBody,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Subprotocol,
    TokenClaim,
    TokenIssuer,
    TokenKeyId,
    TokenLocation,
)
from wicket.errors import ConfigError, Problems, config_error, did_you_mean

_Factory = Callable[[str], Any]
"""A function that takes the part after the colon and returns a location."""


def _path_segment(argument: str) -> PathSegment:
    """Return the location for the number of a segment, or for the segments in front of it: `/v1/apps`."""
    if argument.startswith("/"):
        return PathSegment(prefix=argument)
    if not (argument.isascii() and argument.isdecimal() and len(argument) < 3):
        raise config_error(
            "", "path: must be followed by the number of the segment, from 0 to 99, or by a prefix", "path:0"
        )
    return PathSegment(int(argument))


def _header(argument: str) -> Header:
    """Return the header for a name and optionally, after a space, the scheme."""
    name, _, scheme = argument.partition(" ")
    return Header(name, scheme=scheme or None)


def _base64(argument: str) -> Base64Encoded:
    """Return the location of an encoded token for the other location."""
    name, _, rest = argument.partition(":")
    factory = _TOKEN_LOCATIONS.get(name)
    if factory is None or factory is _base64 or (not rest and name in _NEEDS_ARGUMENT):
        raise config_error("", "base64: must be followed by another location", "base64:bearer")
    return Base64Encoded(factory(rest))


def _json_body(argument: str) -> JsonBody:
    """Return the body location for a path and optionally, after a space, media types joined by commas."""
    path, _, types = argument.partition(" ")
    return JsonBody(path, types=tuple(types.split(","))) if types else JsonBody(path)


_APP_LOCATIONS: Final[Mapping[str, _Factory]] = {
    "publishable_key_bearer": lambda prefix: PublishableKeyBearer(prefix or "pub_"),
    "header": _header,
    "query": Query,
    "path": _path_segment,
    "json_body": _json_body,
    "form_body": FormBody,
    "host": lambda pattern: Host(pattern or None),
    "token_issuer": lambda _: TokenIssuer(),
    "token_claim": TokenClaim,
    "token_key_id": lambda pattern: TokenKeyId(pattern or "{app}"),
}
_TOKEN_LOCATIONS: Final[Mapping[str, _Factory]] = {
    "bearer": lambda _: Bearer(),
    "header": _header,
    "query": Query,
    "cookie": Cookie,
    "json_body": _json_body,
    "form_body": FormBody,
    "base64": _base64,
    "subprotocol": lambda marker: Subprotocol(marker or "bearer"),
}
LOCATIONS: Final[Mapping[type, Mapping[str, _Factory]]] = {
    AppLocation: _APP_LOCATIONS,
    TokenLocation: _TOKEN_LOCATIONS,
}
"""The names of the locations of each protocol, with the function that makes one from the text after the colon."""

_NEEDS_ARGUMENT: Final = ("header", "query", "cookie", "json_body", "form_body", "token_claim", "base64")


def read_locations(
    problems: Problems, path: str, value: object, protocol: type, extensions: Mapping[str, _Factory]
) -> list[Any]:
    """Return the locations that a list of strings encodes.

    Args:
        problems: Collects the problems.
        path: The path to the setting. The problem of an invalid item has the path `path[index]`.
        value: The list of strings.
        protocol: `AppLocation` or `TokenLocation`.
        extensions: Classes of further locations, by name. Those without the protocol are left out.
    """
    # A table may be a tenant's, so it calls no function that is not a location.
    own = {name: value for name, value in extensions.items() if protocol in getattr(value, "__mro__", ())}
    factories = {**LOCATIONS[protocol], **own}
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
            location = factories[name](argument)
        except ConfigError as error:
            problems.merge(f"{path}[{index}]", error)
        except Exception as error:  # noqa: BLE001 - an extension is code of the operator, and may raise anything
            problems.add(
                f"{path}[{index}]", f"cannot be made: it raises {type(error).__name__}", f"correct the extension {name}"
            )
        else:
            locations.append(location)
    return locations
