"""The headers of a request: how they are collected, and how a server encodes their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, AnyStr, Final

from wicket.errors import invalid_request

HTTP_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110 section 5.6.2: the form of header, cookie, method and subprotocol names."""
MAX_HEADERS: Final = 256
"""The maximum number of headers of a request. Servers with a limit allow about 100, and browsers send 20."""
_MAX_AUTHORIZATION: Final = 8_192
"""The maximum length of a value of Authorization that has commas and is not repeated, in characters."""
_MAX_SCHEMES: Final = 8
_MAX_ELEMENTS: Final = 64
_QUOTED: Final = re.compile(r'"[^"]*"')
_MAX_PADDING: Final = 256


class HeaderNames(dict[str, Any]):
    """A mapping from a lower-case header name to the key under which a kind of server stores it.

    Args:
        encode: returns the key of a name. It is called once per name. Only names of the configuration are looked up, so
            the mapping stays small.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]  # by identity: the content grows

    def __init__(self, encode: Callable[[str], Any]) -> None:
        self._encode = encode

    def __missing__(self, name: str) -> Any:
        key = self[name] = self._encode(name)
        return key


def _environ_name(name: str) -> str:
    variable = name.upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"


STRING_NAMES: Final = HeaderNames(str)
"""The names of a `Request` that was built from pairs of strings."""
ASGI_NAMES: Final = HeaderNames(lambda name: name.encode("latin-1"))
"""The names of an ASGI scope: bytes."""
WSGI_NAMES: Final = HeaderNames(_environ_name)
"""The names of a WSGI environ (PEP 3333)."""


STRING_SEPARATORS: Final = {
    "cookie": "; ",  # HTTP/2 may split cookies over several headers (RFC 9113 section 8.2.3)
    "access-control-request-headers": ", ",
    "sec-websocket-protocol": ", ",  # RFC 6455 section 11.3.4
}
"""The headers whose lines are combined (RFC 9110 section 5.3), each with its separator."""
ASGI_SEPARATORS: Final = {name.encode(): separator.encode() for name, separator in STRING_SEPARATORS.items()}
"""The same as bytes."""


def collect_headers(
    pairs: Iterable[tuple[AnyStr, AnyStr]], comma: AnyStr, separators: Mapping[Any, Any]
) -> dict[AnyStr, AnyStr]:
    """Collect headers by lower-case name.

    The lines of a header in `separators` are combined. Of any other repeated header, only the first value is kept, with
    a comma at its end that marks the repetition.

    Args:
        pairs: names and values, strings or bytes.
        comma: `","` as the same type.
        separators: `STRING_SEPARATORS` or `ASGI_SEPARATORS`.

    Returns:
        The values by name.
    """
    headers: dict[AnyStr, AnyStr] = {}
    lines: dict[AnyStr, list[AnyStr]] = {}
    for raw_name, value in pairs:
        name = raw_name.lower()
        if name in separators:
            lines.setdefault(name, []).append(value)
        elif name not in headers:
            headers[name] = value
        elif not headers[name].endswith(comma):
            headers[name] += comma
    for name, values in lines.items():
        headers[name] = separators[name].join(values)
    return headers


def is_single_authorization(value: str, scheme: str) -> bool:
    """Return whether a value of Authorization is that of one header, with another scheme than `scheme`.

    Any client can send the header, so the value is searched at most `_MAX_SCHEMES` times, and a longer value than
    `_MAX_AUTHORIZATION` counts as repeated.

    Args:
        value: the value. It has a comma.
        scheme: the scheme in lower case.
    """
    if len(value) > _MAX_AUTHORIZATION:
        return False
    lower = value.strip(" \t").lower()
    if lower.startswith(scheme) or lower.endswith(",") or lower.count(scheme) > _MAX_SCHEMES:
        return False
    start = lower.find(scheme)
    while start >= 0:
        end = start + len(scheme)
        if lower[end : end + 1] in ("", " ", "\t", ",") and lower[:start].rstrip(" \t").endswith(","):
            return False
        start = lower.find(scheme, end)
    return True


def is_single_value(value: str) -> bool:
    """Return whether a value of Authorization is that of one header with a scheme and its parameters.

    A later element that is no parameter (`name=value`) is the value of another header that has no scheme. So is
    everything after 64 commas.

    Args:
        value: the value. It has a comma.
    """
    if len(value) > _MAX_AUTHORIZATION or value.count(",") > _MAX_ELEMENTS:
        return False
    first, *others = _QUOTED.sub("", value).split(",")
    return " " in first.strip(" \t") and all("=" in element for element in others)


def strip_padding(name: str, value: str) -> str:
    """Remove spaces and tabs around a header value.

    Args:
        name: the name of the header, for the message.
        value: its value.

    Returns:
        The value without spaces and tabs around it.

    Raises:
        Refused: `invalid_request`, if the first or the last 256 characters of a longer value are spaces and tabs.
    """
    if len(value) > _MAX_PADDING and not (value[:_MAX_PADDING].strip(" \t") and value[-_MAX_PADDING:].strip(" \t")):
        raise invalid_request(f"The header {name} has too many spaces around its value.")
    return value.strip(" \t")
