"""The identity of the user of a request: verified or anonymous. It never contains an unverified claim.

The claims are parsed again from the signed payload for each request that reads them. A handler that changes them
changes them for its own request only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from wicket.config.app import App
from wicket.config.rules import Rules
from wicket.decision.attributes import (
    REGISTERED_CLAIMS,
    MergeResult,
    companies_key,
    merge,
    unsigned_values,
    without_nulls,
)
from wicket.decision.claims import check_claims, check_times, is_revoked, read_scopes, read_user_id, valid_period
from wicket.decision.signature_cache import PassedClaims, VerifiedPayload
from wicket.decision.token_parser import parse_json_object
from wicket.errors import invalid_token
from wicket.keys.algorithms import Key

Method = Literal["jwt", "identity_hash"]

_NO_RULES: Final = Rules()
_MAX_INTEGER_ID: Final = 10**18
"""Larger integers are not converted to a string for a comparison with the user ID."""


def _qualified_user_id(*parts: str) -> str:
    """Percent-encode the parts and join them with colons, so that different parts have different results."""
    return ":".join(quote(part, safe="") for part in parts)


class Identity:
    """The identity of the user of a request. It is anonymous unless it is a `VerifiedIdentity`.

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
    def verified(self) -> bool:
        """Whether a signature or an identity hash verifies this identity."""
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
        """Whether the identity is verified. Starlette's name for `verified`."""
        return self.verified

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


class VerifiedIdentity(Identity):
    """A user whose token was verified with a key of the app and by the rules of the app."""

    _app: App

    __slots__ = ("_claims", "_kid", "_passed", "_signed")

    def __init__(self, app: App, passed: PassedClaims, signed: VerifiedPayload, kid: str | None) -> None:
        """Create an identity.

        Args:
            app: The app whose key verified the token.
            passed: The user ID, and the claim that contains it.
            signed: The payload of the token.
            kid: The `kid` of the key that verified the token.
        """
        self._app = app
        self._passed = passed
        self._signed = signed
        self._kid = kid
        self._claims: dict[str, Any] | None = None

    @property
    def app_id(self) -> str:
        """The ID of the app whose key verified the token."""
        return self._app.id

    @property
    def user_id(self) -> str:
        """The user ID."""
        return self._passed.user_id

    @property
    def user_id_claim(self) -> str:
        """The claim that contains the user ID."""
        return self._passed.user_id_claim

    @property
    def identity(self) -> str:
        """The qualified user ID: `app_id:user_id`, or `app_id:claim:user_id` if the app has several user-ID claims."""
        passed = self._passed
        if passed.qualified_user_id is None:
            claim = () if len(self._app.user_id_claims) == 1 else (passed.user_id_claim,)
            passed.qualified_user_id = _qualified_user_id(self._app.id, *claim, passed.user_id)
        return passed.qualified_user_id

    @property
    def display_name(self) -> str:
        """The user ID."""
        return self._passed.user_id

    @property
    def verified(self) -> bool:
        """Whether the identity is verified. It always is."""
        return True

    @property
    def method(self) -> Method:
        """The method of verification: `jwt` for a token, `identity_hash` for a `HashedIdentity`."""
        return "jwt"

    @property
    def claims(self) -> dict[str, Any]:
        """All signed claims, parsed for this request."""
        if self._claims is None:
            self._claims = parse_json_object(self._signed.payload)
        return self._claims

    @property
    def attributes(self) -> dict[str, Any]:
        """The signed attributes of the user.

        They are the content of `Rules.attributes_claim`, or else all claims without another meaning. A null counts as
        absent: many libraries write one for a value that the user does not have.
        """
        return without_nulls(self._signed_attributes())

    def _signed_attributes(self) -> dict[str, Any]:
        """Return the signed attributes with the nulls."""
        rules = self._app.rules
        if rules.attributes_claim is not None:
            attributes: dict[str, Any] = self.claims.get(rules.attributes_claim) or {}
            return attributes
        reserved = {*REGISTERED_CLAIMS, self._passed.user_id_claim, *rules.required_values}
        reserved.update(
            name for name in (rules.app_claim, rules.companies_claim, rules.scopes_claim) if name is not None
        )
        return {name: value for name, value in self.claims.items() if name not in reserved}

    @property
    def companies(self) -> list[dict[str, Any]]:
        """The signed companies of the user, without nulls; empty if the app's rules have no claim for companies."""
        return [without_nulls(company) for company in self._signed_companies()]

    def _signed_companies(self) -> list[dict[str, Any]]:
        """Return the signed companies with the nulls."""
        name = self._app.rules.companies_claim
        companies: list[dict[str, Any]] = (self.claims.get(name) or []) if name is not None else []
        return companies

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token that are in the app's `allowed_scopes`."""
        name = self._app.rules.scopes_claim
        return (
            self._app.allowed_scopes.intersection(read_scopes(self._signed.claims, name))
            if name is not None
            else frozenset()
        )

    @property
    def expires_at(self) -> float | None:
        """The `exp` of the token, in seconds since 1970; None if the token has none."""
        times = self._signed.times
        return times[0] if times is not None else None

    @property
    def kid(self) -> str | None:
        """The `kid` of the key that verified the token; None if the key has none."""
        return self._kid

    def _companies_are_proven(self) -> bool:
        name = self._app.rules.companies_claim
        return super()._companies_are_proven() or (name is not None and self.claims.get(name) is not None)

    def valid_until(self, app: App) -> float | None:
        """Return when `app`, in its current version, stops accepting the token.

        Args:
            app: The current version of the app.

        Returns:
            The `exp` plus the leeway, in seconds since 1970; None if the token never expires.
        """
        expires = self.expires_at
        return None if expires is None else expires + app.rules.leeway

    def still_verified_by(self, app: App) -> bool:
        """Return whether `app`, in its current version, has the key that verified this identity.

        A key of a remote key set counts as present while the app has a remote key set.

        Args:
            app: The current version of the app.
        """
        signed = self._signed

        def has_key(keys: Iterable[Key]) -> bool:
            return any(key.fingerprint == signed.fingerprint and key.serves(signed.claims) for key in keys)

        current = app.keyring.select(signed.header.algorithm, signed.header.kid)
        return has_key(current) or (bool(app.sources) and not has_key(self._app.keyring.keys))

    def is_revoked_in(self, app: App) -> bool:
        """Return whether `app`, in its current version, revokes the token or the user.

        Args:
            app: The current version of the app.
        """
        return is_revoked(self._signed.claims, self._passed.user_id, app)


def build_identity(app: App, signed: VerifiedPayload, key: Key, now: float) -> VerifiedIdentity:
    """Check the claims of a verified payload and build the identity of the user (steps 7 and 8).

    Args:
        app: The app of the request.
        signed: The payload.
        key: The key that signed the payload.
        now: The current time in seconds since 1970.

    Returns:
        The identity of the user.

    Raises:
        Refused: A claim does not follow the app's rules, or the token or the user is revoked.
    """
    passed, times, rules = signed.passed, signed.times, app.rules
    if passed is not None and times is not None and passed.revision is app.revision and passed.issuer == key.issuer:
        if not passed.valid_from <= now < passed.valid_until:
            check_times(times, rules, now)
            passed.valid_from, passed.valid_until = valid_period(times, rules)
    else:
        claims = signed.claims
        times = check_claims(claims, signed.header.typ, app, now, key.issuer, times)
        user_id, user_id_claim = read_user_id(claims, rules)
        passed = PassedClaims(app.revision, key.issuer, user_id, user_id_claim)
        # The lifetime of a token without `iat` is counted from now.
        if not rules._has_lifetime_bounds or times[2] is not None:
            signed.passed = passed
            if not app.revocations._enabled:  # else each request reads them
                signed.cached_claims = None
    if app.revocations._enabled and is_revoked(signed.claims, passed.user_id, app):
        raise invalid_token("revoked")
    return VerifiedIdentity(app, passed, signed, key.kid)
