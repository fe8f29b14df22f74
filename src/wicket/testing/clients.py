"""Make a test client of any framework, or of httpx, send every request as one user.

This module imports no framework. It recognises a client by its attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from wicket.config.app import App
from wicket.config.locations import Bearer, Cookie, Header, Host, JsonBody, PublishableKeyBearer, Query, Subprotocol
from wicket.errors import config_error
from wicket.gate import Gate
from wicket.minting import mint
from wicket.testing.client_kinds import add_to_requests

C = TypeVar("C")

_WRAPPER_ATTRIBUTES = ("app", "application", "wsgi_app", "asgi_app", "_transport", "wrapped_app", "_app")


def as_user(
    client: C,
    user_id: str,
    *,
    app: App | str,
    gate: Gate | None = None,
    ttl: float = 3600,
    token: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    **claims: Any,
) -> C:
    """Make `client` send each request as one user of one app.

    Args:
        client: A test client of Starlette, FastAPI, Litestar, Flask, Werkzeug, Quart, Django, Django REST framework,
            Falcon or aiohttp, a communicator of Channels, or a client of httpx. It is changed in place.
        user_id: The user id.
        app: The app, or its id.
        gate: The gate. If None, it is found in the application of `client`, or in Django's settings.
        ttl: The lifetime of the token by the gate's clock, in seconds.
        token: A token to send in place of a new one. It is required if the app's tokens are signed by a private key,
            which the gate does not have: `mint(app, user_id, key=private_key)`.
        attributes: The user's attributes. They are placed where the app's rules expect them.
        claims: Further claims of the token.

    Returns:
        `client`.

    Raises:
        ConfigError: If the gate or the app is not found; if no token that the app accepts can be signed (see `mint`);
            or if the app accepts tokens only in bodies or subprotocols, which belong to single requests.
    """
    gate = gate or _find_gate(client)
    tenant = app if isinstance(app, App) else _find_app(gate, app)
    value = token or mint(tenant, user_id, ttl=ttl, attributes=attributes, claims=claims, now=gate.clock())
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    cookies: dict[str, str] = {}
    for app_location in gate.app_locations:
        if isinstance(app_location, PublishableKeyBearer) and tenant.publishable_key is not None:
            headers["authorization"] = f"Bearer {tenant.publishable_key}"
            break
        if isinstance(app_location, Header):
            headers[app_location.name] = tenant.id
            break
        if isinstance(app_location, Query) and app_location in tenant.app_locations:
            query[app_location.name] = tenant.id
            break
        if isinstance(app_location, Host) and tenant.hosts:
            headers["host"] = tenant.hosts[0]
            break
    for location in tenant.token_locations:
        if isinstance(location, Bearer):
            headers["authorization"] = f"Bearer {value}"
        elif isinstance(location, Header):
            headers[location.name] = value
        elif isinstance(location, Query):
            query[location.name] = value
        elif isinstance(location, Cookie):
            cookies[location.name] = value
        else:
            continue  # a body or a subprotocol belongs to one request
        break
    else:
        if any(isinstance(location, (JsonBody, Subprotocol)) for location in tenant.token_locations):
            raise config_error(
                "app", "accepts tokens only in bodies or subprotocols", "send mint(app, user_id) in each request"
            )
    add_to_requests(client, headers, query, cookies)
    return client


def _find_gate(client: object) -> Gate:
    """Return the gate of a middleware that wraps the client's application, or is registered in it."""
    if any(kind.__module__.startswith("django.test") for kind in type(client).__mro__):
        from wicket.contrib.django import configured_gate

        return configured_gate()
    seen: set[int] = set()
    pending: list[object] = [client]
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        for value in (getattr(part, "gate", None), getattr(part, "kwargs", {}), *getattr(part, "args", ())):
            gate = value.get("gate") if isinstance(value, dict) else value
            if isinstance(gate, Gate):
                return gate
        pending.extend(getattr(part, "user_middleware", ()))
        middleware = getattr(part, "middleware", None)  # of Litestar
        if isinstance(middleware, list):
            pending.extend(middleware)
        extensions = getattr(part, "extensions", None)  # of Flask, where a gated blueprint has its gates
        if isinstance(extensions, dict):
            pending.extend(gate for gates in extensions.get("wicket", {}).values() for gate in gates)
        pending.extend(getattr(part, name, None) for name in _WRAPPER_ATTRIBUTES)
    raise config_error("gate", "was not found in the application of this client", "as_user(..., gate=gate)")


def _find_app(gate: Gate, id: str) -> App:
    for app in gate.apps:
        if app.id == id:
            return app
    raise config_error("app", f"the gate has no app with the id {id!r} in code", "pass the App itself")
