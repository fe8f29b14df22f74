"""Merge the attributes of a user: signed values over stored values over unsigned values of the client.

An unsigned value never sets a protected attribute, or a name that the token signs, as an attribute or as another claim.
Each unsigned value that is not used is reported as a `Conflict`. If the app lists its known attributes, signed and
unsigned values of other attributes are not used either, and their names are reported.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from wicket.config.app import App
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.rules import Rules

Source = Literal["signed", "stored"]

REGISTERED_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
"""The registered claim names (RFC 7519 section 4.1). They are never attributes."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An unsigned value that was not used.

    Attributes:
        attribute: The name of the attribute. It is `companies[<id>].<name>` for an attribute of a company, and
            `companies[<id>]` for a whole company.
        kept: The value that is used instead; None if there is none.
        source: Where `kept` is from; None if there is no such value.
    """

    attribute: str
    kept: Any = field(default=None, repr=False)
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The result of a merge.

    Attributes:
        attributes: The attributes to store for the user.
        companies: The companies to store for the user, each with an `id`.
        conflicts: The unsigned values that were not used because of another value or of a protected attribute.
        unknown: The names of the signed and unsigned attributes that the app does not know (`known_attributes`,
            `known_company_attributes`), in the form of `Conflict.attribute`. They are not used.
    """

    attributes: dict[str, Any]
    companies: list[dict[str, Any]]
    conflicts: tuple[Conflict, ...]
    unknown: tuple[str, ...] = ()


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an object that are not null. A null in what holds attributes counts as absent."""
    return {name: value for name, value in values.items() if value is not None}


def unsigned_values(values: object, app: App | None) -> Any:
    """Return the attributes in a body that the client sent: all except credentials, app names and widget settings.

    Args:
        values: The parsed body. A value that is not a mapping counts as empty.
        app: The app of the request; None if it is unknown.
    """
    if not isinstance(values, Mapping):
        return {}
    unsigned = dict(values)
    if app is None:
        return unsigned
    for name in app.widget_settings:
        unsigned.pop(name, None)
    rule = app.identity_hash
    for location in (*app.token_locations, *app.app_locations, rule.hash_location if rule is not None else None):
        if location is not None and location.body_path:
            unsigned = _without_path(unsigned, location.body_path)
    if rule is not None:
        unsigned = _without_hashed(unsigned, rule)
    company_rule = rule.companies if rule is not None else None
    return unsigned if company_rule is None else _with_company_ids(unsigned, company_rule, companies_key(app))


def _without_hashed(unsigned: dict[str, Any], rule: IdentityHash) -> dict[str, Any]:
    """Return the body without the hashes of other values, and without what they and the user's hash prove.

    An identifier or a value under its name at the top level stays: `merge` reports it if it differs.
    """
    proven: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        (location.body_path, ()) for location in rule.identifiers.values() if len(location.body_path) > 1
    ]
    for item in rule.values:
        proven += [(item.hash_location.body_path, ()), (item.value_location.body_path, (item.name,))]
    for path, kept in proven:
        if path and path != kept:
            unsigned = _without_path(unsigned, path)
    return unsigned


def _with_company_ids(unsigned: dict[str, Any], rule: CompanyHash, key: str | None) -> dict[str, Any]:
    """Return the body with the companies of all locations in one list under `key`, each with its ID under `id`.

    Companies in a nested field, and those for which there is no `key`, are removed.
    """
    listed: list[Any] = []
    for location in rule.locations:
        found = unsigned.get(location.path) if len(location.body_path) == 1 else None
        listed += found if isinstance(found, list) else [found]
        unsigned = _without_path(unsigned, location.body_path)
    companies = [_with_id(company, rule) for company in listed if company is not None]
    if companies and key is not None:
        others = unsigned.get(key)  # not None if the key is none of the locations
        unsigned[key] = [*others, *companies] if isinstance(others, list) else companies
    return unsigned


def _with_id(company: Any, rule: CompanyHash) -> Any:
    """Return a copy of a company without its hash and with its ID under `id`. If its IDs differ, it has none."""
    if not isinstance(company, dict):
        return company
    ids = [company[name] for name in rule.id_fields if company.get(name) is not None]
    others = {name: value for name, value in company.items() if name not in ("id", rule.hash_field, *rule.id_fields)}
    return {**others, "id": ids[0]} if ids and all(_equal(ids[0], other) for other in ids) else others


def companies_key(app: App) -> str | None:
    """Return the name of the companies in the claims, in the stored values and in the body.

    Returns:
        The name; None if the app verifies no companies.
    """
    claim, rule = app.rules.companies_claim, app.identity_hash
    if claim is None and rule is not None and rule.companies is not None:
        return next((location.path for location in rule.companies.locations if "." not in location.path), None)
    return claim


def _without_path(value: Any, path: Sequence[str]) -> Any:
    """Return a copy of a JSON value without the member at `path`, in each object if it is a list.

    A list within a list is not searched, so the recursion is never deeper than the length of `path`.
    """
    if isinstance(value, list):
        return [_without_path(item, path) if isinstance(item, dict) else item for item in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    copy = dict(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _without_path(copy[path[0]], path[1:])
    return copy


def merge(
    rules: Rules,
    signed: Mapping[str, Any],
    companies: Any,
    stored: Mapping[str, Any],
    unsigned: Mapping[str, Any],
    *,
    claims: Mapping[str, Any] = MappingProxyType({}),
    companies_key: str | None = None,
    identifiers: Collection[str] = (),
    proven_of_companies: Collection[str] = (),
    known_attributes: Collection[str] | None = None,
    known_company_attributes: Collection[str] | None = None,
) -> MergeResult:
    """Merge the attributes of a user by the app's rules.

    Args:
        rules: The app's rules.
        signed: The signed attributes. A null is no value, but no unsigned value replaces it.
        companies: The signed companies; None if the token signs nothing about companies.
        stored: The stored attributes. The companies are under `companies_key`.
        unsigned: The attributes that the client sent. The companies are under `companies_key`.
        claims: All signed claims. A claim outside `signed` is not an attribute, and no stored or unsigned value
            replaces it.
        companies_key: The name of the companies; None if the app verifies no companies.
        identifiers: The names that identify the user. The client cannot set them.
        proven_of_companies: The names that identify a company. The client cannot set them.
        known_attributes: The attributes that are kept, in addition to the stored ones and to the user-id claims. None:
            all.
        known_company_attributes: The same for the attributes of companies.

    Returns:
        The result. A company of the client that is not an object with an ID is a conflict. No input of the client
        raises an exception.
    """
    conflicts: list[Conflict] = []
    reserved = {*REGISTERED_CLAIMS, *rules._reserved_claims, *rules.user_id_claims, *identifiers}
    protected = (
        rules.protected_attributes if "*" in rules.protected_attributes else rules.protected_attributes | reserved
    )
    other_claims = {name: value for name, value in claims.items() if signed.get(name) is None and name != companies_key}
    replaced = without_nulls(other_claims).keys() - (reserved - {*rules.user_id_claims})
    current = {name: other_claims[name] if name in replaced else value for name, value in stored.items()}
    users = _KnownNames(known_attributes, frozenset({*reserved, *other_claims}))
    attributes = _merge(
        users.filtered(signed),
        _without(current, companies_key),
        users.filtered(_without(unsigned, companies_key)),
        protected,
        conflicts,
        "",
        other_claims=other_claims,
    )
    merged: list[dict[str, Any]] = []
    of_companies = _KnownNames(known_company_attributes, frozenset({"id", *proven_of_companies}))
    if companies_key is not None:
        merged = _merge_companies(
            companies_key,
            companies,
            _by_id(stored.get(companies_key)),
            unsigned.get(companies_key),
            rules.protected_company_attributes | frozenset(proven_of_companies),
            conflicts,
            membership_protected=companies_key in rules.protected_attributes
            or "*" in rules.protected_attributes
            or companies_key in claims,
            names=of_companies,
        )
    return MergeResult(attributes, merged, tuple(conflicts), (*users.unknown, *of_companies.unknown))


class _KnownNames:
    """The names of the attributes that are kept.

    Args:
        known: The known names. None: all names are known.
        reserved: Names with another meaning. They are not unknown.

    Attributes:
        unknown: The unknown names that were found, in order and without duplicates.
    """

    def __init__(self, known: Collection[str] | None, reserved: Collection[str]) -> None:
        self._known = None if known is None else frozenset({*known, *reserved})
        self.unknown: dict[str, None] = {}

    def filtered(self, values: Mapping[str, Any], prefix: str = "") -> Mapping[str, Any]:
        """Return the values with a known name, and add the other names to `unknown`, each with the prefix.

        A null counts as absent, and is not reported.
        """
        if self._known is None:
            return values
        unknown = (name for name, value in values.items() if name not in self._known and value is not None)
        self.unknown.update(dict.fromkeys(f"{prefix}{name}" for name in unknown))
        return {name: value for name, value in values.items() if name in self._known}


def _without(values: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _merge(
    signed: Mapping[str, Any],
    stored: Mapping[str, Any],
    unsigned: Mapping[str, Any],
    protected: Collection[str],
    conflicts: list[Conflict],
    prefix: str,
    *,
    other_claims: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Merge one set of attributes and add to `conflicts`. `prefix` precedes the name of each attribute there."""
    result = {**stored, **without_nulls(signed)}
    for name, value in unsigned.items():
        if other_claims.get(name) is not None:
            if name in protected or not _equal(other_claims[name], value):
                conflicts.append(Conflict(name, other_claims[name], "signed"))
        elif name in result:
            if not _equal(result[name], value):
                conflicts.append(
                    Conflict(f"{prefix}{name}", result[name], "stored" if signed.get(name) is None else "signed")
                )
        elif name in signed or name in other_claims:  # as null
            if value is not None:
                conflicts.append(Conflict(f"{prefix}{name}", None, "signed"))
        elif name in protected or "*" in protected:
            conflicts.append(Conflict(f"{prefix}{name}"))
        else:
            result[name] = value
    return result


def _equal(one: Any, other: Any) -> bool:
    """Return whether two values have the same JSON. 1, 1.0 and true differ."""
    try:
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    except (TypeError, ValueError):
        return type(one) is type(other) and bool(one == other)
    except RecursionError:  # `==` would recurse as deeply
        return False


def _by_id(companies: Any) -> dict[str | int, dict[str, Any]] | None:
    """Return stored or signed companies by ID; None if nothing is known about companies.

    An ID is a string or an integer. An item without one is ignored.
    """
    if companies is None:
        return None
    items = companies if isinstance(companies, Iterable) and not isinstance(companies, (str, Mapping)) else ()
    return {
        company["id"]: company
        for company in items
        if isinstance(company, dict)
        and isinstance(company.get("id"), (str, int))
        and not isinstance(company["id"], bool)
    }


def _merge_companies(
    name: str,
    signed: Any,
    stored: Mapping[str | int, dict[str, Any]] | None,
    unsigned: Any,
    protected: Collection[str],
    conflicts: list[Conflict],
    *,
    membership_protected: bool,
    names: _KnownNames,
) -> list[dict[str, Any]]:
    """Merge the companies of a user and add to `conflicts`.

    The list of companies is one attribute: it is taken whole from the signed, stored or unsigned values, in this order.
    The attributes of each company are merged.
    """
    signed_by_id = _by_id(signed)
    unsigned_by_id: dict[str | int, dict[str, Any]] = {}
    for company in unsigned if isinstance(unsigned, list) else []:
        if isinstance(company, dict) and isinstance(company.get("id"), str):
            unsigned_by_id[company["id"]] = company
        else:
            conflicts.append(Conflict(name))
    known, source = (signed_by_id, "signed") if signed_by_id is not None else (stored, "stored")
    default = {} if membership_protected else unsigned_by_id
    companies: Mapping[str | int, Any] = known if known is not None else default
    kept = list(companies)
    for company_id in unsigned_by_id:
        if company_id not in companies:
            conflicts.append(
                Conflict(f"{name}[{company_id}]", kept, source if known is not None else None)  # type: ignore[arg-type]  # literals
            )
    return [
        _merge(
            names.filtered({"id": company_id, **(signed_by_id or {}).get(company_id, {})}, f"{name}[{company_id}]."),
            (stored or {}).get(company_id, {}),
            names.filtered(unsigned_by_id.get(company_id, {}), f"{name}[{company_id}]."),
            protected,
            conflicts,
            f"{name}[{company_id}].",
        )
        for company_id in companies
    ]
