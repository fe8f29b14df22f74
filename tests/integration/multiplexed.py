"""hypercorn and anycorn in processes of their own, and several requests on one HTTP/2 connection of theirs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.integration import servers


@contextlib.contextmanager
def serving(module: str, target: str) -> Iterator[servers.Server]:
    """The server `module`, hypercorn or its fork anycorn, with the application `target` (`module:app`)."""

    def command(port: int) -> list[str]:
        return [module, target, "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]

    with servers._running(command) as server:
        yield server


def http2(server: servers.Server, sent: Mapping[str, Iterable[tuple[str, str]]]) -> list[str]:
    """Send one GET for each path on one connection, all before any is answered. Return the bodies in this order."""
    import h2.connection
    import h2.events

    connection: Any = h2.connection.H2Connection()
    connection.initiate_connection()
    bodies: dict[int, bytes] = {}
    for path, headers in sent.items():
        stream = connection.get_next_available_stream_id()
        bodies[stream] = b""
        pseudo = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "127.0.0.1")]
        connection.send_headers(stream, [*pseudo, *((name.lower(), value) for name, value in headers)], end_stream=True)
    ended: set[int] = set()
    with socket.create_connection(("127.0.0.1", server.port), timeout=servers.DEADLINE) as wire:
        wire.sendall(connection.data_to_send())
        while len(ended) < len(bodies):
            got = wire.recv(65_536)
            assert got, "the server ended the connection"
            for event in connection.receive_data(got):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            wire.sendall(connection.data_to_send())
    return [body.decode() for body in bodies.values()]
