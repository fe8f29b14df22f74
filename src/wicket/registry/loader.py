"""The loader of the app cache: it calls the registry and checks the returned app."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef
from wicket.errors import ConfigError
from wicket.reporting.redaction import short_hash
from wicket.reporting.reporter import Reporter
from wicket.runtime.cache import Loaded, LoadFailed

Registry = Callable[[AppRef], App | None]
"""A synchronous function that takes a name and returns the app, or None if no app has the name.

It raises `ConfigError` if the app exists but its configuration is invalid, and any other exception if the lookup fails.
The name must be one of the app's names: its id, an alias, its publishable key, a host or its issuer.
"""

AppLoader = Callable[[AppRef, App | BrokenApp | None], Loaded[App | BrokenApp] | None]
"""The load function of the app cache."""

_SETTING: Final = {"id": "aliases", "host": "hosts"}
"""The app setting that holds further names of a kind, if it differs from the kind."""

_MAX_LOGGED: Final = {"publishable_key": 12}
"""The maximum number of logged characters per kind of name, 64 by default.

The location of a publishable key can also hold a token, so less of it is logged.
"""


class AppBroken(LoadFailed):
    """The registry reports that the app exists and that its configuration is invalid."""

    permanent = True


def registry_loader(
    registry: Registry, configured_apps: Mapping[AppRef, App | BrokenApp], reporter: Reporter
) -> AppLoader:
    """Return a loader for the app cache that calls the registry.

    The loader stores each app under its id. If the name that was looked up is not one of the app's names, the loader
    returns None.

    Args:
        registry: The registry.
        configured_apps: The apps that are configured in code. They take precedence over an app with the same id.
        reporter: Logs invalid apps, at most once a minute for each app and kind of error.
    """

    def load(ref: AppRef, stale: App | BrokenApp | None) -> Loaded[App | BrokenApp] | None:
        try:
            app: object = registry(ref)
        except ConfigError as error:
            _report_broken(reporter, ref, stale, error)
            raise AppBroken("config_invalid") from None
        if app is None:
            return None
        if isinstance(app, App):
            return _check_names(app, ref)
        if inspect.iscoroutine(app):
            app.close()
        _report_wrong_type(reporter, ref, stale, type(app).__name__)
        raise LoadFailed("no_app")

    def _check_names(app: App, ref: AppRef) -> Loaded[App | BrokenApp] | None:
        refs = app.refs()
        if ref not in refs:
            # A case-insensitive or wildcard lookup returns one app for unlimited names, which would fill the cache.
            reporter.log_problem(
                *(logging.WARNING, app.id, f"unlisted {ref.kind}"),
                "the registry returned the app %s for the %s %r, which is not one of the app's names. Requests that use"
                " it are refused as unknown_app. If the name is correct, add it to the app's %s",
                *(app.id, ref.kind.replace("_", " "), _truncated(ref), _SETTING.get(ref.kind, ref.kind)),
            )
            return None
        id_ref = refs[0]
        value: App | BrokenApp = app
        if id_ref in configured_apps:
            reporter.log_problem(
                *(logging.ERROR, app.id, "in code"),
                "the registry returned the app %s, which is also configured in code. The app from the code is used",
                app.id,
            )
            value = configured_apps[id_ref]
        return Loaded(value, None, id_ref, frozenset(refs[1:]), (app.id, *app.aliases))

    return load


def _truncated(ref: AppRef) -> str:
    """Return the part of an unverified name that may be logged."""
    maximum = _MAX_LOGGED.get(ref.kind, 64)
    return ref.value if len(ref.value) <= maximum else f"{ref.value[:maximum]}…"


def _report_wrong_type(reporter: Reporter, ref: AppRef, stale: App | BrokenApp | None, type_name: str) -> None:
    app_id = stale.id if stale is not None else None
    reporter.log_problem(
        *(logging.ERROR, app_id, "no app"),
        "the registry returned an object of the type %s for the app %s. It must return an App or None",
        *(type_name, app_id or f"with the {ref.kind.replace('_', ' ')} #{short_hash(ref.value)}"),
        unverified=ref.value if app_id is None else None,
    )


def _report_broken(reporter: Reporter, ref: AppRef, stale: App | BrokenApp | None, error: ConfigError) -> None:
    if stale is not None and stale.id is not None:
        reporter.log_problem(
            *(logging.ERROR, stale.id, "broken"),
            "app %s: its configuration in the registry is not valid. The previous configuration is used until it is"
            " older than Limits.app_stale_if_error: %s",
            *(stale.id, error),
        )
        return
    reporter.log_problem(
        *(logging.ERROR, ref.value if ref.kind == "id" else None, "broken"),
        "the configuration of the registry app with the %s %r is not valid. Its requests are refused as"
        " config_invalid: %s",
        *(ref.kind.replace("_", " "), _truncated(ref), error),
        unverified=ref.value,
    )
