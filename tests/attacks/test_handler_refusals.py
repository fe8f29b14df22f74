"""A refusal that a handler raises is counted and reported once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import run_wsgi_app

from tests.attacks.ownership import (
    APP,
    bearer,
)
from tests.integration.direct_calls import environ_of, http_scope, run_asgi
from wicket import (
    DecisionEvent,
    Gate,
    Mode,
    OutcomeCount,
    Refusal,
    Refused,
)
from wicket.asgi import Receive, Scope, Send
from wicket.asgi import WicketMiddleware as AsgiMiddleware
from wicket.contrib import flask as in_flask
from wicket.contrib import starlette as in_starlette
from wicket.reporting.events import Event
from wicket.wsgi import WicketMiddleware as WsgiMiddleware


@pytest.fixture(params=list(Mode), ids=str)
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    with Gate([APP], mode=request.param) as gate:
        yield gate


# --- A11


def outcomes(gate: Gate) -> Counter[tuple[str, str]]:
    return Counter({(outcome.stage, outcome.code): outcome.count for outcome in gate.outcomes()})


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def reporting_gate(gate: Gate, events: list[Event]) -> Iterator[Gate]:
    with Gate([APP], mode=gate._context.mode, on_event=events.append) as reporting_gate:
        yield reporting_gate


HANDLER = {("gate", "allowed"): 1, ("handler", "insufficient_scope"): 1}


def test_a11_asgi_handler_refusal_counted_once(reporting_gate: Gate, events: list[Event]) -> None:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(in_starlette.identity_of(request, scopes=("read",)).user_id)

    layers = [Middleware(AsgiMiddleware, gate=reporting_gate)]
    client = TestClient(Starlette(routes=[Route("/read", read)], middleware=layers))
    assert client.get("/read", headers=dict(bearer("alice"))).status_code == 403
    assert outcomes(reporting_gate) == HANDLER
    detail = "The token lacks a scope that this request requires: read."
    assert events[1] == DecisionEvent(
        "wicket", "acme", False, True, True, "insufficient_scope", detail=detail, stage="handler"
    )
    assert OutcomeCount("acme", "insufficient_scope", None, True, 1, "handler") in reporting_gate.outcomes()


@pytest.mark.parametrize("key", [Refused, Exception], ids=["refused", "server error"])
def test_a11_refusal_exception_handler_refusal_counted_once(reporting_gate: Gate, key: type[Exception]) -> None:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(in_starlette.identity_of(request, scopes=("read",)).user_id)

    inner = Starlette(
        routes=[Route("/read", read)], exception_handlers={key: in_starlette.refusal_exception_handler(reporting_gate)}
    )
    client = TestClient(AsgiMiddleware(inner, reporting_gate), raise_server_exceptions=False)
    assert client.get("/read", headers=dict(bearer("alice"))).status_code == 403
    assert outcomes(reporting_gate) == HANDLER


@pytest.mark.parametrize("kind", ["plain", "application", "blueprint", "unregistered"])
def test_a11_wsgi_handler_refusal_counted_once(reporting_gate: Gate, kind: str) -> None:
    site: Any = flask.Flask("site")
    views: Any = flask.Blueprint("views", "views") if kind == "blueprint" else site

    @in_flask.requires_identity("read")
    def read() -> str:
        raise AssertionError("not reached")

    views.add_url_rule("/read", "read", read)
    if kind == "plain":

        def app(environ: dict[str, Any], start: Any) -> list[bytes]:
            environ["wicket.decision"].require("read")
            raise AssertionError("not reached")

        site = WsgiMiddleware(app, reporting_gate)
    elif kind == "unregistered":
        site.wsgi_app = WsgiMiddleware(site.wsgi_app, reporting_gate)
    else:
        in_flask.Wicket(reporting_gate).init_app(views)
        if kind == "blueprint":
            site.register_blueprint(views)
    assert run_wsgi_app(site, environ_of("/read", bearer("alice")))[1][:3] == "403"
    assert outcomes(reporting_gate) == HANDLER


def test_a11_flask_view_raised_refusal_counted(reporting_gate: Gate) -> None:
    site = flask.Flask("site")
    in_flask.Wicket(reporting_gate, exempt=["/open"]).init_app(site)

    def refuse() -> str:
        raise Refused(Refusal("rate_limited", retry_after=1))

    site.add_url_rule("/me", "me", refuse)
    site.add_url_rule("/open", "open", refuse)
    client = site.test_client()
    assert client.get("/me", headers=bearer("alice")).status_code == 429
    assert outcomes(reporting_gate) == {("gate", "allowed"): 1, ("handler", "rate_limited"): 1}
    assert client.get("/open").status_code == 429
    assert OutcomeCount(None, "rate_limited", None, True, 1, "handler") in reporting_gate.outcomes()


@pytest.mark.parametrize("kind", ["refused", "base"])
def test_a11_asgi_application_formats_refusal_counted_once(reporting_gate: Gate, kind: str) -> None:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(in_starlette.identity_of(request, scopes=("read",)).user_id)

    async def custom(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("no", 403)

    async def caught(request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Refused:
            return await custom(request, Refused(Refusal("insufficient_scope")))

    within = [Middleware(BaseHTTPMiddleware, dispatch=caught)] if kind == "base" else []
    inner = Starlette(
        routes=[Route("/read", read)],
        middleware=[Middleware(AsgiMiddleware, gate=reporting_gate), *within],
        exception_handlers={} if within else {Refused: custom},
    )
    assert TestClient(inner).get("/read", headers=dict(bearer("alice"))).text == "no"
    assert outcomes(reporting_gate) == HANDLER


@pytest.mark.parametrize(("closing", "stages"), [(True, HANDLER), (False, {("gate", "allowed"): 1})])
def test_a11_asgi_application_closes_websocket_refusal_counted(
    reporting_gate: Gate, closing: bool, stages: dict[tuple[str, str], int]
) -> None:
    async def site(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            in_starlette.identity_of(HTTPConnection(scope), scopes=("read",))
        except Refused:
            if closing:
                await send({"type": "websocket.close", "code": 4403})
                return
        await send({"type": "websocket.accept"})

    socket = {**http_scope("/read", bearer("alice")), "type": "websocket", "subprotocols": []}
    run_asgi(AsgiMiddleware(site, reporting_gate), socket)
    assert outcomes(reporting_gate) == stages


@pytest.mark.parametrize("kind", ["application", "blueprint", "plain", "without cors"])
def test_a11_wsgi_application_formats_refusal_counted_once(reporting_gate: Gate, kind: str) -> None:
    site: Any = flask.Flask("site")
    views = flask.Blueprint("views", "views")

    @views.get("/read")
    def read() -> str:
        return in_flask.identity_of(flask.request, scopes=("read",)).user_id

    @views.get("/either")
    def either() -> str:
        try:
            return read()
        except Refused:
            return "without"

    def custom(error: HTTPException) -> tuple[str, int]:
        return "no", error.code or 500

    site.register_error_handler(HTTPException, custom)

    if kind == "plain":

        def app(environ: dict[str, Any], start: Any) -> list[bytes]:
            with pytest.raises(Refused):
                environ["wicket.decision"].require("read")
            start("403 FORBIDDEN" if environ["PATH_INFO"] == "/read" else "200 OK", [])
            return [b"no" if environ["PATH_INFO"] == "/read" else b"without"]

        site.wsgi_app = app
    if kind == "blueprint":
        in_flask.Wicket(reporting_gate).init_app(views)
        views.register_error_handler(Refused, custom)  # replaces the gate's handler
    site.register_blueprint(views)
    if kind != "blueprint":
        site.wsgi_app = WsgiMiddleware(site.wsgi_app, reporting_gate, cors=kind != "without cors")
    assert run_wsgi_app(site, environ_of("/read", bearer("alice")))[1][:3] == "403"
    assert outcomes(reporting_gate) == HANDLER
    assert list(run_wsgi_app(site, environ_of("/either", bearer("alice")))[0]) == [b"without"]
    assert outcomes(reporting_gate) == {**HANDLER, ("gate", "allowed"): 2}, "the view continued without the identity"


def test_a11_two_gates_required_gate_counts_refusal() -> None:
    async def on_asgi(scope: Scope, receive: Receive, send: Send) -> None:
        in_starlette.identity_of(HTTPConnection(scope), "outer", scopes=("read",))

    def on_wsgi(environ: dict[str, Any], start: Any) -> list[bytes]:
        environ["outer.decision"].require("read")
        raise AssertionError("not reached")

    for on in ("asgi", "wsgi"):
        with Gate([APP], name="outer") as outer, Gate([APP], name="inner") as inner:
            if on == "asgi":
                app = AsgiMiddleware(AsgiMiddleware(on_asgi, inner), outer)
                assert run_asgi(app, http_scope("/read", bearer("alice")))[0]["status"] == 403
            else:
                site = WsgiMiddleware(WsgiMiddleware(on_wsgi, inner), outer)
                assert run_wsgi_app(site, environ_of("/read", bearer("alice")))[1][:3] == "403"
            assert outcomes(outer) == HANDLER
            assert outcomes(inner) == {("gate", "allowed"): 1}


def test_a11_log_only_missing_token_handler_refuses() -> None:
    with Gate([APP], mode=Mode.LOG_ONLY) as gate:

        async def me(request: Request) -> PlainTextResponse:
            return PlainTextResponse(in_starlette.identity_of(request).user_id)

        layers = [Middleware(AsgiMiddleware, gate=gate)]
        client = TestClient(Starlette(routes=[Route("/me", me)], middleware=layers))
        assert client.get("/me", headers={"X-App-Id": "acme"}).status_code == 401
        assert {(outcome.stage, outcome.code, outcome.enforced): outcome.count for outcome in gate.outcomes()} == {
            ("gate", "missing_token", False): 1,
            ("handler", "missing_token", True): 1,
        }


def test_a11_handler_refusal_log_record_has_stage(reporting_gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "wicket")

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise Refused(Refusal("insufficient_scope"))

    run_wsgi_app(WsgiMiddleware(app, reporting_gate), environ_of("/me", bearer("alice")))
    (record,) = [record for record in caplog.records if getattr(record, "stage", None) is not None]
    assert record.__dict__["stage"] == "handler"
    assert "refused by a handler" in record.getMessage()
