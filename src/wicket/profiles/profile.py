"""`Profile`: one vendor's conventions as an immutable value that builds apps and derived profiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack

from wicket.config.app import App, AppOptions, ProfileDefaults
from wicket.config.rules import RuleChanges, Rules
from wicket.errors import ConfigError, Problems, did_you_mean
from wicket.keys import Credential
from wicket.keys.secret import credential_hint
from wicket.settings import settings_of

_Class = TypeVar("_Class", bound=type)


class AppSettings(AppOptions, RuleChanges, total=False):
    """The settings of one app in addition to its id and credentials. See `App` and `Rules` for their meaning."""


class ProfileChanges(ProfileDefaults, RuleChanges, total=False):
    """The settings that `Profile.extend` may change: rules, and the settings of `App` that a profile can have."""


CredentialCheck = Callable[[Credential], str | None]
"""A function that returns an error message for a credential that the vendor does not allow, or None."""

_RULES: Final = settings_of(Rules)
_RULE_CHANGES: Final = frozenset({*_RULES, "drop_required_claims"})
_DEFAULTS: Final = {name: setting for name, setting in settings_of(App).items() if setting.preset}
"""The settings of an app that a profile can have."""
_APP_SETTINGS: Final = settings_of(App).keys() - {"id", "credentials", "rules", "profile"}
"""The settings of an app that a call of a profile passes on."""


def _with_defaults(kind: _Class) -> _Class:
    """Add a field for each setting in `_DEFAULTS` to a class that is not yet a dataclass."""
    for name, setting in _DEFAULTS.items():
        kind.__annotations__[name] = "Any"
        setattr(kind, name, field(default=setting.default, repr=setting.show, kw_only=True))
    return kind


@dataclass(frozen=True, slots=True)
@_with_defaults
class Profile:
    """One vendor's conventions. Call it to build an `App`. Use `extend` to derive a profile.

    Args:
        name: The profile's name.
        rules: The rules for the tokens of the vendor's apps.
        required_settings: The settings that every app of the vendor with a credential must have.
        check_credential: Returns an error message if the vendor does not allow the credential, otherwise None. Without
            this function, every credential is allowed.
        defaults: Settings of the vendor's apps, by keyword (see `ProfileDefaults`). A profile has them as attributes.

    Raises:
        ConfigError: `rules` is not a `Rules`, or a setting is invalid. It has every problem, each with the path to its
            field.
    """

    name: str
    rules: Rules = field(default_factory=Rules)
    _: KW_ONLY
    required_settings: tuple[str, ...] = ()
    check_credential: CredentialCheck | None = field(default=None, repr=False)

    if TYPE_CHECKING:  # the dataclass has the real ones

        def __init__(
            self,
            name: str,
            rules: Rules = ...,
            *,
            required_settings: tuple[str, ...] = ...,
            check_credential: CredentialCheck | None = ...,
            **defaults: Unpack[ProfileDefaults],
        ) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.rules, Rules):
            problems.add("rules", "must be Rules", "Rules(required_claims=frozenset({'sub', 'exp'}))")
        for name, setting in _DEFAULTS.items():
            value = getattr(self, name)
            checked = setting.check(problems, name, value)
            if not isinstance(value, (str, type(None))):  # an audience remains one string
                object.__setattr__(self, name, checked)
        problems.raise_if_any()

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
        problems = Problems(app=id)
        changes, app_settings = _split(problems, settings, _APP_SETTINGS)
        if isinstance(credentials, Iterable):
            credentials = tuple(credentials)
            for name in self.required_settings if credentials else ():  # without credentials: `config_missing`
                if not app_settings.get(name):
                    problems.add(name, f"must be set for an app of {self.name}")
            for index, credential in enumerate(credentials):
                message = self.check_credential(credential) if self.check_credential else None
                if message:
                    problems.add(f"credentials[{index}]", message, credential_hint(credential))
        rules = self._changed_rules(problems, changes)
        values: dict[str, Any] = {name: getattr(self, name) for name in _DEFAULTS} | app_settings
        try:
            app = App(id, credentials=credentials, rules=rules, profile=self.name, **values)
        except ConfigError as error:
            problems.merge("", error)
            raise ConfigError(problems.found) from None
        problems.raise_if_any()
        return app

    def extend(self, *, name: str | None = None, **changes: Unpack[ProfileChanges]) -> Profile:
        """Return a profile with these changes. Everything else stays the same.

        Args:
            name: The name of the new profile. None: the same name.
            changes: The changes (see `ProfileChanges`). `required_claims`, `allowed_typ`, `required_values` and
                `allowed_values` are added to the profile's. To remove a required claim, use `drop_required_claims`.

        Raises:
            ConfigError: A change is invalid or unknown. `rules` is unknown: it would discard the vendor's rules.
        """
        problems = Problems()
        rule_changes, defaults = _split(problems, changes, _DEFAULTS)
        rules = self._changed_rules(problems, rule_changes)
        try:
            profile = dataclasses.replace(self, name=name or self.name, rules=rules, **defaults)
        except ConfigError as error:
            problems.merge("", error)
            raise ConfigError(problems.found) from None
        problems.raise_if_any()
        return profile

    def _changed_rules(self, problems: Problems, changes: Mapping[str, Any]) -> Rules:
        """Return the profile's rules with these changes. If they are invalid, add problems and return the old rules."""
        if not changes:
            return self.rules
        values = dict(changes)
        rules = self.rules
        dropped = _names(problems, "drop_required_claims", values.pop("drop_required_claims", ()))
        unknown = dropped - rules.required_claims
        if unknown:
            required = ", ".join(sorted(rules.required_claims)) or "no claim"
            message = f"{', '.join(sorted(unknown))} is not required by {self.name}"
            problems.add("drop_required_claims", message, f"it requires {required}")
        if dropped:
            rules = dataclasses.replace(rules, required_claims=rules.required_claims - dropped)
        for name, rule in _RULES.items():
            if rule.adds and name in values:
                values[name] = _added(problems, name, getattr(rules, name), values[name])
        try:
            return dataclasses.replace(rules, **values)
        except ConfigError as error:
            problems.merge("", error)
            return self.rules


def _split(
    problems: Problems, settings: Mapping[str, Any], known: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the changes of rules, and the other settings with a known name. Add a problem for each unknown name."""
    for name in settings:
        if name == "rules":
            problems.add(name, "would replace all of the vendor's rules", "set single rules, for example leeway=10")
        elif name not in known and name not in _RULE_CHANGES:
            problems.add(name, "is not a setting", did_you_mean(name, {*known, *_RULE_CHANGES}))
    changes = {name: value for name, value in settings.items() if name in _RULE_CHANGES}
    return changes, {name: value for name, value in settings.items() if name in known}


def _added(problems: Problems, name: str, current: Any, value: Any) -> Any:
    """Return the profile's value of a rule with the items of `value` added."""
    if not isinstance(current, Mapping):
        return current | _names(problems, name, value)
    if isinstance(value, Mapping):
        return {**current, **value}
    problems.add(f"rules.{name}", "must map claim names to values")
    return current


def _names(problems: Problems, path: str, value: Any) -> frozenset[str]:
    names = problems.as_tuple(path, value, "names")
    if not all(isinstance(name, str) for name in names):
        problems.add(path, "must be a list of names")
        return frozenset()
    return frozenset(names)
