"""The application of the table in each WSGI framework, with the WSGI middleware or the integration of the framework."""

from __future__ import annotations

import json
from typing import Any

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from tests.scenarios.sites import METHODS, PATHS, demand, seen
from wicket import Gate, Refused, refusal_response
from wicket.contrib.flask import Wicket, decision_of
from wicket.wsgi import WicketMiddleware


def flask_extension_site(gate: Gate) -> flask.Flask:
    """Flask, with `wicket.contrib.flask` configured by `app.config`."""
    app = flask.Flask(__name__)
    app.config["WICKET_GATE"] = gate

    def view(app: str | None = None) -> flask.Response:
        decision = decision_of(flask.request)
        demand(flask.request.path, decision)
        return flask.jsonify(seen(decision, flask.request.remote_user, flask.request.get_data()))

    for path in (*PATHS, "/in/<app>"):
        app.add_url_rule(path, path, view, methods=METHODS, provide_automatic_options=False)
    Wicket().init_app(app)
    return app


def werkzeug_site(gate: Gate) -> Any:
    """Plain Werkzeug, with the WSGI middleware."""
    routes = Map([Rule(path, methods=METHODS) for path in (*PATHS, "/in/<app>")])

    @Request.application
    def site(request: Request) -> Response:
        try:
            routes.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return Response(status=error.code)
        decision = request.environ["wicket.decision"]
        demand(request.path, decision)
        content = seen(decision, request.remote_user, request.get_data())
        return Response(json.dumps(content), mimetype="application/json")

    return WicketMiddleware(site, gate)


class _Resource:
    """The handler of the table for Falcon under WSGI."""

    def on_get(self, request: Any, response: Any, app: str | None = None) -> None:
        decision = request.env["wicket.decision"]
        demand(request.path, decision)
        response.media = seen(decision, request.env.get("REMOTE_USER"), request.bounded_stream.read())

    on_post = on_head = on_options = on_get


def falcon_wsgi_site(gate: Gate) -> Any:
    """Falcon under WSGI, with the WSGI middleware and an error handler."""
    import falcon

    def answer(request: Any, response: Any, error: Refused, params: Any) -> None:
        status, headers, body = refusal_response(error, request.env, gate)
        response.status, response.data = status, body
        response.set_headers([pair for pair in headers if pair[0] != "content-length"])

    app: Any = falcon.App()
    for path in (*PATHS, "/in/{app}"):
        app.add_route(path, _Resource())
    app.add_error_handler(Refused, answer)
    return WicketMiddleware(app, gate)
