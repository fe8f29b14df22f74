"""The transport of one fetch: httpx over a connection pool of httpcore whose network backend is guarded."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpcore
import httpx

from wicket.config.network import Proxy
from wicket.jwks.network_backend import GuardedBackend


class GuardedTransport(httpx.BaseTransport):
    """A transport for one request. Its connection is opened by a `GuardedBackend`.

    It uses no proxy of the environment and does not retry. It raises the exceptions of httpcore and of the backend
    unchanged.

    Args:
        ssl_context: verifies the certificate of the endpoint.
        backend: connects only to allowed addresses, and bounds the time and the size of the response.
        proxy: opens the connection to the endpoint. None: the backend does. The request is sent to the endpoint only,
            through a tunnel (CONNECT) inside which `ssl_context` verifies the endpoint's certificate.
        proxy_ssl_context: verifies the certificate of an https proxy.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext,
        backend: GuardedBackend,
        proxy: Proxy | None = None,
        proxy_ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._pool: httpcore.ConnectionPool
        if proxy is None:
            self._pool = httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=backend, max_connections=1)
        else:
            self._pool = httpcore.HTTPProxy(
                httpcore.URL(scheme=proxy.scheme, host=proxy.host, port=proxy.port, target="/"),
                proxy.auth,
                ssl_context=ssl_context,
                proxy_ssl_context=proxy_ssl_context if proxy.scheme == "https" else None,
                network_backend=backend,
                max_connections=1,
            )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, whose body is not read yet. It has no `Set-Cookie`.

        Args:
            request: a GET request. Its extension `target` is the target of the request line, in bytes.
        """
        url = request.url
        # The URL is passed in parts, because httpcore drops everything after a semicolon when it parses a string.
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=request.extensions["target"]
                ),
                headers=request.headers.raw,
            )
        )
        headers = [(name, value) for name, value in response.headers if name.lower() != b"set-cookie"]
        return httpx.Response(response.status, headers=headers, stream=_Body(response), extensions=response.extensions)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """The body of a response, as it is received."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()
