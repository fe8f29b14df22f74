"""FastAPI: the dependency, the scopes, the OpenAPI document, and the answers to refusals."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Security, WebSocket
from fastapi.testclient import TestClient
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse
from starlette.testclient import WebSocketDenialResponse

from wicket import (
    App,
    Bearer,
    ConfigError,
    Cookie,
    Decision,
    Gate,
    Header,
    Identity,
    JsonBody,
    PublishableKeyBearer,
    Query,
    Refusal,
    Refused,
    Secret,
    VerifiedIdentity,
    profiles,
)
from wicket.contrib import fastapi as in_fastapi
from wicket.contrib import starlette as in_starlette
from wicket.contrib.fastapi import Wicket, decision_of, identity_of, requires_identity
from wicket.testing import as_user

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

PAGE = {"Origin": "https://page.example"}
NAMED = {"X-App-Id": "acme"}


def app_of(id: str, **settings: Any) -> App:
    secret = Secret.from_text(f"7d1e-43b0-{id}-9c52-e8f6-017a-b4d3-65ce")
    return profiles.generic(id, credentials=[secret], scopes_claim="scope", allowed_scopes=["read"], **settings)


def gate_of(*apps: App, **settings: Any) -> Gate:
    return Gate(apps or [app_of("acme"), app_of("globex")], **settings)


wicket = Wicket(gate_of(), optional=["/maybe"])
User = Annotated[VerifiedIdentity, Depends(wicket)]
Reader = Annotated[VerifiedIdentity, Security(wicket, scopes=["read"])]


def site() -> FastAPI:
    app = FastAPI()

    @app.get("/me")
    def me(user: User) -> str:
        return user.identity

    @app.get("/read", responses={401: {"description": "own"}})
    async def read(user: Reader) -> str:
        return user.user_id

    @app.get("/maybe")
    async def maybe(user: Annotated[Identity, Depends(wicket.optional)]) -> str:
        return user.user_id or "anonymous"

    @app.get("/limit")
    async def limit() -> str:
        raise Refused(Refusal("rate_limited", retry_after=7))

    @app.websocket("/talk")
    async def talk(socket: WebSocket, user: Reader) -> None:
        await socket.accept()
        await socket.send_text(user.user_id)
        await socket.close()

    wicket.init_app(app)
    return app


def user(app: FastAPI, **claims: Any) -> TestClient:
    return as_user(TestClient(app), "user-1", app="acme", **claims)


def test_fastapi_dependency_returns_verified_identity() -> None:
    assert user(site()).get("/me").json() == "acme:user-1"
    assert user(site(), scope="read").get("/read").json() == "user-1"
    assert user(site()).get("/maybe").json() == "user-1"
    assert TestClient(site()).get("/maybe").json() == "anonymous"


def test_fastapi_missing_token_401_and_missing_scope_403() -> None:
    missing = TestClient(site()).get("/me", headers={**NAMED, **PAGE})
    assert (missing.status_code, missing.json()["error"]) == (401, "missing_token")
    poor = user(site(), scope="other").get("/read", headers=PAGE)
    assert (poor.status_code, poor.json()["error"]) == (403, "insufficient_scope")
    assert poor.headers["content-type"] == "application/problem+json"
    assert 'error="insufficient_scope"' in poor.headers["www-authenticate"]
    assert poor.headers.get_list("access-control-allow-origin") == [PAGE["Origin"]]
    assert TestClient(site()).get("/nowhere", headers=NAMED).status_code == 401


def test_fastapi_endpoint_raising_refused_returns_refusal_response() -> None:
    response = user(site()).get("/limit")
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")


def test_fastapi_websocket_dependency_gets_identity_or_refuses_handshake() -> None:
    with user(site(), scope="read").websocket_connect("/talk") as socket:
        assert socket.receive_text() == "user-1"
    with pytest.raises(WebSocketDenialResponse) as denied, user(site()).websocket_connect("/talk"):
        pass
    assert (denied.value.status_code, denied.value.json()["error"]) == (403, "insufficient_scope")


async def catch_all(request: Request, call_next: Callable[[Request], Any]) -> Any:
    try:
        return await call_next(request)
    except Exception:  # noqa: BLE001 - as an application's own middleware does
        return JSONResponse({"error": "own"}, 500)


def test_p16_fastapi_refused_inside_middleware_that_catches_exceptions_returns_refusal_response() -> None:
    app = site()
    app.user_middleware.append(Middleware(BaseHTTPMiddleware, dispatch=catch_all))  # inside the gate
    assert user(app).get("/read").json()["error"] == "insufficient_scope"


def test_fastapi_handler_of_refusals_raises_other_errors() -> None:
    app = site()
    handler: Any = app.exception_handlers[Refused]
    with pytest.raises(ValueError, match="own"):
        handler(Request({"type": "http"}), ValueError("own")).send(None)


def test_fastapi_dependency_without_init_app_raises_config_error() -> None:
    app = FastAPI()

    @app.get("/me")
    def me(user: User) -> str:
        raise AssertionError

    with pytest.raises(ConfigError, match="made no decision"):
        TestClient(app).get("/me")


def test_fastapi_dependency_override_returns_injected_identity() -> None:
    app = FastAPI()
    router = APIRouter()

    @router.get("/me")
    def me(user: User) -> str:
        return user.user_id

    app.include_router(router)
    decision = wicket.gate.verify(
        as_user(TestClient(site()), "ada", app="acme").headers["authorization"][7:], app="acme"
    )
    app.dependency_overrides[wicket] = lambda: decision.require()
    assert TestClient(app).get("/me").json() == "ada"


def test_fastapi_invalid_setting_raises_config_error() -> None:
    with pytest.raises(ConfigError, match="only"):
        Wicket(gate_of(), only="/api")


# --- OpenAPI


def document_of(gate: Gate) -> dict[str, Any]:
    scheme = Wicket(gate)
    app = FastAPI()

    @app.get("/x")
    def x(user: VerifiedIdentity = Security(scheme, scopes=["read"])) -> str:
        raise AssertionError

    @app.get("/open")
    def unsecured() -> str:
        raise AssertionError

    scheme.init_app(app)
    document = app.openapi()
    assert app.openapi() is document
    return document


def security_of(gate: Gate) -> tuple[list[Any], dict[str, Any]]:
    document = document_of(gate)
    return document["paths"]["/x"]["get"]["security"], document["components"]["securitySchemes"]


def test_fastapi_openapi_has_token_and_app_in_one_requirement() -> None:
    document = site().openapi()
    operations = {path: methods["get"] for path, methods in document["paths"].items()}
    assert operations["/me"]["security"] == [{"wicket": [], "wicket_app": []}]
    assert operations["/read"]["security"] == [{"wicket": ["read"], "wicket_app": []}]
    assert operations["/maybe"]["security"] == [{"wicket": [], "wicket_app": []}, {}]
    assert "security" not in operations["/limit"]
    assert document["components"]["securitySchemes"] == {
        "wicket": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "wicket_app": {"type": "apiKey", "in": "header", "name": "x-app-id"},
    }


def test_fastapi_openapi_documents_refusals_and_keeps_those_of_route() -> None:
    paths = site().openapi()["paths"]
    assert paths["/me"]["get"]["responses"].keys() == {"200", "400", "401", "403", "503"}
    content = paths["/me"]["get"]["responses"]["401"]["content"]
    assert content["application/problem+json"]["schema"]["properties"].keys() == {
        *("type", "title", "status", "detail", "error", "reason")
    }
    assert paths["/read"]["get"]["responses"]["401"]["description"] == "own"
    assert paths["/limit"]["get"]["responses"].keys() == {"200"}


def test_fastapi_responses_include_own_format_of_vendor() -> None:
    userz = profiles.userz("userz", publishable_key="pub_userz", credentials=[Secret.from_hex("5e" * 31 + "01")])
    assert Wicket(gate_of(userz)).responses()[401]["content"].keys() == {"application/problem+json", "application/json"}
    assert Wicket(gate_of()).responses()[401]["content"].keys() == {"application/problem+json"}


def test_fastapi_openapi_gate_with_one_app_needs_no_app_scheme() -> None:
    assert security_of(gate_of(app_of("acme")))[0] == [{"wicket": ["read"]}]


def test_fastapi_openapi_several_locations_are_alternatives() -> None:
    locations = [Header("X-Token"), Query("jwt"), Query("token"), Cookie("session"), JsonBody("token")]
    apps = [
        app_of(id, token_locations=locations, origins=["https://a.example"], publishable_key=f"pub_{id}")
        for id in ("acme", "globex")
    ]
    gate = Gate(apps, app_locations=[PublishableKeyBearer(), Query("appId")], name="users")
    security, schemes = security_of(gate)
    tokens, names = ("users", "users_query", "users_query_2", "users_cookie"), ("users_app", "users_app_query")
    assert security == [{token: ["read"], name: []} for token in tokens for name in names]
    assert schemes["users_app"] == {"type": "http", "scheme": "bearer"}
    assert schemes["users_query_2"] == {"type": "apiKey", "in": "query", "name": "token"}


def test_fastapi_openapi_app_in_body_or_path_and_token_in_body() -> None:
    apps = [app_of(id, token_locations=[JsonBody("token")]) for id in ("acme", "globex")]
    security, schemes = security_of(Gate(apps, app_locations=[Header("X-App-Id"), JsonBody("appId")]))
    assert security == [{"wicket": ["read"], "wicket_app": []}, {"wicket": ["read"]}]
    assert schemes.keys() == {"wicket", "wicket_app"}
    assert security_of(Gate(apps, app_locations=[JsonBody("appId")]))[0] == [{"wicket": ["read"]}]


def test_fastapi_openapi_other_security_scheme_is_kept() -> None:
    from fastapi.security import HTTPBasic

    scheme, app = Wicket(gate_of()), FastAPI()

    @app.get("/x", dependencies=[Depends(scheme), Depends(HTTPBasic())])
    def x() -> str:
        raise AssertionError

    scheme.init_app(app)
    document = app.openapi()
    assert document["paths"]["/x"]["get"]["security"] == [{"wicket": [], "wicket_app": []}, {"HTTPBasic": []}]
    assert document["components"]["securitySchemes"].keys() == {"wicket", "wicket_app", "HTTPBasic"}


def test_fastapi_openapi_without_dependency_is_unchanged() -> None:
    app = FastAPI()
    Wicket(gate_of()).init_app(app)
    assert "components" not in app.openapi()


# --- accessors and decorators, of this module and of the one for Starlette

MODULES = pytest.mark.parametrize("module", [in_fastapi, in_starlette], ids=["fastapi", "starlette"])


@MODULES
def test_p15_accessors_are_dependencies_with_scopes(module: Any) -> None:
    app = FastAPI()

    @app.get("/me")
    def me(
        user: VerifiedIdentity = Depends(module.identity_of), decision: Decision = Depends(module.decision_of)
    ) -> str:
        assert decision.identity is user
        return user.user_id

    @app.get("/read")
    async def read(user: VerifiedIdentity = Security(module.identity_of, scopes=["read"])) -> str:
        return user.user_id

    Wicket(gate_of(), optional=["/me"]).init_app(app)
    assert user(app).get("/me").json() == "user-1"
    assert TestClient(app).get("/me", headers=NAMED).json()["error"] == "missing_token"
    assert user(app).get("/read").json()["error"] == "insufficient_scope"
    assert user(app, scope="read").get("/read").json() == "user-1"


def test_accessors_called_with_request_return_decision_and_identity() -> None:
    app = FastAPI()

    @app.get("/me")
    def me(request: Request) -> str:
        assert decision_of(request, "wicket").allowed
        return identity_of(request, scopes=["read"]).user_id

    Wicket(gate_of()).init_app(app)
    assert user(app, scope="read").get("/me").json() == "user-1"


def test_starlette_accessor_signature_without_fastapi_is_own_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fastapi.security")
    assert list(inspect.signature(in_starlette.identity_of).parameters) == ["connection", "gate", "scopes"]


@MODULES
def test_p15_requires_identity_async_and_sync_endpoints_of_fastapi(module: Any) -> None:
    app = FastAPI()
    requires: Callable[..., Callable[[Endpoint], Endpoint]] = module.requires_identity

    @app.get("/a/{item}")
    @requires("read")
    async def a(item: int, request: Request, extra: int = 1) -> int:
        return item + extra

    @app.get("/b")
    @requires()
    def b(request: Request) -> str:
        return identity_of(request).user_id

    Wicket(gate_of(app_of("acme", allow_anonymous=True))).init_app(app)
    assert user(app, scope="read").get("/a/2?extra=3").json() == 5
    assert user(app).get("/a/2").json()["error"] == "insufficient_scope"
    assert user(app).get("/b").json() == "user-1"
    assert TestClient(app).get("/b").json()["error"] == "missing_token"
    assert user(app, scope="read").get("/a/x").status_code == 422


def test_requires_identity_endpoint_without_request_parameter() -> None:
    app = FastAPI()

    @app.get("/x")
    @requires_identity()
    async def x(**kwargs: Any) -> list[str]:
        return sorted(kwargs)

    @app.get("/y")
    @in_starlette.requires_identity()
    async def y() -> str:
        raise AssertionError

    Wicket(gate_of()).init_app(app)
    assert user(app).get("/x?kwargs=1").json() == ["kwargs"]
    with pytest.raises(ConfigError, match="request: Request"):
        user(app).get("/y")


@MODULES
def test_requires_identity_without_parentheses_raises_config_error(module: Any) -> None:
    with pytest.raises(ConfigError, match="with parentheses"):
        module.requires_identity(lambda request: None)


def test_fastapi_token_schemes_default_to_bearer() -> None:
    assert Wicket(Gate(app_locations=[Header("X-App-Id")], token_locations=[Bearer()])).scheme_name == "wicket"
