"""Who a request is from: a verified identity, or an anonymous one. It never carries an unverified claim.

Claims are parsed afresh from the signed payload for each request that looks at them, so that what one handler does
to them reaches no other request.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from wicket.config.app import App
from wicket.config.locations import JsonBody
from wicket.config.rules import Rules
from wicket.decision.attributes import MergeResult, companies_key, merge, unsigned_values
from wicket.decision.claims import is_revoked, read_scopes
from wicket.decision.signature_cache import VerifiedPayload
from wicket.decision.token_parser import JOSEHeader, parse_json_object
from wicket.keys.algorithms import Key

Method = Literal["jwt", "identity_hash"]

_NO_RULES: Final = Rules()
_NO_TOKEN: Final = VerifiedPayload(JOSEHeader("", None, None), b"", b"{}", {})
_LARGEST: Final = 10**18
_REGISTERED: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})


@functools.lru_cache(maxsize=4096)
def _qualified(*parts: str) -> str:
    """The parts percent-encoded and joined by colons, so that no two lists of parts have one result."""
    return ":".join(quote(part, safe="") for part in parts)


class Identity:
    """Who a request is from. Anonymous unless it is a `VerifiedIdentity`: then `user_id` is None and nothing is known.

    It also serves as Starlette's `request.user` (`is_authenticated`, `display_name`, `identity`).
    """

    __slots__ = ("_app", "_app_id")

    def __init__(self, app_id: str | None, app: App | None = None) -> None:
        self._app_id = app_id
        self._app = app

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
    def kid(self) -> str | None:
        """The `kid` of the key that verified the token."""
        return None

    def merge_unsigned(self, values: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> MergeResult:
        """Merge `values`, which the client sent beside its token, and `stored`, what the product knows of this user.

        Signed over stored over unsigned: an unsigned value only fills in what nothing else says, and never a
        protected attribute (`Rules.protected`) or a name that the token signs anywhere at its top level. What was not
        taken is reported as a `Conflict`. Never raises for what the client sent; anything but a mapping is nothing.
        """
        rules = self._app.rules if self._app is not None else _NO_RULES
        claim = companies_key(self._app) if self._app is not None else None
        attributes, claims = self.attributes, self.claims
        held = {name: value for name, value in attributes.items() if name != claim}
        signed: Any = None
        if claim is not None and (self._companies_are_proven() or claim in attributes or claim in claims):
            signed = self.companies or attributes.get(claim) or claims.get(claim) or []
        said = unsigned_values(values, self._app)
        own = said.get(self.user_id_claim or "")
        if own == self.user_id or (type(own) is int and abs(own) < _LARGEST and str(own) == self.user_id):
            said.pop(self.user_id_claim or "", None)  # who the user is, in agreement with the proof
        rule = self._app.identity_hash if self._app is not None else None
        proven = {self.user_id_claim}
        if rule is not None:
            proven |= {
                rule.identifier,
                rule.identifier_location.path if isinstance(rule.identifier_location, JsonBody) else None,
            }
        return merge(
            rules,
            held,
            signed,
            stored or {},
            said,
            claims=claims,
            companies_key=claim,
            identifiers=[name for name in proven if name is not None],
            proven_of_companies=[rule.companies.id_field] if rule is not None and rule.companies is not None else [],
        )

    def _companies_are_proven(self) -> bool:
        """Whether only those companies are this user's that are proven: by a hash, where the app has one for them."""
        rule = self._app.identity_hash if self._app is not None else None
        return rule is not None and rule.companies is not None

    @property
    def is_authenticated(self) -> bool:
        """The same as `verified`."""
        return self.verified

    @property
    def display_name(self) -> str:
        """An empty text: an anonymous request has no name."""
        return ""

    @property
    def identity(self) -> str:
        """The qualified id: `app_id:user_id`, each percent-encoded. User 1 of one app is not user 1 of another.

        It is `app_id:claim:user_id` for an app with several user-id claims: there the `userId` x is not the `email` x.
        Empty for an anonymous request.
        """
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(app_id={self.app_id!r}, user_id={self.user_id!r})"


class VerifiedIdentity(Identity):
    """A user whose token was verified with the app's own key, under the app's own rules."""

    _app: App

    __slots__ = ("_claims", "_key_id", "_signed", "_user_id", "_user_id_claim")

    def __init__(self, app: App, user_id: str, user_id_claim: str, signed: VerifiedPayload, kid: str | None) -> None:
        self._app = app
        self._user_id = user_id
        self._user_id_claim = user_id_claim
        self._signed = signed
        self._key_id = kid
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
    def identity(self) -> str:
        """The qualified id: `app_id:user_id`, or `app_id:claim:user_id` if the app has several user-id claims."""
        app = self._app
        if len(app.user_id_claims) == 1:
            return _qualified(app.id, self._user_id)
        return _qualified(app.id, self._user_id_claim, self._user_id)

    @property
    def display_name(self) -> str:
        """The user's id."""
        return self._user_id

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
            self._claims = parse_json_object(self._signed.payload)
        return self._claims

    @property
    def attributes(self) -> dict[str, Any]:
        """What the token says about the user: the attributes' own claim, or all claims that have no other meaning."""
        rules = self._app.rules
        if rules.attributes_claim is not None:
            held: dict[str, Any] = self.claims.get(rules.attributes_claim, {})
            return held
        spoken_for = {*_REGISTERED, self._user_id_claim, *rules.required_values}
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
        return (
            self._app.allowed_scopes.intersection(read_scopes(self._signed.claims, name))
            if name is not None
            else frozenset()
        )

    @property
    def expires_at(self) -> float | None:
        """When the token expires, in seconds since 1970; None where it does not say."""
        times = self._signed.times
        return times[0] if times is not None else None

    @property
    def kid(self) -> str | None:
        """The `kid` of the key that verified the token."""
        return self._key_id

    def _companies_are_proven(self) -> bool:
        name = self._app.rules.companies_claim
        return super()._companies_are_proven() or (name is not None and name in self.claims)

    def valid_until(self, app: App) -> float | None:
        """When `app`, as it is now, takes what proved this identity no more, in seconds since 1970; None for never."""
        expires = self.expires_at
        return None if expires is None else expires + app.rules.leeway

    def still_verified_by(self, app: App) -> bool:
        """Whether `app`, as it is now, still has the key that proved this identity.

        A remote key set is taken to have it, unless it was a key of the app's own.
        """
        signed = self._signed

        def proved(keys: Iterable[Key]) -> bool:
            return any(key.fingerprint == signed.fingerprint and key.serves(signed.claims) for key in keys)

        now = app.keyring.select(signed.header.algorithm, signed.header.kid)
        return proved(now) or (bool(app.sources) and not proved(self._app.keyring.keys))

    def is_revoked_in(self, app: App) -> bool:
        """Whether the revocations of `app`, as it is now, cover what proved this identity."""
        return is_revoked(self._signed.claims, self._user_id, app)


def _hash_keys(app: App) -> list[bytes]:
    """The fingerprints of the secrets by which `app` takes hashes: of users, then of companies."""
    rule = app.identity_hash
    return [secret.keys[0].fingerprint for secret in rule.secrets] if rule is not None else []


class HashedIdentity(VerifiedIdentity):
    """A user whose identity hash was verified: the identifier is proven, and nothing else, no attribute among it.

    The ids of companies are proven where each had a hash of its own.
    """

    __slots__ = ("_companies", "_until")

    def __init__(
        self, app: App, user_id: str, user_id_claim: str, *, companies: tuple[str, ...], until: float | None
    ) -> None:
        super().__init__(app, user_id, user_id_claim, _NO_TOKEN, None)
        self._companies = companies
        self._until = until

    @property
    def method(self) -> Method:
        """`identity_hash`."""
        return "identity_hash"

    @property
    def attributes(self) -> dict[str, Any]:
        """Nothing: a hash signs no attribute."""
        return {}

    @property
    def companies(self) -> list[dict[str, Any]]:
        """The companies whose own hash verified, by `id` alone."""
        return [{"id": each} for each in self._companies]

    @property
    def expires_at(self) -> float | None:
        """When the app stops taking hashes, in seconds since 1970; None where it does not say."""
        return self._until

    def valid_until(self, app: App) -> float | None:
        """When `app`, as it is now, stops taking hashes."""
        return app.identity_hash.accept_until if app.identity_hash is not None else None

    def still_verified_by(self, app: App) -> bool:
        """Whether `app`, as it is now, still takes hashes by the secrets that proved the user and the companies."""
        many = 2 if self._companies else 1
        return _hash_keys(self._app)[:many] == _hash_keys(app)[:many]

    def is_revoked_in(self, app: App) -> bool:
        """Whether the revocations of `app`, as it is now, cover the identifier: any cutoff does, a hash has no date."""
        return is_revoked({self._user_id_claim: self._user_id}, self._user_id, app)
