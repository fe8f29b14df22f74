"""Validation of a gate's apps, locations and registry, and the index of apps by name."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef, is_location
from wicket.errors import Problems
from wicket.keys.algorithms import all_fingerprints
from wicket.settings import Check

_log: Final = logging.getLogger("wicket")

_SHARED: Final = (
    "apps %s and %s accept each other's tokens: same %s and audience."
    " Set app_claim, issuer or audience to separate them."
)


SHARED_ISSUER: Final = BrokenApp(None)
"""The value of the index for an issuer that several apps have: it names none of them."""


def check_apps(problems: Problems, path: str, apps: object) -> tuple[App | BrokenApp, ...]:
    """Return the apps as a tuple. Add a problem for each item that is not an app, and leave it out."""
    valid: list[App | BrokenApp] = []
    for index, app in enumerate(problems.as_tuple(path, apps, "apps")):
        if isinstance(app, (App, BrokenApp)):
            valid.append(app)
        else:
            problems.add(f"{path}[{index}]", "is not an App", "App('acme', …), or profiles.generic('acme', …)")
    return tuple(valid)


def locations_of(kind: type) -> Check:
    """Return a check for locations that satisfy the protocol `kind`: `AppLocation` or `TokenLocation`."""

    def check(problems: Problems, path: str, locations: object) -> tuple[Any, ...]:
        items = problems.as_tuple(path, locations, "locations")
        for index, location in enumerate(items):
            if not is_location(location, kind):
                problems.add(f"{path}[{index}]", f"is not a valid {kind.__name__}", "Header('X-App-Id')")
        return items

    return check


def unique(lists: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the distinct items of all lists, in order."""
    return tuple(dict.fromkeys(item for items in lists for item in items))


def index_apps(
    problems: Problems, apps: Iterable[App | BrokenApp], *, by_issuer: bool
) -> dict[AppRef, App | BrokenApp]:
    """Return the apps by all their names. Add a problem for each name that two apps share.

    Apps may share an issuer. It then names none of them, and the index has `SHARED_ISSUER` for it.

    Args:
        problems: Collects the problems.
        apps: The apps.
        by_issuer: Whether a request can name an app by the token's issuer.
    """
    index: dict[AppRef, App | BrokenApp] = {}
    for app in apps:
        for ref in app.refs():
            if ref.kind == "issuer" and not by_issuer:
                continue
            other = index.setdefault(ref, app)
            if other is app:
                continue
            if ref.kind == "issuer":
                index[ref] = SHARED_ISSUER
            else:
                kind = ref.kind.replace("_", " ")
                apps_named = "two apps" if other.id == app.id else f"the apps {other.id!r} and {app.id!r}"
                problems.add("apps", f"{apps_named} have the {kind} {ref.value!r}", "each name belongs to one app")
    return index


def check_shared_secrets(problems: Problems, apps: Iterable[App | BrokenApp]) -> None:
    """Add a problem if two apps share a secret. Log a warning if they accept each other's tokens by a public key.

    An app that shares a secret with another app can sign tokens for it. Apps that share a public key or a remote key
    set accept each other's tokens if no claim separates them.
    """
    apps_by_key: dict[bytes, list[App]] = {}
    apps_by_key_set: dict[object, list[App]] = {}
    for app in apps:
        if isinstance(app, BrokenApp):
            continue
        for key in (*app.keyring.keys, *(secret.keys[0] for secret in app.hash_secrets)):
            fingerprints = all_fingerprints(key)
            found = (other for fingerprint in fingerprints for other in apps_by_key.get(fingerprint, ()))
            others = dict.fromkeys(other for other in found if other is not app)
            for fingerprint in fingerprints:
                apps_by_key.setdefault(fingerprint, []).append(app)
            for other in others:
                if isinstance(key.material, bytes):
                    message = f"the apps {other.id!r} and {app.id!r} have the same secret"
                    problems.add("apps", message, "create one for each: openssl rand -hex 32")
                elif _interchangeable(app, other):
                    _log.warning(_SHARED, other.id, app.id, "key")
        for source in app.sources:
            for other in apps_by_key_set.setdefault(source.url or source.issuer, []):
                if other is not app and _interchangeable(app, other):
                    _log.warning(_SHARED, other.id, app.id, "key set")
            apps_by_key_set[source.url or source.issuer].append(app)


def _interchangeable(app: App, other: App) -> bool:
    """Return whether no claim of a token tells which of two apps with the same key it belongs to."""
    app_claims_set = app.rules.app_claim is not None and other.rules.app_claim is not None
    issuers_differ = app.issuer is not None and other.issuer is not None and app.issuer != other.issuer
    audience_shared = app.audience == other.audience or bool({*app.audience} & {*other.audience})
    return not app_claims_set and not issuers_differ and audience_shared
