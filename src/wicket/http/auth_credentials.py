"""The value of Starlette's `request.auth`."""

from __future__ import annotations

from wicket.decision.identity import Identity


class AuthCredentials:
    """Starlette's `request.auth`: the scopes of the request.

    Starlette's `@requires` reads `scopes`. The scope `authenticated` means that the identity is a verified user.

    Args:
        identity: The identity of the decision.
    """

    __slots__ = ("_identity",)

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    @property
    def scopes(self) -> list[str]:
        """`authenticated` and the sorted scopes of the token; an empty list for an identity without a verified user."""
        identity = self._identity
        return ["authenticated", *sorted(identity.scopes - {"authenticated"})] if identity.is_authenticated else []
