"""The registry as the loader of the app cache."""

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


def registry_loader(
    registry: Registry, in_code: Mapping[AppRef, App | BrokenApp], reporter: Reporter
) -> Callable[[AppRef, App | BrokenApp | None], Loaded[App | BrokenApp] | None]:
    """The registry as the loader of the cache. It holds each app under its id.

    An app that the registry returns for a name counts only if the name is one of the app's own names.
    """

    def load(ref: AppRef, held: App | BrokenApp | None) -> Loaded[App | BrokenApp] | None:
        try:
            app: object = registry(ref)
        except ConfigError as error:
            _report_broken(reporter, ref, held, error)
            raise AppBroken from None
        if app is None:
            return None
        if isinstance(app, App):
            return _read_app_refs(app, ref)
        if inspect.iscoroutine(app):
            app.close()
        _report_unusable(reporter, ref, held, type(app).__name__)
        raise LoadFailed

    def _read_app_refs(app: App, ref: AppRef) -> Loaded[App | BrokenApp] | None:
        refs = app.refs()
        if ref not in refs:
            # A table that compares without case, and a wildcard, have one app under many names.
            reporter.trouble(
                *(logging.WARNING, app.id, f"unlisted {ref.kind}"),
                "the registry gave the app %s for the %s %r, which is none of the app's names, so requests that use it"
                " are refused as unknown_app; if it is right, add it to the app's %s",
                *(app.id, ref.kind.replace("_", " "), _cut(ref), _SETTING.get(ref.kind, ref.kind)),
            )
            return None
        home = refs[0]
        value: App | BrokenApp = app
        if home in in_code:
            reporter.trouble(
                *(logging.ERROR, app.id, "in code"),
                "the registry gave the app %s, which is in code too and counts as it is there",
                app.id,
            )
            value = in_code[home]
        return Loaded(value, None, home, frozenset(refs[1:]), (app.id, *app.aliases))

    return load


Registry = Callable[[AppRef], App | None]
"""Where apps come from that are not in code: a blocking function from a name to the app, or None where there is none.

It raises `ConfigError` if the app exists and its configuration is not valid, and anything else if it cannot tell. The
app must list the name: its id, an alias, its public key, a host or its issuer.
"""


class AppBroken(LoadFailed):
    """The registry says that the app exists and that its configuration is not valid."""

    permanent = True


_SETTING: Final = {"id": "aliases", "host": "hosts"}
"""The setting of an app that holds a further name of this kind, where it is not called as the kind is."""


def _cut(ref: AppRef) -> str:
    """As much of a name that no configuration confirms as may be logged."""
    longest = _LONGEST_LOGGED.get(ref.kind, 64)
    return ref.value if len(ref.value) <= longest else f"{ref.value[:longest]}…"


def _report_unusable(reporter: Reporter, ref: AppRef, held: App | BrokenApp | None, kind: str) -> None:
    known = held.id if held is not None else None
    reporter.trouble(
        *(logging.ERROR, known, "no app"),
        "the registry returned an object of the type %s for the app %s; it must return an App or None",
        *(kind, known or f"with the {ref.kind} #{short_hash(ref.value)}"),
        unverified=ref.value if known is None else None,
    )


def _report_broken(reporter: Reporter, ref: AppRef, held: App | BrokenApp | None, error: ConfigError) -> None:
    if held is not None and held.id is not None:
        reporter.trouble(
            *(logging.ERROR, held.id, "broken"),
            "app %s: its configuration in the registry is not valid, so the app as it was loaded before is served until"
            " it is older than Limits.app_stale_if_error: %s",
            *(held.id, error),
        )
        return
    reporter.trouble(
        *(logging.ERROR, ref.value if ref.kind == "id" else None, "broken"),
        "the app of the registry with the %s %r is broken, so its requests are refused as config_invalid: %s",
        *(ref.kind.replace("_", " "), _cut(ref), error),
        unverified=ref.value,
    )


_LONGEST_LOGGED: Final = {"publishable_key": 12}  # it may be read where a token is sent, so no more of it is logged
