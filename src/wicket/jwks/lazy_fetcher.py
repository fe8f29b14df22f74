"""The default fetcher of a gate. It is separate from `http_fetcher`, so that httpx is imported at the first fetch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wicket.config.network import Network
from wicket.jwks.fetcher import Fetched, Fetcher
from wicket.keys.urls import KeySetUrl
from wicket.limits import Limits

if TYPE_CHECKING:
    from wicket.jwks.http_fetcher import GuardedFetcher


class LazyFetcher:
    """Creates a `GuardedFetcher` at the first fetch. Most gates never need one.

    Args:
        network: the allowed addresses and ports, and the rules for single origins.
        limits: the timeouts and the maximum size of a response.
        has_backlog: returns whether other fetches wait for a thread. Then a slow fetch is aborted.
        configured: the ids of the apps that are configured in code or in a file. Rules apply to them.
    """

    def __init__(
        self, network: Network, limits: Limits, has_backlog: Callable[[], bool], configured: frozenset[str]
    ) -> None:
        self._network = network
        self._limits = limits
        self._has_backlog = has_backlog
        self._configured = configured
        self._fetcher: GuardedFetcher | None = None

    def after_fork(self) -> None:
        """Discard the fetcher. Its TLS context was created before the fork, and so before gevent's patches."""
        self._fetcher = None

    def for_app(self, app_id: str) -> Fetcher:
        """Return a fetcher that applies the rules for this app.

        Args:
            app_id: the id of the app.
        """

        def fetch(url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
            rule = self._network.rule_for(url, app_id, self._configured)
            return self._guarded()(url, etag=etag, modified=modified, rule=rule)

        return fetch

    def _guarded(self) -> GuardedFetcher:
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
        return fetcher
