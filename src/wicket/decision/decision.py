"""The decision about one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, overload

from wicket.config.app import App
from wicket.config.locations import AppRef
from wicket.decision.context import RequestContext
from wicket.decision.cors import cors_headers
from wicket.decision.identity import Identity
from wicket.decision.refusals import ResponseSettings, format_refusal
from wicket.decision.verified import VerifiedApp, VerifiedIdentity
from wicket.errors import Refusal, Refused, config_error
from wicket.messages.response import Response

_MISSING_TOKEN: Final = Refusal("missing_token")
_NO_USER: Final = Refusal("insufficient_scope", detail="The token has no user, and this request requires one.")
_INTERNAL_ERROR: Final = Refusal("internal_error", retry_after=1)


class _DefaultSettings:
    """The settings of the response to a decision that no gate made."""

    realm = "wicket"
    error_docs: str | None = None


_DEFAULT_SETTINGS: Final = _DefaultSettings()


@dataclass(slots=True)
class Decision:
    """The decision about one request.

    Attributes:
        allowed: Whether the request may reach the application.
        identity: The identity of the user. It never contains an unverified claim.
        refusal: Why the request is refused or, if `enforced` is false, would be refused; None if it passes every check.
        enforced: Whether the refusal applies. It is false in log-only mode.
        app_id: The ID of the app that the request names; None if it is unknown.
        claimed_user_id: The user ID that an anonymous client claims without proof. It must not decide anything.
        binding: The request that the decision belongs to. The middleware sets it.
        handler_refusal: The refusal that a handler raised, once it is reported.
        required_refusal: The last refusal that `require` raised.
        connection: A weak reference to the long-lived connection of the request. The ASGI middleware sets it.
        cors: Whether `response` adds CORS headers. A middleware with `cors=False` sets it to false.
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
    required_refusal: Refusal | None = field(default=None, repr=False, compare=False)
    connection: Any = field(default=None, repr=False, compare=False)
    cors: bool = field(default=True, repr=False, compare=False)

    @property
    def app(self) -> App | None:
        """The app; None if it is unknown or its configuration is invalid."""
        app = self._context.app if self._context is not None else None
        return app if isinstance(app, App) else None

    @property
    def app_ref(self) -> AppRef | None:
        """The first reference by which the request names its app; None if it names none."""
        return self._context.refs[0] if self._context is not None and self._context.refs else None

    @property
    def credentials_sent(self) -> bool:
        """Whether the request carried a token or an identity hash."""
        return self._context is not None and self._context.credentials_sent

    @overload
    def require(self, *scopes: str, user: Literal[True] = True) -> VerifiedIdentity: ...

    @overload
    def require(self, *scopes: str, user: bool) -> VerifiedIdentity | VerifiedApp: ...

    def require(self, *scopes: str, user: bool = True) -> VerifiedIdentity | VerifiedApp:
        """Return the verified identity if it has all scopes.

        Args:
            scopes: The scopes that the handler needs.
            user: Whether the token must have a user. If false, the result can be a `VerifiedApp`.

        Returns:
            The verified identity.

        Raises:
            Refused: The identity is not verified (the refusal of this decision, or else `missing_token`), the token has
                no user, or a scope is missing (`insufficient_scope`).
        """
        identity = self.identity
        if not isinstance(identity, VerifiedIdentity | VerifiedApp):
            self.required_refusal = self.refusal or _MISSING_TOKEN
            raise Refused(self.required_refusal)
        if user and isinstance(identity, VerifiedApp):
            self.required_refusal = _NO_USER
            raise Refused(self.required_refusal)
        missing = sorted(set(scopes) - identity.scopes)
        if missing:
            detail = f"The token lacks a scope that this request requires: {' '.join(missing)}."
            self.required_refusal = Refusal("insufficient_scope", detail=detail)
            raise Refused(self.required_refusal)
        return identity

    def response(self, refused: Refused | None = None, *, cors: bool | None = None) -> Response:
        """Return the HTTP response to a refused request: status, headers with CORS, and body.

        Args:
            refused: The exception that a handler of an allowed request raised. None means the refusal of this decision.
            cors: Whether to add CORS headers. None means the setting `cors` of the middleware that decided, or else
                true.

        Returns:
            The response. It is a named tuple.

        Raises:
            ConfigError: `refused` is None, and the decision allows the request.
        """
        if refused is not None:
            refusal = refused.refusal
        elif self.allowed:
            raise config_error("refused", "must be given, because the decision allows this request")
        else:
            refusal = self.refusal or _INTERNAL_ERROR
        ctx = self._context
        gate: ResponseSettings = _DEFAULT_SETTINGS if ctx is None else ctx.gate
        response = format_refusal(gate, refusal, self.app, credentials_sent=self.credentials_sent)
        if not (self.cors if cors is None else cors):
            return response
        added = ((name.lower(), value) for name, value in cors_headers(None, self).wsgi_headers)
        return response._replace(headers=(*response.headers, *added))
