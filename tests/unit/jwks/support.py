"""Helpers for the tests of fetches: misbehaving servers on loopback, and functions that return the failure."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wicket.config.network import Network
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.jwks.http_fetcher import GuardedFetcher
from wicket.keys.urls import KeySetUrl, check_url
from wicket.testing.issuer import Exchange, LocalIssuer

LOOPBACK = "127.0.0.1"
PUBLIC = "93.184.215.14"
URL = check_url("https://id.example.com/keys")

Fault = Callable[[Exchange], None]

MARGIN = 10.0
"""The tolerance for a deadline on a busy machine, in seconds. A fetch without a deadline would take longer."""


def failure_of(call: Callable[[], object]) -> FetchFailed:
    """The failure that `call` raises."""
    try:
        result = call()
    except FetchFailed as failure:
        return failure
    raise AssertionError(f"did not fail: {result!r}")


def fetcher_of(issuer: LocalIssuer, **settings: Any) -> GuardedFetcher:
    """A fetcher that may connect to this issuer by any name."""
    assert issuer.network.ssl_context is not None
    return GuardedFetcher(
        **{
            "network": issuer.network,
            "ssl_context": issuer.network.ssl_context,
            "connect_seconds": 3 * MARGIN,
            "total_seconds": 3 * MARGIN,
            **settings,
        }
    )


def url_of(issuer: LocalIssuer, target: str = "/.well-known/jwks.json", host: str = "localhost") -> KeySetUrl:
    return check_url(f"https://{host}:{issuer.port}{target}")


def fetch(issuer: LocalIssuer, fault: Fault | None = None, **settings: Any) -> Fetched:
    """One fetch from the issuer, whose response has this fault."""
    issuer.fault = fault
    return fetcher_of(issuer, **settings)(url_of(issuer))


def answering(body: bytes, status: int = 200, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(status, body, named)


def loopback(port: int, *addresses: str) -> Network:
    """A network in which every name resolves to loopback."""
    return Network(["127.0.0.0/8"], [port], resolver=lambda *_: addresses or [LOOPBACK])


@contextmanager
def within(seconds: float, *, least: float = 0.0) -> Iterator[None]:
    """Assert that the body of the context takes less than `seconds` of real time."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert least <= took < seconds, f"took {took:.2f} s"


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server on loopback, without TLS, that calls `serve` for each connection. Yields its port."""
    with socket.create_server((LOOPBACK, 0)) as listening:

        def run() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        assert not thread.is_alive()


class Documents:
    """A fetcher that returns a result by URL, or the next result of a list."""

    def __init__(self, *answers: Any, by_url: dict[str, Any] | None = None) -> None:
        self.answers = list(answers)
        self.by_url = by_url
        self.asked: list[tuple[str, str | None, str | None]] = []

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        self.asked.append((url.text, etag, modified))
        if self.by_url is None:
            answer = self.answers.pop(0)
        else:
            answer = self.by_url.get(url.text, FetchFailed("not_found", status=404))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Fetched) else fetched(answer)

    @property
    def urls(self) -> Sequence[str]:
        return [url for url, _, _ in self.asked]


def fetched(
    document: Any, *, etag: str | None = None, modified: str | None = None, max_age: float | None = None
) -> Fetched:
    return Fetched(document, etag, modified, max_age, 0.01, PUBLIC)
