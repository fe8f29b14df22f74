"""The gate's own way to fetch key sets: the guarded fetcher, built when it is first needed."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from wicket.config.network import Network
from wicket.jwks.fetcher import Fetched, Fetcher
from wicket.keys.urls import KeySetUrl
from wicket.limits import Limits


class LazyFetcher:
    """Builds the guarded fetcher at the first fetch: most gates never need an HTTP client.

    `crowded` says whether others wait for a thread, so that a slow fetch gives way.
    """

    def __init__(self, network: Network, limits: Limits, crowded: Callable[[], bool]) -> None:
        self._network = network
        self._limits = limits
        self._crowded = crowded
        self._built: Fetcher | None = None

    def after_fork(self) -> None:
        """Build it anew: its TLS context is from before the fork, and so from before gevent's patches."""
        self._built = None

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        """Fetch one document. Raises `FetchFailed`."""
        built = self._built
        if built is None:
            from wicket.jwks.http_fetcher import GuardedFetcher

            network, limits = self._network, self._limits
            built = self._built = GuardedFetcher(
                network,
                network.ssl_context or ssl.create_default_context(),
                connect_seconds=limits.fetch_connect_timeout,
                total_seconds=limits.fetch_timeout,
                max_bytes=limits.max_key_set_bytes,
                crowded=self._crowded,
            )
        return built(url, etag=etag, modified=modified)
