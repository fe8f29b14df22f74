"""Django Channels' `AuthMiddlewareStack` inside and outside of the gate. Prints what a consumer sees, as JSON.

Django is configured once per process, so this is a program of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import Any

from wicket import Gate, Secret, mint, profiles
from wicket.asgi import WicketMiddleware


def configure() -> None:
    """Configure Django with sessions in cookies, without a database."""
    conf: Any = importlib.import_module("django.conf")
    names = ("contenttypes", "auth", "sessions")
    conf.settings.configure(
        SECRET_KEY="x" * 50,
        INSTALLED_APPS=[f"django.contrib.{name}" for name in names],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    )
    importlib.import_module("django").setup()


async def consumer(scope: Any, receive: Any, send: Any) -> None:
    """Accept the socket, and send the class of the user and the user that the gate verified."""
    await receive()
    await send({"type": "websocket.accept"})
    decision = (scope.get("state") or {}).get("wicket")
    verified = decision.identity.user_id if decision is not None else None
    await send({"type": "websocket.send", "text": json.dumps([type(scope["user"]).__name__, verified])})
    await send({"type": "websocket.close"})


async def text_of(application: Any, headers: list[tuple[bytes, bytes]]) -> Any:
    """Connect a socket, and return what the consumer sends."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": headers, "subprotocols": []}
    await application(scope, receive, send)
    (text,) = [json.loads(message["text"]) for message in sent if "text" in message]
    return text


def main() -> None:
    """Print one line for each arrangement."""
    configure()
    stack: Any = importlib.import_module("channels.auth").AuthMiddlewareStack
    app = profiles.generic("acme", credentials=[Secret.from_hex("6c" * 31 + "02")])
    gate = Gate([app])
    headers = [(b"host", b"x"), (b"authorization", b"Bearer " + mint(app, "ada").encode())]
    rows = {
        "outside": (WicketMiddleware(stack(consumer), gate), headers),
        "outside, anonymous": (WicketMiddleware(stack(consumer), gate, optional=["/ws"]), headers[:1]),
        "outside, exempt": (WicketMiddleware(stack(consumer), gate, exempt=["/ws"]), headers),
        "inside": (stack(WicketMiddleware(consumer, gate)), headers),
        "inside, exempt": (stack(WicketMiddleware(consumer, gate, exempt=["/ws"])), headers),
    }
    print(json.dumps({name: asyncio.run(text_of(*row)) for name, row in rows.items()}))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
