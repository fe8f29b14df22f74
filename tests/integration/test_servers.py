"""The gate under real servers: forks, threads, greenlets and sockets; handshakes and another event loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
import trio
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.integration import servers
from tests.integration.registry import NAMING, app_of, forged_headers, headers_of
from tests.integration.servers import Server, eventually
from wicket import Gate, Refusal, Refused
from wicket.asgi import Message, Receive, Scope, Send, WicketMiddleware

# --- one battery for every server

_SERVERS: Final[dict[str, tuple[str, ...]]] = {
    "uvicorn": (),
    "sync": ("--worker-class", "sync"),
    "gthread": ("--worker-class", "gthread", "--threads", "4"),
    "gevent": ("--worker-class", "gevent"),
    "gevent, preloaded": ("--worker-class", "gevent", "--preload"),
    "gthread, preloaded": ("--worker-class", "gthread", "--threads", "4", "--preload"),
}


@pytest.fixture(scope="module", params=_SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    options = _SERVERS[request.param]
    if request.param == "uvicorn":
        running = servers.uvicorn("tests.integration.asgi_site:app")
    else:
        site = "wsgi_preloaded" if "--preload" in options else "wsgi_site"
        running = servers.gunicorn(f"tests.integration.{site}:app", *options)
    with running as server:
        yield server


def test_server_valid_token_identity_forged_token_401(server: Server) -> None:
    told = json.loads(server.ask("/whoami", headers_of("acme")).body)
    assert (told["identity"], told["user"]) == ("acme:ada", "acme:ada")
    told = json.loads(server.ask("/whoami", [*headers_of("lobby")[:1], ("Remote-User", "root")]).body)
    assert (told["identity"], told["user"]) == (None, None)
    refused = server.ask("/whoami", forged_headers("acme"))
    assert (refused.status, json.loads(refused.body)["reason"]) == (401, "bad_signature")
    assert refused.headers["cache-control"] == "no-store"
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_server_registry_app_loaded_once(server: Server) -> None:
    answers = [server.ask("/whoami", headers_of("stored-new")) for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert json.loads(server.ask("/told").body)["calls"]["stored-new"] == 1
    assert server.ask("/whoami", headers_of("nobody")).status == 401


def test_server_repeated_header_400(server: Server) -> None:
    acme, token = headers_of("acme")
    assert server.ask("/whoami", [acme, acme, token]).status == 400
    assert server.ask("/whoami", [acme, token, token]).status == 400
    assert server.ask("/whoami", [acme, headers_of("lobby")[0], token]).status == 400


@pytest.mark.parametrize("server", [name for name in _SERVERS if name != "sync"], indirect=True)
def test_server_slow_registry_load_other_requests_not_blocked(server: Server) -> None:
    with ThreadPoolExecutor(3) as clients:
        waiting = [clients.submit(server.ask, "/whoami", headers_of("stored-slow-one")) for _ in range(3)]
        eventually("the load began", lambda: b"stored-slow-one" in server.ask("/told").body)
        assert server.ask("/whoami", headers_of("acme")).status == 200
        assert not any(each.done() for each in waiting)
        server.ask("/release?name=stored-slow-one")
        assert [each.result().status for each in waiting] == [200] * 3
    assert json.loads(server.ask("/told").body)["calls"]["stored-slow-one"] == 1


def test_server_client_disconnect_during_load_others_served(asgi_server: Server) -> None:
    headers = headers_of("stored-slow-hangup")
    with contextlib.closing(asgi_server.connection()) as leaving:
        servers.send(leaving, "/whoami", headers)
        eventually("the load began", lambda: b"stored-slow-hangup" in asgi_server.ask("/told").body)
    with contextlib.closing(asgi_server.connection()) as staying:
        servers.send(staying, "/whoami", headers)
        asgi_server.ask("/release?name=stored-slow-hangup")
        assert servers.receive(staying).status == 200
    assert json.loads(asgi_server.ask("/told").body)["calls"]["stored-slow-hangup"] == 1


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_gunicorn_preload_workers_share_loaded_app_and_load_new_one(kind: str, tmp_path: Path) -> None:
    options = ["--preload", "--workers", "2", "--worker-class", kind]
    if kind == "gthread":
        options += ["--threads", "1", "--worker-connections", "1"]  # so that one takes only one request at a time
    early, late = f"/meet?place={tmp_path / 'early'}", f"/meet?place={tmp_path / 'late'}"
    (tmp_path / "early").mkdir()
    (tmp_path / "late").mkdir()
    with (
        servers.gunicorn("tests.integration.wsgi_preloaded:app", *options) as server,
        ThreadPoolExecutor(2) as clients,
    ):
        for target, app in ((early, "stored-early"), (late, "stored-late")):
            asked = [clients.submit(server.ask, target, headers_of(app)) for _ in range(2)]
            told = [json.loads(each.result().body) for each in asked]
            assert {each["identity"] for each in told} == {f"{app}:ada"}
            assert len({each["pid"] for each in told}) == 2, "each of the two was answered by a worker of its own"
            calls = [each["calls"][app] for each in told]
            assert calls == [1, 1], "before the fork, once for both; after it, once by each"


# --- sockets


def _socket(server: Server, headers: list[tuple[str, str]]) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{server.port}/socket", additional_headers=headers, proxy=None, open_timeout=servers.DEADLINE
    )


def test_websocket_valid_token_opened(asgi_server: Server) -> None:
    with _socket(asgi_server, headers_of("acme")) as socket:
        assert socket.recv() == "acme:ada"
        socket.send("hello")
        assert socket.recv() == "hello"


@pytest.mark.parametrize(
    ("made", "status", "code", "reason"),
    [
        (lambda: headers_of("acme")[:1], 401, "missing_token", None),
        (lambda: forged_headers("acme"), 401, "invalid_token", "bad_signature"),
        (lambda: [*headers_of("acme"), ("X-App-Id", "lobby")], 400, "invalid_request", None),
        (lambda: headers_of("nobody"), 401, "unknown_app", None),
        (lambda: headers_of("lobby")[:1], 401, "missing_token", None),
    ],
)
def test_websocket_refused_problem_json_response(
    asgi_server: Server, made: Callable[[], list[tuple[str, str]]], status: int, code: str, reason: str | None
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        _socket(asgi_server, made())
    answer = refused.value.response
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["www-authenticate"].startswith('Bearer realm="wicket"')
    body = json.loads(answer.body or b"")
    assert (body["error"], body["reason"]) == (code, reason)


def _handshake(headers: list[tuple[str, str]], *, offers_answers: bool) -> Scope:
    return {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "path": "/socket",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "extensions": {"websocket.http.response": {}} if offers_answers else {},
        "subprotocols": [],
    }


def _shake_hands(
    app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, *, anonymous: bool = False
) -> list[Message]:
    """What the server is sent by `app` behind a gate; the client connects and then says nothing more."""
    sent: list[Message] = []

    async def main() -> None:
        coming: asyncio.Queue[Message] = asyncio.Queue()
        coming.put_nowait({"type": "websocket.connect"})

        async def send(message: Message) -> None:
            sent.append(message)

        with Gate([app_of("acme", allow_anonymous=anonymous)], app_locations=NAMING) as gate:
            await asyncio.wait_for(WicketMiddleware(app, gate)(scope, coming.get, send), 5)

    asyncio.run(main())
    return sent


async def _never_called(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("a refused handshake must not reach the application")


def test_websocket_refused_without_response_extension_closed_1008() -> None:
    sent = _shake_hands(_never_called, _handshake(forged_headers("acme"), offers_answers=False))
    assert [message["type"] for message in sent] == ["websocket.close"]
    assert sent[0]["code"] == 1008


def test_websocket_refused_with_response_extension_401() -> None:
    sent = _shake_hands(_never_called, _handshake(forged_headers("acme"), offers_answers=True))
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 401
    assert json.loads(sent[1]["body"])["reason"] == "bad_signature"


@pytest.mark.parametrize("has_received", [False, True])
@pytest.mark.parametrize("offers_answers", [False, True])
def test_websocket_application_refusal_before_accept_403_or_1008(offers_answers: bool, has_received: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if has_received:
            assert (await receive())["type"] == "websocket.connect"
        raise Refused(Refusal("insufficient_scope"))

    sent = _shake_hands(app, _handshake(headers_of("acme"), offers_answers=offers_answers))
    assert (sent[0].get("status") or sent[0].get("code")) == (403 if offers_answers else 1008)


def test_websocket_application_refusal_after_accept_raised() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        raise Refused(Refusal("insufficient_scope"))

    with pytest.raises(Refused):
        _shake_hands(app, _handshake(headers_of("acme"), offers_answers=True))


# --- another event loop


def test_asgi_middleware_trio_valid_token_204_forged_token_401() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(message)

    async def main() -> None:
        with Gate([app_of("acme")], app_locations=NAMING) as gate:
            for headers in (headers_of("acme"), forged_headers("acme")):
                scope = {**_handshake(headers, offers_answers=True), "type": "http", "method": "GET"}
                await WicketMiddleware(app, gate)(scope, receive, send)

    trio.run(main)
    assert [message["status"] for message in sent if "status" in message] == [204, 401]
