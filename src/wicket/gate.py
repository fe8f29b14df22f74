"""The gate: it has the apps and the caches, and decides each request."""

from __future__ import annotations

import inspect
import os
import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from wicket.config.app import App, BrokenApp
from wicket.config.locations import AppRef, fast_app_ref
from wicket.config.token_locations import TokenLocations
from wicket.decision.context import GateContext, RequestContext
from wicket.decision.decision import Decision
from wicket.decision.fast_path import decide_fast, verify_fast
from wicket.decision.flow import check_origin, decide, verify, verify_hash
from wicket.decision.io import arun, run
from wicket.decision.revalidation import revalidate
from wicket.errors import Refusal
from wicket.gate_caches import (
    build_cors,
    build_fetch_pool,
    build_fetcher,
    build_key_set_loader,
    build_key_sets,
    build_registry_cache,
    build_registry_loop,
    build_registry_pool,
    build_reporter,
    build_signature_cache,
)
from wicket.gate_settings import GateOptions, GateSettings, log_config_warnings
from wicket.messages.request import Request
from wicket.registry.async_registry import is_async_function, only_for_asgi
from wicket.reporting.events import OutcomeCount
from wicket.settings import settings_of

if TYPE_CHECKING:
    from wicket.gate_warm_up import Start, WarmUpReport

_gates: weakref.WeakSet[Gate] = weakref.WeakSet()


class Gate:
    """Has the apps and the caches, and decides each request.

    A gate is thread-safe. Its async methods require asyncio if an app or a key set must be loaded.

    Args:
        apps: The apps that are configured in code or in a file.
        settings: The other settings, by keyword (see `GateSettings`).

    Attributes:
        settings: All settings.

    Raises:
        ConfigError: A setting is invalid. It has every problem, each with the path to its field.
    """

    __signature__ = inspect.signature(GateSettings)

    def __init__(self, apps: Iterable[App | BrokenApp] = (), **settings: Unpack[GateOptions]) -> None:
        self.settings = given = GateSettings(apps, **settings)
        self.app_locations, self.token_locations = given.app_locations, given.token_locations
        self.name, self.realm, self.error_docs = given.name, given.realm, given.error_docs
        self.clock, self.limits = given.clock, given.limits
        self.environ_names = (f"{self.name}.decision", f"{self.name}.identity", f"{self.name}.gate")
        self._reporter = build_reporter(given)
        self._memory = build_signature_cache(given)
        self._pool = build_registry_pool(given)
        self._fetch_pool = build_fetch_pool(given)
        self._registry_loop = build_registry_loop(given)
        self._needs_loop = is_async_function(given.registry)
        self._registry = build_registry_cache(given, self._registry_loop, self._pool, self._reporter)
        self._fetcher = build_fetcher(given, self._fetch_pool)
        self._load_key_set = build_key_set_loader(given, self._fetcher, self._reporter)
        self._key_sets = build_key_sets(given, self._load_key_set, self._fetch_pool, self._reporter)
        self._context = GateContext(
            apps=given.index,
            only_app=given.apps[0] if len(given.apps) == 1 and given.registry is None else None,
            registry=self._registry,
            app_locations=given.app_locations,
            located_tokens=TokenLocations(given.token_locations, takes_first=given.takes_first),
            signature_cache=self._memory,
            key_sets=self._key_sets,
            mode=given.mode,
            clock=given.clock,
            limits=given.limits,
            realm=self.realm,
            error_docs=given.error_docs,
            cors=build_cors(given),
        )
        _gates.add(self)
        log_config_warnings(given)

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

    def verify_hash(self, proof: str | None, *fields: str | int, app: str | AppRef) -> Decision:
        """Verify a hash that did not come with a request, for example in a message of a socket.

        The app's setting `message_hash` has the secret. As with `verify`, modes and `allow_anonymous` do not apply: the
        decision is allowed only if the hash verifies. `decision.identity` is the user if `message_hash.identifier` is
        set; otherwise the hash proves no user, and the identity is anonymous. Blocks while an app is loaded.

        Args:
            proof: The hash.
            fields: The hashed fields, in the order in which they are joined: a string that is not empty and does not
                contain the separator, or an integer. A client may have sent them: values of other types are refused
                (`bad_identity_hash`).
            app: The app's id or alias, or an `AppRef` with another name of the app.
        """
        ref = app if isinstance(app, AppRef) else fast_app_ref(AppRef, ("id", app))
        return self._report(run(verify_hash(self._context, proof, fields, ref)))

    async def averify_hash(self, proof: str | None, *fields: str | int, app: str | AppRef) -> Decision:
        """Verify a hash like `verify_hash`, without blocking the event loop."""
        ref = app if isinstance(app, AppRef) else fast_app_ref(AppRef, ("id", app))
        return self._report(await arun(verify_hash(self._context, proof, fields, ref)))

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
    def from_file(cls, path: str | os.PathLike[str], *, strict: bool = False, **settings: Unpack[GateOptions]) -> Gate:
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

        extensions = settings.get("extensions")
        apps, from_file = read_file(path, settings_of(GateSettings), strict=strict, extensions=extensions)
        from_file.update({**settings, "extensions": from_file["extensions"]})
        return cls(apps, **from_file)

    @property
    def apps(self) -> tuple[App, ...]:
        """The valid apps from code or from a file. Apps of a registry are not included."""
        return tuple(app for app in self.settings.apps if isinstance(app, App))

    @property
    def broken_apps(self) -> tuple[BrokenApp, ...]:
        """The apps of a file that answer `config_invalid`."""
        return tuple(app for app in self.settings.apps if isinstance(app, BrokenApp))

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
        from wicket.gate_warm_up import run

        return run(self._warm_up_steps(apps, timeout))

    async def awarm_up(self, apps: Iterable[str | AppRef] = (), *, timeout: float = 30.0) -> WarmUpReport:  # noqa: ASYNC109 - the report says which loads have not ended
        """Load key sets and apps like `warm_up`, without blocking the event loop."""
        from wicket.gate_warm_up import arun

        return await arun(self._warm_up_steps(apps, timeout))

    def _warm_up_steps(self, apps: Iterable[str | AppRef], timeout: float) -> Start:
        from wicket.gate_warm_up import check_arguments, warm_up

        names = check_arguments(apps, timeout)
        return lambda notify, loop: warm_up(self._context, self.settings.apps, names, timeout, notify, loop)

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
