"""Both middlewares without a server: one request, one response, with everything that a server would see.

The request is given as a client would write it on the wire; each door gets it in its own server's form.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes

import wicket.asgi
import wicket.wsgi
from wicket import Decision, Gate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

T = TypeVar("T")
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answered:
    """The response of a middleware. `passed` tells whether the application was called, and with which decision."""

    status: int
    headers: dict[str, str]
    body: bytes
    passed: bool
    decision: Decision | None = field(repr=False)


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never has to wait, without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise AssertionError("the door waited for something, though nothing has to be loaded")


def through_asgi(gate: Gate, headers: Headers = (), *, path: str = "/", query: bytes = b"") -> Answered:
    """Send one GET through `wicket.asgi`."""
    seen: list[Decision] = []
    sent: list[MutableMapping[str, Any]] = []

    async def application(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        seen.append(scope["state"][gate.name])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in"})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in headers],
    }
    finished(wicket.asgi.WicketMiddleware(application, gate)(scope, receive, send))
    start, body = sent
    assert start["type"] == "http.response.start"
    assert body["type"] == "http.response.body"
    answered = {name.decode("ascii"): value.decode("ascii") for name, value in start["headers"]}
    return Answered(start["status"], answered, body["body"], bool(seen), seen[0] if seen else None)


def through_wsgi(
    gate: Gate,
    headers: Headers = (),
    *,
    path: str = "/",
    query: bytes = b"",
    environ: Iterable[tuple[str, str]] = (),
) -> Answered:
    """Send one GET through `wicket.wsgi`. Repeated headers are joined with a comma, as servers do.

    `environ` holds variables that are set as they are, for what only a broken server would set.
    """
    seen: list[Decision] = []
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ[f"{gate.name}.decision"])
        start_response("200 OK", [])
        return [b"in"]

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        started.append((status, headers))
        return lambda _: None

    given: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "wicket.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(),
    }
    for name, value in headers:
        variable = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        given[variable] = f"{given[variable]},{text}" if variable in given else text
    given.update(environ)
    body = b"".join(wicket.wsgi.WicketMiddleware(application, gate)(given, start_response))
    ((status, answered),) = started
    assert all(type(name) is str and type(value) is str for name, value in answered)
    return Answered(
        int(status.split(" ", 1)[0]),
        {name.lower(): value for name, value in answered},
        body,
        bool(seen),
        seen[0] if seen else None,
    )


DOORS: dict[str, Callable[..., Answered]] = {"asgi": through_asgi, "wsgi": through_wsgi}
