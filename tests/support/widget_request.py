"""A widget's boot request through both middlewares: Starlette with ASGI, Flask with WSGI."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.test import Client

from wicket import App, Decision, DecisionEvent, Gate, VerifiedIdentity
from wicket import asgi as asgi_door
from wicket import wsgi as wsgi_door
from wicket.contrib import flask as in_flask
from wicket.contrib import starlette as in_starlette

PATH: Final = "/boot"


@dataclass(frozen=True)
class WidgetRequest:
    """What a widget sends when it starts: a POST with a JSON body, if it has one."""

    body: Mapping[str, Any] | None = field(default=None, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def sent(self) -> bytes:
        """The body's bytes."""
        return b"" if self.body is None else json.dumps(self.body).encode()

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, with the type of the body."""
        return {**({} if self.body is None else {"Content-Type": "application/json"}), **self.headers}


@dataclass(frozen=True)
class Answered:
    """What came of it: the answer, what the gate said it decided, and what reached the application, if it did."""

    status: int
    body: dict[str, Any]
    decided: DecisionEvent
    decision: Decision | None

    def identity(self) -> VerifiedIdentity:
        """The verified identity of a request that must have passed."""
        assert self.status == 200, self.body
        assert self.decision is not None
        assert self.decision.allowed
        assert self.decision.enforced
        assert self.decision.refusal is None
        return self.decision.require()

    def refusal(self) -> tuple[int, str | None, str | None]:
        """Status, code and reason of a request that must not have reached the application."""
        assert self.decision is None, "the application was called"
        assert not self.decided.allowed
        assert not self.decided.verified
        return self.status, self.decided.code, self.decided.reason


Door = Callable[[Iterable[App], WidgetRequest, float | None], Answered]


def _gate(apps: Iterable[App], now: float | None, events: list[DecisionEvent]) -> Gate:
    def on_event(event: object) -> None:
        assert isinstance(event, DecisionEvent)
        events.append(event)

    return Gate(apps, on_event=on_event, clock=time.time if now is None else lambda: now)


def _answered(
    status: int, body: Any, events: list[DecisionEvent], seen: list[tuple[Decision, bytes]], boot: WidgetRequest
) -> Answered:
    (decided,) = events
    for _, replayed in seen:
        assert replayed == boot.sent, "the application reads the very body that was sent"
    return Answered(status, body, decided, seen[0][0] if seen else None)


def through_asgi(apps: Iterable[App], boot: WidgetRequest, now: float | None = None) -> Answered:
    """Send it to Starlette behind `wicket.asgi`."""
    events: list[DecisionEvent] = []
    seen: list[tuple[Decision, bytes]] = []

    async def handler(request: Request) -> Response:
        seen.append((in_starlette.decision_of(request), await request.body()))
        return JSONResponse({})

    door = Middleware(asgi_door.WicketMiddleware, gate=_gate(apps, now, events))
    client = TestClient(Starlette(routes=[Route(PATH, handler, methods=["POST"])], middleware=[door]))
    answer = client.post(PATH, params=dict(boot.query), content=boot.sent, headers=boot.all_headers)
    return _answered(answer.status_code, answer.json(), events, seen, boot)


def through_wsgi(apps: Iterable[App], boot: WidgetRequest, now: float | None = None) -> Answered:
    """Send it to Flask behind `wicket.wsgi`."""
    events: list[DecisionEvent] = []
    seen: list[tuple[Decision, bytes]] = []
    site = flask.Flask(__name__)

    @site.post(PATH)
    def handler() -> dict[str, Any]:
        seen.append((in_flask.decision_of(flask.request), flask.request.get_data()))
        return {}

    client = Client(wsgi_door.WicketMiddleware(site.wsgi_app, _gate(apps, now, events)))
    answer = client.post(PATH, query_string=dict(boot.query), data=boot.sent, headers=boot.all_headers)
    return _answered(answer.status_code, json.loads(answer.data), events, seen, boot)


DOORS: Final[dict[str, Door]] = {"asgi": through_asgi, "wsgi": through_wsgi}
