"""Validates the arguments of `Gate` and logs warnings about its configuration."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.app_index import (
    check_registry,
    check_shared_secrets,
    index_apps,
    unique,
    validate_apps,
    validate_locations,
)
from wicket.config.cors import CORS
from wicket.config.locations import AppLocation, AppRef, Bearer, TokenIssuer, TokenLocation
from wicket.config.network import Network
from wicket.errors import Problems
from wicket.limits import Limits

_log: Final = logging.getLogger("wicket")


@dataclass(frozen=True, slots=True)
class AppSettings:
    """The validated apps of a gate, and the locations that it reads.

    Args:
        apps: The configured apps.
        index: The configured apps by each of their names.
        app_locations: Where a request can name its app.
        token_locations: Where a token is looked for before its app is known.
    """

    apps: tuple[App | BrokenApp, ...]
    index: dict[AppRef, App | BrokenApp]
    app_locations: tuple[AppLocation, ...]
    token_locations: tuple[TokenLocation, ...]


def validate_settings(
    apps: Iterable[App | BrokenApp],
    registry: object,
    app_locations: Iterable[AppLocation] | None,
    token_locations: Iterable[TokenLocation] | None,
    others: Mapping[str, Any],
) -> AppSettings:
    """Validate the arguments of `Gate`.

    Args:
        apps: The argument of that name.
        registry: The argument of that name.
        app_locations: The argument of that name. The default is the locations of all apps.
        token_locations: The argument of that name. The default is the locations of all apps, or else `Bearer()`.
        others: All other arguments by name. Only their types are checked.

    Raises:
        ConfigError: An argument is not valid. It has every problem, each with the path to its field.
    """
    problems = Problems()
    configured = validate_apps(problems, apps)
    # The locations of a broken app are included: its requests must reach it to be refused as `config_invalid`.
    all_app_locations: tuple[AppLocation, ...] = validate_locations(
        problems, "app_locations", app_locations, AppLocation, unique(app.app_locations for app in configured)
    )
    all_token_locations: tuple[TokenLocation, ...] = validate_locations(
        problems,
        "token_locations",
        token_locations,
        TokenLocation,
        unique(app.token_locations for app in configured) or (Bearer(),),
    )
    check_registry(problems, registry, app_locations)
    if len(configured) > 1 and not all_app_locations:
        problems.add("app_locations", "must not be empty if the gate has several apps", "[Header('X-App-Id')]")
    _check_types(problems, others)
    by_issuer = any(isinstance(location, TokenIssuer) for location in all_app_locations)
    index = index_apps(problems, configured, by_issuer=by_issuer)
    check_shared_secrets(problems, configured)
    problems.raise_if_any()
    return AppSettings(configured, index, all_app_locations, all_token_locations)


def _check_types(problems: Problems, settings: Mapping[str, Any]) -> None:
    mode, network, on_event, name = (settings[key] for key in ("mode", "network", "on_event", "name"))
    if mode is not None and not isinstance(mode, Mode):
        problems.add("mode", "must be Mode.ENFORCE, Mode.LOG_ONLY or None")
    for key in ("realm", "error_docs"):
        if settings[key] is not None and not isinstance(settings[key], str):
            problems.add(key, "must be a string")
    if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
        problems.add("on_event", "must be a function of one event that is not async")
    if not callable(settings["clock"]):
        problems.add("clock", "must be a function that returns the seconds since 1970")
    if network is not None and not isinstance(network, Network):
        problems.add("network", "must be a Network")
    for key in ("fetcher", "monotonic"):
        if settings[key] is not None and not callable(settings[key]):
            problems.add(key, "must be a function")
    fetcher = settings["fetcher"]
    if inspect.iscoroutinefunction(fetcher) or inspect.iscoroutinefunction(getattr(fetcher, "__call__", None)):  # noqa: B004 - the method itself
        problems.add("fetcher", "must not be async: it runs on a thread of the gate", "use a synchronous HTTP client")
    if not isinstance(settings["cors"], CORS):
        problems.add("cors", "must be CORS")
    if not isinstance(settings["limits"], Limits):
        problems.add("limits", "must be a Limits object")
    if not isinstance(name, str) or not name.isidentifier():
        problems.add("name", "must be an identifier", "it is the gate's key in the application's state")


def log_config_warnings(
    name: str, settings: AppSettings, mode: Mode | None, *, has_registry: bool, has_fetcher: bool
) -> None:
    """Log a warning for each setting of the gate `name` that is valid and probably not meant."""
    apps = settings.apps
    if has_fetcher:
        _log.warning(
            "gate %s: fetcher replaces the protection against SSRF: it alone decides which addresses, ports and"
            " redirects are followed, and network is not used",
            name,
        )
    if mode is not None:
        _log.warning("gate %s: the mode %s overrides the mode of every app", name, mode.value)
    if not apps and not has_registry:
        _log.warning("gate %s: it has no apps and no registry, so every request is refused", name)
    kinds = {location.kind for location in settings.app_locations}
    for app in apps:
        if len(apps) > 1 and not kinds & {ref.kind for ref in app.refs()}:
            _log.warning("app %s: no app location of the gate can name it", app.id)
        if isinstance(app, App) and not app.origins and (mode or app.mode) is Mode.ENFORCE:
            _log.warning("app %s: it has no origins, so every origin is allowed", app.id)
