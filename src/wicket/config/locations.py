"""Where in a request the token and the app's name ride. Places are read, never believed: what they hold is unverified.

    names an app     PublishableKeyBearer, Header, Query, PathSegment, Host, BodyField, TokenIssuer
    holds the token  Bearer, Header, Query, Subprotocol, Cookie, JsonBody

A value that stands twice in one place is `invalid_request`, whichever of the two an attacker hoped we would take.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args, runtime_checkable

from wicket.errors import Problems, config_error, invalid_request, invalid_token
from wicket.messages.json_body import get_path, plain
from wicket.messages.parameters import MAX_COOKIE_HEADER, cookie_value, query_value, too_many_cookies
from wicket.messages.paths import is_plain
from wicket.messages.request import Request

NameKind = Literal["id", "publishable_key", "host", "issuer"]

MAX_NAME: Final = 128
_NAME: Final = re.compile(r"[\x21-\x7e]{1,128}")
_BLANKS: Final = (" ", "\t", "\r", "\n", "\x0b", "\x0c", "\xa0")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_SUBPROTOCOL_HEADER: Final = 32_768
_MAX_SUBPROTOCOLS: Final = 64
"""How long a list of subprotocols may be to be looked through, and how many it may have: anybody may send it."""
_MAX_PADDING: Final = 256
_MEDIA_TYPE: Final = re.compile(r"[a-zA-Z0-9!#$&^_.+-]+/[a-zA-Z0-9!#$&^_.+-]+")


class AppRef(NamedTuple):
    """One way to name an app: the kind of name, and the name. Unverified: for looking up, and for nothing else."""

    kind: NameKind
    value: str


_fast_app_ref: Final = tuple.__new__
"""Makes an `AppRef` of a pair: every request makes one, and the constructor of a named tuple costs twice as much."""


@runtime_checkable
class AppLocation(Protocol):
    """A place where a request may name its app."""

    @property
    def kind(self) -> NameKind:
        """Which of an app's names stands there."""
        ...

    def read(self, request: Request) -> str | None:
        """The name that stands there, or None; raises `Refused` where it stands twice."""
        ...


@runtime_checkable
class TokenLocation(Protocol):
    """A place where a request may carry its token."""

    def read(self, request: Request) -> str | None:
        """The text that stands there, or None; raises `Refused` where it stands twice."""
        ...


def is_location(each: object, kind: type) -> bool:
    """Whether `each` is a place of that kind: an object, not the class of one."""
    return isinstance(each, kind) and not isinstance(each, type)


def is_valid_name(name: str) -> bool:
    """Whether a name may be looked up at all: 1 to 128 visible ASCII characters, no blank."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _bearer(request: Request) -> str | None:
    """The credentials of `Authorization: Bearer` (RFC 6750 section 2.1); the scheme compares without case."""
    value = request.single_header("authorization")
    if value is None or value[:6].lower() != "bearer":
        return None
    if value[6:7] != " ":
        if value[6:7] not in ("", *_BLANKS):
            return None  # another scheme whose name begins alike
        raise invalid_request("Authorization: Bearer must be followed by a blank and one token.")
    rest = value[7:]
    if rest[0] == " ":  # there is more than blanks behind the scheme: outer ones were stripped
        if len(rest) > _MAX_PADDING and not rest[:_MAX_PADDING].strip(" "):
            raise invalid_request("Authorization: Bearer is followed by too many blanks.")
        rest = rest.lstrip(" ")
    for blank in _BLANKS:  # seven searches for one character are faster than one for seven
        if blank in rest:
            raise invalid_request("Authorization: Bearer must be followed by one token and nothing else.")
    return rest


def _check_kind(kind: object) -> None:
    if kind not in get_args(NameKind):
        raise config_error("kind", "is not a kind of name", f"one of {', '.join(get_args(NameKind))}")


@dataclass(frozen=True, slots=True)
class Bearer:
    """The token rides in `Authorization: Bearer`."""

    def read(self, request: Request) -> str | None:
        """The bearer token, if one was sent."""
        return _bearer(request)


@dataclass(frozen=True, slots=True)
class PublishableKeyBearer:
    """`Authorization: Bearer pub_…` names the app by its public key; a bearer without `prefix` names nothing."""

    prefix: str = "pub_"
    kind: NameKind = "publishable_key"

    def __post_init__(self) -> None:
        if not isinstance(self.prefix, str) or not is_valid_name(self.prefix):
            raise config_error("prefix", "must be visible characters with which public keys begin")
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The public key, if one was sent."""
        bearer = _bearer(request)
        return bearer if bearer is not None and bearer.startswith(self.prefix) else None


@dataclass(frozen=True, slots=True)
class Header:
    """A header of its own names the app or holds the token. The name compares without case."""

    name: str
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _TOKEN.fullmatch(self.name):
            raise config_error("name", "is not the name of a header")
        if self.name.lower() in ("authorization", "origin", "cookie", "host"):
            raise config_error(
                "name", f"{self.name} has a place of its own", "Bearer(), PublishableKeyBearer(), Cookie(…), Host()"
            )
        object.__setattr__(self, "name", self.name.lower())
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The header's value, if it was sent and is not empty."""
        return request.single_header(self.name) or None


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter names the app or holds the token. A token in a URL ends up in logs: use it where you must."""

    name: str
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise config_error("name", "is not the name of a query parameter")
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The parameter's value, if it was sent and is not empty."""
        query = request.query
        if not query:
            return None
        return query_value(query, self.name) or None


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie holds the token. The app must then have explicit origins, and unsafe requests must carry an Origin."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _TOKEN.fullmatch(self.name):
            raise config_error("name", "is not the name of a cookie")

    def read(self, request: Request) -> str | None:
        """The cookie's value, if it was sent and is not empty."""
        if not request.header_size("cookie"):
            return None
        if request.header_size("cookie") > MAX_COOKIE_HEADER:
            raise too_many_cookies(self.name)
        return cookie_value(request.header("cookie") or "", self.name) or None


@dataclass(frozen=True, slots=True)
class PathSegment:
    """The segment of the path at `index`, counted from 0 after the application's root, names the app.

    A request whose path a router may take for another one is `invalid_request`: one with folded characters, with empty
    or dot segments, or in which the root occurs without a segment boundary or again (see `wicket.messages.paths`).
    """

    index: int = 0
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.index, int) or isinstance(self.index, bool) or not 0 <= self.index <= 99:
            raise config_error("index", "must be the number of a segment, counted from 0")
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The segment, if the path has it and it is not empty. Raises `Refused` where the path is ambiguous."""
        found = request.readings
        if len(found) != 1 or not is_plain(found[0] or "/"):
            raise invalid_request("The path names the app, so it must have one meaning.")
        segments = found[0].split("/", self.index + 2)
        return segments[self.index + 1] or None if len(segments) > self.index + 1 else None


@dataclass(frozen=True, slots=True)
class _InBody:
    """A member of a JSON body. It is seen once the body has been read, which the decision does where it has to."""

    path: str
    types: tuple[str, ...] = ("application/json",)

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not all(self.path.split(".")):
            raise config_error("path", "must be the name of a member, or several with dots between", "auth.token")
        types: tuple[Any, ...] = Problems().as_tuple("types", self.types, "media types")
        if not types or not all(isinstance(each, str) and _MEDIA_TYPE.fullmatch(each) for each in types):
            raise config_error("types", "must be media types without parameters", "application/json, text/plain")
        object.__setattr__(self, "types", tuple(each.lower() for each in types))

    def parsed(self, request: Request) -> Any:
        """Whatever stands there as the body's reader gives it (see `wicket.messages.json_body`); None where nothing does."""
        if request.document is None or request.media_type not in self.types:
            return None
        return get_path(request.document, self.path.split("."))


@dataclass(frozen=True, slots=True)
class JsonBody(_InBody):
    """A member of a JSON body holds the token, or another text; `path` may have dots: `auth.token`.

    `types` are the media types under which a body is looked into; add `text/plain` for what `sendBeacon` sends.
    """

    def read(self, request: Request) -> str | None:
        """The text; None where it is absent, null or empty. Raises `Refused` (`malformed`) for anything else."""
        value = self.parsed(request)
        if value is not None and not isinstance(value, str):
            raise invalid_token("malformed", f"The body's member {self.path} is not a string.")
        return value or None

    def value(self, request: Request) -> Any:
        """Whatever stands there, of any type, as `json.loads` gives it; None where nothing does."""
        return plain(self.parsed(request))


@dataclass(frozen=True, slots=True)
class BodyField(_InBody):
    """A member of a JSON body names the app; `path` and `types` as for `JsonBody`."""

    kind: NameKind = "id"

    def __post_init__(self) -> None:
        super(BodyField, self).__post_init__()
        _check_kind(self.kind)

    def read(self, request: Request) -> str | None:
        """The name; None where it is absent, null or empty. Raises `Refused` (`invalid_request`) for anything else."""
        value = self.parsed(request)
        if value is not None and not isinstance(value, str):
            raise invalid_request(f"The body's member {self.path} is not a string.")
        return value or None


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """A WebSocket's token rides behind `marker` in `Sec-WebSocket-Protocol`: `new WebSocket(url, ["bearer", token])`.

    Browsers let a page set no other header of a handshake (RFC 6455 section 4.1, 1.9).
    """

    marker: str = "bearer"

    def __post_init__(self) -> None:
        if not isinstance(self.marker, str) or not _TOKEN.fullmatch(self.marker):
            raise config_error("marker", "is not the name of a subprotocol")

    def read(self, request: Request) -> str | None:
        """The token, if the marker and something behind it were sent."""
        header = request.header("sec-websocket-protocol") if request.websocket else None
        if header is None:
            return None
        if len(header) > _MAX_SUBPROTOCOL_HEADER or header.count(",") >= _MAX_SUBPROTOCOLS:
            raise invalid_request(f"The request may offer at most {_MAX_SUBPROTOCOLS} subprotocols.")
        if self.marker not in header:
            return None
        if header.count(" ") + header.count("\t") > _MAX_PADDING:
            raise invalid_request("The list of subprotocols has too many blanks.")
        offered = [each.strip(" \t") for each in header.split(",")]
        places = [index for index, each in enumerate(offered) if each == self.marker]
        if not places:
            return None
        token = offered[places[0] + 1] if len(offered) > places[0] + 1 else ""
        if len(places) > 1 or "" in (token, offered[-1]):  # a comma at the end: the header was sent twice
            raise invalid_request(f"The subprotocol {self.marker} must be followed by one token.")
        return token


class Host:
    """The Host header names the app: whole, or by the label that stands for `*` in `pattern` (`*.widgets.example`)."""

    __slots__ = ("_suffix", "kind")

    def __init__(self, pattern: str | None = None) -> None:
        self.kind: NameKind = "host" if pattern is None else "id"
        self._suffix: str | None = None
        if pattern is not None:
            if not isinstance(pattern, str) or not pattern.startswith("*.") or len(pattern) < 3 or "*" in pattern[1:]:
                raise config_error("pattern", "must be *. and a domain", "*.widgets.example")
            self._suffix = pattern[1:].lower()

    def read(self, request: Request) -> str | None:
        """The host without its port, in lower case, or its first label."""
        host = request.single_header("host")
        if not host:
            return None
        name = re.sub(r":[0-9]*\Z", "", host).lower()
        if self._suffix is None:
            return name
        label = name.removesuffix(self._suffix)
        return label if label and label != name and "." not in label else None


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """The token's own `iss` names the app, and only where nothing else names one. The token is then verified as any."""

    kind: NameKind = "issuer"

    def read(self, request: Request) -> str | None:
        """Nothing: the issuer is read out of the token, by the decision's flow."""
        return None


class TokenLocations:
    """Places for tokens in the order in which they count: headers and the query, then cookies, then the body."""

    __slots__ = ("body", "body_types", "cookies", "headers_and_query")

    def __init__(self, places: Iterable[TokenLocation], other_body_locations: Iterable[object] = ()) -> None:
        held = tuple(places)
        self.cookies = tuple(each for each in held if isinstance(each, Cookie))
        self.body = tuple(each for each in held if isinstance(each, JsonBody))
        self.headers_and_query = tuple(each for each in held if not isinstance(each, (Cookie, JsonBody)))
        self.body_types = body_types((*held, *other_body_locations))


@functools.lru_cache(maxsize=256)
def _shared(places: tuple[TokenLocation, ...], also_in_body: tuple[object, ...]) -> TokenLocations:
    return TokenLocations(places, also_in_body)


def intern_token_locations(places: tuple[TokenLocation, ...], also_in_body: tuple[object, ...]) -> TokenLocations:
    """The places of one app, of which the apps of a vendor share one: they may be a hundred thousand."""
    try:
        return _shared(places, also_in_body)
    except TypeError:  # a place of somebody's own that has no hash
        return TokenLocations(places, also_in_body)


def body_types(places: Iterable[object]) -> frozenset[str]:
    """The media types of the bodies in which one of `places` lies."""
    return frozenset(media for place in places if isinstance(place, _InBody) for media in place.types)
