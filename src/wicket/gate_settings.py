"""The settings of a gate, and the warnings about them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.app_index import (
    check_apps,
    check_shared_secrets,
    index_apps,
    locations_of,
    unique,
)
from wicket.config.cors import CORS, DEFAULT_CORS
from wicket.config.locations import AppLocation, AppRef, Bearer, TokenLocation
from wicket.config.network import Network
from wicket.errors import Problems
from wicket.jwks.fetcher import Fetcher
from wicket.keys import Jwks
from wicket.limits import Limits
from wicket.registry.async_registry import AsyncLookup, AsyncRegistry, is_async_function
from wicket.registry.extensions import Extensions, check_extensions
from wicket.registry.loader import Registry
from wicket.reporting.events import OnEvent
from wicket.settings import check_settings, instance_of, is_sync_function, or_none, satisfies, setting

_log: Final = logging.getLogger("wicket")


def _is_identifier(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()


_string: Final = or_none(instance_of(str, "a string"))
_function: Final = satisfies(callable, "must be a function")


def _check_fetcher(problems: Problems, path: str, value: Any) -> Any:
    if is_async_function(value):
        problems.add(path, "must not be async: it runs on a thread of the gate", "use a synchronous HTTP client")
    return _function(problems, path, value)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The settings of one gate, which are the arguments of `Gate`.

    Attributes:
        index: The configured apps by each of their names.
        takes_first: Whether the first token counts before the app is known: if every configured app says so.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
    """

    apps: tuple[App | BrokenApp, ...] = setting(check_apps, default=(), form=None)
    """The apps that are configured in code or in a file."""
    _: KW_ONLY
    registry: Registry | AsyncRegistry | AsyncLookup | None = setting(
        or_none(
            satisfies(
                lambda value: callable(value) or isinstance(value, AsyncRegistry),
                "must be a function that takes an AppRef and returns an App or None, or AsyncRegistry",
            )
        ),
        default=None,
        form=None,
    )
    """Loads further apps by name. A blocking function runs on a thread of the gate. An `AsyncRegistry` runs on an event
    loop of the gate. An async function runs on the event loop of the request that needs the app; the methods that
    block, and WSGI, then raise `ConfigError`."""
    app_locations: tuple[AppLocation, ...] = setting(
        or_none(locations_of(AppLocation)), default=None, form="app_locations"
    )
    """Where a request can name its app. None: the locations of all apps. It is required if there is a registry."""
    token_locations: tuple[TokenLocation, ...] = setting(
        or_none(locations_of(TokenLocation)), default=None, form="token_locations"
    )
    """Where a token is looked for before its app is known. None: the locations of all apps, or else `Bearer()`."""
    mode: Mode | None = setting(
        or_none(instance_of(Mode, "Mode.ENFORCE, Mode.LOG_ONLY or None")), default=None, form="mode"
    )
    """Overrides the mode of every app."""
    name: str = setting(
        satisfies(_is_identifier, "must be an identifier", "it is the gate's key in the application's state"),
        default="wicket",
    )
    """The gate's key in the application's state, and its name in logs and events. It must be an identifier."""
    realm: str = setting(_string, default=None)
    """The realm of `WWW-Authenticate` (RFC 9110 section 11.5). None: `name`."""
    error_docs: str | None = setting(_string, default=None)
    """A URL. The `type` of a problem document (RFC 9457 section 3.1.1) is this URL plus the code."""
    on_event: OnEvent | None = setting(
        or_none(satisfies(is_sync_function, "must be a function of one event that is not async")),
        default=None,
        form=None,
    )
    """Called synchronously with each event. An exception that it raises is logged and ignored."""
    clock: Callable[[], float] = setting(
        satisfies(callable, "must be a function that returns the seconds since 1970"), default=time.time, form=None
    )
    """Returns the current time in seconds since 1970. The times of tokens are compared with it."""
    limits: Limits = setting(instance_of(Limits, "a Limits object"), default=Limits(), form="limits")
    """The numeric limits of the gate."""
    network: Network | None = setting(or_none(instance_of(Network, "a Network")), default=None, form="network")
    """The addresses and ports that key-set fetches may use in addition to public addresses and the ports 443 and 8443,
    and rules for single origins."""
    fetcher: Fetcher | None = setting(or_none(_check_fetcher), default=None, form=None)
    """Replaces the fetcher of key sets, and with it every check of `network`. A warning says so. It must not be
    async."""
    cors: CORS = setting(instance_of(CORS, "CORS"), default=DEFAULT_CORS, form="cors")
    """The CORS settings of apps without their own."""
    monotonic: Callable[[], float] = setting(_function, default=time.monotonic, form=None)
    """Returns seconds that never go backwards. The age of cache entries is measured with it."""
    extensions: Extensions = setting(check_extensions, default=None, form="extensions")
    """Functions by name that make the locations, and format the errors, which app tables name."""
    index: dict[AppRef, App | BrokenApp] = field(init=False, repr=False)
    takes_first: bool = field(init=False, repr=False)

    if TYPE_CHECKING:  # the dataclass has the real one, whose parameters are the settings

        def __init__(self, apps: Iterable[App | BrokenApp] = ..., **settings: Unpack[GateOptions]) -> None: ...

    def __post_init__(self) -> None:
        problems = Problems()
        check_settings(problems, self)
        apps, given = self.apps, self.app_locations
        if self.registry is not None and given is None:
            problems.add("app_locations", "must be set if a registry loads the apps", "[Header('X-App-Id')]")
        # The locations of a broken app are included: its requests must reach it to be refused as `config_invalid`.
        app_locations = unique(app.app_locations for app in apps) if given is None else given
        if len(apps) > 1 and not app_locations:
            problems.add("app_locations", "must not be empty if the gate has several apps", "[Header('X-App-Id')]")
        by_issuer = any(getattr(location, "kind", None) == "issuer" for location in app_locations)
        index = index_apps(problems, apps, by_issuer=by_issuer)
        check_shared_secrets(problems, apps)
        problems.raise_if_any()
        token_locations: Any = self.token_locations
        if token_locations is None:
            token_locations = unique(app.token_locations for app in apps) or (Bearer(),)
        computed = {
            "index": index,
            "takes_first": bool(apps) and all(getattr(app, "token_precedence", "") == "first" for app in apps),
            "app_locations": app_locations,
            "token_locations": token_locations,
            "realm": self.realm or self.name,
        }
        for name, value in computed.items():
            object.__setattr__(self, name, value)


class GateOptions(TypedDict, total=False):
    """The settings of `GateSettings` other than `apps`, for type checkers."""

    registry: Registry | AsyncRegistry | AsyncLookup | None
    app_locations: Iterable[AppLocation] | None
    token_locations: Iterable[TokenLocation] | None
    mode: Mode | None
    name: str
    realm: str | None
    error_docs: str | None
    on_event: OnEvent | None
    clock: Callable[[], float]
    limits: Limits
    network: Network | None
    fetcher: Fetcher | None
    cors: CORS
    monotonic: Callable[[], float]
    extensions: Extensions | None


def log_config_warnings(settings: GateSettings) -> None:
    """Log a warning for each setting of a gate that is valid and probably not meant."""
    apps, name, mode = settings.apps, settings.name, settings.mode
    if settings.fetcher is not None:
        _log.warning(
            "gate %s: fetcher replaces the protection against SSRF: it alone decides which addresses, ports and"
            " redirects are followed, and network is not used",
            name,
        )
    if mode is not None:
        _log.warning("gate %s: the mode %s overrides the mode of every app", name, mode.value)
    if not apps and settings.registry is None:
        _log.warning("gate %s: it has no apps and no registry, so every request is refused", name)
    kinds = {location.kind for location in settings.app_locations}
    for app in apps:
        if len(apps) > 1 and not kinds & {ref.kind for ref in app.refs() if settings.index.get(ref) is app}:
            _log.warning("app %s: no app location of the gate can name it", app.id)
        for index, credential in enumerate(app.credentials if isinstance(app, App) else ()):
            skipped = credential.skipped if isinstance(credential, Jwks) else ()
            if skipped:
                _log.warning("app %s: credentials[%d]: keys are not used: %s", app.id, index, "; ".join(skipped))
        if isinstance(app, App) and not app.origins and (mode or app.mode) is Mode.ENFORCE:
            _log.warning("app %s: it has no origins, so every origin is allowed", app.id)
