"""One application per router, with the same handlers. Each handler reports that a request reached it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

Reached = Callable[[str, Any], None]


def starlette(routes: Iterable[str], reached: Reached) -> Any:
    """Starlette."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    def endpoint_of(route: str) -> Any:
        async def endpoint(request: Request) -> Response:
            reached(route, request.scope)
            return PlainTextResponse(route)

        return endpoint

    return Starlette(routes=[Route(route, endpoint_of(route)) for route in routes])


def fastapi(routes: Iterable[str], reached: Reached, **settings: Any) -> Any:
    """FastAPI with further settings of its constructor."""
    from fastapi import FastAPI, Request
    from starlette.responses import PlainTextResponse, Response

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `root_path` is deprecated
        app = FastAPI(openapi_url=None, **settings)

    def endpoint_of(route: str) -> Any:
        async def endpoint(request: Request) -> Response:
            reached(route, request.scope)
            return PlainTextResponse(route)

        endpoint.__annotations__["request"] = Request
        return endpoint

    for route in routes:
        app.get(route, response_model=None)(endpoint_of(route))
    return app


def quart(routes: Iterable[str], reached: Reached) -> Any:
    """Quart."""
    import quart

    app = quart.Quart(__name__)

    def view_of(route: str) -> Any:
        async def view() -> str:
            reached(route, quart.request.scope)
            return route

        return view

    for index, route in enumerate(routes):
        app.add_url_rule(route, f"view{index}", view_of(route))
    return app


def litestar(routes: Iterable[str], reached: Reached, **settings: Any) -> Any:
    """Litestar with further settings of its constructor."""
    from litestar import Litestar, Request, get

    def handler_of(route: str) -> Any:
        async def handler(request: Request[Any, Any, Any]) -> str:
            reached(route, request.scope)
            return route

        handler.__annotations__.update({"request": Request[Any, Any, Any], "return": str})
        return get(route)(handler)

    return Litestar([handler_of(route) for route in routes], openapi_config=None, logging_config=None, **settings)


def falcon_asgi(routes: Iterable[str], reached: Reached) -> Any:
    """Falcon under ASGI."""
    import falcon.asgi

    class Resource:
        def __init__(self, route: str) -> None:
            self.route = route

        async def on_get(self, request: Any, response: Any) -> None:
            reached(self.route, request.scope)
            response.text = self.route

    app = falcon.asgi.App()
    for route in routes:
        app.add_route(route, Resource(route))
    return app


def falcon_wsgi(routes: Iterable[str], reached: Reached) -> Any:
    """Falcon under WSGI."""
    import falcon

    class Resource:
        def __init__(self, route: str) -> None:
            self.route = route

        def on_get(self, request: Any, response: Any) -> None:
            reached(self.route, request.env)
            response.text = self.route

    app = falcon.App()
    for route in routes:
        app.add_route(route, Resource(route))
    return app


def flask(routes: Iterable[str], reached: Reached) -> Any:
    """Flask, which routes by Werkzeug."""
    import flask

    app = flask.Flask(__name__)

    def view_of(route: str) -> Any:
        def view() -> str:
            reached(route, flask.request.environ)
            return route

        return view

    for index, route in enumerate(routes):
        app.add_url_rule(route, f"view{index}", view_of(route))
    return app


def starlette_mounts(routes: Iterable[str], reached: Reached) -> Any:
    """Starlette, in which the first segment of every route is a mount."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import BaseRoute, Mount, Route

    def endpoint_of(route: str) -> Any:
        async def endpoint(request: Request) -> Response:
            reached(route, request.scope)
            return PlainTextResponse(route)

        return endpoint

    mounts: list[BaseRoute] = []
    for route in routes:
        head, _, tail = route[1:].partition("/")
        endpoint = endpoint_of(route)
        mounts.append(Mount(f"/{head}", routes=[Route(f"/{tail}", endpoint)]) if tail else Route(route, endpoint))
    # A mount matches every path below it, so routes with one first segment share one mount.
    merged: dict[str, Any] = {}
    for mount in mounts:
        if isinstance(mount, Mount) and mount.path in merged:
            merged[mount.path] = Mount(mount.path, routes=[*merged[mount.path].routes, *mount.routes])
        else:
            merged[getattr(mount, "path", "")] = mount
    return Starlette(routes=list(merged.values()))


ASGI: dict[str, Callable[..., Any]] = {
    "starlette": starlette,
    "starlette mounts": starlette_mounts,
    "fastapi": fastapi,
    "quart": quart,
    "litestar": litestar,
}
"""Routers that remove the server's root."""
