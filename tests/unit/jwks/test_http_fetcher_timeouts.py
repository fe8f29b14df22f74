"""Servers that are slow, send without end or disconnect: each fetch ends in time, with one kind of failure."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.unit.jwks.support import (
    LOOPBACK,
    MARGIN,
    Fault,
    answering,
    failure_of,
    fetch,
    fetcher_of,
    loopback,
    server,
    url_of,
    within,
)
from wicket.keys.urls import KeySetUrl
from wicket.testing.issuer import Exchange, LocalIssuer

# --- slow or silent servers


def test_fetch_silent_tls_handshake_times_out(issuer: LocalIssuer) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = silent.getsockname()[1]
        fetcher = fetcher_of(issuer, network=loopback(port), connect_seconds=0.3)
        with within(0.3 + MARGIN, least=0.25):
            assert failure_of(lambda: fetcher(KeySetUrl("localhost", port, "/"))).kind == "timeout"


def test_fetch_dripping_tls_handshake_ends_by_connect_timeout(issuer: LocalIssuer) -> None:
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
    """Send single bytes until the client disconnects, which raises an error."""

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
    "half an answer": lambda issuer: dripping(issuer, OK + b"Content-Length: 9\r\n\r\n{}", b" ", pause=30),
}


@pytest.mark.parametrize("what", SLOW)
def test_fetch_slow_response_ends_by_fetch_timeout(issuer: LocalIssuer, what: str) -> None:
    with within(0.4 + MARGIN):
        failure = failure_of(lambda: fetch(issuer, SLOW[what](issuer), total_seconds=0.4))
    assert (failure.kind, failure.permanent) in [("timeout", False), ("connection", False)]
    assert failure.kind == "timeout" or what == "size of a chunk"


@pytest.mark.parametrize("what", ["nothing at all", "one header", "body"])
def test_fetch_slow_response_backlog_times_out_early(
    issuer: LocalIssuer, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends single bytes must not occupy a thread that other fetches wait for."""
    monkeypatch.setattr("wicket.jwks.network_backend._YIELD_AFTER", 0.2)
    with within(0.3 + MARGIN, least=0.15):
        failure = failure_of(lambda: fetch(issuer, SLOW[what](issuer), has_backlog=lambda: True))
    assert failure.kind == "timeout"


def test_fetch_slow_response_without_backlog_completes(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wicket.jwks.network_backend._YIELD_AFTER", 0.0)

    def late(exchange: Exchange) -> None:
        issuer.wait(0.25)
        exchange.answer(200, b"{}")

    asked: list[bool] = []

    def has_backlog() -> bool:
        asked.append(False)
        return False

    assert fetch(issuer, late, has_backlog=has_backlog).document == {}
    assert asked


def test_fetch_hanging_servers_time_out_in_parallel(issuer: LocalIssuer) -> None:
    issuer.fault = silence(issuer)
    fetcher = fetcher_of(issuer, total_seconds=0.3)
    with within(0.3 + 2 * MARGIN), ExitStack() as stack:
        for _ in range(8):
            thread = threading.Thread(target=lambda: failure_of(lambda: fetcher(url_of(issuer))))
            thread.start()
            stack.callback(thread.join, 5)


# --- servers that send too much


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
def test_fetch_oversized_body_too_large_with_bounded_memory(issuer: LocalIssuer, what: str) -> None:
    tracemalloc.start()
    try:
        with within(1.0 + MARGIN):
            failure = failure_of(lambda: fetch(issuer, LARGE[what]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (failure.kind, failure.permanent) == ("too_large", True)
    assert peak < 4 * 1024 * 1024, f"{peak / 1e6:.1f} MB"


def test_fetch_endless_chunks_too_large_or_timeout(issuer: LocalIssuer) -> None:
    with within(0.4 + MARGIN):
        failure = failure_of(lambda: fetch(issuer, pouring(CHUNKED, b"1\r\n \r\n" * 1000, 10_000), total_seconds=0.5))
    assert failure.kind in ("too_large", "timeout")


def test_fetch_header_section_and_body_above_bound_too_large(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wicket.jwks.http_fetcher._FRAMING", 1000)
    assert failure_of(lambda: fetch(issuer, answering(b"{}", X_Long="x" * 2000), max_bytes=1000)).kind == "too_large"


def test_fetch_endless_headers_connection_failure_or_timeout(issuer: LocalIssuer) -> None:
    with within(1.0 + MARGIN):
        failure = failure_of(lambda: fetch(issuer, pouring(OK, b"X: " + BLOCK + b"\r\n", 800)))
    assert failure.kind in ("connection", "timeout")


@pytest.mark.parametrize("chunked", [False, True])
def test_fetch_body_of_max_bytes_accepted_one_more_too_large(issuer: LocalIssuer, chunked: bool) -> None:
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


# --- servers that disconnect, or use another protocol

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
def test_fetch_malformed_http_response_connection_failure(issuer: LocalIssuer, what: str) -> None:
    with within(MARGIN):
        failure = failure_of(lambda: fetch(issuer, pouring(BROKEN[what], b"", 0)))
    assert (failure.kind, failure.permanent) == ("connection", False)
    assert failure.__suppress_context__


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n{}", b"\x15\x03\x03\x00\x02\x02\x28"])
def test_fetch_server_without_tls_connection_failure(issuer: LocalIssuer, answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with server(serve) as port:
        fetcher = fetcher_of(issuer, network=loopback(port))
        with within(MARGIN):
            failure = failure_of(lambda: fetcher(KeySetUrl("localhost", port, "/")))
    assert failure.kind == "connection"
