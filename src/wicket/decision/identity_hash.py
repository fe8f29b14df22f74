"""Identity hashes: HMAC-SHA256 of one identifier, compared in constant time. A hash verifies only that identifier.

An identity hash is not a token. It has no date, no audience and no attribute, and it never expires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final

from wicket.config.app import App
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.locations import TokenLocation
from wicket.decision.claims import bad_user_id, is_revoked
from wicket.decision.identity import Method
from wicket.decision.signature_cache import PassedClaims, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader
from wicket.decision.verified import VerifiedApp, VerifiedIdentity
from wicket.errors import Refusal, Refused, invalid_request, invalid_token
from wicket.keys import Secret
from wicket.messages.json_body import JSONObject
from wicket.messages.request import Request

_NO_PAYLOAD: Final = VerifiedPayload(JOSEHeader("", None, None), b"", b"{}", {})


class HashedIdentity(VerifiedIdentity):
    """A user whose identity hash was verified. Only the identifier is verified, and no attribute.

    The IDs of companies are verified if each company has its own hash.
    """

    __slots__ = ("_companies", "_until")

    def __init__(
        self, app: App, user_id: str, user_id_claim: str, *, companies: tuple[str, ...], until: float | None
    ) -> None:
        """Create an identity.

        Args:
            app: The app whose secret verified the hash.
            user_id: The verified identifier, normalized by the app's rule.
            user_id_claim: The kind of the identifier, for example `email`.
            companies: The IDs of the companies whose hash was verified.
            until: When the app stops accepting hashes, in seconds since 1970; None for never.
        """
        super().__init__(app, PassedClaims(app.revision, None, user_id, user_id_claim), _NO_PAYLOAD, None)
        self._companies = companies
        self._until = until

    @property
    def method(self) -> Method:
        """The method of verification: `identity_hash`."""
        return "identity_hash"

    def _signed_attributes(self) -> dict[str, Any]:
        """Return no attributes, because a hash signs none."""
        return {}

    def _signed_companies(self) -> list[dict[str, Any]]:
        """Return the companies whose hash was verified. Each has only an `id`."""
        return [{"id": company_id} for company_id in self._companies]

    @property
    def expires_at(self) -> float | None:
        """When the app stops accepting hashes, in seconds since 1970; None if it has no such date."""
        return self._until

    def valid_until(self, app: App) -> float | None:
        """Return when `app`, in its current version, stops accepting hashes, in seconds since 1970; None for never."""
        return app.identity_hash.accept_until if app.identity_hash is not None else None

    def still_verified_by(self, app: App) -> bool:
        """Return whether `app`, in its current version, has the secrets that verified the user and the companies."""
        many = 2 if self._companies else 1
        return _hash_keys(self._app)[:many] == _hash_keys(app)[:many]

    @property
    def identifiers(self) -> dict[str, str]:
        """The identifier whose hash was verified, by its name."""
        return {self._passed.user_id_claim: self._passed.user_id}

    def check_in(self, app: App) -> None:
        """Check nothing, because a hash has no claims."""

    def is_revoked_in(self, app: App) -> bool:
        """Return whether `app`, in its current version, revokes the identifier. Any cutoff does: a hash has no date."""
        return is_revoked({self._passed.user_id_claim: self._passed.user_id}, self._passed.user_id, app)


def _hash_keys(app: App) -> list[bytes]:
    """Return the fingerprints of the app's hash secrets: first for users, then for companies."""
    rule = app.identity_hash
    return [secret.keys[0].fingerprint for secret in rule.secrets] if rule is not None else []


def compute_hash(secret: Secret, value: str, encoding: str) -> str:
    """Compute the identity hash of a value.

    Args:
        secret: The secret of the app.
        value: The identifier. It is encoded as UTF-8.
        encoding: `hex` for lower-case hexadecimal; any other for base64 with padding.

    Returns:
        The HMAC-SHA256 in that encoding.
    """
    digest = hmac.digest(secret.keys[0].material, value.encode("utf-8"), hashlib.sha256)
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode("ascii")


def identify_by_hash(app: App, request: Request, now: float, *, anonymous: bool) -> HashedIdentity | None:
    """Verify the identifier and the hash of a request without a token.

    Args:
        app: The app of the request.
        request: The request.
        now: The current time in seconds since 1970.
        anonymous: Whether anonymous users are allowed. They may send an identifier without a hash, and a hash after
            `accept_until`.

    Returns:
        The user; None if the request carries no hash.

    Raises:
        Refused: `bad_identity_hash` if the identifier or the hash is missing or the hash does not verify, `revoked` if
            any cutoff covers the user, `missing_token` if the app no longer accepts hashes.
    """
    rule = app.identity_hash
    if rule is None:
        return None
    proof = _read_string(rule.hash_location, request)
    if rule.accept_until is not None and now >= rule.accept_until:
        if proof is None or anonymous:
            return None
        detail = "This app no longer accepts identity hashes. It requires a token."
        raise Refused(Refusal("missing_token", detail=detail))
    value = _read_string(rule.identifier_location, request)
    if proof is None:
        if value is None or anonymous:
            return None  # the identifier of an anonymous user is a claim, not a proof
        raise _bad_hash(f"The request carries the identifier {rule.identifier} and no hash of it.")
    if value is None:
        raise _bad_hash(f"The request carries a hash and no identifier {rule.identifier}.")
    user_id = _verified_user_id(rule, value, proof)
    companies = _verified_companies(rule.companies, rule.encoding, request) if rule.companies is not None else ()
    identity = HashedIdentity(app, user_id, rule.identifier, companies=companies, until=rule.accept_until)
    if identity.is_revoked_in(app):
        raise invalid_token("revoked")
    return identity


def check_hash_matches_token(app: App, request: Request, identity: VerifiedIdentity | VerifiedApp, now: float) -> None:
    """Check an identity hash that a request carries in addition to its token. The token decides who the user is.

    After `accept_until`, and without a hash, nothing is checked.

    Args:
        app: The app of the request.
        request: The request.
        identity: The identity that the token verifies.
        now: The current time in seconds since 1970.

    Raises:
        Refused: `bad_identity_hash` if the hash does not verify, `invalid_request` if it is the hash of another user,
            `revoked` if the identifier is revoked for the token's `iat`.
    """
    rule = app.identity_hash
    if rule is None or (rule.accept_until is not None and now >= rule.accept_until):
        return
    proof = _read_string(rule.hash_location, request)
    if proof is None:
        return
    signed = identity.claims.get(rule.identifier)
    value = _read_string(rule.identifier_location, request)
    if value is None:
        value = signed if isinstance(signed, str) else None
    if value is None:
        return  # neither the request nor the token has the identifier
    user_id = _verified_user_id(rule, value, proof)
    if signed is not None and rule.normalized(str(signed)) != user_id:
        raise invalid_request("The request carries a token and an identity hash of two different users.")
    identifiers = {**identity.claims, rule.identifier: user_id}
    if app.revocations._enabled and is_revoked(identifiers, identity.user_id or "", app):
        raise invalid_token("revoked")


def _verified_user_id(rule: IdentityHash, value: str, proof: str) -> str:
    """Return the normalized identifier.

    Raises:
        Refused: `bad_identity_hash` if the identifier is not a valid user ID, or if the hash does not verify.
    """
    user_id = rule.normalized(value)
    error = bad_user_id(user_id)
    if error is not None:
        raise _bad_hash(f"The identifier {rule.identifier} {error}.")
    if not _hashes_equal(compute_hash(rule.secret, user_id, rule.encoding), proof):
        raise _bad_hash()
    return user_id


def _hashes_equal(expected: str, proof: str) -> bool:
    """Compare in constant time. A proof with characters outside ASCII is never equal."""
    return hmac.compare_digest(expected.encode("ascii"), proof.encode("utf-8", "replace"))


def _verified_companies(rule: CompanyHash, encoding: str, request: Request) -> tuple[str, ...]:
    """Return the IDs of the companies whose hash verifies. A company without a hash is ignored.

    Raises:
        Refused: `bad_identity_hash` if a company has a hash and no valid ID, a repeated field, or a wrong hash.
    """
    companies = rule.location.parsed(request)
    ids: list[str] = []
    for pairs in companies if isinstance(companies, list) else ():
        if not isinstance(pairs, tuple):
            continue
        company = JSONObject(pairs)
        if company.repeats(rule.id_field) or company.repeats(rule.hash_field):
            raise _bad_hash("A company has two IDs or two hashes.")
        proof = company.get(rule.hash_field)
        if proof is None:
            continue
        company_id = company.get(rule.id_field)
        if not isinstance(company_id, str) or bad_user_id(company_id) is not None or not isinstance(proof, str):
            raise _bad_hash("A company has a hash and no valid ID, or its hash is not a string.")
        if not _hashes_equal(compute_hash(rule.secret, company_id, encoding), proof):
            raise _bad_hash("The hash of a company does not verify.")
        if company_id not in ids:
            ids.append(company_id)
    return tuple(ids)


def _read_string(location: TokenLocation | None, request: Request) -> str | None:
    """Return the value at a location. An integer in a JSON body is returned as decimal digits."""
    value: Any = None if location is None else location.parsed(request)
    if value is None or value == "":
        return None
    if type(value) is not int and not isinstance(value, str):
        raise _bad_hash(f"The body field {'.'.join(location.body_path) if location else ''} is not a string.")
    return str(value)


def _bad_hash(detail: str = "") -> Refused:
    return invalid_token("bad_identity_hash", detail)
