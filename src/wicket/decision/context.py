"""Gate context and request context: the per-gate and the per-request state of a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.locations import (
    AppLocation,
    AppNameInBody,
    AppRef,
    Bearer,
    Header,
    JsonBody,
    TokenIssuer,
    TokenLocations,
    as_app_location,
    body_types,
)
from wicket.decision.key_selection import KeySets, LoadTimeouts
from wicket.decision.signature_cache import SignatureCache
from wicket.decision.token_parser import UnverifiedToken
from wicket.errors import Refusal
from wicket.limits import Limits
from wicket.messages.request import HeaderNames, Request
from wicket.runtime.cache import Cache

MAX_FAST_PATH_ENTRIES: Final = 4_096

OutcomeKey = tuple[str | None, str, str | None, bool, Literal["gate", "handler"], bool, bool]
"""The key of one counter of decisions: app ID, `allowed`, `anonymous` or the refusal code, reason, `enforced`, stage,
`limited`, `impatient`.
"""


class GateContext:
    """The configuration and caches of a gate, as the decision flow reads them.

    Only the two caches `fast_path` and `standalone_contexts` change after construction.

    Attributes:
        apps: The apps that are configured in code, by each of their references.
        only_app: The app of a request that names none; None if such a request is refused.
        registry: The cache of the apps that are loaded; None without a registry.
        app_locations: The locations in a request that may name its app.
        located_tokens: The locations of the token for a request that names no app.
        signature_cache: The tokens whose signature was verified.
        key_sets: The remote key sets.
        mode: The mode that overrides the mode of every app; None if each app's own mode applies.
        clock: The current time, in seconds since 1970.
        limits: The limits of the gate.
        load_timeout: The longest wait of a request for its app, in seconds.
        by_issuer: Whether the issuer of a token may name the app.
        body_app_locations: The app locations that are in the body.
        app_body_types: The media types of a body that may name the app.
        single_app_header: The header that names the app, if there is no other app location; else None.
        fast_path: The fast path entries, at most `MAX_FAST_PATH_ENTRIES`.
        standalone_contexts: The contexts of `standalone_context`, at most `MAX_FAST_PATH_ENTRIES`.
    """

    def __init__(
        self,
        *,
        apps: Mapping[AppRef, App | BrokenApp],
        only_app: App | BrokenApp | None,
        registry: Cache[AppRef, App | BrokenApp] | None,
        app_locations: tuple[AppLocation, ...],
        located_tokens: TokenLocations,
        signature_cache: SignatureCache,
        key_sets: KeySets,
        mode: Mode | None,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        self.apps = apps
        self.only_app = only_app
        self.registry = registry
        self.app_locations = tuple(as_app_location(location) for location in app_locations)
        self.located_tokens = located_tokens
        self.signature_cache = signature_cache
        self.key_sets = key_sets
        self.mode = mode
        self.clock = clock
        self.limits = limits
        self.load_timeout = limits.log_only_timeout if mode is Mode.LOG_ONLY else limits.load_timeout
        self.by_issuer = any(isinstance(location, TokenIssuer) for location in app_locations)
        self.body_app_locations = tuple(
            item for item in self.app_locations if isinstance(item, (AppNameInBody, JsonBody))
        )
        self.app_body_types = body_types(app_locations)
        location = app_locations[0] if len(app_locations) == 1 else None
        # A subclass of Header may read the request differently.
        self.single_app_header = location if type(location) is Header else None
        self.fast_path: dict[FastPathKey, FastPathEntry] = {}
        self.standalone_contexts: dict[AppRef, StandaloneContext] = {}

    def remember(self, entry: FastPathEntry, key: FastPathKey) -> None:
        """Add `entry` to the fast path. A full cache is cleared first."""
        if len(self.fast_path) >= MAX_FAST_PATH_ENTRIES:
            self.fast_path.clear()
        self.fast_path[key] = entry

    def standalone_context(self, ref: AppRef) -> StandaloneContext | None:
        """Return the shared context for the verification of tokens without a request.

        Returns:
            The context; None if the app is not configured in code or has remote key sets.
        """
        app = self.apps.get(ref)
        if not isinstance(app, App) or app.sources:
            return None
        if len(self.standalone_contexts) >= MAX_FAST_PATH_ENTRIES:
            self.standalone_contexts.clear()
        context = self.standalone_contexts[ref] = StandaloneContext(self, app, ref)
        return context

    def key_load_timeouts(self, seconds: float, *, enforced: bool) -> LoadTimeouts:
        """Return how long a request waits for a key set.

        Args:
            seconds: The longest wait of the request, in seconds.
            enforced: Whether the app is enforced. If it is not, the wait is at most `limits.log_only_timeout`.
        """
        limits = self.limits
        initial = seconds if enforced else min(seconds, limits.log_only_timeout)
        enforced_timeout = None if enforced or initial >= limits.load_timeout else limits.load_timeout
        return LoadTimeouts(initial, min(initial, limits.stale_timeout), enforced_timeout)

    def mode_of(self, app: App | BrokenApp | None) -> Mode:
        """Return the mode of the gate, or else of the app. A request without an app is enforced."""
        return self.mode or (app.mode if app is not None else Mode.ENFORCE)


class RequestContext:
    """The state of the decision about one request.

    Attributes:
        gate: The gate that decides.
        load_timeout: The longest wait for the app, in seconds.
        refs: The references by which the request names its app.
        app: The app, once it is known.
        credentials_sent: Whether the request carries a token or an identity hash.
        request: The request, if it is refused or would be refused in enforce mode.
        mode: The mode of the origin check, if that check refuses the request; else None.
        unenforced_refusal: The refusal of the origin, if the origin mode is log-only.
        origin: The value of the header `Origin`.
        outcome_key: The counter of an allowed request, if it is known in advance.
        body_unread: A sentence that says why the body was not read, if the app or token was looked for in it.
        token: The token, if it was parsed to find the app.
    """

    request: Request | None = None
    mode: Mode | None = None
    unenforced_refusal: Refusal | None = None
    origin: str | None = None
    outcome_key: OutcomeKey | None = None
    body_unread: str | None = None
    token: UnverifiedToken | None = None

    def __init__(
        self,
        gate: GateContext,
        load_timeout: float,
        refs: list[AppRef] | tuple[AppRef, ...] = (),
        app: App | BrokenApp | None = None,
        *,
        credentials_sent: bool = False,
    ) -> None:
        self.gate = gate
        self.load_timeout = load_timeout
        self.refs = refs
        self.app = app
        self.credentials_sent = credentials_sent


class StandaloneContext(RequestContext):
    """The shared state of all verifications of tokens without a request, for one app that is configured in code.

    It never changes.
    """

    app: App

    def __init__(self, gate: GateContext, app: App, ref: AppRef) -> None:
        super().__init__(gate, gate.limits.load_timeout, (ref,), app, credentials_sent=True)
        self.outcome_key = (app.id, "allowed", None, True, "gate", False, False)


FastPathKey = tuple[HeaderNames, Any, Any]
"""The form of the header names, and the values of the app header and of `Origin` as they were sent."""


class FastPathEntry(RequestContext):
    """The cached result of steps 1 and 2 for one pair of app header and `Origin`.

    Both steps depend only on these two headers and on an app in code, which never changes. The entry is created after
    the first allowed request.

    Attributes:
        token_header: The header that carries the app's token.
        prefix: The string or bytes that precede the token in `token_header`.
        prefix_length: The length of `prefix` in characters.
        max_length: The largest length of prefix and token, in characters.
        enforced: Whether the app is enforced.
        cors_headers: The CORS headers of the response, once the middleware has computed them.
    """

    app: App
    cors_headers: Any = None

    def __init__(
        self, gate: GateContext, app: App, origin: str | None, location: Bearer | Header, header_names: HeaderNames
    ) -> None:
        super().__init__(gate, gate.load_timeout, app=app, credentials_sent=True)
        self.origin = origin
        self.enforced = gate.mode_of(app) is Mode.ENFORCE
        self.outcome_key = (app.id, "allowed", None, self.enforced, "gate", False, False)
        name, prefix = ("authorization", "Bearer ") if isinstance(location, Bearer) else (location.name, "")
        self.token_header = header_names[name]
        self.prefix: str | bytes = prefix.encode() if isinstance(self.token_header, bytes) else prefix
        self.prefix_length = len(prefix)
        self.max_length = app.rules.max_token_bytes + len(prefix)
