"""A local HTTPS issuer for tests, with key rotation and fault injection. It needs `trustme`."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from wicket.config.network import Network

Handler = Callable[["Exchange"], None]


class Exchange:
    """One request to the issuer, passed to `LocalIssuer.fault`.

    Attributes:
        path: The path and query of the request.
        headers: The headers of the request.
    """

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.path = handler.path
        self.headers = handler.headers
        self._handler = handler

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a complete response.

        Args:
            status: The status.
            body: The body.
            headers: Further headers. `Content-Length` may be replaced.
        """
        self._handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def raw(self, data: bytes) -> None:
        """Send bytes to the client unchanged, without a status line."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()


class LocalIssuer:
    """An issuer on a loopback port, used as `with LocalIssuer() as issuer:`.

    Pass `issuer.network` to the gate, and `issuer.issuer` and `Jwks(issuer.jwks_url)` to the app.
    `issuer.token("user-1")` signs with the newest key.

    Args:
        max_age: The `max-age` of the key set, in seconds. None sends no `Cache-Control`.
        host: The host name in `issuer` and in the certificate.

    Attributes:
        max_age: The `max-age` of the key set, in seconds, or None.
        fault: A function of one `Exchange` that answers requests in place of the issuer, or None.
        requests: The paths of all requests.
        keys: The private keys of the key set by kid, oldest first.
        port: The TCP port.
        issuer: The issuer URL, for the claim `iss`.
        jwks_url: The URL of the key set.
        network: Network settings that allow fetching from this issuer.
    """

    def __init__(self, *, max_age: int | None = None, host: str = "localhost") -> None:
        self.max_age = max_age
        self.fault: Handler | None = None
        self.requests: list[str] = []
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._etag = 0
        self._changing = threading.Lock()  # the document and its ETag must match
        self._authority = trustme.CA()
        self._closing = threading.Event()
        issuer = self

        class RequestHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                (issuer.fault or issuer._serve)(Exchange(self))
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self._server = _Server(("127.0.0.1", 0), RequestHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host, "127.0.0.1").configure_cert(context)
        self._server.context = context
        self.port: int = self._server.server_address[1]
        self.issuer = f"https://{host}:{self.port}"
        self.jwks_url = f"{self.issuer}/.well-known/jwks.json"
        client_context = ssl.create_default_context()
        self._authority.configure_trust(client_context)
        self.network = Network(
            ["127.0.0.0/8"], [self.port], ssl_context=client_context, resolver=lambda *_: ["127.0.0.1"]
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.rotate()

    @property
    def authority_pem(self) -> bytes:
        """The certificate of the issuer's certificate authority, in PEM."""
        return self._authority.cert_pem.bytes()

    def __enter__(self) -> LocalIssuer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def rotate(self) -> str:
        """Add a new signing key. The older keys stay in the key set.

        Returns:
            The kid of the new key.
        """
        kid = f"key-{self._etag + 1}"
        key = ec.generate_private_key(ec.SECP256R1())
        with self._changing:
            self.keys[kid] = key
            self._etag += 1
        return kid

    def remove(self, kid: str) -> None:
        """Remove a key from the key set.

        Args:
            kid: The kid of the key.

        Raises:
            KeyError: If there is no such key.
        """
        with self._changing:
            del self.keys[kid]
            self._etag += 1

    def token(
        self, subject: str, *, kid: str | None = None, ttl: float = 600, now: float | None = None, **claims: Any
    ) -> str:
        """Return a signed token.

        Args:
            subject: The claim `sub`.
            kid: The kid of the signing key. None means the newest key.
            ttl: The lifetime, in seconds.
            now: The claim `iat`, in seconds since 1970. None means the current time.
            claims: Further claims, which replace the defaults.
        """
        signing_kid = kid if kid is not None else list(self.keys)[-1]
        issued_at = int(time.time() if now is None else now)
        base = {"iss": self.issuer, "sub": subject, "iat": issued_at, "exp": issued_at + int(ttl)}
        key = self.keys[signing_kid]
        return jwt.encode({**base, **claims}, key, algorithm="ES256", headers={"kid": signing_kid})

    def document(self) -> dict[str, Any]:
        """Return the key set that the issuer serves (RFC 7517 section 5)."""
        return {"keys": [self._public_jwk(kid, key) for kid, key in self.keys.items()]}

    def wait(self, seconds: float) -> None:
        """Delay a response of `fault`. Returns early if the issuer is closed.

        Args:
            seconds: The delay, in seconds.
        """
        self._closing.wait(seconds)

    def _public_jwk(self, kid: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
        return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": "ES256"}

    def _serve(self, exchange: Exchange) -> None:
        with self._changing:
            etag, document = f'"{self._etag}"', self.document()
        headers = {"Content-Type": "application/json", "ETag": etag}
        if self.max_age is not None:
            headers["Cache-Control"] = f"public, max-age={self.max_age}"
        if exchange.path == "/.well-known/openid-configuration":
            exchange.answer(200, json.dumps({"issuer": self.issuer, "jwks_uri": self.jwks_url}).encode(), headers)
        elif exchange.path != "/.well-known/jwks.json":
            exchange.answer(404)
        elif exchange.headers.get("If-None-Match") == etag:
            exchange.answer(304, headers=headers)
        else:
            exchange.answer(200, json.dumps(document).encode(), headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the thread of the request, so that a slow one does not block other requests."""
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing, because tests close connections early."""
