"""`Profile`: one vendor's conventions as an immutable value that builds apps and derived profiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, Unpack

from wicket.config.app import App, ErrorFormatter, Mode
from wicket.config.cors import CORS
from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import AppLocation, Bearer, TokenLocation
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.config.websocket_refusals import DEFAULT_WEBSOCKET_REFUSALS, WebSocketRefusals
from wicket.errors import ConfigError, Problems, config_error
from wicket.keys import Credential


class RuleChanges(TypedDict, total=False):
    """The rules that an app or a derived profile may change. See `Rules` for their meaning.

    `required_claims`, `allowed_typ` and `required_values` are added to the profile's. `drop_required_claims` removes
    claims from the profile's `required_claims`. Every other rule replaces the profile's.
    """

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
    """The settings of one app in addition to its id and credentials. See `App` and `Rules` for their meaning."""

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
    websocket_refusals: WebSocketRefusals
    cors: CORS | None


class ProfileChanges(RuleChanges, total=False):
    """The settings that `Profile.extend` may change: rules, locations, audience, refusals and anonymous access."""

    audience: str | None
    token_locations: Iterable[TokenLocation]
    app_locations: Iterable[AppLocation]
    claimed_user_locations: Iterable[TokenLocation]
    format_error: ErrorFormatter | None
    allow_anonymous: bool
    websocket_refusals: WebSocketRefusals


CredentialCheck = Callable[[Credential], str | None]
"""A function that returns an error message for a credential that the vendor does not allow, or None."""

_RULES: Final = frozenset(RuleChanges.__annotations__)


@dataclass(frozen=True, slots=True)
class Profile:
    """One vendor's conventions. Call it to build an `App`. Use `extend` to derive a profile.

    Args:
        name: The profile's name.
        rules: The rules for the tokens of the vendor's apps.
        token_locations: The locations in a request that can hold the token.
        app_locations: The locations in a request that can name the app.
        claimed_user_locations: The locations in which an anonymous request can state its user id, which is unverified.
        audience: The `aud` that the tokens must have. None: no audience.
        allow_anonymous: Whether a request without a token is allowed, as an unverified user.
        required_settings: The settings that every app of the vendor must have.
        check_credential: Returns an error message if the vendor does not allow the credential, otherwise None. Without
            this function, every credential is allowed.
        format_error: Returns the vendor's status and body for a refusal. None: `application/problem+json`.
        websocket_refusals: How the ASGI middleware refuses a WebSocket, and the codes with which it closes one.

    Raises:
        ConfigError: `rules` is not a `Rules`.
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
    websocket_refusals: WebSocketRefusals = DEFAULT_WEBSOCKET_REFUSALS

    def __post_init__(self) -> None:
        if not isinstance(self.rules, Rules):
            raise config_error("rules", "must be Rules", "Rules(required_claims=frozenset({'sub', 'exp'}))")

    def __call__(self, id: str, *, credentials: Iterable[Credential] = (), **settings: Unpack[AppSettings]) -> App:
        """Build an app of this vendor.

        Args:
            id: The app's id.
            credentials: The secrets, public keys and key sets that verify the app's tokens.
            settings: Settings of the app (see `AppSettings`). They take precedence over the profile's.

        Returns:
            The app.

        Raises:
            ConfigError: A setting is invalid. It has every problem, each with the path to its field.
        """
        problems = Problems()
        app_settings: dict[str, Any] = dict(settings)
        changes = {name: app_settings.pop(name) for name in list(app_settings) if name in _RULES}
        _check_known(problems, app_settings, AppSettings.__annotations__)
        for name in self.required_settings:
            if not app_settings.get(name):
                problems.add(name, f"must be set for an app of {self.name}")
        if isinstance(credentials, Iterable):
            credentials = tuple(credentials)
            for index, credential in enumerate(credentials):
                message = self.check_credential(credential) if self.check_credential else None
                if message:
                    problems.add(f"credentials[{index}]", message)
        rules = self._changed_rules(problems, changes)
        defaults: dict[str, Any] = {
            "token_locations": self.token_locations,
            "app_locations": self.app_locations,
            "claimed_user_locations": self.claimed_user_locations,
            "audience": self.audience,
            "allow_anonymous": self.allow_anonymous,
            "format_error": self.format_error,
            "websocket_refusals": self.websocket_refusals,
        }
        known = {name: value for name, value in app_settings.items() if name in AppSettings.__annotations__}
        try:
            app = App(id, credentials=credentials, rules=rules, profile=self.name, **{**defaults, **known})
        except ConfigError as error:
            problems.merge("", error)
            raise ConfigError(problems.found) from None
        problems.raise_if_any()
        return app

    def extend(self, *, name: str | None = None, **changes: Unpack[ProfileChanges]) -> Profile:
        """Return a profile with these changes. Everything else stays the same.

        Args:
            name: The name of the new profile. None: the same name.
            changes: The changes (see `ProfileChanges`). `required_claims`, `allowed_typ` and `required_values` are
                added to the profile's. To remove a required claim, use `drop_required_claims`.

        Raises:
            ConfigError: A change is invalid or unknown. `rules` is unknown: it would discard the vendor's rules.
        """
        problems = Problems()
        settings: dict[str, Any] = dict(changes)
        rule_changes = {key: settings.pop(key) for key in list(settings) if key in _RULES}
        _check_known(problems, settings, ProfileChanges.__annotations__)
        rules = self._changed_rules(problems, rule_changes)
        problems.raise_if_any()
        for key in ("token_locations", "app_locations", "claimed_user_locations"):
            if key in settings:
                settings[key] = tuple(settings[key])
        return dataclasses.replace(self, name=name or self.name, rules=rules, **settings)

    def _changed_rules(self, problems: Problems, changes: Mapping[str, Any]) -> Rules:
        """Return the profile's rules with these changes. If they are invalid, add problems and return the old rules."""
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
                raise config_error("rules.required_values", "must map claim names to values")
            return dataclasses.replace(
                self.rules,
                required_claims=required_claims,
                allowed_typ=allowed_typ,
                required_values={**self.rules.required_values, **required_values},
                **values,
            )
        except ConfigError as error:
            problems.merge("", error)
            return self.rules


def _names(problems: Problems, path: str, value: Any) -> frozenset[str]:
    names = problems.as_tuple(path, value, "names")
    if not all(isinstance(name, str) for name in names):
        problems.add(path, "must be a list of names")
        return frozenset()
    return frozenset(names)


def _check_known(problems: Problems, settings: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in settings:
        if name == "rules":
            problems.add(name, "would replace all of the vendor's rules", "set single rules, for example leeway=10")
        elif name not in known:
            problems.add(name, "is not a setting", f"one of {', '.join(sorted(known))}")
