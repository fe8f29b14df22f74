"""Refused WebSockets that say why, under real servers, and a client that renews its token and recovers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.integration import servers
from tests.integration.body_apps import PAGE, token_of
from tests.integration.servers import Server

pytestmark = pytest.mark.long

SITE = "tests.integration.body_asgi_site:app"


@pytest.fixture(scope="module", params=["uvicorn", "hypercorn"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with (servers.uvicorn if request.param == "uvicorn" else servers.hypercorn)(SITE) as server:
        yield server


def closed(server: Server, *offered: str, origin: str = PAGE) -> tuple[str | None, int, str]:
    """The subprotocol that the server selects, and the code and the reason with which it closes the WebSocket."""
    protocols: Any = [*offered] or None
    url = f"ws://127.0.0.1:{server.port}/?app=caller"
    with connect(url, subprotocols=protocols, origin=Origin(origin), proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(timeout=servers.DEADLINE)
        frame = ended.value.rcvd
    assert frame is not None
    return socket.subprotocol, frame.code, frame.reason


def happened(server: Server) -> list[Any]:
    found: list[Any] = json.loads(server.ask("/control").body)["happened"]
    return found


def test_websocket_refusals_accepted_and_closed_with_code(server: Server) -> None:
    before = happened(server)
    expired = token_of("caller", ttl=60, age=90)
    assert closed(server) == (None, 4401, "missing_token")
    assert closed(server, "chat") == ("chat", 4401, "missing_token")
    assert closed(server, "chat", "bearer", "a.b.c") == ("bearer", 4401, "malformed")
    assert closed(server, "bearer", expired) == ("bearer", 4401, "expired")
    assert closed(server, "bearer") == ("bearer", 4400, "invalid_request")
    blocked = closed(server, "bearer", token_of("caller"), origin="https://evil.example")
    assert blocked == ("bearer", 4403, "origin_not_allowed")
    assert happened(server) == before, "the application saw none of them"


def test_websocket_client_renews_token_and_recovers(server: Server) -> None:
    """A loop as a client has it: connect, read until the end, and renew the token if the code is 4401."""
    tokens = iter([token_of("caller", ttl=60, age=90), token_of("caller", ttl=2), token_of("caller", "bob")])
    url = f"ws://127.0.0.1:{server.port}/?app=caller"
    users, codes = [], []
    for token in tokens:
        protocols: Any = ["bearer", token]
        with connect(url, subprotocols=protocols, origin=Origin(PAGE), proxy=None) as socket:
            try:
                users.append(json.loads(socket.recv(timeout=servers.DEADLINE))[0])
                if users[-1] == "bob":
                    socket.send("recovered")
                    assert socket.recv(timeout=servers.DEADLINE) == "recovered"
                    break
                socket.recv(timeout=servers.DEADLINE)
            except ConnectionClosed as error:
                codes.append((error.rcvd.code, error.rcvd.reason) if error.rcvd is not None else None)
    assert users == ["ada", "bob"]
    assert codes == [(4401, "expired")] * 2
