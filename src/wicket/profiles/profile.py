"""What a profile is: one vendor's conventions as a frozen value that builds apps and stricter or looser siblings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, Unpack

from wicket.config.app import App, ErrorFormatter, Mode
from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import AppLocation, Bearer, TokenLocation
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.errors import ConfigError, Problems, config_error
from wicket.keys import Credential


class RuleChanges(TypedDict, total=False):
    """Rules that a profile or an app may set apart from its profile. `required`, `types` and `fixed` add to what the
    profile demands; `optional` names claims that shall no longer be required."""

    required_claims: Iterable[str]
    drop_required_claims: Iterable[str]
    allowed_typ: Iterable[str]
    require_kid: bool
    required_values: Mapping[str, str | int | bool]
    user_id_claims: Iterable[str]
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
    protected_attributes: Iterable[str]
    protected_company_attributes: Iterable[str]


class AppSettings(RuleChanges, total=False):
    """What may be said of one app beside its id and credentials: see `App` and `Rules`."""

    publishable_key: str | None
    hosts: Iterable[str]
    issuer: str | None
    audience: str | Iterable[str] | None
    origins: Iterable[str]
    require_origin: bool
    mode: Mode
    origin_mode: Mode | None
    allow_anonymous: bool
    revocations: Revocations
    allowed_scopes: Iterable[str]
    token_locations: Iterable[TokenLocation]
    app_locations: Iterable[AppLocation]
    claimed_user_locations: Iterable[TokenLocation]
    aliases: Iterable[str]
    identity_hash: IdentityHash | None


class ProfileChanges(RuleChanges, total=False):
    """What `Profile.extend` may change: rules, and the places where the token and the app's name ride."""

    audience: str | None
    token_locations: Iterable[TokenLocation]
    app_locations: Iterable[AppLocation]
    claimed_user_locations: Iterable[TokenLocation]
    format_error: ErrorFormatter | None
    allow_anonymous: bool


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
    token_locations: tuple[TokenLocation, ...] = (Bearer(),)
    app_locations: tuple[AppLocation, ...] = ()
    claimed_user_locations: tuple[TokenLocation, ...] = ()
    audience: str | None = None
    allow_anonymous: bool = False
    required_settings: tuple[str, ...] = ()
    check_credential: CredentialCheck | None = field(default=None, repr=False)
    format_error: ErrorFormatter | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.rules, Rules):
            raise config_error("rules", "must be Rules", "Rules(required=frozenset({'sub', 'exp'}))")

    def __call__(self, id: str, *, credentials: Iterable[Credential] = (), **settings: Unpack[AppSettings]) -> App:
        """Build an app of this vendor. Raises `ConfigError` with every problem, each with the path to its field."""
        problems = Problems()
        given: dict[str, Any] = dict(settings)
        changes = {name: given.pop(name) for name in list(given) if name in _RULES}
        _refuse_unknown(problems, given, AppSettings.__annotations__)
        for name in self.required_settings:
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
            "token_locations": self.token_locations,
            "app_locations": self.app_locations,
            "claimed_user_locations": self.claimed_user_locations,
            "audience": self.audience,
            "allow_anonymous": self.allow_anonymous,
            "format_error": self.format_error,
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
        for key in ("token_locations", "app_locations", "claimed_user_locations"):
            if key in given:
                given[key] = tuple(given[key])
        return dataclasses.replace(self, name=name or self.name, rules=rules, **given)

    def _rules(self, problems: Problems, changes: Mapping[str, Any]) -> Rules:
        if not changes:
            return self.rules
        values = dict(changes)
        dropped = _names(problems, "drop_required_claims", values.pop("drop_required_claims", ()))
        unknown = dropped - self.rules.required_claims
        if unknown:
            problems.add("drop_required_claims", f"{', '.join(sorted(unknown))} is not required by {self.name}")
        required_claims = self.rules.required_claims - dropped | _names(
            problems, "required_claims", values.pop("required_claims", ())
        )
        allowed_typ = self.rules.allowed_typ | _names(problems, "allowed_typ", values.pop("allowed_typ", ()))
        required_values = values.pop("required_values", {})
        try:
            if not isinstance(required_values, Mapping):
                raise config_error("rules.required_values", "must map names of claims to values")
            return dataclasses.replace(
                self.rules,
                required_claims=required_claims,
                allowed_typ=allowed_typ,
                required_values={**self.rules.required_values, **required_values},
                **values,
            )
        except ConfigError as error:
            problems.merge_problems("", error)
            return self.rules


def _names(problems: Problems, path: str, given: Any) -> frozenset[str]:
    names = problems.as_tuple(path, given, "names")
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
