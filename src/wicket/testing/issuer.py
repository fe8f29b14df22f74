"""A local issuer for tests: HTTPS with its own authority, rotating keys, faults on demand. Needs `trustme`, `pyjwt`."""

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
    """One request to the issuer, for a fault of one's own: its path, its headers, and what may be sent back."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.path = handler.path
        self.headers = handler.headers
        self._handler = handler

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a whole answer."""
        self._handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()


class LocalIssuer:
    """An issuer on a loopback port, for `with LocalIssuer() as issuer:`.

    Give `issuer.network` to the gate, `issuer.issuer` and `Jwks(issuer.jwks_url)` to the app. `issuer.token("user-1")`
    signs with the newest key; `rotate()` makes another, `remove(kid)` withdraws one. `fault`, a function of one
    `Exchange`, answers in the issuer's place while it is set; `requests` are the paths that were asked for.
    """

    def __init__(self, *, max_age: int | None = None, host: str = "localhost") -> None:
        self.max_age = max_age
        self.fault: Handler | None = None
        self.requests: list[str] = []
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self._etag = 0
        self._changing = threading.Lock()  # a document and its ETag are of one moment
        self._authority = trustme.CA()
        self._closing = threading.Event()
        issuer = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                (issuer.fault or issuer._serve)(Exchange(self))
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Requests)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host, "127.0.0.1").configure_cert(context)
        self._server.context = context
        self.port: int = self._server.server_address[1]
        self.issuer = f"https://{host}:{self.port}"
        self.jwks_url = f"{self.issuer}/.well-known/jwks.json"
        trusting = ssl.create_default_context()
        self._authority.configure_trust(trusting)
        self.network = Network(["127.0.0.0/8"], [self.port], ssl_context=trusting, resolver=lambda *_: ["127.0.0.1"])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.rotate()

    @property
    def authority_pem(self) -> bytes:
        """The certificate of the issuer's own authority, in PEM."""
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
        """Make another key, which signs from now on; the older ones stay in the set. Returns its kid."""
        kid = f"key-{self._etag + 1}"
        key = ec.generate_private_key(ec.SECP256R1())
        with self._changing:
            self.keys[kid] = key
            self._etag += 1
        return kid

    def remove(self, kid: str) -> None:
        """Withdraw a key from the set."""
        with self._changing:
            del self.keys[kid]
            self._etag += 1

    def token(
        self, subject: str, *, kid: str | None = None, ttl: float = 600, now: float | None = None, **claims: Any
    ) -> str:
        """A token of this issuer for `subject`, signed with the newest key, or the one named; `ttl` in seconds."""
        name = kid if kid is not None else list(self.keys)[-1]
        issued = int(time.time() if now is None else now)
        base = {"iss": self.issuer, "sub": subject, "iat": issued, "exp": issued + int(ttl)}
        return jwt.encode({**base, **claims}, self.keys[name], algorithm="ES256", headers={"kid": name})

    def document(self) -> dict[str, Any]:
        """The key set as it is served."""
        return {"keys": [self._public(kid, key) for kid, key in self.keys.items()]}

    def wait(self, seconds: float) -> None:
        """Let a fault take its time; ends at once where the issuer is closed."""
        self._closing.wait(seconds)

    def _public(self, kid: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
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
        """The handshake belongs to the thread of the request: one that hangs must not stop the others."""
        with self.context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""
