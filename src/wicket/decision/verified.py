"""The identities that a token or an identity hash verifies.

The claims are parsed again from the signed payload for each request that reads them. A handler that changes them
changes them for its own request only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from wicket.config.app import App
from wicket.decision.attributes import REGISTERED_CLAIMS, without_nulls
from wicket.decision.claim_values import Claims, claim_at, read_scopes
from wicket.decision.claims import (
    bad_user_id,
    check_claims,
    check_times,
    is_revoked,
    read_user_id,
    signed_identifier,
    valid_period,
)
from wicket.decision.custom_check import run_check
from wicket.decision.identity import Identity, Method
from wicket.decision.signature_cache import PassedClaims, VerifiedPayload
from wicket.decision.token_parser import parse_json_object
from wicket.errors import invalid_token
from wicket.keys.algorithms import Key


def _qualified_user_id(*parts: str) -> str:
    """Percent-encode the parts and join them with colons, so that different parts have different results."""
    return ":".join(quote(part, safe="") for part in parts)


class _Verified(Identity):
    """What a verified identity has, with or without a user."""

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
    def identifiers(self) -> dict[str, str]:
        """The identifiers that the token signs, by claim: those of the app's user-id claims and of its identity hash.

        An identifier that the app also accepts with an identity hash has the form that is hashed, for example lower
        case. All are of one token: an identity hash in the same request adds none.
        """
        app, claims = self._app, self.claims
        found: dict[str, str] = {}
        for name in app.user_id_claims:
            value = signed_identifier(claims, name, app.rules)
            if value is None or (type(claims[name]) is int and not app.rules.allow_integer_user_id):
                continue
            rule = app.identity_hash
            value = rule.normalized(value) if rule is not None and name == rule.identifier else value
            if bad_user_id(value) is None:
                found[name] = value
        return found

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
            attributes: dict[str, Any] = claim_at(self.claims, rules.attributes_claim) or {}
            return attributes
        user_id_claims = (self._passed.user_id_claim,) if self._passed.user_id else rules.user_id_claims
        reserved = {*REGISTERED_CLAIMS, *rules._reserved_claims, *user_id_claims, rules.companies_claim}
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
        allowed = self._app.allowed_scopes
        return allowed and allowed.intersection(read_scopes(self._signed.claims, self._app.rules.scopes_claim))

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

    def check_in(self, app: App) -> None:
        """Call the `check` of `app`, in its current version.

        Raises:
            Refused: The check refuses the token or fails.
        """
        if app.check is not None:
            run_check(app.check, self._signed.claims)

    def is_revoked_in(self, app: App) -> bool:
        """Return whether `app`, in its current version, revokes the token or the user.

        Args:
            app: The current version of the app.
        """
        return is_revoked(self._signed.claims, self._passed.user_id, app)


class VerifiedIdentity(_Verified):
    """A user whose token was verified with a key of the app and by the rules of the app."""

    __slots__ = ()

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
    def is_authenticated(self) -> bool:
        """Whether the identity is a verified user. It always is."""
        return True


class VerifiedApp(_Verified):
    """A verified token without a user, for an app whose rules allow one (`require_user=False`).

    `verified` is true, and `claims` and `scopes` are those of the token. `is_authenticated` is false, `user_id` is
    None, and `identity` is an empty string.
    """

    __slots__ = ()


def _check_request(app: App, claims: Claims, user_id: str) -> None:
    if app.revocations._enabled and is_revoked(claims, user_id, app):
        raise invalid_token("revoked")
    if app.check is not None:
        run_check(app.check, claims)


def build_identity(app: App, signed: VerifiedPayload, key: Key, now: float) -> VerifiedIdentity | VerifiedApp:
    """Check the claims of a verified payload and build the identity of the user (steps 7 and 8).

    Args:
        app: The app of the request.
        signed: The payload.
        key: The key that signed the payload.
        now: The current time in seconds since 1970.

    Returns:
        The identity of the user, or of the app if the token has no user.

    Raises:
        Refused: A claim does not follow the app's rules, the token or the user is revoked, or the app's `check` does
            not accept the token.
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
            if not app.has_request_checks:  # else each request reads them
                signed.cached_claims = None
    if app.has_request_checks:
        _check_request(app, signed.claims, passed.user_id)
    return (VerifiedIdentity if passed.user_id else VerifiedApp)(app, passed, signed, key.kid)
