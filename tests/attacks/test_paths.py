"""Which path the gate believes it guards, and what reaches an application besides a decision."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.test import Client

from tests.attacks.token_factory import NOW, secret, token
from tests.integration.routers import apps, django_app
from tests.integration.routers.spellings import EXEMPT, ONLY
from wicket import App, ConfigError, Gate, Header, Mode, PathSegment, Secret
from wicket.asgi import WicketMiddleware
from wicket.contrib.flask import Wicket
from wicket.wsgi import WicketMiddleware as WsgiMiddleware

ROUTES = ("/admin/secret", "/public/hello")
FORGED_USER = "acme:root"


def gate_of(**settings: Any) -> Gate:
    known = [App("acme", credentials=[Secret(secret())]), App("globex", credentials=[Secret(secret("globex"))])]
    return Gate(known, **{"app_locations": [Header("X-App-Id")], "clock": lambda: NOW, **settings})


def ask(
    app: Any, path: str, *headers: tuple[str, str], root: str = "", method: str = "GET", **more: Any
) -> tuple[int, bytes]:
    """Status and body of what `app` answers to a scope with this path."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root,
        "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers)],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        **more,
    }
    sent: list[Any] = []
    asked = False

    async def receive() -> Any:
        nonlocal asked
        if asked:
            await asyncio.Future()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    status = next(each["status"] for each in sent if each["type"] == "http.response.start")
    return status, b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")


def nothing(*_: Any) -> None:
    """For handlers that need not tell that they were reached."""


# --- S1: the root


@pytest.mark.parametrize(
    "path", ["/public/app/admin/secret", "/public/deep/app/admin/secret", "/public/appadmin/secret"]
)
def test_s1_root_path_cut_from_middle_by_router_gated(path: str) -> None:
    bare = apps.litestar(ROUTES, nothing)
    app = WicketMiddleware(bare, gate_of(), **EXEMPT)
    assert ask(app, path, root="/app")[0] == 401
    assert ask(app, "/app/public/hello", root="/app") == (200, b"/public/hello")
    assert ask(app, f"/app{path}", root="/app")[0] == 401
    assert ask(bare, path, root="/app") == (200, b"/admin/secret"), "so the router reads it"


def test_s1_root_path_without_boundary_gated() -> None:
    bare = apps.quart(ROUTES, nothing)
    app = WicketMiddleware(bare, gate_of(), **ONLY)
    assert ask(bare, "/appadmin/secret", root="/app") == (200, b"/admin/secret"), "so the router reads it"
    assert ask(app, "/appadmin/secret", root="/app")[0] == 401
    assert ask(app, "/app/public/hello", root="/app") == (200, b"/public/hello")


@pytest.mark.parametrize("rules", [EXEMPT, ONLY, {"optional": ["/public/*"]}])
def test_s1_root_path_set_by_app_undeclared_config_error(rules: Any) -> None:
    bare = apps.fastapi(ROUTES, nothing, root_path="/api")
    with pytest.raises(ConfigError, match="root_path: the application sets the root '/api' itself"):
        WicketMiddleware(bare, gate_of(), **rules)
    with pytest.raises(ConfigError, match="root_path"):
        WicketMiddleware(bare, gate_of(), root_path="/v2", **rules)
    app = WicketMiddleware(bare, gate_of(), root_path="/api", **rules)
    for path in ("/api/admin/secret", "/admin/secret"):
        assert ask(app, path, ("x-app-id", "acme"))[0] == 401
    assert ask(app, "/api/public/hello") == (200, b"/public/hello")


def test_s1_root_path_of_outer_app_undeclared_request_config_error() -> None:
    for settings, status in (({}, None), ({"root_path": "/api"}, 401)):
        app = apps.fastapi(ROUTES, nothing, root_path="/api")
        app.add_middleware(WicketMiddleware, gate=gate_of(), **ONLY, **settings)
        for path in ("/api/admin/secret", "/admin/secret"):
            if status is None:
                with pytest.raises(ConfigError, match="root_path"):
                    ask(app, path)
            else:
                assert ask(app, path)[0] == status


def test_s1_django_forced_script_name_undeclared_config_error() -> None:
    urls = django_app.urls_of(ROUTES, nothing)
    with django_app.handler(urls, "asgi", "/app") as bare:
        with pytest.raises(ConfigError, match="root_path"):
            WicketMiddleware(bare, gate_of(), **ONLY)
        app = WicketMiddleware(bare, gate_of(), root_path="/app", **ONLY)
        assert ask(bare, "/app/admin/secret") == (200, b"/admin/secret"), "so the router reads it"
        assert ask(app, "/app/admin/secret")[0] == 401
        assert ask(app, "/app/public/hello") == (200, b"/public/hello")


@pytest.mark.parametrize("target", ["admin/secret", "http://host/admin/secret", "*", "app/admin/secret"])
@pytest.mark.parametrize("root", ["", "/app"])
def test_s1_target_without_leading_slash_gated(root: str, target: str) -> None:
    app = WicketMiddleware(apps.litestar(ROUTES, nothing), gate_of(), **ONLY)
    assert ask(app, target, root=root)[0] == 401


@pytest.mark.parametrize("root", ["/", "/app/", "app", "//app", "/a/../b"])
def test_s1_root_path_invalid_form_gated(root: str) -> None:
    app = WicketMiddleware(apps.starlette(ROUTES, nothing), gate_of(), **EXEMPT)
    assert ask(app, "/public/hello", root=root)[0] == 401


def test_s1_log_only_ambiguous_path_handler_gets_decision() -> None:
    seen: list[Any] = []
    app = apps.litestar(ROUTES, lambda _, scope: seen.append(scope["user"]))
    app = WicketMiddleware(app, gate_of(mode=Mode.LOG_ONLY), **EXEMPT)
    assert ask(app, "/public/app/admin/secret", root="/app") == (200, b"/admin/secret")
    assert [user.is_authenticated for user in seen] == [False]


def test_s1_a_root_of_an_inner_application_opens_nothing_beside_that_of_the_outer_one() -> None:
    inner = apps.fastapi(ROUTES, nothing, root_path="/inner")
    outer = apps.fastapi((), nothing, root_path="/outer")
    outer.mount("/", inner)
    assert ask(outer, "/inner/admin/secret") == (200, b"/admin/secret"), "so the router reads it"
    for given in ("/outer", "/inner", "keep"):
        app = WicketMiddleware(outer, gate_of(), root_path=given, **ONLY)
        for path in ("/inner/admin/secret", "/outer/admin/secret", "/admin/secret"):
            assert ask(app, path)[0] == 401
        assert ask(app, "/public/hello") == (200, b"/public/hello")


@pytest.mark.parametrize("given", ["/inner", "keep"])
def test_s1_the_root_around_the_middleware_and_that_within_it_both_count(given: str) -> None:
    def outer(**settings: Any) -> Any:
        app = apps.fastapi(ROUTES, nothing, root_path="/outer")
        app.mount("/", apps.fastapi(("/admin/other",), nothing, root_path="/inner"))
        if settings:
            app.add_middleware(WicketMiddleware, **settings)
        return app

    app = outer(gate=gate_of(), root_path=given, **ONLY)
    for path in ("/outer/admin/secret", "/inner/admin/other"):
        assert ask(outer(), path)[0] == 200, "so the router reads it"
        assert ask(app, path)[0] == 401
    assert ask(app, "/public/hello") == (200, b"/public/hello")


def test_s1_a_root_that_is_said_to_be_kept_though_the_application_removes_it_opens_nothing() -> None:
    bare = apps.fastapi(ROUTES, nothing, root_path="/api")
    app = WicketMiddleware(bare, gate_of(), root_path="keep", **ONLY)
    assert ask(bare, "/api/admin/secret") == (200, b"/admin/secret"), "so the router reads it"
    assert ask(app, "/api/admin/secret")[0] == ask(app, "/admin/secret")[0] == 401
    assert ask(app, "/public/hello") == (200, b"/public/hello")
    bare = apps.fastapi(ROUTES, nothing, root_path="/api")
    bare.add_middleware(WicketMiddleware, gate=gate_of(), root_path="keep", **ONLY)
    assert ask(bare, "/api/admin/secret")[0] == ask(bare, "/admin/secret")[0] == 401
    assert ask(bare, "/public/hello") == (200, b"/public/hello")


def test_s1_a_root_below_that_of_the_wrapped_application_is_refused() -> None:
    bare = apps.fastapi(ROUTES, nothing, root_path="/api")
    with pytest.raises(ConfigError, match=r"the application sets the root '/api' itself.*\(root_path='/api'\)"):
        WicketMiddleware(bare, gate_of(), root_path="/api/v2", **ONLY)


def mounted_in_litestar(inner: Any, **settings: Any) -> Any:
    """An application of Litestar that mounts `inner` at `/admin`."""
    from litestar import Litestar, asgi, get
    from litestar.types import Receive, Scope, Send

    @asgi("/admin", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    @get("/public/hello", sync_to_thread=False)
    def hello() -> str:
        return "hello"

    mounted.fn.__annotations__.update(scope=Scope, receive=Receive, send=Send)
    hello.fn.__annotations__["return"] = str
    return Litestar([mounted, hello], openapi_config=None, logging_config=None, **settings)


def mounted_in_hypercorn(inner: Any) -> Any:
    """The same by Hypercorn's dispatcher, before an application that is open."""
    from hypercorn.middleware import DispatcherMiddleware

    return DispatcherMiddleware({"/admin": inner, "": apps.starlette(("/public/hello",), nothing)})


def sunk_in_falcon(_: Any) -> Any:
    """An application of Falcon with a sink for `/admin`."""
    import falcon.asgi

    async def sink(request: Any, response: Any) -> None:
        response.text = "/secret"

    app: Any = falcon.asgi.App()
    app.add_sink(sink, "/admin")
    return app


@pytest.mark.parametrize("mounting", [mounted_in_litestar, mounted_in_hypercorn, sunk_in_falcon])
def test_s1_a_mount_without_a_segment_boundary_opens_nothing(mounting: Any) -> None:
    bare = mounting(apps.quart(("/secret", "/secret/"), nothing))
    app = WicketMiddleware(bare, gate_of(), **ONLY)
    assert ask(bare, "/adminsecret")[0] == 200, "so the router reads it"
    for path in ("/adminsecret", "/admin/secret", "/adminsecret/", "/admin"):
        assert ask(app, path)[0] == 401
    if mounting is not sunk_in_falcon:
        assert ask(app, "/public/hello")[0] == 200


def test_s1_a_mount_without_a_segment_boundary_within_a_mount_opens_nothing() -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    bare = Starlette(routes=[Mount("/part", mounted_in_litestar(handler))])
    app = WicketMiddleware(bare, gate_of(), only=["/part/admin/*"])
    assert ask(bare, "/part/adminsecret")[0] == 200, "so the router reads it"
    assert ask(app, "/part/adminsecret")[0] == 401
    assert ask(app, "/part/public/hello")[0] == 200


def test_s1_a_wsgi_sink_without_a_segment_boundary_opens_nothing() -> None:
    import falcon

    def sink(request: Any, response: Any) -> None:
        response.text = request.path

    bare: Any = falcon.App()
    app = WsgiMiddleware(bare, gate_of(), **ONLY)
    bare.add_sink(sink, "/")
    bare.add_sink(sink, "/admin")
    assert Client(bare).get("/adminx").text == "/adminx", "so the router reads it"
    assert [Client(app).get(path).status_code for path in ("/adminx", "/admin/x", "/other")] == [401, 401, 200]


def litestars_own(**settings: Any) -> Any:
    """The middleware among Litestar's own."""
    from litestar.middleware import DefineMiddleware

    door: Any = WicketMiddleware
    return DefineMiddleware(door, gate=gate_of(), **settings)


def test_s1_paths_do_not_count_before_a_mount_within_litestar() -> None:
    with pytest.raises(ConfigError, match="app: Litestar's own middlewares do not see the whole path"):
        mounted_in_litestar(apps.quart((), nothing), middleware=[litestars_own(**ONLY)])
    whole = mounted_in_litestar(apps.quart((), nothing), middleware=[litestars_own()])
    assert ask(whole, "/admin/secret")[0] == 401


def test_s1_within_litestar_the_root_is_removed_once() -> None:
    def served(**settings: Any) -> Any:
        return apps.litestar(("/app/secret", "/secret"), nothing, **settings)

    door = litestars_own(exempt=["/secret"])
    assert ask(served(), "/app/app/secret", root="/app") == (200, b"/app/secret"), "so the router reads it"
    assert ask(served(middleware=[door]), "/app/app/secret", root="/app")[0] == 401
    assert ask(served(middleware=[door]), "/app/secret", root="/app") == (200, b"/secret")


@pytest.mark.parametrize("rules", [EXEMPT, ONLY])
def test_s9_a_path_of_more_than_2048_characters_is_gated(rules: Any) -> None:
    app = WicketMiddleware(apps.starlette(("/public/{rest:path}",), nothing), gate_of(), **rules)
    longest = "/public/" + "a" * 2040
    assert ask(app, longest)[0] == 200
    assert ask(app, f"{longest}a")[0] == 401


# --- S2: the path that names the app


@pytest.mark.parametrize(
    ("root", "path", "status"),
    [
        ("", "/acme/data", 200),
        ("", "/globex/data", 400),
        ("", "//globex/data", 400),
        ("", "/./globex/data", 400),
        ("", "globex/data", 400),
        ("/app", "/app/acme/data", 200),
        ("/app", "/appacme/app/globex/data", 400),
        ("/app", "/acme/app/globex/data", 400),
        ("/app", "/app/acme/app/globex/data", 400),
    ],
)
def test_s2_path_segment_ambiguous_path_invalid_request(root: str, path: str, status: int) -> None:
    gate = gate_of(app_locations=[PathSegment(0), Header("X-App-Id")])
    app = WicketMiddleware(apps.litestar(("/acme/data", "/globex/data"), nothing), gate)
    answered, body = ask(app, path, ("x-app-id", "acme"), ("authorization", f"Bearer {token()}"), root=root)
    assert answered == status
    assert (b"invalid_request" in body) is (status == 400)


def test_s2_path_segment_undeclared_root_path_config_error() -> None:
    gate = gate_of(app_locations=[PathSegment(0)])
    bare = apps.fastapi(("/acme/data",), nothing, root_path="/api")
    with pytest.raises(ConfigError, match="root_path"):
        WicketMiddleware(bare, gate)
    app = WicketMiddleware(bare, gate, root_path="/api")
    proof = ("authorization", f"Bearer {token()}")
    assert ask(app, "/api/acme/data", proof) == ask(app, "/acme/data", proof) == (200, b"/acme/data")


def test_s2_a_root_that_is_said_to_be_kept_does_not_hide_the_app_that_the_router_serves() -> None:
    gate = gate_of(app_locations=[PathSegment(0), Header("X-App-Id")])
    app = WicketMiddleware(apps.fastapi(("/acme/data",), nothing, root_path="/acme"), gate, root_path="keep")
    proof = (("authorization", f"Bearer {token()}"), ("x-app-id", "acme"))
    assert ask(app, "/acme/data", *proof)[0] == 400
    assert ask(app, "/acme/acme/data", *proof)[0] == 400


def test_s2_a_mount_without_a_segment_boundary_does_not_hide_the_app_that_it_serves() -> None:
    gate = gate_of(app_locations=[PathSegment(1), Header("X-App-Id")])
    bare = mounted_in_hypercorn(apps.quart(("/globex/acme",), nothing))
    app = WicketMiddleware(bare, gate)
    proof = (("authorization", f"Bearer {token()}"), ("x-app-id", "acme"))
    assert ask(bare, "/adminglobex/acme") == (200, b"/globex/acme"), "so the router reads it"
    for _ in range(2):
        assert ask(app, "/adminglobex/acme", *proof)[0] == 400
    assert ask(app, "/public/acme", *proof)[0] == 404
    assert ask(app, "/admin/globex/acme", *proof)[0] == 400


def test_s2_a_path_of_more_than_2048_characters_names_no_app() -> None:
    gate = gate_of(app_locations=[PathSegment(0)])
    app = WicketMiddleware(apps.starlette(("/acme/{rest:path}",), nothing), gate)
    proof = ("authorization", f"Bearer {token()}")
    assert ask(app, "/acme/" + "a" * 2042, proof)[0] == 200
    assert ask(app, "/acme/" + "a" * 2043, proof)[0] == 400


# --- S4: preflights


class MethodOverride:
    """A middleware that takes the method from a header, as many applications have one."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"])
        return self.app(environ, start_response)


def overriding(**settings: Any) -> Client:
    """A client of a Flask application that deletes, shows whom it sees, and lets a header say the method."""
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
    client = overriding(**settings)
    answer = client.open("/users/7", method="OPTIONS", headers=PREFLIGHT, environ_overrides={"REMOTE_USER": "root"})
    assert answer.status_code == 401


def test_s4_wsgi_preflight_pass_setting_anonymous() -> None:
    client = overriding(preflights="pass")
    answer = client.open("/users/7", method="OPTIONS", headers=PREFLIGHT, environ_overrides={"REMOTE_USER": "root"})
    assert (answer.status_code, answer.json) == (200, {"user": None, "header": None, "identity": ""})


def test_s4_asgi_preflight_cors_disabled_gated() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(scope["user"].is_authenticated).encode()})

    headers = [(name.lower(), value) for name, value in PREFLIGHT.items()]
    assert ask(WicketMiddleware(app, gate_of(), cors=False), "/x", *headers, method="OPTIONS")[0] == 401
    passing = WicketMiddleware(app, gate_of(), cors=False, preflights="pass")
    assert ask(passing, "/x", *headers, method="OPTIONS") == (200, b"False")


# --- S6: a client's own Remote-User


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
    door = WicketMiddleware(app, gate_of(mode=mode))
    for _ in range(2):
        assert ask(door, "/x", *sent, (name, FORGED_USER), (name, "again"))[0] == 200
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
    with django_app.handler(urls, "asgi") as bare:
        app = WicketMiddleware(bare, gate_of())
        headers = (("x-app-id", "acme"), ("authorization", f"Bearer {token()}"), ("remote-user", FORGED_USER))
        assert ask(app, "/who", *headers)[0] == 200
        from django.core.handlers.asgi import ASGIRequest

        assert "HTTP_REMOTE_USER" not in ASGIRequest(seen[0], None).META
