"""`unguarded` lists the routes that no gate guards, in each framework."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import clear_url_caches, include, path, re_path
from fastapi import APIRouter, FastAPI
from flask import Blueprint, Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from wicket import ConfigError, Gate, Secret, profiles
from wicket.asgi import WicketMiddleware
from wicket.contrib.fastapi import Wicket as FastAPIWicket
from wicket.contrib.flask import Wicket, exempt, optional
from wicket.testing import unguarded
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

SECRET = Secret.from_text("7d1e-43b0-acme-9c52-e8f6-017a-b4d3-65ce")
GATE = Gate([profiles.generic("acme", credentials=[SECRET], origins=["https://acme.example"])])
OTHER = Gate([profiles.generic("other", credentials=[SECRET], origins=["https://acme.example"])], name="other")


def view(request: Any = None, **parameters: Any) -> Any:
    raise AssertionError


def endpoint(request: Request) -> PlainTextResponse:
    raise AssertionError


def test_unguarded_fastapi_routes_outside_and_exempt() -> None:
    app = FastAPI(openapi_url=None)
    router = APIRouter(prefix="/api")
    router.add_api_route("/items/{item}", view, methods=["GET", "DELETE"])
    router.add_api_route("/greet", view)
    app.include_router(router)
    app.add_api_route("/health", view)
    assert unguarded(app, GATE) == [
        "DELETE /api/items/{item}",
        "GET /api/greet",
        "GET /api/items/{item}",
        "GET /health",
    ]
    FastAPIWicket(OTHER).init_app(app)
    assert len(unguarded(app, GATE)) == 4
    FastAPIWicket(GATE, exempt=["/health"], optional=["/api/greet"]).init_app(app)
    assert unguarded(app, GATE) == ["GET /health"]


def test_unguarded_starlette_mounts_sockets_and_wrappers() -> None:
    inner = Starlette(
        routes=[Route("/own", endpoint), Route("/open", endpoint)],
        middleware=[Middleware(WicketMiddleware, GATE, exempt=["/open"])],
    )
    routes = [
        Route("/all", endpoint, methods=["GET", "POST"]),
        Route("/any", PlainTextResponse("any")),
        WebSocketRoute("/talk", endpoint),
        Mount("/inner", app=inner),
        Mount("/wrapped", app=WicketMiddleware(Starlette(routes=[Route("/x", endpoint)]), GATE)),
        Mount("/nested", routes=[Route("/x", endpoint)]),
        Mount("/gated", routes=[Route("/x", endpoint)], middleware=[Middleware(WicketMiddleware, gate=GATE)]),
        Mount("/static", app=StaticFiles(directory=".")),
        Host("a.example", app=Starlette(routes=[Route("/host", endpoint)])),
    ]
    assert unguarded(Starlette(routes=routes), GATE) == [
        "ANY /any",
        "ANY /static/{path}",
        "GET /all",
        "GET /host",
        "GET /inner/open",
        "GET /nested/x",
        "POST /all",
        "WEBSOCKET /talk",
    ]
    wrapped = WicketMiddleware(Starlette(routes=routes), GATE, only=["/all", "/talk", "/nested/*"])
    assert unguarded(wrapped, GATE) == ["ANY /any", "ANY /static/{path}", "GET /host", "GET /inner/open"]


def test_unguarded_flask_application_and_blueprints() -> None:
    app, api, nested = Flask("site", static_folder=None), Blueprint("api", "api"), Blueprint("nested", "nested")
    api.add_url_rule("/api/<int:item>", "item", view, methods=["GET", "PUT"])
    api.add_url_rule("/api/health", "health", exempt(lambda: "ok"))
    api.add_url_rule("/api/greet", "greet", optional(lambda: "ok"))
    nested.add_url_rule("/nested", "x", view)
    api.register_blueprint(nested)
    app.add_url_rule("/", "index", view)
    app.add_url_rule("/options", "options", view, methods=["OPTIONS"])
    Wicket(GATE, exempt=["/nested"]).init_app(api)
    app.register_blueprint(api)
    assert unguarded(app, GATE) == ["GET /", "GET /api/health", "GET /nested", "OPTIONS /options"]
    assert len(unguarded(app, OTHER)) == 7
    Wicket(GATE, only=["/"]).init_app(app)
    assert unguarded(app, GATE) == ["GET /api/health", "GET /nested", "OPTIONS /options"]


def test_unguarded_quart_and_litestar() -> None:
    import quart
    from litestar import Litestar, get, websocket
    from litestar.middleware import DefineMiddleware

    app = quart.Quart("site", static_folder=None)
    app.add_url_rule("/open", "open", view)
    app.add_url_rule("/me", "me", view)
    app.add_websocket("/talk", "talk", view)
    inner: Any = app.asgi_app
    app.asgi_app = WicketMiddleware(inner, GATE, exempt=["/open", "/talk"])  # type: ignore[assignment, method-assign]
    assert unguarded(app, GATE) == ["GET /open", "WEBSOCKET /talk"]

    async def handler() -> str:
        raise AssertionError

    async def talk(socket: Any) -> None:
        raise AssertionError

    from litestar import WebSocket

    handler.__annotations__["return"] = str
    talk.__annotations__.update({"socket": WebSocket[Any, Any, Any], "return": None})
    middleware: Any = WicketMiddleware
    site = Litestar(
        [get(["/open", "/me/{item:int}"])(handler), websocket("/talk")(talk)],
        middleware=[DefineMiddleware(middleware, gate=GATE, exempt=["/open"])],
        openapi_config=None,
        logging_config=None,
    )
    assert unguarded(site, GATE) == ["GET /open"]


def test_unguarded_falcon() -> None:
    import falcon
    import falcon.asgi

    class Resource:
        def on_get(self, request: Any, response: Any) -> None: ...

    class Socket:
        async def on_get(self, request: Any, response: Any) -> None: ...

        async def on_websocket(self, request: Any, socket: Any) -> None: ...

    app: Any = falcon.App()
    app.add_route("/open/{item}", Resource())
    app.add_route("/me", Resource())
    assert unguarded(WSGIMiddleware(app, GATE, exempt=["/open/*"]), GATE) == ["GET /open/{item}"]
    sockets: Any = falcon.asgi.App()
    sockets.add_route("/talk", Socket())
    assert unguarded(sockets, GATE) == ["GET /talk", "WEBSOCKET /talk"]


def django_view(request: HttpRequest) -> HttpResponse:
    raise AssertionError


URLS = ModuleType("tests.unit.testing.django_routes")
URLS.urlpatterns = [  # type: ignore[attr-defined]  # Django reads it
    path("open", django_view),
    path("api/", include([path("items/<int:item>", django_view)])),
    re_path(r"^years/(?P<year>[0-9]{4})/$", django_view),
]


@pytest.mark.parametrize("handler", [ASGIHandler, WSGIHandler])
def test_unguarded_django(handler: type[Any]) -> None:
    ours = "wicket.contrib.django.WicketMiddleware"
    clear_url_caches()
    with override_settings(ROOT_URLCONF=URLS, MIDDLEWARE=[ours], WICKET_GATE=GATE, WICKET_EXEMPT=["/open"]):
        assert unguarded(handler(), GATE) == ["ANY /open"]
        assert unguarded(handler(), OTHER) == ["ANY /api/items/<int:item>", "ANY /open", "ANY /years/<year>/"]


def test_unguarded_unknown_application_raises_config_error() -> None:
    with pytest.raises(ConfigError, match="routes are known"):
        unguarded(object(), GATE)
