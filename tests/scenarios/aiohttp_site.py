"""The application of the table in aiohttp. It is no ASGI application, so its own middleware asks the gate."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.scenarios.sites import METHODS, PATHS, demand, seen
from wicket import Decision, Gate, Refused, Request, refusal_response
from wicket.messages.response import Response

DECISION: web.RequestKey[Decision] = web.RequestKey("decision", Decision)


def aiohttp_site(gate: Gate) -> web.Application:
    """aiohttp, with a middleware of the application."""

    def answer(response: Response) -> web.Response:
        status, headers, body = response
        return web.Response(body=body, status=status, headers=dict(headers))

    @web.middleware
    async def gated(request: web.Request, handler: Any) -> web.StreamResponse:
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
        view = Request(request.method, request.path, request.query_string, pairs, body=await request.read())
        decision = await gate.adecide(view)
        if not decision.allowed:
            return answer(decision.response())
        request[DECISION] = decision
        try:
            found: web.StreamResponse = await handler(request)
        except Refused as refused:
            return answer(refusal_response(refused, decision, gate))
        return found

    async def handle(request: web.Request) -> web.Response:
        decision = request[DECISION]
        demand(request.path, decision)
        return web.json_response(seen(decision, decision.identity.identity or None, await request.read()))

    app = web.Application(middlewares=[gated])
    for path in (*PATHS, "/in/{app}"):
        for method in (*METHODS, "HEAD"):
            app.router.add_route(method, path, handle)
    return app
