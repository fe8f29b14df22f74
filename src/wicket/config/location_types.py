"""Types that every location has in common: app references, the two location protocols and their checks."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, Protocol, get_args, runtime_checkable

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


@runtime_checkable
class AppLocation(Protocol):
    """A location in a request that can name the app."""

    @property
    def kind(self) -> NameKind:
        """The kind of name that the location holds."""
        ...

    def read(self, request: Request) -> str | None:
        """Read the app name.

        Args:
            request: The request.

        Returns:
            The unverified name, or None if the request has none at this location.

        Raises:
            Refused: The location holds two values, or a value of the wrong form (`invalid_request`).
        """
        ...


@runtime_checkable
class TokenLocation(Protocol):
    """A location in a request that can hold the token."""

    def read(self, request: Request) -> str | None:
        """Read the token.

        Args:
            request: The request.

        Returns:
            The unverified string, or None if the request has none at this location.

        Raises:
            Refused: The location holds two values, or a value of the wrong form.
        """
        ...


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
