"""What passes the gate under real servers, and around and inside mounts: streams, tasks, uploads and failures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from tests.integration import servers
from tests.integration.direct_calls import MEGABYTES, never_called_wsgi
from tests.integration.registry import forged_headers, headers_of
from tests.integration.servers import Server, eventually, read_head
from wicket import Gate
from wicket import wsgi as wsgi_door

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


# --- real servers: what passes


def test_server_valid_token_identity_forged_token_401(server: Server) -> None:
    known = server.ask("/whoami", [*headers_of("acme"), ("Remote-User", "root")])
    assert known.status == 200
    told = json.loads(known.body)
    assert (told["identity"], told["user"]) == ("acme:ada", "acme:ada")
    refused = server.ask("/whoami", forged_headers("acme"))
    assert refused.status == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert json.loads(refused.body)["reason"] == "bad_signature"


def test_server_streamed_response_arrives_chunk_by_chunk(server: Server, request: pytest.FixtureRequest) -> None:
    name = f"stream-{request.node.callspec.id}"
    with server.asking(f"/stream?name={name}", headers_of("acme")) as response:
        assert response.read(6) == b"first ", "the first chunk is here while the second is still to be made"
        server.ask(f"/release?name={name}")
        assert response.read() == b"second"


def test_server_client_disconnect_ends_stream(asgi_server: Server) -> None:
    with asgi_server.asking("/stream?name=left", headers_of("acme")) as response:
        assert response.read(6) == b"first "
    eventually("the application hears of it", lambda: b"left ended" in asgi_server.ask("/told").body)


def test_server_background_task_runs(asgi_server: Server) -> None:
    assert asgi_server.ask("/later?name=tidied", headers_of("acme")).body == b"soon"
    eventually("the task ran", lambda: "tidied" in json.loads(asgi_server.ask("/told").body)["happened"])


def test_server_lifespan_state_readable(asgi_server: Server) -> None:
    assert json.loads(asgi_server.ask("/whoami", headers_of("acme")).body)["state"] == "connected"


def test_server_application_error_500_forged_token_401(server: Server) -> None:
    assert server.ask("/fail", headers_of("acme")).status == 500
    assert server.ask("/fail", forged_headers("acme")).status == 401


def test_server_head_response_no_body_connection_reusable(server: Server) -> None:
    connection = server.connection()
    try:
        for headers, status in ((headers_of("acme"), 200), (forged_headers("acme"), 401), (headers_of("acme"), 200)):
            servers.send(connection, "/whoami", headers, method="HEAD")
            answer = servers.receive(connection)
            assert (answer.status, answer.body) == (status, b"")
            assert int(answer.headers["content-length"]) > 0, "as large as the answer to GET would be"
    finally:
        connection.close()


def test_server_upload_body_arrives_complete(server: Server) -> None:
    assert server.ask("/upload", headers_of("acme"), method="POST", body=b"x" * 300_000).body == b"300000"


def _head(path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode()


def test_server_refused_upload_401_before_body_sent(server: Server) -> None:
    head = _head("/upload", [*forged_headers("acme"), ("Content-Length", str(MEGABYTES))])
    with server.socket() as connection:
        connection.sendall(head)
        assert read_head(connection).startswith(b"HTTP/1.1 401 ")


def test_server_refused_expect_continue_401_without_100(asgi_server: Server) -> None:
    expect = [("Content-Length", str(MEGABYTES)), ("Expect", "100-continue")]
    with asgi_server.socket() as connection:
        connection.sendall(_head("/upload", [*forged_headers("acme"), *expect]))
        assert read_head(connection).startswith(b"HTTP/1.1 401 "), "no 100 Continue before the answer"


def test_server_allowed_expect_continue_100_then_200(server: Server) -> None:
    expect = [("Content-Length", "5"), ("Expect", "100-continue"), ("Connection", "close")]
    with server.socket() as connection:
        connection.sendall(_head("/upload", [*headers_of("acme"), *expect]))
        assert read_head(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(1) == b"5"


# --- mounts


def test_mounted_application_outer_gate_exempt_by_full_path(asgi_server: Server) -> None:
    told = json.loads(asgi_server.ask("/mount/whoami", headers_of("acme")).body)
    assert (told["identity"], told["mounted_at"]) == ("acme:ada", "/mount")
    assert asgi_server.ask("/mount/whoami").status == 401
    assert asgi_server.ask("/mount/open").status == 401, "exempt is /open, not what is mounted and called so"


def test_mounted_asgi_gate_paths_relative_to_mount(asgi_server: Server) -> None:
    told = json.loads(asgi_server.ask("/gated/whoami", headers_of("acme")).body)
    assert (told["identity"], told["mounted_at"]) == ("acme:ada", "/gated")
    assert asgi_server.ask("/gated/whoami").status == 401
    assert asgi_server.ask("/gated/open").body == b"open"
    assert asgi_server.ask("/gated//open").status == 401


def test_mounted_wsgi_gate_paths_relative_to_mount(gate: Gate) -> None:
    def inner(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["SCRIPT_NAME"].encode()]

    gated = wsgi_door.WicketMiddleware(inner, gate, exempt=["/open"])
    client = Client(DispatcherMiddleware(never_called_wsgi, {"/mount": gated}))
    assert client.get("/mount/open").data == b"/mount"
    assert client.get("/mount/whoami").status_code == 401
    assert client.get("/mount/mount/open").status_code == 401
    assert client.get("/mount/whoami", headers=headers_of("acme")).data == b"/mount"


def test_server_root_path_not_part_of_matched_path() -> None:
    with servers.uvicorn("tests.integration.asgi_site:app", "--root-path", "/behind/proxy") as server:
        assert server.ask("/open").body == b"open"
        assert server.ask("/whoami", headers_of("acme")).status == 200
        assert server.ask("/secret").status == 401
        assert server.ask("/open/../secret").status == 401
