"""Starlette: typed access to the identity, and endpoints that demand one. The door is `wicket.asgi`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from wicket.asgi import WicketMiddleware
from wicket.decision.decision import Decision
from wicket.decision.identity import VerifiedIdentity
from wicket.errors import Refused, config_error
from wicket.gate import Gate
from wicket.http.accessors import demand_in_scope
from wicket.http.refusals import response_for_exception

__all__ = ["WicketMiddleware", "decision_of", "identity_of", "refusal_exception_handler", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])


def decision_of(connection: HTTPConnection, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about this request or socket.

    Raises `ConfigError` if the gate has not decided about it, or about another request only whose scope was copied.
    """
    return demand_in_scope(connection.scope, gate)


def identity_of(
    connection: HTTPConnection, gate: Gate | str = "wicket", *, scopes: tuple[str, ...] = ()
) -> VerifiedIdentity:
    """The verified identity, with all of `scopes`. Raises `Refused`, which the door turns into the refusal's answer.

    `gate` (the gate, or its name) says whose decision counts where several stand before one application.
    """
    return decision_of(connection, gate).require(*scopes)


def refusal_exception_handler(gate: Gate) -> Callable[[Request, Exception], Response]:
    """For `exception_handlers={Refused: refusal_exception_handler(gate)}`, where the gate stands outside the whole application.

    There its door hears of a handler's own refusal only after Starlette has answered 500, and in return the answer to
    a handler that crashes can be read by the page, too.
    """

    def answer(request: Request, error: Exception) -> Response:
        if not isinstance(error, Refused):
            raise error
        decision = decision_of(request, gate)
        gate.report_handler_refusal(decision, error.refusal)
        answer = response_for_exception(gate, decision, error)
        return Response(answer.body, answer.status, dict(answer.headers))

    return answer


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate an endpoint, sync or async, whose first argument is the request or socket: it demands an identity."""

    if any(not isinstance(scope, str) for scope in scopes):
        raise config_error("scopes", "must be names of scopes", "write @requires_identity(), with parentheses")

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

        return guarded  # type: ignore[return-value]  # as above

    return decorate
