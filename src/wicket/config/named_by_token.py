"""App locations in the token itself. They name the app only if no other location does, and the token is fully verified.

The token that names the app must be the token that is verified. Until then, what it says is only the key of a lookup.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wicket.config.location_types import AppLocation, NameKind, Phase, check_kind
from wicket.config.name_pattern import parse_pattern
from wicket.errors import config_error
from wicket.messages.request import Request


class _InToken(AppLocation):
    """A location that has no value until the flow parses the token."""

    __slots__ = ()

    @property
    def phase(self) -> Phase:
        """The name is read from the token."""
        return "token"

    @property
    def headers(self) -> tuple[str, ...]:
        """No header is read."""
        return ()

    def read(self, request: Request) -> str | None:
        """Return None."""
        return None


@dataclass(frozen=True, slots=True)
class TokenIssuer(_InToken):
    """The token's `iss` claim (RFC 7519 section 4.1.1), which is the `issuer` of the app."""

    kind: NameKind = "issuer"

    def read_token(self, kid: str | None, claim: Callable[[str], Any]) -> object:
        """Return the issuer."""
        return claim("iss")


@dataclass(frozen=True, slots=True)
class TokenClaim(_InToken):
    """A claim of the token.

    Args:
        name: The name of the claim, for example `api_key`.
        kind: The kind of name that the claim holds.

    Raises:
        ConfigError: `name` or `kind` is invalid.
    """

    name: str
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise config_error("name", "is not the name of a claim", "app_id")
        check_kind(self.kind)

    @property
    def location_name(self) -> str:
        """The name of the claim."""
        return self.name

    def read_token(self, kid: str | None, claim: Callable[[str], Any]) -> object:
        """Return the value of the claim."""
        return claim(self.name)


@dataclass(frozen=True, slots=True)
class TokenKeyId(_InToken):
    """The `kid` in the token's header (RFC 7515 section 4.1.4), or a part of it.

    Args:
        pattern: The form of the `kid`. It has `{app}` where the name is, and may end with `*`, which matches everything
            after the first occurrence of the text between the two: `{app}.*` finds `acme` in `acme.key-1`. All other
            characters are compared exactly.
        kind: The kind of name that the `kid` holds.

    Raises:
        ConfigError: `pattern` or `kind` is invalid.
    """

    pattern: str = "{app}"
    kind: NameKind = "id"

    def __post_init__(self) -> None:
        if parse_pattern(self.pattern, "{app}") is None:
            raise config_error("pattern", "must have {app} once, and * only at its end after a separator", "{app}.*")
        check_kind(self.kind)

    def read_token(self, kid: str | None, claim: Callable[[str], Any]) -> object:
        """Return the part of the `kid` that is the name; None if it has another form."""
        pattern = parse_pattern(self.pattern, "{app}")
        return pattern.find(kid) if pattern is not None and kid is not None else None
