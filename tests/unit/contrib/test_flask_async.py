"""Async views in Flask: `requires_identity` awaits them."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tests.support.unit import KEY, acme, token
from wicket import Gate, Secret
from wicket.contrib.flask import Wicket, current_identity, requires_identity


def test_requires_identity_async_view_returns_its_response() -> None:
    app = Flask("site")
    Wicket(Gate([acme(credentials=[Secret(KEY)])], clock=lambda: 1_800_000_000)).init_app(app)

    @app.get("/me")
    @requires_identity()
    async def me() -> dict[str, Any]:
        return {"user": current_identity.user_id}

    client = app.test_client()
    response = client.get("/me", headers={"X-App-Id": "acme", "Authorization": f"Bearer {token()}"})
    assert (response.status_code, response.json) == (200, {"user": "user-1"})
    assert client.get("/me", headers={"X-App-Id": "acme"}).status_code == 401
