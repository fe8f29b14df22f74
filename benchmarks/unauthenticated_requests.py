"""Builders of the requests that `unauthenticated_cases.py` measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from benchmarks import fixtures
from wicket import (
    App,
    Bearer,
    Gate,
    Request,
    Secret,
    profiles,
)
from wicket.asgi import WicketMiddleware
from wicket.runtime import base64url

HEADER_BYTES: Final = 65_000
"""The size of headers in bytes that uvicorn allows (64 KiB), without the request line."""
BODY: Final = 65_000
TOKEN: Final = 16_000

Call = Callable[[], object]


class Case(NamedTuple):
    """One kind of request: its description, the name of its base, and the call of that base if it has one."""

    what: str
    against: str
    call: Call
    base: Call | None = None


def scope_of(headers: Any, *, path: str = "/api", query: str = "", method: str = "GET", kind: str = "http") -> Any:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "method": method, "path": path, "query_string": query.encode("latin-1"), "headers": pairs}
    if kind == "websocket":
        del scope["method"]
    return scope


def refused_call(gate: Gate, headers: Any, **parts: Any) -> Call:
    """Returns a call that decides about a request with these headers. The gate must refuse it."""
    scope = scope_of(headers, **parts)
    fixtures.refused(gate.decide(Request.from_asgi(scope)))
    return lambda: gate.decide(Request.from_asgi(scope))


def middleware_call(gate: Gate, headers: Any, settings: dict[str, Any] | None = None, **parts: Any) -> Call:
    """Returns a call that sends a request with these headers through the ASGI middleware."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

    async def send(message: Any) -> None: ...

    middleware = WicketMiddleware(nothing, gate, **(settings or {}))
    scope = scope_of(headers, **parts)

    def call() -> None:
        try:
            middleware(dict(scope), send, send).send(None)  # type: ignore[arg-type]
        except StopIteration:
            return
        raise RuntimeError("the middleware waits")

    return call


def wsgi_call(gate: Gate, **variables: str) -> Call:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api", "HTTP_X_APP_ID": "acme", **variables}
    fixtures.refused(gate.decide(Request.from_wsgi(environ)))
    return lambda: gate.decide(Request.from_wsgi(environ))


def app_of(id: str = "acme", **settings: Any) -> App:
    settings.setdefault("credentials", [Secret(fixtures.SECRET)])
    return profiles.generic(id, **settings)


def gate_of(**settings: Any) -> Gate:
    settings.setdefault("app_locations", profiles.generic.app_locations)
    token_locations = settings.get("token_locations", [Bearer()])
    origins = ["https://other.example"]
    other = App(
        "other",
        credentials=[Secret(fixtures.SECRET[::-1])],
        app_locations=settings["app_locations"],
        token_locations=token_locations,
        origins=origins,
    )
    return Gate([app_of(**settings), other])


NAMED: Final = [("x-app-id", "acme")]


def unsigned_token(
    header: bytes, payload: bytes = b'{"sub":"user-1","exp":9999999999}', signature: bytes = b"a" * 32
) -> str:
    return ".".join(map(base64url.encode, (header, payload, signature)))


def padded(start: bytes, piece: bytes, end: bytes, size: int) -> bytes:
    return start + piece * ((size - len(start) - len(end)) // len(piece)) + end


def bearer(token: str) -> list[tuple[str, str]]:
    return [*NAMED, ("authorization", f"Bearer {token}")]
