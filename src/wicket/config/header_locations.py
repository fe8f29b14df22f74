"""Locations in the headers of a request, cookies and WebSocket subprotocols included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wicket.config.location_types import (
    AppLocation,
    ClientDefaults,
    NameKind,
    Phase,
    TokenLocation,
    check_kind,
    is_valid_name,
)
from wicket.errors import config_error, invalid_request
from wicket.messages.headers import HTTP_TOKEN, is_single_value
from wicket.messages.parameters import MAX_COOKIE_HEADER, cookie_value, too_many_cookies
from wicket.messages.request import Request

_SPACES: Final = (" ", "\t", "\r", "\n", "\x0b", "\x0c", "\xa0")
_MAX_SUBPROTOCOL_HEADER: Final = 32_768
_MAX_SUBPROTOCOLS: Final = 64
"""Bounds of `Sec-WebSocket-Protocol` (characters, entries). Any client can send the header, so parsing is limited."""
_MAX_PADDING: Final = 256
"""The maximum number of spaces that are skipped in one header."""


def _credentials(request: Request, scheme: str) -> str | None:
    """Return the credentials of one scheme of Authorization (RFC 9110 section 11.4).

    Args:
        request: The request.
        scheme: The scheme. It is compared without regard to case.
    """
    value = request.authorization(scheme.lower())
    length = len(scheme)
    if value is None:
        return None
    if value[length : length + 1] != " ":
        if value[length : length + 1] not in ("", *_SPACES):
            return None  # another scheme whose name starts with this one
        raise invalid_request(f"Authorization: {scheme} must be followed by a space and one token.")
    rest = value[length + 1 :]
    if rest[0] == " ":  # trailing spaces are already stripped, so a token follows the extra spaces
        if len(rest) > _MAX_PADDING and not rest[:_MAX_PADDING].strip(" "):
            raise invalid_request(f"Authorization: {scheme} is followed by too many spaces.")
        rest = rest.lstrip(" ")
    for space in _SPACES:  # seven searches for one character are faster than one search for seven
        if space in rest:
            raise invalid_request(f"Authorization: {scheme} must be followed by one token and nothing else.")
    return rest


def _bearer(request: Request) -> str | None:
    """Return the credentials of `Authorization: Bearer` (RFC 6750 section 2.1)."""
    return _credentials(request, "Bearer")


def _without_scheme(request: Request) -> str | None:
    """Return the value of Authorization if it has no scheme (RFC 9110 section 11.6.2)."""
    value = request.header("authorization")
    if value is None or (" " in value.strip(" \t") and ("," not in value or is_single_value(value))):
        return None
    return request.single_header("authorization") or None


@dataclass(frozen=True, slots=True)
class Bearer(TokenLocation):
    """The token in `Authorization: Bearer` (RFC 6750 section 2.1)."""

    @property
    def location_name(self) -> str:
        """`Authorization`."""
        return "Authorization"

    @property
    def headers(self) -> tuple[str, ...]:
        """The header `Authorization`."""
        return ("authorization",)

    @property
    def plain_header(self) -> tuple[str, str]:
        """The token follows the scheme."""
        return ("authorization", "Bearer ")

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Send the header `Authorization`."""
        defaults.headers["authorization"] = f"Bearer {value}"
        return True

    def read(self, request: Request) -> str | None:
        """Return the bearer token, or None if the request has none.

        Raises:
            Refused: `Bearer` is not followed by exactly one token (`invalid_request`).
        """
        return _bearer(request)


@dataclass(frozen=True, slots=True)
class PublishableKeyBearer(AppLocation):
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

    @property
    def headers(self) -> tuple[str, ...]:
        """The header `Authorization`."""
        return ("authorization",)

    @property
    def plain_header(self) -> tuple[str, str]:
        """The publishable key follows the scheme."""
        return ("authorization", f"Bearer {self.prefix}")

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Send the header `Authorization`."""
        defaults.headers["authorization"] = f"Bearer {value}"
        return True

    def read(self, request: Request) -> str | None:
        """Return the publishable key, or None if the request has none.

        Raises:
            Refused: `Bearer` is not followed by exactly one word (`invalid_request`).
        """
        bearer = _bearer(request)
        return bearer if bearer is not None and bearer.startswith(self.prefix) else None


@dataclass(frozen=True, slots=True)
class Header(AppLocation, TokenLocation):
    """A request header that names the app or holds the token.

    Args:
        name: The header name. It is case-insensitive. `Origin`, `Cookie` and `Host` are not allowed.
        kind: The kind of name that the header holds, if it names the app.
        scheme: The scheme in front of the value, only for `Authorization` (RFC 9110 section 11.6.2). It is
            case-insensitive. None: the value has no scheme, and a value with one is not read.

    Raises:
        ConfigError: An argument is invalid.
    """

    name: str
    kind: NameKind = "id"
    scheme: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not HTTP_TOKEN.fullmatch(self.name):
            raise config_error("name", "is not a header name", "letters, digits and hyphens, such as X-App-Id")
        if self.name.lower() in ("origin", "cookie", "host"):
            raise config_error("name", f"{self.name} has a separate location class", "Cookie(…), Host()")
        object.__setattr__(self, "name", self.name.lower())
        if self.scheme is not None:
            if self.name != "authorization":
                raise config_error(
                    "scheme", "belongs to the header Authorization only", "Header('Authorization', scheme='Token')"
                )
            if not isinstance(self.scheme, str) or not HTTP_TOKEN.fullmatch(self.scheme):
                raise config_error("scheme", "is not the name of a scheme", "Token")
            if self.scheme.lower() == "bearer":
                raise config_error("scheme", "has a separate location class", "Bearer(), PublishableKeyBearer()")
        check_kind(self.kind)

    @property
    def location_name(self) -> str:
        """The header name."""
        return self.name

    @property
    def headers(self) -> tuple[str, ...]:
        """The one header."""
        return (self.name,)

    @property
    def plain_header(self) -> tuple[str, str]:
        """The value of the header after the scheme, if it has one."""
        return (self.name, self._prefix)

    @property
    def _prefix(self) -> str:
        return "" if self.scheme is None else f"{self.scheme} "

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Send the header."""
        defaults.headers[self.name] = f"{self._prefix}{value}"
        return True

    def read(self, request: Request) -> str | None:
        """Return the header's value, or None if it is missing or empty.

        Raises:
            Refused: The header is repeated, or the scheme is not followed by exactly one word (`invalid_request`).
        """
        if self.name != "authorization":
            return request.single_header(self.name) or None
        return _without_scheme(request) if self.scheme is None else _credentials(request, self.scheme)


@dataclass(frozen=True, slots=True)
class Cookie(TokenLocation):
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

    @property
    def phase(self) -> Phase:
        """Cookies are read if no header and no query parameter has a token."""
        return "cookies"

    @property
    def location_name(self) -> str:
        """The cookie name."""
        return self.name

    @property
    def headers(self) -> tuple[str, ...]:
        """The header `Cookie`."""
        return ("cookie",)

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Send the cookie."""
        defaults.cookies[self.name] = value
        return True

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
class Subprotocol(TokenLocation):
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

    @property
    def headers(self) -> tuple[str, ...]:
        """The header `Sec-WebSocket-Protocol`."""
        return ("sec-websocket-protocol",)

    def without_token(self, subprotocols: Sequence[str]) -> list[str]:
        """Return the subprotocols without the marker and without the token after it."""
        return [
            item
            for previous, item in zip((None, *subprotocols), subprotocols, strict=False)
            if self.marker not in (item, previous)
        ]

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


class Host(AppLocation):
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

    @property
    def headers(self) -> tuple[str, ...]:
        """The header `Host`."""
        return ("host",)

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Send the header `Host`."""
        defaults.headers["host"] = value if self._suffix is None else f"{value}{self._suffix}"
        return True

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
