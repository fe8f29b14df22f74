"""The same API in Flask, as gunicorn serves it; it has no sockets."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import flask

from tests.browser.apps import EXEMPT, OPTIONAL, ORIGIN_CHECK, REQUEST_ID, Notes, api, gate, note
from wicket.contrib.flask import Wicket, current_identity, decision_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

outside: Notes = []
inside: Notes = []


class Noting:
    """Notes each request, and passes it on."""

    def __init__(self, app: WSGIApplication, notes: Notes) -> None:
        self.app = app
        self.notes = notes

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        note(self.notes, environ["REQUEST_METHOD"], environ["PATH_INFO"], {"cookie": environ.get("HTTP_COOKIE", "")})
        return self.app(environ, start_response)


site = flask.Flask(__name__)


@site.get("/widget.js")
def script() -> flask.Response:
    return flask.send_from_directory(api.__file__.rpartition("/")[0], "widget.js")


@site.route("/widget/me", methods=["GET", "POST"])
def me() -> dict[str, object]:
    identity = current_identity
    return {"app": identity.app_id, "user": identity.user_id, "attributes": identity.attributes}


@site.post("/widget/<any(feedback, draft):kind>")
def feedback(kind: str) -> tuple[dict[str, object], int]:
    content = flask.request.get_json(force=True)
    api.received.append({"kind": kind, "user": current_identity.identity, "text": content["text"]})
    return {"thanks": current_identity.user_id}, 201


@site.route("/widget/count", methods=["GET", "POST"])
def count() -> flask.Response:
    def events() -> Iterator[str]:
        while True:
            yield f"data: {len(api.received)}\n\n"
            time.sleep(0.1)

    return flask.Response(events(), mimetype="text/event-stream")


@site.post("/upload")
@site.post("/strangers/upload")
def upload() -> dict[str, object]:
    body = flask.request.get_data()
    user = decision_of(flask.request).identity.user_id
    return {"user": user, "length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@site.post("/unprocessable")
def unprocessable() -> tuple[dict[str, object], int]:
    return {"problem": "of the application's own"}, 422


@site.post("/crash")
def crash() -> str:
    raise RuntimeError("the application's own")


@site.get("/told")
def told() -> dict[str, object]:
    return {"outside": outside, "inside": inside, "received": api.received}


@site.after_request
def number(response: flask.Response) -> flask.Response:
    response.headers["X-Request-ID"] = REQUEST_ID
    return response


site.wsgi_app = Noting(site.wsgi_app, inside)  # type: ignore[method-assign]
Wicket(gate(), exempt=EXEMPT, optional=OPTIONAL, origin_check_path=ORIGIN_CHECK, close_on_expiry=True).init_app(site)
app = Noting(site.wsgi_app, outside)
