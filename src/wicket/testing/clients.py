"""Test clients that send every request as one user: Starlette's, Flask's, and httpx's, sync and async.

Nothing is imported from a framework here: a client is known by what it offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from wicket.config.app import App
from wicket.config.locations import Bearer, Cookie, Header, Host, JsonBody, PublishableKeyBearer, Query, Subprotocol
from wicket.errors import config_error
from wicket.gate import Gate
from wicket.minting import mint

C = TypeVar("C")

_INNER = ("app", "application", "wsgi_app", "_transport", "wrapped_app", "_app")


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
    """Let `client` send each request as the user `user_id` of `app`, and return it.

    `app` is the app or its id; `gate` is found behind the client's application where it is not given. The token lives
    `ttl` seconds from the gate's clock, with `attributes` where the app's rules have them and `claims` besides. An app
    whose tokens are signed elsewhere (by a private key) needs a `token`.

    Raises `ConfigError` where the gate or the app is not found, where nothing can be signed for the app, and where its
    tokens ride only in bodies or subprotocols, which belong to single requests.
    """
    gate = gate or _find_gate(client)
    found = app if isinstance(app, App) else _find_app(gate, app)
    text = token or mint(found, user_id, ttl=ttl, attributes=attributes, claims=claims, now=gate.clock())
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    cookies: dict[str, str] = {}
    for place in gate.app_locations:
        if isinstance(place, PublishableKeyBearer) and found.publishable_key is not None:
            headers["authorization"] = f"Bearer {found.publishable_key}"
            break
        if isinstance(place, Header):
            headers[place.name] = found.id
            break
        if isinstance(place, Query) and place in found.app_locations:
            query[place.name] = found.id
            break
        if isinstance(place, Host) and found.hosts:
            headers["host"] = found.hosts[0]
            break
    for holder in found.token_locations:
        if isinstance(holder, Bearer):
            headers["authorization"] = f"Bearer {text}"
        elif isinstance(holder, Header):
            headers[holder.name] = text
        elif isinstance(holder, Query):
            query[holder.name] = text
        elif isinstance(holder, Cookie):
            cookies[holder.name] = text
        else:
            continue  # a body or a subprotocol, which belongs to one request
        break
    else:
        if any(isinstance(holder, (JsonBody, Subprotocol)) for holder in found.token_locations):
            raise config_error("app", "has its tokens in bodies or subprotocols only", "send mint(app, user_id) there")
    _apply(client, headers, query, cookies)
    return client


def _find_gate(client: object) -> Gate:
    """The gate that stands before the client's application: in a middleware, or in the list of those to come."""
    seen: set[int] = set()
    waiting: list[object] = [client]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        for held in (getattr(each, "gate", None), getattr(each, "kwargs", {}), *getattr(each, "args", ())):
            gate = held.get("gate") if isinstance(held, dict) else held
            if isinstance(gate, Gate):
                return gate
        waiting.extend(getattr(each, "user_middleware", ()))
        waiting.extend(getattr(each, name, None) for name in _INNER)
    raise config_error("gate", "was not found behind this client", "give it: as_user(..., gate=gate)")


def _find_app(gate: Gate, id: str) -> App:
    for app in gate.apps:
        if app.id == id:
            return app
    raise config_error("app", f"the gate has no app with the id {id!r} in code", "give the App itself")


def _apply(client: Any, headers: dict[str, str], query: dict[str, str], cookies: dict[str, str]) -> None:
    if hasattr(client, "environ_base"):
        _apply_to_werkzeug(client, headers, query, cookies)
        return
    client.headers.update(headers)
    client.params = client.params.merge(query)
    for name, value in cookies.items():
        client.cookies.set(name, value)


def _apply_to_werkzeug(client: Any, headers: dict[str, str], query: dict[str, str], cookies: dict[str, str]) -> None:
    client.environ_base = {
        **client.environ_base,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
    for name, value in cookies.items():
        client.set_cookie(name, value)
    if query:
        # Werkzeug's client has no default query, so its one way into the application is given one.
        added = urlencode(query)

        def opened(*args: Any, **kwargs: Any) -> Any:
            given = kwargs.get("query_string") or ""
            text = given if isinstance(given, str) else urlencode(given)
            kwargs["query_string"] = f"{text}&{added}" if text else added
            return type(client).open(client, *args, **kwargs)

        client.open = opened
