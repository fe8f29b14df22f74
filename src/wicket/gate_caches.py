"""Builds the pools and caches of a gate."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from wicket.config.app import App, BrokenApp
from wicket.config.cors import GateCORS
from wicket.config.locations import AppRef
from wicket.config.network import Network
from wicket.config.origins import OriginPolicy
from wicket.decision.key_selection import KeySets
from wicket.decision.signature_cache import SignatureCache
from wicket.gate_settings import GateSettings
from wicket.jwks.fetcher import CustomFetcher
from wicket.jwks.lazy_fetcher import LazyFetcher
from wicket.jwks.loader import KeySetLoader
from wicket.keys.key_set import FetchedKeySet, KeySetRef
from wicket.keys.kid_limiter import UnknownKidLimiter
from wicket.keys.waiters import Waiters
from wicket.keys.weak_keys import RSABounds
from wicket.limits import Limits
from wicket.registry.async_registry import (
    AsyncRegistry,
    RegistryLoop,
    is_async_function,
    look_up,
    only_for_asgi,
    run_on,
)
from wicket.registry.loader import AppLoader, Registry, registry_loader
from wicket.reporting.events import KeySetFetched
from wicket.reporting.reporter import Reporter
from wicket.runtime.cache import Cache, Lifetimes, LoadFailed
from wicket.runtime.pool import Pool


def build_reporter(settings: GateSettings) -> Reporter:
    """Return the reporter of decisions."""
    return Reporter(settings.name, settings.on_event, settings.limits.max_outcomes)


def build_cors(settings: GateSettings) -> GateCORS:
    """Return the CORS settings of the gate, with the exact origins of its apps if it allows credentials."""
    apps = [app for app in settings.apps if isinstance(app, App) and app.origin_policy.explicit]
    listed = {item for app in apps for item in app.origins if "*" not in item} if settings.cors.credentials else ()
    return GateCORS(settings.cors, OriginPolicy(listed))


def build_registry_pool(settings: GateSettings) -> Pool:
    """Return the pool that calls the registry, which the operator controls."""
    limits = settings.limits
    return Pool(f"{settings.name}-registry", threads=limits.registry_threads, queue=limits.registry_queue)


def build_fetch_pool(settings: GateSettings) -> Pool:
    """Return the pool that fetches key sets.

    It is separate from the registry's pool because tenants control the endpoints: a slow endpoint must not delay a
    registry look-up.
    """
    limits = settings.limits
    return Pool(
        f"{settings.name}-fetch",
        threads=limits.fetch_threads,
        queue=limits.fetch_queue,
        per_group=limits.fetch_per_host,
    )


def build_signature_cache(settings: GateSettings) -> SignatureCache:
    """Return the cache of verified signatures."""
    limits = settings.limits
    return SignatureCache(
        total=limits.signature_cache_size,
        per_app=limits.signature_cache_per_app,
        max_bytes=limits.signature_cache_max_token_bytes,
    )


def build_registry_loop(settings: GateSettings) -> RegistryLoop | None:
    """Return the event loop of an `AsyncRegistry`. None: the gate has none."""
    if not isinstance(settings.registry, AsyncRegistry):
        return None
    return RegistryLoop(settings.registry, f"{settings.name}-registry-loop", settings.limits.load_timeout)


def build_registry_cache(
    settings: GateSettings, registry_loop: RegistryLoop | None, pool: Pool, reporter: Reporter
) -> Cache[AppRef, App | BrokenApp] | None:
    """Return the cache of the apps that the registry loads. None: the gate has no registry.

    A registry that is an async function runs on the event loop of each request.
    """
    limits = settings.limits
    registry: Any = registry_loop or settings.registry
    if registry is None:
        return None

    def load_on(loop: Any) -> AppLoader:
        if loop is None:
            raise only_for_asgi()
        on_loop: Registry = lambda ref: run_on(loop, look_up(registry, ref), limits.load_timeout)  # noqa: E731 - typed
        return registry_loader(on_loop, settings.index, reporter)

    return Cache(
        registry_loader(registry, settings.index, reporter),
        load_on=load_on if is_async_function(registry) else None,
        pool=pool,
        lifetimes=_lifetimes(limits, limits.app_lifetime, limits.app_stale_if_error, limits.load_timeout),
        size=limits.max_apps,
        negative_size=limits.negative_cache_size,
        on_failure=lambda _, error: _report_load_error(reporter, "the registry raised an exception", error),
        clock=settings.monotonic,
        owner=lambda ref: ref.value if ref.kind == "id" else None,
    )


def build_fetcher(settings: GateSettings, pool: Pool) -> LazyFetcher:
    """Return the fetcher of key sets that is used if the settings have none."""
    in_code = frozenset(app.id for app in settings.apps if isinstance(app, App))
    return LazyFetcher(settings.network or Network(), settings.limits, lambda: pool.has_backlog, in_code)


def build_key_set_loader(settings: GateSettings, fetcher: LazyFetcher, reporter: Reporter) -> KeySetLoader:
    """Return the loader that fetches one key set and reports the result as an event of the gate."""
    limits = settings.limits
    return KeySetLoader(
        fetcher.for_app if settings.fetcher is None else CustomFetcher(settings.fetcher).for_app,
        min_lifetime=limits.key_set_min_lifetime,
        max_lifetime=limits.key_set_max_lifetime,
        default_lifetime=limits.key_set_lifetime,
        max_keys=limits.max_key_set_keys,
        report=lambda report: reporter.fetched(KeySetFetched(**asdict(report), gate=settings.name)),
        clock=settings.monotonic,
        bounds=RSABounds(limits.remote_rsa_bits, limits.remote_rsa_exponent, prime_test=False),
        wall_clock=settings.clock,
    )


def build_key_sets(settings: GateSettings, loader: KeySetLoader, pool: Pool, reporter: Reporter) -> KeySets:
    """Return the cache of the key sets, with the limiter of the fetches for unknown kids."""
    limits = settings.limits
    cache: Cache[KeySetRef, FetchedKeySet] = Cache(
        loader,
        pool=pool,
        lifetimes=_lifetimes(limits, limits.key_set_lifetime, limits.key_set_stale_if_error, limits.fetch_timeout),
        size=limits.max_key_sets,
        negative_size=limits.max_key_sets,
        on_failure=lambda _, error: _report_load_error(reporter, "a key set could not be loaded", error),
        clock=settings.monotonic,
        group=lambda ref: ref.source.host,
        owner=lambda ref: ref.app_id,
        per_owner=limits.max_loads_per_app,
    )
    limiter = UnknownKidLimiter(
        burst=limits.unknown_kid_burst,
        interval=limits.unknown_kid_interval,
        negative_lifetime=limits.unknown_kid_negative_lifetime,
        on_limited=reporter.unknown_kid_limited,
        clock=settings.monotonic,
    )
    return KeySets(cache, limiter, Waiters(settings.monotonic))


def _lifetimes(limits: Limits, lifetime: float, stale: float, timeout: float) -> Lifetimes:
    return Lifetimes(
        lifetime=lifetime,
        stale=stale,
        absent=limits.negative_cache_lifetime,
        backoff_initial=limits.backoff_initial,
        backoff_max=limits.backoff_max,
        timeout=timeout,
    )


def _report_load_error(reporter: Reporter, message: str, error: BaseException) -> None:
    """Log an unexpected exception of a load. A `LoadFailed` has been reported where it was raised."""
    if not isinstance(error, LoadFailed):
        reporter.internal_error(message, error)
