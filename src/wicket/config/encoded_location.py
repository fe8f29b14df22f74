"""A location whose value is the base64 of a token."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from wicket.config.location_types import ClientDefaults, Phase, TokenLocation, is_location, read_headers
from wicket.config.rules import MAX_TOKEN_BYTES
from wicket.errors import Refusal, Refused, config_error, invalid_token
from wicket.messages.request import Request

_MAX_ENCODED: Final = (MAX_TOKEN_BYTES + 2) // 3 * 4
_DETAIL: Final = "The token is not encoded in base64."


@dataclass(frozen=True, slots=True)
class Base64Encoded(TokenLocation):
    """A token that another location holds in base64 (RFC 4648 section 4), with padding.

    Args:
        location: The other location.

    Raises:
        ConfigError: `location` is not a token location.
    """

    location: TokenLocation
    types: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        location: object = self.location
        if not is_location(location, TokenLocation) or isinstance(location, Base64Encoded):
            raise config_error("location", "is not the location of an encoded token", "Base64Encoded(Bearer())")
        object.__setattr__(self, "types", self.location.types)

    @property
    def phase(self) -> Phase:
        """The phase of the other location."""
        return self.location.phase

    @property
    def location_name(self) -> str:
        """The name of the other location."""
        return self.location.location_name

    @property
    def headers(self) -> tuple[str, ...] | None:
        """The headers of the other location."""
        return read_headers(self.location)

    @property
    def body_path(self) -> tuple[str, ...]:
        """The path of the other location."""
        return self.location.body_path

    @property
    def reads_path(self) -> bool:
        """Whether the other location reads the path."""
        return self.location.reads_path

    def without_token(self, subprotocols: Sequence[str]) -> list[str]:
        """Return the subprotocols that the other location leaves."""
        return self.location.without_token(subprotocols)

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        """Send the encoded value where the other location reads it."""
        return self.location.write(defaults, binascii.b2a_base64(value.encode(), newline=False).decode())

    def read(self, request: Request) -> str | None:
        """Return the decoded token, or None if the other location has none.

        Raises:
            Refused: The value is longer than the longest token (`too_large`), or is not the canonical base64 of ASCII
                characters (`malformed`), or the other location refuses the request.
        """
        value = self.location.read(request)
        if value is None:
            return None
        if len(value) > _MAX_ENCODED:
            raise Refused(Refusal("invalid_token", "too_large"))
        try:
            encoded = value.encode("ascii")
            token = binascii.a2b_base64(encoded, strict_mode=True)
            text = token.decode("ascii")
        except ValueError:
            raise invalid_token("malformed", _DETAIL) from None
        if binascii.b2a_base64(token, newline=False) != encoded:  # unused bits that are not zero
            raise invalid_token("malformed", _DETAIL)
        return text
