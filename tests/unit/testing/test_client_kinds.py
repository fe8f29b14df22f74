"""`as_user` with the test client of each framework: headers, query parameters, cookies, hosts, and another user."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient as AiohttpClient
from aiohttp.test_utils import TestServer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import clear_url_caches, path
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient as FastAPIClient
from flask import Flask
from flask import request as flask_request
from rest_framework.test import APIClient
from werkzeug.test import Client as WerkzeugClient
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse

from wicket import App, Cookie, Gate, Header, Host, Query, Secret, profiles
from wicket import Request as WicketRequest
from wicket.asgi import WicketMiddleware
from wicket.contrib.django import identity_of
from wicket.contrib.fastapi import Wicket
from wicket.contrib.flask import Wicket as FlaskWicket
from wicket.contrib.flask import current_identity
from wicket.testing import as_user
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

Get = Callable[..., str]
"""Sends a GET request for a path, as a user, with the client of one framework. Returns the text of the response."""


def gate_of(*tokens: Any, hosts: tuple[str, ...] = ()) -> Gate:
    locations: list[Any] = [Host()] if hosts else [Header("X-App-Id")]
    app = profiles.generic(
        "acme",
        credentials=[Secret.from_text("7d1e-43b0-acme-9c52-e8f6-017a-b4d3-65ce")],
        token_locations=tokens,
        origins=["https://acme.example"],
        hosts=hosts,
    )
    other = App("other", credentials=[Secret.from_text("7d1e-43b0-other-9c52-e8f6-017a-b4d3-65ce")])
    return Gate([app, other], app_locations=locations)


def texts(answer: str, query: str) -> str:
    return f"{answer}?{query}"


@contextmanager
def fastapi_get(gate: Gate) -> Iterator[Get]:
    app = FastAPI()

    @app.get("/me")
    def me(request: Request) -> str:
        return texts(request.user.user_id, request.query_params.get("page", ""))

    Wicket(gate).init_app(app)
    yield lambda user, target, **headers: as_user(FastAPIClient(app), user, app="acme").get(target, **headers).json()


@contextmanager
def litestar_get(gate: Gate) -> Iterator[Get]:
    from litestar import Litestar, get
    from litestar import Request as LitestarRequest
    from litestar.middleware import DefineMiddleware
    from litestar.testing import TestClient

    async def me(request: Any) -> str:
        return texts(request.user.user_id, request.query_params.get("page", ""))

    me.__annotations__.update({"request": LitestarRequest[Any, Any, Any], "return": str})
    middleware: Any = WicketMiddleware
    app = Litestar([get("/me")(me)], middleware=[DefineMiddleware(middleware, gate=gate)], logging_config=None)
    yield lambda user, target, **headers: as_user(TestClient(app), user, app="acme").get(target, **headers).text


@contextmanager
def quart_get(gate: Gate) -> Iterator[Get]:
    import quart

    app = quart.Quart("site")

    @app.get("/me")
    async def me() -> str:
        scope: Any = quart.request.scope
        return texts(scope["user"].user_id, quart.request.args.get("page", ""))

    inner: Any = app.asgi_app
    app.asgi_app = WicketMiddleware(inner, gate)  # type: ignore[assignment, method-assign]

    async def send(user: str, target: str, **options: Any) -> str:
        client: Any = as_user(as_user(app.test_client(), "replaced", app="acme"), user, app="acme")
        answer = await client.get(target, **options)
        text: str = await answer.get_data(as_text=True)
        return text

    yield lambda *args, **options: asyncio.run(send(*args, **options))


@contextmanager
def falcon_get(gate: Gate, *, wsgi: bool = False) -> Iterator[Get]:
    import falcon.asgi
    from falcon.testing import TestClient

    class Me:
        def on_get(self, request: Any, response: Any) -> None:
            response.text = texts(request.env["wicket.identity"].user_id, request.get_param("page") or "")

    class AsyncMe:
        async def on_get(self, request: Any, response: Any) -> None:
            response.text = texts(request.scope["user"].user_id, request.get_param("page") or "")

    app: Any = falcon.App() if wsgi else falcon.asgi.App()
    app.add_route("/me", Me() if wsgi else AsyncMe())
    gated: Any = WSGIMiddleware(app, gate) if wsgi else WicketMiddleware(app, gate)

    def send(user: str, target: str, **options: Any) -> str:
        client = as_user(as_user(TestClient(gated), "replaced", app="acme"), user, app="acme")
        text: str = client.simulate_get(target, **options).text
        return text

    yield send


@contextmanager
def falcon_wsgi_get(gate: Gate) -> Iterator[Get]:
    with falcon_get(gate, wsgi=True) as get:
        yield get


def me(request: HttpRequest) -> HttpResponse:
    return HttpResponse(texts(identity_of(request).user_id, request.GET.get("page", "")))


URLS: Final = ModuleType("tests.unit.testing.django_urls")
URLS.urlpatterns = [path("me", me)]  # type: ignore[attr-defined]  # Django reads it


def _django_get(kind: type[Any]) -> Any:
    @contextmanager
    def opened(gate: Gate) -> Iterator[Get]:
        def send(user: str, target: str, **options: Any) -> str:
            client = as_user(as_user(kind(), "replaced", app="acme"), user, app="acme")
            answer = client.get(target, **options)
            if kind is AsyncClient:
                answer = asyncio.run(_awaited(answer))
            text: str = answer.content.decode()
            return text

        clear_url_caches()
        middleware = ["wicket.contrib.django.WicketMiddleware"]
        with override_settings(ROOT_URLCONF=URLS, MIDDLEWARE=middleware, WICKET_GATE=gate):
            yield send

    return opened


async def _awaited(answer: Any) -> Any:
    return await answer


@contextmanager
def aiohttp_get(gate: Gate) -> Iterator[Get]:
    async def me(request: web.Request) -> web.Response:
        pairs = list(request.headers.items())
        decision = await gate.adecide(WicketRequest("GET", request.path, request.query_string, pairs))
        return web.Response(text=texts(decision.require().user_id, request.query.get("page", "")))

    async def send(user: str, target: str, **options: Any) -> str:
        app = web.Application()
        app.router.add_get("/me", me)
        async with AiohttpClient(TestServer(app)) as client:
            as_user(as_user(client, "replaced", app="acme", gate=gate), user, app="acme", gate=gate)
            answer = await client.get(target, **options)
            return await answer.text()

    yield lambda *args, **options: asyncio.run(send(*args, **options))


@contextmanager
def channels_get(gate: Gate) -> Iterator[Get]:
    class Consumer(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            await self.accept()
            query = self.scope["query_string"].decode().partition("page=")[2][:1]
            user: Any = self.scope["user"]
            await self.send(text_data=texts(user.user_id, query))

    async def send(user: str, target: str, **options: Any) -> str:
        consumer: Any = Consumer.as_asgi()
        gated = WicketMiddleware(consumer, gate)
        communicator = WebsocketCommunicator(gated, target, headers=[(b"origin", b"https://acme.example")])
        as_user(as_user(communicator, "replaced", app="acme"), user, app="acme")
        connected, _ = await communicator.connect(timeout=60)
        assert connected
        received = await communicator.receive_from(timeout=60)
        await communicator.disconnect()
        return str(received)

    yield lambda *args, **options: asyncio.run(send(*args, **options))


@contextmanager
def werkzeug_get(gate: Gate) -> Iterator[Get]:
    @WerkzeugRequest.application
    def site(request: WerkzeugRequest) -> WerkzeugResponse:
        return WerkzeugResponse(texts(request.environ["wicket.identity"].user_id, request.args.get("page", "")))

    def send(user: str, target: str, **options: Any) -> str:
        client = as_user(as_user(WerkzeugClient(WSGIMiddleware(site, gate)), "replaced", app="acme"), user, app="acme")
        return client.get(target, **options).text

    yield send


@contextmanager
def flask_get(gate: Gate) -> Iterator[Get]:
    app = Flask("site")
    app.add_url_rule("/me", "me", lambda: texts(current_identity.user_id, flask_request.args.get("page", "")))
    FlaskWicket(gate).init_app(app)
    yield lambda user, target, **options: as_user(app.test_client(), user, app="acme").get(target, **options).text


CLIENTS: Final = {
    "flask": flask_get,
    "werkzeug": werkzeug_get,
    "fastapi": fastapi_get,
    "litestar": litestar_get,
    "quart": quart_get,
    "falcon": falcon_get,
    "falcon wsgi": falcon_wsgi_get,
    "django": _django_get(Client),
    "django async": _django_get(AsyncClient),
    "django rest framework": _django_get(APIClient),
    "aiohttp": aiohttp_get,
    "channels": channels_get,
}

LOCATIONS: Final = [Header("X-Token"), Query("jwt"), Cookie("session")]


@pytest.mark.parametrize("location", LOCATIONS, ids=lambda location: type(location).__name__)
@pytest.mark.parametrize("name", CLIENTS)
def test_as_user_client_sends_token_in_header_query_or_cookie(name: str, location: Any) -> None:
    with CLIENTS[name](gate_of(location)) as get:
        assert get("ada", "/me") == "ada?"
        assert get("ada", "/me?page=2") == "ada?2"


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "aiohttp"])
def test_as_user_client_sends_host_of_app(name: str) -> None:
    gate = gate_of(Header("X-Token"), hosts=("acme.example",))
    with CLIENTS[name](gate) as get:
        assert get("ada", "/me") == "ada?"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("quart", {"query_string": {"page": "3"}, "headers": {"X-Other": "1"}}),
        ("flask", {"query_string": {"page": "3"}, "headers": {"X-Other": "1"}}),
        ("werkzeug", {"query_string": "page=3", "headers": {"X-Other": "1"}, "environ_base": {"other": "1"}}),
        ("falcon", {"params": {"page": "3"}, "headers": [("X-Other", "1")], "cookies": {"other": "1"}}),
        ("falcon wsgi", {"query_string": "page=3", "headers": {"X-Other": "1"}}),
        ("django", {"data": {"page": "3"}, "headers": {"X-Other": "1"}}),
        ("django async", {"data": {"page": "3"}, "headers": {"X-Other": "1"}}),
        ("aiohttp", {"params": {"page": "3"}, "headers": {"X-Other": "1"}}),
    ],
)
@pytest.mark.parametrize("location", LOCATIONS, ids=lambda location: type(location).__name__)
def test_as_user_client_keeps_arguments_of_request(name: str, options: dict[str, Any], location: Any) -> None:
    with CLIENTS[name](gate_of(location)) as get:
        assert get("ada", "/me", **options) == "ada?3"


@pytest.mark.parametrize("name", ["fastapi", "flask", "werkzeug", "quart", "falcon", "django", "django async"])
def test_as_user_header_of_request_replaces_that_of_user(name: str) -> None:
    with CLIENTS[name](gate_of(Header("X-Token"))) as get:
        assert "malformed" in str(get("ada", "/me", headers={"X-Token": "nonsense"}))
