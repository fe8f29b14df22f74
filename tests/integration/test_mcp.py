"""The MCP SDK: its real client calls a tool through uvicorn, with the SDK's token verifier and with the middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.integration import servers
from tests.integration.mcp_site import APPS, gate
from tests.integration.servers import Server
from wicket import mint
from wicket.testing import as_user


@pytest.fixture(scope="module", params=["verified", "gated"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with servers.uvicorn(f"tests.integration.mcp_site:{request.param}") as server:
        yield server


async def call_tool(server: Server, app: str) -> str:
    url = f"http://127.0.0.1:{server.port}/mcp"
    async with httpx2.AsyncClient() as http:
        as_user(http, "ada", app=APPS[app], gate=gate, scope="tools")
        async with (
            streamable_http_client(url, http_client=http) as streams,
            ClientSession(streams[0], streams[1]) as session,
        ):
            await session.initialize()
            result: Any = await session.call_tool("whoami", {})
            text: str = result.content[0].text
            return text


def test_mcp_client_with_token_calls_tool_as_user(server: Server) -> None:
    assert asyncio.run(call_tool(server, "acme")) == "acme:ada"


@pytest.mark.parametrize("token", [None, "nonsense", "globex"])
def test_mcp_request_without_valid_token_is_401(server: Server, token: str | None) -> None:
    headers = {"X-App-Id": "acme", "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    if token is not None:
        value = mint(APPS["globex"], "ada", claims={"scope": "tools"}) if token == "globex" else token
        headers["Authorization"] = f"Bearer {value}"
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    answer = server.ask("/mcp", list(headers.items()), method="POST", body=body, host=f"127.0.0.1:{server.port}")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
