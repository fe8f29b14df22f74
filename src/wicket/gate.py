"""The gate: it has the apps and the caches, and decides each request."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from wicket.config.app import App, BrokenApp, Mode
from wicket.config.cors import CORS, DEFAULT_CORS, GateCORS
from wicket.config.locations import AppLocation, AppRef, TokenLocation, fast_app_ref
from wicket.config.network import Network
from wicket.config.origins import OriginPolicy
from wicket.config.token_locations import TokenLocations
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.fast_path import decide_fast, verify_fast
from wicket.decision.flow import check_origin, decide, verify
from wicket.decision.io import arun, run
from wicket.decision.revalidation import revalidate
from wicket.errors import Refusal
from wicket.gate_caches import (
    build_fetch_pool,
    build_key_set_loader,
    build_key_sets,
    build_registry_cache,
    build_registry_pool,
    build_signature_cache,
)
from wicket.gate_settings import log_config_warnings, validate_settings
from wicket.gate_warm_up import Start, WarmUpReport, check_arguments, warm_up
from wicket.gate_warm_up import arun as arun_warm_up
from wicket.gate_warm_up import run as run_warm_up
from wicket.jwks.fetcher import CustomFetcher, Fetcher
from wicket.jwks.lazy_fetcher import LazyFetcher
from wicket.limits import Limits
from wicket.messages.request import Request
from wicket.registry.async_registry import (
    AsyncLookup,
    AsyncRegistry,
    RegistryLoop,
    is_async_function,
    only_for_asgi,
)
from wicket.registry.loader import Registry
from wicket.reporting.events import OnEvent, OutcomeCount
from wicket.reporting.reporter import Reporter

_gates: weakref.WeakSet[Gate] = weakref.WeakSet()


class Gate:
    """Has the apps and the caches, and decides each request.

    A gate is thread-safe. Its async methods require asyncio if an app or a key set must be loaded.

    Args:
        apps: The apps that are configured in code or in a file.
        registry: Loads further apps by name. A blocking function runs on a thread of the gate. An `AsyncRegistry` runs
            on an event loop of the gate. An async function runs on the event loop of the request that needs the app;
            the methods that block, and WSGI, then raise `ConfigError`.
        app_locations: Where a request can name its app. The default is the locations of all apps. It is required if
            there is a registry.
        token_locations: Where a token is looked for before its app is known. The default is the locations of all apps,
            or else `Bearer()`.
        mode: Overrides the mode of every app.
        name: The gate's key in the application's state, and its name in logs and events. It must be an identifier.
        realm: The realm of `WWW-Authenticate` (RFC 9110 section 11.5). The default is `name`.
        error_docs: A URL. The `type` of a problem document (RFC 9457 section 3.1.1) is this URL plus the code.
        on_event: Called synchronously with each event. An exception that it raises is logged and ignored.
        clock: Returns the current time in seconds since 1970. The times of tokens are compared with it.
        limits: The numeric limits of the gate.
        network: The addresses and ports that key-set fetches may use in addition to public addresses and the
            ports 443 and 8443, and rules for single origins.
        fetcher: Replaces the fetcher of key sets, and with it every check of `network`. A warning says so.
        cors: The CORS settings of apps without their own.
        monotonic: Returns seconds that never go backwards. The age of cache entries is measured with it.

    Raises:
        ConfigError: An argument is not valid. It has every problem, each with the path to its field.
    """

    def __init__(
        self,
        apps: Iterable[App | BrokenApp] = (),
        *,
        registry: Registry | AsyncRegistry | AsyncLookup | None = None,
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
        cors: CORS = DEFAULT_CORS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = validate_settings(
            apps,
            registry.open if isinstance(registry, AsyncRegistry) else registry,
            app_locations,
            token_locations,
            {
                "mode": mode,
                "name": name,
                "realm": realm,
                "error_docs": error_docs,
                "on_event": on_event,
                "clock": clock,
                "limits": limits,
                "network": network,
                "fetcher": fetcher,
                "cors": cors,
                "monotonic": monotonic,
            },
        )
        self._apps = settings.apps
        self.app_locations = settings.app_locations
        self.token_locations = settings.token_locations
        self.name = name
        self.environ_names = (f"{name}.decision", f"{name}.identity", f"{name}.gate")
        self.realm = realm or name
        self.error_docs = error_docs
        self.clock = clock
        self.limits = limits
        explicit = (app.origins for app in self.apps if cors.credentials and app.origin_policy.explicit)
        self._cors = GateCORS(cors, OriginPolicy({item for origins in explicit for item in origins if "*" not in item}))
        self._reporter = reporter = Reporter(name, on_event, limits.max_outcomes)
        self._memory = build_signature_cache(limits)
        self._pool = build_registry_pool(name, limits)
        self._fetch_pool = fetch_pool = build_fetch_pool(name, limits)
        self._registry_loop = (
            RegistryLoop(registry, f"{name}-registry-loop", limits.load_timeout)
            if isinstance(registry, AsyncRegistry)
            else None
        )
        self._needs_loop = is_async_function(registry)
        look_up = registry if not isinstance(registry, AsyncRegistry) else self._registry_loop
        self._registry = (
            None
            if look_up is None
            else build_registry_cache(look_up, settings.index, self._pool, limits, reporter, monotonic)
        )
        in_code = frozenset(app.id for app in self.apps)
        self._fetcher = LazyFetcher(network or Network(), limits, lambda: fetch_pool.has_backlog, in_code)
        fetcher_for = self._fetcher.for_app if fetcher is None else CustomFetcher(fetcher).for_app
        self._load_key_set = build_key_set_loader(name, fetcher_for, limits, reporter, clock, monotonic)
        self._key_sets = build_key_sets(self._load_key_set, fetch_pool, limits, reporter, monotonic)
        self._context = GateContext(
            apps=settings.index,
            only_app=settings.apps[0] if len(settings.apps) == 1 and registry is None else None,
            registry=self._registry,
            app_locations=settings.app_locations,
            located_tokens=TokenLocations(settings.token_locations),
            signature_cache=self._memory,
            key_sets=self._key_sets,
            mode=mode,
            clock=clock,
            limits=limits,
        )
        _gates.add(self)
        log_config_warnings(name, settings, mode, has_registry=registry is not None, has_fetcher=fetcher is not None)

    # --- decisions

    def decide(self, request: Request, *, optional: bool = False) -> Decision:
        """Decide a request by its app's mode and its `allow_anonymous`. Block while an app or a key set is loaded.

        Args:
            request: The request.
            optional: Allow a request without a token, whatever the app says. An invalid token is still refused.

        Raises:
            ConfigError: The registry is an async function. Use `adecide` or an `AsyncRegistry`.
        """
        self.check_blocking()
        begun = self._try_fast_path(request, optional=optional)
        if isinstance(begun, Decision):
            return begun
        return self._report(run(decide(self._context, request, optional=optional, begun=begun)))

    async def adecide(self, request: Request, *, optional: bool = False) -> Decision:
        """Decide a request like `decide`, without blocking the event loop.

        Args:
            request: The request.
            optional: Allow a request without a token, whatever the app says. An invalid token is still refused.
        """
        begun = self._try_fast_path(request, optional=optional)
        return begun if isinstance(begun, Decision) else await self._run_flow(request, begun, optional=optional)

    async def _run_flow(self, request: Request, begun: RequestContext | None, *, optional: bool) -> Decision:
        """Decide a request that the fast path did not decide. `begun` is the result of `_try_fast_path`."""
        return self._report(await arun(decide(self._context, request, optional=optional, begun=begun)))

    def _try_fast_path(self, request: Request, *, optional: bool) -> Decision | RequestContext | None:
        """Fast path: decide a request without I/O. If the flow must decide, return the context to continue with."""
        try:
            decision = decide_fast(self._context, request, optional=optional)
        except Exception:  # noqa: BLE001 - the flow raises the same exception again and handles it
            return None
        if isinstance(decision, Decision):
            self._reporter.decided(decision)
        return decision

    def verify(self, token: str | None, *, app: str | AppRef, origin: str | None = None) -> Decision:
        """Verify a token that did not come with a request, for example from a socket, a job or another server.

        Modes and `allow_anonymous` do not apply: the decision is allowed only if it has a verified identity. Blocks
        while an app or a key set is loaded.

        Args:
            token: The token.
            app: The app's id or alias, or an `AppRef` with another name of the app.
            origin: An origin to check. It is checked even if the app does not require one.

        Raises:
            ConfigError: The registry is an async function. Use `averify` or an `AsyncRegistry`.
        """
        self.check_blocking()
        ref = app if isinstance(app, AppRef) else fast_app_ref(AppRef, ("id", app))
        decision = verify_fast(self._context, token, ref, origin)
        if decision is None:
            decision = run(verify(self._context, token, ref, origin))
        self._reporter.decided(decision)
        return decision

    async def averify(self, token: str | None, *, app: str | AppRef, origin: str | None = None) -> Decision:
        """Verify a token like `verify`, without blocking the event loop."""
        ref = app if isinstance(app, AppRef) else fast_app_ref(AppRef, ("id", app))
        decision = verify_fast(self._context, token, ref, origin)
        if decision is None:
            decision = await arun(verify(self._context, token, ref, origin))
        return self._report(decision)

    def check_origin(self, request: Request, *, report: bool = False) -> Decision:
        """Decide only whether the request's origin may use the app that it names. The token is not read.

        Args:
            request: The request.
            report: Report the decision as an event, in the log and in the counts.
        """
        self.check_blocking()
        decision = run(check_origin(self._context, request))
        return self._report(decision) if report else decision

    async def acheck_origin(self, request: Request, *, report: bool = False) -> Decision:
        """Decide about the origin like `check_origin`, without blocking the event loop."""
        decision = await arun(check_origin(self._context, request))
        return self._report(decision) if report else decision

    def revalidate(self, decision: Decision) -> Refusal | None:
        """Check a verified identity again.

        Returns:
            The refusal if the identity has expired, was revoked, or lost its key or its app since the decision;
            otherwise None.
        """
        self.check_blocking()
        return run(revalidate(self._context, decision))

    async def arevalidate(self, decision: Decision) -> Refusal | None:
        """Check a verified identity again like `revalidate`, without blocking the event loop."""
        return await arun(revalidate(self._context, decision))

    def report_handler_refusal(self, decision: Decision | None, refusal: Refusal) -> None:
        """Report and count a refusal that a handler raised. Its event has `stage="handler"`.

        A middleware calls this when it responds to a `Refused`. Only the first call for a decision has an effect.

        Args:
            decision: The decision about the request; None if there is none, on an exempt path.
            refusal: The refusal that the handler raised.
        """
        if decision is None or decision.handler_refusal is None:
            self._reporter.handler_refused(decision, refusal)
        if decision is not None:
            decision.handler_refusal = refusal

    def report_response(self, decision: Decision, status: int) -> None:
        """Report the refusal that `Decision.require` raised if the application responded to it itself.

        A middleware calls this when a response starts. If `status` is not that of a refusal, the application handled
        the exception and allowed the request, and nothing is reported.

        Args:
            decision: The decision about the request.
            status: The HTTP status of the response.
        """
        demand = decision.required_refusal
        if demand is not None and status in (401, 403, demand.status):
            self.report_handler_refusal(decision, demand)

    # --- apps

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, strict: bool = False, **settings: Any) -> Gate:
        """Build a gate from a TOML file with a table `[gate]` and one table `[[apps]]` for each app.

        Secrets are read from the environment variables or files that the TOML file names. If one app is not valid,
        every problem is logged, and only this app answers `config_invalid`.

        Args:
            path: The path of the TOML file.
            strict: Raise for any problem of any app.
            settings: Arguments of `Gate`. They replace the settings of the file.

        Raises:
            ConfigError: The file itself is not valid, no app is usable, or `strict` is set and an app has a problem. It
                has every problem of the whole file.
        """
        from wicket.registry.toml import read_file

        apps, from_file = read_file(path, strict=strict)
        return cls(apps, **{**from_file, **settings})

    @property
    def apps(self) -> tuple[App, ...]:
        """The valid apps from code or from a file. Apps of a registry are not included."""
        return tuple(app for app in self._apps if isinstance(app, App))

    @property
    def broken_apps(self) -> tuple[BrokenApp, ...]:
        """The apps of a file that answer `config_invalid`."""
        return tuple(app for app in self._apps if isinstance(app, BrokenApp))

    def _owns(self, decision: Decision) -> bool:
        """Return whether this gate made the decision, and not another gate of the same name."""
        return decision._context is not None and decision._context.gate is self._context

    def refresh(self, app: str, *, purge: bool = False) -> None:
        """Invalidate an app and its key sets in this process. The next request loads them again.

        The verified signatures of the app, and all names that the registry did not know, are removed from the caches.
        An app from code or from a file does not change. The duration does not depend on the number of loaded apps.

        Args:
            app: The app's id or alias.
            purge: Do not use the loaded app any more: requests wait for the registry, and get `apps_unavailable` or
                `config_invalid` if it fails. Without `purge`, the loaded app is used until the registry has returned
                it again, also if the registry fails or reports that the app's configuration is not valid.
        """
        configured = self._context.apps.get(fast_app_ref(AppRef, ("id", app)))
        loaded = [] if self._registry is None else self._registry.tagged(app)
        ids = {app, *(entry.id for entry in (configured, *loaded) if entry is not None and entry.id is not None)}
        self._key_sets.cache.invalidate(ids, purge=purge)
        if self._registry is not None:
            self._registry.invalidate(ids, purge=purge, permanent=True)
        for app_id in ids:
            self._memory.clear_app(app_id)
            self._context.clear_app(app_id)

    def warm_up(self, apps: Iterable[str | AppRef] = (), *, timeout: float = 30.0) -> WarmUpReport:
        """Load the key sets of the apps in code or in a file, and further apps with their key sets, and wait for them.

        Call it before the server accepts requests. At most `Limits.fetch_threads` key sets and
        `Limits.registry_threads` apps load at the same time. No failure of an endpoint or of the registry raises.

        Args:
            apps: The ids, aliases or other names of apps of the registry.
            timeout: The longest wait in seconds. Loads that have not ended then go on.

        Returns:
            The result of each load.

        Raises:
            ConfigError: An argument is not valid.
        """
        self.check_blocking()
        return run_warm_up(self._warm_up_steps(apps, timeout))

    async def awarm_up(self, apps: Iterable[str | AppRef] = (), *, timeout: float = 30.0) -> WarmUpReport:  # noqa: ASYNC109 - the report says which loads have not ended
        """Load key sets and apps like `warm_up`, without blocking the event loop."""
        return await arun_warm_up(self._warm_up_steps(apps, timeout))

    def _warm_up_steps(self, apps: Iterable[str | AppRef], timeout: float) -> Start:
        names = check_arguments(apps, timeout)
        return lambda notify, loop: warm_up(self._context, self._apps, names, timeout, notify, loop)

    def outcomes(self) -> tuple[OutcomeCount, ...]:
        """Return the number of requests for each stage, app, code and reason since the gate was built."""
        return self._reporter.outcomes()

    def check_blocking(self) -> None:
        """Raise `ConfigError` if the registry is an async function, which needs the event loop of a request."""
        if self._needs_loop:
            raise only_for_asgi()

    def close(self) -> None:
        """Stop the gate's threads. Loads then fail as unavailable; apps from code that need no load still work.

        The context manager of an `AsyncRegistry` exits. This waits for it for at most 5 seconds.
        """
        self._pool.close()
        self._fetch_pool.close()
        if self._registry_loop is not None:
            self._registry_loop.close()

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

    def _after_fork(self) -> None:
        for part in (
            *(self._pool, self._fetch_pool, self._fetcher, self._memory, self._reporter, self._registry, self._context),
            self._registry_loop,
            *self._key_sets,
        ):
            if part is not None:
                part.after_fork()


def _after_fork_in_child() -> None:
    for gate in _gates:
        gate._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
