"""The roots that an application sets itself, and its mounts without a segment boundary."""

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
from wicket.http.roots import litestar_route, loose_mounts, own_roots


class Wrapped:
    """A middleware with its application in `app`."""

    def __init__(self, app: Any) -> None:
        self.app = app


SINK: Any = SimpleNamespace(_sinks=[(re.compile("/b"), None)])


class Hostile:
    """An object that raises for every attribute."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_own_roots_wrapped_application_root_returned() -> None:
    app = apps.fastapi((), lambda *_: None, root_path="/api")
    assert own_roots(app) == own_roots(Wrapped(Wrapped(app))) == ("/api",)


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
def test_own_roots_application_without_root_none(app: Any) -> None:
    assert own_roots(Wrapped(app)) == ()


def test_own_roots_mount_without_path_root_returned() -> None:
    app = apps.fastapi((), lambda *_: None, root_path="/api")
    assert own_roots(Wrapped(Starlette(routes=[Mount("/", app)]))) == ("/api",)
    assert own_roots(Starlette(routes=[Host("api.example", app)])) == ("/api",)
    assert own_roots(Starlette(routes=[Mount("/sub", app)])) == ()


@pytest.mark.parametrize("name", ["app", "application", "inner"])
def test_own_roots_every_wrapper_attribute_root_returned(name: str) -> None:
    assert own_roots(SimpleNamespace(**{name: SimpleNamespace(root_path="/api")})) == ("/api",)


def test_own_roots_repeated_root_returned_once() -> None:
    inner = SimpleNamespace(root_path="/b", app=SimpleNamespace(root_path="/a"))
    assert own_roots(SimpleNamespace(root_path="/a", app=inner)) == ("/a", "/b")


@pytest.mark.parametrize(("point", "expected"), [("", ("/api",)), ("/", ("/api",)), ("/sub", ())])
def test_own_roots_hypercorn_mount_without_path_root_returned(point: str, expected: tuple[str, ...]) -> None:
    assert own_roots(DispatcherMiddleware({point: apps.fastapi((), lambda *_: None, root_path="/api")})) == expected


@pytest.mark.parametrize(
    ("application", "expected"),
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
def test_loose_mounts_mount_without_boundary_returned(application: Any, expected: tuple[str, ...]) -> None:
    assert loose_mounts(application) == expected


@pytest.mark.parametrize("application", [None, len, Wrapped([].append), Wrapped(Hostile())])
def test_litestar_route_other_application_none(application: Any) -> None:
    assert litestar_route(application) is None


def test_own_roots_attribute_access_raises_none() -> None:
    assert own_roots(Wrapped(Hostile())) == ()


def test_own_roots_cyclic_chain_none() -> None:
    ring = Wrapped(None)
    ring.app = ring
    assert own_roots(ring) == ()
    assert loose_mounts(ring) == ()


def test_loose_mounts_endless_mounts_depth_bounded() -> None:
    ring = SimpleNamespace(mounts={})
    ring.mounts["/a"] = ring
    assert loose_mounts(ring) == ("/a", "/a/a", "/a/a/a", "/a/a/a/a", "/a/a/a/a/a")


@pytest.mark.parametrize(
    ("kind", "forced", "expected"), [("asgi", "/x", ("/x",)), ("asgi", None, ()), ("wsgi", "/x", ())]
)
def test_own_roots_django_force_script_name_returned_only_under_asgi(
    kind: str, forced: str | None, expected: tuple[str, ...]
) -> None:
    with django_app.handler(django_app.urls_of((), lambda *_: None), kind, forced) as handler:
        assert own_roots(Wrapped(handler)) == expected
        assert own_roots(SimpleNamespace(application_mapping={"websocket": None, "http": handler})) == expected
