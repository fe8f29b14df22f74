"""The guarded fetcher with real HTTPS servers on loopback: its request, its result, and the certificates it trusts."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.unit.jwks.support import (
    LOOPBACK,
    MARGIN,
    PUBLIC,
    answering,
    failure_of,
    fetch,
    fetcher_of,
    loopback,
    server,
    url_of,
    within,
)
from wicket.config.network import Network
from wicket.jwks.http_fetcher import GuardedFetcher
from wicket.keys.urls import KeySetUrl
from wicket.testing.issuer import Exchange, LocalIssuer

# --- successful responses


def test_fetch_success_returns_document_and_cache_headers(issuer: LocalIssuer) -> None:
    fetched = fetch(
        issuer,
        answering(b'{"keys": []}', ETag='W/"1"', Last_Modified="then", Cache_Control="public, max-age=600"),
    )
    assert fetched.document == {"keys": []}
    assert (fetched.etag, fetched.modified, fetched.max_age) == ('W/"1"', "then", 600.0)
    assert fetched.address == LOOPBACK
    assert 0 < fetched.seconds < 2


def test_fetch_response_without_cache_headers_returns_document(issuer: LocalIssuer) -> None:
    fetched = fetch(issuer, answering(b"[]", Content_Type="text/html"))
    assert fetched.document == []
    assert (fetched.etag, fetched.modified, fetched.max_age) == (None, None, None)


def test_fetch_request_sends_minimal_headers_and_no_cookies(issuer: LocalIssuer) -> None:
    seen: list[tuple[str, str]] = []

    def note(exchange: Exchange) -> None:
        seen.extend(exchange.headers.items())
        exchange.answer(200, b"{}", {"Set-Cookie": "a=b; Path=/"})

    fetch(issuer, note)
    assert seen == [
        ("Host", f"localhost:{issuer.port}"),
        ("Accept", "application/json, application/jwk-set+json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "wicket"),
        ("Connection", "close"),
    ]
    first, seen[:] = list(seen), []
    fetch(issuer, note)
    assert seen == first, "a cookie was kept"


def test_fetch_request_target_sent_unchanged_with_query(issuer: LocalIssuer) -> None:
    issuer.fault = answering(b"{}")
    fetcher_of(issuer)(url_of(issuer, "/a%2Fb//c;d?e=f&g=%20?"))
    assert issuer.requests == ["/a%2Fb//c;d?e=f&g=%20?"]


@pytest.mark.parametrize(("port", "host"), [(443, "id.example.com"), (8443, "id.example.com:8443")])
def test_fetch_host_header_includes_port_unless_443(
    issuer: LocalIssuer, port: int, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is redirected to the issuer, because a test cannot listen on 443. Its certificate is not verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda _, *rest, **more: connect((LOOPBACK, issuer.port)))
    seen: list[str] = []

    def note(exchange: Exchange) -> None:
        seen.extend(exchange.headers.get_all("Host", []))
        exchange.answer(200, b"{}")

    issuer.fault = note
    fetcher_of(issuer, ssl_context=context)(KeySetUrl("id.example.com", port, "/"))
    assert seen == [host]


def test_fetch_validators_sent_as_conditional_headers(issuer: LocalIssuer) -> None:
    seen: list[tuple[str | None, str | None]] = []

    def note(exchange: Exchange) -> None:
        seen.append((exchange.headers["If-None-Match"], exchange.headers["If-Modified-Since"]))
        exchange.answer(304, headers={"ETag": '"2"', "Cache-Control": "max-age=90"})

    issuer.fault = note
    fetcher, url = fetcher_of(issuer), url_of(issuer)
    fetched = fetcher(url, etag='"1"', modified="Sat, 01 Jan 2028 00:00:00 GMT")
    assert (fetched.document, fetched.etag, fetched.max_age) == (None, '"2"', 90.0)
    fetcher(url, etag='"1"')
    fetcher(url, modified="then")
    fetcher(url)
    assert seen == [('"1"', "Sat, 01 Jan 2028 00:00:00 GMT"), ('"1"', None), (None, "then"), (None, None)]


@pytest.mark.parametrize("value", ["a" * 257, "a\tb", "\xe9"])
def test_fetch_invalid_or_long_validator_discarded(issuer: LocalIssuer, value: str) -> None:
    fetched = fetch(issuer, answering(b"{}", ETag=value, Last_Modified=value))
    assert (fetched.etag, fetched.modified) == (None, None)
    assert fetch(issuer, answering(b"{}", ETag="a" * 256)).etag == "a" * 256


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("max-age=60", 60.0),
        ("public,max-age=60", 60.0),
        ('MAX-AGE="60"', 60.0),
        ("max-age=0, no-cache", 0.0),
        ("max-age=99999999999", 9999999999.0),
        ("s-maxage=60", None),
        ("x-max-age=60", None),
        ("max-age=-1", None),
        ("max-age=abc", None),
        ("max-age", None),
        ("no-store", None),
    ],
)
def test_fetch_cache_control_max_age_parsed(issuer: LocalIssuer, stated: str, seconds: float | None) -> None:
    assert fetch(issuer, answering(b"{}", Cache_Control=stated)).max_age == seconds


@pytest.mark.parametrize("lines", [("max-age=60", "public"), ("public", "max-age=60"), ("max-age=60", "max-age=90")])
def test_fetch_repeated_cache_control_first_max_age_used(issuer: LocalIssuer, lines: tuple[str, str]) -> None:
    def answer(exchange: Exchange) -> None:
        fields = "".join(f"Cache-Control: {line}\r\n" for line in lines)
        exchange.raw(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\n{{}}".encode())

    assert fetch(issuer, answer).max_age == 60


def test_fetch_each_call_opens_new_connection(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses: list[Any] = []
    connect = socket.create_connection

    def note(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        addresses.append(address)
        return connect(address, *rest, **more)

    monkeypatch.setattr(socket, "create_connection", note)
    fetcher = fetcher_of(issuer)
    for _ in range(3):
        fetcher(url_of(issuer))
    assert addresses == [(LOOPBACK, issuer.port)] * 3


def test_fetch_concurrent_threads_share_fetcher(issuer: LocalIssuer) -> None:
    fetcher, found = fetcher_of(issuer), []
    threads = [threading.Thread(target=lambda: found.append(fetcher(url_of(issuer)).document)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert found == [issuer.document()] * 8


# --- names, addresses and certificates


def test_fetch_port_not_allowed_forbidden_before_dns_lookup() -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return [LOOPBACK]

    fetcher = GuardedFetcher(Network(["127.0.0.0/8"], resolver=resolve), ssl.create_default_context())
    for port in (22, 80, 444, 65535):
        failure = failure_of(partial(fetcher, KeySetUrl("id.example.com", port, "/")))
        assert (failure.kind, failure.permanent) == ("forbidden_port", True)
    assert asked == []


@pytest.mark.parametrize("answer", [[LOOPBACK], [PUBLIC, LOOPBACK], ["::1"]])
def test_fetch_address_not_allowed_forbidden_without_request(issuer: LocalIssuer, answer: list[str]) -> None:
    network = Network(extra_ports=[issuer.port], resolver=lambda *_: answer)
    failure = failure_of(lambda: fetcher_of(issuer, network=network)(url_of(issuer)))
    assert (failure.kind, failure.permanent) == ("forbidden_address", True)
    assert issuer.requests == []


def test_fetch_host_without_addresses_unresolved(issuer: LocalIssuer) -> None:
    network = Network(extra_ports=[issuer.port], resolver=lambda *_: [])
    failure = failure_of(lambda: fetcher_of(issuer, network=network)(url_of(issuer)))
    assert (failure.kind, failure.permanent) == ("unresolved", False)


def test_fetch_dns_rebinding_connects_to_checked_address_only(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([[LOOPBACK], ["10.0.0.1"], ["10.0.0.1"]])
    network = Network(["127.0.0.0/8"], [issuer.port], resolver=lambda *_: next(answers))
    fetcher = fetcher_of(issuer, network=network)
    addresses: list[str] = []
    connect = socket.create_connection

    def note(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        addresses.append(address[0])
        return connect(address, *rest, **more)

    monkeypatch.setattr(socket, "create_connection", note)
    monkeypatch.setattr(socket, "getaddrinfo", _only_numbers(socket.getaddrinfo))
    assert fetcher(url_of(issuer)).address == LOOPBACK
    assert failure_of(lambda: fetcher(url_of(issuer))).kind == "forbidden_address"
    assert addresses == [LOOPBACK]


def _only_numbers(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """`getaddrinfo` that rejects names: below the SSRF check there are only addresses."""

    def numbers(host: str, *rest: Any, **more: Any) -> Any:
        assert host == LOOPBACK
        return resolve(host, *rest, **more)

    return numbers


def test_fetch_multiple_addresses_first_reachable_used(issuer: LocalIssuer) -> None:
    network = loopback(issuer.port, "127.0.0.2", LOOPBACK)
    assert fetcher_of(issuer, network=network)(url_of(issuer)).address == LOOPBACK


def test_fetch_two_hosts_one_address_certificate_checked_per_host() -> None:
    with LocalIssuer(host="one.example") as issuer:
        fetcher = fetcher_of(issuer)
        for _ in range(2):
            assert fetcher(url_of(issuer, host="one.example")).document == issuer.document()
            failure = failure_of(lambda: fetcher(url_of(issuer, host="two.example")))
            assert (failure.kind, failure.permanent) == ("certificate", False)
        assert len(issuer.requests) == 2


def test_fetch_ip_literal_host_certificate_checked(issuer: LocalIssuer) -> None:
    assert fetcher_of(issuer)(url_of(issuer, host=LOOPBACK)).document == issuer.document()
    network = loopback(issuer.port, LOOPBACK)
    fetcher = fetcher_of(issuer, network=network)
    assert failure_of(lambda: fetcher(url_of(issuer, host="127.0.0.2"))).kind == "certificate"
    assert failure_of(lambda: fetcher(url_of(issuer, host="[::1]"))).kind == "certificate"


def test_fetch_untrusted_ca_certificate_failure(issuer: LocalIssuer) -> None:
    failure = failure_of(lambda: fetch(issuer, ssl_context=ssl.create_default_context()))
    assert (failure.kind, failure.permanent) == ("certificate", False)
    assert issuer.requests == []


def test_fetch_closed_port_connection_failure(issuer: LocalIssuer) -> None:
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        port = bound.getsockname()[1]
        fetcher = fetcher_of(issuer, network=loopback(port))
        with within(MARGIN):
            failure = failure_of(lambda: fetcher(KeySetUrl("localhost", port, "/")))
    assert (failure.kind, failure.permanent) == ("connection", False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_fetch_proxy_environment_ignored(issuer: LocalIssuer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[bytes] = []
    with server(lambda connection: reached.append(connection.recv(100))) as port:
        monkeypatch.setenv(name, f"http://{LOOPBACK}:{port}")
        assert fetch(issuer).document == issuer.document()
    assert reached == []


def test_fetch_query_of_url_is_not_logged(issuer: LocalIssuer, caplog: pytest.LogCaptureFixture) -> None:
    """httpx logs the URL of each request at the level INFO. A query may hold a secret."""
    caplog.set_level(logging.DEBUG)
    issuer.fault = answering(b"{}")
    fetcher_of(issuer)(url_of(issuer, "/keys?api_key=5e1f"))
    assert issuer.requests == ["/keys?api_key=5e1f"]
    assert f"https://localhost:{issuer.port}/keys " in caplog.text
    assert "5e1f" not in caplog.text


def test_fetch_url_that_httpx_refuses_connection_failure() -> None:
    fetcher = GuardedFetcher(loopback(443), ssl.create_default_context())
    assert failure_of(lambda: fetcher(KeySetUrl("a\0b.example", 443, "/"))).kind == "connection"


def test_fetch_ssl_context_raises_connection_failure(issuer: LocalIssuer) -> None:
    """A library that patches `ssl` after the context was created can make it raise any exception."""

    class Broken(ssl.SSLContext):
        def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
            raise TypeError("patched")

    fetcher = GuardedFetcher(issuer.network, Broken(ssl.PROTOCOL_TLS_CLIENT))
    assert failure_of(lambda: fetcher(url_of(issuer))).kind == "connection"
