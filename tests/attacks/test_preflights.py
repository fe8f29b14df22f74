"""Preflights and the client's Remote-User header never bypass the gate."""

from __future__ import annotations

import io
from typing import Any

import pytest
from werkzeug.test import Client

from tests.attacks.routed_apps import (
    ask,
    gate_of,
)
from tests.attacks.token_factory import token
from tests.integration.routers import django_app
from wicket import Mode
from wicket.asgi import WicketMiddleware
from wicket.contrib.flask import Wicket
from wicket.wsgi import WicketMiddleware as WsgiMiddleware

FORGED_USER = "acme:root"


# --- S4: preflights


class MethodOverride:
    """A middleware that reads the method from a header, as many applications use."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"])
        return self.app(environ, start_response)


def method_override_client(**settings: Any) -> Client:
    """Return a client of a Flask application that returns the user of a DELETE, with method override."""
    import flask

    app = flask.Flask(__name__)

    @app.route("/users/7", methods=["DELETE"])
    def delete() -> dict[str, Any]:
        environ = flask.request.environ
        return {
            "user": environ.get("REMOTE_USER"),
            "header": environ.get("HTTP_REMOTE_USER"),
            "identity": environ["wicket.identity"].identity,
        }

    app.wsgi_app = MethodOverride(app.wsgi_app)  # type: ignore[method-assign]
    Wicket(gate_of(), cors=False, **settings).init_app(app)
    return Client(app)


PREFLIGHT = {
    "Origin": "https://evil.example",
    "Access-Control-Request-Method": "GET",
    "X-HTTP-Method-Override": "DELETE",
    "X-App-Id": "acme",
    "Remote-User": FORGED_USER,
}


@pytest.mark.parametrize("settings", [{}, {"preflights": "gate"}], ids=["default", "gate"])
def test_s4_wsgi_preflight_cors_disabled_gated(settings: Any) -> None:
    client = method_override_client(**settings)
    response = client.open("/users/7", method="OPTIONS", headers=PREFLIGHT, environ_overrides={"REMOTE_USER": "root"})
    assert response.status_code == 401


def test_s4_wsgi_preflight_pass_setting_anonymous() -> None:
    client = method_override_client(preflights="pass")
    response = client.open("/users/7", method="OPTIONS", headers=PREFLIGHT, environ_overrides={"REMOTE_USER": "root"})
    assert (response.status_code, response.json) == (200, {"user": None, "header": None, "identity": ""})


def test_s4_asgi_preflight_cors_disabled_gated() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(scope["user"].is_authenticated).encode()})

    headers = [(name.lower(), value) for name, value in PREFLIGHT.items()]
    assert ask(WicketMiddleware(app, gate_of(), cors=False), "/x", *headers, method="OPTIONS")[0] == 401
    passing = WicketMiddleware(app, gate_of(), cors=False, preflights="pass")
    assert ask(passing, "/x", *headers, method="OPTIONS") == (200, b"False")


# --- S6: the client's Remote-User header


@pytest.mark.parametrize("name", ["remote-user", "remote_user", "Remote-User", "REMOTE_USER"])
@pytest.mark.parametrize("mode", [None, Mode.LOG_ONLY], ids=["enforce", "log-only"])
@pytest.mark.parametrize("more", [(), (("x-a", "1"), ("x-a", "2"))], ids=["once", "repeated"])
def test_s6_asgi_client_remote_user_header_removed(name: str, mode: Any, more: Any) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    sent = [("x-app-id", "acme"), ("authorization", f"Bearer {token()}"), *more]
    middleware = WicketMiddleware(app, gate_of(mode=mode))
    for _ in range(2):
        assert ask(middleware, "/x", *sent, (name, FORGED_USER), (name, "again"))[0] == 200
    assert seen == [(b"host", b"localhost"), *((key.encode(), value.encode()) for key, value in sent)] * 2


@pytest.mark.parametrize("name", ["Remote-User", "Remote_User"])
def test_s6_wsgi_client_remote_user_header_removed(name: str) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append((environ.get("REMOTE_USER"), environ.get("HTTP_REMOTE_USER")))
        start_response("200 OK", [])
        return []

    client = Client(WsgiMiddleware(app, gate_of()))
    headers = {"X-App-Id": "acme", "Authorization": f"Bearer {token()}", name: FORGED_USER}
    assert client.get("/", headers=headers).status_code == 200
    assert seen == [("acme:ada", None)]


def test_s6_django_client_remote_user_header_removed() -> None:
    seen: list[Any] = []
    urls = django_app.urls_of(("/who",), lambda _, scope: seen.append(scope))
    with django_app.handler(urls, "asgi") as router:
        app = WicketMiddleware(router, gate_of())
        headers = (("x-app-id", "acme"), ("authorization", f"Bearer {token()}"), ("remote-user", FORGED_USER))
        assert ask(app, "/who", *headers)[0] == 200
        from django.core.handlers.asgi import ASGIRequest

        assert "HTTP_REMOTE_USER" not in ASGIRequest(seen[0], io.BytesIO()).META
