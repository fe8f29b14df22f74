"""What passes the gate passes unchanged, and what is refused costs nothing: by hand, and through real servers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from tests.integration import servers
from tests.integration.servers import Server, eventually, read_head
from tests.integration.shelf import app_of, forged_headers, headers_of
from wicket import Decision, Gate, Header, Refusal, Refused
from wicket import asgi as asgi_door
from wicket import wsgi as wsgi_door
from wicket.asgi import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

MEGABYTES = 10 * 1024 * 1024


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate([app_of("acme"), app_of("lobby", anonymous=True)], naming=[Header("X-App-Id")]) as gate:
        yield gate


# --- by hand: ASGI


def http_scope(path: str = "/", headers: Iterable[tuple[str, str]] = (), **more: Any) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        **more,
    }


async def never_receive() -> Message:
    raise AssertionError("nothing may be read from this client")


async def never_called(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("a refused request must not reach the application")


def run_asgi(app: ASGIApp, scope: Scope, receive: Receive = never_receive) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(_awaited(app, scope, receive, send), servers.DEADLINE))
    return sent


async def _awaited(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def test_every_message_passes_as_it_was_sent(gate: Gate) -> None:
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


def test_the_application_reads_the_body_from_the_server_itself(gate: Gate) -> None:
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


def test_the_scope_is_written_in_place_and_only_where_it_must_be(gate: Gate) -> None:
    scope = http_scope("/x", headers_of("acme"), state={"database": "connected"}, extensions={"http.response.push": {}})
    state, before = scope["state"], copy.deepcopy(scope)
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    run_asgi(asgi_door.WicketMiddleware(app, gate), scope)
    assert seen[0] is scope, "what stands outside must still see what the application writes, its route for one"
    assert scope["state"] is state
    decision: Decision = state.pop("wicket")
    assert scope.pop("user") is decision.identity
    assert scope.pop("auth").scopes == ["authenticated"]
    assert scope == before


@pytest.mark.parametrize("kind", ["lifespan", "a.type.of.the.future"])
def test_what_is_no_request_passes_untouched(gate: Gate, kind: str) -> None:
    scope: Scope = {"type": kind, "asgi": {"version": "3.0"}}
    seen: list[object] = []

    async def app(*called_with: object) -> None:
        seen.extend(called_with)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None: ...

    asyncio.run(_awaited(asgi_door.WicketMiddleware(app, gate), scope, receive, send))
    assert seen[0] is scope
    assert scope == {"type": kind, "asgi": {"version": "3.0"}}
    assert seen[1:] == [receive, send]


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("error", [RuntimeError("own"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_what_an_asgi_application_raises_comes_out_unchanged(gate: Gate, error: BaseException, begun: bool) -> None:
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


def test_a_refusal_after_the_answer_began_is_an_error_like_any_other(gate: Gate) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Refused(Refusal("insufficient_scope"))

    with pytest.raises(Refused):
        run_asgi(asgi_door.WicketMiddleware(app, gate), http_scope(headers=headers_of("acme")))


@pytest.mark.parametrize("headers", [[], headers_of("acme")[:1], forged_headers("acme")], ids=["nobody", "none", "bad"])
def test_a_refused_asgi_upload_is_never_read(gate: Gate, headers: list[tuple[str, str]]) -> None:
    size = [("Content-Length", str(MEGABYTES))]
    scope = http_scope("/upload", [*headers, *size], method="POST")
    sent = run_asgi(asgi_door.WicketMiddleware(never_called, gate), scope)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 401


def test_a_passing_upload_is_not_read_by_the_gate(gate: Gate) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    scope = http_scope("/upload", [*headers_of("acme"), ("Content-Length", str(MEGABYTES))], method="POST")
    assert run_asgi(asgi_door.WicketMiddleware(app, gate), scope)[0]["status"] == 204


def test_state_that_others_set_stays(gate: Gate) -> None:
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


def test_two_gates_in_a_row_keep_their_decisions_apart() -> None:
    naming = [Header("X-App-Id")]
    with (
        Gate([app_of("acme")], naming=naming) as outer,
        Gate([app_of("acme", anonymous=True)], naming=[Header("X-Inner-App")], name="inner") as inner,
    ):

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            state = scope["state"]
            assert (state["wicket"].identity.user_id, state["inner"].identity.user_id) == ("ada", "ada")

        run_asgi(
            asgi_door.WicketMiddleware(asgi_door.WicketMiddleware(app, inner), outer),
            http_scope(headers=headers_of("acme")),
        )


# --- by hand: WSGI


def environ_of(
    path: str = "/", headers: Iterable[tuple[str, str]] = (), *, method: str = "GET", **more: Any
) -> dict[str, Any]:
    builder = EnvironBuilder(path, method=method, headers=list(headers))
    try:
        return {**builder.get_environ(), **more}
    finally:
        builder.close()


class _NeverRead:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing may be read from this client, not even with {name}")


def never_called_wsgi(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    raise AssertionError("a refused request must not reach the application")


@pytest.mark.parametrize("headers", [[], headers_of("acme")[:1], forged_headers("acme")], ids=["nobody", "none", "bad"])
def test_a_refused_wsgi_upload_is_never_read(gate: Gate, headers: list[tuple[str, str]]) -> None:
    environ = environ_of("/upload", headers, method="POST", CONTENT_LENGTH=str(MEGABYTES))
    environ["wsgi.input"] = _NeverRead()
    _, status, _ = run_wsgi_app(wsgi_door.WicketMiddleware(never_called_wsgi, gate), environ)
    assert status == "401 Unauthorized"


def test_a_wsgi_application_answers_the_server_itself(gate: Gate) -> None:
    """Its iterable comes back as it is, so that `close()`, `wsgi.file_wrapper` and `write()` work as without a gate."""
    body = iter([b"first", b"second"])
    calls: list[object] = []

    def write(data: bytes, /) -> None: ...

    def start_response(*given: Any) -> Any:
        calls.extend(given)
        return write

    def app(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        assert start is start_response
        assert start("200 Fine", [("X-Own", "yes")], None) is write
        return body

    environ = environ_of(headers=headers_of("acme"))
    assert wsgi_door.WicketMiddleware(app, gate, cors=False)(environ, start_response) is body
    assert calls == ["200 Fine", [("X-Own", "yes")], None]


@pytest.mark.parametrize("error", [RuntimeError("own"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_what_a_wsgi_application_raises_comes_out_unchanged(gate: Gate, error: BaseException) -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        raise error

    with pytest.raises(type(error)) as raised:
        wsgi_door.WicketMiddleware(app, gate)(environ_of(headers=headers_of("acme")), lambda *_: print)
    assert raised.value is error


def test_a_wsgi_body_that_fails_later_fails_unchanged(gate: Gate) -> None:
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


# --- preflights


_PREFLIGHT = (("Origin", "https://page.example"), ("Access-Control-Request-Method", "POST"))


def test_a_preflight_passes_an_asgi_gate_untouched(gate: Gate) -> None:
    scope = http_scope("/whoami", _PREFLIGHT, method="OPTIONS")
    before = copy.deepcopy(scope)
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    run_asgi(asgi_door.WicketMiddleware(app, gate, cors=False), scope)
    assert seen[0] is scope
    assert scope == before


def test_a_preflight_passes_a_wsgi_gate_untouched(gate: Gate) -> None:
    environ = environ_of("/whoami", _PREFLIGHT, method="OPTIONS")
    before = dict(environ)
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ)
        return []

    wsgi_door.WicketMiddleware(app, gate, cors=False)(environ, lambda *_: print)
    assert seen[0] is environ
    assert environ == before


@pytest.mark.parametrize("headers", [(), _PREFLIGHT[:1], _PREFLIGHT[1:]], ids=["plain", "origin", "method"])
def test_options_that_are_no_preflight_are_gated(server: Server, headers: tuple[tuple[str, str], ...]) -> None:
    assert server.ask("/whoami", headers, method="OPTIONS").status == 401
    assert server.ask("/secret", [*headers, *_PREFLIGHT], method="POST").status == 401, "a preflight is OPTIONS"


def test_a_preflight_with_a_bad_token_passes_all_the_same(server: Server) -> None:
    answer = server.ask("/open", [*forged_headers("acme"), *_PREFLIGHT], method="OPTIONS")
    assert answer.status != 401


# --- real servers: what passes


def test_a_user_is_known_and_a_stranger_is_not(server: Server) -> None:
    known = server.ask("/whoami", [*headers_of("acme"), ("Remote-User", "root")])
    assert known.status == 200
    told = json.loads(known.body)
    assert (told["identity"], told["user"]) == ("acme:ada", "acme:ada")
    refused = server.ask("/whoami", forged_headers("acme"))
    assert refused.status == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert json.loads(refused.body)["reason"] == "bad_signature"


def test_a_stream_arrives_chunk_by_chunk(server: Server, request: pytest.FixtureRequest) -> None:
    name = f"stream-{request.node.callspec.id}"
    with server.asking(f"/stream?name={name}", headers_of("acme")) as response:
        assert response.read(6) == b"first ", "the first chunk is here while the second is still to be made"
        server.ask(f"/release?name={name}")
        assert response.read() == b"second"


def test_a_client_that_leaves_ends_the_stream(asgi_server: Server) -> None:
    with asgi_server.asking("/stream?name=left", headers_of("acme")) as response:
        assert response.read(6) == b"first "
    eventually("the application hears of it", lambda: b"left ended" in asgi_server.ask("/told").body)


def test_background_tasks_run(asgi_server: Server) -> None:
    assert asgi_server.ask("/later?name=tidied", headers_of("acme")).body == b"soon"
    eventually("the task ran", lambda: "tidied" in json.loads(asgi_server.ask("/told").body)["happened"])


def test_the_state_of_the_lifespan_is_there(asgi_server: Server) -> None:
    assert json.loads(asgi_server.ask("/whoami", headers_of("acme")).body)["state"] == "connected"


def test_a_failing_application_is_still_a_500(server: Server) -> None:
    assert server.ask("/fail", headers_of("acme")).status == 500
    assert server.ask("/fail", forged_headers("acme")).status == 401


def test_head_has_no_body_and_the_connection_goes_on(server: Server) -> None:
    connection = server.connection()
    try:
        for headers, status in ((headers_of("acme"), 200), (forged_headers("acme"), 401), (headers_of("acme"), 200)):
            servers.send(connection, "/whoami", headers, method="HEAD")
            answer = servers.receive(connection)
            assert (answer.status, answer.body) == (status, b"")
            assert int(answer.headers["content-length"]) > 0, "as large as the answer to GET would be"
    finally:
        connection.close()


def test_an_upload_arrives_whole(server: Server) -> None:
    assert server.ask("/upload", headers_of("acme"), method="POST", body=b"x" * 300_000).body == b"300000"


def _head(path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode()


def test_a_refused_upload_is_answered_before_it_is_sent(server: Server) -> None:
    head = _head("/upload", [*forged_headers("acme"), ("Content-Length", str(MEGABYTES))])
    with server.socket() as connection:
        connection.sendall(head)
        assert read_head(connection).startswith(b"HTTP/1.1 401 ")


def test_a_refused_client_that_waits_is_never_told_to_continue(asgi_server: Server) -> None:
    expect = [("Content-Length", str(MEGABYTES)), ("Expect", "100-continue")]
    with asgi_server.socket() as connection:
        connection.sendall(_head("/upload", [*forged_headers("acme"), *expect]))
        assert read_head(connection).startswith(b"HTTP/1.1 401 "), "no 100 Continue before the answer"


def test_a_passing_client_that_waits_is_told_to_continue(server: Server) -> None:
    expect = [("Content-Length", "5"), ("Expect", "100-continue"), ("Connection", "close")]
    with server.socket() as connection:
        connection.sendall(_head("/upload", [*headers_of("acme"), *expect]))
        assert read_head(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(1) == b"5"


# --- mounts


def test_a_mounted_application_stands_behind_the_gate_around_all(asgi_server: Server) -> None:
    told = json.loads(asgi_server.ask("/mount/whoami", headers_of("acme")).body)
    assert (told["identity"], told["mounted_at"]) == ("acme:ada", "/mount")
    assert asgi_server.ask("/mount/whoami").status == 401
    assert asgi_server.ask("/mount/open").status == 401, "exempt is /open, not what is mounted and called so"


def test_a_gate_inside_a_mount_counts_paths_from_there(asgi_server: Server) -> None:
    told = json.loads(asgi_server.ask("/gated/whoami", headers_of("acme")).body)
    assert (told["identity"], told["mounted_at"]) == ("acme:ada", "/gated")
    assert asgi_server.ask("/gated/whoami").status == 401
    assert asgi_server.ask("/gated/open").body == b"open"
    assert asgi_server.ask("/gated//open").status == 401


def test_a_gate_inside_a_wsgi_mount_counts_paths_from_there(gate: Gate) -> None:
    def inner(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["SCRIPT_NAME"].encode()]

    gated = wsgi_door.WicketMiddleware(inner, gate, exempt=["/open"])
    client = Client(DispatcherMiddleware(never_called_wsgi, {"/mount": gated}))
    assert client.get("/mount/open").data == b"/mount"
    assert client.get("/mount/whoami").status_code == 401
    assert client.get("/mount/mount/open").status_code == 401
    assert client.get("/mount/whoami", headers=headers_of("acme")).data == b"/mount"


def test_a_root_path_of_the_server_is_no_part_of_the_path() -> None:
    with servers.uvicorn("tests.integration.asgi_site:app", "--root-path", "/behind/proxy") as server:
        assert server.ask("/open").body == b"open"
        assert server.ask("/whoami", headers_of("acme")).status == 200
        assert server.ask("/secret").status == 401
        assert server.ask("/open/../secret").status == 401


# --- only, exempt, optional

_NEVER_EXEMPT = (
    "/secret",
    "/secret?/open",
    "/secret?/public/x",
    "/secret/open",
    "//open",
    "///open",
    "/./open",
    "/%2e/open",
    "/%2E/open",
    "/x/../open",
    "/x/%2e%2e/open",
    "/open/",
    "/open//",
    "/open/.",
    "/OPEN",
    "/Open",
    "/open;a",
    "/open;a=b",
    "/open%3Ba",
    "/open+",
    "/open%20",
    "/open%00",
    "/open%23",
    "/open%3Fx",
    "/open%2520",
    "/publicity",
    "/PUBLIC/x",
    "/public/../secret",
    "/public/%2e%2e/secret",
    "/public/%2e./secret",
    "/public/%252e%252e/secret",
    "/public/..%2fsecret",
    "/public/./x",
    "/public//x",
    "/public//../secret",
    "/public/..;/secret",
    "/public/..%5csecret",
    "/public/x/..",
    "//public/x",
    "/%2fpublic/x",
    "/%ef%bc%8fpublic/x",
)


@pytest.mark.parametrize("target", _NEVER_EXEMPT)
def test_no_spelling_makes_an_exempt_path_of_another(server: Server, target: str) -> None:
    assert server.ask(target).status == 401


@pytest.mark.parametrize("target", ["/open", "/open?x=//", "/%6fpen", "/public/x", "/public/a/b", "/public%2Fx"])
def test_an_exempt_path_needs_nothing_and_learns_nothing(server: Server, target: str) -> None:
    assert server.ask(target).body == b"open"
    assert server.ask(target, forged_headers("acme")).body == b"open"


@pytest.mark.parametrize("target", ["/secret#/open", "/open#", "/secret#", "http://test/secret", "http://open/open"])
def test_an_odd_target_never_reaches_what_is_behind_the_gate(server: Server, target: str) -> None:
    assert server.ask(target).body != b"secret"


@pytest.mark.parametrize("host", ["test/open?", "test/open#", "test?", "test#", "test/public/x/", "/open", "open", ""])
def test_a_host_header_does_not_change_the_path(server: Server, host: str) -> None:
    assert server.ask("/secret", host=host).status in (400, 401)
    assert server.ask("/mount/secret", host=host).status in (400, 401)


def test_an_optional_path_admits_strangers_and_refuses_liars(server: Server) -> None:
    assert json.loads(server.ask("/greet").body)["identity"] is None
    assert json.loads(server.ask("/greet", headers_of("acme")[:1]).body)["identity"] is None
    assert json.loads(server.ask("/greet", headers_of("acme")).body)["identity"] == "acme:ada"
    assert server.ask("/greet", forged_headers("acme")).status == 401
    for target in ("//greet", "/./greet", "/greet/", "/GREET"):
        assert server.ask(target).status == 401


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def only_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    start = servers.uvicorn if request.param == "asgi" else servers.gunicorn
    with start(f"tests.integration.{request.param}_site:only") as server:
        yield server


@pytest.mark.parametrize(
    "target",
    [
        "/api",
        "/api/",
        "/api/x",
        "/api/x?y",
        "/api/x;y",
        "/%61pi/x",
        "/api%2Fx",
        "/api%2fx",
        "//api/x",
        "/api//x",
        "/api/./x",
        "/./api/x",
        "/%2e/api/x",
        "/x/../api/x",
        "/x/%2e%2e/api/x",
        "/..;/api/x",
        "/;/api/x",
        "/x%5c..%5capi",
        "/%2561pi/x",
        "/admin",
        "/admin?x",
        "//admin",
        "/admin/.",
        "/./admin",
        "/admin;x",
        "/admin//",
    ],
)
def test_no_spelling_leads_around_a_path_that_is_gated(only_server: Server, target: str) -> None:
    assert only_server.ask(target).status == 401


@pytest.mark.parametrize("target", ["/", "/other", "/apix", "/x/api/y", "/administration", "/open"])
def test_only_what_is_named_is_gated(only_server: Server, target: str) -> None:
    assert only_server.ask(target).status == 200


def test_the_same_paths_are_gated_for_sockets(gate: Gate) -> None:
    scope = http_scope("/open", type="websocket", subprotocols=[])
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])

    door = asgi_door.WicketMiddleware(app, gate, exempt=["/open"])
    run_asgi(door, scope)
    run_asgi(door, {**scope, "path": "//open"}, _connecting)
    assert passed == ["/open"]


async def _connecting() -> Message:
    return {"type": "websocket.connect"}


def test_the_application_sees_the_same_answer_with_and_without_a_gate(gate: Gate) -> None:
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


def _answering(app: WSGIApplication, environ: dict[str, Any]) -> tuple[bytes, str, list[tuple[str, str]]]:
    body, status, headers = run_wsgi_app(app, environ)
    return b"".join(body), status, list(headers)


def test_a_wsgi_application_gives_the_same_answer_with_and_without_a_gate(gate: Gate) -> None:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("299 Own Words", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Own", "yes")])
        return [b"own"]

    with_gate = _answering(wsgi_door.WicketMiddleware(app, gate, cors=False), environ_of(headers=headers_of("acme")))
    assert with_gate == _answering(app, environ_of(headers=headers_of("acme")))
