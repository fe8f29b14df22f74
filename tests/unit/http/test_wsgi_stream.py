"""WSGI event streams end if their token is no longer valid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.unit import NOW, acme, gate_of
from tests.unit.http.connections import FaultyClock, gate_at, verified
from wicket.http.wsgi_stream import ExpiringStream


class Chunks:
    """An application's iterable that counts calls of `close`."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed += 1


def test_expiring_stream_expired_token_ends_before_next_chunk() -> None:
    clock = FaultyClock.__new__(FaultyClock)
    clock.now, clock.broken = NOW, False
    gate = gate_at(clock)
    chunks = Chunks(b"a", b"b", b"c")
    response = ExpiringStream(gate, verified(gate), chunks, lambda: True)
    stream = iter(response)
    assert next(stream) == b"a"
    clock.now = NOW + 60
    assert list(stream) == []
    response.close()
    assert chunks.closed == 1


def test_expiring_stream_not_event_stream_passed_whole() -> None:
    clock = FaultyClock()
    gate = gate_at(clock)
    response = ExpiringStream(gate, verified(gate), [b"a", b"b"], lambda: False)
    clock.now = NOW + 60
    assert list(response) == [b"a", b"b"]
    response.close()


def test_expiring_stream_valid_token_passed_whole() -> None:
    gate = gate_of(acme())
    assert list(ExpiringStream(gate, verified(gate), [b"a", b"b"], lambda: True)) == [b"a", b"b"]


@pytest.mark.parametrize("taken", [0, 1])
def test_expiring_stream_closed_early_closes_iterable(taken: int) -> None:
    gate = gate_of(acme())
    chunks = Chunks(b"a", b"b")
    response = ExpiringStream(gate, verified(gate), chunks, lambda: True)
    stream = iter(response)
    for _ in range(taken):
        next(stream)
    response.close()
    assert chunks.closed == 1
