"""Verified identities for the unit tests of views, without a gate and without a request."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from wicket.config.app import App
from wicket.config.rules import Rules
from wicket.decision.context import RequestContext
from wicket.decision.decision import Decision
from wicket.decision.identity import Identity
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import config_error
from wicket.gate import Gate
from wicket.http.auth_credentials import AuthCredentials
from wicket.http.binding import attach_to_scope
from wicket.keys import Secret
from wicket.messages.request import Request
from wicket.minting import mint
from wicket.wsgi import attach_to_environ


def make_identity(
    user_id: str = "user-1",
    *,
    app: App | str = "acme",
    scopes: Iterable[str] = (),
    attributes: Mapping[str, Any] | None = None,
    **claims: Any,
) -> VerifiedIdentity:
    """Return a verified identity, as a gate would make it.

    Args:
        user_id: The user id.
        app: The app with its rules, or the id of an app that allows each scope here.
        scopes: The scopes of the identity. The app's own scopes are the claim of its rules: `scope="read"`.
        attributes: The user's attributes.
        claims: Further claims of the token.

    Returns:
        The identity.

    Raises:
        ConfigError: If the app would refuse the token, or has no shared secret.
    """
    given = tuple(scopes)
    if isinstance(app, str):
        app = App(
            app,
            credentials=[Secret(os.urandom(32))],
            origins=["https://test.example"],
            rules=Rules(scopes_claim=("scope",)),
            allowed_scopes=given,
        )
    elif given:
        raise config_error("scopes", "must be a claim if the app is given", "scope='read'")
    if given:
        claims["scope"] = " ".join(given)
    with Gate([app]) as gate:
        token = mint(app, user_id, attributes=attributes, claims=claims)
        return gate.verify(token, app=app.id).require()


def inject_identity(request: Any, identity: Identity | None = None, *, gate: Gate | str = "wicket") -> None:
    """Give a request of a unit test an identity, as if a gate had decided it.

    `identity_of`, `decision_of`, `requires_identity` and what the frameworks have (`request.user`, `current_identity`)
    then work in a view that the test calls itself.

    Args:
        request: A request of Starlette, FastAPI, Litestar, Quart, Flask, Werkzeug, Django or Falcon, or an ASGI scope
            or a WSGI environ. It is changed in place.
        identity: The identity. None means an anonymous user of no app.
        gate: The gate or its name, as the view gives it to `identity_of`.

    Raises:
        ConfigError: If `request` has neither a scope nor an environ.
    """
    injected = Identity(None) if identity is None else identity
    app = injected._app or App("acme", origins=["https://test.example"])
    decided_by = gate if isinstance(gate, Gate) else Gate([app], name=gate)
    context = RequestContext(decided_by._context, 0, app=injected._app)
    decision = Decision(True, injected, None, True, injected.app_id, None, context)
    environ, scope = _environ_of(request), _scope_of(request)
    if environ is not None:
        attach_to_environ(environ, decided_by, decision, Request.from_wsgi(environ))
    elif scope is not None:
        scope.setdefault("headers", [])
        attach_to_scope(decision, Request.from_asgi(scope), scope, decided_by.name)
        scope["user"], scope["auth"] = injected, AuthCredentials(injected)
    else:
        raise config_error("request", "has no ASGI scope and no WSGI environ", "inject_identity(request, identity)")
    if hasattr(request, "META"):  # of Django
        request.identity = injected


def _environ_of(request: Any) -> dict[str, Any] | None:
    """Return the WSGI environ of a request; None if it has none. Django's `META` is one under ASGI, too."""
    for value in (
        request,
        getattr(request, "META", None),
        *(getattr(request, name, None) for name in ("environ", "env")),
    ):
        if isinstance(value, dict) and "REQUEST_METHOD" in value:
            return value
    return None


def _scope_of(request: Any) -> dict[str, Any] | None:
    """Return the ASGI scope of a request; None if it has none."""
    for value in (request, getattr(request, "scope", None)):
        if isinstance(value, dict) and "type" in value:
            return value
    return None
