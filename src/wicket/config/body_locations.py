"""Locations in a JSON body or in a form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from wicket.config.location_types import AppLocation, NameKind, Phase, TokenLocation, check_kind
from wicket.errors import Problems, config_error, invalid_request, invalid_token
from wicket.messages.form_body import FORM_TYPE, FormData
from wicket.messages.json_body import JSONObject, get_path, plain
from wicket.messages.request import Request

_MEDIA_TYPE: Final = re.compile(r"[a-zA-Z0-9!#$&^_.+-]+/[a-zA-Z0-9!#$&^_.+-]+")


@dataclass(frozen=True, slots=True)
class JsonBody(AppLocation, TokenLocation):
    """A field of a JSON body that holds the token, the app name or another string.

    The flow reads the body only if it needs a location in it.

    Args:
        path: The field name. Dots separate the names of nested fields: `auth.token`.
        types: The media types of the bodies that are parsed. Add `text/plain` for `navigator.sendBeacon`.
        kind: The kind of name that the field holds, if it names the app.

    Raises:
        ConfigError: `path`, `types` or `kind` is invalid.
    """

    path: str
    types: tuple[str, ...] = ("application/json",)
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not all(self.path.split(".")):
            raise config_error("path", "must be a field name, or several field names joined by dots", "auth.token")
        types: tuple[Any, ...] = Problems().as_tuple("types", self.types, "media types")
        if not types or not all(isinstance(item, str) and _MEDIA_TYPE.fullmatch(item) for item in types):
            raise config_error("types", "must be media types without parameters", "application/json, text/plain")
        if any(item.lower() == FORM_TYPE for item in types):
            raise config_error("types", "must be types of a JSON body", "FormBody(…) reads a form")
        object.__setattr__(self, "types", tuple(item.lower() for item in types))
        check_kind(self.kind)

    @property
    def phase(self) -> Phase:
        """The body is read if no header, query parameter or cookie has the value."""
        return "body"

    @property
    def location_name(self) -> str:
        """The path."""
        return self.path

    @property
    def headers(self) -> tuple[str, ...]:
        """No header is read."""
        return ()

    @property
    def body_path(self) -> tuple[str, ...]:
        """The names of the nested fields."""
        return tuple(self.path.split("."))

    def parsed(self, request: Request) -> Any:
        """Return the field's value as the body parser represents it (see `wicket.messages.json_body`).

        Returns:
            The value. None if the body is unread, has another media type or has no such field.
        """
        document = request.document
        if not isinstance(document, JSONObject) or request.media_type not in self.types:
            return None
        return get_path(document, self.body_path)

    def read(self, request: Request) -> str | None:
        """Read the string.

        Returns:
            The string. None if the field is missing, null or empty.

        Raises:
            Refused: The field holds another type (`invalid_token`, `malformed`).
        """
        value = self.parsed(request)
        if value is not None and not isinstance(value, str):
            raise invalid_token("malformed", f"The body field {self.path} is not a string.")
        return value or None

    def value(self, request: Request) -> Any:
        """Return the field's value of any type, as `json.loads` represents it. None if the field is missing."""
        return plain(self.parsed(request))

    def for_app(self) -> AppLocation:
        """Return the field in the role of an app location. A subclass may read the request differently, and is kept."""
        return AppNameInBody(self) if type(self) is JsonBody else self


class AppNameInBody(AppLocation):
    """A `JsonBody` in the role of an app location: another type than a string is a fault of the request.

    Args:
        location: The field that names the app.
    """

    __slots__ = ("kind", "location", "types")

    def __init__(self, location: JsonBody) -> None:
        self.location = location
        self.types = location.types
        self.kind: NameKind = location.kind

    @property
    def phase(self) -> Phase:
        """The phase of the field."""
        return self.location.phase

    @property
    def headers(self) -> tuple[str, ...] | None:
        """The headers of the field."""
        return self.location.headers

    def read(self, request: Request) -> str | None:
        """Read the app name.

        Returns:
            The name. None if the field is missing, null or empty.

        Raises:
            Refused: The field holds another type (`invalid_request`).
        """
        value = self.location.parsed(request)
        if value is not None and not isinstance(value, str):
            raise invalid_request(f"The body field {self.location.path} is not a string.")
        return value or None


@dataclass(frozen=True, slots=True)
class FormBody(AppLocation, TokenLocation):
    """A field of a form (`application/x-www-form-urlencoded`) that holds the token, the app name or another string.

    The flow reads the body only if it needs a location in it. `multipart/form-data` is not read.

    Args:
        name: The decoded name of the field.
        kind: The kind of name that the field holds, if it names the app.

    Raises:
        ConfigError: `name` or `kind` is invalid.
    """

    name: str
    kind: NameKind = "id"
    types: tuple[str, ...] = field(default=(FORM_TYPE,), init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise config_error("name", "is not the name of a field", "a string that is not empty")
        check_kind(self.kind)

    @property
    def phase(self) -> Phase:
        """The body is read if no header, query parameter or cookie has the value."""
        return "body"

    @property
    def location_name(self) -> str:
        """The field name."""
        return self.name

    @property
    def headers(self) -> tuple[str, ...]:
        """No header is read."""
        return ()

    @property
    def body_path(self) -> tuple[str, ...]:
        """The field name."""
        return (self.name,)

    def read(self, request: Request) -> str | None:
        """Read the value.

        Returns:
            The decoded string. None if the body is unread or no form, or if the field is missing or empty.

        Raises:
            Refused: The field occurs twice (`invalid_request`).
        """
        return request.document.value(self.name) or None if isinstance(request.document, FormData) else None


def body_types(locations: Iterable[AppLocation | TokenLocation]) -> frozenset[str]:
    """Return the media types of all body locations among `locations`."""
    return frozenset(item for location in locations for item in location.types)
