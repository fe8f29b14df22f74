"""WebSocket handshakes: held to what requests are, refused before they are accepted, and closed in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import wicket.asgi
from tests.attacks.clients import WSGIDoor
from tests.attacks.token_factory import NOW, app, secret, token
from wicket import Bearer, Cookie, Decision, Gate, Header, Query, Revocations, Subprotocol
from wicket.config.locations import AppLocation
from wicket.testing import FakeClock

Message = MutableMapping[str, Any]
HOME: Final = ("Origin", "https://acme.example")
EVIL: Final = ("Origin", "https://evil.example")
ID: Final = ("X-App-Id", "acme")
PROTOCOLS: Final = "Sec-WebSocket-Protocol"
ADA: Final = {"user": "acme:ada", "offered": []}
NAMING: Final[list[AppLocation]] = [Header("X-App-Id"), Query("app")]
PLACES: Final = [Bearer(), Subprotocol("bearer"), Cookie("session")]


class Site:
    """Starlette's sockets behind the middleware; every one that is accepted says who it is and stays open."""

    def __init__(self, gate: Gate, **settings: Any) -> None:
        self.reached = 0

        async def socket(socket: WebSocket) -> None:
            self.reached += 1
            decision: Decision = socket.scope["state"][gate.name]
            await socket.accept()
            said = {"user": decision.identity.identity or None, "offered": socket.scope["subprotocols"]}
            await socket.send_text(json.dumps(said))
            try:
                while True:
                    await socket.receive_text()
            except WebSocketDisconnect:
                return

        self.app = Starlette(
            routes=[WebSocketRoute("/{rest:path}", socket)],
            middleware=[Middleware(wicket.asgi.WicketMiddleware, gate=gate, **settings)],
        )

    def shake(
        self, *headers: tuple[str, str], query: str = "", answers: bool = False, until: float = 0.0
    ) -> list[Message]:
        """What a server is told to send: of an accepted socket, `until` seconds later."""
        return asyncio.run(self._shake(list(headers), query, answers, until))

    async def _shake(self, headers: list[tuple[str, str]], query: str, answers: bool, until: float) -> list[Message]:
        sent: list[Message] = []
        begun = False
        offered = [each.strip() for name, value in headers if name == PROTOCOLS for each in value.split(",")]

        async def receive() -> Message:
            nonlocal begun
            if not begun:
                begun = True
                return {"type": "websocket.connect"}
            await asyncio.sleep(until)
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "wss",
            "path": "/live",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            "subprotocols": [each for each in offered if each],
            "extensions": {"websocket.http.response": {}} if answers else {},
        }
        await self.app(scope, receive, send)
        return sent

    def refuses(self, *headers: tuple[str, str], query: str = "") -> tuple[int, str, str | None]:
        """How a handshake is refused, which must be before it is accepted and before the application hears of it."""
        before = self.reached
        plain = self.shake(*headers, query=query)
        assert plain == [{"type": "websocket.close", "code": 1008, "reason": ""}], "a server makes a bare 403 of it"
        start, body = self.shake(*headers, query=query, answers=True)
        assert start["type"] == "websocket.http.response.start"
        assert self.reached == before
        said = json.loads(body["body"])
        return start["status"], said["error"], said["reason"]


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    """Gates to be closed."""
    held: list[Gate] = []
    yield held
    for each in held:
        each.close()


def site(gates: list[Gate], clock: Any = None, **settings: Any) -> Site:
    """A site of two apps that take a token from a header, a subprotocol and a cookie."""
    apps = [
        app(name, token_locations=PLACES, app_locations=NAMING, origins=[f"https://{name}.example"])
        for name in ("acme", "other")
    ]
    gates.append(Gate(apps, app_locations=NAMING, clock=clock or (lambda: NOW)))
    return Site(gates[-1], **settings)


def accepted(sent: list[Message]) -> dict[str, Any]:
    """What the application said after it was reached."""
    assert sent[0]["type"] == "websocket.accept"
    said: dict[str, Any] = json.loads(sent[1]["text"])
    return said


TWO: Final = (400, "invalid_request", None)
MISSING: Final = (401, "missing_token", None)
NOT_ALLOWED: Final = (403, "origin_not_allowed", None)


def bearer(text: str) -> tuple[str, str]:
    """A token in its header."""
    return "Authorization", f"Bearer {text}"


def test_cve_2026_26308_websocket_duplicate_value_invalid_request(gates: list[Gate]) -> None:
    door = site(gates)
    good, forged = bearer(token()), bearer(token("HS256", secret("other")))
    assert accepted(door.shake(ID, HOME, good)) == ADA
    for pair in ((good, good), (good, forged), (forged, good), (good, ("Authorization", "Basic YTpi"))):
        assert door.refuses(ID, HOME, *pair) == TWO
    for ids in ((ID, ID), (ID, ("X-App-Id", "other")), (("X-App-Id", "acme, other"),)):
        assert door.refuses(HOME, good, *ids) == TWO
    for origins in ((HOME, HOME), (HOME, EVIL), (EVIL, HOME), (("Origin", f"{HOME[1]}, {HOME[1]}"),)):
        assert door.refuses(ID, good, *origins) == TWO
    assert door.refuses(ID, HOME, good, query="app=other") == TWO
    assert door.refuses(HOME, good, query="app=acme&app=other") == TWO


def test_cve_2026_31838_websocket_subprotocol_token_read_and_removed(gates: list[Gate]) -> None:
    door = site(gates)
    good, eve = token(), token(sub="eve")
    assert accepted(door.shake(HOME, (PROTOCOLS, f"bearer, {good}"), query="app=acme")) == ADA
    sent = door.shake(HOME, (PROTOCOLS, f"chat, bearer, {good}, more"), query="app=acme")
    assert accepted(sent) == {"user": "acme:ada", "offered": ["chat", "more"]}
    assert sent[0]["subprotocol"] == "bearer"
    assert good not in repr(sent)
    assert accepted(door.shake(ID, HOME, bearer(good), (PROTOCOLS, f"bearer, {good}"))) == ADA
    for offered in (
        *(f"bearer, {good}, bearer, {good}", f"bearer, {good}, bearer, {eve}", "bearer", "bearer,", "bearer, , x"),
        *(f"bearer, {good},", f"{good}, bearer"),
    ):
        assert door.refuses(ID, HOME, (PROTOCOLS, offered)) == TWO, offered
    assert door.refuses(ID, HOME, (PROTOCOLS, f"bearer, {good}"), (PROTOCOLS, f"bearer, {eve}")) == TWO
    assert door.refuses(ID, HOME, bearer(good), (PROTOCOLS, f"bearer, {eve}")) == TWO
    assert door.refuses(ID, HOME, bearer(eve), (PROTOCOLS, f"bearer, {good}")) == TWO
    for offered in (f"Bearer, {good}", good, f"token, {good}", f"bearer.{good}"):
        assert door.refuses(ID, HOME, (PROTOCOLS, offered)) == MISSING, offered
    forged = token("HS256", secret("other"))
    assert door.refuses(ID, HOME, (PROTOCOLS, f"bearer, {forged}")) == (401, "invalid_token", "bad_signature")
    assert door.refuses(ID, HOME, (PROTOCOLS, "bearer, chat")) == (401, "invalid_token", "malformed")


def test_cve_2026_31838_websocket_cookie_other_origin_not_allowed(gates: list[Gate]) -> None:
    """No preflight comes before a handshake, and a browser sends cookies with it from any page."""
    door = site(gates)
    cookie = ("Cookie", f"session={token()}")
    assert accepted(door.shake(ID, HOME, cookie)) == ADA
    for origin in (EVIL, ("Origin", "null"), ("Origin", "https://acme.example.evil.example"), ("Origin", "wss://x")):
        assert door.refuses(ID, origin, cookie) == NOT_ALLOWED
        assert door.refuses(ID, origin, bearer(token())) == NOT_ALLOWED
        assert door.refuses(ID, origin, (PROTOCOLS, f"bearer, {token()}")) == NOT_ALLOWED
    assert door.refuses(ID, cookie) == NOT_ALLOWED, "nor without any origin"
    assert accepted(door.shake(ID, bearer(token()))) == ADA


def test_cve_2026_31838_websocket_refusal_same_as_http_refusal(gates: list[Gate]) -> None:
    door = site(gates)
    assert accepted(door.shake(ID, HOME, bearer(token()))) == ADA
    assert door.refuses(ID, HOME) == MISSING
    assert door.refuses(ID, HOME, bearer(token(exp=1))) == (401, "invalid_token", "expired")
    assert door.refuses(HOME, bearer(token())) == (401, "unknown_app", None)
    assert door.refuses(("X-App-Id", "nobody"), HOME, bearer(token())) == (401, "unknown_app", None)
    bad = token("HS256", secret("mallory"))
    for answers in (False, True):
        for headers in ((ID, HOME, bearer(bad)), (ID, HOME, (PROTOCOLS, f"bearer, {bad}")), (ID, EVIL, bearer(bad))):
            said = repr(door.shake(*headers, answers=answers))
            assert not any(part in said for part in bad.split("."))
    web = WSGIDoor(gates[-1], {})
    for more in ([], [bearer(bad)], [bearer(token(exp=1))]):
        start, body = door.shake(ID, HOME, *more, answers=True)
        request = web.send("GET", "/live", "", [ID, HOME, *more])
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        assert (start["status"], json.loads(body["body"])) == (request.status, request.body)
        assert told["www-authenticate"] == request.headers["www-authenticate"]
        assert told["cache-control"] == "no-store"


def test_cve_2026_31838_wsgi_subprotocol_token_missing_token(gates: list[Gate]) -> None:
    """Flask treats a handshake as an ordinary request, in which that header is no credential."""
    site(gates)
    web = WSGIDoor(gates[-1], {})
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    offered = (PROTOCOLS, f"bearer, {token()}")
    assert web.send("GET", "/live", "", [ID, HOME, *upgrade, bearer(token())]).said == (200, "acme:ada", None)
    assert web.send("GET", "/live", "", [ID, HOME, *upgrade, offered]).said == MISSING
    assert web.send("GET", "/live", "", [ID, HOME, offered]).said == MISSING


def test_cve_2026_31838_websocket_expired_token_closed_4401(gates: list[Gate]) -> None:
    clock = FakeClock(NOW)
    door = site(gates, clock, close_on_expiry=True)
    lives = token(exp=NOW + 60)
    sent = door.shake(ID, HOME, bearer(lives), until=1.2)
    assert accepted(sent) == ADA
    assert not any(message["type"] == "websocket.close" for message in sent), "as long as it holds"
    clock.advance(89)
    assert accepted(door.shake(ID, HOME, bearer(lives))) == ADA, "the last second of the skew"

    async def later() -> list[Message]:
        asyncio.get_running_loop().call_later(0.1, clock.advance, 2)
        return await door._shake([ID, HOME, bearer(lives)], "", False, 60.0)

    sent = asyncio.run(later())
    assert accepted(sent) == ADA
    assert sent[-1] == {"type": "websocket.close", "code": 4401, "reason": "expired"}
    assert door.refuses(ID, HOME, bearer(lives)) == (401, "invalid_token", "expired")
    revoked = app("acme", revocations=Revocations(users={"ada": NOW}))
    gates.append(Gate([revoked, app("other")], app_locations=NAMING, clock=lambda: NOW))
    assert Site(gates[-1]).refuses(ID, bearer(token())) == (401, "invalid_token", "revoked")
