"""The network backend: it connects only to allowed addresses, and has one deadline for all operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpcore
import pytest

from tests.unit.jwks.support import PUBLIC
from wicket.config.network import Network
from wicket.jwks.network_backend import GuardedBackend, ResponseTooLargeError, remaining
from wicket.jwks.ssrf import ForbiddenAddressError

OTHER = "1.1.1.1"


class Stream(httpcore.NetworkStream):
    """A stream that records its calls. Each read returns the next item of `reads`, or raises it."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.reads: list[bytes | Exception] = []
        self.calls: list[tuple[Any, ...]] = []
        self.secured: Stream | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.calls.append(("read", max_bytes, timeout))
        answer = self.reads.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.calls.append(("write", buffer, timeout))

    def close(self) -> None:
        self.calls.append(("close",))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self.calls.append(("start_tls", ssl_context, server_hostname, timeout))
        self.secured = Stream(self.address)
        return self.secured

    def get_extra_info(self, info: str) -> Any:
        return f"{info} of {self.address}"


class Dialler:
    """A test double for the sockets: it records the addresses, and some of them do not answer."""

    def __init__(self) -> None:
        self.connected_address: list[tuple[Any, ...]] = []
        self.failing: dict[str, Exception] = {}
        self.streams: list[Stream] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self.connected_address.append((host, port, timeout, local_address, socket_options))
        if host in self.failing:
            raise self.failing[host]
        self.streams.append(Stream(host))
        return self.streams[-1]


class Now:
    """The clock of every fetch. It advances only if a test changes it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Now:
    clock = Now()
    monkeypatch.setattr("wicket.jwks.network_backend.time", clock)
    return clock


@pytest.fixture
def dialler(monkeypatch: pytest.MonkeyPatch) -> Dialler:
    dialler = Dialler()
    monkeypatch.setattr("wicket.jwks.network_backend.httpcore.SyncBackend", lambda: dialler)
    return dialler


def backend_of(*addresses: str, **settings: Any) -> GuardedBackend:
    network = Network(resolver=lambda *_: addresses)
    return GuardedBackend(network, **{"connect_seconds": 2.0, "total_seconds": 5.0, **settings})


def read_all(stream: httpcore.NetworkStream) -> None:
    while stream.read(1):
        pass


def test_connect_tcp_connects_to_checked_address(dialler: Dialler) -> None:
    backend = backend_of(PUBLIC)
    assert backend.connected_address is None
    stream = backend.connect_tcp("id.example.com", 443, 99.0, None, [(1, 2, 3)])
    ((host, port, timeout, local, options),) = dialler.connected_address
    assert (host, port, local, options) == (PUBLIC, 443, None, [(1, 2, 3)])
    assert timeout == 2.0
    assert backend.connected_address == PUBLIC
    assert stream.get_extra_info("server") == f"server of {PUBLIC}"


def test_stream_more_bytes_than_maximum_too_large(dialler: Dialler) -> None:
    stream = backend_of(PUBLIC, max_bytes=3).connect_tcp("id.example.com", 443)
    dialler.streams[0].reads = [b"ab", b"c", b"d"]
    assert (stream.read(2), stream.read(2)) == (b"ab", b"c")
    with pytest.raises(ResponseTooLargeError):
        stream.read(2)


def test_connect_tcp_one_forbidden_address_connects_to_none(dialler: Dialler) -> None:
    with pytest.raises(ForbiddenAddressError):
        backend_of(PUBLIC, "127.0.0.1").connect_tcp("id.example.com", 443)
    assert dialler.connected_address == []


@pytest.mark.parametrize("error", [httpcore.ConnectError("x"), httpcore.ConnectTimeout()])
def test_connect_tcp_unreachable_address_tries_next(dialler: Dialler, error: Exception) -> None:
    dialler.failing[PUBLIC] = error
    backend = backend_of(PUBLIC, OTHER)
    backend.connect_tcp("id.example.com", 443)
    assert [each[0] for each in dialler.connected_address] == [PUBLIC, OTHER]
    assert backend.connected_address == OTHER


def test_connect_tcp_all_unreachable_raises_last_error(dialler: Dialler) -> None:
    first, last = httpcore.ConnectTimeout("first"), httpcore.ConnectError("last")
    dialler.failing = {PUBLIC: first, OTHER: last}
    backend = backend_of(PUBLIC, OTHER)
    with pytest.raises(httpcore.ConnectError) as caught:
        backend.connect_tcp("id.example.com", 443)
    assert caught.value is last
    assert backend.connected_address is None


def test_connect_tcp_unexpected_error_not_retried(dialler: Dialler) -> None:
    dialler.failing[PUBLIC] = PermissionError()
    with pytest.raises(PermissionError):
        backend_of(PUBLIC, OTHER).connect_tcp("id.example.com", 443)
    assert len(dialler.connected_address) == 1


def test_connect_tcp_connect_timeout_passed_raises_without_connecting(dialler: Dialler) -> None:
    backend = backend_of(PUBLIC, OTHER, connect_seconds=0.0)
    with pytest.raises(httpcore.ConnectTimeout):
        backend.connect_tcp("id.example.com", 443)
    assert dialler.connected_address == []


def test_connect_timeout_remaining_time_shared_by_connect_and_tls(dialler: Dialler) -> None:
    backend = backend_of(PUBLIC, connect_seconds=1.0)
    backend._connect_by -= 0.6
    stream = backend.connect_tcp("id.example.com", 443)
    assert dialler.connected_address[0][2] == pytest.approx(0.4)
    stream.start_tls("context", "id.example.com", 99.0)  # type: ignore[arg-type]
    ((_, context, name, timeout),) = dialler.streams[0].calls
    assert (context, name) == ("context", "id.example.com")
    assert timeout == pytest.approx(0.4)


def test_start_tls_server_hostname_passed_to_stream(dialler: Dialler) -> None:
    secured = backend_of(PUBLIC).connect_tcp("id.example.com", 443).start_tls(None, "id.example.com")  # type: ignore[arg-type]
    assert dialler.streams[0].calls[0][2] == "id.example.com"
    secured.close()
    inner = dialler.streams[0].secured
    assert inner is not None
    assert inner.calls == [("close",)]


def test_stream_read_polls_until_data_arrives(dialler: Dialler) -> None:
    stream = backend_of(PUBLIC, total_seconds=5.0).connect_tcp("id.example.com", 443)
    inner = dialler.streams[0]
    inner.reads = [httpcore.ReadTimeout(), httpcore.ReadTimeout(), b"answer"]
    assert stream.read(100, 99.0) == b"answer"
    assert [(name, size) for name, size, _ in inner.calls] == [("read", 100)] * 3
    assert all(timeout <= 0.1 for *_, timeout in inner.calls)


def test_stream_read_last_poll_limited_by_deadline(dialler: Dialler) -> None:
    stream = backend_of(PUBLIC, total_seconds=0.05).connect_tcp("id.example.com", 443)
    inner = dialler.streams[0]
    inner.reads = [b"x"]
    stream.read(1)
    assert inner.calls[0][2] <= 0.05


def test_stream_read_dripping_bytes_do_not_extend_deadline(dialler: Dialler, clock: Now) -> None:
    stream = backend_of(PUBLIC, total_seconds=0.1).connect_tcp("id.example.com", 443)
    dialler.streams[0].reads = [b"x"] * 4
    for _ in range(3):
        assert stream.read(1) == b"x"
        clock.now += 0.04
    with pytest.raises(httpcore.TimeoutException):
        stream.read(1)
    assert dialler.streams[0].reads == [b"x"]


def test_stream_deadline_passed_read_and_write_time_out(dialler: Dialler) -> None:
    stream = backend_of(PUBLIC, total_seconds=0.0).connect_tcp("id.example.com", 443)
    with pytest.raises(httpcore.TimeoutException):
        stream.read(1)
    with pytest.raises(httpcore.TimeoutException):
        stream.write(b"x")
    assert dialler.streams[0].calls == []


def test_start_tls_connect_timeout_passed_raises_connect_timeout(dialler: Dialler) -> None:
    backend = backend_of(PUBLIC)
    stream = backend.connect_tcp("id.example.com", 443)
    stream._connect_by = 0.0  # type: ignore[attr-defined]
    with pytest.raises(httpcore.ConnectTimeout):
        stream.start_tls(None, "id.example.com")  # type: ignore[arg-type]
    assert dialler.streams[0].calls == []


def test_stream_write_timeout_is_remaining_time(dialler: Dialler) -> None:
    stream = backend_of(PUBLIC, total_seconds=3.0).connect_tcp("id.example.com", 443)
    stream.write(b"x", 99.0)
    ((name, data, timeout),) = dialler.streams[0].calls
    assert (name, data) == ("write", b"x")
    assert timeout == 3.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wicket.jwks.network_backend._YIELD_AFTER", 0.0)


@pytest.mark.usefixtures("impatient")
def test_stream_read_after_yield_interval_backlog_times_out(dialler: Dialler) -> None:
    backlog = False
    stream = backend_of(PUBLIC, has_backlog=lambda: backlog).connect_tcp("id.example.com", 443)
    dialler.streams[0].reads = [httpcore.ReadTimeout(), b"x", httpcore.ReadTimeout(), b"never"]
    assert stream.read(1) == b"x"
    backlog = True
    with pytest.raises(httpcore.ReadTimeout):
        stream.read(1)


@pytest.mark.usefixtures("impatient")
def test_stream_read_dripping_bytes_backlog_times_out(dialler: Dialler) -> None:
    """Single bytes must not keep a thread occupied that other fetches wait for."""
    stream = backend_of(PUBLIC, has_backlog=lambda: True).connect_tcp("id.example.com", 443)
    dialler.streams[0].reads = [*[b"x"] * 100, b""]
    with pytest.raises(httpcore.ReadTimeout):
        read_all(stream)


def test_stream_read_before_yield_interval_backlog_continues(dialler: Dialler) -> None:
    stream = backend_of(PUBLIC, has_backlog=lambda: True).connect_tcp("id.example.com", 443)
    dialler.streams[0].reads = [httpcore.ReadTimeout(), b"x"]
    assert stream.read(1) == b"x"


def test_remaining_future_deadline_seconds_past_deadline_times_out(clock: Now) -> None:
    assert remaining(clock.now + 5) == 5
    for moment in (clock.now, 0.0):
        with pytest.raises(httpcore.ConnectTimeout):
            remaining(moment)
