"""Path variants through real servers, whose scopes differ: uvicorn adds the root to every path, hypercorn does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration import servers
from tests.integration.routers.path_variants import GATED, OPEN, path_variants
from tests.integration.servers import Server

pytestmark = pytest.mark.long

SITES = "tests.integration.routers.sites"
SERVED = {
    "uvicorn h11 quart": (servers.uvicorn, "quart", ("--http", "h11", "--root-path", "/app")),
    "uvicorn httptools litestar": (servers.uvicorn, "litestar", ("--http", "httptools", "--root-path", "/app")),
    "uvicorn fastapi": (servers.uvicorn, "fastapi", ("--http", "h11")),
    "hypercorn litestar": (servers.hypercorn, "litestar", ("--root-path", "/app")),
}


@pytest.fixture(scope="module", params=list(SERVED))
def served(request: pytest.FixtureRequest) -> Iterator[Server]:
    start, name, options = SERVED[request.param]
    with start(f"{SITES}:{name}", *options) as server:
        yield server


def test_s1_server_gated_path_variant_never_reaches_handler(served: Server) -> None:
    reached = {}
    for target in path_variants(GATED[:1], "/app"):
        if "\\" in target or " " in target:
            continue  # no client can send it
        with served.socket() as connection:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
            response = b"".join(iter(lambda: connection.recv(65536), b""))
        if response.endswith(tuple(path.encode() for path in GATED)):
            reached[target] = response
    assert reached == {}


def test_s1_server_exempt_path_served_without_token(served: Server) -> None:
    bodies = {path: [served.ask(target).body for target in (path, f"/app{path}")] for path in OPEN}
    assert all(path.encode() in responses for path, responses in bodies.items()), bodies
    assert served.ask("/app/admin/secret").status in (401, 404)
    assert served.ask("/admin/secret").status in (401, 404)
