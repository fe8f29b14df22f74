"""Who a request is from: a verified identity, or an anonymous one. It never carries an unverified claim.

Claims are parsed afresh from the signed payload for each request that looks at them, so that what one handler does
to them reaches no other request.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal
from urllib.parse import quote

from wicket.app import App
from wicket.decision.claims import Claims, numeric_date, read_scopes
from wicket.decision.tokens import read_object

Method = Literal["jwt"]

_REGISTERED: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})


class Identity:
    """Who a request is from. Anonymous unless it is a `VerifiedIdentity`: then `user_id` is None and nothing is known.

    It also serves as Starlette's `request.user` (`is_authenticated`, `display_name`, `identity`).
    """

    __slots__ = ("_app_id",)

    def __init__(self, app_id: str | None) -> None:
        self._app_id = app_id

    @property
    def app_id(self) -> str | None:
        """The app that the request names; None where it named none and need not."""
        return self._app_id

    @property
    def user_id(self) -> str | None:
        """The user's id; None for an anonymous request."""
        return None

    @property
    def user_id_claim(self) -> str | None:
        """The claim that gave the user's id. Claim and id together are the key: an id is no e-mail address."""
        return None

    @property
    def verified(self) -> bool:
        """Whether a signature stands behind this identity."""
        return False

    @property
    def method(self) -> Method | None:
        """What verified it."""
        return None

    @property
    def claims(self) -> dict[str, Any]:
        """All signed claims; empty for an anonymous request."""
        return {}

    @property
    def attributes(self) -> dict[str, Any]:
        """What the token says about the user, by the app's rules."""
        return {}

    @property
    def companies(self) -> list[dict[str, Any]]:
        """The companies that the token names, where the app's rules know a claim for them."""
        return []

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token, cut down to those that the app may give."""
        return frozenset()

    @property
    def expires_at(self) -> float | None:
        """When the token expires, in seconds since 1970; None where it does not say."""
        return None

    @property
    def key_id(self) -> str | None:
        """The `kid` of the key that verified the token."""
        return None

    @property
    def is_authenticated(self) -> bool:
        """The same as `verified`."""
        return self.verified

    @property
    def display_name(self) -> str:
        """The user's id, or an empty text."""
        return self.user_id or ""

    @property
    def identity(self) -> str:
        """`app_id:user_id`, both percent-encoded: user 1 of one app is not user 1 of another."""
        if self.app_id is None or self.user_id is None:
            return ""
        return f"{quote(self.app_id, safe='')}:{quote(self.user_id, safe='')}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(app_id={self.app_id!r}, user_id={self.user_id!r})"


class VerifiedIdentity(Identity):
    """A user whose token was verified with the app's own key, under the app's own rules."""

    __slots__ = ("_app", "_checked", "_claims", "_key_id", "_payload", "_user_id", "_user_id_claim")

    def __init__(
        self, app: App, user_id: str, user_id_claim: str, *, payload: bytes, checked: Claims, key_id: str | None
    ) -> None:
        self._app_id = app.id
        self._app = app
        self._user_id = user_id
        self._user_id_claim = user_id_claim
        self._payload = payload
        self._checked = checked
        self._key_id = key_id
        self._claims: dict[str, Any] | None = None

    @property
    def app_id(self) -> str:
        """The app whose key verified the token."""
        return self._app.id

    @property
    def user_id(self) -> str:
        """The user's id."""
        return self._user_id

    @property
    def user_id_claim(self) -> str:
        """The claim that gave the user's id."""
        return self._user_id_claim

    @property
    def verified(self) -> bool:
        """True."""
        return True

    @property
    def method(self) -> Method:
        """`jwt`."""
        return "jwt"

    @property
    def claims(self) -> dict[str, Any]:
        """All signed claims, parsed for this request alone."""
        if self._claims is None:
            self._claims = read_object(self._payload)
        return self._claims

    @property
    def attributes(self) -> dict[str, Any]:
        """What the token says about the user: the attributes' own claim, or all claims that have no other meaning."""
        rules = self._app.rules
        if rules.attributes_claim is not None:
            held: dict[str, Any] = self.claims.get(rules.attributes_claim, {})
            return held
        spoken_for = {*_REGISTERED, *rules.user_id, *rules.fixed}
        spoken_for.update(
            name for name in (rules.app_claim, rules.companies_claim, rules.scopes_claim) if name is not None
        )
        return {name: value for name, value in self.claims.items() if name not in spoken_for}

    @property
    def companies(self) -> list[dict[str, Any]]:
        """The companies that the token names."""
        name = self._app.rules.companies_claim
        held: list[dict[str, Any]] = self.claims.get(name, []) if name is not None else []
        return held

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token, cut down to those that the app may give."""
        name = self._app.rules.scopes_claim
        return self._app.scopes.intersection(read_scopes(self._checked, name)) if name is not None else frozenset()

    @property
    def expires_at(self) -> float | None:
        """When the token expires, in seconds since 1970; None where it does not say."""
        return numeric_date(self._checked, "exp")

    @property
    def key_id(self) -> str | None:
        """The `kid` of the key that verified the token."""
        return self._key_id


class Permissions:
    """Starlette's `request.auth`: what the request may do. `authenticated` stands for a verified identity."""

    __slots__ = ("scopes",)

    def __init__(self, scopes: Iterable[str] = ()) -> None:
        self.scopes = list(scopes)

    @classmethod
    def of(cls, identity: Identity) -> Permissions:
        """`authenticated` and the token's scopes for a verified identity, nothing for an anonymous one."""
        return cls(["authenticated", *sorted(identity.scopes - {"authenticated"})] if identity.verified else [])
