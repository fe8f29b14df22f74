"""The decision about one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from wicket.config.app import App
from wicket.config.locations import AppRef
from wicket.decision.context import RequestContext
from wicket.decision.identity import Identity, VerifiedIdentity
from wicket.errors import Refusal, Refused

_MISSING_TOKEN: Final = Refusal("missing_token")


@dataclass(slots=True)
class Decision:
    """The answer for one request.

    `allowed`: it may pass. `identity`: who it is from, never unverified. `refusal`: why it is turned away or, where
    `enforced` is false, would have been. `app_id`: the app it named, once known. `claimed`: whom an anonymous client
    says it is, without proof; nothing may be decided by it. The middlewares set
    `binding`, which says to which request the decision belongs. `handler_refusal` is the reported refusal of a handler,
    and `demand` the last one that `require` raised.
    """

    allowed: bool
    identity: Identity
    refusal: Refusal | None
    enforced: bool
    app_id: str | None
    claimed_user_id: str | None = field(default=None, repr=False)
    _context: RequestContext | None = field(default=None, repr=False, compare=False)
    binding: Any = field(default=None, repr=False, compare=False)
    handler_refusal: Refusal | None = field(default=None, repr=False, compare=False)
    demand: Refusal | None = field(default=None, repr=False, compare=False)

    @property
    def app(self) -> App | None:
        """The app itself, where it is known and not broken."""
        app = self._context.app if self._context is not None else None
        return app if isinstance(app, App) else None

    @property
    def app_ref(self) -> AppRef | None:
        """The first name by which the request called its app."""
        return self._context.refs[0] if self._context is not None and self._context.refs else None

    @property
    def body_unread(self) -> str | None:
        """A sentence that says why the request's body was not read, where the app or the token was looked for in it."""
        return self._context.body_unread if self._context is not None else None

    @property
    def credentials_sent(self) -> bool:
        """Whether the request carried a proof."""
        return self._context is not None and self._context.credentials_sent

    def require(self, *scopes: str) -> VerifiedIdentity:
        """The verified identity, with all of `scopes`.

        Raises `Refused`: with the refusal or `missing_token` where there is none, with `insufficient_scope` where a
        scope is missing.
        """
        identity = self.identity
        if not isinstance(identity, VerifiedIdentity):
            self.demand = self.refusal or _MISSING_TOKEN
            raise Refused(self.demand)
        missing = sorted(set(scopes) - identity.scopes)
        if missing:
            detail = f"The token lacks a scope that this request needs: {' '.join(missing)}."
            self.demand = Refusal("insufficient_scope", detail=detail)
            raise Refused(self.demand)
        return identity
