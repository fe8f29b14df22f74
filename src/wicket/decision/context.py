"""Gate context and request context: the per-gate and the per-request state of a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, Literal

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.cors import DEFAULT_CORS, GateCORS
from wicket.config.locations import (
    AppLocation,
    AppRef,
    TokenLocation,
    body_types,
    plain_header,
    read_headers,
)
from wicket.config.token_locations import TokenLocations
from wicket.decision.key_selection import KeySets, LoadTimeouts
from wicket.decision.per_app_cache import PerAppCache
from wicket.decision.signature_cache import SignatureCache
from wicket.decision.token_parser import UnverifiedToken
from wicket.errors import Refusal, Refused
from wicket.limits import Limits
from wicket.messages.request import HeaderNames, Request
from wicket.runtime.cache import Cache, Entry

MAX_FAST_PATH_ENTRIES: Final = 32_768
"""The most entries of each cache of the fast path. An entry takes about one KiB."""
MAX_FAST_PATH_ENTRIES_PER_APP: Final = 1_024
"""The most entries of one app. An app that allows any origin can have as many origins as its users choose."""
_MAX_KEY_VALUE: Final = 256
"""The longest value in the key of an entry, in characters."""

ExtractedToken = tuple[str | None, TokenLocation | None]
"""A token and its location; two None if there is no token."""

OutcomeKey = tuple[str | None, str, str | None, bool, Literal["gate", "handler"], bool, bool]
"""The key of one counter of decisions: app ID, `allowed`, `anonymous` or the refusal code, reason, `enforced`, stage,
`limited`, `impatient`.
"""


class GateContext:
    """The configuration and caches of a gate, as the decision flow reads them.

    Only the caches `fast_path`, `standalone_contexts` and `token_refs` change after construction.

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
        realm: The realm of `WWW-Authenticate`.
        error_docs: The URL of the error documentation; None if there is none.
        cors: The CORS settings of the gate.
        load_timeout: The longest wait of a request for its app, in seconds.
        token_app_locations: The app locations that are in the token, in groups. A group counts only if no earlier one
            names an app: the issuer is the last one.
        publishable_keys: The publishable keys of the apps that are configured in code.
        body_app_locations: The app locations that are in the body.
        app_body_types: The media types of a body that may name the app.
        fast_path: The fast path entries.
        standalone_contexts: The contexts of `standalone_context`.
        token_refs: The references in verified tokens that named their app, by the SHA-256 of the token.
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
        realm: str = "wicket",
        error_docs: str | None = None,
        cors: GateCORS = GateCORS(DEFAULT_CORS),  # noqa: B008 - an immutable value
    ) -> None:
        self.apps = apps
        self.only_app = only_app
        self.registry = registry
        self.app_locations = tuple(location.for_app() for location in app_locations)
        self.located_tokens = located_tokens
        self.signature_cache = signature_cache
        self.key_sets = key_sets
        self.mode = mode
        self.clock = clock
        self.limits = limits
        self.realm = realm
        self.error_docs = error_docs
        self.cors = cors
        self.load_timeout = limits.log_only_timeout if mode is Mode.LOG_ONLY else limits.load_timeout
        in_token = [item for item in self.app_locations if item.phase == "token"]
        groups = [tuple(item for item in in_token if (item.kind == "issuer") is last) for last in (False, True)]
        self.token_app_locations = tuple(group for group in groups if group)
        self.publishable_keys = frozenset(ref.value for ref in apps if ref.kind == "publishable_key")
        self.body_app_locations = tuple(item for item in self.app_locations if item.phase == "body")
        self.app_body_types = body_types(app_locations)
        headers: list[tuple[str, str, int]] = []
        others: list[int] = []
        for index, item in enumerate(self.app_locations):
            header = plain_header(item)
            if header is not None:
                headers.append((*header, index))
            # A location in the body or the token has no value in a request that the fast path decides, unless a
            # subclass overrides `read`.
            elif item.phase not in ("body", "token") or read_headers(item) is None:
                others.append(index)
        self._app_headers, self._other_locations = tuple(headers), tuple(others)
        self._by_one_header = not others and [prefix for _, prefix, _ in headers] == [""]
        self._header_keys: dict[HeaderNames, tuple[tuple[Any, Any, int], ...]] = {}
        bounds = MAX_FAST_PATH_ENTRIES, MAX_FAST_PATH_ENTRIES_PER_APP
        self.fast_path: PerAppCache[FastPathEntry] = PerAppCache(*bounds)
        self.standalone_contexts: PerAppCache[StandaloneContext] = PerAppCache(*bounds)
        self.token_refs: PerAppCache[tuple[AppRef, ...]] = PerAppCache(*bounds)

    def read_names(self, request: Request, known: Mapping[int, str | None]) -> list[str | None]:
        """Return the values of all app locations, in their order.

        Args:
            request: The request.
            known: The values that were read before, by the index of the location.

        Raises:
            Refused: A location cannot be read.
        """
        if not known:
            return [item.read(request) for item in self.app_locations]
        return [known[index] if index in known else item.read(request) for index, item in enumerate(self.app_locations)]

    def _name_at(self, index: int, request: Request, known: dict[int, str | None]) -> str | None:
        """Return the value of one app location. Read it once, because any client can send an expensive value.

        Raises:
            Refused: The first refusal of an app location, in the order of the locations.
        """
        if index in known:
            return known[index]
        try:
            value = known[index] = self.app_locations[index].read(request)
        except Refused:
            self.read_names(request, {**dict.fromkeys(range(index, len(self.app_locations))), **known})
            raise
        return value

    def fast_path_key(self, request: Request, names: dict[int, str | None]) -> FastPathKey:
        """Return all that steps 1 and 2 read of a request whose app is not named in its body or by its token.

        Args:
            request: The request.
            names: The values of app locations that were read before, by the index of the location. The values that
                this method reads are added.

        Raises:
            Refused: An app location cannot be read.
        """
        form = request.header_names
        keys = self._header_keys.get(form)
        if keys is None:
            keys = self._header_keys[form] = self._keys_of(form)
        get = request.raw_headers.get
        if self._by_one_header:
            return (form, get(form["origin"]), get(keys[0][0]))
        parts: list[Any] = [form, get(form["origin"])]
        for key, prefix, index in keys:
            value = get(key)
            parts.append(value if value is None or value.startswith(prefix) else self._name_at(index, request, names))
        for index in self._other_locations:
            parts.append(self._name_at(index, request, names))
        return tuple(parts)

    def _keys_of(self, form: HeaderNames) -> tuple[tuple[Any, Any, int], ...]:
        """Return the keys and prefixes of the app headers, in the form that the server uses, and their indexes."""
        keys = [(form[name], prefix, index) for name, prefix, index in self._app_headers]
        return tuple((key, prefix.encode() if isinstance(key, bytes) else prefix, index) for key, prefix, index in keys)

    def is_current(self, context: FastPathEntry | StandaloneContext) -> bool:
        """Return whether the app of `context` is configured in code, or the registry's cache still has this value."""
        held = context.cache_entry
        return held is None or (self.registry is not None and self.registry.fresh_entry(context.refs[0]) is held)

    def remember(self, request: Request, ctx: RequestContext, token: str) -> None:
        """Add the result of steps 1 and 2 for an allowed request to the fast path, if other requests may use it.

        Other requests may use it if only locations outside the body named the app, and if the app is configured in
        code or is fresh in the registry's cache. If the token named the app, the references in these bytes are kept.

        Args:
            request: The request. It has a verified identity.
            ctx: The context of the request.
            token: The verified token.
        """
        app, refs, names = ctx.app, tuple(ctx.refs), ctx.names
        if type(app) is not App:  # a subclass may override what is kept here
            return
        if ctx.token is not None and ctx.token.text == token:
            self.token_refs.add(app, sha256(token.encode()).digest(), refs)
        if names is None or request.document is not None or ctx.unenforced_refusal is not None:
            return
        if len(refs) > 1 and not set(refs) <= set(app.refs()):
            return
        held: Entry[App | BrokenApp] | None = None
        if refs and refs[0] not in self.apps:
            held = None if self.registry is None else self.registry.fresh_entry(refs[0])
            if held is None or held.value is not app:
                return
        key = self.fast_path_key(request, dict(enumerate(names)))
        if all(value is None or (type(value) in (str, bytes) and len(value) <= _MAX_KEY_VALUE) for value in key[1:]):
            self.fast_path.add(app, key, FastPathEntry(self, app, refs, ctx.origin, request.header_names, held))

    def standalone_context(self, ref: AppRef) -> StandaloneContext | None:
        """Return the shared context for the verification of tokens without a request.

        Returns:
            The context; None if the app is not configured in code and the registry's cache does not have it, or must
            load it again.
        """
        context = self.standalone_contexts.entries.get(ref)
        if context is not None and self.is_current(context):
            return context
        app, held = self.apps.get(ref), None
        if app is None and self.registry is not None:
            held = self.registry.fresh_entry(ref)
            app = None if held is None else held.value
        if type(app) is not App:
            return None
        context = StandaloneContext(self, app, ref, held)
        self.standalone_contexts.add(app, ref, context)
        return context

    def clear_app(self, app_id: str) -> None:
        """Remove everything that is kept about one app."""
        for cache in (self.fast_path, self.standalone_contexts, self.token_refs):
            cache.clear_app(app_id)

    def after_fork(self) -> None:
        """Replace the locks in a forked child."""
        for cache in (self.fast_path, self.standalone_contexts, self.token_refs):
            cache.after_fork()

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
        naming_token: The token that names the app, as it was sent; None if the token does not name it.
        names: The values of the gate's app locations; None if they were not read, or if other values named the app.
        names_read: Whether the app locations outside the body and the token were read.
        origin_checked: Whether steps 1 and 2 are done.
        gate_token: The token outside the body and its location, by the gate's locations; None if they were not read.
        app_token: The same, by the app's locations.
    """

    request: Request | None = None
    mode: Mode | None = None
    unenforced_refusal: Refusal | None = None
    origin: str | None = None
    outcome_key: OutcomeKey | None = None
    body_unread: str | None = None
    token: UnverifiedToken | None = None
    naming_token: str | None = None
    names: list[str | None] | None = None
    names_read: bool = False
    origin_checked: bool = False
    gate_token: ExtractedToken | None = None
    app_token: ExtractedToken | None = None

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
    """The shared state of all verifications of tokens without a request, for one app. It never changes.

    Attributes:
        cache_entry: The entry of the registry's cache that has the app; None for an app in code.
    """

    app: App

    def __init__(self, gate: GateContext, app: App, ref: AppRef, cache_entry: Entry[App | BrokenApp] | None) -> None:
        super().__init__(gate, gate.limits.load_timeout, (ref,), app, credentials_sent=True)
        self.cache_entry = cache_entry
        self.outcome_key = (app.id, "allowed", None, True, "gate", False, False)


FastPathKey = tuple[Any, ...]
"""The form of the header names, `Origin` and the app headers as they were sent, the values of the other locations."""


class FastPathEntry(RequestContext):
    """The cached result of steps 1 and 2, which all requests with the same key share.

    Both steps depend only on the values of the key and on the app. The entry is created after the first request with a
    verified identity.

    Attributes:
        cache_entry: The entry of the registry's cache that has the app; None for an app in code.
        enforced: Whether the app is enforced.
        token_header: The key of the header that is read first; None if the app's tokens are in no header.
        prefix: The string or bytes that precede the token in `token_header`.
        prefix_length: The length of `prefix` in characters.
        max_length: The largest length of prefix and token, in characters.
        besides_main: The other locations outside the body and cookies. The fast path requires that they have no token.
        cors_headers: The CORS headers of the response, once they have been computed.
    """

    app: App
    cors_headers: Any = None

    def __init__(
        self,
        gate: GateContext,
        app: App,
        refs: tuple[AppRef, ...],
        origin: str | None,
        header_names: HeaderNames,
        cache_entry: Entry[App | BrokenApp] | None,
    ) -> None:
        super().__init__(gate, gate.load_timeout, refs, app, credentials_sent=True)
        self.origin = origin
        self.cache_entry = cache_entry
        self.enforced = gate.mode_of(app) is Mode.ENFORCE
        self.outcome_key = (app.id, "allowed", None, self.enforced, "gate", False, False)
        locations = app.located_tokens
        prefix = locations.main_prefix
        main = locations.main_header
        self.token_header = None if main is None else header_names[main]
        self.prefix: str | bytes = prefix.encode() if isinstance(self.token_header, bytes) else prefix
        self.prefix_length = len(prefix)
        self.max_length = app.rules.max_token_bytes + len(prefix)
        self.besides_main = locations.besides_main

    def for_request(self) -> RequestContext:
        """Return the context of one request, after steps 1 and 2."""
        ctx = RequestContext(self.gate, self.load_timeout, self.refs, self.app)
        ctx.origin, ctx.names_read, ctx.origin_checked = self.origin, True, True
        return ctx
