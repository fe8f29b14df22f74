"""ASGI: a decision belongs to one request. Sub-requests, shared states and copied scopes do not get it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from typing import Any

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

from tests.attacks.ownership import (
    APP,
    PARTNER,
    PATHS,
    Site,
    bearer,
    discard,
    raw,
    scopes_of,
    seen_in,
    seen_in_environ,
    together,
)
from tests.integration.direct_calls import environ_of, http_scope, never_receive, run_asgi
from wicket import App, ConfigError, Gate, Header, IdentityHash, Mode, Secret, TokenLocation, mint, profiles
from wicket.asgi import ASGIApp, Receive, Scope, Send
from wicket.asgi import WicketMiddleware as AsgiMiddleware
from wicket.contrib import starlette as in_starlette
from wicket.http.binding import attach_to_scope
from wicket.messages.request import Request as RequestView


@pytest.fixture(params=list(Mode), ids=str)
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with Gate([APP], mode=request.param) as gate:
        yield gate


# --- S3, ASGI


def test_s3_asgi_shared_state_own_user(gate: Gate) -> None:
    """A server gives every request the lifespan's state; an exempt path sees no user, before and after."""
    shared = {"database": "connected"}

    async def main() -> Site:
        site = Site(3)
        app = AsgiMiddleware(site, gate, **PATHS)
        await together(app, scopes_of("alice", None, "bob", state=shared))
        await together(app, scopes_of(None, "carol", None, state=shared))
        return site

    seen = sorted(map(str, asyncio.run(main()).seen))
    expected = [("/me", [user] * 3) for user in ("alice", "bob", "carol")] + [("/open", [None] * 3)] * 3
    assert seen == sorted(map(str, expected))
    assert shared == {"database": "connected"}


@pytest.mark.parametrize("more", [{}, {"state": {}}], ids=["no state", "state"])
@pytest.mark.parametrize("path", ["/outer", "/batch"])
def test_s3_asgi_sub_request_shallow_copy_own_user(gate: Gate, path: str, more: dict[str, Any]) -> None:
    """A batch endpoint, gated or not, makes sub-requests from copies of its scope with other headers."""

    async def main() -> None:
        site = Site(3)
        api = AsgiMiddleware(site, gate, **PATHS)

        async def batch(scope: Scope, receive: Receive, send: Send) -> None:
            before = seen_in(scope)
            subs = [{**scope, "path": "/me", "headers": raw(bearer(user))} for user in ("alice", "bob")]
            await together(api, [*subs, {**scope, "path": "/open", "headers": []}])
            assert seen_in(scope) == before
            assert before == ([None] * 3 if path == "/outer" else ["owner"] * 3)

        await together(AsgiMiddleware(batch, gate, **PATHS), [http_scope(path, bearer("owner"), **more)])
        expected = [("/me", ["alice"] * 3), ("/me", ["bob"] * 3), ("/open", [None] * 3)]
        assert sorted(map(str, site.seen)) == sorted(map(str, expected))

    asyncio.run(main())


CHANGES: dict[str, Callable[[Scope], object]] = {
    "another token": lambda scope: scope.update(headers=raw(bearer("bob"))),
    "no header": lambda scope: scope.update(headers=[]),
    "one more header": lambda scope: scope.update(headers=[*scope["headers"], (b"x-more", b"1")]),
    "an iterator": lambda scope: scope.update(headers=iter(scope["headers"])),
    "another query": lambda scope: scope.update(query_string=b"user=bob"),
    "another type": lambda scope: scope.update(type="websocket"),
    "the token changed in place": lambda scope: scope["headers"].__setitem__(1, raw(bearer("bob"))[1]),
    "a cookie added in place": lambda scope: scope["headers"].append((b"cookie", b"session=bob")),
    "the token removed in place": lambda scope: scope["headers"].pop(),
}


def decided(gate: Gate, **more: Any) -> Scope:
    """Return the scope that a gated application receives."""
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


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in ("another type", "an iterator")])
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
    app_scope = {**http_scope("/open"), "user": "set by the application"}
    run_asgi(AsgiMiddleware(PlainTextResponse("ok"), gate, **PATHS), app_scope)
    assert app_scope["user"] == "set by the application"


def test_s3_decision_of_unchanged_scope_copy_decision_kept(gate: Gate) -> None:
    scope = decided(gate)
    unchanged: list[Scope] = [
        scope,
        {**scope, "path": "/", "root_path": "/me", "user": scope["user"]},
        {**scope, "headers": [list(pair) for pair in scope["headers"]]},
        {**scope, "headers": tuple(scope["headers"])},
        copy.copy(scope),
    ]
    assert [seen_in(scope_copy) for scope_copy in unchanged] == [["alice"] * 3] * len(unchanged)
    scope["headers"].append((b"x-request-id", b"1"))
    assert seen_in(scope) == ["alice"] * 3
    scope["headers"].append((b"X-Request-Id", b"2"))  # names in upper case take another code path
    assert seen_in(scope) == ["alice"] * 3


def test_s3_decision_of_decided_scope_new_header_list_decision_kept(gate: Gate) -> None:
    """Middleware that adds a request id uses `MutableHeaders`, which makes a new list."""
    scope = decided(gate)
    MutableHeaders(scope=scope)["x-request-id"] = "1"
    assert seen_in(scope) == ["alice"] * 3
    assert seen_in({**scope})[0] is None, "a copy with more headers is another request"
    MutableHeaders(scope=scope)["authorization"] = raw(bearer("bob"))[1][1].decode()
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
    class CustomLocation(TokenLocation):
        """A token location that could read any header."""

        def read(self, request: Any) -> str | None:
            value: str | None = request.header("x-own-token")
            return value

    app = App(
        "acme", credentials=APP.credentials, app_locations=[Header("X-App-Id")], token_locations=[CustomLocation()]
    )
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
    """The decided view has the header. The header list of the application does not."""
    headers = raw(bearer("alice"))
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
    assert scope["state"] == {"wicket": decision}, "the application set it"


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
    """Neither two nested gates, nor two gates with one name, return the decision of the other gate."""
    with Gate([APP]) as users, Gate([PARTNER], name="partners") as partners, Gate([APP]) as namesake:
        partner_headers = bearer("p-1", PARTNER)

        async def both(request: Request) -> JSONResponse:
            scope = {**request.scope, "path": "/", "headers": raw(partner_headers)}
            sub: list[Any] = []

            async def inner(scope: Scope, receive: Receive, send: Send) -> None:
                sub.extend([seen_in(scope, partners)[:2], seen_in(scope, users)[0], hasattr_state(scope, "wicket")])

            await AsgiMiddleware(inner, partners)(scope, never_receive, discard)
            with pytest.raises(ConfigError, match="made no decision"):
                in_starlette.decision_of(request, namesake)
            return JSONResponse([sub, seen_in(request.scope, users)])

        site = Starlette(routes=[Route("/both", both)], middleware=[Middleware(AsgiMiddleware, gate=users)])
        response = TestClient(site).get("/both", headers=dict(bearer("alice")))
        assert response.json() == [[["p-1", "p-1"], None, False], ["alice"] * 3]


def hasattr_state(scope: Scope, name: str) -> bool:
    return hasattr(HTTPConnection(scope).state, name)


def test_s3_starlette_mount_and_background_task_own_user(gate: Gate) -> None:
    shared: dict[str, Any] = {}
    seen: list[Any] = []

    class Shares:
        """A server that uses one state for all requests."""

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app({**scope, "state": shared}, receive, send)

    async def outermost(request: Request, proceed: Any) -> Any:
        request.state.started = True
        response = await proceed(request)
        seen.append(request.state.of_handler)
        return response

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
        response = client.get("/v1/me", headers=dict(bearer(user)))
        assert response.json() == [True, user, user, user]
        assert seen == [user] * 3


# --- A10


def test_a10_asgi_iterator_headers_kept_as_list_of_pairs(gate: Gate) -> None:
    for path in ("/me", "/open"):
        scope = {**http_scope(path), "headers": iter([iter(pair) for pair in raw(bearer("alice"))])}
        expected = raw(bearer("alice"))
        seen: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["headers"])  # noqa: B023 - called within this iteration

        run_asgi(AsgiMiddleware(app, gate, **PATHS), scope)
        assert [[name for name, _ in headers] for headers in seen] == [[name for name, _ in expected]]
        assert all(type(pair) is tuple for pair in seen[0])
