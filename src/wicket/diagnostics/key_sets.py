"""Reads and fetches the remote key sets of an app."""

from __future__ import annotations

from wicket.config.app import App
from wicket.gate import Gate
from wicket.jwks.fetcher import FetchFailed
from wicket.keys.key_set import FetchedKeySet, KeySetRef, KeySource
from wicket.runtime.cache import Loaded

FetchResult = FetchedKeySet | FetchFailed


def cached_key_sets(gate: Gate, app: App) -> dict[KeySource, FetchedKeySet | None]:
    """Return the remote key sets of an app from the cache of the gate. A key set that is not cached is None."""
    cache = gate._key_sets.cache
    return {source: cache.usable(cache.read(KeySetRef(app.id, source))) for source in app.sources}


def load_key_set(gate: Gate, app_id: str, source: KeySource) -> Loaded[FetchedKeySet]:
    """Fetch a key set without the cache. Block at most `Limits.fetch_timeout` seconds.

    Raises:
        FetchFailed: The key set cannot be fetched or used.
    """
    return gate._load_key_set(KeySetRef(app_id, source), None)


def fetch_key_set(gate: Gate, app_id: str, source: KeySource) -> FetchResult:
    """Fetch a key set like `load_key_set`. Return the failure instead of raising it."""
    try:
        return load_key_set(gate, app_id, source).value
    except FetchFailed as failure:
        return failure


def describe(result: FetchResult) -> str:
    """Return the result of a fetch in one line."""
    if isinstance(result, FetchFailed):
        return result.explain()
    return f"{len(result.keys.keys)} keys used, {len(result.keys.skipped)} skipped, at {result.address}"
