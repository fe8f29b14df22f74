"""What servers serve in the tests of key sets: a gate whose issuer lives in the test's own process.

`WICKET_ISSUER` is its URL, and `SSL_CERT_FILE` has its authority's certificate; `WICKET_PRELOAD`, a token, is verified
when this is imported, so that the key set is held before the server forks.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.integration.key_set_apps import DEADLINE, Told
from wicket import Gate, Jwks, profiles
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.config.network import Network
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

_issuer = os.environ["WICKET_ISSUER"]
_network = Network(
    ["127.0.0.0/8"],
    [int(_issuer.rpartition(":")[2])],
    resolver=lambda *_: ["127.0.0.1"],
)
told = Told()
gate = Gate(
    [profiles.generic("acme", issuer=_issuer, credentials=[Jwks(f"{_issuer}/.well-known/jwks.json")])],
    network=_network,
    on_event=told,
)
if "WICKET_PRELOAD" in os.environ and not gate.verify(os.environ["WICKET_PRELOAD"], app="acme").allowed:
    raise RuntimeError("the key set did not come before the fork")


def _seen(identity: Any) -> dict[str, Any]:
    return {"user": identity.user_id, "pid": os.getpid(), "fetches": len(told.fetched())}


async def _whoami(request: Request) -> Response:
    return JSONResponse(_seen(request.user))


asgi = Starlette(routes=[Route("/", _whoami)], middleware=[Middleware(ASGIMiddleware, gate=gate)])


def _inner(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Says who asks; with a place (a folder) in the query, only when two processes are there at once."""
    if environ["QUERY_STRING"]:
        place = Path(environ["QUERY_STRING"])
        (place / str(os.getpid())).touch()
        until = time.monotonic() + DEADLINE
        while len(list(place.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(_seen(environ["wicket.identity"])).encode()]


wsgi = WSGIMiddleware(_inner, gate)
