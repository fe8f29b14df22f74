"""Settings of identity hashes: an HMAC-SHA256 of a user's identifier, the legacy proof of several vendors.

An identity hash never expires and proves nothing except the identifier.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from wicket.config.locations import JsonBody, TokenLocation, is_location
from wicket.config.rules import MAX_NUMERIC_DATE
from wicket.errors import Problems, config_error
from wicket.keys import Secret
from wicket.keys.algorithms import all_fingerprints
from wicket.keys.secret import credential_hint
from wicket.settings import is_nonempty_string

_log: Final = logging.getLogger("wicket")

_NORMALIZATIONS: Final = ("strip", "lower")


def _one_or_several(problems: Problems, path: str, value: Any, kind: type, items: str) -> tuple[Any, ...]:
    """Return one value of a kind, or several, as a tuple."""
    if isinstance(value, (kind, str)) or not isinstance(value, Iterable):
        return (value,)
    return problems.as_tuple(path, value, items)


def _check_location(problems: Problems, path: str, location: object) -> None:
    """Add a problem if a value is not a location that may hold a hash or what is hashed."""
    # Browsers also send cookies with requests that other sites cause, and a hash never expires.
    if getattr(location, "phase", None) == "cookies":
        problems.add(path, "must not be a cookie", "a cookie may carry a token only")
    elif not is_location(location, TokenLocation):
        problems.add(path, "is not a location", 'JsonBody("userHash")')


def _is_same_key(one: Secret, other: Secret) -> bool:
    return not all_fingerprints(one.keys[0]).isdisjoint(all_fingerprints(other.keys[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyHash:
    """The settings for companies in the body, each with the HMAC-SHA256 of its id.

    Args:
        secret: The secret of the HMAC. It must differ from the users' secret: with the same secret, a user whose id
            equals a company's id has that company's hash.
        location: The list of companies in the body, or one company, or several such locations.
        id_field: The field of a company that contains its id, or several such fields. The fields of one company must
            agree.
        hash_field: The field of a company that contains the hash.
        allow_shared_secret: Whether `secret` may equal the users' secret, for vendors that use one secret for both. A
            warning is logged.

    Raises:
        ConfigError: A value has the wrong form. Each problem has the path to its field.
    """

    secret: Secret = field(repr=False)
    location: JsonBody | Iterable[JsonBody] = JsonBody("companies")  # noqa: RUF009 - a frozen value
    id_field: str | Iterable[str] = "id"
    hash_field: str = "companyHash"
    allow_shared_secret: bool = False
    locations: tuple[JsonBody, ...] = field(init=False, repr=False, compare=False)
    id_fields: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.secret, Secret):
            problems.add("secret", "must be a Secret", credential_hint(self.secret))
        locations = _one_or_several(problems, "location", self.location, JsonBody, "locations")
        if not locations or not all(isinstance(location, JsonBody) for location in locations):
            problems.add("location", "must be a JsonBody", 'JsonBody("companies")')
        id_fields = _one_or_several(problems, "id_field", self.id_field, str, "field names")
        for name, fields in (("id_field", id_fields), ("hash_field", (self.hash_field,))):
            if not fields or not all(is_nonempty_string(item) for item in fields):
                problems.add(name, "must be a field name")
        if self.hash_field in id_fields:
            problems.add("hash_field", "is also a field of the id", "use another name")
        if not isinstance(self.allow_shared_secret, bool):
            problems.add("allow_shared_secret", "must be true or false")
        problems.raise_if_any()
        computed = {
            "location": locations[0] if len(locations) == 1 else locations,
            "id_field": id_fields[0] if len(id_fields) == 1 else id_fields,
            "locations": locations,
            "id_fields": id_fields,
        }
        for name, value in computed.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueHash:
    """The settings for another value in the request with an HMAC-SHA256, for example the context of the user.

    A value and its hash must be sent together, in addition to an identifier and its hash. A verified value is an
    attribute of the user. The hash has the encoding of the `IdentityHash`.

    Args:
        name: The name of the attribute.
        secret: The secret of the HMAC. It must differ from the secrets of other hashes of the app: with the same
            secret, a user whose id equals a value has the hash of this value.
        hash_location: The location of the hash in the request. A cookie is not allowed.
        location: The location of the value in the request. None: the body field `name`.
        form: `string`: a string, or an integer, which is hashed as its decimal digits. `json`: an object of a JSON
            body, which is hashed as canonical JSON (see `wicket.messages.canonical_json`).
        allow_shared_secret: Whether `secret` may equal the secrets of other hashes, for vendors that use one secret for
            all. A warning is logged.

    Raises:
        ConfigError: A value has the wrong form. Each problem has the path to its field.
    """

    name: str
    secret: Secret = field(repr=False)
    hash_location: TokenLocation
    location: TokenLocation | None = None
    form: Literal["string", "json"] = "string"
    allow_shared_secret: bool = False
    value_location: TokenLocation = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.name, str) or not all(self.name.split(".")):
            problems.add("name", "must be the name of an attribute", "context")
        elif self.location is None:
            object.__setattr__(self, "value_location", JsonBody(self.name))
        if not isinstance(self.secret, Secret):
            problems.add("secret", "must be a Secret", credential_hint(self.secret))
        _check_location(problems, "hash_location", self.hash_location)
        if self.location is not None:
            _check_location(problems, "location", self.location)
            object.__setattr__(self, "value_location", self.location)
        if self.form not in ("string", "json"):
            problems.add("form", "must be string or json")
        elif self.form == "json" and self.location is not None and not isinstance(self.location, JsonBody):
            problems.add("location", "must be a JsonBody", "because the form is json")
        if not isinstance(self.allow_shared_secret, bool):
            problems.add("allow_shared_secret", "must be true or false")
        problems.raise_if_any()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityHash:
    """The settings for requests that carry the HMAC-SHA256 of one identifier instead of a token.

    An identifier that is an integer is hashed as its decimal digits. Hashes are compared in constant time.

    Args:
        secret: The secret of the HMAC. It must differ from the secrets that sign the app's tokens.
        identifier: The name of the identifier that is hashed, or several names. With several, the hash must be that of
            one identifier in the request, and the first in this order that it verifies is the user id. A user who can
            choose the value of one identifier then receives the hash of the same value as another identifier.
        identifier_location: The location of the identifier in the request, or a list with one location for each name.
            None: the body field with the name of the identifier.
        hash_location: The location of the hash in the request. A cookie is not allowed.
        encoding: The encoding of the hash: `hex` (lower case) or `base64` (with padding).
        normalize: The changes to the identifier before it is hashed, in order: `strip`, `lower`. Empty: none.
        accept_until: The NumericDate (seconds since 1970) after which hashes are refused. None: no such date.
        companies: The settings for companies in the body. None: hashes of companies are not checked.
        values: The settings for other values in the request, each with its own hash.

    Raises:
        ConfigError: A value is invalid. It has every problem, each with the path to its field.
    """

    secret: Secret = field(repr=False)
    identifier: str | Iterable[str] = "userId"
    identifier_location: TokenLocation | Iterable[TokenLocation] | None = None
    hash_location: TokenLocation = JsonBody("userHash")  # noqa: RUF009 - a frozen value
    encoding: Literal["hex", "base64"] = "hex"
    normalize: tuple[str, ...] = ()
    accept_until: float | None = None
    companies: CompanyHash | None = None
    values: tuple[ValueHash, ...] = ()
    identifiers: Mapping[str, TokenLocation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.secret, Secret):
            problems.add("identity_hash.secret", "must be a Secret", credential_hint(self.secret))
        self._set_identifiers(problems)
        _check_location(problems, "identity_hash.hash_location", self.hash_location)
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
        values: tuple[Any, ...] = problems.as_tuple("identity_hash.values", self.values, "ValueHash objects")
        object.__setattr__(self, "values", values)
        if not all(isinstance(item, ValueHash) for item in values):
            problems.add("identity_hash.values", "contains a value that is not a ValueHash", "ValueHash(name=…)")
        elif len({item.name for item in values}) < len(values):
            problems.add("identity_hash.values", "contains a name twice", "remove one of the two")
        problems.raise_if_any()
        self._check_value_secrets()
        companies = self.companies
        if companies is not None and _is_same_key(companies.secret, self.secret):
            if not companies.allow_shared_secret:
                raise config_error(
                    "identity_hash.companies.secret",
                    "equals the users' secret, so a user whose id equals a company's id would have that company's hash",
                    "use another secret, or set allow_shared_secret=True",
                )
            _log.warning("an app uses one secret for the hashes of users and companies (allow_shared_secret)")

    def _set_identifiers(self, problems: Problems) -> None:
        """Check the names and the locations of the identifiers, and set `identifiers`."""
        names = _one_or_several(problems, "identity_hash.identifier", self.identifier, str, "names")
        if not names or not all(isinstance(name, str) and all(name.split(".")) for name in names):
            problems.add("identity_hash.identifier", "must be the name of the identifier that is hashed")
            names = ()
        elif len(set(names)) < len(names):
            problems.add("identity_hash.identifier", "contains a name twice", "remove one of the two")
        path = "identity_hash.identifier_location"
        locations: tuple[Any, ...] = tuple(JsonBody(name) for name in names)
        if self.identifier_location is not None:
            locations = _one_or_several(problems, path, self.identifier_location, TokenLocation, "locations")
            for location in locations:
                _check_location(problems, path, location)
            if names and len(locations) != len(names):
                problems.add(path, f"must have one location for each of the {len(names)} identifiers")
        object.__setattr__(self, "identifiers", MappingProxyType(dict(zip(names, locations, strict=False))))
        object.__setattr__(self, "identifier", names[0] if len(names) == 1 else names)
        object.__setattr__(self, "identifier_location", locations[0] if len(locations) == 1 else locations)

    def _check_value_secrets(self) -> None:
        """Check that the secret of each value differs from all other secrets, unless it may be shared."""
        for index, item in enumerate(self.values):
            shared = sum(_is_same_key(secret, item.secret) for secret in self.secrets) > 1
            if shared and not item.allow_shared_secret:
                raise config_error(
                    f"identity_hash.values[{index}].secret",
                    "equals the secret of another hash, so a user whose id equals a value would have its hash",
                    "use another secret, or set allow_shared_secret=True",
                )
            if shared:
                _log.warning("an app uses one secret for several kinds of hashes (allow_shared_secret)")

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets of users, companies and values. None of them may sign tokens."""
        companies = () if self.companies is None else (self.companies.secret,)
        return (self.secret, *companies, *(item.secret for item in self.values))

    @property
    def reserved_names(self) -> frozenset[str]:
        """The names in a body that the client cannot set without a hash: those of the identifiers and of the values."""
        paths = (".".join(location.body_path) for location in self.identifiers.values() if location.body_path)
        return frozenset((*self.identifiers, *paths, *(item.name for item in self.values)))

    @property
    def locations(self) -> tuple[TokenLocation, ...]:
        """All locations that are read."""
        companies = () if self.companies is None else self.companies.locations
        of_values = (location for item in self.values for location in (item.value_location, item.hash_location))
        return (*self.identifiers.values(), self.hash_location, *companies, *of_values)

    def normalized(self, identifier: str) -> str:
        """Return the identifier in the form that is hashed."""
        for step in self.normalize:
            identifier = identifier.strip() if step == "strip" else identifier.lower()
        return identifier
