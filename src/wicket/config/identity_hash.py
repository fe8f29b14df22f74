"""The older proof of vendors: an HMAC-SHA256 of the user's identifier, which never expires and proves nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from wicket.config.locations import Cookie, JsonBody, TokenLocation, is_location
from wicket.errors import Problems, config_error
from wicket.keys import Secret

_log: Final = logging.getLogger("wicket")

_STEPS: Final = ("strip", "lower")
_LATEST: Final = 253402300799


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyHash:
    """Companies that the client names, each with an HMAC of its own id: the members of a list in the body.

    `secret` is another one than the user's: with the same, a user whose id is a company's would be handed that
    company's hash. Vendors that have one secret for both say `allow_shared_secret=True`, which is logged.
    """

    secret: Secret = field(repr=False)
    location: JsonBody = JsonBody("companies")  # noqa: RUF009 - a frozen value
    id_field: str = "id"
    hash_field: str = "companyHash"
    allow_shared_secret: bool = False

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.secret, Secret):
            problems.add("secret", "must be a Secret")
        if not isinstance(self.location, JsonBody):
            problems.add("location", "must be a JsonBody", 'JsonBody("companies")')
        for name in ("id_field", "hash_field"):
            given = getattr(self, name)
            if not isinstance(given, str) or not given:
                problems.add(name, "must be the name of a member")
        if not isinstance(self.allow_shared_secret, bool):
            problems.add("allow_shared_secret", "must be true or false")
        problems.raise_if_any()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityHash:
    """An app takes, instead of a token, the HMAC-SHA256 of exactly one identifier: `identifier` is its name.

    `value` and `proof` are the places where the identifier and its hash ride. The hash is spelled in `encoding`
    (`hex`, lower case, or `base64`, with padding) and compares in constant time. Nothing is done to the identifier
    before it is hashed but what `normalize` names: `strip`, `lower`. `until` is a NumericDate (seconds since 1970)
    after which hashes no longer count; None for no such date. An integer is hashed as its decimal digits.

    Raises `ConfigError` with every problem, each with the path to its field.
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
            problems.add("identity_hash.secret", "must be a Secret")
        if not isinstance(self.identifier, str) or not self.identifier:
            problems.add("identity_hash.identifier", "must be the name of the one identifier that is hashed")
        elif self.identifier_location is None:
            object.__setattr__(self, "identifier_location", JsonBody(self.identifier))
        for name in ("identifier_location", "hash_location"):
            given = getattr(self, name)
            if isinstance(given, Cookie):  # it comes with requests that another site caused, and never expires
                problems.add(f"identity_hash.{name}", "must not be a cookie", "send a token in it")
            elif given is not None and not is_location(given, TokenLocation):
                problems.add(f"identity_hash.{name}", "is not a place", 'JsonBody("userHash")')
        if self.encoding not in ("hex", "base64"):
            problems.add("identity_hash.encoding", "must be hex or base64")
        steps: tuple[Any, ...] = problems.as_tuple("identity_hash.normalize", self.normalize, "steps")
        if any(step not in _STEPS for step in steps):
            problems.add("identity_hash.normalize", "has a step that is not known", " or ".join(_STEPS))
        object.__setattr__(self, "normalize", steps)
        accept_until: object = self.accept_until
        if accept_until is not None and (
            isinstance(accept_until, bool)
            or not isinstance(accept_until, (int, float))
            or not 0 <= accept_until <= _LATEST
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
                    "is the user's secret, so that a user with a company's id would be handed that company's hash",
                    "another secret, or allow_shared_secret=True",
                )
            _log.warning("an app hashes its companies with the secret of its users (allow_shared_secret)")

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets of users and companies, which must be no token's."""
        return (self.secret,) if self.companies is None else (self.secret, self.companies.secret)

    @property
    def places(self) -> Iterable[object]:
        """Every place that is read."""
        return (
            (self.identifier_location, self.hash_location)
            if self.companies is None
            else (self.identifier_location, self.hash_location, self.companies.location)
        )

    def normalized(self, identifier: str) -> str:
        """The identifier as it is hashed."""
        for step in self.normalize:
            identifier = identifier.strip() if step == "strip" else identifier.lower()
        return identifier
