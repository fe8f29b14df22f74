"""What gunicorn serves in the integration tests: a Flask application behind the gate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask

from tests.integration.registry import DEADLINE, Shelf, shelf_gate
from wicket.wsgi import WicketMiddleware

shelf = Shelf()
gate = shelf_gate(shelf)


def _until(check: Any) -> None:
    until = time.monotonic() + DEADLINE
    while not check() and time.monotonic() < until:
        time.sleep(0.005)


def whoami() -> flask.Response:
    environ = flask.request.environ
    return flask.jsonify(
        identity=environ["wicket.identity"].identity or None,
        user=flask.request.remote_user,
        pid=os.getpid(),
        mounted_at=environ["SCRIPT_NAME"],
        calls=shelf.calls,
    )


def stream() -> flask.Response:
    name = flask.request.args["name"]

    def chunks() -> Iterator[bytes]:
        yield b"first "
        _until(lambda: name in shelf.released)
        yield b"second"

    return flask.Response(chunks(), mimetype="text/plain")


def meet() -> flask.Response:
    """Answers only when two processes are here at once."""
    place = Path(flask.request.args["place"])
    (place / str(os.getpid())).touch()
    _until(lambda: len(list(place.iterdir())) > 1)
    return whoami()


def upload() -> str:
    return str(len(flask.request.get_data()))


def fail() -> str:
    raise RuntimeError("the application's own")


def release() -> str:
    shelf.released.add(flask.request.args["name"])
    return "released"


def told() -> flask.Response:
    return flask.jsonify(calls=shelf.calls)


def opened(path: str = "") -> str:
    return "open"


def secret(path: str = "") -> str:
    return "secret"


def _site(**paths: Any) -> flask.Flask:
    site = flask.Flask(__name__)
    site.add_url_rule("/whoami", view_func=whoami, methods=["GET", "POST", "OPTIONS"])
    site.add_url_rule("/greet", "greet", whoami)
    for view in (stream, meet, fail, release, told):
        site.add_url_rule(f"/{view.__name__}", view_func=view)
    site.add_url_rule("/upload", view_func=upload, methods=["POST"])
    site.add_url_rule("/open", view_func=opened)
    site.add_url_rule("/public/<path:path>", view_func=opened)
    site.add_url_rule("/", view_func=secret)
    site.add_url_rule("/<path:path>", view_func=secret)
    site.wsgi_app = WicketMiddleware(site.wsgi_app, gate, **paths)  # type: ignore[method-assign]
    return site


app = _site(exempt=["/open", "/public/*", "/release", "/told"], optional=["/greet"])
only = _site(only=["/api/*", "/admin"])
