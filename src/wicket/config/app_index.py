"""Which apps, places and registry a gate may be built from: what is wrong with them is said all at once."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef, is_location
from wicket.errors import ConfigError, Problems
from wicket.reporting.events import Reporter, short_hash
from wicket.runtime.cache import Loaded, LoadFailed

_log: Final = logging.getLogger("wicket")
_LONGEST_LOGGED: Final = {"publishable_key": 12}  # it may be read where a token is sent, so no more of it is logged

Registry = Callable[[AppRef], App | None]
"""Where apps come from that are not in code: a blocking function from a name to the app, or None where there is none.

It raises `ConfigError` if the app exists and its configuration is not valid, and anything else if it cannot tell. The
app must list the name: its id, an alias, its public key, a host or its issuer.
"""


def validate_apps(problems: Problems, apps: Iterable[App | BrokenApp]) -> tuple[App | BrokenApp, ...]:
    """The apps of a gate."""
    held: list[App | BrokenApp] = []
    for index, app in enumerate(problems.as_tuple("apps", apps, "apps")):
        if isinstance(app, (App, BrokenApp)):
            held.append(app)
        else:
            problems.add(f"apps[{index}]", "is not an App")
    return tuple(held)


def validate_locations(
    problems: Problems, path: str, given: object, kind: type, otherwise: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The places that are given, or `otherwise`."""
    places = otherwise if given is None else problems.as_tuple(path, given, "places")
    for index, place in enumerate(places):
        if not is_location(place, kind):
            problems.add(f"{path}[{index}]", "is not a place that can be read there", "Header('X-App-Id')")
    return places


def unique(lists: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    """All that stands in one of the lists, once, in order."""
    return tuple(dict.fromkeys(each for places in lists for each in places))


def check_registry(problems: Problems, registry: object, naming: object) -> None:
    """A registry is a plain function, and needs the naming stated."""
    if registry is None:
        return
    if not callable(registry):
        problems.add("registry", "must be a function from an AppRef to an App or None")
    elif inspect.iscoroutinefunction(registry) or inspect.iscoroutinefunction(type(registry).__call__):
        problems.add(
            "registry",
            "must not be async: it runs on a thread of the gate, for ASGI and WSGI alike, where no event loop runs",
            "give a plain function with a synchronous driver",
        )
    if naming is None:
        problems.add("naming", "must be stated where a registry loads the apps", "[Header('X-App-Id')]")


def index_apps(
    problems: Problems, apps: Iterable[App | BrokenApp], *, by_issuer: bool
) -> dict[AppRef, App | BrokenApp]:
    """The apps by their names, which are unique across apps; an issuer is one where the naming says so."""
    index: dict[AppRef, App | BrokenApp] = {}
    for app in apps:
        for ref in app.refs():
            if ref.kind == "issuer" and not by_issuer:
                continue
            if index.setdefault(ref, app) is not app:
                problems.add("apps", f"two apps have the {ref.kind.replace('_', ' ')} {ref.value!r}")
    return index


def check_shared_secrets(problems: Problems, apps: Iterable[App | BrokenApp]) -> None:
    """The same secret in two apps lets each sign for the other; the same public key can, without a claim that binds."""
    owners: dict[bytes, list[App]] = {}
    places: dict[object, list[App]] = {}
    for app in apps:
        if isinstance(app, BrokenApp):
            continue
        hashed = app.identity_hash.secrets if app.identity_hash is not None else ()
        for key in (*app.keyring.keys, *(secret.keys[0] for secret in hashed)):
            others = [other for other in owners.setdefault(key.fingerprint, []) if other is not app]
            owners[key.fingerprint].append(app)
            for other in others:
                if isinstance(key.material, bytes):
                    problems.add("apps", f"the apps {other.id!r} and {app.id!r} have the same secret")
                elif _interchangeable(app, other):
                    _log.warning(
                        "apps %s and %s share a key and an audience: a token of one is one of the other",
                        other.id,
                        app.id,
                    )
        for source in app.sources:
            for other in places.setdefault(source.url or source.issuer, []):
                if other is not app and _interchangeable(app, other):
                    _log.warning(
                        "apps %s and %s share a key set and an audience: a token of one is one of the other",
                        other.id,
                        app.id,
                    )
            places[source.url or source.issuer].append(app)


def _interchangeable(app: App, other: App) -> bool:
    """Whether nothing in a token tells which of two apps with the same key it is for."""
    bound = app.rules.app_claim is not None and other.rules.app_claim is not None
    apart = app.issuer is not None and other.issuer is not None and app.issuer != other.issuer
    return not bound and not apart and (app.audience == other.audience or bool({*app.audience} & {*other.audience}))


class AppBroken(LoadFailed):
    """The registry says that the app exists and that its configuration is not valid."""

    permanent = True


_SETTING: Final = {"id": "aliases", "host": "hosts"}
"""The setting of an app that holds a further name of this kind, where it is not called as the kind is."""


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
