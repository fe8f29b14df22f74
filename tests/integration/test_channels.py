"""Django Channels: the plain middleware around the consumers, inside Channels' own `AuthMiddlewareStack`."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.testing import HttpCommunicator, WebsocketCommunicator
from django.core.asgi import get_asgi_application
from django.urls import path

from wicket import Gate, Secret, profiles
from wicket.asgi import WicketMiddleware
from wicket.testing import as_user

GATE = Gate(
    [
        profiles.generic(
            "acme",
            credentials=[Secret.from_text("7d1e-43b0-acme-9c52-e8f6-017a-b4d3-65ce")],
            origins=["https://acme.example"],
        )
    ]
)


class Consumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        scope: Any = self.scope
        decision = scope["state"]["wicket"]
        assert scope["user"] is decision.identity
        await self.accept()
        await self.send(text_data=decision.require().identity)


def application() -> Any:
    """The gate is inside `AuthMiddlewareStack`, which sets `scope["user"]` to the user of Django's session."""
    consumer: Any = Consumer.as_asgi()
    routes: Any = URLRouter([path("ws", consumer)])
    django: Any = get_asgi_application()
    socket: Any = WicketMiddleware(routes, GATE)
    return ProtocolTypeRouter({"http": WicketMiddleware(django, GATE), "websocket": AuthMiddlewareStack(socket)})


async def open_socket(*, user: bool) -> tuple[bool, str]:
    communicator = WebsocketCommunicator(application(), "/ws")
    if user:
        as_user(communicator, "ada", app="acme", gate=GATE)
    connected, _ = await communicator.connect(timeout=60)
    text = str(await communicator.receive_from(timeout=60)) if connected else ""
    await communicator.disconnect(timeout=60)
    return connected, text


def test_channels_consumer_gets_identity_of_verified_user() -> None:
    assert asyncio.run(open_socket(user=True)) == (True, "acme:ada")


def test_channels_handshake_without_token_is_refused() -> None:
    assert asyncio.run(open_socket(user=False)) == (False, "")


def test_channels_http_request_without_token_is_refused() -> None:
    async def ask() -> Any:
        return await HttpCommunicator(application(), "GET", "/nowhere").get_response(timeout=60)

    assert asyncio.run(ask())["status"] == 401
