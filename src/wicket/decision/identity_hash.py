"""Identity hashes: HMAC-SHA256 of one identifier, compared in constant time. A hash verifies only that identifier.

An identity hash is not a token. It has no date, no audience and no attribute, and it never expires.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from wicket.config.app import App
from wicket.config.identity_hash import CompanyHash, IdentityHash, ValueHash
from wicket.config.locations import TokenLocation
from wicket.decision.claims import bad_user_id, is_revoked
from wicket.decision.identity import Method
from wicket.decision.signature_cache import PassedClaims, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader
from wicket.decision.verified import VerifiedApp, VerifiedIdentity
from wicket.errors import Refusal, Refused, invalid_request, invalid_token
from wicket.keys import Secret
from wicket.messages.canonical_json import canonical_json
from wicket.messages.json_body import JSONObject, get_path, plain
from wicket.messages.request import Request

_MAX_INTEGER_BITS: Final = 1024
"""Python does not convert integers of any size to a string. These have more digits than an identifier may have."""
_NO_VALUES: Final[Mapping[str, Any]] = MappingProxyType({})
_NO_PAYLOAD: Final = VerifiedPayload(JOSEHeader("", None, None), b"", b"{}", {})


class HashedIdentity(VerifiedIdentity):
    """A user whose identity hash was verified. Only the identifier is verified, and no attribute.

    The IDs of companies and other values are verified if each has its own hash.
    """

    __slots__ = ("_companies", "_until", "_values")

    def __init__(
        self,
        app: App,
        user_id: str,
        user_id_claim: str,
        *,
        companies: tuple[str, ...] = (),
        values: Mapping[str, Any] = _NO_VALUES,
        until: float | None = None,
    ) -> None:
        """Create an identity.

        Args:
            app: The app whose secret verified the hash.
            user_id: The verified identifier, normalized by the app's rule.
            user_id_claim: The kind of the identifier, for example `email`.
            companies: The IDs of the companies whose hash was verified.
            values: The other values whose hash was verified, by name.
            until: When the app stops accepting hashes, in seconds since 1970; None for never.
        """
        super().__init__(app, PassedClaims(app.revision, None, user_id, user_id_claim), _NO_PAYLOAD, None)
        self._companies = companies
        self._values = values
        self._until = until

    @property
    def method(self) -> Method:
        """The method of verification: `identity_hash`."""
        return "identity_hash"

    def _signed_attributes(self) -> dict[str, Any]:
        """Return the values whose hash was verified. The hash of an identifier signs no attribute."""
        return copy.deepcopy({**self._values})

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
        """Return whether `app`, in its current version, has the secrets that verified the user and all else."""
        return self._hash_keys(self._app) == self._hash_keys(app)

    def _hash_keys(self, app: App) -> list[bytes]:
        """Return the fingerprints of the secrets of `app` for all that this identity has."""
        rule = app.identity_hash
        if rule is None:
            return []
        secrets = [rule.secret]
        if self._companies and rule.companies is not None:
            secrets.append(rule.companies.secret)
        secrets += [item.secret for item in rule.values if item.name in self._values]
        return [secret.keys[0].fingerprint for secret in secrets]

    @property
    def identifiers(self) -> dict[str, str]:
        """The identifier whose hash was verified, by its name."""
        return {self._passed.user_id_claim: self._passed.user_id}

    def check_in(self, app: App) -> None:
        """Check nothing, because a hash has no claims."""

    def is_revoked_in(self, app: App) -> bool:
        """Return whether `app`, in its current version, revokes the identifier. Any cutoff does: a hash has no date."""
        return is_revoked({self._passed.user_id_claim: self._passed.user_id}, self._passed.user_id, app)


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
    values = read_identifiers(app, request)
    if proof is None:
        if not values or anonymous:
            return None  # the identifier of an anonymous user is a claim, not a proof
        raise _bad_hash(f"The request carries the identifier {_names(rule)} and no hash of it.")
    if not values:
        raise _bad_hash(f"The request carries a hash and no identifier {_names(rule)}.")
    name, user_id = _verified_identifier(rule, values, proof)
    companies = _verified_companies(rule.companies, rule.encoding, request) if rule.companies is not None else ()
    identity = HashedIdentity(
        app,
        user_id,
        name,
        companies=companies,
        values=_verified_values(rule, request) if rule.values else _NO_VALUES,
        until=rule.accept_until,
    )
    if identity.is_revoked_in(app):
        raise invalid_token("revoked")
    return identity


def check_hash_matches_token(app: App, request: Request, identity: VerifiedIdentity | VerifiedApp, now: float) -> None:
    """Check an identity hash that a request carries in addition to its token. The token decides who the user is.

    The hash may be that of any identifier of the app (`App.user_id_claims`). The identifiers are those of the request,
    or else those that the token signs. The hash adds nothing to the identity.

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
    claims = identity.claims
    values = read_identifiers(app, request, claims)
    try:
        name, user_id = _verified_identifier(rule, values, proof)
    except Refused:
        if values.keys().isdisjoint(rule.identifiers):
            return  # neither the request nor the token has an identifier of which the app requires the hash
        raise
    signed = claims.get(name)
    if signed is not None and rule.normalized(str(signed)) != user_id:
        raise invalid_request("The request carries a token and an identity hash of two different users.")
    if app.revocations._enabled and is_revoked({**claims, name: user_id}, identity.user_id or "", app):
        raise invalid_token("revoked")


def _names(rule: IdentityHash) -> str:
    return " or ".join(rule.identifiers)


def read_identifiers(app: App, request: Request, claims: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return the identifiers whose hash a request may carry, by name.

    Without a token, they are the identifiers of the app's identity hash. With a token, they are all identifiers of the
    app. The value of each is that in the request, or else the one that the token signs.

    Args:
        app: The app of the request.
        request: The request.
        claims: The claims of the token; None if the request has no token.

    Returns:
        The identifiers as strings. Those that are absent or empty are left out.

    Raises:
        Refused: `bad_identity_hash` if an identifier of the identity hash is neither a string nor an integer.
    """
    locations = app.identity_hash.identifiers if app.identity_hash is not None else {}
    values = {name: _read_string(location, request) for name, location in locations.items()}
    if claims is not None:
        document = request.document if isinstance(request.document, JSONObject) else None
        for name in app.user_id_claims:
            if values.get(name) is None:
                stated = None if name in locations else get_path(document, (name,))
                values[name] = identifier_string(stated) or identifier_string(claims.get(name))
    return {name: value for name, value in values.items() if value is not None}


def _verified_identifier(rule: IdentityHash, values: Mapping[str, str], proof: str) -> tuple[str, str]:
    """Return the name and the normalized value of the first identifier that the hash verifies.

    Raises:
        Refused: `bad_identity_hash` if the hash verifies no identifier that is a valid user ID.
    """
    detail = ""
    for name, value in values.items():
        user_id = rule.normalized(value)
        error = bad_user_id(user_id)
        if error is not None:
            detail = detail or f"The identifier {name} {error}."
        elif hashes_equal(compute_hash(rule.secret, user_id, rule.encoding), proof):
            return name, user_id
    raise _bad_hash(detail)


def hashes_equal(expected: str, proof: str) -> bool:
    """Compare in constant time. A proof with characters outside ASCII is never equal."""
    return hmac.compare_digest(expected.encode("ascii"), proof.encode("utf-8", "replace"))


def _verified_companies(rule: CompanyHash, encoding: str, request: Request) -> tuple[str, ...]:
    """Return the IDs of the companies whose hash verifies. A company without a hash is ignored.

    Raises:
        Refused: `bad_identity_hash` if a company has a hash and no valid ID, a repeated field, or a wrong hash.
    """
    ids: list[str] = []
    for company in _read_companies(rule, request):
        if any(company.repeats(name) for name in (*rule.id_fields, rule.hash_field)):
            raise _bad_hash("A company has two IDs or two hashes.")
        proof = company.get(rule.hash_field)
        if proof is None:
            continue
        stated = [company[name] for name in rule.id_fields if company.get(name) is not None]
        company_id = stated[0] if stated else None
        if any(other != company_id for other in stated):
            raise _bad_hash("A company has two IDs or two hashes.")
        if not isinstance(company_id, str) or bad_user_id(company_id) is not None or not isinstance(proof, str):
            raise _bad_hash("A company has a hash and no valid ID, or its hash is not a string.")
        if not hashes_equal(compute_hash(rule.secret, company_id, encoding), proof):
            raise _bad_hash("The hash of a company does not verify.")
        if company_id not in ids:
            ids.append(company_id)
    return tuple(ids)


def _verified_values(rule: IdentityHash, request: Request) -> dict[str, Any]:
    """Return the other values of a request whose hash verifies, by name.

    Raises:
        Refused: `bad_identity_hash` if a value has no hash, or a hash no value, or if the hash does not verify.
    """
    verified: dict[str, Any] = {}
    for item in rule.values:
        proof = _read_string(item.hash_location, request)
        value = item.value_location.parsed(request)
        if proof is None and (value is None or value == ""):
            continue
        if proof is None:
            raise _bad_hash(f"The request carries {item.name} and no hash of it.")
        hashed = hashed_value(item, value)
        if hashed is None:
            raise _bad_hash(f"The request carries a hash of {item.name} and no valid {item.name}.")
        if not hashes_equal(compute_hash(item.secret, hashed, rule.encoding), proof):
            raise _bad_hash(f"The hash of {item.name} does not verify.")
        verified[item.name] = plain(value) if item.form == "json" else hashed
    return verified


def hashed_value(rule: ValueHash, value: object) -> str | None:
    """Return the string of which the hash of a value is computed; None if the value is not valid."""
    if rule.form == "json":
        return canonical_json(value) if isinstance(value, JSONObject) else None
    string = identifier_string(value)
    return None if string is None or bad_user_id(string) is not None else string


def _read_companies(rule: CompanyHash, request: Request) -> Iterator[JSONObject]:
    """Yield the companies at all locations. Each location has a list of companies or one company."""
    for location in rule.locations:
        found = location.parsed(request)
        for item in found if isinstance(found, list) else (found,):
            if isinstance(item, tuple):
                yield JSONObject(item)
            elif isinstance(item, JSONObject):
                yield item


def _read_string(location: TokenLocation, request: Request) -> str | None:
    """Return the value at a location. An integer in a JSON body is returned as decimal digits."""
    value: Any = location.parsed(request)
    if value is None or value == "":
        return None
    string = identifier_string(value)
    if string is None:
        raise _bad_hash(f"The body field {'.'.join(location.body_path)} is not a string.")
    return string


def identifier_string(value: object) -> str | None:
    """Return a string that is not empty, or the decimal digits of an integer; None for other values."""
    if type(value) is int and value.bit_length() <= _MAX_INTEGER_BITS:
        return str(value)
    return value if isinstance(value, str) and value else None


def _bad_hash(detail: str = "") -> Refused:
    return invalid_token("bad_identity_hash", detail)
