"""A response of a WSGI application that can outlive its decision: an event stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wicket.decision.decision import Decision
from wicket.gate import Gate
from wicket.http.long_lived import EVENT_STREAM, ConnectionEnded


class ExpiringStream:
    """What a WSGI application answers, ended at the first chunk after its token has expired or was revoked.

    `lasts` says, once the application has begun to answer, whether that is an event stream.

    PEP 3333 gives no way to end a response from outside the server's thread. If a client does not read, the server
    blocks in its own write and keeps that thread until the write ends or its own time-out passes; the stream then ends
    at the next chunk. An application that is waiting for its next chunk is not interrupted either.
    """

    def __init__(self, gate: Gate, decision: Decision, chunks: Iterable[bytes], lasts: Callable[[], bool]) -> None:
        self._gate = gate
        self._decision = decision
        self._chunks = chunks
        self._lasts = lasts

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                if self._lasts() and self._gate.revalidate(self._decision) is not None:
                    return
                yield chunk
        except ConnectionEnded:  # of a `write` (PEP 3333) among them
            if not self._lasts():
                raise

    def close(self) -> None:
        """Close the application's iterable (PEP 3333)."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def is_event_stream(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a response with these headers is an event stream."""
    return any(name.lower() == "content-type" and value.lower().startswith(EVENT_STREAM) for name, value in headers)
