"""FastAPI: the gate for an application, and a dependency that is the verified identity and a scheme in OpenAPI.

wicket = Wicket(gate)
User = Annotated[VerifiedIdentity, Depends(wicket)]
Writer = Annotated[VerifiedIdentity, Security(wicket, scopes=["feedback:write"])]

app = FastAPI()
wicket.init_app(app)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar, Unpack

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.responses import Response

from wicket.asgi import WicketMiddleware
from wicket.config.locations import Bearer, Cookie, Header, PublishableKeyBearer, Query
from wicket.decision.decision import Decision
from wicket.decision.identity import Identity
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import Refused
from wicket.gate import Gate
from wicket.http.accessors import check_scopes, require_decision_in_scope
from wicket.http.middleware import MiddlewareCore
from wicket.http.refusals import refusal_response
from wicket.http.settings import MiddlewareOptions

__all__ = ["Wicket", "decision_of", "identity_of", "requires_identity"]

F = TypeVar("F", bound=Callable[..., Any])

_STATUSES: Final = {
    400: "The request contradicts itself.",
    401: "The token is missing or was not accepted.",
    403: "The page's origin is not allowed, or the token lacks a scope.",
    503: "The token cannot be verified now.",
}
_PROBLEM: Final = {
    "title": "Problem details (RFC 9457)",
    "type": "object",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {"type": "string", "description": "the code of the refusal"},
        "reason": {"type": ["string", "null"], "description": "the reason of `invalid_token`"},
    },
}


class Wicket(SecurityBase):
    """The gate for a FastAPI application, and a dependency that is the verified identity of the request.

    `Depends(wicket)` and `Security(wicket, scopes=[…])` return the `VerifiedIdentity`. If the request has none, or
    lacks a scope, the response is the refusal. `Depends(wicket.optional)` returns the `Identity`, which may be
    anonymous.

    The OpenAPI document has the token and the name of the app in one security requirement, and the refusals as
    responses of each operation that depends on it.

    Args:
        gate: The gate that decides.
        settings: The arguments of `wicket.http.settings.MiddlewareSettings`.

    Attributes:
        gate: The gate that decides.
        model: The security scheme of the token.
        scheme_name: The name of that scheme, which is the name of the gate.
        optional: A dependency like this one that allows an anonymous request. The gate refuses a request without a
            token unless its path is in `optional`, or its app has `allow_anonymous`.

    Raises:
        ConfigError: If a setting is invalid. The error has every problem.
    """

    def __init__(self, gate: Gate, **settings: Unpack[MiddlewareOptions]) -> None:
        self._settings = MiddlewareCore(gate, settings).settings.options()
        self.gate = gate
        self._token_schemes = _token_schemes(gate)
        self._app_schemes = _app_schemes(gate)
        self.model: SecurityModel = next(iter(self._token_schemes.values()))
        self.scheme_name = gate.name
        self.optional = _OptionalIdentity(self)

    def init_app(self, app: FastAPI) -> None:
        """Gate `app`, answer each `Refused` that one of its endpoints raises, and complete its OpenAPI document.

        Args:
            app: The application. A middleware that is added later runs outside the gate.
        """
        app.add_middleware(WicketMiddleware, gate=self.gate, **self._settings)
        app.add_exception_handler(Refused, self._handle_refused)
        build = app.openapi
        completed: dict[str, Any] | None = None  # FastAPI returns the same object again

        def openapi() -> dict[str, Any]:
            nonlocal completed
            document = build()
            if document is not completed:
                completed = document
                self._complete(document)
            return document

        app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this replacement

    async def __call__(self, connection: HTTPConnection, scopes: SecurityScopes) -> VerifiedIdentity:
        """Return the verified identity of the request. FastAPI calls this for a dependency.

        Args:
            connection: The request or WebSocket.
            scopes: The scopes that the identity must have.

        Raises:
            Refused: If the identity is not verified, or lacks a scope.
            ConfigError: If the gate has made no decision about this request.
        """
        return decision_of(connection, self.gate).require(*scopes.scopes)

    def responses(self) -> dict[int | str, dict[str, Any]]:
        """Return the refusals as an argument `responses` of a route, a router or the application.

        The OpenAPI document has them for each operation that depends on this object. Other operations that the gate
        refuses need this argument.
        """
        content: dict[str, Any] = {"application/problem+json": {"schema": _PROBLEM}}
        if any(app.format_error is not None for app in self.gate.apps):
            content["application/json"] = {"schema": {}}
        return {status: {"description": text, "content": content} for status, text in _STATUSES.items()}

    async def _handle_refused(self, connection: HTTPConnection, error: Exception) -> Response:
        if not isinstance(error, Refused) or connection.scope["type"] != "http":
            raise error  # the middleware refuses the handshake of a WebSocket
        status, headers, body = refusal_response(error, connection.scope, self.gate)
        return Response(body, status, dict(headers))

    def _complete(self, document: dict[str, Any]) -> None:
        """Add the names of apps and the refusals to the operations that depend on this object."""
        schemes = document.get("components", {}).get("securitySchemes", {})
        names = {self.scheme_name, self.optional.scheme_name}
        if not names & schemes.keys():
            return
        for name in names:
            schemes.pop(name, None)
        for name, model in (*self._token_schemes.items(), *self._app_schemes.items()):
            if model is not None:
                schemes[name] = jsonable_encoder(model, by_alias=True, exclude_none=True)
        responses = {str(status): response for status, response in self.responses().items()}
        for operation in _operations(document):
            security = operation.get("security", [])
            if any(names & requirement.keys() for requirement in security):
                alternatives = [item for requirement in security for item in self._alternatives(requirement)]
                operation["security"] = [item for n, item in enumerate(alternatives) if item not in alternatives[:n]]
                operation["responses"] = {**responses, **operation.get("responses", {})}

    def _alternatives(self, requirement: dict[str, list[str]]) -> Iterator[dict[str, list[str]]]:
        """Yield the requirements that replace one: each token location together with each app location."""
        optional = self.optional.scheme_name in requirement
        if not optional and self.scheme_name not in requirement:
            yield requirement
            return
        scopes = requirement.get(self.scheme_name, [])
        for token in self._token_schemes:
            for name, model in self._app_schemes.items():
                yield {token: scopes} if model is None else {token: scopes, name: []}
        if optional:
            yield {}


class _OptionalIdentity(SecurityBase):
    """The identity of the request, which may be anonymous. See `Wicket.optional`."""

    def __init__(self, wicket: Wicket) -> None:
        self._gate = wicket.gate
        self.model = wicket.model
        self.scheme_name = f"{wicket.scheme_name}_optional"

    async def __call__(self, connection: HTTPConnection) -> Identity:
        """Return the identity of the request."""
        return decision_of(connection, self._gate).identity


def decision_of(connection: HTTPConnection, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about a request or WebSocket. `Depends(decision_of)` works too.

    Args:
        connection: The request or WebSocket.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decision of that gate.

    Raises:
        ConfigError: If the gate has made no decision about this request.
    """
    return require_decision_in_scope(connection.scope, gate)


def identity_of(
    connection: HTTPConnection, gate: Gate | str = "wicket", *, scopes: Iterable[str] | SecurityScopes = ()
) -> VerifiedIdentity:
    """Return the verified identity of a request or WebSocket.

    `Depends(identity_of)` and `Security(identity_of, scopes=[…])` work too. A `Wicket` object is better, because the
    OpenAPI document has it.

    Args:
        connection: The request or WebSocket.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.
        scopes: The scopes that the identity must have.

    Returns:
        The verified identity.

    Raises:
        Refused: If the identity is not verified, or lacks a scope. The response is that of the refusal.
        ConfigError: If the gate has made no decision about this request.
    """
    required = scopes.scopes if isinstance(scopes, SecurityScopes) else scopes
    return decision_of(connection, gate).require(*required)


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> Callable[[F], F]:
    """Decorate an endpoint, sync or async, so that it requires a verified identity.

    The decorator is below that of the route. The endpoint needs no parameter for the request. It is not in the OpenAPI
    document: `Depends(wicket)` is.

    Args:
        scopes: The scopes that the identity must have.
        gate: The gate that decided, or its name. Set it if several gates wrap the application.

    Returns:
        The decorator. The decorated endpoint raises `Refused` if the identity is not verified, or lacks a scope.

    Raises:
        ConfigError: If a scope is not a string, for example because the decorator is used without parentheses.
    """
    check_scopes(scopes)

    def decorate(endpoint: F) -> F:
        if inspect.iscoroutinefunction(endpoint):

            @functools.wraps(endpoint)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                identity_of(kwargs.pop(_CONNECTION), gate, scopes=scopes)
                return await endpoint(*args, **kwargs)

            return _with_connection(guarded_async, endpoint)

        @functools.wraps(endpoint)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            identity_of(kwargs.pop(_CONNECTION), gate, scopes=scopes)
            return endpoint(*args, **kwargs)

        return _with_connection(guarded, endpoint)

    return decorate


_CONNECTION: Final = "wicket_connection"


def _set_signature(function: Callable[..., Any], *parameters: inspect.Parameter) -> None:
    """Set the parameters that FastAPI passes to a dependency or an endpoint."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it


def _with_connection(guarded: Any, endpoint: F) -> F:
    parameters = list(inspect.signature(endpoint).parameters.values())
    keywords = [item for item in parameters if item.kind is inspect.Parameter.VAR_KEYWORD]
    _set_signature(
        guarded, *parameters[: len(parameters) - len(keywords)], _parameter(_CONNECTION, HTTPConnection), *keywords
    )
    wrapped: F = guarded
    return wrapped


def _parameter(name: str, annotation: type) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)


_set_signature(decision_of, _parameter("connection", HTTPConnection))
_set_signature(identity_of, _parameter("connection", HTTPConnection), _parameter("scopes", SecurityScopes))


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        yield from (operation for operation in path.values() if isinstance(operation, dict))


def _scheme(location: object) -> tuple[str, SecurityModel] | None:
    """Return the kind and the security scheme of a location; None if OpenAPI has none for it."""
    if isinstance(location, Bearer):
        return "bearer", HTTPBearer(bearerFormat="JWT")
    if isinstance(location, PublishableKeyBearer):
        return "bearer", HTTPBearer()
    for kind, place in ((Header, APIKeyIn.header), (Query, APIKeyIn.query), (Cookie, APIKeyIn.cookie)):
        if isinstance(location, kind):
            members: dict[str, Any] = {"in": place, "name": location.name}
            return place.value, APIKey(**members)
    return None


def _named(prefix: str, locations: Iterable[object]) -> dict[str, SecurityModel | None]:
    """Return the security schemes of locations by name. The first name is `prefix`."""
    schemes: dict[str, SecurityModel | None] = {}
    for location in locations:
        found = _scheme(location)
        if found is not None:
            name = prefix if not schemes else f"{prefix}_{found[0]}"
            schemes[name if name not in schemes else f"{name}_{len(schemes)}"] = found[1]
    return schemes


def _token_schemes(gate: Gate) -> dict[str, SecurityModel]:
    schemes = _named(gate.name, gate.token_locations)
    # A token in a body has no scheme in OpenAPI.
    return {name: model for name, model in schemes.items() if model is not None} or {gate.name: HTTPBearer()}


def _app_schemes(gate: Gate) -> dict[str, SecurityModel | None]:
    """Return the schemes of the app locations by name. None stands for a request that needs no such scheme."""
    schemes = _named(f"{gate.name}_app", gate.app_locations)
    # A request need not name an app if there is only one, if the token names it, or if the path, host or body does.
    if gate._context.only_app is not None:
        return {"": None}
    if not schemes or any(_scheme(location) is None for location in gate.app_locations):
        schemes[""] = None
    return schemes
