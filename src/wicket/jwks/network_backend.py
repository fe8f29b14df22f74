"""The network below one fetch: it dials only what the guard admits, and every operation ends by one deadline."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from wicket.config.network import Network
from wicket.jwks.ssrf import resolve_allowed

_POLL_INTERVAL: Final = 0.1
"""How often a fetch that waits for an answer looks whether others wait for its thread, in seconds."""
_YIELD_AFTER: Final = 0.5
"""How long a fetch may then have taken."""


class GuardedBackend(httpcore.NetworkBackend):
    """A network backend for one fetch: it dials only what the guard admits, and one deadline covers every operation."""

    def __init__(
        self,
        network: Network,
        *,
        connect_seconds: float,
        total_seconds: float,
        max_bytes: int = 512 * 1024,
        crowded: Callable[[], bool] = bool,
    ) -> None:
        self._network = network
        self._inner = httpcore.SyncBackend()
        now = time.monotonic()
        self._connect_by = now + connect_seconds
        self._clock = _FetchBudget(now + total_seconds, now + _YIELD_AFTER, crowded, max_bytes)
        self.connected_address: str | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Dial the first admitted address that answers in time. The name stays in the URL, for the certificate."""
        failure: Exception = httpcore.ConnectError("no address")
        addresses = resolve_allowed(self._network, host, port)
        for index, address in enumerate(addresses):
            try:
                # Each has its share: one that never answers must not use up the time of the next.
                seconds = remaining(self._connect_by) / (len(addresses) - index)
                stream = self._inner.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            self.connected_address = address
            return _TimedStream(stream, self._connect_by, self._clock)
        raise failure


def remaining(moment: float) -> float:
    """The seconds until `moment`; raises `httpcore.ConnectTimeout` where it has passed."""
    seconds = moment - time.monotonic()
    if seconds <= 0:
        raise httpcore.ConnectTimeout
    return seconds


class ResponseTooLargeError(Exception):
    """More bytes came than any answer of a key set may have, its head and its framing included."""


@dataclass(slots=True)
class _FetchBudget:
    """When a fetch must have ended, when it gives way to others that wait, and how many bytes it may still read."""

    end_by: float
    patient_until: float
    crowded: Callable[[], bool]
    bytes_left: int

    def count(self, received: int) -> None:
        """Raise `ResponseTooLargeError` once more has come than may."""
        self.bytes_left -= received
        if self.bytes_left < 0:
            raise ResponseTooLargeError

    def check(self) -> None:
        """Raise `httpcore.ReadTimeout` where others wait and this fetch has had its share."""
        if time.monotonic() >= self.patient_until and self.crowded():
            raise httpcore.ReadTimeout


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every operation ends by the fetch's one deadline: bytes that drip in do not lengthen it."""

    def __init__(self, inner: httpcore.NetworkStream, connect_by: float, clock: _FetchBudget) -> None:
        self._inner = inner
        self._connect_by = connect_by
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            seconds = remaining(self._clock.end_by)
            self._clock.check()
            with contextlib.suppress(httpcore.ReadTimeout):
                data = self._inner.read(max_bytes, min(seconds, _POLL_INTERVAL))
                self._clock.count(len(data))
                return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, remaining(self._clock.end_by))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, remaining(self._connect_by))
        return _TimedStream(secured, self._connect_by, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
