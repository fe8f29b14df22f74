"""An empty handler in Starlette and in Flask, alone, with each peer's middleware, and with Wicket's; without a server.

Every client is checked before it is measured: a valid token is allowed, and a forged one is refused. If the middleware
checks origins, a foreign origin is refused, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks import fixtures, peers
from benchmarks.fixtures import Algorithm
from benchmarks.measure import Batch
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

BARE: Final = "bare"
WICKET: Final = "Wicket"
KNOW_ORIGINS: Final = frozenset({WICKET, *peers.PLAIN})

Client = Callable[[Mapping[str, str], int], set[int]]
"""A function of the headers and a count: it sends that many requests and returns the set of response statuses."""


def starlettes(algorithm: Algorithm) -> tuple[dict[str, Client], list[str]]:
    """Returns the clients of the Starlette applications by name, and the packages that are missing."""
    gate = fixtures.readme_gate(algorithm)
    wanted: dict[str, Callable[[], list[Any]]] = {BARE: list}
    cors = Middleware(
        CORSMiddleware, allow_origins=fixtures.ORIGINS, expose_headers=["WWW-Authenticate", "Retry-After"]
    )
    for name, peer in peers.PLAIN.items():
        wanted[name] = lambda peer=peer: [cors, Middleware(peers.PlainASGIMiddleware, check=peer(algorithm))]  # type: ignore[misc]
    wanted["fastmcp"] = lambda: [cors, *peers.fastmcp_middleware(algorithm)]
    wanted[WICKET] = lambda: [Middleware(ASGIMiddleware, gate=gate)]
    loop = asyncio.new_event_loop()

    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    built, missing = _built(
        {
            name: lambda middleware=middleware: _asgi_client(  # type: ignore[misc]  # mypy does not infer such lambdas
                Starlette(routes=[Route("/", home)], middleware=middleware()), loop
            )
            for name, middleware in wanted.items()
        }
    )
    return _with_readme_headers(built), missing


def flasks(algorithm: Algorithm) -> tuple[dict[str, Client], list[str]]:
    """Returns the clients of the Flask applications by name, and the packages that are missing."""
    gate = fixtures.readme_gate(algorithm)

    def plain(app: Any, view: Any, algorithm: Algorithm) -> Any:
        return view

    def untouched(inner: Any) -> Any:
        return inner

    def client(
        guard: Callable[..., Any] = plain, wrap: Callable[[Any], Any] = untouched, *, cors: bool = True
    ) -> Client:
        app = flask.Flask("benchmark")
        app.add_url_rule("/", "home", guard(app, lambda: "ok", algorithm))
        if cors:
            peers.flask_cors(app)
        return _wsgi_client(wrap(app.wsgi_app))

    wanted: dict[str, Callable[[], Client]] = {BARE: lambda: client(cors=False)}
    for name, peer in peers.PLAIN.items():
        wanted[name] = lambda peer=peer: client(wrap=_plain(peer(algorithm)))  # type: ignore[misc]  # as above
    wanted["Authlib protector"] = lambda: client(guard=peers.authlib_protector)
    wanted["Flask-JWT-Extended"] = lambda: client(guard=peers.flask_jwt_extended)
    wanted[WICKET] = lambda: client(wrap=lambda inner: WSGIMiddleware(inner, gate), cors=False)
    built, missing = _built(wanted)
    return _with_readme_headers(built), missing


def check(name: str, client: Client, algorithm: Algorithm) -> None:
    """Check a client. Raises `RuntimeError` if a response differs from the expected one."""
    good = fixtures.token_for("user-1", algorithm)
    if client(fixtures.headers_of(good), 1) != {200}:
        raise RuntimeError(f"{name} refuses a good token")
    if name == BARE:
        return
    if client(fixtures.headers_of(fixtures.forged(algorithm)), 1) & {200, 500}:
        raise RuntimeError(f"{name} admits a forged token")
    if name in KNOW_ORIGINS and client(fixtures.headers_of(good, origin=fixtures.FOREIGN_ORIGIN), 1) & {200, 500}:
        raise RuntimeError(f"{name} admits a strange origin")


def batch_of(client: Client, headers: Mapping[str, str], calls: int) -> Batch:
    """Returns a batch of allowed requests."""

    def batch() -> None:
        if client(headers, calls) != {200}:
            raise RuntimeError("a request was not answered with 200")

    return batch


def _with_readme_headers(clients: dict[str, Client]) -> dict[str, Client]:
    """Returns the clients, with that of Wicket sending the headers of the first example of the README."""
    wicket = clients[WICKET]
    return {**clients, WICKET: lambda headers, calls: wicket(fixtures.readme_headers(headers), calls)}


def _built(wanted: Mapping[str, Callable[[], Client]]) -> tuple[dict[str, Client], list[str]]:
    clients: dict[str, Client] = {}
    missing: list[str] = []
    for name, build in wanted.items():
        try:
            clients[name] = build()
        except peers.NotInstalled as package:
            missing.append(f"{name}: the package {package} is not installed")
    return clients, missing


def _plain(check: peers.Check) -> Callable[[Any], Any]:
    return lambda inner: peers.PlainWSGIMiddleware(inner, check)


def _asgi_client(app: Any, loop: asyncio.AbstractEventLoop) -> Client:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def requests(headers: list[tuple[bytes, bytes]], calls: int, statuses: set[int]) -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.add(message["status"])

        for _ in range(calls):
            scope = {
                "type": "http",
                "http_version": "1.1",
                "method": "GET",
                "scheme": "https",
                "path": "/",
                "raw_path": b"/",
                "root_path": "",
                "query_string": b"",
                "headers": headers,
                "client": ("192.0.2.1", 40000),
                "server": ("api.example", 443),
            }
            await app(scope, receive, send)

    def client(headers: Mapping[str, str], calls: int) -> set[int]:
        statuses: set[int] = set()
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        loop.run_until_complete(requests(pairs, calls, statuses))
        return statuses

    return client


def _wsgi_client(app: Any) -> Client:
    def client(headers: Mapping[str, str], calls: int) -> set[int]:
        statuses: set[int] = set()
        environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        environ.update({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "SCRIPT_NAME": ""})
        environ.update({"SERVER_NAME": "api.example", "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1"})
        environ.update({"wsgi.url_scheme": "https", "REMOTE_ADDR": "192.0.2.1"})

        def start_response(status: str, headers: Any, error: Any = None) -> None:
            statuses.add(int(status[:3]))

        for _ in range(calls):
            for _chunk in app(dict(environ), start_response):
                pass
        return statuses

    return client
