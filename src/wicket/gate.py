"""The gate: it holds the apps, the caches and the pool, and drives the decision's flow for sync and async callers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import logging
import os
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final

from wicket.app import App, BrokenApp, Mode
from wicket.cache import Cache, Times
from wicket.decision.flow import Decision, Fetch, Flow, House, decide, verify
from wicket.decision.memory import SignatureMemory
from wicket.errors import ConfigError, Problems, WicketError
from wicket.events import OnEvent, Outcome, Reporter, short_hash
from wicket.limits import Limits
from wicket.pool import Pool
from wicket.request import Request
from wicket.sources import AppRef, Bearer, NamingPlace, TokenIssuer, TokenPlace, is_place

_log: Final = logging.getLogger("wicket")

Registry = Callable[[AppRef], App | None]
"""Where apps come from that are not in code: a blocking function from a name to the app, or None where there is none.

It raises `ConfigError` for an app that exists and is broken, and anything else where it cannot tell.
"""

_gates: weakref.WeakSet[Gate] = weakref.WeakSet()


class Gate:
    """Holds apps and caches, and answers each request with a Decision. Thread-safe, and at home in any event loop.

    `apps` are those in code; `registry` loads others by name, on a thread of the gate's own. `naming` are the places
    where a request names its app: by default those of the apps' profiles; a registry needs it stated. `tokens` are
    the places where a token is looked for before its app is known. `mode` overrides that of every app. `on_event`
    is called with each event, synchronously. `clock` gives the time of day in seconds since 1970, by which tokens are
    judged. `error_docs` is a URL to which the code of a refusal is added to form its `type` (RFC 9457).

    Raises `ConfigError` with every problem, each with the path to its field.
    """

    def __init__(
        self,
        apps: Iterable[App | BrokenApp] = (),
        *,
        registry: Registry | None = None,
        naming: Iterable[NamingPlace] | None = None,
        tokens: Iterable[TokenPlace] | None = None,
        mode: Mode | None = None,
        name: str = "wicket",
        realm: str | None = None,
        error_docs: str | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], float] = time.time,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
    ) -> None:
        problems = Problems()
        held = _checked_apps(problems, apps)
        # A broken app's places count too: its requests must find it, to be told what is wrong.
        places = _places(problems, "naming", naming, NamingPlace, _union(app.naming for app in held))
        holders = _places(problems, "tokens", tokens, TokenPlace, _union(app.tokens for app in held) or (Bearer(),))
        self.naming: tuple[NamingPlace, ...] = places
        _check_registry(problems, registry, naming)
        if len(held) > 1 and not places:
            problems.add(
                "naming", "must say how a request names its app, since there are several", "[Header('X-App-Id')]"
            )
        if mode is not None and not isinstance(mode, Mode):
            problems.add("mode", "must be Mode.ENFORCE, Mode.LOG_ONLY or None")
        for setting, value in (("realm", realm), ("error_docs", error_docs)):
            if value is not None and not isinstance(value, str):
                problems.add(setting, "must be a text")
        if on_event is not None and (not callable(on_event) or inspect.iscoroutinefunction(on_event)):
            problems.add("on_event", "must be a plain function of one event")
        if not callable(clock):
            problems.add("clock", "must be a function that gives the seconds since 1970")
        if not isinstance(limits, Limits):
            problems.add("limits", "must be Limits")
        if not isinstance(name, str) or not name.isidentifier():
            problems.add("name", "must be an identifier", "it names the gate's place in the application's state")
        index_of = _index(problems, held, by_issuer=any(isinstance(place, TokenIssuer) for place in places))
        _check_secrets(problems, held)
        problems.raise_if_any()

        self._held = held
        self.name = name
        self.realm = realm or name
        self.error_docs = error_docs
        self.clock = clock
        self.limits = limits
        self._reporter = Reporter(name, on_event, limits.max_outcomes)
        self._memory = SignatureMemory(
            total=limits.remembered_tokens, per_app=limits.remembered_per_app, max_bytes=limits.remembered_token_bytes
        )
        self._pool = Pool(f"{name}-registry", threads=limits.registry_threads, queue=limits.registry_queue)
        self._registry = None if registry is None else self._cache_of(registry, index_of)
        self._house = House(
            apps=index_of,
            only_app=held[0] if len(held) == 1 and registry is None else None,
            registry=self._registry,
            naming=places,
            tokens=holders,
            memory=self._memory,
            mode=mode,
            clock=clock,
            limits=limits,
        )
        _gates.add(self)
        self._announce(held)

    # --- the answers

    def decide(self, request: Request, *, optional: bool = False) -> Decision:
        """Decide about `request` by its app's mode and anonymity; blocks while something must be loaded.

        `optional` admits requests without a token, whatever the app says; a bad token is still refused.
        """
        return self._report(self._run(decide(self._house, request, optional=optional)))

    async def adecide(self, request: Request, *, optional: bool = False) -> Decision:
        """As `decide`, without blocking the event loop."""
        return self._report(await self._arun(decide(self._house, request, optional=optional)))

    def verify(self, token: str | None, *, app: str | AppRef, origin: str | None = None) -> Decision:
        """Verify a token of `app` (its id, or another name of it), from a socket, a job or another server.

        Knows no mode and no anonymity: the decision is allowed only with a verified identity. An `origin` that is
        given is checked, whether one is required or not.
        """
        ref = app if isinstance(app, AppRef) else AppRef("id", app)
        return self._report(self._run(verify(self._house, token, ref, origin)))

    async def averify(self, token: str | None, *, app: str | AppRef, origin: str | None = None) -> Decision:
        """As `verify`, without blocking the event loop."""
        ref = app if isinstance(app, AppRef) else AppRef("id", app)
        return self._report(await self._arun(verify(self._house, token, ref, origin)))

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
    def broken(self) -> tuple[BrokenApp, ...]:
        """The apps of a file that answer `config_invalid`."""
        return tuple(app for app in self._held if isinstance(app, BrokenApp))

    def made(self, decision: Decision) -> bool:
        """Whether this gate, and not another of the same name, made the decision."""
        return decision.house is self._house

    def refresh(self, app: str, *, purge: bool = False) -> None:
        """Have the app with this id loaded anew at its next request; with `purge` the loaded one serves no more.

        What is remembered of its signatures is forgotten, and so are the names that the registry did not know.
        """
        if self._registry is not None:
            self._registry.outdate(
                lambda ref, held: held.id is not None and app not in (held.id, ref.value), purge=purge
            )
        self._memory.forget(app)

    def outcomes(self) -> tuple[Outcome, ...]:
        """How many requests ended how, by app, code and reason, since the gate was built."""
        return self._reporter.outcomes()

    def close(self) -> None:
        """End the gate's threads. What needs a load afterwards is "unavailable"; what is in code still works."""
        self._pool.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Gate(name={self.name!r}, apps={len(self.apps)}, registry={self._registry is not None})"

    # --- the two drivers

    def _run(self, flow: Flow) -> Decision:
        try:
            fetch = next(flow)
            while True:
                done, seconds = _begin(fetch)
                if seconds:
                    concurrent.futures.wait([done], seconds)
                fetch = self._answered(flow, fetch)
        except StopIteration as end:
            return self._decision(end)

    async def _arun(self, flow: Flow) -> Decision:
        try:
            fetch = next(flow)
            while True:
                done, seconds = _begin(fetch)
                try:
                    if seconds:
                        await _wait(done, seconds)
                except WicketError as error:
                    fetch = flow.throw(error)
                else:
                    fetch = self._answered(flow, fetch)
        except StopIteration as end:
            return self._decision(end)
        finally:
            flow.close()

    @staticmethod
    def _answered(flow: Flow, fetch: Fetch) -> Fetch:
        fetch.slot = fetch.cache.read(fetch.key)
        return flow.send(None)

    @staticmethod
    def _decision(end: StopIteration) -> Decision:
        decision: Decision = end.value
        return decision

    def _report(self, decision: Decision) -> Decision:
        self._reporter.decided(decision)
        return decision

    # --- what it is built of

    def _cache_of(
        self, registry: Registry, in_code: Mapping[AppRef, App | BrokenApp]
    ) -> Cache[AppRef, App | BrokenApp]:
        limits = self.limits
        return Cache(
            _loader(registry, in_code),
            pool=self._pool,
            times=Times(
                lifetime=limits.app_lifetime,
                stale=limits.app_stale,
                absent=limits.absent_lifetime,
                backoff_first=limits.backoff_first,
                backoff_last=limits.backoff_last,
                timeout=limits.load_timeout,
            ),
            size=limits.max_apps,
            absent_size=limits.max_absent,
            on_failure=lambda _, error: self._reporter.fault("the registry could not be asked for an app", error),
        )

    def _after_fork(self) -> None:
        self._pool.after_fork()
        self._memory.after_fork()
        self._reporter.after_fork()
        if self._registry is not None:
            self._registry.after_fork()

    def _announce(self, held: tuple[App | BrokenApp, ...]) -> None:
        mode = self._house.mode
        if mode is not None:
            _log.warning("gate %s: the mode %s overrides that of every app", self.name, mode.value)
        if not held and self._registry is None:
            _log.warning("gate %s: it has no app and no registry, so every request is refused", self.name)
        kinds = {place.kind for place in self.naming}
        for app in held:
            if len(held) > 1 and not kinds & {ref.kind for ref in app.refs()}:
                _log.warning("app %s: it has none of the names by which requests name their app", app.id)
            if isinstance(app, App) and not app.origins and (mode or app.mode) is Mode.ENFORCE:
                _log.warning("app %s: no origins are configured, so every origin is admitted", app.id)


def _begin(fetch: Fetch) -> tuple[concurrent.futures.Future[None], float]:
    """Start what `fetch` asks for; what to wait for, and for how many seconds, 0 where waiting would bring nothing."""
    done, remaining = fetch.cache.start(fetch.key, fetch.seen) or (concurrent.futures.Future(), 0.0)
    return done, min(fetch.patience, remaining)


async def _wait(done: concurrent.futures.Future[None], seconds: float) -> None:
    """Wait in an event loop for a load, without ever cancelling it: whoever hangs up leaves it to the others."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise WicketError(
            "an app must be loaded, and that needs asyncio: no other event loop can wait for it"
        ) from None
    arrived = asyncio.Event()

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed while the load ran: nobody waits any more
            loop.call_soon_threadsafe(arrived.set)

    done.add_done_callback(tell)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await arrived.wait()


def _loader(
    registry: Registry, in_code: Mapping[AppRef, App | BrokenApp]
) -> Callable[[AppRef], App | BrokenApp | None]:
    def load(ref: AppRef) -> App | BrokenApp | None:
        try:
            app: object = registry(ref)
        except ConfigError as error:
            _log.error("the app of the registry with the %s #%s is broken: %s", ref.kind, short_hash(ref.value), error)
            return BrokenApp(ref.value if ref.kind == "id" else None)
        if app is None:
            return None
        if isinstance(app, App):
            if ref.kind == "id" and app.id != ref.value:
                # A table that compares without case has one app under many names; a request must use the one name.
                _log.warning("the registry gave the app %s for another id, which is taken for unknown", app.id)
                return None
            if AppRef("id", app.id) in in_code:
                _log.error("the registry gave the app %s, which is in code too and counts as it is there", app.id)
                return in_code[AppRef("id", app.id)]
            return app
        if inspect.iscoroutine(app):
            app.close()
        raise TypeError("the registry returned neither an App nor None")

    return load


def _checked_apps(problems: Problems, apps: Iterable[App | BrokenApp]) -> tuple[App | BrokenApp, ...]:
    held: list[App | BrokenApp] = []
    for index, app in enumerate(problems.listed("apps", apps, "apps")):
        if isinstance(app, (App, BrokenApp)):
            held.append(app)
        else:
            problems.add(f"apps[{index}]", "is not an App")
    return tuple(held)


def _places(problems: Problems, path: str, given: object, kind: type, otherwise: tuple[Any, ...]) -> tuple[Any, ...]:
    places = otherwise if given is None else problems.listed(path, given, "places")
    for index, place in enumerate(places):
        if not is_place(place, kind):
            problems.add(f"{path}[{index}]", "is not a place that can be read there", "Header('X-App-Id')")
    return places


def _union(lists: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(each for places in lists for each in places))


def _check_registry(problems: Problems, registry: object, naming: object) -> None:
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


def _index(problems: Problems, apps: Iterable[App | BrokenApp], *, by_issuer: bool) -> dict[AppRef, App | BrokenApp]:
    index: dict[AppRef, App | BrokenApp] = {}
    for app in apps:
        for ref in app.refs():
            if ref.kind == "issuer" and not by_issuer:
                continue
            if index.setdefault(ref, app) is not app:
                problems.add("apps", f"two apps have the {ref.kind.replace('_', ' ')} {ref.value!r}")
    return index


def _check_secrets(problems: Problems, apps: Iterable[App | BrokenApp]) -> None:
    """The same secret in two apps lets each sign for the other; the same public key can, without a claim that binds."""
    owners: dict[bytes, list[App]] = {}
    for app in apps:
        if isinstance(app, BrokenApp):
            continue
        for key in app.keyring.keys:
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


def _interchangeable(app: App, other: App) -> bool:
    """Whether nothing in a token tells which of two apps with the same key it is for."""
    bound = app.rules.app_claim is not None and other.rules.app_claim is not None
    apart = app.issuer is not None and other.issuer is not None and app.issuer != other.issuer
    return not bound and not apart and (app.audience == other.audience or bool({*app.audience} & {*other.audience}))


def _after_fork_in_child() -> None:
    for gate in _gates:
        gate._after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
