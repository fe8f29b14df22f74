"""The request that the client of an app sends from a page: how it names the app, and where it carries its token."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from wicket.config.app import App
from wicket.config.locations import (
    AppLocation,
    Bearer,
    Cookie,
    Header,
    JsonBody,
    NameKind,
    PublishableKeyBearer,
    Query,
    TokenIssuer,
    TokenLocation,
)
from wicket.runtime import base64url

_BAD_TOKEN: Final = "not-a-token"


@dataclass(slots=True)
class ClientRequest:
    """A request with an invalid token.

    Args:
        query: The query of the URL.

    Attributes:
        method: `GET`, or `POST` if the body is not empty.
        headers: The headers that the script of the page sets, by name.
        body: The members of the JSON body.
    """

    query: str
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method of the request."""
        return "POST" if self.body else "GET"

    @property
    def encoded_body(self) -> bytes | None:
        """The body as JSON; None if it is empty."""
        return json.dumps(self.body).encode() if self.body else None

    @property
    def preflighted(self) -> tuple[str, ...]:
        """The lower-case names of the headers for which a browser sends a preflight (Fetch standard, section 2.2.2)."""
        return tuple(sorted(name.lower() for name in self.headers if name.lower() != "cookie"))

    def has_parameter(self, name: str) -> bool:
        """Return whether the query has a parameter."""
        return name in parse_qs(self.query, keep_blank_values=True)

    def add_parameter(self, name: str, value: str) -> None:
        """Add a parameter to the query, unless the URL has it."""
        if not self.has_parameter(name):
            added = urlencode({name: value})
            self.query = f"{self.query}&{added}" if self.query else added

    def add_member(self, path: str, value: str) -> None:
        """Add a member to the body. Dots in `path` separate the names of nested objects."""
        *parents, name = path.split(".")
        members = self.body
        for parent in parents:
            members = members.setdefault(parent, {})
        members[name] = value
        self.headers["Content-Type"] = "application/json"


def request_with_header(header: str, query: str) -> ClientRequest:
    """Return a request that carries an invalid token in a header."""
    token = f"Bearer {_BAD_TOKEN}" if header.lower() == "authorization" else _BAD_TOKEN
    return ClientRequest(query, {header: token})


def request_of_client(app: App, query: str) -> ClientRequest:
    """Return a request as the client of an app sends it, with an invalid token.

    The client uses the first location of the app that a script can set. A location in the path or in the host is part
    of the URL.

    Args:
        app: The app.
        query: The query of the URL. A parameter in it is kept.
    """
    request = ClientRequest(query)
    _add_app_name(request, app, app.app_locations)
    token = _BAD_TOKEN
    if any(isinstance(location, TokenIssuer) for location in app.app_locations) and app.issuer is not None:
        claims = base64url.encode(json.dumps({"iss": app.issuer}).encode())
        token = f"{base64url.encode(json.dumps({'alg': 'none'}).encode())}.{claims}."
    _add_token(request, token, app.token_locations)
    return request


def _add_app_name(request: ClientRequest, app: App, locations: Iterable[AppLocation]) -> None:
    """Name the app in the first location that a script can set, unless the query of the URL names it."""
    if any(isinstance(location, Query) and request.has_parameter(location.name) for location in locations):
        return
    for location in locations:
        value = _name_of(app, location.kind)
        if value is None:
            continue
        if isinstance(location, PublishableKeyBearer):
            request.headers["Authorization"] = f"Bearer {value}"
        elif isinstance(location, Header):
            request.headers[location.name] = value
        elif isinstance(location, Query):
            request.add_parameter(location.name, value)
        elif isinstance(location, JsonBody):
            request.add_member(location.path, value)
        else:
            continue
        return


def _name_of(app: App, kind: NameKind) -> str | None:
    """Return the name of this kind; None if a script cannot send it."""
    return {"id": app.id, "publishable_key": app.publishable_key}.get(kind)


def _add_token(request: ClientRequest, token: str, locations: Iterable[TokenLocation]) -> None:
    """Put the token into the first location that a script can set."""
    for location in locations:
        if isinstance(location, Bearer) and "Authorization" not in request.headers:
            request.headers["Authorization"] = f"Bearer {token}"
        elif isinstance(location, Header):
            request.headers[location.name] = token
        elif isinstance(location, Query):
            request.add_parameter(location.name, token)
        elif isinstance(location, JsonBody):
            request.add_member(location.path, token)
        elif isinstance(location, Cookie):
            request.headers["Cookie"] = f"{location.name}={token}"
        else:
            continue
        return
