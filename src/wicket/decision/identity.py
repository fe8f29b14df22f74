"""The identity of the user of a request: anonymous, unless it is one of `wicket.decision.verified`.

It never contains an unverified claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from wicket.config.app import App
from wicket.config.rules import Rules
from wicket.decision.attributes import MergeResult, companies_key, merge, unsigned_values

Method = Literal["jwt", "identity_hash"]

_NO_RULES: Final = Rules()
_MAX_INTEGER_ID: Final = 10**18
"""Larger integers are not converted to a string for a comparison with the user ID."""


class Identity:
    """The identity of the user of a request. It is anonymous unless it is a `VerifiedIdentity` or a `VerifiedApp`.

    It can serve as Starlette's `request.user` (`is_authenticated`, `display_name`, `identity`).
    """

    __slots__ = ("_app", "_app_id", "_wrapped")  # Django Channels' AuthMiddleware sets `_wrapped` of any scope["user"]

    def __init__(self, app_id: str | None, app: App | None = None) -> None:
        """Create an anonymous identity.

        Args:
            app_id: The ID of the app that the request names; None if it names none.
            app: The app; None if it is unknown or its configuration is invalid.
        """
        self._app_id = app_id
        self._app = app

    @property
    def app_id(self) -> str | None:
        """The ID of the app that the request names; None if it names none and anonymous users need no app."""
        return self._app_id

    @property
    def user_id(self) -> str | None:
        """The user ID; None for an anonymous request."""
        return None

    @property
    def user_id_claim(self) -> str | None:
        """The claim that contains the user ID; None for an anonymous request.

        Store users by claim and ID together: the value of one claim may equal the value of another claim for a
        different user.
        """
        return None

    @property
    def identifiers(self) -> dict[str, str]:
        """The identifiers of the user by claim, all from one proof; empty for an anonymous request."""
        return {}

    @property
    def verified(self) -> bool:
        """Whether a signature or an identity hash verifies this identity. A verified token may have no user."""
        return False

    @property
    def method(self) -> Method | None:
        """The method of verification; None for an anonymous request."""
        return None

    @property
    def claims(self) -> dict[str, Any]:
        """All signed claims; empty for an anonymous request."""
        return {}

    @property
    def attributes(self) -> dict[str, Any]:
        """The signed attributes of the user, by the app's rules; empty for an anonymous request."""
        return {}

    @property
    def companies(self) -> list[dict[str, Any]]:
        """The signed companies of the user, if the app's rules have a claim for companies; else empty."""
        return []

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token that are in the app's `allowed_scopes`."""
        return frozenset()

    @property
    def expires_at(self) -> float | None:
        """The `exp` of the token, in seconds since 1970; None if the token has none."""
        return None

    @property
    def kid(self) -> str | None:
        """The `kid` of the key that verified the token; None if the key has none."""
        return None

    def merge_unsigned(self, values: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> MergeResult:
        """Merge signed, stored and unsigned attributes of this user.

        A signed value takes precedence over a stored value, and a stored value over an unsigned value. An unsigned
        value is used only if there is no other value for its name. It is never used for a protected attribute
        (`Rules.protected_attributes`) or for a name that the token signs at its top level. A signed null is no value,
        but no unsigned value replaces it. Signed and unsigned attributes that the app does not know
        (`App.known_attributes`) are not used, and neither are widget settings (`App.widget_settings`).

        Args:
            values: The body that the client sent. A value that is not a mapping counts as empty.
            stored: The attributes that the product has stored for this user.

        Returns:
            The attributes and companies to store, with a `Conflict` for each unsigned value that was not used, and the
            names of unknown attributes. No input of the client raises an exception.
        """
        rules = self._app.rules if self._app is not None else _NO_RULES
        companies_name = companies_key(self._app) if self._app is not None else None
        attributes, claims = self._signed_attributes(), self.claims
        signed = {name: value for name, value in attributes.items() if name != companies_name}
        companies: Any = None
        if companies_name is not None:
            of_token = attributes.get(companies_name), claims.get(companies_name)
            if self._companies_are_proven() or any(value is not None for value in of_token):
                companies = self._signed_companies() or of_token[0] or of_token[1] or []
        unsigned = unsigned_values(values, self._app)
        user_id = unsigned.get(self.user_id_claim or "")
        if user_id == self.user_id or (
            type(user_id) is int and abs(user_id) < _MAX_INTEGER_ID and str(user_id) == self.user_id
        ):
            unsigned.pop(self.user_id_claim or "", None)  # it equals the verified user ID
        rule = self._app.identity_hash if self._app is not None else None
        identifiers = {self.user_id_claim, *(rule.reserved_names if rule is not None else ())}
        return merge(
            rules,
            signed,
            companies,
            stored or {},
            unsigned,
            claims=claims,
            companies_key=companies_name,
            identifiers=[name for name in identifiers if name is not None],
            proven_of_companies=rule.companies.id_fields if rule is not None and rule.companies is not None else (),
            known_attributes=self._app.known_attributes if self._app is not None else None,
            known_company_attributes=self._app.known_company_attributes if self._app is not None else None,
        )

    def _signed_attributes(self) -> dict[str, Any]:
        """Return the signed attributes with the nulls."""
        return {}

    def _signed_companies(self) -> list[dict[str, Any]]:
        """Return the signed companies with the nulls."""
        return []

    def _companies_are_proven(self) -> bool:
        """Return whether the user has only verified companies, because the app has a hash for companies."""
        rule = self._app.identity_hash if self._app is not None else None
        return rule is not None and rule.companies is not None

    @property
    def is_authenticated(self) -> bool:
        """Whether the identity is a verified user. Starlette reads it."""
        return False

    @property
    def display_name(self) -> str:
        """The user ID; an empty string for an anonymous request."""
        return ""

    @property
    def identity(self) -> str:
        """The qualified user ID: `app_id:user_id`, each part percent-encoded. Two apps may have the same user ID.

        It is `app_id:claim:user_id` if the app has several user-ID claims, because two claims may have the same value.
        It is an empty string for an anonymous request.
        """
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(app_id={self.app_id!r}, user_id={self.user_id!r})"
