"""Locations in a request that hold the app name or the token. Every value that they read is unverified.

    app name  PublishableKeyBearer, Header, Query, PathSegment, Host, JsonBody, FormBody, TokenIssuer, TokenClaim,
              TokenKeyId
    token     Bearer, Header, Query, Subprotocol, Cookie, JsonBody, FormBody, each also in Base64Encoded

If one location holds two values, the request is refused as `invalid_request`. Otherwise Wicket and the application
could read different values.
"""

from __future__ import annotations

from dataclasses import dataclass

from wicket.config.body_locations import FormBody, JsonBody, body_types
from wicket.config.encoded_location import Base64Encoded
from wicket.config.header_locations import Bearer, Cookie, Header, Host, PublishableKeyBearer, Subprotocol
from wicket.config.location_types import (
    MAX_NAME,
    AppLocation,
    AppRef,
    ClientDefaults,
    NameKind,
    Phase,
    TokenLocation,
    check_kind,
    fast_app_ref,
    is_location,
    is_valid_name,
    page_headers,
    plain_header,
    read_headers,
)
from wicket.config.named_by_token import TokenClaim, TokenIssuer, TokenKeyId
from wicket.errors import config_error, invalid_request
from wicket.messages.parameters import query_value
from wicket.messages.paths import is_plain
from wicket.messages.request import Request

__all__ = [
    "MAX_NAME",
    "AppLocation",
    "AppRef",
    "Base64Encoded",
    "Bearer",
    "ClientDefaults",
    "Cookie",
    "FormBody",
    "Header",
    "Host",
    "JsonBody",
    "NameKind",
    "PathSegment",
    "Phase",
    "PublishableKeyBearer",
    "Query",
    "Subprotocol",
    "TokenClaim",
    "TokenIssuer",
    "TokenKeyId",
    "TokenLocation",
    "body_types",
    "fast_app_ref",
    "is_location",
    "is_valid_name",
    "page_headers",
    "plain_header",
    "read_headers",
]


@dataclass(frozen=True, slots=True)
class Query(AppLocation, TokenLocation):
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

    @property
    def location_name(self) -> str:
        """The parameter name."""
        return self.name

    @property
    def headers(self) -> tuple[str, ...]:
        """No header is read."""
        return ()

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Send the parameter."""
        defaults.query[self.name] = value
        return True

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
class PathSegment(AppLocation):
    """A path segment that names the app.

    A path that a router can interpret differently is refused as `invalid_request`: a path with folded characters, with
    empty or dot segments, or in which the root path occurs twice or without a segment boundary (see
    `wicket.messages.paths`).

    Args:
        index: The number of the segment after the application's root path and `prefix`, from 0 to 99.
        kind: The kind of name that the segment holds.
        prefix: The segments in front of it, for example `/v1/apps`. They are compared exactly. A path that does not
            start with them names no app.

    Raises:
        ConfigError: An argument is invalid.
    """

    index: int = 0
    kind: NameKind = "id"
    prefix: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.index, int) or isinstance(self.index, bool) or not 0 <= self.index <= 99:
            raise config_error("index", "must be the number of a segment, from 0 to 99")
        check_kind(self.kind)
        prefix: object = self.prefix
        if not isinstance(prefix, str) or (prefix and (prefix[0] != "/" or not is_plain(prefix) or prefix[-1] == "/")):
            raise config_error("prefix", "must start with a slash and have no slash at its end", "/v1/apps")

    @property
    def headers(self) -> tuple[str, ...]:
        """No header is read."""
        return ()

    @property
    def reads_path(self) -> bool:
        """The segments are counted after the application's root path."""
        return True

    def read(self, request: Request) -> str | None:
        """Return the segment, or None if the path has no such segment or it is empty.

        Raises:
            Refused: The path is ambiguous (`invalid_request`).
        """
        readings = request.readings
        if len(readings) != 1 or not is_plain(readings[0] or "/"):
            raise invalid_request("The path names the app, so it must have one meaning.")
        path = readings[0]
        if self.prefix:
            if not path.startswith(f"{self.prefix}/"):
                return None
            path = path[len(self.prefix) :]
        segments = path.split("/", self.index + 2)
        return segments[self.index + 1] or None if len(segments) > self.index + 1 else None
