"""Which roots an application says that it sets itself, and which of its mounts have no boundary."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from hypercorn.middleware import DispatcherMiddleware
from quart import Quart
from starlette.applications import Starlette
from starlette.routing import Host, Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware as WerkzeugDispatcher

from tests.integration.routers import apps, django_app
from wicket.http.roots import litestar_route, loose_mounts, own_root, own_roots


class Wrapped:
    """A middleware, whose application is in `app`."""

    def __init__(self, app: Any) -> None:
        self.app = app


SINK: Any = SimpleNamespace(_sinks=[(re.compile("/b"), None)])


class Hostile:
    """An object that raises for whatever is looked up."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_own_root_wrapped_application_root_returned() -> None:
    app = apps.fastapi((), lambda *_: None, root_path="/api")
    assert own_root(app) == own_root(Wrapped(Wrapped(app))) == "/api"


@pytest.mark.parametrize(
    "app",
    [
        None,
        Flask(__name__),
        Quart(__name__),
        Starlette(),
        SimpleNamespace(root_path=""),
        SimpleNamespace(root_path=7),
        SimpleNamespace(application_mapping=[SimpleNamespace(root_path="/x")]),
        lambda: None,
    ],
)
def test_own_root_application_without_root_none(app: Any) -> None:
    assert own_root(Wrapped(app)) is None


def test_own_root_mount_without_path_root_returned() -> None:
    app = apps.fastapi((), lambda *_: None, root_path="/api")
    assert own_root(Wrapped(Starlette(routes=[Mount("/", app)]))) == "/api"
    assert own_root(Starlette(routes=[Host("api.example", app)])) == "/api"
    assert own_root(Starlette(routes=[Mount("/sub", app)])) is None


@pytest.mark.parametrize("name", ["app", "application", "inner"])
def test_a_root_is_found_by_every_name_of_a_wrapped_application(name: str) -> None:
    assert own_root(SimpleNamespace(**{name: SimpleNamespace(root_path="/api")})) == "/api"


def test_every_root_is_found_once() -> None:
    inner = SimpleNamespace(root_path="/b", app=SimpleNamespace(root_path="/a"))
    assert own_roots(SimpleNamespace(root_path="/a", app=inner)) == ("/a", "/b")


@pytest.mark.parametrize(("point", "found"), [("", ("/api",)), ("/", ("/api",)), ("/sub", ())])
def test_a_root_is_found_in_hypercorns_mount_without_a_path(point: str, found: tuple[str, ...]) -> None:
    assert own_roots(DispatcherMiddleware({point: apps.fastapi((), lambda *_: None, root_path="/api")})) == found


@pytest.mark.parametrize(
    ("application", "found"),
    [
        (SimpleNamespace(mounts={"/a": None, "/b/": None, "": None, 7: None}), ("/a",)),
        (Wrapped(DispatcherMiddleware({"/a": Quart(__name__)})), ("/a",)),
        (WerkzeugDispatcher(Flask(__name__), {"/a": Flask(__name__)}), ()),
        (SimpleNamespace(_sinks=[(re.compile("/a"), None), (re.compile("/"), None), (), 7, (7,)]), ("/a",)),
        (SimpleNamespace(_sinks=7, routes=7, mounts=7), ()),
        (Starlette(routes=[Mount("/a", Starlette())]), ()),
        (Starlette(routes=[Mount("/a", SINK)]), ("/a/b",)),
        (Starlette(routes=[Mount("/{a}", SINK)]), ("/{a}/b",)),
        (DispatcherMiddleware({"/a": DispatcherMiddleware({"/b": Quart(__name__)})}), ("/a", "/a/b")),
        (Wrapped(Hostile()), ()),
    ],
)
def test_a_mount_without_a_boundary_is_told(application: Any, found: tuple[str, ...]) -> None:
    assert loose_mounts(application) == found


@pytest.mark.parametrize("application", [None, len, Wrapped([].append), Wrapped(Hostile())])
def test_most_applications_lead_to_no_route_of_litestar(application: Any) -> None:
    assert litestar_route(application) is None


def test_own_root_attribute_access_raises_none() -> None:
    assert own_root(Wrapped(Hostile())) is None


def test_own_root_cyclic_chain_none() -> None:
    ring = Wrapped(None)
    ring.app = ring
    assert own_root(ring) is None
    assert loose_mounts(ring) == ()


def test_parts_without_an_end_are_looked_through_to_a_depth() -> None:
    ring = SimpleNamespace(mounts={})
    ring.mounts["/a"] = ring
    assert loose_mounts(ring) == ("/a", "/a/a", "/a/a/a", "/a/a/a/a", "/a/a/a/a/a")


@pytest.mark.parametrize(
    ("kind", "forced", "found"), [("asgi", "/x", "/x"), ("asgi", None, None), ("wsgi", "/x", None)]
)
def test_own_root_django_force_script_name_returned_only_under_asgi(
    kind: str, forced: str | None, found: str | None
) -> None:
    with django_app.handler(django_app.urls_of((), lambda *_: None), kind, forced) as handler:
        assert own_root(Wrapped(handler)) == found
        assert own_root(SimpleNamespace(application_mapping={"websocket": None, "http": handler})) == found
