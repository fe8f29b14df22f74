"""WSGI: a decision belongs to one request. Sub-requests and copied environs do not get it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import run_wsgi_app

from tests.attacks.ownership import (
    APP,
    PARTNER,
    PATHS,
    bearer,
    seen_in_environ,
)
from tests.integration.direct_calls import environ_of
from wicket import (
    ConfigError,
    Gate,
    Mode,
)
from wicket.contrib import flask as in_flask
from wicket.wsgi import WicketMiddleware as WsgiMiddleware


@pytest.fixture(params=list(Mode), ids=str)
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with Gate([APP], mode=request.param) as gate:
        yield gate


# --- S3, WSGI


ENVIRON_CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another token": lambda environ: environ.update(HTTP_AUTHORIZATION=bearer("bob")[1][1]),
    "no token": lambda environ: environ.pop("HTTP_AUTHORIZATION"),
    "another query": lambda environ: environ.update(QUERY_STRING="user=bob"),
    "a cookie": lambda environ: environ.update(HTTP_COOKIE="session=bob"),
}


def decided_environ(gate: Gate) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(environ)
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate), environ_of("/me", bearer("alice")))
    return seen[0]


@pytest.mark.parametrize("copied", [True, False], ids=["copy", "in place"])
@pytest.mark.parametrize("change", ENVIRON_CHANGES)
def test_s3_decision_of_changed_environ_config_error(gate: Gate, change: str, copied: bool) -> None:
    environ = decided_environ(gate)
    environ = {**environ} if copied else environ
    ENVIRON_CHANGES[change](environ)
    with pytest.raises(ConfigError, match="about another one"):
        in_flask.decision_of(flask.Request(environ))


@pytest.mark.parametrize("change", ENVIRON_CHANGES)
def test_s3_exempt_path_changed_environ_copy_no_user(gate: Gate, change: str) -> None:
    environ = {**decided_environ(gate), "PATH_INFO": "/open"}
    ENVIRON_CHANGES[change](environ)
    seen: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(seen_in_environ(environ))
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate, **PATHS), environ)
    assert seen == [[None] * 3]


@pytest.mark.parametrize("remote_user", ["of-the-server", None])
def test_s3_exempt_path_server_remote_user_kept(gate: Gate, remote_user: str | None) -> None:
    environ = {**decided_environ(gate), "PATH_INFO": "/open", "HTTP_COOKIE": "session=bob", "REMOTE_USER": remote_user}
    seen: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(seen_in_environ(environ))
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate, **PATHS), environ)
    assert seen == [[None, None, remote_user]]


def test_s3_decision_of_unchanged_environ_copy_decision_kept(gate: Gate) -> None:
    environ = decided_environ(gate)
    expected = ["alice", "alice", "acme:alice"]
    assert seen_in_environ(environ) == expected
    assert seen_in_environ({**environ, "PATH_INFO": "/", "SCRIPT_NAME": "/me", "REQUEST_METHOD": "PUT"}) == expected
    assert seen_in_environ({**environ, "HTTP_X_REQUEST_ID": "1"})[0] is None
    environ["HTTP_X_REQUEST_ID"] = "1"  # an inner middleware adds it in place
    assert seen_in_environ(environ) == expected
    forwarded = {**environ, "PATH_INFO": "/open"}
    del forwarded["HTTP_X_REQUEST_ID"]
    seen: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(seen_in_environ(environ))
        start("200 OK", [])
        return []

    run_wsgi_app(WsgiMiddleware(app, gate, **PATHS), forwarded)
    assert seen == [expected]


@pytest.mark.parametrize("path", ["/open", "/me"])
def test_s3_wsgi_copied_environ_other_gate_user_removed(path: str) -> None:
    seen: list[dict[str, Any]] = []

    def note(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append({**environ})
        start("200 OK", [])
        return []

    with Gate([APP], name="outer") as outer, Gate([PARTNER], name="inner") as inner:
        api = WsgiMiddleware(note, inner, **PATHS)

        def batch(environ: dict[str, Any], start: Any) -> Any:
            sub = environ_of(path, bearer("bob", PARTNER))
            run_wsgi_app(api, {**environ, **sub})
            return api({**environ, "PATH_INFO": "/open"}, start)

        run_wsgi_app(WsgiMiddleware(batch, outer), environ_of("/me", bearer("alice")))
    shown = [{name for name in environ if name.startswith(("outer.", "inner."))} for environ in seen]
    own = {f"inner.{name}" for name in ("decision", "identity", "gate")} if path == "/me" else set()
    assert shown == [own, {f"outer.{name}" for name in ("decision", "identity", "gate")}]
    assert seen[0].get("REMOTE_USER") == ("partner:bob" if path == "/me" else None)
    assert seen[1]["REMOTE_USER"] == "acme:alice", "an unchanged copy"


def test_s3_wsgi_reused_environ_binding_without_decision(gate: Gate) -> None:
    environ = environ_of("/me", bearer("alice"))
    decisions: list[Any] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        decisions.append(environ["wicket.decision"])
        start("200 OK", [])
        return []

    for _ in range(2):
        run_wsgi_app(WsgiMiddleware(app, gate), environ)
    run_wsgi_app(WsgiMiddleware(app, gate), {**environ})
    assert all("wicket.decision" not in decision.binding[1] for decision in decisions)


def test_s3_decision_flask_request_not_kept_alive(gate: Gate) -> None:
    site = flask.Flask("site")
    views = flask.Blueprint("views", "views")
    in_flask.Wicket(gate).init_app(views)
    kept: list[weakref.ref[Any]] = []

    def me() -> str:
        kept.append(weakref.ref(flask.request._get_current_object()))  # type: ignore[attr-defined]  # Werkzeug's proxy
        return in_flask.current_identity.user_id

    views.add_url_rule("/me", "me", me)
    site.register_blueprint(views)
    gc.collect()
    gc.disable()
    try:
        assert b"".join(run_wsgi_app(site, environ_of("/me", bearer("alice")))[0]) == b"alice"
        assert [reference() for reference in kept] == [None]
    finally:
        gc.enable()


def test_s3_flask_sub_request_and_dispatcher_own_user(gate: Gate) -> None:
    inner = flask.Flask("inner")
    outer = flask.Flask("outer")

    def who() -> str:
        return in_flask.current_identity.user_id

    inner.add_url_rule("/me", "me", who)
    outer.add_url_rule("/me", "me", who)

    @outer.route("/batch")
    def batch() -> Any:
        before = who()
        subs = []
        for user in ("alice", "bob"):
            environ = {**flask.request.environ, "PATH_INFO": "/inner/me", "HTTP_AUTHORIZATION": bearer(user)[1][1]}
            environ["wsgi.input"] = BytesIO()
            environ.pop("werkzeug.request", None)
            subs.append(b"".join(run_wsgi_app(gated, environ)[0]).decode())
        other = {**flask.request.environ, "HTTP_AUTHORIZATION": bearer("bob")[1][1]}
        with inner.request_context(other), pytest.raises(ConfigError, match="about another one"):
            who()
        return flask.jsonify([before, *subs, who()])

    dispatched = DispatcherMiddleware(outer.wsgi_app, {"/inner": inner.wsgi_app})

    def copying(environ: dict[str, Any], start: Any) -> Any:
        return dispatched({**environ}, start)

    gated = WsgiMiddleware(copying, gate)
    outer.wsgi_app = gated  # type: ignore[method-assign]
    client = outer.test_client()
    assert client.get("/inner/me", headers=bearer("carol")).text == "carol"
    assert client.get("/batch", headers=bearer("owner")).json == ["owner", "alice", "bob", "owner"]


def test_s3_flask_blueprint_exempt_path_copied_environ_no_user(gate: Gate) -> None:
    site = flask.Flask("site")
    views = flask.Blueprint("views", "views")
    in_flask.Wicket(gate, exempt=["/open"]).init_app(views)
    views.add_url_rule("/open", "open", lambda: flask.jsonify(seen_in_environ(flask.request.environ)))
    site.register_blueprint(views)
    environ = {**decided_environ(gate), "PATH_INFO": "/open", "HTTP_AUTHORIZATION": bearer("bob")[1][1]}
    assert b"".join(run_wsgi_app(site, environ)[0]) == b"[null,null,null]\n"
