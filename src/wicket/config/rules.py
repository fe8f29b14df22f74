"""Rules for the header and claims of an app's tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypedDict

from wicket.config.name_pattern import NamePattern, parse_pattern
from wicket.errors import ConfigError, Problem, Problems
from wicket.settings import Check, boolean, check_settings, is_nonempty_string, or_none, satisfies, setting

MAX_TOKEN_BYTES: Final = 16_384
"""The default maximum size of a token, in bytes."""

MAX_NUMERIC_DATE: Final = 253402300799
"""The end of the year 9999 in UTC, in seconds since 1970: the latest time that a claim or a setting may have."""

MIN_NUMERIC_DATE: Final = -62135596800
"""The beginning of the year 1 in UTC, in seconds since 1970: the earliest time that a claim may have."""

USER_ID_PLACEHOLDER: Final = "{user_id}"
"""The placeholder of the user id in `user_id_patterns`."""

_MAX_NUMBER: Final = 1e12
_NOT_A_NUMBER: Final = "must be a number from 0 to 1e12"
_MAX_LEEWAY: Final = 3600
"""The maximum leeway, in seconds."""


def media_type(typ: str) -> str:
    """Return a `typ` in the form that is compared: lower case, without `application/` (RFC 7515 section 4.1.9)."""
    return typ.lower().removeprefix("application/")


def _names(make: Callable[[tuple[str, ...]], Any]) -> Check:
    """Return a check for a list of names. It stores what `make` makes of them."""

    def check(problems: Problems, path: str, value: object) -> Any:
        names = problems.as_tuple(path, value, "names")
        if all(is_nonempty_string(name) for name in names):
            return make(names)
        problems.add(path, "must be a list of names")
        return make(())

    return check


def _check_user_id_claims(problems: Problems, path: str, value: object) -> tuple[str, ...]:
    before = len(problems.found)
    names: tuple[str, ...] = _names(tuple)(problems, path, value)
    if not names and len(problems.found) == before:
        problems.add(path, "must name at least one claim")
    return names


def _check_scopes_claim(problems: Problems, path: str, value: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = _names(tuple)(
        problems, path, [value] if isinstance(value, str) else () if value is None else value
    )
    return names


def _check_user_id_patterns(problems: Problems, path: str, value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        problems.add(path, "must map claim names to patterns", "{'scope': 'user_id:{user_id} *'}")
        return value
    for name, pattern in value.items():
        if parse_pattern(pattern, USER_ID_PLACEHOLDER) is None:
            message = f"must have {USER_ID_PLACEHOLDER} once, and * only at its end after a separator"
            problems.add(f"{path}.{name}", message, "user_id:{user_id} *")
    return MappingProxyType(dict(value))


def _outer_claims(path: str) -> set[str]:
    """Return the names of claims that can be the outermost object of a path. A name may contain dots."""
    return {path, *(path[:end] for end in range(len(path)) if path[end] == ".")}


def _check_leeway(problems: Problems, path: str, value: Any) -> Any:
    if not _is_number(value):
        problems.add(path, _NOT_A_NUMBER, "a leeway in seconds, at most 3600")
    elif value > _MAX_LEEWAY:
        problems.add(path, "must be at most 3600 seconds", "the allowed clock difference in seconds")
    return value


def _check_required_values(problems: Problems, path: str, value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(item, (str, int, bool)) for name, item in value.items()
    ):
        problems.add(path, "must map claim names to strings, integers or booleans")
        return value
    return MappingProxyType(dict(value))


def _check_allowed_values(problems: Problems, path: str, value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        problems.add(path, "must map claim names to lists of values", "{'azp': ['https://acme.com']}")
        return value
    allowed: dict[str, tuple[str | int | bool, ...]] = {}
    for name, values in value.items():
        before = len(problems.found)
        allowed[name] = problems.as_tuple(f"{path}.{name}", values, "values")
        if not allowed[name] and len(problems.found) == before:
            problems.add(f"{path}.{name}", "must have at least one value")
        elif not all(isinstance(item, (str, int)) for item in allowed[name]):
            problems.add(f"{path}.{name}", "must be strings, integers or booleans")
    return MappingProxyType(allowed)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MAX_NUMBER


_name_set: Final = _names(frozenset)
_claim: Final = or_none(satisfies(is_nonempty_string, "must be the name of a claim"))
_number: Final = satisfies(_is_number, _NOT_A_NUMBER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules for an app's tokens. All times are in seconds, all sizes in bytes.

    Raises:
        ConfigError: A value has the wrong form. Each problem has the path to its field.
    """

    required_claims: frozenset[str] = setting(_name_set, default=frozenset({"exp"}), adds=True)
    """The claims that a token must have."""
    user_id_claims: tuple[str, ...] = setting(_check_user_id_claims, default=("sub",))
    """The claims that can contain the user id, in order of preference. A token must have at least one, unless
    `require_user` is not set."""
    require_user: bool = setting(boolean, default=True)
    """Whether a token must have a user. If not, a token whose user-id claims are absent, null or empty strings is a
    `VerifiedApp`."""
    user_id_patterns: Mapping[str, str] = setting(_check_user_id_patterns, default_factory=dict)
    """The user-id claims whose user id is a part of the value, each with a pattern. It has `{user_id}` where the user
    id is, and may end with `*`, which matches everything after the first occurrence of the text between the two:
    `user_id:{user_id} *` finds `u1` in `user_id:u1 inbox:read`. All other characters are compared exactly."""
    allow_integer_user_id: bool = setting(boolean, default=False)
    """Whether a user id may be an integer. Otherwise it must be a string."""
    app_claim: str | None = setting(_claim, default=None)
    """The claim that must equal the app's id. None: no such claim."""
    min_lifetime: float | None = setting(or_none(_number), default=None)
    """The minimum of `exp` minus `iat`, or minus the current time without `iat`. None: no minimum."""
    max_lifetime: float | None = setting(or_none(_number), default=None)
    """The maximum of `exp` minus `iat`, or minus the current time without `iat`. None: no maximum."""
    leeway: float = setting(_check_leeway, default=30.0)
    """The allowed clock difference for `exp`, `nbf` and `iat` (RFC 7519 section 4.1.4). At most 3600."""
    allowed_typ: frozenset[str] = setting(
        _names(lambda names: frozenset(media_type(name) for name in names)), default=frozenset(), adds=True
    )
    """The allowed values of the header `typ` (RFC 8725 section 3.11). Empty: `JWT`. A token without `typ`
    counts as `JWT` (RFC 7519 section 5.1)."""
    require_kid: bool = setting(boolean, default=False)
    """Whether the token's header must have a `kid` (RFC 7515 section 4.1.4). If so, no key is tried for a token without
    one."""
    required_values: Mapping[str, str | int | bool] = setting(_check_required_values, default_factory=dict, adds=True)
    """Claims that must have exactly the given value."""
    allowed_values: Mapping[str, tuple[str | int | bool, ...]] = setting(
        _check_allowed_values, default_factory=dict, adds=True
    )
    """Claims that must have one of the given values, for example `azp`."""
    attributes_claim: str | None = setting(_claim, default=None)
    """The claim that contains the user's attributes as an object, or the path to it, for example `user.traits`. None:
    the attributes are all claims that have no other meaning."""
    max_attributes_bytes: int | None = setting(or_none(_number), default=None)
    """The maximum size of the attributes as JSON. None: no maximum."""
    string_attributes_only: bool = setting(boolean, default=False)
    """Whether every attribute must be a string."""
    companies_claim: str | None = setting(_claim, default=None)
    """The claim that contains a list of objects, each with an `id` and a `name`. None: no such claim."""
    scopes_claim: tuple[str, ...] = setting(_check_scopes_claim, default=None)
    """The claims that contain the scopes, each as a list or as a space-separated string (RFC 8693 section 4.2): a name,
    a path such as `realm_access.roles`, or several of them. None: tokens have no scopes."""
    max_token_bytes: int = setting(_number, default=MAX_TOKEN_BYTES)
    """The maximum size of a token."""
    protected_attributes: frozenset[str] = setting(_name_set, default=frozenset())
    """Attributes that unsigned values cannot set. `*` protects all. Claims with another meaning are always
    protected."""
    protected_company_attributes: frozenset[str] = setting(_name_set, default=frozenset())
    """The same as `protected_attributes` for the attributes of companies."""
    _reserved_claims: frozenset[str] = field(init=False, repr=False, compare=False)
    """The claims that these rules give a meaning other than user id, company or attribute."""
    _user_id_patterns: Mapping[str, NamePattern] = field(init=False, repr=False, compare=False)
    _has_custom_claims: bool = field(init=False, repr=False, compare=False)
    _has_lifetime_bounds: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        check_settings(problems, self, "rules.")
        problems.raise_if_any()
        if (self.min_lifetime or 0) > (self.max_lifetime if self.max_lifetime is not None else float("inf")):
            raise ConfigError([Problem("rules.min_lifetime", "is longer than max_lifetime", "exchange the two")])
        unknown = sorted(self.user_id_patterns.keys() - set(self.user_id_claims))
        if unknown:
            hint = f"one of {', '.join(self.user_id_claims)}"
            raise ConfigError([Problem(f"rules.user_id_patterns.{unknown[0]}", "is not a user-id claim", hint)])
        reserved = {*self.required_values, *self.allowed_values}
        reserved |= {self.app_claim} if self.app_claim is not None else set()
        for path in (self.attributes_claim, *self.scopes_claim):
            reserved |= _outer_claims(path) if path is not None else set()
        patterns = {name: parse_pattern(text, USER_ID_PLACEHOLDER) for name, text in self.user_id_patterns.items()}
        object.__setattr__(self, "_user_id_patterns", patterns)
        object.__setattr__(self, "_reserved_claims", frozenset(reserved))
        object.__setattr__(self, "_has_custom_claims", bool(reserved or self.companies_claim))
        object.__setattr__(self, "_has_lifetime_bounds", self.min_lifetime is not None or self.max_lifetime is not None)


class RuleChanges(TypedDict, total=False):
    """The rules that an app or a derived profile may change, for type checkers. See `Rules` for their meaning.

    `required_claims`, `allowed_typ`, `required_values` and `allowed_values` are added to the profile's. For a claim
    that both have, the app's values replace the profile's. `drop_required_claims` removes claims from the profile's
    `required_claims`. Every other rule replaces the profile's.
    """

    required_claims: Iterable[str]
    drop_required_claims: Iterable[str]
    allowed_typ: Iterable[str]
    require_kid: bool
    required_values: Mapping[str, str | int | bool]
    allowed_values: Mapping[str, Iterable[str | int | bool]]
    user_id_claims: Iterable[str]
    require_user: bool
    user_id_patterns: Mapping[str, str]
    allow_integer_user_id: bool
    app_claim: str | None
    min_lifetime: float | None
    max_lifetime: float | None
    leeway: float
    attributes_claim: str | None
    max_attributes_bytes: int | None
    string_attributes_only: bool
    companies_claim: str | None
    scopes_claim: str | Iterable[str] | None
    max_token_bytes: int
    protected_attributes: Iterable[str]
    protected_company_attributes: Iterable[str]
