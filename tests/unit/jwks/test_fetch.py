"""The guarded fetch against real HTTPS servers on loopback: whatever they do, it ends in time, with one word for it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest

from tests.unit.jwks.support import LOOPBACK, PUBLIC, failure_of, fetcher_of, loopback, server, within
from tests.unit.support import jwk, rsa_key
from wicket.base64url import encode
from wicket.jwks.fetch import GuardedFetcher, _retry_after
from wicket.jwks.guard import Network
from wicket.jwks.loader import KeySetLoader, LoadReport
from wicket.jwks.outcome import Fetched
from wicket.keys.keyset import KeySource, SourceRef
from wicket.keys.urls import KeySetUrl, check_url
from wicket.testing.issuer import Exchange, LocalIssuer

Fault = Callable[[Exchange], None]

MARGIN = 0.4
"""How long after its deadline a fetch may end on a machine that is busy, in seconds."""


@pytest.fixture(scope="module")
def house() -> Iterator[LocalIssuer]:
    with LocalIssuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(house: LocalIssuer) -> Iterator[LocalIssuer]:
    house.requests.clear()
    yield house
    house.fault = None


def url_of(issuer: LocalIssuer, target: str = "/.well-known/jwks.json", host: str = "localhost") -> KeySetUrl:
    return check_url(f"https://{host}:{issuer.port}{target}")


def fetch(issuer: LocalIssuer, fault: Fault | None = None, **settings: Any) -> Fetched:
    """One fetch from the issuer, with this fault in it."""
    issuer.fault = fault
    return fetcher_of(issuer, **settings)(url_of(issuer))


def answering(body: bytes, status: int = 200, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(status, body, named)


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

    fetcher = GuardedFetcher(Network(["127.0.0.0/8"], resolve=resolve), ssl.create_default_context())
    for port in (22, 80, 444, 65535):
        failure = failure_of(partial(fetcher, KeySetUrl("id.example.com", port, "/")))
        assert (failure.kind, failure.permanent) == ("forbidden_port", True)
    assert asked == []


@pytest.mark.parametrize("answer", [[LOOPBACK], [PUBLIC, LOOPBACK], ["::1"]])
def test_an_address_that_nobody_allowed_is_never_dialled(issuer: LocalIssuer, answer: list[str]) -> None:
    network = Network(ports=[issuer.port], resolve=lambda *_: answer)
    failure = failure_of(lambda: fetcher_of(issuer, network=network)(url_of(issuer)))
    assert (failure.kind, failure.permanent) == ("forbidden_address", True)
    assert issuer.requests == []


def test_a_name_that_leads_nowhere_is_unresolved(issuer: LocalIssuer) -> None:
    network = Network(ports=[issuer.port], resolve=lambda *_: [])
    failure = failure_of(lambda: fetcher_of(issuer, network=network)(url_of(issuer)))
    assert (failure.kind, failure.permanent) == ("unresolved", False)


def test_a_name_that_changes_its_address_is_looked_up_once_and_dialled_as_checked(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([[LOOPBACK], ["10.0.0.1"], ["10.0.0.1"]])
    network = Network(["127.0.0.0/8"], [issuer.port], resolve=lambda *_: next(answers))
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


# --- servers that are slow, or silent


def test_a_server_that_never_answers_the_handshake_has_the_time_to_connect(issuer: LocalIssuer) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = silent.getsockname()[1]
        fetcher = fetcher_of(issuer, network=loopback(port), connect_seconds=0.3)
        with within(0.3 + MARGIN, least=0.25):
            assert failure_of(lambda: fetcher(KeySetUrl("localhost", port, "/"))).kind == "timeout"


def test_a_handshake_that_drips_has_no_more_time(issuer: LocalIssuer) -> None:
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")
        while not done.wait(0.02):
            connection.sendall(b"\x03")

    with server(drip) as port:
        fetcher = fetcher_of(issuer, network=loopback(port), connect_seconds=0.3)
        with within(0.3 + MARGIN):
            assert failure_of(lambda: fetcher(KeySetUrl("localhost", port, "/"))).kind in ("timeout", "connection")
        done.set()


def silence(issuer: LocalIssuer) -> Fault:
    return lambda exchange: issuer.wait(30)


def dripping(issuer: LocalIssuer, start: bytes, drop: bytes, pause: float = 0.02) -> Fault:
    """Drips until the client is gone, which shows as an error."""

    def drip(exchange: Exchange) -> None:
        exchange.raw(start)
        while True:
            issuer.wait(pause)
            exchange.raw(drop)

    return drip


OK = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, Callable[[LocalIssuer], Fault]] = {
    "nothing at all": silence,
    "status line": lambda issuer: dripping(issuer, b"HTTP/1.1 200 ", b"O"),
    "headers": lambda issuer: dripping(issuer, OK, b"X: y\r\n"),
    "one header": lambda issuer: dripping(issuer, OK + b"X: ", b"y"),
    "informational answers": lambda issuer: dripping(issuer, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "body": lambda issuer: dripping(issuer, OK + b"Content-Length: 90000\r\n\r\n", b" "),
    "body without a length": lambda issuer: dripping(issuer, OK + b"\r\n", b" "),
    "chunks": lambda issuer: dripping(issuer, OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "size of a chunk": lambda issuer: dripping(issuer, OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": lambda issuer: dripping(issuer, OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "half an answer": lambda issuer: dripping(issuer, OK + b"Content-Length: 9\r\n\r\n{}", b"", pause=30),
}


@pytest.mark.parametrize("what", SLOW)
def test_a_server_that_is_slow_in_it_has_the_time_of_one_fetch(issuer: LocalIssuer, what: str) -> None:
    with within(0.4 + MARGIN):
        failure = failure_of(lambda: fetch(issuer, SLOW[what](issuer), total_seconds=0.4))
    assert (failure.kind, failure.permanent) in [("timeout", False), ("connection", False)]
    assert failure.kind == "timeout" or what == "size of a chunk"


@pytest.mark.parametrize("what", ["nothing at all", "one header", "body"])
def test_a_fetch_that_takes_long_gives_way_where_others_wait(
    issuer: LocalIssuer, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends a byte now and then must not hold a thread that others wait for."""
    monkeypatch.setattr("wicket.jwks.backend._PATIENCE", 0.2)
    with within(0.3 + MARGIN, least=0.15):
        failure = failure_of(lambda: fetch(issuer, SLOW[what](issuer), crowded=lambda: True))
    assert failure.kind == "timeout"


def test_a_fetch_does_not_give_way_where_nobody_waits(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wicket.jwks.backend._PATIENCE", 0.0)

    def late(exchange: Exchange) -> None:
        issuer.wait(0.25)
        exchange.answer(200, b"{}")

    asked: list[bool] = []

    def crowded() -> bool:
        asked.append(False)
        return False

    assert fetch(issuer, late, crowded=crowded).document == {}
    assert asked


# --- servers that send too much, or the wrong thing


def pouring(start: bytes, part: bytes, times: int) -> Fault:
    def pour(exchange: Exchange) -> None:
        exchange.raw(start)
        for _ in range(times):
            exchange.raw(part)

    return pour


BLOCK = b" " * 65536
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = {
    "50 MB with their length": pouring(OK + b"Content-Length: 52428800\r\n\r\n", BLOCK, 800),
    "50 MB without a length": pouring(OK + b"\r\n", BLOCK, 800),
    "50 MB in chunks": pouring(CHUNKED, b"10000\r\n" + BLOCK + b"\r\n", 800),
    "50 MB in one chunk": pouring(CHUNKED + b"3200000\r\n", BLOCK, 800),
    "a length of many digits": pouring(OK + b"Content-Length: " + b"9" * 20 + b"\r\n\r\n", b"", 0),
}


@pytest.mark.parametrize("what", LARGE)
def test_a_body_that_is_too_large_is_not_read_to_its_end(issuer: LocalIssuer, what: str) -> None:
    tracemalloc.start()
    try:
        with within(1.0 + MARGIN):
            failure = failure_of(lambda: fetch(issuer, LARGE[what]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (failure.kind, failure.permanent) == ("too_large", True)
    assert peak < 4 * 1024 * 1024, f"{peak / 1e6:.1f} MB"


def test_chunks_without_end_end_with_the_fetch(issuer: LocalIssuer) -> None:
    with within(0.4 + MARGIN):
        failure = failure_of(lambda: fetch(issuer, pouring(CHUNKED, b"1\r\n \r\n" * 1000, 10_000), total_seconds=0.5))
    assert failure.kind in ("too_large", "timeout")


def test_headers_without_end_end_before_the_memory(issuer: LocalIssuer) -> None:
    with within(1.0 + MARGIN):
        failure = failure_of(lambda: fetch(issuer, pouring(OK, b"X: " + BLOCK + b"\r\n", 800)))
    assert failure.kind in ("connection", "timeout")


@pytest.mark.parametrize("chunked", [False, True])
def test_the_limit_is_what_a_body_may_just_have(issuer: LocalIssuer, chunked: bool) -> None:
    def sized(size: int) -> Fault:
        body = b'"' + b"a" * (size - 2) + b'"'
        if not chunked:
            return answering(body)
        half = size // 2
        parts = (body[:half], body[half:], b"")
        return pouring(CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts), b"", 0)

    assert fetch(issuer, sized(1000), max_bytes=1000).document == "a" * 998
    assert failure_of(lambda: fetch(issuer, sized(1001), max_bytes=1000)).kind == "too_large"
    assert len(fetch(issuer, sized(256 * 1024)).document) == 256 * 1024 - 2
    assert failure_of(lambda: fetch(issuer, sized(256 * 1024 + 1))).kind == "too_large"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "identity, gzip", "x", ""])
def test_an_encoded_answer_is_refused_unread(issuer: LocalIssuer, coding: str) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"{}", Content_Encoding=coding)))
    assert (failure.kind, failure.permanent) == ("encoded", True)


def test_an_answer_that_says_it_is_not_encoded_is_read(issuer: LocalIssuer) -> None:
    assert fetch(issuer, answering(b"{}", Content_Encoding=" Identity ")).document == {}


WRONG = {
    "HTML": b"<!doctype html><title>Sign in</title>",
    "nothing": b"",
    "invalid UTF-8": b'{"keys": "\xff"}',
    "UTF-16": '{"keys": []}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "half of it": b'{"keys": [',
    "two of it": b"{}{}",
    "100,000 lists in one another": b"[" * 100_000 + b"]" * 100_000,
    "100,000 lists that are never closed": b"[" * 100_000,
    "20,000 objects in one another": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "a number of 100,000 digits": b"1" * 100_000,
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_json_is_told_as_that(issuer: LocalIssuer, what: str) -> None:
    with within(MARGIN):
        failure = failure_of(lambda: fetch(issuer, answering(WRONG[what])))
    assert (failure.kind, failure.permanent) == ("not_json", True)
    assert failure.__suppress_context__, "the cause may quote what was fetched"


@pytest.mark.parametrize(("body", "document"), [(b"[1]", [1]), (b'"x"', "x"), (b"5", 5), (b"false", False)])
def test_json_of_another_kind_is_left_to_who_reads_it(issuer: LocalIssuer, body: bytes, document: Any) -> None:
    assert fetch(issuer, answering(body)).document == document


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 305])
@pytest.mark.parametrize("location", ["https://127.0.0.1/", "http://localhost/", "/elsewhere", None])
def test_a_redirect_is_not_followed(issuer: LocalIssuer, status: int, location: str | None) -> None:
    failure = failure_of(
        lambda: fetch(issuer, answering(b"{}", status, **({"Location": location} if location is not None else {})))
    )
    assert (failure.kind, failure.status, failure.permanent) == ("redirect", status, True)
    assert len(issuer.requests) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_there_is_told_as_that(issuer: LocalIssuer, status: int) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"{}", status)))
    assert (failure.kind, failure.status, failure.permanent) == ("not_found", status, True)


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 403, 429, 500, 502, 503, 599])
def test_any_other_status_is_a_failure_that_may_pass(issuer: LocalIssuer, status: int) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"", status)))
    assert (failure.kind, failure.status, failure.permanent) == ("status", status, False)
    assert failure.retry_after is None


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("300", 300),
        ("301", 300),
        ("99999999999999999999", 300),
        ("-5", None),
        ("1.5", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("Mon, 99 Jan 2030 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Tue, 01 Jan 2030 00:00:00 GMT", 300),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0),
    ],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_time_that_an_endpoint_asks_for_is_honoured_up_to_five_minutes(
    issuer: LocalIssuer, status: int, stated: str, seconds: float | None
) -> None:
    failure = failure_of(lambda: fetch(issuer, answering(b"", status, Retry_After=stated)))
    assert (failure.kind, failure.status, failure.retry_after) == ("status", status, seconds)


def test_the_time_may_be_a_date() -> None:
    assert _retry_after(formatdate(time.time() + 100, usegmt=True)) == pytest.approx(100, abs=2)
    assert _retry_after(None) is None


def test_no_time_however_odd_is_an_error() -> None:
    parts = ["Mon,", "01", "Jan", "2030", "00:00:00", "GMT", "+0000", "-0000", "-", ":", "9" * 30, "25:61:61", "Z"]
    for first in parts:
        for second in parts:
            for third in ("", *parts):
                for text in (f"{first} {second} {third}", f"{first} 01 Jan {second} {third}", f"{first}{second}"):
                    seconds = _retry_after(text)
                    assert seconds is None or 0 <= seconds <= 300, text


# --- servers that break off, or speak something else

BROKEN = {
    "it closes without an answer": b"",
    "it speaks no HTTP": b"220 mail.example.com ESMTP\r\n\r\n",
    "it closes within the headers": OK + b"Content-Le",
    "it closes within the body": OK + b"Content-Length: 10\r\n\r\n{}",
    "it closes within a chunk": CHUNKED + b"5\r\n{}",
    "it has two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "its length is no number": OK + b"Content-Length: x\r\n\r\n{}",
    "its chunk has no size": CHUNKED + b"x\r\n{}\r\n",
    "its header has a control character": OK + b"X: a\0b\r\n\r\n{}",
    "its coding is unknown": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("what", BROKEN)
def test_an_answer_that_is_no_answer_is_a_failed_connection(issuer: LocalIssuer, what: str) -> None:
    with within(1.0):
        failure = failure_of(lambda: fetch(issuer, pouring(BROKEN[what], b"", 0)))
    assert (failure.kind, failure.permanent) == ("connection", False)
    assert failure.__suppress_context__


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n{}", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_a_server_without_tls_is_a_failed_connection(issuer: LocalIssuer, answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with server(serve) as port:
        fetcher = fetcher_of(issuer, network=loopback(port))
        with within(1.0):
            failure = failure_of(lambda: fetcher(KeySetUrl("localhost", port, "/")))
    assert failure.kind == "connection"


# --- through the loader, as the cache has it


def loader_of(issuer: LocalIssuer, reports: list[LoadReport]) -> tuple[KeySetLoader, SourceRef]:
    loader = KeySetLoader(
        fetcher_of(issuer), shortest=60, longest=3600, default=300, max_keys=64, report=reports.append
    )
    return loader, SourceRef("acme", KeySource(check_url(issuer.jwks_url), None, ("RS256", "ES256")))


def test_a_key_set_is_loaded_once_and_then_asked_for_changes(issuer: LocalIssuer) -> None:
    reports: list[LoadReport] = []
    load, ref = loader_of(issuer, reports)
    held = load(ref, None).value
    assert held.keys.kids == set(issuer.keys)
    again = load(ref, held).value
    kid = issuer.rotate()
    newer = load(ref, again).value
    assert newer.keys.kids == held.keys.kids | {kid}
    assert [(each.outcome, each.added) for each in reports] == [
        ("loaded", tuple(sorted(held.keys.kids))),
        ("not_modified", ()),
        ("loaded", (kid,)),
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "not_a_key_set"),
        (b"null", "not_a_key_set"),
        (b'{"keys": {}}', "not_a_key_set"),
        (b'{"keys": [' + b"1," * 99_999 + b"1]}", "too_large"),
        (b'{"keys": [' + b"{}," * 99_999 + b"{}]}", "too_large"),
        (b'{"keys": []}', "no_usable_key"),
        (json.dumps({"keys": [{**jwk(rsa_key()), "n": encode(b"\xff" * 2048)}]}).encode(), "no_usable_key"),
        (json.dumps({"keys": [{**jwk(rsa_key()), "e": encode(b"\xff" * 384)}]}).encode(), "no_usable_key"),
        (json.dumps({"keys": [{**jwk(rsa_key()), "n": "A" * 200_000}]}).encode(), "no_usable_key"),
    ],
    ids=[
        *("list", "null", "object of keys", "100,000 numbers", "100,000 objects", "empty"),
        *("modulus of 16384 bits", "exponent of 3072 bits", "modulus of zeros"),
    ],
)
def test_a_document_that_is_no_key_set_is_told_in_time(issuer: LocalIssuer, body: bytes, kind: str) -> None:
    issuer.fault = answering(body)
    reports: list[LoadReport] = []
    load, ref = loader_of(issuer, reports)
    with within(1.0):
        failure = failure_of(lambda: load(ref, None))
    assert (failure.kind, failure.permanent) == (kind, True)
    assert [each.outcome for each in reports] == [kind]


def test_null_is_not_taken_for_an_answer_that_nothing_has_changed(issuer: LocalIssuer) -> None:
    """Or an endpoint that is broken would have its old keys renewed for ever."""
    reports: list[LoadReport] = []
    load, ref = loader_of(issuer, reports)
    held = load(ref, None).value
    issuer.fault = answering(b"null")
    assert failure_of(lambda: load(ref, held)).kind == "not_a_key_set"


@pytest.mark.parametrize(
    "member", [{**jwk(rsa_key()), "n": encode(b"\xff" * 2048)}, {**jwk(rsa_key()), "e": encode(b"\xff" * 384)}]
)
def test_beside_a_key_that_would_cost_too_much_the_others_serve(issuer: LocalIssuer, member: Any) -> None:
    issuer.fault = answering(json.dumps({"keys": [member, jwk(rsa_key(), kid="good")]}).encode())
    reports: list[LoadReport] = []
    load, ref = loader_of(issuer, reports)
    assert load(ref, None).value.keys.kids == {"good"}
    assert len(reports[0].skipped) == 1


def test_servers_that_hang_do_not_keep_one_another(issuer: LocalIssuer) -> None:
    issuer.fault = silence(issuer)
    fetcher = fetcher_of(issuer, total_seconds=0.3)
    with within(0.3 + 2 * MARGIN), ExitStack() as stack:
        for _ in range(8):
            thread = threading.Thread(target=lambda: failure_of(lambda: fetcher(url_of(issuer))))
            thread.start()
            stack.callback(thread.join, 5)


def test_a_tls_context_that_was_broken_under_us_is_a_failed_connection(issuer: LocalIssuer) -> None:
    """A library that patches `ssl` after the context was made leaves one that raises what it likes."""

    class Broken(ssl.SSLContext):
        def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
            raise TypeError("patched")

    fetcher = GuardedFetcher(issuer.network, Broken(ssl.PROTOCOL_TLS_CLIENT))
    assert failure_of(lambda: fetcher(url_of(issuer))).kind == "connection"
