"""The WSGI middleware, and event streams that outlive their token. The scenario table tests requests in general."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from tests.support.unit import NOW, ORIGIN, Clock, acme, claims, gate_of, token
from wicket import Gate, JsonBody, Rules
from wicket.http.long_lived import ConnectionEnded
from wicket.wsgi import WicketMiddleware


def through_wsgi(app: Any, gate: Gate, write: Any = print) -> Any:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "HTTP_X_APP_ID": "acme",
        "HTTP_AUTHORIZATION": f"Bearer {token(claims(exp=NOW + 60))}",
    }
    return WicketMiddleware(app, gate, close_on_expiry=True)(environ, lambda *_: write)


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_wsgi_event_stream_with_expired_token_ends(kind: str) -> None:
    clock = Clock()
    clock.now = NOW

    def list_app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("content-type", "text/event-stream")])
        return [b"a", b"b", b"c"]

    def generator_app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield from (b"a", b"b", b"c")

    stream = iter(
        through_wsgi(list_app if kind == "list" else generator_app, gate_of(acme(rules=Rules(leeway=0)), clock=clock))
    )
    assert next(stream) == b"a"
    clock.now = NOW + 60
    assert list(stream) == []


@pytest.mark.parametrize("later", [False, True], ids=["when called", "when iterated"])
@pytest.mark.parametrize(("kind", "expected"), [("text/event-stream", [b"a"]), ("text/plain", [b"a", b"b"])])
def test_wsgi_write_after_expiry_is_dropped_for_event_streams_only(
    kind: str, expected: list[bytes], later: bool
) -> None:
    clock = Clock()
    clock.now = NOW
    written: list[bytes] = []

    def write_chunks(start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [("Content-Type", kind)])
        write(b"a")
        clock.now = NOW + 60
        write(b"b")
        yield from ()

    def app(environ: Any, start_response: Any) -> Any:
        return write_chunks(start_response) if later else list(write_chunks(start_response))

    gate = gate_of(acme(rules=Rules(leeway=0)), clock=clock)
    assert list(through_wsgi(app, gate, written.append)) == []
    assert written == expected


def test_wsgi_connection_ended_of_other_gate_propagates() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise ConnectionEnded("of another gate")

    def lazy_app(environ: Any, start_response: Any) -> Any:
        yield from app(environ, start_response)

    for application in (app, lazy_app):
        with pytest.raises(ConnectionEnded, match="another gate"):
            list(through_wsgi(application, gate_of(acme(rules=Rules(leeway=0)), clock=lambda: NOW)))


def test_wsgi_other_response_after_expiry_is_unchanged() -> None:
    clock = Clock()
    clock.now = NOW
    chunks = [b"a", b"b"]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return chunks

    stream = iter(through_wsgi(app, gate_of(acme(rules=Rules(leeway=0)), clock=clock)))
    clock.now = NOW + 60
    assert list(stream) == chunks


def response_of(gate: Gate, app: Any = None, **environ: Any) -> tuple[str, dict[str, str], bytes]:
    """Return the status, headers and body that a client gets. Without `app`, reaching an application is an error."""
    started: list[Any] = []

    def never(environ: Any, start_response: Any) -> Any:
        raise AssertionError("not reached")

    def start_response(*args: Any) -> Any:
        started.append(args)

    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "HTTP_X_APP_ID": "acme", **environ}
    body = b"".join(WicketMiddleware(app or never, gate, origin_check_path="/allowed")(request, start_response))
    ((status, headers, *_),) = started
    return status, dict(headers), body


@pytest.mark.parametrize(("origin", "status"), [(ORIGIN, "204 No Content"), ("https://evil.example", "403 Forbidden")])
def test_wsgi_preflight_and_origin_check_answered_by_middleware(origin: str, status: str) -> None:
    gate = gate_of(acme())
    preflight = {"REQUEST_METHOD": "OPTIONS", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT", "HTTP_ORIGIN": origin}
    assert response_of(gate, **preflight)[0] == status
    origin_check = response_of(gate, PATH_INFO="/allowed", HTTP_ORIGIN=origin)
    assert (origin_check[0] == "200 OK") is (status != "403 Forbidden")
    assert response_of(gate, PATH_INFO="/allowed", REQUEST_METHOD="HEAD", HTTP_ORIGIN=origin)[2] == b""


def test_wsgi_json_body_token_is_found_and_body_replayed() -> None:
    body = json.dumps({"token": token()}).encode()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ["REMOTE_USER"].encode(), environ["wsgi.input"].read()]

    response = response_of(
        gate_of(acme(token_locations=[JsonBody("token")])),
        app,
        REQUEST_METHOD="POST",
        CONTENT_TYPE="application/json",
        CONTENT_LENGTH=str(len(body)),
        **{"wsgi.input": BytesIO(body)},
    )
    assert (response[0], response[2]) == ("200 OK", b"acme:user-1" + body)
