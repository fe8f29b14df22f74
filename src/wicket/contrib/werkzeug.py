"""Werkzeug: typed access to the identity, and views that require one. The middleware is `wicket.wsgi`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from werkzeug.wrappers import Request

from wicket.decision.decision import Decision
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import config_error
from wicket.gate import Gate
from wicket.http.accessors import check_scopes, require_decision_in_environ
from wicket.wsgi import WicketMiddleware

__all__ = ["WicketMiddleware", "decision_of", "identity_of", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])


def decision_of(request: Request, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about a request.

    Args:
        request: The request.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decision of that gate.

    Raises:
        ConfigError: If the gate has made no decision about this request.
    """
    return require_decision_in_environ(request.environ, gate)


def identity_of(request: Request, gate: Gate | str = "wicket", *, scopes: Iterable[str] = ()) -> VerifiedIdentity:
    """Return the verified identity of a request.

    Args:
        request: The request.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.
        scopes: The scopes that the identity must have.

    Returns:
        The verified identity.

    Raises:
        Refused: If the identity is not verified, or lacks a scope. The middleware sends the response of the refusal.
        ConfigError: If the gate has made no decision about this request.
    """
    return decision_of(request, gate).require(*scopes)


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate a view so that it requires a verified identity. One of its arguments must be the request.

    Args:
        scopes: The scopes that the identity must have.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decorator. The decorated view raises `Refused` if the identity is not verified, or lacks a scope.

    Raises:
        ConfigError: If a scope is not a string, for example because the decorator is used without parentheses.
    """
    check_scopes(scopes)

    def decorate(view: F) -> F:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            request = next((value for value in (*args, *kwargs.values()) if isinstance(value, Request)), None)
            if request is None:
                raise config_error("view", "must get the request to require an identity")
            identity_of(request, gate, scopes=scopes)
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # wraps keeps the view's signature

    return decorate
