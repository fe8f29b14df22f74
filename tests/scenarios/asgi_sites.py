"""The application of the table in each ASGI framework, with the ASGI middleware or the integration of the framework."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi import Request as FastAPIRequest

from tests.scenarios.sites import METHODS, PATHS, demand, seen
from wicket import Decision, Gate, Refused, refusal_response
from wicket.asgi import ASGIApp, WicketMiddleware
from wicket.contrib.fastapi import Wicket, decision_of

ROUTES = (*PATHS, "/in/{app}")


def fastapi_site(gate: Gate) -> FastAPI:
    """FastAPI, with `wicket.contrib.fastapi`."""
    app = FastAPI()

    async def handler(request: FastAPIRequest, decision: Annotated[Decision, Depends(decision_of)]) -> Any:
        demand(request.url.path, decision)
        return seen(decision, request.user.identity or None, await request.body())

    for path in ROUTES:
        app.add_api_route(path, handler, methods=[*METHODS, "HEAD"])
    Wicket(gate).init_app(app)
    return app


def quart_site(gate: Gate) -> Any:
    """Quart, with the ASGI middleware and an error handler."""
    import quart

    app = quart.Quart(__name__)

    async def view(app: str | None = None) -> Any:
        scope: Any = quart.request.scope
        decision = scope["state"]["wicket"]
        demand(quart.request.path, decision)
        body: Any = await quart.request.get_data()
        return seen(decision, scope["user"].identity or None, body)

    async def answer(refused: Refused) -> Any:
        scope: Any = quart.request.scope
        status, headers, body = refusal_response(refused, scope, gate)
        return body, status, dict(headers)

    for path in (*PATHS, "/in/<app>"):
        app.add_url_rule(path, path, view, methods=METHODS, provide_automatic_options=False)
    app.register_error_handler(Refused, answer)
    inner: Any = app.asgi_app
    app.asgi_app = WicketMiddleware(inner, gate)  # type: ignore[assignment, method-assign]  # the way of Quart
    return app


def litestar_site(gate: Gate) -> Any:
    """Litestar, with the ASGI middleware among its own, and an exception handler."""
    from litestar import Litestar, Request, Response, route
    from litestar.middleware import DefineMiddleware

    def answer(request: Any, error: Exception) -> Any:
        assert isinstance(error, Refused)
        status, headers, body = refusal_response(error, request.scope, gate)
        return Response(body, status_code=status, headers=dict(headers), media_type=dict(headers)["content-type"])

    def handler_of(path: str) -> Any:
        async def handler(request: Request[Any, Any, Any]) -> dict[str, Any]:
            decision = request.scope["state"]["wicket"]
            demand(request.url.path, decision)
            return seen(decision, request.user.identity or None, await request.body())

        handler.__annotations__.update({"request": Request[Any, Any, Any], "return": dict[str, Any]})
        return route(path, http_method=[*METHODS, "HEAD"], status_code=200)(handler)  # type: ignore[list-item]

    gated: Any = WicketMiddleware  # Litestar has types of messages, ASGI's are dicts
    return Litestar(
        [handler_of(path.replace("{app}", "{app:str}")) for path in ROUTES],
        middleware=[DefineMiddleware(gated, gate=gate)],
        exception_handlers={Refused: answer},
        openapi_config=None,
        logging_config=None,
    )


class _Resource:
    """The handler of the table for Falcon under ASGI."""

    async def on_get(self, request: Any, response: Any, app: str | None = None) -> None:
        decision = request.scope["state"]["wicket"]
        demand(request.path, decision)
        response.media = seen(decision, request.scope["user"].identity or None, await request.stream.read())

    on_post = on_head = on_options = on_get


def falcon_site(gate: Gate) -> ASGIApp:
    """Falcon under ASGI, with the ASGI middleware and an error handler."""
    import falcon.asgi

    async def answer(request: Any, response: Any, error: Refused, params: Any) -> None:
        status, headers, body = refusal_response(error, request.scope, gate)
        response.status, response.data = status, body
        response.set_headers([pair for pair in headers if pair[0] != "content-length"])

    app: Any = falcon.asgi.App()
    for path in ROUTES:
        app.add_route(path, _Resource())
    app.add_error_handler(Refused, answer)
    return WicketMiddleware(app, gate)
