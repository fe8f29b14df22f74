"""The applications of the table: Starlette with the ASGI middleware, and Flask with the WSGI middleware."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from wicket import Decision, Gate, Refusal, Refused
from wicket import asgi as asgi_door
from wicket import wsgi as wsgi_door
from wicket.asgi import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

FORGED: Final = "acme:root"
"""The user that the client, or a middleware outside the gate, claims to be."""


_DEMANDS: Final[dict[str, Refusal]] = {
    "/admin": Refusal("insufficient_scope"),
    "/busy": Refusal("rate_limited", retry_after=7),
    "/quotes": Refusal("insufficient_scope", detail='needs "admin"\r\nX-Admin: yes \\ é'),
}


PATHS: Final = ("/whoami", "/mine", *_DEMANDS)


METHODS: Final = ["GET", "POST", "OPTIONS"]


def seen(decision: Decision, user: str | None, body: bytes) -> dict[str, Any]:
    """The values that a handler sees. `user` is the user of its framework."""
    refusal = decision.refusal
    identity = decision.identity
    return {
        "identity": identity.identity or None,
        "user": user,
        "verified": identity.verified,
        "user_id": identity.user_id,
        "claims": sorted(identity.claims),
        "app_id": decision.app_id,
        "identity_app_id": identity.app_id,
        "enforced": decision.enforced,
        "code": refusal.code if refusal else None,
        "reason": refusal.reason if refusal else None,
        "claimed": decision.claimed_user_id,
        "method": identity.method,
        "body": hashlib.sha256(body).hexdigest(),
    }


def demand(path: str, decision: Decision) -> None:
    if path in _DEMANDS:
        raise Refused(_DEMANDS[path])
    if path == "/mine":
        decision.require()


class _Forger:
    """A middleware outside the gate that sets a user, as a wrong configuration would."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"], scope["auth"] = FORGED, FORGED
        await self.app(scope, receive, send)


def starlette_site(gate: Gate) -> Starlette:
    """The application of the table with the ASGI middleware."""

    async def handler(request: Request) -> JSONResponse:
        decision: Decision = request.state.wicket
        demand(request.url.path, decision)
        assert request.user is decision.identity
        assert request.user.is_authenticated is (decision.identity.user_id is not None)
        assert ("authenticated" in request.auth.scopes) is decision.identity.verified
        return JSONResponse(seen(decision, request.user.identity or None, await request.body()))

    return Starlette(
        routes=[Route(path, handler, methods=METHODS) for path in (*PATHS, "/in/{app}")],
        middleware=[Middleware(_Forger), Middleware(asgi_door.WicketMiddleware, gate=gate)],
    )


def flask_site(gate: Gate) -> flask.Flask:
    """The application of the table with the WSGI middleware."""
    app = flask.Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = True  # or Flask turns an exception of a handler into a 500 response

    def handler(app: str | None = None) -> flask.Response:
        environ = flask.request.environ
        decision: Decision = environ["wicket.decision"]
        demand(flask.request.path, decision)
        assert environ["wicket.identity"] is decision.identity
        return flask.jsonify(seen(decision, flask.request.remote_user, flask.request.get_data()))

    for path in (*PATHS, "/in/<app>"):
        app.add_url_rule(path, view_func=handler, methods=METHODS, provide_automatic_options=False)
    app.wsgi_app = _forging(wsgi_door.WicketMiddleware(app.wsgi_app, gate=gate))  # type: ignore[method-assign, assignment]
    return app


def _forging(app: WSGIApplication) -> WSGIApplication:
    def forge(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_USER"] = FORGED
        environ["wicket.identity"] = environ["wicket.decision"] = FORGED
        return app(environ, start_response)

    return forge
