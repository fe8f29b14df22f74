"""An allowed request and its response pass unchanged, and the body of a refused one is not read: both middlewares."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.test import run_wsgi_app

from tests.integration.direct_calls import (
    MEGABYTES,
    awaited,
    environ_of,
    http_scope,
    never_called_wsgi,
    never_receive,
    run_asgi,
)
from tests.integration.registry import app_of, forged_headers, headers_of
from wicket import Decision, Gate, Header, Refusal, Refused
from wicket import asgi as asgi_door
from wicket import wsgi as wsgi_door
from wicket.asgi import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication


# --- ASGI


async def never_called(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("a refused request must not reach the application")


def test_asgi_send_application_messages_unchanged(gate: Gate) -> None:
    messages: list[Message] = [
        {"type": "http.response.debug", "info": {"template": "x"}},
        {"type": "http.response.start", "status": 200, "headers": [(b"trailer", b"digest")], "trailers": True},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.push", "path": "/x", "headers": []},
        {"type": "http.response.body", "body": b""},
        {"type": "http.response.trailers", "headers": [(b"digest", b"1")], "more_trailers": False},
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    sent = run_asgi(asgi_door.WicketMiddleware(app, gate, cors=False), http_scope(headers=headers_of("acme")))
    assert all(given is got for given, got in zip(messages, sent, strict=True))


def test_asgi_receive_server_messages_unchanged(gate: Gate) -> None:
    body: list[Message] = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b"},
        {"type": "http.disconnect"},
    ]
    waiting = iter(body)
    got: list[Message] = []

    async def receive() -> Message:
        return next(waiting)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.extend([await receive() for _ in body])

    run_asgi(asgi_door.WicketMiddleware(app, gate), http_scope(headers=headers_of("acme")), receive)
    assert got == body


def test_asgi_scope_same_object_only_decision_keys_added(gate: Gate) -> None:
    scope = http_scope("/x", headers_of("acme"), state={"database": "connected"}, extensions={"http.response.push": {}})
    state, before = scope["state"], copy.deepcopy(scope)
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    run_asgi(asgi_door.WicketMiddleware(app, gate), scope)
    assert seen[0] is scope, "what stands outside must still see what the application writes, its route for one"
    assert state == {"database": "connected"}, "servers and sub-requests may share it"
    decision: Decision = scope["state"].pop("wicket")
    assert scope.pop("user") is decision.identity
    assert scope.pop("auth").scopes == ["authenticated"]
    assert scope == before


@pytest.mark.parametrize("kind", ["lifespan", "a.type.of.the.future"])
def test_asgi_scope_lifespan_or_unknown_type_untouched(gate: Gate, kind: str) -> None:
    scope: Scope = {"type": kind, "asgi": {"version": "3.0"}}
    seen: list[object] = []

    async def app(*called_with: object) -> None:
        seen.extend(called_with)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None: ...

    asyncio.run(awaited(asgi_door.WicketMiddleware(app, gate), scope, receive, send))
    assert seen[0] is scope
    assert scope == {"type": kind, "asgi": {"version": "3.0"}}
    assert seen[1:] == [receive, send]


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("error", [RuntimeError("own"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_asgi_application_exception_propagated_unchanged(gate: Gate, error: BaseException, begun: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    async def main() -> BaseException:
        with pytest.raises(type(error)) as raised:
            await asgi_door.WicketMiddleware(app, gate)(http_scope(headers=headers_of("acme")), never_receive, send)
        return raised.value

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    assert asyncio.run(main()) is error
    assert len(sent) == begun


def test_asgi_refused_after_response_start_propagated(gate: Gate) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Refused(Refusal("insufficient_scope"))

    with pytest.raises(Refused):
        run_asgi(asgi_door.WicketMiddleware(app, gate), http_scope(headers=headers_of("acme")))


@pytest.mark.parametrize(
    "made", [list, lambda: headers_of("acme")[:1], lambda: forged_headers("acme")], ids=["nobody", "none", "bad"]
)
def test_asgi_refused_upload_401_body_not_read(gate: Gate, made: Callable[[], list[tuple[str, str]]]) -> None:
    size = [("Content-Length", str(MEGABYTES))]
    scope = http_scope("/upload", [*made(), *size], method="POST")
    sent = run_asgi(asgi_door.WicketMiddleware(never_called, gate), scope)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 401


def test_asgi_allowed_upload_body_not_read_by_gate(gate: Gate) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    scope = http_scope("/upload", [*headers_of("acme"), ("Content-Length", str(MEGABYTES))], method="POST")
    assert run_asgi(asgi_door.WicketMiddleware(app, gate), scope)[0]["status"] == 204


def test_asgi_scope_state_set_by_others_kept(gate: Gate) -> None:
    class Outer:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope.setdefault("state", {})["outer"] = "kept"
            await self.app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"database": {"opened": True}}

    async def handler(request: StarletteRequest) -> JSONResponse:
        own = getattr(request.state, "own", None)
        request.state.own = "mine"
        return JSONResponse([request.state.outer, request.state.database, own, request.state.wicket.app_id])

    gated = Middleware(asgi_door.WicketMiddleware, gate=gate)
    site = Starlette(routes=[Route("/", handler)], middleware=[Middleware(Outer), gated], lifespan=lifespan)
    with TestClient(site) as client:
        for _ in range(2):  # what one request sets is gone with the next
            answer = client.get("/", headers=dict(headers_of("acme")))
            assert answer.json() == ["kept", {"opened": True}, None, "acme"]


def test_asgi_nested_gates_decisions_kept_separate() -> None:
    naming = [Header("X-App-Id")]
    with (
        Gate([app_of("acme")], app_locations=naming) as outer,
        Gate([app_of("acme", allow_anonymous=True)], app_locations=[Header("X-Inner-App")], name="inner") as inner,
    ):

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            state = scope["state"]
            assert (state["wicket"].identity.user_id, state["inner"].identity.user_id) == ("ada", "ada")

        run_asgi(
            asgi_door.WicketMiddleware(asgi_door.WicketMiddleware(app, inner), outer),
            http_scope(headers=headers_of("acme")),
        )


def test_asgi_application_response_same_as_without_gate(gate: Gate) -> None:
    async def handler(request: StarletteRequest) -> PlainTextResponse:
        answer = PlainTextResponse("".join(sorted(request.headers)), 207, {"X-Own": "yes"})
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    bare = Starlette(routes=[Route("/", handler)])
    headers = dict(headers_of("acme"))
    with_gate = TestClient(asgi_door.WicketMiddleware(bare, gate, cors=False)).get("/", headers=headers)
    without = TestClient(bare).get("/", headers=headers)
    assert with_gate.status_code == without.status_code
    assert with_gate.headers.multi_items() == without.headers.multi_items()
    assert with_gate.content == without.content


# --- WSGI


class _NeverRead:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing may be read from this client, not even with {name}")


@pytest.mark.parametrize(
    "made", [list, lambda: headers_of("acme")[:1], lambda: forged_headers("acme")], ids=["nobody", "none", "bad"]
)
def test_wsgi_refused_upload_401_body_not_read(gate: Gate, made: Callable[[], list[tuple[str, str]]]) -> None:
    environ = environ_of("/upload", made(), method="POST", CONTENT_LENGTH=str(MEGABYTES))
    environ["wsgi.input"] = _NeverRead()
    _, status, _ = run_wsgi_app(wsgi_door.WicketMiddleware(never_called_wsgi, gate), environ)
    assert status == "401 Unauthorized"


def test_wsgi_application_iterable_status_headers_and_write_unchanged(gate: Gate) -> None:
    """`close()`, `wsgi.file_wrapper` and `write()` work as without a gate.

    The middleware passes its own `start_response`, because it reads the status. It gives the server the same arguments.
    """
    body = iter([b"first", b"second"])
    calls: list[object] = []

    def write(data: bytes, /) -> None: ...

    def start_response(*given: Any) -> Any:
        calls.extend(given)
        return write

    def app(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        assert start("200 Fine", [("X-Own", "yes")], None) is write
        return body

    environ = environ_of(headers=headers_of("acme"))
    assert wsgi_door.WicketMiddleware(app, gate, cors=False)(environ, start_response) is body
    assert calls == ["200 Fine", [("X-Own", "yes")], None]


@pytest.mark.parametrize("error", [RuntimeError("own"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_wsgi_application_exception_propagated_unchanged(gate: Gate, error: BaseException) -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        raise error

    with pytest.raises(type(error)) as raised:
        wsgi_door.WicketMiddleware(app, gate)(environ_of(headers=headers_of("acme")), lambda *_: print)
    assert raised.value is error


def test_wsgi_body_iteration_exception_propagated_unchanged(gate: Gate) -> None:
    error = RuntimeError("own")

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"first"
        raise error

    chunks = iter(wsgi_door.WicketMiddleware(app, gate)(environ_of(headers=headers_of("acme")), lambda *_: print))
    assert next(chunks) == b"first"
    with pytest.raises(RuntimeError) as raised:
        next(chunks)
    assert raised.value is error


def _answering(app: WSGIApplication, environ: dict[str, Any]) -> tuple[bytes, str, list[tuple[str, str]]]:
    body, status, headers = run_wsgi_app(app, environ)
    return b"".join(body), status, list(headers)


def test_wsgi_application_response_same_as_without_gate(gate: Gate) -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("299 Own Words", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Own", "yes")])
        return [b"own"]

    with_gate = _answering(wsgi_door.WicketMiddleware(app, gate, cors=False), environ_of(headers=headers_of("acme")))
    assert with_gate == _answering(app, environ_of(headers=headers_of("acme")))
