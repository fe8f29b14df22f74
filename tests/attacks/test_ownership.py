"""A decision belongs to one request: what sub-requests, shared states and copied environs may read."""

from __future__ import annotations

import asyncio
import copy
import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import run_wsgi_app

from tests.integration.direct_calls import awaited, environ_of, http_scope, never_receive, run_asgi
from wicket import (
    App,
    ConfigError,
    DecisionEvent,
    Gate,
    Header,
    IdentityHash,
    Mode,
    OutcomeCount,
    Refusal,
    Refused,
    Secret,
    mint,
    profiles,
)
from wicket.asgi import ASGIApp, Message, Receive, Scope, Send
from wicket.asgi import WicketMiddleware as AsgiMiddleware
from wicket.contrib import flask as in_flask
from wicket.contrib import starlette as in_starlette
from wicket.http.binding import attach_to_scope
from wicket.messages.request import Request as RequestView
from wicket.reporting.events import Event
from wicket.wsgi import WicketMiddleware as WsgiMiddleware

APP = profiles.generic(
    "acme", credentials=[Secret(b"0f3c9a17e5b2d846" * 3)], scopes_claim="scope", allowed_scopes=["read"]
)
PARTNER = profiles.generic("partner", credentials=[Secret(b"77d1c02e9b5fa348" * 3)])
PATHS: dict[str, Any] = {"exempt": ["/open", "/outer"]}


@pytest.fixture(params=list(Mode), ids=str)
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with Gate([APP], mode=request.param) as gate:
        yield gate


def bearer(user: str, app: App = APP) -> list[tuple[str, str]]:
    return [("x-app-id", app.id), ("authorization", f"Bearer {mint(app, user)}")]


def wire(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]


def seen_in(scope: Scope, gate: Gate | str = "wicket") -> list[str | None]:
    """Whom each public way names: the accessor, `request.user` and `request.state`. None for none."""
    connection = HTTPConnection(scope)
    try:
        by_accessor = in_starlette.decision_of(connection, gate).identity.user_id
    except ConfigError:
        by_accessor = None
    by_user = scope["user"].user_id if "user" in scope else None
    held = getattr(connection.state, gate if isinstance(gate, str) else gate.name, None)
    return [by_accessor, by_user, held.identity.user_id if held is not None else None]


def seen_in_environ(environ: dict[str, Any]) -> list[str | None]:
    """The same for an environ."""
    try:
        by_accessor = in_flask.decision_of(flask.Request(environ)).identity.user_id
    except ConfigError:
        by_accessor = None
    identity = environ.get("wicket.identity")
    return [by_accessor, identity.user_id if identity is not None else None, environ.get("REMOTE_USER")]


class Site:
    """An ASGI application that notes for each path whom it saw, before and after it has waited for the others."""

    def __init__(self, parties: int = 1) -> None:
        self.seen: list[tuple[str, list[str | None]]] = []
        self._barrier = asyncio.Barrier(parties)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        before = seen_in(scope)
        await self._barrier.wait()
        assert seen_in(scope) == before
        self.seen.append((scope["path"], before))
        await PlainTextResponse("ok")(scope, receive, send)


def scopes_of(*users: str | None, **more: Any) -> list[Scope]:
    """One scope for each user; for None, of the open path and without a token."""
    return [
        http_scope("/me", bearer(user), **more) if user is not None else http_scope("/open", **more) for user in users
    ]


async def discard(message: Message) -> None: ...


async def together(app: ASGIApp, scopes: list[Scope]) -> None:
    await asyncio.wait_for(asyncio.gather(*(awaited(app, each, never_receive, discard) for each in scopes)), 20)


# --- S3, ASGI


def test_s3_asgi_shared_state_own_user(gate: Gate) -> None:
    """A server that gives every request the lifespan's state; an exempt path sees no user, before and after."""
    shared = {"database": "connected"}

    async def main() -> Site:
        site = Site(3)
        app = AsgiMiddleware(site, gate, **PATHS)
        await together(app, scopes_of("alice", None, "bob", state=shared))
        await together(app, scopes_of(None, "carol", None, state=shared))
        return site

    seen = sorted(map(str, asyncio.run(main()).seen))
    wanted = [("/me", [user] * 3) for user in ("alice", "bob", "carol")] + [("/open", [None] * 3)] * 3
    assert seen == sorted(map(str, wanted))
    assert shared == {"database": "connected"}


@pytest.mark.parametrize("more", [{}, {"state": {}}], ids=["no state", "state"])
@pytest.mark.parametrize("path", ["/outer", "/batch"])
def test_s3_asgi_sub_request_shallow_copy_own_user(gate: Gate, path: str, more: dict[str, Any]) -> None:
    """A batch endpoint, gated or not, whose sub-requests are copies of its own scope with other headers."""

    async def main() -> None:
        site = Site(3)
        api = AsgiMiddleware(site, gate, **PATHS)

        async def batch(scope: Scope, receive: Receive, send: Send) -> None:
            before = seen_in(scope)
            subs = [{**scope, "path": "/me", "headers": wire(bearer(user))} for user in ("alice", "bob")]
            await together(api, [*subs, {**scope, "path": "/open", "headers": []}])
            assert seen_in(scope) == before
            assert before == ([None] * 3 if path == "/outer" else ["owner"] * 3)

        await together(AsgiMiddleware(batch, gate, **PATHS), [http_scope(path, bearer("owner"), **more)])
        wanted = [("/me", ["alice"] * 3), ("/me", ["bob"] * 3), ("/open", [None] * 3)]
        assert sorted(map(str, site.seen)) == sorted(map(str, wanted))

    asyncio.run(main())


CHANGES: dict[str, Callable[[Scope], object]] = {
    "another token": lambda scope: scope.update(headers=wire(bearer("bob"))),
    "no header": lambda scope: scope.update(headers=[]),
    "one more header": lambda scope: scope.update(headers=[*scope["headers"], (b"x-more", b"1")]),
    "an iterator": lambda scope: scope.update(headers=iter(scope["headers"])),
    "another query": lambda scope: scope.update(query_string=b"user=bob"),
    "another type": lambda scope: scope.update(type="websocket"),
    "the token changed in place": lambda scope: scope["headers"].__setitem__(1, wire(bearer("bob"))[1]),
    "a cookie added in place": lambda scope: scope["headers"].append((b"cookie", b"session=bob")),
    "the token removed in place": lambda scope: scope["headers"].pop(),
}


def decided(gate: Gate, **more: Any) -> Scope:
    """A scope as an application behind the gate sees it."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    run_asgi(AsgiMiddleware(app, gate, **PATHS), http_scope("/me", bearer("alice"), **more))
    return seen[0]


@pytest.mark.parametrize("change", CHANGES)
def test_s3_decision_of_changed_scope_config_error(gate: Gate, change: str) -> None:
    scope = {**decided(gate)}
    CHANGES[change](scope)
    with pytest.raises(ConfigError, match="about another one"):
        in_starlette.decision_of(HTTPConnection(scope))


@pytest.mark.parametrize("change", [each for each in CHANGES if each not in ("another type", "an iterator")])
def test_s3_exempt_path_changed_scope_copy_no_user(gate: Gate, change: str) -> None:
    scope = {**decided(gate, state={"database": "connected"}), "path": "/open"}
    CHANGES[change](scope)
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([seen_in(scope), "auth" in scope, dict(scope["state"])])

    run_asgi(AsgiMiddleware(app, gate, **PATHS), scope)
    assert seen == [[None] * 3, False, {"database": "connected"}]


def test_s3_exempt_path_user_without_decision_removed(gate: Gate) -> None:
    scope = {**decided(gate), "path": "/open", "state": {}}
    run_asgi(AsgiMiddleware(PlainTextResponse("ok"), gate, **PATHS), scope)
    assert "user" not in scope
    own = {**http_scope("/open"), "user": "the application's own"}
    run_asgi(AsgiMiddleware(PlainTextResponse("ok"), gate, **PATHS), own)
    assert own["user"] == "the application's own"


def test_s3_decision_of_unchanged_scope_copy_decision_kept(gate: Gate) -> None:
    scope = decided(gate)
    honest: list[Scope] = [
        scope,
        {**scope, "path": "/", "root_path": "/me", "user": scope["user"]},
        {**scope, "headers": [list(pair) for pair in scope["headers"]]},
        {**scope, "headers": tuple(scope["headers"])},
        copy.copy(scope),
    ]
    assert [seen_in(each) for each in honest] == [["alice"] * 3] * len(honest)
    scope["headers"].append((b"x-request-id", b"1"))
    assert seen_in(scope) == ["alice"] * 3
    scope["headers"].append((b"X-Request-Id", b"2"))  # and in upper case, which is read in another way
    assert seen_in(scope) == ["alice"] * 3


def test_s3_the_decided_scope_keeps_its_decision_with_another_header_list(gate: Gate) -> None:
    """Middlewares that give requests an id use `MutableHeaders`, which makes a list of its own."""
    scope = decided(gate)
    MutableHeaders(scope=scope)["x-request-id"] = "1"
    assert seen_in(scope) == ["alice"] * 3
    assert seen_in({**scope})[0] is None, "a copy with more headers is a request of its own"
    MutableHeaders(scope=scope)["authorization"] = wire(bearer("bob"))[1][1].decode()
    assert seen_in(scope)[0] is None


def test_s3_asgi_state_handler_writes_reach_outer_state() -> None:
    with Gate([APP]) as gate:
        outer: dict[str, Any] = {"database": "connected", "own": 1}
        state = decided(gate, state=outer)["state"]
        state["route"] = "/me"
        state["own"] = 2
        del state["database"]
        assert outer == {"own": 2, "route": "/me"}
        copied = copy.deepcopy({"own": state["own"]}) | {"wicket": state["wicket"].identity.user_id}
        assert copied == {"own": 2, "wicket": "alice"}
        assert type(copy.copy(state)) is dict
        assert "wicket" not in outer


def test_s3_decision_of_custom_token_location_header_added_config_error() -> None:
    class Own:
        """A token location that could read any header."""

        def read(self, request: Any) -> str | None:
            found: str | None = request.header("x-own-token")
            return found

    app = App("acme", credentials=APP.credentials, app_locations=[Header("X-App-Id")], token_locations=[Own()])
    with Gate([app]) as gate:
        headers = [("x-app-id", "acme"), ("x-own-token", mint(APP, "alice"))]
        seen: list[Scope] = []

        async def site(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope)

        run_asgi(AsgiMiddleware(site, gate), http_scope("/me", headers))
        assert seen_in(seen[0]) == ["alice"] * 3
        seen[0]["headers"].append((b"x-request-id", b"1"))
        assert seen_in(seen[0])[0] is None


@pytest.mark.parametrize("times", [1, 2])
def test_s3_decision_of_header_removed_by_middleware_decision_kept(gate: Gate, times: int) -> None:
    """The view that was decided about has it, the header list of the application has not."""
    headers = wire(bearer("alice"))
    request = RequestView.from_asgi({"type": "http", "headers": [*headers, *[(b"remote-user", b"root")] * times]})
    scope = {**http_scope("/me"), "headers": headers}
    attach_to_scope(gate.decide(request), request, scope, gate.name)
    assert seen_in({**scope, "user": scope["state"]["wicket"].identity}) == ["alice"] * 3


def test_s3_decision_of_identity_hash_header_added_config_error() -> None:
    rule = IdentityHash(
        secret=Secret(b"a1b2c3d4e5f60718" * 3), identifier_location=Header("X-User"), hash_location=Header("X-Hash")
    )
    app = profiles.generic("acme", credentials=APP.credentials, identity_hash=rule, allow_anonymous=True)
    with Gate([app]) as gate:
        scope = decided(gate)
        scope["headers"].append((b"x-other", b"bob"))
        assert seen_in(scope) == ["alice"] * 3
        scope["headers"].append((b"x-user", b"bob"))
        assert seen_in(scope)[0] is None


def test_s3_decision_of_unbound_decision_config_error(gate: Gate) -> None:
    headers = bearer("alice")
    decision = gate.decide(RequestView(headers=headers))
    scope = http_scope("/open", headers, state={"wicket": decision})
    environ = {**environ_of("/open", headers), "wicket.decision": decision}
    assert seen_in(scope)[0] is None
    assert seen_in_environ(environ)[0] is None
    assert repr(decision.binding) == "None"
    bound = repr(decided(gate)["state"]["wicket"])
    assert headers[1][1] not in bound
    run_asgi(AsgiMiddleware(PlainTextResponse("ok"), gate, **PATHS), scope)
    assert scope["state"] == {"wicket": decision}, "it is the application's own"


def test_s3_decision_of_unknown_app_app_header_added_config_error() -> None:
    with Gate([APP], app_locations=[Header("X-App-Id")], mode=Mode.LOG_ONLY) as gate:
        seen: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            connection = HTTPConnection(scope)
            scope["headers"].append((b"x-request-id", b"1"))
            seen.append(in_starlette.decision_of(connection).identity.app_id)
            scope["headers"].append((b"x-app-id", b"acme"))
            with pytest.raises(ConfigError, match="about another one"):
                in_starlette.decision_of(connection)

        run_asgi(AsgiMiddleware(app, gate), http_scope("/me", [("x-app-id", "unknown")]))
        assert seen == [None]


def test_s3_decision_of_two_gates_own_decision() -> None:
    """Of two gates in a row, and of two gates with one name, none gives what the other decided."""
    with Gate([APP]) as users, Gate([PARTNER], name="partners") as partners, Gate([APP]) as namesake:
        partner_headers = bearer("p-1", PARTNER)

        async def both(request: Request) -> JSONResponse:
            scope = {**request.scope, "path": "/", "headers": wire(partner_headers)}
            sub: list[Any] = []

            async def inner(scope: Scope, receive: Receive, send: Send) -> None:
                sub.extend([seen_in(scope, partners)[:2], seen_in(scope, users)[0], hasattr_state(scope, "wicket")])

            await AsgiMiddleware(inner, partners)(scope, never_receive, discard)
            with pytest.raises(ConfigError, match="decided nothing"):
                in_starlette.decision_of(request, namesake)
            return JSONResponse([sub, seen_in(request.scope, users)])

        site = Starlette(routes=[Route("/both", both)], middleware=[Middleware(AsgiMiddleware, gate=users)])
        answer = TestClient(site).get("/both", headers=dict(bearer("alice")))
        assert answer.json() == [[["p-1", "p-1"], None, False], ["alice"] * 3]


def hasattr_state(scope: Scope, name: str) -> bool:
    return hasattr(HTTPConnection(scope).state, name)


def test_s3_starlette_mount_and_background_task_own_user(gate: Gate) -> None:
    shared: dict[str, Any] = {}
    seen: list[Any] = []

    class Shares:
        """A server's doing: one state for all requests."""

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app({**scope, "state": shared}, receive, send)

    async def outermost(request: Request, proceed: Any) -> Any:
        request.state.started = True
        answer = await proceed(request)
        seen.append(request.state.of_handler)
        return answer

    async def inner(request: Request, proceed: Any) -> Any:
        seen.append(in_starlette.identity_of(request).user_id)
        return await proceed(request)

    async def me(request: Request) -> JSONResponse:
        request.state.of_handler = request.user.user_id

        async def later() -> None:
            seen.append(in_starlette.identity_of(request).user_id)

        return JSONResponse([request.state.started, *seen_in(request.scope)], background=BackgroundTask(later))

    mounted = Starlette(routes=[Route("/me", me)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=inner)])
    layers = [
        Middleware(Shares),
        Middleware(BaseHTTPMiddleware, dispatch=outermost),
        Middleware(AsgiMiddleware, gate=gate),
    ]
    client = TestClient(Starlette(routes=[Mount("/v1", mounted)], middleware=layers))
    for user in ("alice", "bob"):
        seen.clear()
        answer = client.get("/v1/me", headers=dict(bearer(user)))
        assert answer.json() == [True, user, user, user]
        assert seen == [user] * 3


# --- S3, WSGI


ENVIRON_CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another token": lambda environ: environ.update(HTTP_AUTHORIZATION=bearer("bob")[1][1]),
    "no token": lambda environ: environ.pop("HTTP_AUTHORIZATION"),
    "another query": lambda environ: environ.update(QUERY_STRING="user=bob"),
    "a cookie": lambda environ: environ.update(HTTP_COOKIE="session=bob"),
}


def decided_environ(gate: Gate) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(environ)
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate), environ_of("/me", bearer("alice")))
    return seen[0]


@pytest.mark.parametrize("copied", [True, False], ids=["copy", "in place"])
@pytest.mark.parametrize("change", ENVIRON_CHANGES)
def test_s3_decision_of_changed_environ_config_error(gate: Gate, change: str, copied: bool) -> None:
    environ = decided_environ(gate)
    environ = {**environ} if copied else environ
    ENVIRON_CHANGES[change](environ)
    with pytest.raises(ConfigError, match="about another one"):
        in_flask.decision_of(flask.Request(environ))


@pytest.mark.parametrize("change", ENVIRON_CHANGES)
def test_s3_exempt_path_changed_environ_copy_no_user(gate: Gate, change: str) -> None:
    environ = {**decided_environ(gate), "PATH_INFO": "/open"}
    ENVIRON_CHANGES[change](environ)
    seen: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(seen_in_environ(environ))
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate, **PATHS), environ)
    assert seen == [[None] * 3]


@pytest.mark.parametrize("remote_user", ["of-the-server", None])
def test_s3_exempt_path_server_remote_user_kept(gate: Gate, remote_user: str | None) -> None:
    environ = {**decided_environ(gate), "PATH_INFO": "/open", "HTTP_COOKIE": "session=bob", "REMOTE_USER": remote_user}
    seen: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(seen_in_environ(environ))
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate, **PATHS), environ)
    assert seen == [[None, None, remote_user]]


def test_s3_decision_of_unchanged_environ_copy_decision_kept(gate: Gate) -> None:
    environ = decided_environ(gate)
    wanted = ["alice", "alice", "acme:alice"]
    assert seen_in_environ(environ) == wanted
    assert seen_in_environ({**environ, "PATH_INFO": "/", "SCRIPT_NAME": "/me", "REQUEST_METHOD": "PUT"}) == wanted
    assert seen_in_environ({**environ, "HTTP_X_REQUEST_ID": "1"})[0] is None
    environ["HTTP_X_REQUEST_ID"] = "1"  # an inner middleware adds it in place
    assert seen_in_environ(environ) == wanted
    forwarded = {**environ, "PATH_INFO": "/open"}
    del forwarded["HTTP_X_REQUEST_ID"]
    seen: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(seen_in_environ(environ))
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate, **PATHS), forwarded)
    assert seen == [wanted]


@pytest.mark.parametrize("path", ["/open", "/me"])
def test_s3_a_copied_environ_shows_no_user_of_another_gate_that_decided_about_another_request(path: str) -> None:
    seen: list[dict[str, Any]] = []

    def note(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append({**environ})
        start("200 OK", [])
        return []

    with Gate([APP], name="outer") as outer, Gate([PARTNER], name="inner") as inner:
        api = WsgiMiddleware(note, inner, **PATHS)

        def batch(environ: dict[str, Any], start: Any) -> Any:
            sub = environ_of(path, bearer("bob", PARTNER))
            run_wsgi_app(api, {**environ, **sub})
            return api({**environ, "PATH_INFO": "/open"}, start)

        run_wsgi_app(WsgiMiddleware(batch, outer), environ_of("/me", bearer("alice")))
    shown = [{name for name in each if name.startswith(("outer.", "inner."))} for each in seen]
    own = {f"inner.{name}" for name in ("decision", "identity", "gate")} if path == "/me" else set()
    assert shown == [own, {f"outer.{name}" for name in ("decision", "identity", "gate")}]
    assert seen[0].get("REMOTE_USER") == ("partner:bob" if path == "/me" else None)
    assert seen[1]["REMOTE_USER"] == "acme:alice", "an honest copy"


def test_s3_wsgi_reused_environ_binding_without_decision(gate: Gate) -> None:
    environ = environ_of("/me", bearer("alice"))
    held: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        held.append(environ["wicket.decision"])
        start("200 OK", [])
        return []

    for _ in range(2):
        run_wsgi_app(WsgiMiddleware(app, gate), environ)
    run_wsgi_app(WsgiMiddleware(app, gate), {**environ})
    assert all("wicket.decision" not in decision.binding[1] for decision in held)


def test_s3_decision_flask_request_not_kept_alive(gate: Gate) -> None:
    site = flask.Flask("site")
    views = flask.Blueprint("views", "views")
    in_flask.Wicket(gate).init_app(views)
    kept: list[weakref.ref[Any]] = []

    def me() -> str:
        kept.append(weakref.ref(flask.request._get_current_object()))  # type: ignore[attr-defined]  # Werkzeug's proxy
        return in_flask.current_identity.user_id

    views.add_url_rule("/me", "me", me)
    site.register_blueprint(views)
    gc.collect()
    gc.disable()
    try:
        assert b"".join(run_wsgi_app(site, environ_of("/me", bearer("alice")))[0]) == b"alice"
        assert [each() for each in kept] == [None]
    finally:
        gc.enable()


def test_s3_flask_sub_request_and_dispatcher_own_user(gate: Gate) -> None:
    inner = flask.Flask("inner")
    outer = flask.Flask("outer")

    def who() -> str:
        return in_flask.current_identity.user_id

    inner.add_url_rule("/me", "me", who)
    outer.add_url_rule("/me", "me", who)

    @outer.route("/batch")
    def batch() -> Any:
        before = who()
        subs = []
        for user in ("alice", "bob"):
            environ = {**flask.request.environ, "PATH_INFO": "/inner/me", "HTTP_AUTHORIZATION": bearer(user)[1][1]}
            environ["wsgi.input"] = BytesIO()
            environ.pop("werkzeug.request", None)
            subs.append(b"".join(run_wsgi_app(gated, environ)[0]).decode())
        other = {**flask.request.environ, "HTTP_AUTHORIZATION": bearer("bob")[1][1]}
        with inner.request_context(other), pytest.raises(ConfigError, match="about another one"):
            who()
        return flask.jsonify([before, *subs, who()])

    dispatched = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner.wsgi_app})

    def copying(environ: dict[str, Any], start: Any) -> Any:
        return dispatched({**environ}, start)

    gated = WsgiMiddleware(copying, gate)
    outer.wsgi_app = gated  # type: ignore[method-assign]
    client = outer.test_client()
    assert client.get("/inner/me", headers=bearer("carol")).text == "carol"
    assert client.get("/batch", headers=bearer("owner")).json == ["owner", "alice", "bob", "owner"]


def test_s3_flask_blueprint_exempt_path_copied_environ_no_user(gate: Gate) -> None:
    site = flask.Flask("site")
    views = flask.Blueprint("views", "views")
    in_flask.Wicket(gate, exempt=["/open"]).init_app(views)
    views.add_url_rule("/open", "open", lambda: flask.jsonify(seen_in_environ(flask.request.environ)))
    site.register_blueprint(views)
    environ = {**decided_environ(gate), "PATH_INFO": "/open", "HTTP_AUTHORIZATION": bearer("bob")[1][1]}
    assert b"".join(run_wsgi_app(site, environ)[0]) == b"[null,null,null]\n"


# --- A10


def test_a10_asgi_iterator_headers_kept_as_list_of_pairs(gate: Gate) -> None:
    for path in ("/me", "/open"):
        scope = {**http_scope(path), "headers": iter([iter(pair) for pair in wire(bearer("alice"))])}
        wanted = wire(bearer("alice"))
        seen: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["headers"])  # noqa: B023 - it is called in this turn

        run_asgi(AsgiMiddleware(app, gate, **PATHS), scope)
        assert [[name for name, _ in headers] for headers in seen] == [[name for name, _ in wanted]]
        assert all(type(pair) is tuple for pair in seen[0])


# --- A11


def outcomes(gate: Gate) -> Counter[tuple[str, str]]:
    return Counter({(each.stage, each.code): each.count for each in gate.outcomes()})


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def telling(gate: Gate, told: list[Event]) -> Iterator[Gate]:
    with Gate([APP], mode=gate._context.mode, on_event=told.append) as telling:
        yield telling


HANDLER = {("gate", "allowed"): 1, ("handler", "insufficient_scope"): 1}


def test_a11_asgi_handler_refusal_counted_once(telling: Gate, told: list[Event]) -> None:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(in_starlette.identity_of(request, scopes=("read",)).user_id)

    layers = [Middleware(AsgiMiddleware, gate=telling)]
    client = TestClient(Starlette(routes=[Route("/read", read)], middleware=layers))
    assert client.get("/read", headers=dict(bearer("alice"))).status_code == 403
    assert outcomes(telling) == HANDLER
    detail = "The token lacks a scope that this request needs: read."
    assert told[1] == DecisionEvent(
        "wicket", "acme", False, True, True, "insufficient_scope", detail=detail, stage="handler"
    )
    assert OutcomeCount("acme", "insufficient_scope", None, True, 1, "handler") in telling.outcomes()


@pytest.mark.parametrize("key", [Refused, Exception], ids=["refused", "server error"])
def test_a11_refusal_exception_handler_refusal_counted_once(telling: Gate, key: type[Exception]) -> None:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(in_starlette.identity_of(request, scopes=("read",)).user_id)

    inner = Starlette(
        routes=[Route("/read", read)], exception_handlers={key: in_starlette.refusal_exception_handler(telling)}
    )
    client = TestClient(AsgiMiddleware(inner, telling), raise_server_exceptions=False)
    assert client.get("/read", headers=dict(bearer("alice"))).status_code == 403
    assert outcomes(telling) == HANDLER


@pytest.mark.parametrize("kind", ["plain", "application", "blueprint", "unregistered"])
def test_a11_wsgi_handler_refusal_counted_once(telling: Gate, kind: str) -> None:
    site: Any = flask.Flask("site")
    views: Any = flask.Blueprint("views", "views") if kind == "blueprint" else site

    @in_flask.requires_identity("read")
    def read() -> str:
        raise AssertionError("is not reached")

    views.add_url_rule("/read", "read", read)
    if kind == "plain":

        def app(environ: dict[str, Any], start: Any) -> list[bytes]:
            environ["wicket.decision"].require("read")
            raise AssertionError("is not reached")

        site = WsgiMiddleware(app, telling)
    elif kind == "unregistered":
        site.wsgi_app = WsgiMiddleware(site.wsgi_app, telling)
    else:
        in_flask.Wicket(telling).init_app(views)
        if kind == "blueprint":
            site.register_blueprint(views)
    assert run_wsgi_app(site, environ_of("/read", bearer("alice")))[1][:3] == "403"
    assert outcomes(telling) == HANDLER


def test_a11_flask_view_raised_refusal_counted(telling: Gate) -> None:
    site = flask.Flask("site")
    in_flask.Wicket(telling, exempt=["/open"]).init_app(site)

    def refuse() -> str:
        raise Refused(Refusal("rate_limited", retry_after=1))

    site.add_url_rule("/me", "me", refuse)
    site.add_url_rule("/open", "open", refuse)
    client = site.test_client()
    assert client.get("/me", headers=bearer("alice")).status_code == 429
    assert outcomes(telling) == {("gate", "allowed"): 1, ("handler", "rate_limited"): 1}
    assert client.get("/open").status_code == 429
    assert OutcomeCount(None, "rate_limited", None, True, 1, "handler") in telling.outcomes()


@pytest.mark.parametrize("kind", ["refused", "base"])
def test_a11_a_refusal_that_an_asgi_application_answers_in_its_own_form_is_counted_once(
    telling: Gate, kind: str
) -> None:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(in_starlette.identity_of(request, scopes=("read",)).user_id)

    async def own(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("no", 403)

    async def caught(request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Refused:
            return await own(request, Refused(Refusal("insufficient_scope")))

    within = [Middleware(BaseHTTPMiddleware, dispatch=caught)] if kind == "base" else []
    inner = Starlette(
        routes=[Route("/read", read)],
        middleware=[Middleware(AsgiMiddleware, gate=telling), *within],
        exception_handlers={} if within else {Refused: own},
    )
    assert TestClient(inner).get("/read", headers=dict(bearer("alice"))).text == "no"
    assert outcomes(telling) == HANDLER


@pytest.mark.parametrize(("closing", "stages"), [(True, HANDLER), (False, {("gate", "allowed"): 1})])
def test_a11_a_socket_that_the_application_refuses_itself_is_counted(
    telling: Gate, closing: bool, stages: dict[tuple[str, str], int]
) -> None:
    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            in_starlette.identity_of(HTTPConnection(scope), scopes=("read",))
        except Refused:
            if closing:
                await send({"type": "websocket.close", "code": 4403})
                return
        await send({"type": "websocket.accept"})

    socket = {**http_scope("/read", bearer("alice")), "type": "websocket", "subprotocols": []}
    run_asgi(AsgiMiddleware(site, telling), socket)
    assert outcomes(telling) == stages


@pytest.mark.parametrize("kind", ["application", "blueprint", "plain", "without cors"])
def test_a11_a_refusal_that_a_wsgi_application_answers_in_its_own_form_is_counted_once(
    telling: Gate, kind: str
) -> None:
    site: Any = flask.Flask("site")
    views = flask.Blueprint("views", "views")

    @views.get("/read")
    def read() -> str:
        return in_flask.identity_of(flask.request, scopes=("read",)).user_id

    @views.get("/either")
    def either() -> str:
        try:
            return read()
        except Refused:
            return "without"

    def own(error: HTTPException) -> tuple[str, int]:
        return "no", error.code or 500

    site.register_error_handler(HTTPException, own)

    if kind == "plain":

        def app(environ: dict[str, Any], start: Any) -> list[bytes]:
            with pytest.raises(Refused):
                environ["wicket.decision"].require("read")
            start("403 FORBIDDEN" if environ["PATH_INFO"] == "/read" else "200 OK", [])
            return [b"no" if environ["PATH_INFO"] == "/read" else b"without"]

        site.wsgi_app = app
    if kind == "blueprint":
        in_flask.Wicket(telling).init_app(views)
        views.register_error_handler(Refused, own)  # in the place of the gate's
    site.register_blueprint(views)
    if kind != "blueprint":
        site.wsgi_app = WsgiMiddleware(site.wsgi_app, telling, cors=kind != "without cors")
    assert run_wsgi_app(site, environ_of("/read", bearer("alice")))[1][:3] == "403"
    assert outcomes(telling) == HANDLER
    assert list(run_wsgi_app(site, environ_of("/either", bearer("alice")))[0]) == [b"without"]
    assert outcomes(telling) == {**HANDLER, ("gate", "allowed"): 2}, "the view went on without"


def test_a11_of_two_gates_the_one_whose_identity_was_demanded_counts_the_refusal() -> None:
    async def on_asgi(scope: Scope, receive: Receive, send: Send) -> None:
        in_starlette.identity_of(HTTPConnection(scope), "outer", scopes=("read",))

    def on_wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["outer.decision"].require("read")
        raise AssertionError("is not reached")

    for on in ("asgi", "wsgi"):
        with Gate([APP], name="outer") as outer, Gate([APP], name="inner") as inner:
            if on == "asgi":
                app = AsgiMiddleware(AsgiMiddleware(on_asgi, inner), outer)
                assert run_asgi(app, http_scope("/read", bearer("alice")))[0]["status"] == 403
            else:
                site = WsgiMiddleware(WsgiMiddleware(on_wsgi, inner), outer)
                assert run_wsgi_app(site, environ_of("/read", bearer("alice")))[1][:3] == "403"
            assert outcomes(outer) == HANDLER
            assert outcomes(inner) == {("gate", "allowed"): 1}


def test_a11_log_only_missing_token_handler_refuses() -> None:
    with Gate([APP], mode=Mode.LOG_ONLY) as gate:

        async def me(request: Request) -> PlainTextResponse:
            return PlainTextResponse(in_starlette.identity_of(request).user_id)

        layers = [Middleware(AsgiMiddleware, gate=gate)]
        client = TestClient(Starlette(routes=[Route("/me", me)], middleware=layers))
        assert client.get("/me", headers={"X-App-Id": "acme"}).status_code == 401
        assert {(each.stage, each.code, each.enforced): each.count for each in gate.outcomes()} == {
            ("gate", "missing_token", False): 1,
            ("handler", "missing_token", True): 1,
        }


def test_a11_handler_refusal_log_record_has_stage(telling: Gate, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "wicket")

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise Refused(Refusal("insufficient_scope"))

    run_wsgi_app(WsgiMiddleware(app, telling), environ_of("/me", bearer("alice")))
    (record,) = [each for each in caplog.records if getattr(each, "stage", None) is not None]
    assert record.__dict__["stage"] == "handler"
    assert "refused by a handler" in record.getMessage()
