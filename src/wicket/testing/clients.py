"""Make a test client of any framework, or of httpx, send every request as one user.

This module imports no framework. It recognises a client by its attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from wicket.config.app import App
from wicket.config.locations import AppLocation, ClientDefaults, TokenLocation
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
            or if no token location of the app can be sent with each request: a body and a subprotocol belong to one.
    """
    gate = gate or _find_gate(client)
    tenant = app if isinstance(app, App) else _find_app(gate, app)
    value = token or mint(tenant, user_id, ttl=ttl, attributes=attributes, claims=claims, now=gate.clock())
    defaults = ClientDefaults()
    names = {ref.kind: ref.value for ref in reversed(tenant.refs())}  # of several names of one kind, the first
    own = [location for location in gate.app_locations if location in tenant.app_locations]
    _write_first(defaults, ((location, names.get(location.kind)) for location in own or gate.app_locations))
    if not _write_first(defaults, ((location, value) for location in tenant.token_locations)):
        raise config_error(
            "app", "has no token location of headers, query or cookies", "send mint(app, user_id) in each request"
        )
    add_to_requests(client, defaults.headers, defaults.query, defaults.cookies)
    return client


def _write_first(defaults: ClientDefaults, values: Iterable[tuple[AppLocation | TokenLocation, str | None]]) -> bool:
    """Write a value to the first location that a client can send with each request. Return whether there is one."""
    return any(value is not None and location.write(defaults, value) for location, value in values)


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
