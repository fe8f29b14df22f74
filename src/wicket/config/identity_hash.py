"""Settings of identity hashes: an HMAC-SHA256 of a user's identifier, the legacy proof of several vendors.

An identity hash never expires and proves nothing except the identifier.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from wicket.config.locations import JsonBody, TokenLocation, is_location
from wicket.config.rules import MAX_NUMERIC_DATE
from wicket.errors import Problems, config_error
from wicket.keys import Secret
from wicket.keys.secret import credential_hint

_log: Final = logging.getLogger("wicket")

_NORMALIZATIONS: Final = ("strip", "lower")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyHash:
    """The settings for companies in the body, each with the HMAC-SHA256 of its id.

    Args:
        secret: The secret of the HMAC. It must differ from the users' secret: with the same secret, a user whose id
            equals a company's id has that company's hash.
        location: The list of companies in the body.
        id_field: The field of a company that contains its id.
        hash_field: The field of a company that contains the hash.
        allow_shared_secret: Whether `secret` may equal the users' secret, for vendors that use one secret for both. A
            warning is logged.

    Raises:
        ConfigError: A value has the wrong form. Each problem has the path to its field.
    """

    secret: Secret = field(repr=False)
    location: JsonBody = JsonBody("companies")  # noqa: RUF009 - a frozen value
    id_field: str = "id"
    hash_field: str = "companyHash"
    allow_shared_secret: bool = False

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.secret, Secret):
            problems.add("secret", "must be a Secret", credential_hint(self.secret))
        if not isinstance(self.location, JsonBody):
            problems.add("location", "must be a JsonBody", 'JsonBody("companies")')
        for name in ("id_field", "hash_field"):
            field_name = getattr(self, name)
            if not isinstance(field_name, str) or not field_name:
                problems.add(name, "must be a field name")
        if not isinstance(self.allow_shared_secret, bool):
            problems.add("allow_shared_secret", "must be true or false")
        problems.raise_if_any()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityHash:
    """The settings for requests that carry the HMAC-SHA256 of one identifier instead of a token.

    An identifier that is an integer is hashed as its decimal digits. Hashes are compared in constant time.

    Args:
        secret: The secret of the HMAC. It must differ from the secrets that sign the app's tokens.
        identifier: The name of the identifier that is hashed.
        identifier_location: The location of the identifier in the request. None: the body field `identifier`.
        hash_location: The location of the hash in the request. A cookie is not allowed.
        encoding: The encoding of the hash: `hex` (lower case) or `base64` (with padding).
        normalize: The changes to the identifier before it is hashed, in order: `strip`, `lower`. Empty: none.
        accept_until: The NumericDate (seconds since 1970) after which hashes are refused. None: no such date.
        companies: The settings for companies in the body. None: hashes of companies are not checked.

    Raises:
        ConfigError: A value is invalid. It has every problem, each with the path to its field.
    """

    secret: Secret = field(repr=False)
    identifier: str = "userId"
    identifier_location: TokenLocation | None = None
    hash_location: TokenLocation = JsonBody("userHash")  # noqa: RUF009 - a frozen value
    encoding: Literal["hex", "base64"] = "hex"
    normalize: tuple[str, ...] = ()
    accept_until: float | None = None
    companies: CompanyHash | None = None

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.secret, Secret):
            problems.add("identity_hash.secret", "must be a Secret", credential_hint(self.secret))
        if not isinstance(self.identifier, str) or not self.identifier:
            problems.add("identity_hash.identifier", "must be the name of the identifier that is hashed")
        elif self.identifier_location is None:
            object.__setattr__(self, "identifier_location", JsonBody(self.identifier))
        for name in ("identifier_location", "hash_location"):
            location = getattr(self, name)
            # Browsers also send cookies with requests that other sites cause, and a hash never expires.
            if getattr(location, "phase", None) == "cookies":
                problems.add(f"identity_hash.{name}", "must not be a cookie", "a cookie may carry a token only")
            elif location is not None and not is_location(location, TokenLocation):
                problems.add(f"identity_hash.{name}", "is not a location", 'JsonBody("userHash")')
        if self.encoding not in ("hex", "base64"):
            problems.add("identity_hash.encoding", "must be hex or base64")
        steps: tuple[Any, ...] = problems.as_tuple("identity_hash.normalize", self.normalize, "steps")
        if any(step not in _NORMALIZATIONS for step in steps):
            problems.add("identity_hash.normalize", "contains an unknown step", " or ".join(_NORMALIZATIONS))
        object.__setattr__(self, "normalize", steps)
        accept_until: object = self.accept_until
        if accept_until is not None and (
            isinstance(accept_until, bool)
            or not isinstance(accept_until, (int, float))
            or not 0 <= accept_until <= MAX_NUMERIC_DATE
        ):
            problems.add("identity_hash.accept_until", "must be a NumericDate", "seconds since 1970")
        if self.companies is not None and not isinstance(self.companies, CompanyHash):
            problems.add("identity_hash.companies", "must be a CompanyHash")
        problems.raise_if_any()
        companies = self.companies
        if companies is not None and companies.secret.keys[0].fingerprint == self.secret.keys[0].fingerprint:
            if not companies.allow_shared_secret:
                raise config_error(
                    "identity_hash.companies.secret",
                    "equals the users' secret, so a user whose id equals a company's id would have that company's hash",
                    "use another secret, or set allow_shared_secret=True",
                )
            _log.warning("an app uses one secret for the hashes of users and companies (allow_shared_secret)")

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets of users and companies. None of them may sign tokens."""
        return (self.secret,) if self.companies is None else (self.secret, self.companies.secret)

    @property
    def locations(self) -> tuple[TokenLocation, ...]:
        """All locations that are read."""
        companies = None if self.companies is None else self.companies.location
        return tuple(item for item in (self.identifier_location, self.hash_location, companies) if item is not None)

    def normalized(self, identifier: str) -> str:
        """Return the identifier in the form that is hashed."""
        for step in self.normalize:
            identifier = identifier.strip() if step == "strip" else identifier.lower()
        return identifier
