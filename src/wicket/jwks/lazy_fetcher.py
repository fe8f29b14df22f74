"""The default fetcher of a gate. It is separate from `http_fetcher`, so that httpx is imported at the first fetch."""

from __future__ import annotations

from collections.abc import Callable

from wicket.config.network import Network
from wicket.jwks.fetcher import Fetched, Fetcher
from wicket.keys.urls import KeySetUrl
from wicket.limits import Limits


class LazyFetcher:
    """A fetcher that creates a `GuardedFetcher` at the first fetch. Most gates never need one.

    Args:
        network: the allowed addresses and ports.
        limits: the timeouts and the maximum size of a response.
        has_backlog: returns whether other fetches wait for a thread. Then a slow fetch is aborted.
    """

    def __init__(self, network: Network, limits: Limits, has_backlog: Callable[[], bool]) -> None:
        self._network = network
        self._limits = limits
        self._has_backlog = has_backlog
        self._fetcher: Fetcher | None = None

    def after_fork(self) -> None:
        """Discard the fetcher. Its TLS context was created before the fork, and so before gevent's patches."""
        self._fetcher = None

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        """Fetch one document. See `Fetcher`.

        Args:
            url: the URL.
            etag: the value of `If-None-Match`, or None.
            modified: the value of `If-Modified-Since`, or None.

        Raises:
            FetchFailed: the fetch failed.
        """
        fetcher = self._fetcher
        if fetcher is None:
            import ssl

            from wicket.jwks.http_fetcher import GuardedFetcher

            network, limits = self._network, self._limits
            fetcher = self._fetcher = GuardedFetcher(
                network,
                network.ssl_context or ssl.create_default_context(),
                connect_seconds=limits.fetch_connect_timeout,
                total_seconds=limits.fetch_timeout,
                max_bytes=limits.max_key_set_bytes,
                has_backlog=self._has_backlog,
            )
        return fetcher(url, etag=etag, modified=modified)
