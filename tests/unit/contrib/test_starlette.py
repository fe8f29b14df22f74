"""Starlette: accessors and decorators send refusals, and two gates do not affect each other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from wicket import ConfigError, Gate, Mode, Refusal, Refused, Secret, mint, profiles
from wicket.contrib.starlette import (
    WicketMiddleware,
    decision_of,
    identity_of,
    refusal_exception_handler,
    requires_identity,
)
from wicket.testing import as_user


def make_gate(id: str = "acme", name: str = "wicket", **settings: Any) -> Gate:
    secret = Secret.from_text(f"7d1e-43b0-{id}-9c52-e8f6-017a-b4d3-65ce")
    rules: dict[str, Any] = {"scopes_claim": "scope", "allowed_scopes": ["read"], **settings}
    return Gate([profiles.generic(id, credentials=[secret], **rules)], name=name)


async def me(request: Request) -> JSONResponse:
    identity = identity_of(request)
    return JSONResponse([identity.app_id, identity.user_id, request.user.identity, sorted(identity.scopes)])


@requires_identity("read")
async def read(request: Request) -> PlainTextResponse:
    return PlainTextResponse(identity_of(request).user_id)


@requires_identity()
def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse(identity_of(request).user_id)


@requires("authenticated")
async def starlettes_own(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.user.display_name)


@requires_identity()
async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(identity_of(websocket).user_id)
    await websocket.close()


async def late(request: Request) -> Any:
    async def respond(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        identity_of(request)

    return respond


ROUTES = [
    Route("/me", me),
    Route("/read", read),
    Route("/plain", plain),
    Route("/own", starlettes_own),
    Route("/late", late),
    WebSocketRoute("/talk", talk),
]


def make_client(gate: Gate, **paths: Any) -> TestClient:
    return TestClient(Starlette(routes=ROUTES, middleware=[Middleware(WicketMiddleware, gate=gate, **paths)]))


def test_starlette_verified_identity_is_available_in_handler() -> None:
    client = as_user(make_client(make_gate()), "user-1", app="acme", scope="read write")
    assert client.get("/me").json() == ["acme", "user-1", "acme:user-1", ["read"]]
    assert client.get("/plain").text == "user-1"
    assert client.get("/own").text == "user-1"


def test_starlette_handler_requiring_identity_anonymous_missing_token() -> None:
    client = make_client(make_gate(allow_anonymous=True))
    for path in ("/me", "/plain", "/read"):
        response = client.get(path)
        assert (response.status_code, response.json()["error"]) == (401, "missing_token")
        assert response.headers["www-authenticate"] == 'Bearer realm="wicket"'
        assert response.headers["content-type"] == "application/problem+json"


def test_starlette_log_only_required_identity_returns_original_refusal() -> None:
    gate = make_gate(mode=Mode.LOG_ONLY)
    credentials, audience = gate.apps[0].credentials, ["elsewhere"]
    token = mint(profiles.generic("acme", credentials=credentials, audience=audience), "user-1")
    response = make_client(gate).get("/me", headers={"X-App-Id": "acme", "Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["reason"]) == (401, "wrong_audience")


def test_starlette_missing_scope_insufficient_scope() -> None:
    client = as_user(make_client(make_gate()), "user-1", app="acme", scope="write")
    response = client.get("/read")
    assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert as_user(client, "user-1", app="acme", scope="read").get("/read").text == "user-1"


def test_starlette_websocket_requiring_identity_anonymous_missing_token() -> None:
    client = make_client(make_gate(allow_anonymous=True))
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/talk"):
        pass
    assert (denied.value.status_code, denied.value.json()["error"]) == (401, "missing_token")
    with as_user(client, "user-1", app="acme").websocket_connect("/talk") as socket:
        assert socket.receive_text() == "user-1"


def test_starlette_refused_after_response_start_raises() -> None:
    client = make_client(make_gate(allow_anonymous=True))
    with pytest.raises(Exception, match="missing_token"):
        client.get("/late")


def test_starlette_accessor_without_middleware_raises_config_error() -> None:
    client = TestClient(Starlette(routes=ROUTES))
    with pytest.raises(ConfigError, match="made no decision"):
        client.get("/me")


def test_starlette_two_gates_have_separate_identities() -> None:
    users, partners = make_gate("acme"), make_gate("partner", name="partners")

    async def both(request: Request) -> JSONResponse:
        return JSONResponse([identity_of(request, users).user_id, decision_of(request, "partners").allowed])

    async def of_partners(request: Request) -> JSONResponse:
        return JSONResponse([identity_of(request, partners).user_id, identity_of(request, "partners").app_id])

    inner = Starlette(routes=[Route("/", of_partners)], middleware=[Middleware(WicketMiddleware, gate=partners)])
    routes = [Route("/me", me), Route("/both", both), Mount("/partners", inner)]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(WicketMiddleware, gate=users, exempt=["/partners/*"]),
            Middleware(WicketMiddleware, gate=partners, only=["/nowhere"]),
        ],
    )
    user = as_user(TestClient(app), "user-1", app="acme", gate=users)
    assert user.get("/me").json()[:2] == ["acme", "user-1"]
    assert user.get("/partners/").json()["error"] == "unknown_app"
    partner = as_user(TestClient(app), "p-1", app="partner", gate=partners)
    assert partner.get("/partners/").json() == ["p-1", "partner"]
    with pytest.raises(ConfigError, match="partners"):
        user.get("/both")


@pytest.mark.parametrize("path", ["/me%0A", "/me", "/me%2F"])
@pytest.mark.parametrize("only", ["/me", "/me/*"])
def test_starlette_path_routed_to_gated_route_missing_token(path: str, only: str) -> None:
    async def open_to_all(request: Request) -> PlainTextResponse:
        return PlainTextResponse("open")

    routes = [Route("/me", open_to_all), Route("/other", open_to_all)]
    app = Starlette(routes=routes, middleware=[Middleware(WicketMiddleware, gate=make_gate(), only=[only])])
    client = TestClient(app)
    assert client.get("/other").text == "open"
    assert client.get(path).json()["error"] == "missing_token"


def test_starlette_two_gates_of_same_name_return_only_their_own_identity() -> None:
    outer, inner = make_gate("acme"), make_gate("partner")
    gates = {"outer": outer, "inner": inner}

    async def of_gate(request: Request) -> PlainTextResponse:
        return PlainTextResponse(identity_of(request, gates[request.path_params["gate"]]).app_id)

    layer = Middleware(WicketMiddleware, gate=inner, only=["/gated/*"])
    mounted = Starlette(routes=[Route("/gated/{gate}", of_gate), Route("/exempt/{gate}", of_gate)], middleware=[layer])
    app = Starlette(routes=[Mount("/", mounted)], middleware=[Middleware(WicketMiddleware, gate=outer)])
    user = as_user(TestClient(app), "user-1", app="acme", gate=outer)
    assert user.get("/exempt/outer").text == "acme"
    with pytest.raises(ConfigError, match="made no decision"):
        user.get("/exempt/inner")


def test_starlette_missing_scope_detail_names_the_scope() -> None:
    response = as_user(make_client(make_gate()), "user-1", app="acme", scope="write").get("/read")
    assert response.json()["detail"] == "The token lacks a scope that this request requires: read."


def test_starlette_bare_requires_identity_raises_config_error() -> None:
    async def endpoint(request: Request) -> PlainTextResponse:
        raise AssertionError

    bare: Any = requires_identity
    with pytest.raises(ConfigError, match="with parentheses"):
        bare(endpoint)


# --- the gate outside the whole application


ELSEWHERE = {"Origin": "https://page.example"}


def outside(gate: Gate) -> TestClient:
    def crash(request: Request) -> PlainTextResponse:
        raise ValueError("own")

    site = Starlette(
        routes=[Route("/read", read), Route("/crash", crash)],
        exception_handlers={Refused: refusal_exception_handler(gate)},
    )
    return TestClient(WicketMiddleware(site, gate), raise_server_exceptions=False)


def test_starlette_outer_middleware_server_error_has_cors_headers() -> None:
    gate = make_gate()
    client = as_user(outside(gate), "user-1", app="acme")
    response = client.get("/crash", headers=ELSEWHERE)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (500, "https://page.example")
    assert client.get("/nowhere", headers=ELSEWHERE).headers["access-control-allow-origin"] == "https://page.example"


def test_starlette_refusal_exception_handler_returns_refusal_response() -> None:
    gate = make_gate()
    response = as_user(outside(gate), "user-1", app="acme").get("/read", headers=ELSEWHERE)
    assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get_list("access-control-allow-origin") == ["https://page.example"]
    assert response.headers.get_list("content-length") == [str(len(response.content))]


async def run_handler(gate: Gate, connection: HTTPConnection, error: Exception) -> Response:
    return await refusal_exception_handler(gate)(connection, error)


def test_starlette_refusal_exception_handler_raises_other_errors() -> None:
    gate = make_gate()
    with pytest.raises(ValueError, match="own"):
        asyncio.run(run_handler(gate, Request({"type": "http"}), ValueError("own")))
    with pytest.raises(Refused):
        asyncio.run(run_handler(gate, HTTPConnection({"type": "websocket"}), Refused(Refusal("missing_token"))))


def test_starlette_origin_check_and_preflight_answered_by_middleware() -> None:
    gate = make_gate(origins=["https://page.example"])
    client = TestClient(WicketMiddleware(Starlette(), gate, origin_check_path="/allowed"))
    assert client.get("/allowed", headers=ELSEWHERE).json() == {"allowed": True}
    assert client.get("/allowed", headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.options("/x", headers={**ELSEWHERE, "Access-Control-Request-Method": "PUT"}).status_code == 204
