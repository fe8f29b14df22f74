"""What a profile is: one vendor's conventions as a frozen value that builds apps and stricter or looser siblings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, Unpack

from wicket.config.app import App, ErrorFormatter, Mode, Rules
from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import AppLocation, Bearer, TokenLocation
from wicket.config.revocations import Revocations
from wicket.errors import ConfigError, Problems, config_error
from wicket.keys import Credential


class RuleChanges(TypedDict, total=False):
    """Rules that a profile or an app may set apart from its profile. `required`, `types` and `fixed` add to what the
    profile demands; `optional` names claims that shall no longer be required."""

    required: Iterable[str]
    optional: Iterable[str]
    types: Iterable[str]
    require_kid: bool
    fixed: Mapping[str, str | int | bool]
    user_id: Iterable[str]
    allow_integer_user_id: bool
    app_claim: str | None
    min_lifetime: float | None
    max_lifetime: float | None
    leeway: float
    attributes_claim: str | None
    max_attributes_bytes: int | None
    string_attributes_only: bool
    companies_claim: str | None
    scopes_claim: str | None
    max_token_bytes: int
    protected: Iterable[str]
    protected_company_attributes: Iterable[str]


class AppSettings(RuleChanges, total=False):
    """What may be said of one app beside its id and credentials: see `App` and `Rules`."""

    public_key: str | None
    hosts: Iterable[str]
    issuer: str | None
    audience: str | Iterable[str] | None
    origins: Iterable[str]
    require_origin: bool
    mode: Mode
    origin_mode: Mode | None
    anonymous: bool
    revocations: Revocations
    scopes: Iterable[str]
    tokens: Iterable[TokenLocation]
    naming: Iterable[AppLocation]
    claimed: Iterable[TokenLocation]
    aliases: Iterable[str]
    identity_hash: IdentityHash | None


class ProfileChanges(RuleChanges, total=False):
    """What `Profile.extend` may change: rules, and the places where the token and the app's name ride."""

    audience: str | None
    tokens: Iterable[TokenLocation]
    naming: Iterable[AppLocation]
    claimed: Iterable[TokenLocation]
    errors: ErrorFormatter | None
    anonymous: bool


CredentialCheck = Callable[[Credential], str | None]
"""What a vendor's profile has against a credential, or None."""

_RULES: Final = frozenset(RuleChanges.__annotations__)


@dataclass(frozen=True, slots=True)
class Profile:
    """One vendor's conventions. Calling it builds an `App`; `extend` makes a sibling and loses no rule silently.

    `needs` are settings that every app of this vendor must be given.
    """

    name: str
    rules: Rules = field(default_factory=Rules)
    tokens: tuple[TokenLocation, ...] = (Bearer(),)
    naming: tuple[AppLocation, ...] = ()
    claimed: tuple[TokenLocation, ...] = ()
    audience: str | None = None
    anonymous: bool = False
    needs: tuple[str, ...] = ()
    check_credential: CredentialCheck | None = field(default=None, repr=False)
    errors: ErrorFormatter | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.rules, Rules):
            raise config_error("rules", "must be Rules", "Rules(required=frozenset({'sub', 'exp'}))")

    def __call__(self, id: str, *, credentials: Iterable[Credential] = (), **settings: Unpack[AppSettings]) -> App:
        """Build an app of this vendor. Raises `ConfigError` with every problem, each with the path to its field."""
        problems = Problems()
        given: dict[str, Any] = dict(settings)
        changes = {name: given.pop(name) for name in list(given) if name in _RULES}
        _refuse_unknown(problems, given, AppSettings.__annotations__)
        for name in self.needs:
            if not given.get(name):
                problems.add(name, f"must be given for an app of {self.name}")
        if isinstance(credentials, Iterable):
            credentials = tuple(credentials)
            for index, credential in enumerate(credentials):
                wrong = self.check_credential(credential) if self.check_credential else None
                if wrong:
                    problems.add(f"credentials[{index}]", wrong)
        rules = self._rules(problems, changes)
        defaults: dict[str, Any] = {
            "tokens": self.tokens,
            "naming": self.naming,
            "claimed": self.claimed,
            "audience": self.audience,
            "anonymous": self.anonymous,
            "errors": self.errors,
        }
        known = {name: value for name, value in given.items() if name in AppSettings.__annotations__}
        try:
            app = App(id, credentials=credentials, rules=rules, profile=self.name, **{**defaults, **known})
        except ConfigError as error:
            problems.merge_problems("", error)
            raise ConfigError(problems.found) from None
        problems.raise_if_any()
        return app

    def extend(self, *, name: str | None = None, **changes: Unpack[ProfileChanges]) -> Profile:
        """A sibling with these changes and all the rest kept.

        `required`, `types` and `fixed` add to the profile's own; to be rid of a required claim, name it in
        `optional`. Raises `ConfigError` for a change that is not known, `rules` among them: whole rules would lose
        the vendor's.
        """
        problems = Problems()
        given: dict[str, Any] = dict(changes)
        rule_changes = {key: given.pop(key) for key in list(given) if key in _RULES}
        _refuse_unknown(problems, given, ProfileChanges.__annotations__)
        rules = self._rules(problems, rule_changes)
        problems.raise_if_any()
        for key in ("tokens", "naming", "claimed"):
            if key in given:
                given[key] = tuple(given[key])
        return dataclasses.replace(self, name=name or self.name, rules=rules, **given)

    def _rules(self, problems: Problems, changes: Mapping[str, Any]) -> Rules:
        if not changes:
            return self.rules
        values = dict(changes)
        dropped = _names(problems, "optional", values.pop("optional", ()))
        unknown = dropped - self.rules.required
        if unknown:
            problems.add("optional", f"{', '.join(sorted(unknown))} is not required by {self.name}")
        required = self.rules.required - dropped | _names(problems, "required", values.pop("required", ()))
        types = self.rules.types | _names(problems, "types", values.pop("types", ()))
        fixed = values.pop("fixed", {})
        try:
            if not isinstance(fixed, Mapping):
                raise config_error("rules.fixed", "must map names of claims to values")
            return dataclasses.replace(
                self.rules, required=required, types=types, fixed={**self.rules.fixed, **fixed}, **values
            )
        except ConfigError as error:
            problems.merge_problems("", error)
            return self.rules


def _names(problems: Problems, path: str, given: Any) -> frozenset[str]:
    names = problems.listed(path, given, "names")
    if not all(isinstance(name, str) for name in names):
        problems.add(path, "must be a list of names")
        return frozenset()
    return frozenset(names)


def _refuse_unknown(problems: Problems, given: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in given:
        if name == "rules":
            problems.add(name, "would replace the vendor's rules as a whole", "give single rules, skew=10 for one")
        elif name not in known:
            problems.add(name, "is not a setting", f"one of {', '.join(sorted(known))}")
