"""The WSGI door and event streams that outlive their token. What it does with requests is in the table of scenarios."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.support import NOW, Clock, acme, claims, gate_of, token
from wicket import Gate, Rules
from wicket.wsgi import WicketMiddleware


def through_wsgi(app: Any, gate: Gate) -> Any:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "HTTP_X_APP_ID": "acme",
        "HTTP_AUTHORIZATION": f"Bearer {token(claims(exp=NOW + 60))}",
    }
    return WicketMiddleware(app, gate, close_on_expiry=True)(environ, lambda *_: lambda _: None)


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_the_wsgi_door_ends_event_streams_of_every_kind_of_application(kind: str) -> None:
    clock = Clock()
    clock.now = NOW

    def at_once(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("content-type", "text/event-stream")])
        return [b"a", b"b", b"c"]

    def generator(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield from (b"a", b"b", b"c")

    stream = iter(
        through_wsgi(at_once if kind == "list" else generator, gate_of(acme(rules=Rules(skew=0)), clock=clock))
    )
    assert next(stream) == b"a"
    clock.now = NOW + 60
    assert list(stream) == []


def test_the_wsgi_door_leaves_other_answers_as_they_are() -> None:
    clock = Clock()
    clock.now = NOW
    chunks = [b"a", b"b"]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return chunks

    stream = iter(through_wsgi(app, gate_of(acme(rules=Rules(skew=0)), clock=clock)))
    clock.now = NOW + 60
    assert list(stream) == chunks
