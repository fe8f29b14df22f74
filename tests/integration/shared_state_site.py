"""A Starlette application with a lifespan state and a gate: responses name the user of each public accessor."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.integration.registry import NAMING, app_of
from wicket import ConfigError, Gate
from wicket.asgi import WicketMiddleware
from wicket.contrib.starlette import decision_of

gate = Gate([app_of("acme")], app_locations=NAMING)
_arrived: set[str] = set()
_all_here = asyncio.Event()


async def whoami(request: Request) -> JSONResponse:
    """Answer when as many requests as `?parties` says are in progress."""
    before = _seen(request)
    if request.query_params.get("parties"):
        _arrived.add(request.query_params["name"])
        if len(_arrived) == int(request.query_params["parties"]):
            _all_here.set()
        await _all_here.wait()
    return JSONResponse([before, _seen(request), request.state.database])


def _seen(request: Request) -> list[Any]:
    try:
        decided = decision_of(request).identity.user_id
    except ConfigError:
        decided = None
    held = getattr(request.state, "wicket", None)
    user = request.scope.get("user")
    return [decided, held and held.identity.user_id, user and user.user_id]


@contextlib.asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {"database": "connected"}


app = Starlette(
    routes=[Route("/whoami", whoami), Route("/open", whoami)],
    middleware=[Middleware(WicketMiddleware, gate=gate, exempt=["/open"])],
    lifespan=_lifespan,
)
