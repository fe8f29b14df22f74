"""The rules for the claims of an app's tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from wicket.errors import ConfigError, Problem, Problems

MAX_TOKEN_BYTES: Final = 16_384

_LARGEST: Final = 1e12

_MOST_SKEW: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the claims of an app's tokens must say. All times are seconds, all sizes bytes.

    `required` are claims that must be there; `user_id` are the claims that may give the user's id, in order, at
    least one of which must; `app_claim` must equal the app's id; `types` are the `typ` values admitted (RFC 8725
    section 3.11): with none, `JWT` or no `typ`. `fixed` are claims with the one value they must have.
    `require_kid`: the token's header must say by its `kid` which key signed it, or no key is tried.
    `attributes_claim` holds the user's attributes as an object (without it they are all claims that have no other
    meaning); its JSON may have at most `max_attributes_bytes`, and only texts as values where `string_attributes_only` is
    set. `companies_claim` holds a list of objects, each with an `id` and a `name`. `scopes_claim` holds the scopes,
    as a list or as words in a string. `protected` are attributes that nothing unsigned may write, and
    `protected_company_attributes` those of companies; `*` stands for all. Claims that have another meaning always are.
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
            given = problems.as_tuple(f"rules.{name}", getattr(self, name), "names")
            if not all(isinstance(each, str) and each for each in given):
                problems.add(f"rules.{name}", "must be a list of names")
            elif not given and name == "user_id_claims" and not problems.found:
                problems.add("rules.user_id_claims", "must name at least one claim")
            else:
                object.__setattr__(self, name, kind(given))
        for name in ("app_claim", "attributes_claim", "companies_claim", "scopes_claim"):
            given = getattr(self, name)
            if given is not None and (not isinstance(given, str) or not given):
                problems.add(f"rules.{name}", "must be the name of a claim")
        for name in ("min_lifetime", "max_lifetime", "leeway", "max_attributes_bytes", "max_token_bytes"):
            given = getattr(self, name)
            if given is None and name not in ("leeway", "max_token_bytes"):
                continue
            if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given <= _LARGEST:
                problems.add(f"rules.{name}", "must be a number, and not negative")
            elif name == "leeway" and given > _MOST_SKEW:
                problems.add("rules.leeway", "must be at most an hour", "by so many seconds clocks may differ")
        for name in ("allow_integer_user_id", "require_kid", "string_attributes_only"):
            if not isinstance(getattr(self, name), bool):
                problems.add(f"rules.{name}", "must be true or false")
        if not isinstance(self.required_values, Mapping) or not all(
            isinstance(name, str) and isinstance(value, (str, int, bool))
            for name, value in self.required_values.items()
        ):
            problems.add("rules.required_values", "must map names of claims to texts, whole numbers or booleans")
        problems.raise_if_any()
        object.__setattr__(self, "required_values", MappingProxyType(dict(self.required_values)))
        if (self.min_lifetime or 0) > (self.max_lifetime if self.max_lifetime is not None else float("inf")):
            raise ConfigError([Problem("rules.min_lifetime", "is longer than max_lifetime")])
        object.__setattr__(self, "allowed_typ", frozenset(media_type(name) for name in self.allowed_typ))
        claims = (self.app_claim, self.attributes_claim, self.companies_claim, self.scopes_claim)
        object.__setattr__(self, "_has_custom_claims", bool(self.required_values) or any(claims))
        object.__setattr__(self, "_has_lifetime_bounds", self.min_lifetime is not None or self.max_lifetime is not None)


def media_type(typ: str) -> str:
    """A `typ` in the spelling by which two compare: no `application/`, no case (RFC 7515 section 4.1.9)."""
    return typ.lower().removeprefix("application/")
