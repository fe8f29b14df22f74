"""The gate: it holds the apps, the caches and the pools, and answers each request."""

from __future__ import annotations

import inspect
import logging
import os
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict
from types import TracebackType
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
from wicket.config.locations import (
    AppLocation,
    AppRef,
    Bearer,
    TokenIssuer,
    TokenLocation,
    TokenLocations,
    _fast_app_ref,
)
from wicket.config.network import Network
from wicket.decision.context import GateContext
from wicket.decision.decision import Decision
from wicket.decision.fast_path import decide_fast
from wicket.decision.flow import check_origin, decide, verify, verify_configured
from wicket.decision.io import Effect, arun, run
from wicket.decision.key_selection import KeySelection, KeySets, select_keys
from wicket.decision.revalidation import revalidate
from wicket.decision.signature import Verification
from wicket.decision.signature_cache import SignatureCache
from wicket.decision.token_parser import UnverifiedToken
from wicket.errors import Problems, Refusal
from wicket.jwks.fetcher import Fetcher
from wicket.jwks.lazy_fetcher import LazyFetcher
from wicket.jwks.loader import KeySetLoader
from wicket.keys.key_set import FetchedKeySet, KeySetRef, KeySource
from wicket.keys.kid_limiter import UnknownKidLimiter
from wicket.keys.waiters import Waiters
from wicket.keys.weak_keys import RSABounds
from wicket.limits import Limits
from wicket.messages.request import Request
from wicket.registry.loader import Registry, registry_loader
from wicket.reporting.events import KeySetFetched, OnEvent, OutcomeCount
from wicket.reporting.reporter import Reporter
from wicket.runtime.cache import Cache, Lifetimes, Loaded, LoadFailed
from wicket.runtime.pool import Pool

_log: Final = logging.getLogger("wicket")

_gates: weakref.WeakSet[Gate] = weakref.WeakSet()


class Gate:
    """Holds apps and caches, and answers each request with a Decision. Thread-safe, and at home in any event loop.

    `apps` are those in code; `registry` loads others by name, on a thread of the gate's own. `naming` are the places
    where a request names its app: by default those of the apps' profiles; a registry needs it stated. `tokens` are
    the places where a token is looked for before its app is known. `mode` overrides that of every app. `on_event` is
    called with each event, synchronously. `clock` gives the time of day in seconds since 1970, by which tokens are
    judged, and `monotonic` the seconds by which caches age. `network` says what fetches of key sets may reach besides
    public addresses, and `fetcher` replaces them by a function of one's own. `error_docs` is a URL to which the code
    of a refusal is added to form its `type` (RFC 9457).

    Raises `ConfigError` with every problem, each with the path to its field.
    """

    def __init__(
        self,
        apps: Iterable[App | BrokenApp] = (),
        *,
        registry: Registry | None = None,
        app_locations: Iterable[AppLocation] | None = None,
        token_locations: Iterable[TokenLocation] | None = None,
        mode: Mode | None = None,
        name: str = "wicket",
        realm: str | None = None,
        error_docs: str | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], float] = time.time,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        network: Network | None = None,
        fetcher: Fetcher | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        problems = Problems()
        held = validate_apps(problems, apps)
        # A broken app's places count too: its requests must find it, to be told what is wrong.
        places = validate_locations(
            problems, "app_locations", app_locations, AppLocation, unique(app.app_locations for app in held)
        )
        token_locations = validate_locations(
            problems,
            "token_locations",
            token_locations,
            TokenLocation,
            unique(app.token_locations for app in held) or (Bearer(),),
        )
        self.app_locations: tuple[AppLocation, ...] = places
        self.token_locations: tuple[TokenLocation, ...] = token_locations
        check_registry(problems, registry, app_locations)
        if len(held) > 1 and not places:
            problems.add(
                "app_locations", "must say how a request names its app, since there are several", "[Header('X-App-Id')]"
            )
        if mode is not None and not isinstance(mode, Mode):
            problems.add("mode", "must be Mode.ENFORCE, Mode.LOG_ONLY or None")
        for setting, value in (("realm", realm), ("error_docs", error_docs)):
            if value is not None and not isinstance(value, str):
                problems.add(setting, "must be a text")
        hook: object = on_event
        if hook is not None and (not callable(hook) or inspect.iscoroutinefunction(hook)):
            problems.add("on_event", "must be a plain function of one event")
        if not callable(clock):
            problems.add("clock", "must be a function that gives the seconds since 1970")
        if network is not None and not isinstance(network, Network):
            problems.add("network", "must be a Network")
        for setting, function in (("fetcher", fetcher), ("monotonic", monotonic)):
            if function is not None and not callable(function):
                problems.add(setting, "must be a function")
        if not isinstance(limits, Limits):
            problems.add("limits", "must be Limits")
        if not isinstance(name, str) or not name.isidentifier():
            problems.add("name", "must be an identifier", "it names the gate's place in the application's state")
        index_of = index_apps(problems, held, by_issuer=any(isinstance(place, TokenIssuer) for place in places))
        check_shared_secrets(problems, held)
        problems.raise_if_any()

        self._held = held
        self.name = name
        self.environ_names = (f"{name}.decision", f"{name}.identity", f"{name}.gate")
        self.realm = realm or name
        self.error_docs = error_docs
        self.clock = clock
        self.limits = limits
        self._reporter = Reporter(name, on_event, limits.max_outcomes)
        self._memory = SignatureCache(
            total=limits.signature_cache_size,
            per_app=limits.signature_cache_per_app,
            max_bytes=limits.signature_cache_max_token_bytes,
        )
        # Two pools: what the operator controls never waits for what tenants control.
        self._pool = Pool(f"{name}-registry", threads=limits.registry_threads, queue=limits.registry_queue)
        self._fetches = Pool(
            f"{name}-fetch", threads=limits.fetch_threads, queue=limits.fetch_queue, per_group=limits.fetch_per_host
        )
        self._monotonic = monotonic
        self._registry = None if registry is None else self._build_registry_cache(registry, index_of)
        self._fetcher = LazyFetcher(network or Network(), limits, lambda: self._fetches.has_backlog)
        self._key_sets = self._build_key_set_cache(fetcher or self._fetcher)
        self._context = GateContext(
            apps=index_of,
            only_app=held[0] if len(held) == 1 and registry is None else None,
            registry=self._registry,
            app_locations=places,
            located_tokens=TokenLocations(token_locations),
            signature_cache=self._memory,
            key_sets=self._key_sets,
            mode=mode,
            clock=clock,
            limits=limits,
        )
        _gates.add(self)
        self._log_config_warnings(held)

    # --- the answers

    def decide(self, request: Request, *, optional: bool = False) -> Decision:
        """Decide about `request` by its app's mode and anonymity; blocks while something must be loaded.

        `optional` admits requests without a token, whatever the app says; a bad token is still refused.
        """
        found = self._try_fast_path(request)
        return self._report(run(decide(self._context, request, optional=optional))) if found is None else found

    async def adecide(self, request: Request, *, optional: bool = False, tried: bool = False) -> Decision:
        """As `decide`, without blocking the event loop; `tried` says that `_try_fast_path` could not tell."""
        found = None if tried else self._try_fast_path(request)
        return self._report(await arun(decide(self._context, request, optional=optional))) if found is None else found

    def _try_fast_path(self, request: Request) -> Decision | None:
        """The decision about an ordinary request of a user who was here before; None where `decide` has to tell."""
        try:
            found = decide_fast(self._context, request)
        except Exception:  # noqa: BLE001 - whatever stands in the way, the flow says what it means
            return None
        if found is not None:
            self._reporter.decided(found)
        return found

    def verify(self, token: str | None, *, app: str | AppRef, origin: str | None = None) -> Decision:
        """Verify a token of `app` (its id, or another name of it), from a socket, a job or another server.

        Knows no mode and no anonymity: the decision is allowed only with a verified identity. An `origin` that is
        given is checked, whether one is required or not.
        """
        ref = app if isinstance(app, AppRef) else _fast_app_ref(AppRef, ("id", app))
        found = verify_configured(self._context, token, ref, origin)
        if found is None:
            found = run(verify(self._context, token, ref, origin))
        self._reporter.decided(found)
        return found

    async def averify(self, token: str | None, *, app: str | AppRef, origin: str | None = None) -> Decision:
        """As `verify`, without blocking the event loop."""
        ref = app if isinstance(app, AppRef) else _fast_app_ref(AppRef, ("id", app))
        found = verify_configured(self._context, token, ref, origin)
        return self._report(await arun(verify(self._context, token, ref, origin)) if found is None else found)

    def check_origin(self, request: Request, *, report: bool = False) -> Decision:
        """Decide only whether the page that asks may use the app that it names: no token is looked at."""
        decision = run(check_origin(self._context, request))
        return self._report(decision) if report else decision

    async def acheck_origin(self, request: Request, *, report: bool = False) -> Decision:
        """As `admit`, without blocking the event loop."""
        decision = await arun(check_origin(self._context, request))
        return self._report(decision) if report else decision

    def revalidate(self, decision: Decision) -> Refusal | None:
        """What has come to stand against a verified identity since: expired, revoked, key or app gone; else None."""
        return run(revalidate(self._context, decision))

    async def arevalidate(self, decision: Decision) -> Refusal | None:
        """As `revalidate`, without blocking the event loop."""
        return await arun(revalidate(self._context, decision))

    def report_handler_refusal(self, decision: Decision | None, refusal: Refusal) -> None:
        """Report and count, once for each decision, the refusal that a handler raised: events have `stage="handler"`.

        Middlewares call it when they answer a `Refused`. `decision` is None if there is none, on exempt paths.
        """
        if decision is None or decision.handler_refusal is None:
            self._reporter.handler_refused(decision, refusal)
        if decision is not None:
            decision.handler_refusal = refusal

    def report_answer(self, decision: Decision, status: int) -> None:
        """Report the refusal that `Decision.require` raised, if an application answered with it in a form of its own.

        Middlewares call it when an answer begins. Another status means that the application went on without.
        """
        demand = decision.demand
        if demand is not None and status in (401, 403, demand.status):
            self.report_handler_refusal(decision, demand)

    # --- the apps

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, strict: bool = False, **settings: Any) -> Gate:
        """A gate by a TOML file: its `[gate]` settings, and one table `[[apps]]` for each app.

        Secrets are named by environment variable or file. An app that is broken answers `config_invalid`, is logged
        with every problem, and its neighbours go on. Raises `ConfigError` with every problem of the whole file where
        the file itself is broken, where no app is usable, and, with `strict`, for any problem at all. `settings` are
        those of the class, and take precedence over the file's.
        """
        from wicket.registry.toml import read_file

        apps, from_file = read_file(path, strict=strict)
        return cls(apps, **{**from_file, **settings})

    @property
    def apps(self) -> tuple[App, ...]:
        """The apps in code or from a file; those of a registry are not listed."""
        return tuple(app for app in self._held if isinstance(app, App))

    @property
    def broken_apps(self) -> tuple[BrokenApp, ...]:
        """The apps of a file that answer `config_invalid`."""
        return tuple(app for app in self._held if isinstance(app, BrokenApp))

    def _owns(self, decision: Decision) -> bool:
        """Whether this gate, and not another of the same name, made the decision."""
        return decision._context is not None and decision._context.gate is self._context

    def select_keys(self, app: App, token: UnverifiedToken) -> Generator[Effect, None, KeySelection]:
        """The keys that may have signed a token, for tools that explain: a flow, to be driven."""
        patience = self._context.patience_for_keys(self.limits.load_timeout, enforced=True)
        verification = Verification(app, token, self._memory, self.clock())
        return select_keys(self._key_sets, app, token.header, patience, verification)

    def key_sets(self, app: App) -> dict[KeySource, FetchedKeySet | None]:
        """The remote key sets of an app as they are held now, without fetching any; None where none is."""
        cache = self._key_sets.cache
        return {source: cache.usable(cache.read(KeySetRef(app.id, source))) for source in app.sources}

    def load_key_set(self, app_id: str, source: KeySource) -> Loaded[FetchedKeySet]:
        """Fetch one key set now, apart from the cache, for tools that explain. Blocks; raises `FetchFailed`."""
        return self._load_key_set(KeySetRef(app_id, source), None)

    def refresh(self, app: str, *, purge: bool = False) -> None:
        """Load the app with this id or alias, and its key sets, again at their next request.

        Until then the loaded app is served, and it goes on being served if the registry fails or says that the app's
        configuration is not valid. With `purge` it is not served any more: requests wait for the registry, and hear
        `apps_unavailable` or `config_invalid` if it fails. The remembered signatures of the app are forgotten, and all
        names that the registry did not know. An app in code or from a file stays as it is. It concerns this gate, in
        this process. How long it takes does not depend on how many apps are loaded.
        """
        in_code = self._context.apps.get(_fast_app_ref(AppRef, ("id", app)))
        held = [] if self._registry is None else self._registry.tagged(app)
        ids = {app, *(each.id for each in (in_code, *held) if each is not None and each.id is not None)}
        self._key_sets.cache.invalidate(ids, purge=purge)
        if self._registry is not None:
            self._registry.invalidate(ids, purge=purge, permanent=True)
        for each in ids:
            self._memory.clear_app(each)

    def outcomes(self) -> tuple[OutcomeCount, ...]:
        """How many requests ended how, by stage, app, code and reason, since the gate was built."""
        return self._reporter.outcomes()

    def close(self) -> None:
        """End the gate's threads. What needs a load afterwards is "unavailable"; what is in code still works."""
        self._pool.close()
        self._fetches.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Gate(name={self.name!r}, apps={len(self.apps)}, registry={self._registry is not None})"

    def _report(self, decision: Decision) -> Decision:
        self._reporter.decided(decision)
        return decision

    # --- what it is built of

    def _build_registry_cache(
        self, registry: Registry, in_code: Mapping[AppRef, App | BrokenApp]
    ) -> Cache[AppRef, App | BrokenApp]:
        limits = self.limits
        return Cache(
            registry_loader(registry, in_code, self._reporter),
            pool=self._pool,
            times=self._times(limits.app_lifetime, limits.app_stale_if_error, limits.load_timeout),
            size=limits.max_apps,
            absent_size=limits.negative_cache_size,
            on_failure=lambda _, error: self._load_failed("the registry could not be asked for an app", error),
            clock=self._monotonic,
            owner=lambda ref: ref.value if ref.kind == "id" else None,
        )

    def _build_key_set_cache(self, fetch: Fetcher) -> KeySets:
        limits = self.limits
        self._load_key_set = loader = KeySetLoader(
            fetch,
            shortest=limits.key_set_min_lifetime,
            longest=limits.key_set_max_lifetime,
            default=limits.key_set_lifetime,
            max_keys=limits.max_key_set_keys,
            report=lambda told: self._reporter.fetched(KeySetFetched(**asdict(told), gate=self.name)),
            clock=self._monotonic,
            bounds=RSABounds(limits.remote_rsa_bits, limits.remote_rsa_exponent, prime_test=False),
            wall_clock=self.clock,
        )
        cache: Cache[KeySetRef, FetchedKeySet] = Cache(
            loader,
            pool=self._fetches,
            times=self._times(limits.key_set_lifetime, limits.key_set_stale_if_error, limits.fetch_timeout),
            size=limits.max_key_sets,
            absent_size=limits.max_key_sets,
            on_failure=lambda _, error: self._load_failed("a key set could not be loaded", error),
            clock=self._monotonic,
            lane=lambda ref: ref.source.host,
            owner=lambda ref: ref.app_id,
            per_owner=limits.max_loads_per_app,
        )
        unknown = UnknownKidLimiter(
            first=limits.unknown_kid_burst,
            every=limits.unknown_kid_interval,
            remembered=limits.unknown_kid_negative_lifetime,
            on_limited=self._reporter.budget_spent,
            clock=self._monotonic,
        )
        return KeySets(cache, unknown, Waiters(self._monotonic))

    def _load_failed(self, what: str, error: BaseException) -> None:
        if not isinstance(error, LoadFailed):  # those were reported as what they are
            self._reporter.fault(what, error)

    def _times(self, lifetime: float, stale: float, timeout: float) -> Lifetimes:
        limits = self.limits
        return Lifetimes(
            lifetime=lifetime,
            stale=stale,
            absent=limits.negative_cache_lifetime,
            backoff_initial=limits.backoff_initial,
            backoff_max=limits.backoff_max,
            timeout=timeout,
        )

    def _after_fork(self) -> None:
        for part in (
            *(self._pool, self._fetches, self._fetcher, self._memory, self._reporter, self._registry),
            *self._key_sets,
        ):
            if part is not None:
                part.after_fork()

    def _log_config_warnings(self, held: tuple[App | BrokenApp, ...]) -> None:
        mode = self._context.mode
        if mode is not None:
            _log.warning("gate %s: the mode %s overrides that of every app", self.name, mode.value)
        if not held and self._registry is None:
            _log.warning("gate %s: it has no app and no registry, so every request is refused", self.name)
        kinds = {place.kind for place in self.app_locations}
        for app in held:
            if len(held) > 1 and not kinds & {ref.kind for ref in app.refs()}:
                _log.warning("app %s: it has none of the names by which requests name their app", app.id)
            if isinstance(app, App) and not app.origins and (mode or app.mode) is Mode.ENFORCE:
                _log.warning("app %s: no origins are configured, so every origin is admitted", app.id)


def _after_fork_in_child() -> None:
    for gate in _gates:
        gate._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
