"""Types that every location has in common: app references, the two location protocols and their checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args, runtime_checkable

from wicket.errors import config_error
from wicket.messages.request import Request

NameKind = Literal["id", "publishable_key", "host", "issuer"]
"""The kinds of name that an app can have."""

MAX_NAME: Final = 128
"""The maximum length of an app name, in characters."""

_NAME: Final = re.compile(r"[\x21-\x7e]{1,128}")


class AppRef(NamedTuple):
    """A name that a request uses for an app. It is unverified: use it only to look up the app.

    Args:
        kind: The kind of name: `"id"`, `"publishable_key"`, `"host"` or `"issuer"`.
        value: The name.
    """

    kind: NameKind
    value: str


fast_app_ref: Final = tuple.__new__
"""Creates an `AppRef` from a pair. Every request creates one, and the named tuple's constructor takes twice as long."""


Phase = Literal["headers_and_query", "cookies", "body", "token"]
"""When the flow reads a location: with the headers and the URL; as a cookie, if they have no token; in the body, if
none of these has a value; or from the token itself."""

_FORBIDDEN_HEADERS: Final = frozenset({"cookie", "host", "origin"})


@dataclass(slots=True)
class ClientDefaults:
    """The values that a test client sends with each request.

    Args:
        headers: The headers by lower-case name.
        query: The query parameters by name.
        cookies: The cookies by name.
    """

    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)


class Location(Protocol):
    """The members that app locations and token locations have in common, with their defaults."""

    __slots__ = ()

    types: tuple[str, ...] = ()
    """The media types of the bodies in which the location is."""

    @property
    def phase(self) -> Phase:
        """When the flow reads the location. A token in a cookie requires explicit origins."""
        return "headers_and_query"

    @property
    def location_name(self) -> str:
        """The name of the header, parameter or cookie, or the path of the body field. It may be empty."""
        return ""

    @property
    def headers(self) -> tuple[str, ...] | None:
        """The lower-case names of all headers that `read` reads.

        None: `read` may read any header, or something that is not in the request. It is then called once per request.
        A preflight allows the named headers.
        """
        return None

    @property
    def plain_header(self) -> tuple[str, str] | None:
        """The lower-case name of a header, and a prefix, if a request that was seen before needs no call of `read`.

        Set it only if the value of this header alone decides what `read` returns or refuses, whenever it starts with
        the prefix, and if a request without this header has no value. A token location must return the text after the
        prefix. None: `read` is always called.
        """
        return None

    @property
    def body_path(self) -> tuple[str, ...]:
        """The names of the nested body fields that lead to the value. Empty if the location is not in the body."""
        return ()

    @property
    def reads_path(self) -> bool:
        """Whether `read` depends on the path, so that the middleware must know the application's root path."""
        return False

    def parsed(self, request: Request) -> Any:
        """Return the value as the body parser represents it: a body field may hold another type than a string."""
        return self.read(request)

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Add `value` to what a test client sends with each request.

        Returns:
            Whether a client can send it with each request. A body and a subprotocol belong to one request.
        """
        return False

    def read(self, request: Request) -> str | None:
        """Read the value.

        Args:
            request: The request.

        Returns:
            The unverified value, or None if the request has none at this location.

        Raises:
            Refused: The location holds two values, or a value of the wrong form. Of an app location:
                `invalid_request`.
        """
        ...


@runtime_checkable
class AppLocation(Location, Protocol):
    """A location in a request that can name the app. Derive from this class: only `read` has no default."""

    __slots__ = ()

    kind: NameKind = "id"
    """The kind of name that the location holds."""

    def read_token(self, kid: str | None, claim: Callable[[str], Any]) -> object:
        """Read the app name of a location whose phase is `"token"`.

        Args:
            kid: The `kid` in the header of the token.
            claim: Returns the value of a claim, or None.

        Returns:
            The unverified name. The location holds no name if it is not a string.

        Raises:
            Refused: The token has the claim twice (`invalid_token`, `malformed`).
        """
        return None

    def for_app(self) -> AppLocation:
        """Return the location in the role of an app location."""
        return self


@runtime_checkable
class TokenLocation(Location, Protocol):
    """A location in a request that can hold the token. Derive from this class: only `read` has no default."""

    __slots__ = ()

    def without_token(self, subprotocols: Sequence[str]) -> list[str]:
        """Return the subprotocols of a WebSocket that the application may select: all but those of the token.

        The middleware selects the first one that is left out, if the application selects none.
        """
        return list(subprotocols)


def read_headers(location: Location) -> tuple[str, ...] | None:
    """Return `location.headers`; None if a subclass overrides `read` and not `headers`."""
    return location.headers if _declared_with_read(location, "headers") else None


def plain_header(location: Location) -> tuple[str, str] | None:
    """Return `location.plain_header`; None if a subclass overrides `read` and not `plain_header`."""
    return location.plain_header if _declared_with_read(location, "plain_header") else None


def _declared_with_read(location: object, name: str) -> bool:
    """Return whether the member `name` describes the `read` of `location`, and not that of a base class."""
    places = (getattr(location, "__dict__", {}), *map(vars, type(location).__mro__))
    return next(name in members for members in places if name in members or "read" in members)


def page_headers(location: Location) -> tuple[str, ...]:
    """Return the headers of `location` that the script of a page may set (Fetch standard, section 2.2.2)."""
    return tuple(
        name
        for name in location.headers or ()
        if name not in _FORBIDDEN_HEADERS and not name.startswith(("sec-", "proxy-"))
    )


def is_location(value: object, kind: type) -> bool:
    """Return whether `value` is an instance of the protocol `kind`. A class, such as `Bearer`, is not."""
    return isinstance(value, kind) and not isinstance(value, type)


def is_valid_name(name: str) -> bool:
    """Return whether `name` may be looked up: 1 to 128 visible ASCII characters without a space."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_kind(kind: object) -> None:
    """Raise `ConfigError` if `kind` is not a `NameKind`."""
    if kind not in get_args(NameKind):
        raise config_error("kind", "is not a kind of name", f"one of {', '.join(get_args(NameKind))}")
