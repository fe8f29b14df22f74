"""Rules for the header and claims of an app's tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from wicket.errors import ConfigError, Problem, Problems

MAX_TOKEN_BYTES: Final = 16_384
"""The default maximum size of a token, in bytes."""

MAX_NUMERIC_DATE: Final = 253402300799
"""The end of the year 9999 in UTC, in seconds since 1970: the latest time that a claim or a setting may have."""

MIN_NUMERIC_DATE: Final = -62135596800
"""The beginning of the year 1 in UTC, in seconds since 1970: the earliest time that a claim may have."""

_MAX_NUMBER: Final = 1e12
_MAX_LEEWAY: Final = 3600
"""The maximum leeway, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules for an app's tokens. All times are in seconds, all sizes in bytes.

    Args:
        required_claims: The claims that a token must have.
        user_id_claims: The claims that can contain the user id, in order of preference. A token must have at least one.
        allow_integer_user_id: Whether a user id may be an integer. Otherwise it must be a string.
        app_claim: The claim that must equal the app's id. None: no such claim.
        min_lifetime: The minimum of `exp` minus `iat`, or minus the current time without `iat`. None: no minimum.
        max_lifetime: The maximum of `exp` minus `iat`, or minus the current time without `iat`. None: no maximum.
        leeway: The allowed clock difference for `exp`, `nbf` and `iat` (RFC 7519 section 4.1.4). At most 3600.
        allowed_typ: The allowed values of the header `typ` (RFC 8725 section 3.11). Empty: `JWT`. A token without
            `typ` counts as `JWT` (RFC 7519 section 5.1).
        require_kid: Whether the token's header must have a `kid` (RFC 7515 section 4.1.4). If so, no key is tried for a
            token without one.
        required_values: Claims that must have exactly the given value.
        attributes_claim: The claim that contains the user's attributes as an object. None: the attributes are all
            claims that have no other meaning.
        max_attributes_bytes: The maximum size of the attributes as JSON. None: no maximum.
        string_attributes_only: Whether every attribute must be a string.
        companies_claim: The claim that contains a list of objects, each with an `id` and a `name`. None: no such claim.
        scopes_claim: The claim that contains the scopes, as a list or as a space-separated string (RFC 8693 section
            4.2). None: tokens have no scopes.
        max_token_bytes: The maximum size of a token.
        protected_attributes: Attributes that unsigned values cannot set. `*` protects all. Claims with another meaning
            are always protected.
        protected_company_attributes: The same for the attributes of companies.

    Raises:
        ConfigError: A value has the wrong form. Each problem has the path to its field.
    """

    required_claims: frozenset[str] = frozenset({"exp"})
    user_id_claims: tuple[str, ...] = ("sub",)
    allow_integer_user_id: bool = False
    app_claim: str | None = None
    min_lifetime: float | None = None
    max_lifetime: float | None = None
    leeway: float = 30.0
    allowed_typ: frozenset[str] = frozenset()
    require_kid: bool = False
    required_values: Mapping[str, str | int | bool] = field(default_factory=dict)
    attributes_claim: str | None = None
    max_attributes_bytes: int | None = None
    string_attributes_only: bool = False
    companies_claim: str | None = None
    scopes_claim: str | None = None
    max_token_bytes: int = MAX_TOKEN_BYTES
    protected_attributes: frozenset[str] = frozenset()
    protected_company_attributes: frozenset[str] = frozenset()
    _has_custom_claims: bool = field(init=False, repr=False, compare=False)
    _has_lifetime_bounds: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        for name, kind in (
            ("user_id_claims", tuple),
            *(
                (name, frozenset)
                for name in ("required_claims", "allowed_typ", "protected_attributes", "protected_company_attributes")
            ),
        ):
            names = problems.as_tuple(f"rules.{name}", getattr(self, name), "names")
            if not all(isinstance(item, str) and item for item in names):
                problems.add(f"rules.{name}", "must be a list of names")
            elif not names and name == "user_id_claims" and not problems.found:
                problems.add("rules.user_id_claims", "must name at least one claim")
            else:
                object.__setattr__(self, name, kind(names))
        for name in ("app_claim", "attributes_claim", "companies_claim", "scopes_claim"):
            claim = getattr(self, name)
            if claim is not None and (not isinstance(claim, str) or not claim):
                problems.add(f"rules.{name}", "must be the name of a claim")
        for name in ("min_lifetime", "max_lifetime", "leeway", "max_attributes_bytes", "max_token_bytes"):
            number = getattr(self, name)
            if number is None and name not in ("leeway", "max_token_bytes"):
                continue
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= _MAX_NUMBER:
                problems.add(f"rules.{name}", "must be a number from 0 to 1e12")
            elif name == "leeway" and number > _MAX_LEEWAY:
                problems.add("rules.leeway", "must be at most 3600 seconds", "the allowed clock difference in seconds")
        for name in ("allow_integer_user_id", "require_kid", "string_attributes_only"):
            if not isinstance(getattr(self, name), bool):
                problems.add(f"rules.{name}", "must be true or false")
        if not isinstance(self.required_values, Mapping) or not all(
            isinstance(name, str) and isinstance(value, (str, int, bool))
            for name, value in self.required_values.items()
        ):
            problems.add("rules.required_values", "must map claim names to strings, integers or booleans")
        problems.raise_if_any()
        object.__setattr__(self, "required_values", MappingProxyType(dict(self.required_values)))
        if (self.min_lifetime or 0) > (self.max_lifetime if self.max_lifetime is not None else float("inf")):
            raise ConfigError([Problem("rules.min_lifetime", "is longer than max_lifetime", "exchange the two")])
        object.__setattr__(self, "allowed_typ", frozenset(media_type(name) for name in self.allowed_typ))
        claims = (self.app_claim, self.attributes_claim, self.companies_claim, self.scopes_claim)
        object.__setattr__(self, "_has_custom_claims", bool(self.required_values) or any(claims))
        object.__setattr__(self, "_has_lifetime_bounds", self.min_lifetime is not None or self.max_lifetime is not None)


def media_type(typ: str) -> str:
    """Return a `typ` in the form that is compared: lower case, without `application/` (RFC 7515 section 4.1.9)."""
    return typ.lower().removeprefix("application/")
