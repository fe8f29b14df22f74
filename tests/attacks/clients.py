"""Starlette behind the ASGI middleware and Flask behind the WSGI one, asked as a client would on the wire.

Both answer every path with what a handler sees of the user, so that a 200 means that the gate let the request pass. The
scopes in a header `X-Demand` are demanded by the handler.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Protocol
from urllib.parse import unquote, unquote_to_bytes

import flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import wicket.asgi
import wicket.wsgi
from wicket import App, Decision, Gate

Headers = Iterable[tuple[str, str]]
FORGED: Final = "acme:root"
"""Whom something before the gate says it is, in every request: what a careless front server takes from the client."""
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client got. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the body."""
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def said(self) -> tuple[int, str | None, str | None]:
        """Status, code and reason of a refusal, or status and user of an allowed request."""
        if self.status == 200:
            return 200, self.body["identity"], None
        return self.status, self.body["error"], self.body["reason"]


class Door:
    """A gate before an application, to be asked."""

    times = 3  # first seen, from the signature cache, and by the fast path

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def ask(
        self,
        token: str | None = None,
        *headers: tuple[str, str],
        app: str | None = "acme",
        path: str = "/whoami",
        query: str = "",
        method: str = "GET",
        body: bytes = b"",
    ) -> Answered:
        """Send one request, with `token` as its bearer and `app` as the name in its header `X-App-Id`.

        `path` is as on the wire, percent-encoded; `headers` may repeat. It is sent as many `times` as the door says,
        and answered alike: what is remembered of the first must not change what becomes of those that go a shorter way.
        """
        sent = [*headers]
        if app is not None:
            sent.append(("X-App-Id", app))
        if token is not None:
            sent.append(("Authorization", f"Bearer {token}"))
        first, *later = [self.send(method, path, query, sent, body) for _ in range(self.times)]
        if any((each.status, each.raw) != (first.status, first.raw) for each in later):
            raise AssertionError(f"the same request was answered {first.status} and then {later[-1].status}")
        return first

    def post(
        self, document: object, *headers: tuple[str, str], app: str | None = None, media: str = "application/json"
    ) -> Answered:
        """Send a body: text and bytes as they are, anything else as JSON."""
        raw = document if isinstance(document, bytes) else None
        if raw is None:
            raw = (document if isinstance(document, str) else json.dumps(document)).encode()
        described = [("Content-Type", media), ("Content-Length", str(len(raw)))]
        return self.ask(None, *described, *headers, app=app, method="POST", body=raw)

    def send(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes = b"") -> Answered:
        """Send exactly this."""
        raise NotImplementedError


class Behind(Protocol):
    """The fixture `behind`: a client of an application with a gate for these apps, or with that gate."""

    def __call__(self, *apps: App, gate: Gate | None = None, paths: Any = None, **settings: Any) -> Door: ...


def seen(decision: Decision | None, user: str | None) -> dict[str, Any]:
    """The values that a handler sees. `user` is the user of its framework."""
    if decision is None:
        return {"gated": False, "identity": None, "user": user}
    identity = decision.identity
    if identity.verified != (identity.user_id is not None) or (not identity.verified and identity.claims):
        raise AssertionError("an anonymous identity says something")
    return {
        "gated": True,
        "identity": identity.identity or None,
        "user": user,
        "verified": identity.verified,
        "claimed": decision.claimed_user_id,
        "method": identity.method,
        "attributes": identity.attributes,
        "companies": identity.companies,
        "user_id": identity.user_id,
        "claims": identity.claims,
        "scopes": sorted(identity.scopes),
        "app_id": decision.app_id,
        "enforced": decision.enforced,
        "code": decision.refusal.code if decision.refusal else None,
        "reason": decision.refusal.reason if decision.refusal else None,
        "key_id": identity.kid,
    }


class ASGIDoor(Door):
    """Starlette behind `wicket.asgi`."""

    def __init__(self, gate: Gate, paths: dict[str, Any]) -> None:
        super().__init__(gate)

        async def handler(request: Request) -> JSONResponse:
            decision = request.scope.get("state", {}).get(gate.name)
            if "x-demand" in request.headers:
                decision.require(*request.headers["x-demand"].split())
            user = request.scope.get("user")
            return JSONResponse(seen(decision, getattr(user, "identity", user) or None))

        self.app = Starlette(
            routes=[Route("/{rest:path}", handler, methods=_METHODS)],
            middleware=[Middleware(wicket.asgi.WicketMiddleware, gate=gate, **paths)],
        )

    def send(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes = b"") -> Answered:
        """Send exactly this, as an ASGI server hands it on."""
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": unquote(path),
            "raw_path": path.encode("utf-8"),
            "root_path": "",
            "query_string": query.encode("utf-8"),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "user": FORGED,
        }
        asyncio.run(self.app(scope, receive, send))
        start = sent[0]
        raw = b"".join(message.get("body", b"") for message in sent[1:])
        answered = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return Answered(start["status"], answered, raw)


class WSGIDoor(Door):
    """Flask behind `wicket.wsgi`."""

    def __init__(self, gate: Gate, paths: dict[str, Any]) -> None:
        super().__init__(gate)
        self.app = flask.Flask(__name__)
        self.app.config["PROPAGATE_EXCEPTIONS"] = True  # or Flask turns an exception of a handler into a 500 response

        def handler() -> flask.Response:
            environ = flask.request.environ
            decision = environ.get(f"{gate.name}.decision")
            if decision is not None and "X-Demand" in flask.request.headers:
                decision.require(*flask.request.headers["X-Demand"].split())
            return flask.jsonify(seen(decision, environ.get("REMOTE_USER")))

        self.app.before_request(handler)  # before Flask routes, so that it answers every path
        self.app.wsgi_app = wicket.wsgi.WicketMiddleware(  # type: ignore[method-assign]  # as Flask's own manual does
            self.app.wsgi_app, gate=gate, **paths
        )

    def send(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes = b"") -> Answered:
        """Send exactly this, as a WSGI server hands it on: repeated headers joined, `-` and `_` alike."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.encode("utf-8").decode("latin-1"),
            "SERVER_NAME": "gate.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REMOTE_USER": FORGED,
        }
        for name, value in headers:
            variable = name.upper().replace("-", "_")
            if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                variable = f"HTTP_{variable}"
            environ[variable] = f"{environ[variable]},{value}" if variable in environ else value
        return _called(self.app, environ)


def _called(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Answered:
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: object = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return lambda _: None

    raw = b"".join(app(environ, start_response))
    ((status, headers),) = started
    return Answered(int(status[:3]), {name.lower(): value for name, value in headers}, raw)


DOORS: Final[dict[str, Callable[[Gate, dict[str, Any]], Door]]] = {"asgi": ASGIDoor, "wsgi": WSGIDoor}
