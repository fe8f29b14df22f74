"""Django REST framework: authentication by the decision of `wicket.contrib.django`, and a permission with scopes.

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["wicket.contrib.rest_framework.WicketAuthentication"],
    "EXCEPTION_HANDLER": "wicket.contrib.rest_framework.exception_handler",
}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler as default_exception_handler

from wicket.decision.decision import Decision
from wicket.decision.verified import VerifiedIdentity
from wicket.errors import config_error
from wicket.gate import Gate
from wicket.http.accessors import require_decision_in_environ

__all__ = ["User", "WicketAuthentication", "decision_of", "exception_handler", "identity_of", "requires_identity"]


class User:
    """The `request.user` of a verified request. It has what Django REST framework reads of a user, and the identity.

    Args:
        identity: The verified identity.

    Attributes:
        identity: The verified identity.
    """

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    def __init__(self, identity: VerifiedIdentity) -> None:
        self.identity = identity

    @property
    def pk(self) -> str:
        """The qualified user id, `app_id:user_id`. Throttles count by it."""
        return self.identity.identity

    @property
    def username(self) -> str:
        """The qualified user id, `app_id:user_id`."""
        return self.identity.identity

    def __str__(self) -> str:
        return self.identity.identity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and self.pk == other.pk

    def __hash__(self) -> int:
        return hash(self.pk)


class WicketAuthentication(BaseAuthentication):
    """Authenticate a request by the decision of the middleware `wicket.contrib.django.WicketMiddleware`.

    `request.user` is a `User`, and `request.auth` the `Decision`. An anonymous request has no authentication.

    Attributes:
        gate: The gate that decided, or its name. A subclass sets it if there are several gates.
    """

    gate: ClassVar[Gate | str] = "wicket"

    def authenticate(self, request: Request) -> tuple[User, Decision] | None:
        """Return the user and the decision; None if the request is anonymous.

        Args:
            request: The request.

        Raises:
            ConfigError: If the gate has made no decision about this request.
        """
        decision = decision_of(request, self.gate)
        identity = decision.identity
        return (User(identity), decision) if isinstance(identity, VerifiedIdentity) else None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge. With it, the status of an unauthenticated request is 401, and not 403.

        Args:
            request: The request.
        """
        realm = self.gate.realm if isinstance(self.gate, Gate) else self.gate
        return f'Bearer realm="{realm}"'


def requires_identity(*scopes: str, gate: Gate | str = "wicket") -> type[BasePermission]:
    """Return a permission class that requires a verified identity: `permission_classes = [requires_identity("read")]`.

    Args:
        scopes: The scopes that the identity must have.
        gate: The gate that decided, or its name. Set it if there are several gates.

    Returns:
        The class. The response to a request without the permission is the refusal, 401 or 403.

    Raises:
        ConfigError: If a scope is not a string.
    """
    if any(not isinstance(scope, str) for scope in scopes):
        raise config_error("scopes", "must be strings", "permission_classes = [requires_identity('read')]")

    class RequiresIdentity(BasePermission):
        """Requires a verified identity with scopes."""

        def has_permission(self, request: Request, view: Any) -> bool:
            """Return true, or raise `Refused`."""
            identity_of(request, gate, scopes=scopes)
            return True

    return RequiresIdentity


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a request that is not authenticated with its refusal, which the middleware `WicketMiddleware` returns.

    Without this handler, Django REST framework answers `IsAuthenticated` with 401 and a body of another format, which
    does not say why the token was not accepted.

    Args:
        exc: The exception.
        context: The context of Django REST framework, with the request.

    Returns:
        The response of Django REST framework to any other exception; None if Django must handle the exception.

    Raises:
        Refused: If the request is not authenticated because it has no verified identity.
    """
    if isinstance(exc, (NotAuthenticated, AuthenticationFailed)):
        request = context["request"]
        for authenticator in request.authenticators:
            if isinstance(authenticator, WicketAuthentication):
                decision_of(request, authenticator.gate).require()
    return default_exception_handler(exc, context)


def decision_of(request: Request, gate: Gate | str = "wicket") -> Decision:
    """Return the decision about a request.

    Args:
        request: The request of Django REST framework.
        gate: The gate that decided, or its name. Set it if there are several gates.

    Returns:
        The decision of that gate.

    Raises:
        ConfigError: If the gate has made no decision about this request.
    """
    return require_decision_in_environ(request._request.META, gate)


def identity_of(request: Request, gate: Gate | str = "wicket", *, scopes: Sequence[str] = ()) -> VerifiedIdentity:
    """Return the verified identity of a request.

    Args:
        request: The request of Django REST framework.
        gate: The gate that decided, or its name. Set it if there are several gates.
        scopes: The scopes that the identity must have.

    Returns:
        The verified identity.

    Raises:
        Refused: If the identity is not verified, or lacks a scope. The middleware returns the response of the refusal.
        ConfigError: If the gate has made no decision about this request.
    """
    return decision_of(request, gate).require(*scopes)
