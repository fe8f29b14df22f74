"""Tokens in bodies under real servers: found up to the limit, and every body arrives whole, whatever was looked at."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration import servers
from tests.integration.body_apps import BODY_TIMEOUT, PAGE, body_of, token_of
from tests.integration.servers import Answer, Server, read_head

LIMIT: Final = 65_536
JSON: Final = ("Content-Type", "application/json")
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "uvicorn": (),
    "sync": ("--worker-class", "sync"),
    "gthread": ("--worker-class", "gthread", "--threads", "4"),
}


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    kind = request.param
    if kind == "uvicorn":
        running = servers.uvicorn("tests.integration.body_asgi_site:app")
    else:
        running = servers.gunicorn("tests.integration.body_wsgi_site:app", *KINDS[kind])
    with running as server:
        yield server


def told(answer: Answer) -> Any:
    return json.loads(answer.body)


def arrived_whole(answer: Answer, body: bytes) -> Any:
    seen = told(answer)
    assert (answer.status, seen["size"], seen["digest"]) == (200, len(body), hashlib.sha256(body).hexdigest())
    return seen["user"]


def chunked(server: Server, target: str, parts: Iterator[bytes], *headers: tuple[str, str]) -> Answer:
    with contextlib.closing(server.connection()) as connection:
        connection.putrequest("POST", target)
        for name, value in (*headers, ("Transfer-Encoding", "chunked")):
            connection.putheader(name, value)
        connection.endheaders()
        for part in parts:
            connection.send(b"%x\r\n%s\r\n" % (len(part), part))
        connection.send(b"0\r\n\r\n")
        return servers.receive(connection)


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


@pytest.mark.parametrize("encoding", ["with a length", "chunked"])
@pytest.mark.parametrize("size", [300, 8192, LIMIT - 1, LIMIT])
def test_json_body_up_to_limit_token_verified_body_intact(server: Server, size: int, encoding: str) -> None:
    body = body_of("acme", size)
    assert len(body) == size
    if encoding == "chunked":
        answer = chunked(server, "/digest", cut(body, 7_001), JSON)
    else:
        answer = server.ask("/digest", [JSON], method="POST", body=body)
    assert arrived_whole(answer, body) == "ada"


@pytest.mark.parametrize("encoding", ["with a length", "chunked"])
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 8_192, 300_000])
@pytest.mark.parametrize("app", ["lobby", "watched"])
def test_json_body_above_limit_no_token_body_intact(server: Server, app: str, size: int, encoding: str) -> None:
    body = body_of(app, size)
    headers = [JSON, ("X-App-Id", app)]
    if encoding == "chunked":
        answer = chunked(server, "/digest", cut(body, 50_000), *headers)
    else:
        answer = server.ask("/digest", headers, method="POST", body=body)
    assert arrived_whole(answer, body) is None


def test_json_body_above_limit_required_token_missing_token(server: Server) -> None:
    body = body_of("acme", LIMIT + 1)
    answer = server.ask("/digest", [JSON, ("X-App-Id", "acme")], method="POST", body=body)
    assert (answer.status, told(answer)["error"]) == (401, "missing_token")
    assert told(server.ask("/digest", [JSON], method="POST", body=body))["error"] == "unknown_app"


def test_json_body_unread_by_application_connection_reusable(server: Server) -> None:
    with contextlib.closing(server.connection()) as connection:
        for _ in range(2):  # and the connection still holds
            servers.send(connection, "/ignore", [JSON], method="POST", body=body_of("acme", 5_000))
            assert told(servers.receive(connection)) == "ada"


@pytest.mark.parametrize("app", ["lobby", "watched"])
@pytest.mark.parametrize("target", ["/digest", "/greet"])
def test_json_body_slower_than_timeout_no_token_body_intact(
    server: Server, app: str, target: str, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["server"]
    body = body_of(app, 20_000)
    with contextlib.closing(server.socket()) as connection:
        connection.sendall(f"POST {target} HTTP/1.1\r\nHost: test\r\nX-App-Id: {app}\r\n".encode())
        connection.sendall(b"Content-Type: application/json\r\nContent-Length: 20000\r\nConnection: close\r\n\r\n")
        connection.sendall(body[:9_000])
        time.sleep(BODY_TIMEOUT * 1.5)  # this is what is tested: a client that pauses for longer than the limit
        connection.sendall(body[9_000:])
        assert b" 200 " in read_head(connection)
        seen = json.loads(_json_in(_rest(connection)))
    assert (seen["size"], seen["digest"]) == (20_000, hashlib.sha256(body).hexdigest())
    # A WSGI read that began in time blocks until the rest is there, and what is there counts.
    assert seen["user"] == (None if kind == "uvicorn" else "ada")


def _rest(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def _json_in(raw: bytes) -> bytes:
    return raw[raw.index(b"{") : raw.rindex(b"}") + 1]


def test_json_body_client_disconnect_later_request_served(server: Server) -> None:
    for app in ("acme", "lobby", "watched"):
        for sent in (0, 10, 9_000):
            with contextlib.closing(server.socket()) as leaving:
                leaving.sendall(f"POST /digest HTTP/1.1\r\nHost: test\r\nX-App-Id: {app}\r\n".encode())
                leaving.sendall(b"Content-Type: application/json\r\nContent-Length: 20000\r\n\r\n" + b"x" * sent)
            with contextlib.closing(server.socket()) as leaving:
                leaving.sendall(f"POST /digest HTTP/1.1\r\nHost: test\r\nX-App-Id: {app}\r\n".encode())
                leaving.sendall(b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                leaving.sendall(b"2328\r\n" + b"x" * sent)
    body = body_of("acme", 5_000)
    assert arrived_whole(server.ask("/digest", [JSON], method="POST", body=body), body) == "ada"


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_non_json_body_refused_without_waiting(server: Server, kind: str, request: pytest.FixtureRequest) -> None:
    """The answer to a refused request comes though its body never does. JSON is waited for: on WSGI without end."""
    took = _answered_in(server, kind)
    if request.node.callspec.params["server"] == "uvicorn":
        assert took < _answered_in(server, "application/json")


def _answered_in(server: Server, kind: str) -> float:
    """After how many seconds a request is refused whose body, of this type, never comes."""
    with contextlib.closing(server.socket()) as connection:
        connection.sendall(
            f"POST /digest HTTP/1.1\r\nHost: test\r\nX-App-Id: acme\r\nContent-Type: {kind}\r\n".encode()
        )
        begun = time.monotonic()
        connection.sendall(b"Content-Length: 5000\r\n\r\n")
        assert b" 401 " in read_head(connection)
        return time.monotonic() - begun


def peak_of(pid: int) -> int:
    """The greatest resident memory of a process so far, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("the system tells no peak")


def test_large_body_10_mb_passes_without_buffering(server: Server) -> None:
    pid = told(server.ask("/control"))["pid"]
    try:
        before = peak_of(pid)
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from now on, not from the imports
    except OSError:
        pytest.skip("the system tells no peak of a process's memory")
    part = bytes(range(256)) * 256
    body = part * 160
    headers = (JSON, ("X-App-Id", "acme"), ("Authorization", f"Bearer {token_of('acme')}"))
    assert arrived_whole(server.ask("/digest", [*headers], method="POST", body=part), part) == "ada"
    before = peak_of(pid)
    assert arrived_whole(chunked(server, "/digest", cut(body, len(part)), *headers), body) == "ada"
    # and where the body is looked into, until it turns out too large
    looked = (JSON, ("X-App-Id", "watched"))
    assert arrived_whole(chunked(server, "/digest", cut(body, len(part)), *looked), body) is None
    assert peak_of(pid) - before < 4_096


# --- pages


def page_headers(answer: Answer) -> tuple[str | None, str | None]:
    return answer.headers.get("access-control-allow-origin"), answer.headers.get("vary")


def test_cors_allowed_origin_every_response_has_headers(server: Server) -> None:
    known = [("X-App-Id", "acme"), ("Authorization", f"Bearer {token_of('acme')}"), ("Origin", PAGE)]
    for target, headers, status in (
        ("/ignore", known, 200),
        ("/nowhere", known, 404),
        ("/fail", known, 500),
        ("/ignore", [known[0], known[2]], 401),
        ("/ignore", [known[2]], 401),
        ("/ignore", [*known, known[1]], 400),
    ):
        answer = server.ask(target, headers)
        assert answer.status == status
        assert page_headers(answer) == (PAGE, "Origin")
        assert answer.headers["access-control-expose-headers"] == "WWW-Authenticate, Retry-After"
        assert "access-control-allow-credentials" not in answer.headers


def test_cors_disallowed_origin_403_without_allow_origin(server: Server) -> None:
    known = [("X-App-Id", "acme"), ("Authorization", f"Bearer {token_of('acme')}")]
    for origin in ("https://evil.example", "null", f"{PAGE}.evil.example"):
        answer = server.ask("/ignore", [*known, ("Origin", origin)])
        assert (answer.status, *page_headers(answer)) == (403, None, "Origin")


@pytest.mark.parametrize(("origin", "status"), [(PAGE, 204), ("https://evil.example", 403)])
def test_cors_preflight_answered_before_application(server: Server, origin: str, status: int) -> None:
    asked = [("Origin", origin), ("Access-Control-Request-Method", "POST")]
    answer = server.ask("/fail?app=acme", asked, method="OPTIONS")
    assert answer.status == status
    assert ("access-control-allow-origin" in answer.headers) is (status == 204)
    assert server.ask("/fail", asked, method="OPTIONS").headers["access-control-allow-origin"] == origin


def test_cors_allowed_origin_body_unchanged(server: Server) -> None:
    known = [("X-App-Id", "acme"), ("Authorization", f"Bearer {token_of('acme')}")]
    assert server.ask("/ignore", known).body == server.ask("/ignore", [*known, ("Origin", PAGE)]).body
    assert server.ask("/ignore", known, method="HEAD").body == b""
