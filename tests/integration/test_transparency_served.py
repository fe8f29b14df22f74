"""What passes the gate under real servers, and around and inside mounts: streams, tasks, uploads and failures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from tests.integration import servers
from tests.integration.by_hand import MEGABYTES, never_called_wsgi
from tests.integration.servers import Server, eventually, read_head
from tests.integration.shelf import forged_headers, headers_of
from wicket import Gate
from wicket import wsgi as wsgi_door

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


# --- real servers: what passes


def test_a_user_is_known_and_a_stranger_is_not(server: Server) -> None:
    known = server.ask("/whoami", [*headers_of("acme"), ("Remote-User", "root")])
    assert known.status == 200
    told = json.loads(known.body)
    assert (told["identity"], told["user"]) == ("acme:ada", "acme:ada")
    refused = server.ask("/whoami", forged_headers("acme"))
    assert refused.status == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert json.loads(refused.body)["reason"] == "bad_signature"


def test_a_stream_arrives_chunk_by_chunk(server: Server, request: pytest.FixtureRequest) -> None:
    name = f"stream-{request.node.callspec.id}"
    with server.asking(f"/stream?name={name}", headers_of("acme")) as response:
        assert response.read(6) == b"first ", "the first chunk is here while the second is still to be made"
        server.ask(f"/release?name={name}")
        assert response.read() == b"second"


def test_a_client_that_leaves_ends_the_stream(asgi_server: Server) -> None:
    with asgi_server.asking("/stream?name=left", headers_of("acme")) as response:
        assert response.read(6) == b"first "
    eventually("the application hears of it", lambda: b"left ended" in asgi_server.ask("/told").body)


def test_background_tasks_run(asgi_server: Server) -> None:
    assert asgi_server.ask("/later?name=tidied", headers_of("acme")).body == b"soon"
    eventually("the task ran", lambda: "tidied" in json.loads(asgi_server.ask("/told").body)["happened"])


def test_the_state_of_the_lifespan_is_there(asgi_server: Server) -> None:
    assert json.loads(asgi_server.ask("/whoami", headers_of("acme")).body)["state"] == "connected"


def test_a_failing_application_is_still_a_500(server: Server) -> None:
    assert server.ask("/fail", headers_of("acme")).status == 500
    assert server.ask("/fail", forged_headers("acme")).status == 401


def test_head_has_no_body_and_the_connection_goes_on(server: Server) -> None:
    connection = server.connection()
    try:
        for headers, status in ((headers_of("acme"), 200), (forged_headers("acme"), 401), (headers_of("acme"), 200)):
            servers.send(connection, "/whoami", headers, method="HEAD")
            answer = servers.receive(connection)
            assert (answer.status, answer.body) == (status, b"")
            assert int(answer.headers["content-length"]) > 0, "as large as the answer to GET would be"
    finally:
        connection.close()


def test_an_upload_arrives_whole(server: Server) -> None:
    assert server.ask("/upload", headers_of("acme"), method="POST", body=b"x" * 300_000).body == b"300000"


def _head(path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode()


def test_a_refused_upload_is_answered_before_it_is_sent(server: Server) -> None:
    head = _head("/upload", [*forged_headers("acme"), ("Content-Length", str(MEGABYTES))])
    with server.socket() as connection:
        connection.sendall(head)
        assert read_head(connection).startswith(b"HTTP/1.1 401 ")


def test_a_refused_client_that_waits_is_never_told_to_continue(asgi_server: Server) -> None:
    expect = [("Content-Length", str(MEGABYTES)), ("Expect", "100-continue")]
    with asgi_server.socket() as connection:
        connection.sendall(_head("/upload", [*forged_headers("acme"), *expect]))
        assert read_head(connection).startswith(b"HTTP/1.1 401 "), "no 100 Continue before the answer"


def test_a_passing_client_that_waits_is_told_to_continue(server: Server) -> None:
    expect = [("Content-Length", "5"), ("Expect", "100-continue"), ("Connection", "close")]
    with server.socket() as connection:
        connection.sendall(_head("/upload", [*headers_of("acme"), *expect]))
        assert read_head(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(1) == b"5"


# --- mounts


def test_a_mounted_application_stands_behind_the_gate_around_all(asgi_server: Server) -> None:
    told = json.loads(asgi_server.ask("/mount/whoami", headers_of("acme")).body)
    assert (told["identity"], told["mounted_at"]) == ("acme:ada", "/mount")
    assert asgi_server.ask("/mount/whoami").status == 401
    assert asgi_server.ask("/mount/open").status == 401, "exempt is /open, not what is mounted and called so"


def test_a_gate_inside_a_mount_counts_paths_from_there(asgi_server: Server) -> None:
    told = json.loads(asgi_server.ask("/gated/whoami", headers_of("acme")).body)
    assert (told["identity"], told["mounted_at"]) == ("acme:ada", "/gated")
    assert asgi_server.ask("/gated/whoami").status == 401
    assert asgi_server.ask("/gated/open").body == b"open"
    assert asgi_server.ask("/gated//open").status == 401


def test_a_gate_inside_a_wsgi_mount_counts_paths_from_there(gate: Gate) -> None:
    def inner(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["SCRIPT_NAME"].encode()]

    gated = wsgi_door.WicketMiddleware(inner, gate, exempt=["/open"])
    client = Client(DispatcherMiddleware(never_called_wsgi, {"/mount": gated}))
    assert client.get("/mount/open").data == b"/mount"
    assert client.get("/mount/whoami").status_code == 401
    assert client.get("/mount/mount/open").status_code == 401
    assert client.get("/mount/whoami", headers=headers_of("acme")).data == b"/mount"


def test_a_root_path_of_the_server_is_no_part_of_the_path() -> None:
    with servers.uvicorn("tests.integration.asgi_site:app", "--root-path", "/behind/proxy") as server:
        assert server.ask("/open").body == b"open"
        assert server.ask("/whoami", headers_of("acme")).status == 200
        assert server.ask("/secret").status == 401
        assert server.ask("/open/../secret").status == 401
