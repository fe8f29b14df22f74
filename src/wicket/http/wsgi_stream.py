"""A WSGI event stream that ends if its token is no longer valid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wicket.decision.decision import Decision
from wicket.gate import Gate
from wicket.http.long_lived import EVENT_STREAM, ConnectionEnded


class ExpiringStream:
    """The response iterable of a WSGI application, ended at the first chunk after its token expires or is revoked.

    PEP 3333 defines no way to end a response from another thread. If a client does not read, the server blocks in its
    own write. It keeps that thread until the write ends or the server's timeout passes, and the stream ends at the next
    chunk. An application that waits for its next chunk is not interrupted either.

    Args:
        gate: The gate that decided.
        decision: The decision about the request.
        chunks: The iterable that the application returned.
        is_stream: Returns whether the response is an event stream. It is called after the first chunk was produced,
            because the application may call `start_response` that late (PEP 3333).
    """

    def __init__(self, gate: Gate, decision: Decision, chunks: Iterable[bytes], is_stream: Callable[[], bool]) -> None:
        self._gate = gate
        self._decision = decision
        self._chunks = chunks
        self._is_stream = is_stream

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                if self._is_stream() and self._gate.revalidate(self._decision) is not None:
                    return
                yield chunk
        except ConnectionEnded:  # the middleware's `write` callable (PEP 3333) raises it too
            if not self._is_stream():
                raise

    def close(self) -> None:
        """Close the application's iterable (PEP 3333)."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def is_event_stream(headers: Iterable[tuple[str, str]]) -> bool:
    """Return whether a response with these headers is an event stream."""
    return any(name.lower() == "content-type" and value.lower().startswith(EVENT_STREAM) for name, value in headers)
