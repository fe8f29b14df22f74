"""The network backend of one fetch. It connects only to allowed addresses, and has one deadline for all operations."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from wicket.config.network import Network
from wicket.jwks.ssrf import AddressCheck, is_allowed, resolve_allowed

_POLL_INTERVAL: Final = 0.1
"""The interval in seconds at which a fetch that waits for data checks whether other fetches wait for a thread."""
_YIELD_AFTER: Final = 0.5
"""The time in seconds after which a fetch is aborted if other fetches wait for a thread."""


class GuardedBackend(httpcore.NetworkBackend):
    """A network backend for one fetch. It connects only to allowed addresses (SSRF protection).

    Args:
        network: the allowed addresses.
        connect_seconds: the deadline for the connection and the TLS handshake, in seconds from now.
        total_seconds: the deadline for all operations, in seconds from now.
        max_bytes: the maximum number of received bytes, including the header section and chunk framing.
        has_backlog: returns whether other fetches wait for a thread. Then a slow fetch is aborted.
        check: decides about each address of the host.

    Attributes:
        connected_address: the IP address of the connection. None before there is one.
    """

    def __init__(
        self,
        network: Network,
        *,
        connect_seconds: float,
        total_seconds: float,
        max_bytes: int = 512 * 1024,
        has_backlog: Callable[[], bool] = bool,
        check: AddressCheck = is_allowed,
    ) -> None:
        self._network = network
        self._check = check
        self._inner = httpcore.SyncBackend()
        now = time.monotonic()
        self._connect_by = now + connect_seconds
        self._budget = _FetchBudget(now + total_seconds, now + _YIELD_AFTER, has_backlog, max_bytes)
        self.connected_address: str | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers in time. The certificate is still verified for the host name.

        Args:
            host: the host name of the endpoint or of its proxy. All its addresses must be allowed.
            port: the port.
            timeout: ignored. The deadline of the fetch applies.
            local_address: see httpcore.
            socket_options: see httpcore.

        Raises:
            ForbiddenAddressError: an address is not allowed.
            ResolutionError: the host does not resolve.
            httpcore.ConnectError: no address could be connected to.
            httpcore.ConnectTimeout: no address answered in time.
        """
        failure: Exception = httpcore.ConnectError("no address")
        addresses = resolve_allowed(self._network, host, port, self._check)
        for index, address in enumerate(addresses):
            try:
                # The remaining time is divided: an address that never answers must not use up the time of the next.
                seconds = remaining(self._connect_by) / (len(addresses) - index)
                stream = self._inner.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            self.connected_address = address
            return _TimedStream(stream, self._connect_by, self._budget)
        raise failure


def remaining(moment: float) -> float:
    """Return the seconds until a deadline.

    Args:
        moment: the deadline by the monotonic clock.

    Raises:
        httpcore.ConnectTimeout: the deadline has passed.
    """
    seconds = moment - time.monotonic()
    if seconds <= 0:
        raise httpcore.ConnectTimeout
    return seconds


class ResponseTooLargeError(Exception):
    """The response is larger than allowed, including its header section and chunk framing."""


@dataclass(slots=True)
class _FetchBudget:
    """The time and the bytes that a fetch may still use.

    Attributes:
        end_by: the deadline, by the monotonic clock.
        yield_after: the time from which the fetch is aborted if other fetches wait for a thread.
        has_backlog: returns whether other fetches wait for a thread.
        bytes_left: the number of bytes that may still be received.
    """

    end_by: float
    yield_after: float
    has_backlog: Callable[[], bool]
    bytes_left: int

    def count(self, received: int) -> None:
        """Subtract the received bytes. Raises `ResponseTooLargeError` if there are too many."""
        self.bytes_left -= received
        if self.bytes_left < 0:
            raise ResponseTooLargeError

    def check(self) -> None:
        """Raise `httpcore.ReadTimeout` if other fetches wait for a thread and this one is slow."""
        if time.monotonic() >= self.yield_after and self.has_backlog():
            raise httpcore.ReadTimeout


class _TimedStream(httpcore.NetworkStream):
    """A stream whose operations share the deadline of the fetch. A slow response does not extend it."""

    def __init__(self, inner: httpcore.NetworkStream, connect_by: float, budget: _FetchBudget) -> None:
        self._inner = inner
        self._connect_by = connect_by
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            seconds = remaining(self._budget.end_by)
            self._budget.check()
            with contextlib.suppress(httpcore.ReadTimeout):
                data = self._inner.read(max_bytes, min(seconds, _POLL_INTERVAL))
                self._budget.count(len(data))
                return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, remaining(self._budget.end_by))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, remaining(self._connect_by))
        return _TimedStream(secured, self._connect_by, self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
