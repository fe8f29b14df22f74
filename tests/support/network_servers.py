"""Servers on loopback for fetches by the operator's rules: an HTTP proxy, and an issuer without TLS."""

from __future__ import annotations

import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wicket.testing.issuer import LocalIssuer

LOOPBACK = "127.0.0.1"


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing, because fetches close connections early."""


@contextmanager
def _serving(server: _Quiet) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Proxy:
    """An HTTP proxy that tunnels every CONNECT to one port of loopback, whatever host is named.

    Attributes:
        port: its port.
        connects: the targets of the CONNECT requests.
        headers: the header fields of the CONNECT requests.
        status: the status that it answers to CONNECT. It tunnels only with 200.
    """

    def __init__(self) -> None:
        self.port = 0
        self.connects: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200


@contextmanager
def http_proxy(target_port: int, context: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy. With a context, clients speak TLS with it."""
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            proxy.connects.append(self.path)
            proxy.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.close_connection = True
            self.send_response(proxy.status)
            self.end_headers()
            if proxy.status != 200:
                return
            with socket.create_connection((LOOPBACK, target_port), 10) as upstream:
                _tunnel(self.connection, upstream)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = _Quiet((LOOPBACK, 0), Handler)
    server.context = context
    with _serving(server) as proxy.port:
        yield proxy


def _tunnel(client: socket.socket, upstream: socket.socket) -> None:
    """Copy bytes in both directions until one side closes."""
    pairs = {client: upstream, upstream: client}
    while True:
        pending = isinstance(client, ssl.SSLSocket) and client.pending() > 0
        ready = [client] if pending else select.select(list(pairs), [], [], 30)[0]
        if not ready:
            return
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            pairs[source].sendall(data)


class PlainIssuer:
    """The key set and the metadata of a `LocalIssuer`, served over http.

    Attributes:
        port: its port.
        host: the host name of its URLs.
        requests: the header fields of each request, with lower-case names, and the target as `:path`.
    """

    def __init__(self, issuer: LocalIssuer, host: str) -> None:
        self.signer = issuer
        self.host = host
        self.port = 0
        self.requests: list[dict[str, str]] = []

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def jwks_url(self) -> str:
        return f"{self.origin}/keys"


@contextmanager
def plain_issuer(issuer: LocalIssuer, host: str = "keycloak") -> Iterator[PlainIssuer]:
    """Serve an issuer over http."""
    plain = PlainIssuer(issuer, host)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            plain.requests.append({":path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            metadata = {"issuer": plain.origin, "jwks_uri": plain.jwks_url}
            body = json.dumps(issuer.document() if self.path == "/keys" else metadata).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    with _serving(_Quiet((LOOPBACK, 0), Handler)) as plain.port:
        yield plain
