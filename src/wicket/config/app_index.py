"""Which apps, places and registry a gate may be built from: what is wrong with them is said all at once."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from typing import Any, Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef, is_location
from wicket.errors import Problems

_log: Final = logging.getLogger("wicket")


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
