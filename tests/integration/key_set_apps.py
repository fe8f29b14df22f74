"""Gates whose apps have remote key sets, local issuers that serve them, and both middlewares without a server."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import Future
from typing import Any, Final

import pytest

from wicket import App, Decision, Gate, Jwks, Limits, Request, profiles
from wicket.asgi import WicketMiddleware as ASGIMiddleware
from wicket.config.network import Network, Resolver
from wicket.decision import io
from wicket.diagnostics.key_sets import cached_key_sets
from wicket.reporting.events import Event, KeySetFetched, UnknownKidLimited
from wicket.testing import FakeClock
from wicket.testing.issuer import Exchange, LocalIssuer
from wicket.wsgi import WicketMiddleware as WSGIMiddleware

DEADLINE: Final = 20.0

PATIENT: Final = Limits(load_timeout=60.0, fetch_connect_timeout=60.0, fetch_timeout=60.0)
"""Limits that no busy machine reaches: what waits for one of them takes three times the deadline of a test."""

Headers = list[tuple[str, str]]


class Told:
    """Give it as `on_event`: it keeps what happened to key sets."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, (KeySetFetched, UnknownKidLimited)):
            self.events.append(event)

    def fetched(self, app: str | None = None) -> list[KeySetFetched]:
        """The fetches, of one app or of all."""
        return [each for each in list(self.events) if isinstance(each, KeySetFetched) and app in (None, each.app_id)]

    def outcomes(self, app: str | None = None) -> list[str]:
        """How the fetches ended."""
        return [each.outcome for each in self.fetched(app)]


class Held:
    """A fault that holds every fetch of an issuer until it is released."""

    def __init__(self, issuer: LocalIssuer) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self._issuer = issuer
        issuer.fault = self

    def __call__(self, exchange: Exchange) -> None:
        self.entered.set()
        self.released.wait(DEADLINE)
        serve(self._issuer, exchange)

    def release(self) -> None:
        """Let those that are held be served, and the later ones as if nothing had been."""
        self._issuer.fault = None
        self.released.set()


def planned_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which each request is about to wait for a load, from now on."""
    waits: list[float] = []
    start = io._start_load

    def recorded(request: io.LoadEntry, loop: Any) -> tuple[Future[None], float]:
        done, seconds = start(request, loop)
        waits.append(seconds)
        return done, seconds

    monkeypatch.setattr(io, "_start_load", recorded)
    return waits


def serve(issuer: LocalIssuer, exchange: Exchange) -> None:
    """Answer with the issuer's key set."""
    exchange.answer(200, json.dumps(issuer.document()).encode())


def answering(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Callable[[Exchange], None]:
    """A fault that gives one answer."""

    def fault(exchange: Exchange) -> None:
        exchange.answer(status, body, headers)

    return fault


def authorities(*issuers: LocalIssuer) -> bytes:
    """The certificates of the issuers' authorities, in DER."""
    held: dict[bytes, None] = {}
    for issuer in issuers:
        context = issuer.network.ssl_context
        assert context is not None
        held.update(dict.fromkeys(der for der in context.get_ca_certs(binary_form=True) if b"trustme" in der))
    return b"".join(held)


def trusting(der: bytes) -> ssl.SSLContext:
    """A context that trusts these authorities."""
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=der)
    return context


def network_of(*issuers: LocalIssuer, resolve: Resolver | None = None) -> Network:
    """What a gate must be allowed to reach all of these issuers."""
    return Network(
        ["127.0.0.0/8"],
        [issuer.port for issuer in issuers],
        ssl_context=trusting(authorities(*issuers)),
        resolver=resolve or (lambda *_: ["127.0.0.1"]),
    )


def app_of(issuer: LocalIssuer, id: str = "acme", **settings: Any) -> App:
    """An app whose key set is the issuer's."""
    credentials = settings.pop("credentials", None) or [Jwks(issuer.jwks_url)]
    return profiles.generic(id, issuer=issuer.issuer, credentials=credentials, **settings)


@contextlib.contextmanager
def gate_of(issuer: LocalIssuer, *apps: App, **settings: Any) -> Iterator[Gate]:
    """A gate of the apps, or of the one app `acme`, that may reach the issuer, however long that takes."""
    settings = {"network": issuer.network, "limits": PATIENT, **settings}
    with Gate(apps or [app_of(issuer)], **settings) as gate:
        yield gate


def headers_of(token: str, app: str = "acme") -> Headers:
    """What a request with this token carries."""
    return [("X-App-Id", app), ("Authorization", f"Bearer {token}")]


def request_of(token: str, app: str = "acme") -> Request:
    """The same as a request."""
    return Request(headers=headers_of(token, app))


def with_kid(token: str, kid: str) -> str:
    """The token with another `kid`, and so with a signature that is none."""
    header = json.dumps({"alg": "ES256", "typ": "JWT", "kid": kid}).encode()
    return ".".join([base64.urlsafe_b64encode(header).rstrip(b"=").decode(), *token.split(".")[1:]])


def said(decision: Decision) -> str:
    """What a decision says, in one word or two: `allowed`, a code, or a code and its reason."""
    refusal = decision.refusal
    if refusal is None:
        return "allowed" if decision.identity.verified else "anonymous"
    return f"{refusal.code} {refusal.reason}" if refusal.reason else refusal.code


def held_at(gate: Gate, id: str = "acme") -> float | None:
    """When the key set that an app holds was fetched or confirmed, by the gate's monotonic clock."""
    app = next(each for each in gate.apps if each.id == id)
    (held,) = cached_key_sets(gate, app).values()
    return held.at if held is not None else None


def ticking() -> FakeClock:
    """A monotonic clock that a test moves."""
    return FakeClock(1000.0)


# --- the two middlewares


async def ask_asgi(gate: Gate, headers: Headers) -> tuple[int, dict[str, Any]]:
    """Send one GET through `wicket.asgi`: the status, and the refusal's body or the user's id."""
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = json.dumps({"user": scope["state"][gate.name].identity.user_id}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    await ASGIMiddleware(app, gate)(scope, receive, send)
    start, body = sent
    return start["status"], json.loads(body["body"])


def ask_wsgi(gate: Gate, headers: Headers) -> tuple[int, dict[str, Any]]:
    """Send one GET through `wicket.wsgi`."""
    statuses: list[str] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [json.dumps({"user": environ["wicket.identity"].user_id}).encode()]

    def start_response(status: str, headers: Any, error: Any = None) -> Any:
        statuses.append(status)

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers},
    }
    body = b"".join(WSGIMiddleware(app, gate)(environ, start_response))
    return int(statuses[0][:3]), json.loads(body)
