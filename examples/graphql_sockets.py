"""GraphQL over WebSocket: the token comes in `connection_init`, and the WebSocket ends with it.

The server is Strawberry. The client is gql, which connects again with a new token when the old one has expired.

Run it:  python examples/graphql_sockets.py      (needs strawberry-graphql, gql[websockets] and uvicorn)
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import strawberry
import uvicorn
from gql import Client, gql
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.types import Info
from websockets.exceptions import ConnectionClosed

from wicket import Gate, Secret, mint, profiles
from wicket.asgi import WicketMiddleware, watch

SECRET = Secret.from_hex(os.environ.get("ACME_SECRET", "5f" * 31 + "01"))
ACME = profiles.generic("acme", credentials=[SECRET], origins=["https://acme.example"], leeway=0)
GATE = Gate([ACME])


@strawberry.type
class Query:
    name: str = "acme"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, info: Info[dict[str, Any], None]) -> AsyncIterator[str]:
        for number in range(1000):
            yield f"tick {number} for {info.context['user']}"
            await asyncio.sleep(0.2)


class Endpoint(GraphQL[dict[str, Any], None]):
    """Verifies the token of `connection_init`, and lets the gate watch it."""

    async def on_ws_connect(self, context: dict[str, Any]) -> Any:
        socket: WebSocket = context["request"]
        token = context["connection_params"].get("token")
        # Verify the token of the message as one of a header. The app is known: it is the gate's only one.
        decision = await GATE.averify(token, app="acme", origin=socket.headers.get("origin"))
        if not decision.allowed:
            raise ConnectionRejectionError  # graphql-transport-ws: close 4403
        watch(socket.scope, decision)  # from now on, the gate closes the WebSocket when the token expires: 4401
        context["user"] = decision.identity.user_id
        return await super().on_ws_connect(context)


endpoint = Endpoint(strawberry.Schema(Query, subscription=Subscription))
site = Starlette(routes=[WebSocketRoute("/graphql", endpoint)])
# The handshake has no token, so the path is optional: an anonymous handshake passes, and `on_ws_connect` decides.
app = WicketMiddleware(site, GATE, optional=["/graphql"], close_on_expiry=True)


async def read(url: str, token: str) -> None:
    """Print the first tick, and read on until the server closes the WebSocket."""
    protocol = WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL  # graphql-transport-ws
    transport = WebsocketsTransport(url, init_payload={"token": token}, subprotocols=[protocol])
    async with Client(transport=transport) as session:
        first = True
        async for result in session.subscribe(gql("subscription { ticks }")):
            if first:
                print(result["ticks"])
                first = False


def close_frame(error: BaseException | None) -> str:
    """The close code and the reason with which the server has closed the WebSocket."""
    while error is not None and not isinstance(error, ConnectionClosed):
        error = error.__cause__ or error.__context__
    frame = error.rcvd if error is not None else None
    return f"{frame.code} {frame.reason}" if frame is not None else "unknown"


async def client(url: str) -> None:
    for attempt in range(3):
        try:
            # A new token for each connection: its life is short, so that the example ends soon.
            now = time.time()
            await read(url, mint(ACME, "user-1", claims={"iat": now, "exp": now + 1}))
        except TransportError as error:
            print(f"connection {attempt + 1} ended: {close_frame(error)}")
    try:
        await read(url, "not a token")
    except TransportError as error:
        print(f"without a valid token: {close_frame(error)}")


async def main() -> None:
    logging.getLogger("wicket").setLevel(logging.CRITICAL)
    logging.getLogger("gql").setLevel(logging.CRITICAL)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await client(f"ws://127.0.0.1:{port}/graphql")
    server.should_exit = True
    await serving
    GATE.close()


if __name__ == "__main__":
    asyncio.run(main())
