"""Sockets and event streams under real servers: tokens in handshakes, and connections that outlive their token."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.integration import servers
from tests.integration.body_apps import PAGE, token_of
from tests.integration.servers import Server, eventually, read_head

SOON: Final = servers.DEADLINE / 2
"""Within how many seconds after its token a connection is closed, on a machine that is busy."""
LIFE: Final = 3
"""How many seconds a token lives whose end a test waits for: long enough for a busy machine to open a connection."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with servers.uvicorn("tests.integration.body_asgi_site:app") as server:
        yield server


@pytest.fixture(scope="module")
def wsgi() -> Iterator[Server]:
    with servers.gunicorn("tests.integration.body_wsgi_site:app", "--worker-class", "gthread", "--threads", "4") as it:
        yield it


def happened(server: Server) -> list[Any]:
    found: list[Any] = json.loads(server.ask("/control").body)["happened"]
    return found


@contextlib.contextmanager
def opened(server: Server, token: str, *, app: str = "acme", protocols: Any = None) -> Iterator[ClientConnection]:
    offered: Any = ["bearer", token] if protocols is None else protocols
    with connect(
        f"ws://127.0.0.1:{server.port}/?app={app}", subprotocols=offered, origin=Origin(PAGE), proxy=None
    ) as socket:
        yield socket


def closed(socket: ClientConnection) -> tuple[int, str, float]:
    """With which code and reason the server closed a socket, and when."""
    try:
        while True:
            socket.recv(timeout=servers.DEADLINE)
    except ConnectionClosed as error:
        frame = error.rcvd
    assert frame is not None
    return frame.code, frame.reason, time.time()


def test_subprotocol_token_verified_and_hidden_from_application(server: Server) -> None:
    token = token_of("acme")
    with opened(server, token, protocols=["chat", "bearer", token, "v2"]) as socket:
        assert json.loads(socket.recv()) == ["ada", ["chat", "v2"]]
        assert socket.subprotocol == "bearer", "a browser ends a socket whose server answers none that it offered"
        socket.send("hello")
        assert socket.recv() == "hello"


@pytest.mark.parametrize(
    ("offered", "status"),
    [
        (lambda: ["bearer", "a.b.c"], 401),
        (lambda: ["bearer"], 400),
        (lambda: ["chat"], 401),
        (lambda: ["bearer", token_of("lobby")], 401),
        (lambda: ["bearer", token_of("acme", ttl=60, age=90)], 401),
        (lambda: ["bearer", token_of("acme"), "bearer", token_of("acme", "bob")], 400),
    ],
)
def test_websocket_handshake_invalid_token_refused(
    server: Server, offered: Callable[[], list[str]], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(server, "", protocols=offered()):
        pass
    assert refused.value.response.status_code == status


def test_websocket_handshake_disallowed_origin_403(server: Server) -> None:
    url = f"ws://127.0.0.1:{server.port}/?app=acme"
    offered: Any = ["bearer", token_of("acme")]
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url, subprotocols=offered, origin=Origin("https://evil.example"), proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_live_connection_token_expired_closed_4401(server: Server) -> None:
    ends = int(time.time()) + LIFE
    with (
        opened(server, token_of("acme", "short", ttl=LIFE)) as socket,
        opened(server, token_of("acme")) as other,
    ):
        code, reason, at = closed(socket)
        assert (code, reason) == (4401, "expired")
        assert 0 <= at - ends <= SOON
        other.send("still there")
        assert [json.loads(other.recv()), other.recv()] == [["ada", []], "still there"]
    eventually("the application heard of it", lambda: ["short", 4401] in happened(server))


def test_live_connection_user_revoked_closed_4401(server: Server) -> None:
    with (
        opened(server, token_of("stored-1", "mallory"), app="stored-1") as socket,
        opened(server, token_of("stored-1", "ada"), app="stored-1") as other,
    ):
        assert json.loads(socket.recv())[0] == "mallory"
        begun = time.time()
        server.ask("/control?revoke=mallory&app=stored-1")
        code, reason, at = closed(socket)
        assert (code, reason) == (4401, "revoked")
        assert at - begun <= SOON
        other.send("still there")
        assert [json.loads(other.recv())[0], other.recv()] == ["ada", "still there"]
    with pytest.raises(InvalidStatus), opened(server, token_of("stored-1", "mallory"), app="stored-1"):
        pass


def test_live_connection_silent_clients_do_not_delay_others(server: Server) -> None:
    """Bare connections that shake hands and then neither read nor answer, and one that is well behaved."""
    token = token_of("acme", "silent", ttl=3 * LIFE)
    head = (
        f"GET /?app=acme HTTP/1.1\r\nHost: test\r\nOrigin: {PAGE}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n"
        f"Sec-WebSocket-Protocol: bearer, {token}\r\n\r\n"
    )
    with contextlib.ExitStack() as held:
        for _ in range(20):
            silent = held.enter_context(contextlib.closing(server.socket()))
            silent.sendall(head.encode())
            assert b" 101 " in read_head(silent)
        ends = time.time() + LIFE
        with opened(server, token_of("acme", "good", ttl=LIFE)) as socket:
            code, _, at = closed(socket)
        assert code == 4401
        assert at - ends <= SOON
        assert (
            server.ask("/ignore", [("X-App-Id", "acme"), ("Authorization", f"Bearer {token_of('acme')}")]).status == 200
        )


def stream_of(server: Server, target: str, user: str, ttl: float) -> tuple[bytes, float]:
    """Everything that an event stream gave until it ended, and when that was."""
    headers = [("X-App-Id", "acme"), ("Authorization", f"Bearer {token_of('acme', user, ttl=ttl)}")]
    with server.asking(target, headers) as response:
        assert response.status == 200
        try:
            return response.read(), time.time()
        except http.client.IncompleteRead as broken:
            raise AssertionError("the stream was cut off, not ended") from broken


@pytest.mark.parametrize("target", ["/events", "/listening"])
def test_event_stream_token_expired_response_ended(server: Server, target: str) -> None:
    begun = time.time()
    got, at = stream_of(server, target, f"user-of-{target[1:]}", LIFE)
    assert got.startswith(b"data: x\n\n")
    assert at - begun - LIFE <= SOON


@pytest.mark.parametrize(("target", "told"), [("/events", "told by send"), ("/listening", "told by receive")])
def test_event_stream_token_expired_application_ended(server: Server, target: str, told: str) -> None:
    """Otherwise every expired stream would run in the server for ever, without a client."""
    user = f"leaving{target[1:]}"
    stream_of(server, target, user, LIFE)
    eventually("the application ended", lambda: f"{user} ended" in happened(server))
    assert f"{user} {told}" in happened(server)


def test_wsgi_event_stream_token_expired_response_ended(wsgi: Server) -> None:
    begun = time.time()
    got, at = stream_of(wsgi, "/events", "ada", LIFE)
    assert got.startswith(b"data: x\n\n")
    assert at - begun - LIFE <= SOON
