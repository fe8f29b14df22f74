"""Starlette: typed access to the identity, and endpoints that require one. The middleware is `wicket.asgi`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from wicket.asgi import WicketMiddleware
from wicket.decision.decision import Decision
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import require_decision_in_scope
from wicket.http.refusals import response_for_exception

__all__ = ["WicketMiddleware", "decision_of", "identity_of", "refusal_exception_handler", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])


def decision_of(connection: HTTPConnection, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about a request or WebSocket.

    Args:
        connection: The request or WebSocket.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decision of that gate.

    Raises:
        ConfigError: If the gate has made no decision about this request. This includes a request whose scope is a copy
            of a decided one with another query or other headers.
    """
    return require_decision_in_scope(connection.scope, gate)


def identity_of(
    connection: HTTPConnection, gate: Gate | str = "wicket", *, scopes: tuple[str, ...] = ()
) -> VerifiedIdentity:
    """Return the verified identity of a request or WebSocket.

    Args:
        connection: The request or WebSocket.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.
        scopes: The scopes that the identity must have.

    Returns:
        The verified identity.

    Raises:
        Refused: If the identity is not verified, or lacks a scope. The middleware sends the response of the refusal.
        ConfigError: If the gate has made no decision about this request.
    """
    return decision_of(connection, gate).require(*scopes)


def refusal_exception_handler(gate: Gate) -> Callable[[Request, Exception], Response]:
    """Return an exception handler for `Refused`, for a gate that wraps the whole Starlette application.

    Register it with `exception_handlers={Refused: refusal_exception_handler(gate)}`. Around the whole application, the
    middleware receives a `Refused` only after Starlette has answered 500. The advantage of this position is that
    responses to crashed handlers have CORS headers too, so that the page can read them.

    Args:
        gate: The gate that wraps the application.

    Returns:
        The exception handler.
    """

    def handle(request: Request, error: Exception) -> Response:
        if not isinstance(error, Refused):
            raise error
        decision = decision_of(request, gate)
        gate.report_handler_refusal(decision, error.refusal)
        response = response_for_exception(gate, decision, error)
        return Response(response.body, response.status, dict(response.headers))

    return handle


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate an endpoint so that it requires a verified identity.

    The endpoint may be sync or async. Its first argument must be the request or WebSocket.

    Args:
        scopes: The scopes that the identity must have.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decorator. The decorated endpoint raises `Refused` if the identity is not verified, or lacks a scope.

    Raises:
        ConfigError: If a scope is not a string, for example because the decorator is used without parentheses.
    """

    if any(not isinstance(scope, str) for scope in scopes):
        raise config_error("scopes", "must be strings", "write @requires_identity(), with parentheses")

    def decorate(endpoint: F) -> F:
        if inspect.iscoroutinefunction(endpoint):

            @functools.wraps(endpoint)
            async def guarded_async(connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
                identity_of(connection, gate, scopes=scopes)
                return await endpoint(connection, *args, **kwargs)

            return guarded_async  # type: ignore[return-value]  # wraps keeps the endpoint's signature

        @functools.wraps(endpoint)
        def guarded(connection: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
            identity_of(connection, gate, scopes=scopes)
            return endpoint(connection, *args, **kwargs)

        return guarded  # type: ignore[return-value]  # wraps keeps the endpoint's signature

    return decorate
