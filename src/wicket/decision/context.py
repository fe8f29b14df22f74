"""What a decision is made in: the house that every request of a gate comes to, and how far one of them has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.locations import (
    AppLocation,
    AppRef,
    Bearer,
    BodyField,
    Header,
    TokenIssuer,
    TokenLocations,
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
"""What is counted of a decision: the app, `allowed`, `anonymous` or the refusal's code, its reason, `enforced`, the
stage, and the marks `limited` and `impatient`.
"""


class GateContext:
    """What the flow may look at: the gate's apps, where to look for names and tokens, and how to tell the time.

    Nobody changes it, but for the roads that requests leave behind.
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
        self.app_locations = app_locations
        self.located_tokens = located_tokens
        self.signature_cache = signature_cache
        self.key_sets = key_sets
        self.mode = mode
        self.clock = clock
        self.limits = limits
        self.load_timeout = limits.log_only_timeout if mode is Mode.LOG_ONLY else limits.load_timeout
        self.by_issuer = any(isinstance(location, TokenIssuer) for location in app_locations)
        self.body_app_locations = tuple(location for location in app_locations if isinstance(location, BodyField))
        self.app_body_types = body_types(app_locations)
        location = app_locations[0] if len(app_locations) == 1 else None
        self.single_app_header = (
            location if type(location) is Header else None
        )  # a class of somebody's own may read otherwise
        self.fast_path: dict[FastPathKey, FastPathEntry] = {}
        self.standalone_contexts: dict[AppRef, StandaloneContext] = {}

    def remember(self, entry: FastPathEntry, key: FastPathKey) -> None:
        """Let the next request that asks so find this road."""
        if len(self.fast_path) >= MAX_FAST_PATH_ENTRIES:
            self.fast_path.clear()
        self.fast_path[key] = entry

    def standalone_context(self, ref: AppRef) -> StandaloneContext | None:
        """How far a token has come that is verified by itself for an app in code whose keys are all at hand."""
        app = self.apps.get(ref)
        if not isinstance(app, App) or app.sources:
            return None
        if len(self.standalone_contexts) >= MAX_FAST_PATH_ENTRIES:
            self.standalone_contexts.clear()
        found = self.standalone_contexts[ref] = StandaloneContext(self, app, ref)
        return found

    def patience_for_keys(self, seconds: float, *, enforced: bool) -> LoadTimeouts:
        """How long a request that has `seconds` waits for a key set: for less long if its app is not enforced."""
        limits = self.limits
        first = seconds if enforced else min(seconds, limits.log_only_timeout)
        longer = None if enforced or first >= limits.load_timeout else limits.load_timeout
        return LoadTimeouts(first, min(first, limits.stale_timeout), longer)

    def mode_of(self, app: App | BrokenApp | None) -> Mode:
        """The mode that counts for an app: the gate's, if it has one. A request of no app is enforced."""
        return self.mode or (app.mode if app is not None else Mode.ENFORCE)


class RequestContext:
    """How far a request has come, for the one place where its end is decided.

    `refs` are the names by which it calls its app; `mode` is the mode of the origin alone where it was that which
    failed, `reported` what log-only let pass of it; `outcome` is what is counted where it is admitted, if that is known
    before; `asked` is the request itself, once it is refused or would be. `body_unread` says why the request's body was
    not read, where it was looked for; `token` is the request's token where it was parsed to find the app.
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
    """How far all tokens have come that are verified by themselves for an app in code; nobody changes it."""

    app: App

    def __init__(self, gate: GateContext, app: App, ref: AppRef) -> None:
        super().__init__(gate, gate.limits.load_timeout, (ref,), app, credentials_sent=True)
        self.outcome_key = (app.id, "allowed", None, True, "gate", False, False)


FastPathKey = tuple[HeaderNames, Any, Any]
"""The header that names the app and the Origin as they were sent, and in which spelling of headers."""


class FastPathEntry(RequestContext):
    """How far all requests have come that name one app by the same header from the same origin, with a token.

    The ordinary request finds steps 1 and 2 done here: their outcome is a matter of these two headers and of an app in
    code, which never changes. It is made when such a request has been admitted, and nobody changes it. `token_header`
    is where the app's token stands behind `scheme`, and `longest` how long both may be. `additions` are the headers
    that the door adds to the answers, once they have been made.
    """

    app: App
    additions: Any = None

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
