"""Starlette's `request.auth` for an identity."""

from __future__ import annotations

from wicket.decision.identity import Identity


class AuthCredentials:
    """Starlette's `request.auth`: what the request may do. `authenticated` stands for a verified identity."""

    __slots__ = ("_identity",)

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    @property
    def scopes(self) -> list[str]:
        """`authenticated` and the token's scopes for a verified identity, nothing for an anonymous one."""
        identity = self._identity
        return ["authenticated", *sorted(identity.scopes - {"authenticated"})] if identity.verified else []
