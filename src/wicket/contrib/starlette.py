"""Starlette: typed access to the identity, and endpoints that require one. The middleware is `wicket.asgi`."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from starlette.requests import HTTPConnection
from starlette.responses import Response

from wicket.asgi import WicketMiddleware
from wicket.decision.decision import Decision
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import check_scopes, require_decision_in_scope
from wicket.http.refusals import refusal_response

__all__ = ["WicketMiddleware", "decision_of", "identity_of", "refusal_exception_handler", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])


class _Dependency:
    """A function of this module that is also a dependency of FastAPI (`Depends(identity_of)`).

    FastAPI passes a dependency the parameters of its signature. So FastAPI gets a signature without `gate`, and passes
    `scopes` the scopes of `Security`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        signature = inspect.signature(self._function)
        security_scopes = getattr(sys.modules.get("fastapi.security"), "SecurityScopes", None)
        if security_scopes is None:
            return signature
        types = {"connection": HTTPConnection, "scopes": security_scopes}
        parameters = signature.parameters.values()
        return inspect.Signature(
            [item.replace(annotation=types[item.name]) for item in parameters if item.name in types]
        )


def _dependency(function: F) -> F:
    return cast(F, _Dependency(function))


@_dependency
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


@_dependency
def identity_of(
    connection: HTTPConnection, gate: Gate | str = "wicket", *, scopes: Iterable[str] = ()
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
    return decision_of(connection, gate).require(*getattr(scopes, "scopes", scopes))  # FastAPI passes SecurityScopes


def refusal_exception_handler(gate: Gate) -> Callable[[Any, Exception], Awaitable[Response]]:
    """Return an exception handler that answers a `Refused` that an endpoint raises.

    Register it with `exception_handlers={Refused: refusal_exception_handler(gate)}`. It is needed if a middleware
    inside the gate handles exceptions, and if the gate wraps the whole Starlette application. There, the middleware
    receives a `Refused` only after Starlette has answered 500. The advantage of this position is that responses to
    crashed handlers have CORS headers too, so that the page can read them.

    Args:
        gate: The gate that decides.

    Returns:
        The exception handler.
    """

    async def handle(connection: HTTPConnection, error: Exception) -> Response:
        if not isinstance(error, Refused) or connection.scope["type"] != "http":
            raise error  # the middleware refuses the handshake of a WebSocket
        status, headers, body = refusal_response(error, connection.scope, gate)
        return Response(body, status, dict(headers))

    return handle


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate an endpoint so that it requires a verified identity.

    The endpoint may be sync or async. One of its arguments must be the request or WebSocket.

    Args:
        scopes: The scopes that the identity must have.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decorator. The decorated endpoint raises `Refused` if the identity is not verified, or lacks a scope.

    Raises:
        ConfigError: If a scope is not a string, for example because the decorator is used without parentheses. The
            decorated endpoint raises it if it gets neither the request nor the WebSocket.
    """

    check_scopes(scopes)

    def decorate(endpoint: F) -> F:
        if inspect.iscoroutinefunction(endpoint):

            @functools.wraps(endpoint)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                identity_of(_connection_in(args, kwargs), gate, scopes=scopes)
                return await endpoint(*args, **kwargs)

            return guarded_async  # type: ignore[return-value]  # wraps keeps the endpoint's signature

        @functools.wraps(endpoint)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            identity_of(_connection_in(args, kwargs), gate, scopes=scopes)
            return endpoint(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # wraps keeps the endpoint's signature

    return decorate


def _connection_in(args: Iterable[Any], kwargs: Mapping[str, Any]) -> HTTPConnection:
    """Return the request or WebSocket among the arguments of an endpoint. FastAPI passes it by keyword."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, HTTPConnection):
            return value
    raise config_error("endpoint", "must get the request to require an identity", "add the parameter request: Request")
