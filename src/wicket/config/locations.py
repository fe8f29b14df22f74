"""Locations in a request that hold the app name or the token. Every value that they read is unverified.

    app name  PublishableKeyBearer, Header, Query, PathSegment, Host, JsonBody, TokenIssuer
    token     Bearer, Header, Query, Subprotocol, Cookie, JsonBody

If one location holds two values, the request is refused as `invalid_request`. Otherwise Wicket and the application
could read different values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wicket.config.body_locations import AppNameInBody, JsonBody, as_app_location, body_types
from wicket.config.location_types import (
    MAX_NAME,
    AppLocation,
    AppRef,
    NameKind,
    TokenLocation,
    check_kind,
    fast_app_ref,
    is_location,
    is_valid_name,
)
from wicket.errors import config_error, invalid_request
from wicket.messages.headers import HTTP_TOKEN
from wicket.messages.parameters import MAX_COOKIE_HEADER, cookie_value, query_value, too_many_cookies
from wicket.messages.paths import is_plain
from wicket.messages.request import Request

__all__ = [
    "MAX_NAME",
    "AppLocation",
    "AppNameInBody",
    "AppRef",
    "Bearer",
    "Cookie",
    "Header",
    "Host",
    "JsonBody",
    "NameKind",
    "PathSegment",
    "PublishableKeyBearer",
    "Query",
    "Subprotocol",
    "TokenIssuer",
    "TokenLocation",
    "as_app_location",
    "body_types",
    "fast_app_ref",
    "is_location",
    "is_valid_name",
]

_SPACES: Final = (" ", "\t", "\r", "\n", "\x0b", "\x0c", "\xa0")
_MAX_SUBPROTOCOL_HEADER: Final = 32_768
_MAX_SUBPROTOCOLS: Final = 64
"""Bounds of `Sec-WebSocket-Protocol` (characters, entries). Any client can send the header, so parsing is limited."""
_MAX_PADDING: Final = 256
"""The maximum number of spaces that are skipped in one header."""


def _bearer(request: Request) -> str | None:
    """Return the credentials of `Authorization: Bearer` (RFC 6750 section 2.1). The scheme is case-insensitive."""
    value = request.authorization("bearer")
    if value is None:
        return None
    if value[6:7] != " ":
        if value[6:7] not in ("", *_SPACES):
            return None  # another scheme whose name starts with "bearer"
        raise invalid_request("Authorization: Bearer must be followed by a space and one token.")
    rest = value[7:]
    if rest[0] == " ":  # trailing spaces are already stripped, so a token follows the extra spaces
        if len(rest) > _MAX_PADDING and not rest[:_MAX_PADDING].strip(" "):
            raise invalid_request("Authorization: Bearer is followed by too many spaces.")
        rest = rest.lstrip(" ")
    for space in _SPACES:  # seven searches for one character are faster than one search for seven
        if space in rest:
            raise invalid_request("Authorization: Bearer must be followed by one token and nothing else.")
    return rest


@dataclass(frozen=True, slots=True)
class Bearer:
    """The token in `Authorization: Bearer` (RFC 6750 section 2.1)."""

    def read(self, request: Request) -> str | None:
        """Return the bearer token, or None if the request has none.

        Raises:
            Refused: `Bearer` is not followed by exactly one token (`invalid_request`).
        """
        return _bearer(request)


@dataclass(frozen=True, slots=True)
class PublishableKeyBearer:
    """The app's publishable key in `Authorization: Bearer pub_…`.

    Args:
        prefix: The start of every publishable key. A bearer value without it names no app.
        kind: The kind of name that the header holds.

    Raises:
        ConfigError: `prefix` or `kind` is invalid.
    """

    prefix: str = "pub_"
    kind: NameKind = "publishable_key"

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str) or not is_valid_name(self.prefix):
            raise config_error("prefix", "must be 1 to 128 visible characters, the start of every publishable key")
        check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """Return the publishable key, or None if the request has none.

        Raises:
            Refused: `Bearer` is not followed by exactly one word (`invalid_request`).
        """
        bearer = _bearer(request)
        return bearer if bearer is not None and bearer.startswith(self.prefix) else None


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that names the app or holds the token.

    Args:
        name: The header name. It is case-insensitive. `Authorization`, `Origin`, `Cookie` and `Host` are not allowed.
        kind: The kind of name that the header holds, if it names the app.

    Raises:
        ConfigError: `name` or `kind` is invalid.
    """

    name: str
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not HTTP_TOKEN.fullmatch(self.name):
            raise config_error("name", "is not a header name", "letters, digits and hyphens, such as X-App-Id")
        if self.name.lower() in ("authorization", "origin", "cookie", "host"):
            raise config_error(
                "name",
                f"{self.name} has a separate location class",
                "Bearer(), PublishableKeyBearer(), Cookie(…), Host()",
            )
        object.__setattr__(self, "name", self.name.lower())
        check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """Return the header's value, or None if it is missing or empty.

        Raises:
            Refused: The header is repeated (`invalid_request`).
        """
        return request.single_header(self.name) or None


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter that names the app or holds the token. URLs are logged, so prefer a header for a token.

    Args:
        name: The decoded parameter name.
        kind: The kind of name that the parameter holds, if it names the app.

    Raises:
        ConfigError: `name` or `kind` is invalid.
    """

    name: str
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise config_error("name", "is not the name of a query parameter", "a string that is not empty")
        check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """Return the parameter's decoded value, or None if it is missing or empty.

        Raises:
            Refused: The parameter is repeated, or the query is too long (`invalid_request`).
        """
        query = request.query
        if not query:
            return None
        return query_value(query, self.name) or None


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie that holds the token.

    Browsers also send cookies with requests that other sites cause. The app must therefore have explicit origins, and
    requests with an unsafe method must have an Origin header.

    Args:
        name: The cookie name. It is case-sensitive.

    Raises:
        ConfigError: `name` is invalid.
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not HTTP_TOKEN.fullmatch(self.name):
            raise config_error("name", "is not a cookie name", "letters, digits and hyphens, such as session")

    def read(self, request: Request) -> str | None:
        """Return the cookie's value, or None if it is missing or empty.

        Raises:
            Refused: The cookie is repeated, or there are too many cookies (`invalid_request`).
        """
        if not request.header_size("cookie"):
            return None
        if request.header_size("cookie") > MAX_COOKIE_HEADER:
            raise too_many_cookies(self.name)
        return cookie_value(request.header("cookie") or "", self.name) or None


@dataclass(frozen=True, slots=True)
class PathSegment:
    """A path segment that names the app.

    A path that a router can interpret differently is refused as `invalid_request`: a path with folded characters, with
    empty or dot segments, or in which the root path occurs twice or without a segment boundary (see
    `wicket.messages.paths`).

    Args:
        index: The number of the segment after the application's root path, from 0 to 99.
        kind: The kind of name that the segment holds.

    Raises:
        ConfigError: `index` or `kind` is invalid.
    """

    index: int = 0
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.index, int) or isinstance(self.index, bool) or not 0 <= self.index <= 99:
            raise config_error("index", "must be the number of a segment, from 0 to 99")
        check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """Return the segment, or None if the path has no such segment or it is empty.

        Raises:
            Refused: The path is ambiguous (`invalid_request`).
        """
        readings = request.readings
        if len(readings) != 1 or not is_plain(readings[0] or "/"):
            raise invalid_request("The path names the app, so it must have one meaning.")
        segments = readings[0].split("/", self.index + 2)
        return segments[self.index + 1] or None if len(segments) > self.index + 1 else None


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """The token in a WebSocket's `Sec-WebSocket-Protocol` header: `new WebSocket(url, ["bearer", token])`.

    A page can set no other header of the handshake (RFC 6455 sections 1.9 and 4.1).

    Args:
        marker: The subprotocol that precedes the token. It is case-sensitive.

    Raises:
        ConfigError: `marker` is invalid.
    """

    marker: str = "bearer"

    def __post_init__(self) -> None:
        if not isinstance(self.marker, str) or not HTTP_TOKEN.fullmatch(self.marker):
            raise config_error("marker", "is not a subprotocol name", "letters, digits and hyphens, such as bearer")

    def read(self, request: Request) -> str | None:
        """Return the token, or None if the request is no WebSocket handshake or does not offer the marker.

        Raises:
            Refused: The marker is not followed by exactly one token, or the list is too long (`invalid_request`).
        """
        header = request.header("sec-websocket-protocol") if request.websocket else None
        if header is None:
            return None
        if len(header) > _MAX_SUBPROTOCOL_HEADER or header.count(",") >= _MAX_SUBPROTOCOLS:
            raise invalid_request(f"The request may offer at most {_MAX_SUBPROTOCOLS} subprotocols.")
        if self.marker not in header:
            return None
        if header.count(" ") + header.count("\t") > _MAX_PADDING:
            raise invalid_request("The list of subprotocols has too many spaces.")
        offered = [item.strip(" \t") for item in header.split(",")]
        positions = [position for position, item in enumerate(offered) if item == self.marker]
        if not positions:
            return None
        token = offered[positions[0] + 1] if len(offered) > positions[0] + 1 else ""
        if len(positions) > 1 or "" in (token, offered[-1]):
            raise invalid_request(f"The subprotocol {self.marker} must be followed by one token.")
        return token


class Host:
    """The Host header, which names the app.

    Args:
        pattern: `*.` and a domain, such as `*.widgets.example`: the label in place of `*` is the app's id. None: the
            whole host is one of the app's `hosts`.

    Raises:
        ConfigError: `pattern` is invalid.
    """

    __slots__ = ("_suffix", "kind")

    def __init__(self, pattern: str | None = None) -> None:
        self.kind: NameKind = "host" if pattern is None else "id"
        self._suffix: str | None = None
        if pattern is not None:
            if not isinstance(pattern, str) or not pattern.startswith("*.") or len(pattern) < 3 or "*" in pattern[1:]:
                raise config_error("pattern", "must be *. and a domain", "*.widgets.example")
            self._suffix = pattern[1:].lower()

    def read(self, request: Request) -> str | None:
        """Return the host in lower case without its port, or the label in place of `*`. None if there is none.

        The dot of a fully qualified name is ignored (`acme.example.com.`).

        Raises:
            Refused: The Host header is repeated (`invalid_request`).
        """
        host = request.single_header("host")
        if not host:
            return None
        name = re.sub(r"\.?(?::[0-9]*)?\Z", "", host, count=1).lower()
        if self._suffix is None:
            return name
        label = name.removesuffix(self._suffix)
        return label if label and label != name and "." not in label else None


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """The token's `iss` claim, which names the app if no other location does. The token is still fully verified."""

    kind: NameKind = "issuer"

    def read(self, request: Request) -> str | None:
        """Return None. The decision flow reads the issuer from the parsed token."""
        return None
