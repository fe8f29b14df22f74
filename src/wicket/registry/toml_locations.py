"""Places spelled as text, for configuration files: `header:X-App-Id`, `json_body:widgetToken`, and the like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from wicket.config.locations import (
    Bearer,
    BodyField,
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
from wicket.errors import ConfigError, Problems, config_error

_Maker = Callable[[str], Any]


def _segment(text: str) -> PathSegment:
    if not (text.isascii() and text.isdecimal() and len(text) < 3):
        raise config_error("", "path: must be followed by the number of the segment, counted from 0")
    return PathSegment(int(text))


def _member(kind: type[JsonBody] | type[BodyField]) -> _Maker:
    """A member of the body, and behind a blank the media types, if they are others: `auth.token text/plain`."""

    def make(text: str) -> JsonBody | BodyField:
        path, _, types = text.partition(" ")
        return kind(path, types=tuple(types.split(","))) if types else kind(path)

    return make


NAMING: Final[Mapping[str, _Maker]] = {
    "publishable_key_bearer": lambda prefix: PublishableKeyBearer(prefix or "pub_"),
    "header": Header,
    "query": Query,
    "path": _segment,
    "body_field": _member(BodyField),
    "host": lambda pattern: Host(pattern or None),
    "token_issuer": lambda _: TokenIssuer(),
}
TOKENS: Final[Mapping[str, _Maker]] = {
    "bearer": lambda _: Bearer(),
    "header": Header,
    "query": Query,
    "cookie": Cookie,
    "json_body": _member(JsonBody),
    "subprotocol": lambda marker: Subprotocol(marker or "bearer"),
}


def read_places(problems: Problems, path: str, given: object, kinds: Mapping[str, _Maker]) -> list[Any]:
    """The places that a list of texts spells; what is wrong is noted with its index."""
    if not isinstance(given, list):
        problems.add(path, "must be a list", f"of {', '.join(kinds)}, with a name behind a colon")
        return []
    places: list[Any] = []
    for index, each in enumerate(given):
        kind, _, rest = each.partition(":") if isinstance(each, str) else ("", "", "")
        if kind not in kinds or (not rest and kind in ("header", "query", "cookie", "json_body", "body_field")):
            problems.add(f"{path}[{index}]", "is not a place", f"one of {', '.join(kinds)}; header:X-App-Id for one")
            continue
        try:
            places.append(kinds[kind](rest))
        except ConfigError as error:
            problems.merge_problems(f"{path}[{index}]", error)
    return places
