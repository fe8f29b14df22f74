"""A path that a router may read in several ways never bypasses the gate."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.test import Client

from tests.attacks.routed_apps import (
    ROUTES,
    ask,
    gate_of,
    ignore,
    mounted_in_hypercorn,
    mounted_in_litestar,
    sunk_in_falcon,
)
from tests.attacks.token_factory import token
from tests.integration.routers import apps, django_app
from tests.integration.routers.path_variants import EXEMPT, ONLY
from wicket import ConfigError, Header, Mode, PathSegment
from wicket.asgi import WicketMiddleware
from wicket.wsgi import WicketMiddleware as WsgiMiddleware

# --- S1: the root


@pytest.mark.parametrize(
    "path", ["/public/app/admin/secret", "/public/deep/app/admin/secret", "/public/appadmin/secret"]
)
def test_s1_root_path_cut_from_middle_by_router_gated(path: str) -> None:
    router = apps.litestar(ROUTES, ignore)
    app = WicketMiddleware(router, gate_of(), **EXEMPT)
    assert ask(app, path, root="/app")[0] == 401
    assert ask(app, "/app/public/hello", root="/app") == (200, b"/public/hello")
    assert ask(app, f"/app{path}", root="/app")[0] == 401
    assert ask(router, path, root="/app") == (200, b"/admin/secret"), "the router serves it"


def test_s1_root_path_without_boundary_gated() -> None:
    router = apps.quart(ROUTES, ignore)
    app = WicketMiddleware(router, gate_of(), **ONLY)
    assert ask(router, "/appadmin/secret", root="/app") == (200, b"/admin/secret"), "the router serves it"
    assert ask(app, "/appadmin/secret", root="/app")[0] == 401
    assert ask(app, "/app/public/hello", root="/app") == (200, b"/public/hello")


@pytest.mark.parametrize("rules", [EXEMPT, ONLY, {"optional": ["/public/*"]}])
def test_s1_root_path_set_by_app_undeclared_config_error(rules: Any) -> None:
    router = apps.fastapi(ROUTES, ignore, root_path="/api")
    with pytest.raises(ConfigError, match="root_path: the application sets the root '/api' itself"):
        WicketMiddleware(router, gate_of(), **rules)
    with pytest.raises(ConfigError, match="root_path"):
        WicketMiddleware(router, gate_of(), root_path="/v2", **rules)
    app = WicketMiddleware(router, gate_of(), root_path="/api", **rules)
    for path in ("/api/admin/secret", "/admin/secret"):
        assert ask(app, path, ("x-app-id", "acme"))[0] == 401
    assert ask(app, "/api/public/hello") == (200, b"/public/hello")


def test_s1_root_path_of_outer_app_undeclared_request_config_error() -> None:
    for settings, status in (({}, None), ({"root_path": "/api"}, 401)):
        app = apps.fastapi(ROUTES, ignore, root_path="/api")
        app.add_middleware(WicketMiddleware, gate=gate_of(), **ONLY, **settings)
        for path in ("/api/admin/secret", "/admin/secret"):
            if status is None:
                with pytest.raises(ConfigError, match="root_path"):
                    ask(app, path)
            else:
                assert ask(app, path)[0] == status


def test_s1_django_forced_script_name_undeclared_config_error() -> None:
    urls = django_app.urls_of(ROUTES, ignore)
    with django_app.handler(urls, "asgi", "/app") as router:
        with pytest.raises(ConfigError, match="root_path"):
            WicketMiddleware(router, gate_of(), **ONLY)
        app = WicketMiddleware(router, gate_of(), root_path="/app", **ONLY)
        assert ask(router, "/app/admin/secret") == (200, b"/admin/secret"), "the router serves it"
        assert ask(app, "/app/admin/secret")[0] == 401
        assert ask(app, "/app/public/hello") == (200, b"/public/hello")


@pytest.mark.parametrize("target", ["admin/secret", "http://host/admin/secret", "*", "app/admin/secret"])
@pytest.mark.parametrize("root", ["", "/app"])
def test_s1_target_without_leading_slash_gated(root: str, target: str) -> None:
    app = WicketMiddleware(apps.litestar(ROUTES, ignore), gate_of(), **ONLY)
    assert ask(app, target, root=root)[0] == 401


@pytest.mark.parametrize("root", ["/", "/app/", "app", "//app", "/a/../b"])
def test_s1_root_path_invalid_form_gated(root: str) -> None:
    app = WicketMiddleware(apps.starlette(ROUTES, ignore), gate_of(), **EXEMPT)
    assert ask(app, "/public/hello", root=root)[0] == 401


def test_s1_log_only_ambiguous_path_handler_gets_decision() -> None:
    seen: list[Any] = []
    app = apps.litestar(ROUTES, lambda _, scope: seen.append(scope["user"]))
    app = WicketMiddleware(app, gate_of(mode=Mode.LOG_ONLY), **EXEMPT)
    assert ask(app, "/public/app/admin/secret", root="/app") == (200, b"/admin/secret")
    assert [user.is_authenticated for user in seen] == [False]


def test_s1_root_path_of_inner_and_outer_app_gated() -> None:
    inner = apps.fastapi(ROUTES, ignore, root_path="/inner")
    outer = apps.fastapi((), ignore, root_path="/outer")
    outer.mount("/", inner)
    assert ask(outer, "/inner/admin/secret") == (200, b"/admin/secret"), "the router serves it"
    for root_path in ("/outer", "/inner", "keep"):
        app = WicketMiddleware(outer, gate_of(), root_path=root_path, **ONLY)
        for path in ("/inner/admin/secret", "/outer/admin/secret", "/admin/secret"):
            assert ask(app, path)[0] == 401
        assert ask(app, "/public/hello") == (200, b"/public/hello")


@pytest.mark.parametrize("root_path", ["/inner", "keep"])
def test_s1_root_path_around_and_inside_middleware_gated(root_path: str) -> None:
    def outer(**settings: Any) -> Any:
        app = apps.fastapi(ROUTES, ignore, root_path="/outer")
        app.mount("/", apps.fastapi(("/admin/other",), ignore, root_path="/inner"))
        if settings:
            app.add_middleware(WicketMiddleware, **settings)
        return app

    app = outer(gate=gate_of(), root_path=root_path, **ONLY)
    for path in ("/outer/admin/secret", "/inner/admin/other"):
        assert ask(outer(), path)[0] == 200, "the router serves it"
        assert ask(app, path)[0] == 401
    assert ask(app, "/public/hello") == (200, b"/public/hello")


def test_s1_root_path_keep_but_removed_by_app_gated() -> None:
    router = apps.fastapi(ROUTES, ignore, root_path="/api")
    app = WicketMiddleware(router, gate_of(), root_path="keep", **ONLY)
    assert ask(router, "/api/admin/secret") == (200, b"/admin/secret"), "the router serves it"
    assert ask(app, "/api/admin/secret")[0] == ask(app, "/admin/secret")[0] == 401
    assert ask(app, "/public/hello") == (200, b"/public/hello")
    router = apps.fastapi(ROUTES, ignore, root_path="/api")
    router.add_middleware(WicketMiddleware, gate=gate_of(), root_path="keep", **ONLY)
    assert ask(router, "/api/admin/secret")[0] == ask(router, "/admin/secret")[0] == 401
    assert ask(router, "/public/hello") == (200, b"/public/hello")


def test_s1_root_path_below_root_of_app_config_error() -> None:
    router = apps.fastapi(ROUTES, ignore, root_path="/api")
    with pytest.raises(ConfigError, match=r"the application sets the root '/api' itself.*\(root_path='/api'\)"):
        WicketMiddleware(router, gate_of(), root_path="/api/v2", **ONLY)


@pytest.mark.parametrize("mount", [mounted_in_litestar, mounted_in_hypercorn, sunk_in_falcon])
def test_s1_mount_without_boundary_gated(mount: Any) -> None:
    router = mount(apps.quart(("/secret", "/secret/"), ignore))
    app = WicketMiddleware(router, gate_of(), **ONLY)
    assert ask(router, "/adminsecret")[0] == 200, "the router serves it"
    for path in ("/adminsecret", "/admin/secret", "/adminsecret/", "/admin"):
        assert ask(app, path)[0] == 401
    if mount is not sunk_in_falcon:
        assert ask(app, "/public/hello")[0] == 200


def test_s1_mount_without_boundary_in_mount_gated() -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    router = Starlette(routes=[Mount("/part", mounted_in_litestar(handler))])
    app = WicketMiddleware(router, gate_of(), only=["/part/admin/*"])
    assert ask(router, "/part/adminsecret")[0] == 200, "the router serves it"
    assert ask(app, "/part/adminsecret")[0] == 401
    assert ask(app, "/part/public/hello")[0] == 200


def test_s1_wsgi_sink_without_boundary_gated() -> None:
    import falcon

    def sink(request: Any, response: Any) -> None:
        response.text = request.path

    router: Any = falcon.App()
    app = WsgiMiddleware(router, gate_of(), **ONLY)
    router.add_sink(sink, "/")
    router.add_sink(sink, "/admin")
    assert Client(router).get("/adminx").text == "/adminx", "the router serves it"
    assert [Client(app).get(path).status_code for path in ("/adminx", "/admin/x", "/other")] == [401, 401, 200]


def registered_in_litestar(**settings: Any) -> Any:
    """Return the middleware in the form that Litestar registers."""
    from litestar.middleware import DefineMiddleware

    middleware: Any = WicketMiddleware
    return DefineMiddleware(middleware, gate=gate_of(), **settings)


def test_s1_litestar_middleware_of_mount_with_path_rules_config_error() -> None:
    with pytest.raises(ConfigError, match="app: middleware registered in Litestar does not get the whole path"):
        mounted_in_litestar(apps.quart((), ignore), middleware=[registered_in_litestar(**ONLY)])
    whole = mounted_in_litestar(apps.quart((), ignore), middleware=[registered_in_litestar()])
    assert ask(whole, "/admin/secret")[0] == 401


def test_s1_litestar_middleware_repeated_root_gated() -> None:
    def served(**settings: Any) -> Any:
        return apps.litestar(("/app/secret", "/secret"), ignore, **settings)

    middleware = registered_in_litestar(exempt=["/secret"])
    assert ask(served(), "/app/app/secret", root="/app") == (200, b"/app/secret"), "the router serves it"
    assert ask(served(middleware=[middleware]), "/app/app/secret", root="/app")[0] == 401
    assert ask(served(middleware=[middleware]), "/app/secret", root="/app") == (200, b"/secret")


@pytest.mark.parametrize("rules", [EXEMPT, ONLY])
def test_s9_path_longer_than_2048_characters_gated(rules: Any) -> None:
    app = WicketMiddleware(apps.starlette(("/public/{rest:path}",), ignore), gate_of(), **rules)
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
    app = WicketMiddleware(apps.litestar(("/acme/data", "/globex/data"), ignore), gate)
    actual, body = ask(app, path, ("x-app-id", "acme"), ("authorization", f"Bearer {token()}"), root=root)
    assert actual == status
    assert (b"invalid_request" in body) is (status == 400)


def test_s2_path_segment_undeclared_root_path_config_error() -> None:
    gate = gate_of(app_locations=[PathSegment(0)])
    router = apps.fastapi(("/acme/data",), ignore, root_path="/api")
    with pytest.raises(ConfigError, match="root_path"):
        WicketMiddleware(router, gate)
    app = WicketMiddleware(router, gate, root_path="/api")
    credentials = ("authorization", f"Bearer {token()}")
    assert ask(app, "/api/acme/data", credentials) == ask(app, "/acme/data", credentials) == (200, b"/acme/data")


def test_s2_path_segment_root_path_keep_invalid_request() -> None:
    gate = gate_of(app_locations=[PathSegment(0), Header("X-App-Id")])
    app = WicketMiddleware(apps.fastapi(("/acme/data",), ignore, root_path="/acme"), gate, root_path="keep")
    credentials = (("authorization", f"Bearer {token()}"), ("x-app-id", "acme"))
    assert ask(app, "/acme/data", *credentials)[0] == 400
    assert ask(app, "/acme/acme/data", *credentials)[0] == 400


def test_s2_path_segment_mount_without_boundary_invalid_request() -> None:
    gate = gate_of(app_locations=[PathSegment(1), Header("X-App-Id")])
    router = mounted_in_hypercorn(apps.quart(("/globex/acme",), ignore))
    app = WicketMiddleware(router, gate)
    credentials = (("authorization", f"Bearer {token()}"), ("x-app-id", "acme"))
    assert ask(router, "/adminglobex/acme") == (200, b"/globex/acme"), "the router serves it"
    for _ in range(2):
        assert ask(app, "/adminglobex/acme", *credentials)[0] == 400
    assert ask(app, "/public/acme", *credentials)[0] == 404
    assert ask(app, "/admin/globex/acme", *credentials)[0] == 400


def test_s2_path_segment_path_longer_than_2048_characters_invalid_request() -> None:
    gate = gate_of(app_locations=[PathSegment(0)])
    app = WicketMiddleware(apps.starlette(("/acme/{rest:path}",), ignore), gate)
    credentials = ("authorization", f"Bearer {token()}")
    assert ask(app, "/acme/" + "a" * 2042, credentials)[0] == 200
    assert ask(app, "/acme/" + "a" * 2043, credentials)[0] == 400
