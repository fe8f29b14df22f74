"""The guarded fetch against real HTTPS servers on loopback: what it asks and brings back, and whom it trusts."""

from __future__ import annotations

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

# --- a good answer


def test_a_document_comes_back_with_all_that_is_needed_to_ask_again(issuer: LocalIssuer) -> None:
    fetched = fetch(
        issuer,
        answering(b'{"keys": []}', ETag='W/"1"', Last_Modified="then", Cache_Control="public, max-age=600"),
    )
    assert fetched.document == {"keys": []}
    assert (fetched.etag, fetched.modified, fetched.max_age) == ('W/"1"', "then", 600.0)
    assert fetched.address == LOOPBACK
    assert 0 < fetched.seconds < 2


def test_a_document_need_not_say_anything_of_itself(issuer: LocalIssuer) -> None:
    fetched = fetch(issuer, answering(b"[]", Content_Type="text/html"))
    assert fetched.document == []
    assert (fetched.etag, fetched.modified, fetched.max_age) == (None, None, None)


def test_the_request_says_what_is_needed_and_nothing_more(issuer: LocalIssuer) -> None:
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


def test_the_target_is_sent_as_it_is_with_its_query(issuer: LocalIssuer) -> None:
    issuer.fault = answering(b"{}")
    fetcher_of(issuer)(url_of(issuer, "/a%2Fb//c;d?e=f&g=%20?"))
    assert issuer.requests == ["/a%2Fb//c;d?e=f&g=%20?"]


@pytest.mark.parametrize(("port", "host"), [(443, "id.example.com"), (8443, "id.example.com:8443")])
def test_the_host_is_named_with_its_port_unless_that_is_the_one_of_https(
    issuer: LocalIssuer, port: int, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is led to the issuer, since nobody may listen on 443 in a test; its certificate is not looked at."""
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


def test_validators_are_sent_where_they_are_given(issuer: LocalIssuer) -> None:
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
def test_a_validator_that_is_long_or_odd_is_not_kept(issuer: LocalIssuer, value: str) -> None:
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
def test_the_lifetime_is_what_the_endpoint_states(issuer: LocalIssuer, stated: str, seconds: float | None) -> None:
    assert fetch(issuer, answering(b"{}", Cache_Control=stated)).max_age == seconds


@pytest.mark.parametrize("lines", [("max-age=60", "public"), ("public", "max-age=60"), ("max-age=60", "max-age=90")])
def test_a_lifetime_may_be_stated_in_several_lines(issuer: LocalIssuer, lines: tuple[str, str]) -> None:
    def answer(exchange: Exchange) -> None:
        fields = "".join(f"Cache-Control: {line}\r\n" for line in lines)
        exchange.raw(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\n{{}}".encode())

    assert fetch(issuer, answer).max_age == 60


def test_each_fetch_has_one_connection_of_its_own(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[Any] = []
    connect = socket.create_connection

    def note(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        dialled.append(address)
        return connect(address, *rest, **more)

    monkeypatch.setattr(socket, "create_connection", note)
    fetcher = fetcher_of(issuer)
    for _ in range(3):
        fetcher(url_of(issuer))
    assert dialled == [(LOOPBACK, issuer.port)] * 3


def test_many_threads_may_fetch_with_one_fetcher(issuer: LocalIssuer) -> None:
    fetcher, found = fetcher_of(issuer), []
    threads = [threading.Thread(target=lambda: found.append(fetcher(url_of(issuer)).document)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert found == [issuer.document()] * 8


# --- names, addresses and certificates


def test_a_port_that_nobody_allowed_is_forbidden_before_the_name_is_looked_up() -> None:
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
def test_an_address_that_nobody_allowed_is_never_dialled(issuer: LocalIssuer, answer: list[str]) -> None:
    network = Network(extra_ports=[issuer.port], resolver=lambda *_: answer)
    failure = failure_of(lambda: fetcher_of(issuer, network=network)(url_of(issuer)))
    assert (failure.kind, failure.permanent) == ("forbidden_address", True)
    assert issuer.requests == []


def test_a_name_that_leads_nowhere_is_unresolved(issuer: LocalIssuer) -> None:
    network = Network(extra_ports=[issuer.port], resolver=lambda *_: [])
    failure = failure_of(lambda: fetcher_of(issuer, network=network)(url_of(issuer)))
    assert (failure.kind, failure.permanent) == ("unresolved", False)


def test_a_name_that_changes_its_address_is_looked_up_once_and_dialled_as_checked(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([[LOOPBACK], ["10.0.0.1"], ["10.0.0.1"]])
    network = Network(["127.0.0.0/8"], [issuer.port], resolver=lambda *_: next(answers))
    fetcher = fetcher_of(issuer, network=network)
    dialled: list[str] = []
    connect = socket.create_connection

    def note(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        dialled.append(address[0])
        return connect(address, *rest, **more)

    monkeypatch.setattr(socket, "create_connection", note)
    monkeypatch.setattr(socket, "getaddrinfo", _only_numbers(socket.getaddrinfo))
    assert fetcher(url_of(issuer)).address == LOOPBACK
    assert failure_of(lambda: fetcher(url_of(issuer))).kind == "forbidden_address"
    assert dialled == [LOOPBACK]


def _only_numbers(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """`getaddrinfo` that refuses to look up a name: below the guard there are only addresses."""

    def numbers(host: str, *rest: Any, **more: Any) -> Any:
        assert host == LOOPBACK
        return resolve(host, *rest, **more)

    return numbers


def test_of_several_addresses_the_first_that_answers_is_taken(issuer: LocalIssuer) -> None:
    network = loopback(issuer.port, "127.0.0.2", LOOPBACK)
    assert fetcher_of(issuer, network=network)(url_of(issuer)).address == LOOPBACK


def test_two_names_on_one_address_are_each_held_to_their_certificate() -> None:
    with LocalIssuer(host="one.example") as issuer:
        fetcher = fetcher_of(issuer)
        for _ in range(2):
            assert fetcher(url_of(issuer, host="one.example")).document == issuer.document()
            failure = failure_of(lambda: fetcher(url_of(issuer, host="two.example")))
            assert (failure.kind, failure.permanent) == ("certificate", False)
        assert len(issuer.requests) == 2


def test_an_address_in_the_url_is_held_to_the_certificate_too(issuer: LocalIssuer) -> None:
    assert fetcher_of(issuer)(url_of(issuer, host=LOOPBACK)).document == issuer.document()
    network = loopback(issuer.port, LOOPBACK)
    fetcher = fetcher_of(issuer, network=network)
    assert failure_of(lambda: fetcher(url_of(issuer, host="127.0.0.2"))).kind == "certificate"
    assert failure_of(lambda: fetcher(url_of(issuer, host="[::1]"))).kind == "certificate"


def test_an_authority_that_nobody_knows_is_not_trusted(issuer: LocalIssuer) -> None:
    failure = failure_of(lambda: fetch(issuer, ssl_context=ssl.create_default_context()))
    assert (failure.kind, failure.permanent) == ("certificate", False)
    assert issuer.requests == []


def test_a_port_where_nobody_listens_is_a_failed_connection(issuer: LocalIssuer) -> None:
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        port = bound.getsockname()[1]
        fetcher = fetcher_of(issuer, network=loopback(port))
        with within(MARGIN):
            failure = failure_of(lambda: fetcher(KeySetUrl("localhost", port, "/")))
    assert (failure.kind, failure.permanent) == ("connection", False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_a_proxy_of_the_environment_is_ignored(issuer: LocalIssuer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[bytes] = []
    with server(lambda connection: reached.append(connection.recv(100))) as port:
        monkeypatch.setenv(name, f"http://{LOOPBACK}:{port}")
        assert fetch(issuer).document == issuer.document()
    assert reached == []


def test_a_tls_context_that_was_broken_under_us_is_a_failed_connection(issuer: LocalIssuer) -> None:
    """A library that patches `ssl` after the context was made leaves one that raises what it likes."""

    class Broken(ssl.SSLContext):
        def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
            raise TypeError("patched")

    fetcher = GuardedFetcher(issuer.network, Broken(ssl.PROTOCOL_TLS_CLIENT))
    assert failure_of(lambda: fetcher(url_of(issuer))).kind == "connection"
