"""What the client says beside its token, merged with what is signed and what is stored: signed over stored over said.

A protected attribute is never written by what is not signed, and no name that the token signs is, as an attribute or
beside the attributes. Each attempt is reported.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from wicket.config.app import App
from wicket.config.locations import BodyField, JsonBody
from wicket.config.rules import Rules

Source = Literal["signed", "stored"]

_ALWAYS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})


@dataclass(frozen=True, slots=True)
class Conflict:
    """An unsigned value was not taken. `kept` is what counts instead, by `source`; None where nothing does.

    `attribute` is the name, `companies[<id>].<name>` for a company's, `companies[<id>]` for a whole company.
    """

    attribute: str
    kept: Any = field(default=None, repr=False)
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What may be stored about a user: `attributes`, `companies`, and the `conflicts` that were settled."""

    attributes: dict[str, Any]
    companies: list[dict[str, Any]]
    conflicts: tuple[Conflict, ...]


def unsigned_values(values: object, app: App | None) -> Any:
    """What the client says about the user: what its body holds besides the proofs and the app's name."""
    if not isinstance(values, Mapping):
        return {}
    said = dict(values)
    if app is None:
        return said
    rule = app.identity_hash
    for place in (*app.token_locations, *app.app_locations, rule.hash_location if rule is not None else None):
        if isinstance(place, (JsonBody, BodyField)):
            said = _less(said, place.path.split("."))
    if rule is not None and isinstance(rule.identifier_location, JsonBody) and "." in rule.identifier_location.path:
        said = _less(said, rule.identifier_location.path.split("."))
    hashed = rule.companies if rule is not None else None
    path = hashed.location.path.split(".") if hashed is not None else []
    if path and path != [companies_key(app)]:
        said = _less(said, path)
    elif hashed is not None:
        name = path[0]
        said = _less(said, [name, hashed.hash_field])
        if isinstance(said.get(name), list):
            said[name] = [_with_id(company, hashed.id_field) for company in said[name]]
    return said


def _with_id(company: Any, member: str) -> Any:
    """A company that the client names by `member`, as one that has its `id` there."""
    if member == "id" or not isinstance(company, dict):
        return company
    held = {name: value for name, value in company.items() if name not in ("id", member)}
    return {**held, "id": company[member]} if member in company else held


def companies_key(app: App) -> str | None:
    """The one name under which companies are signed, stored and said; None where nothing proves any."""
    claim, rule = app.rules.companies_claim, app.identity_hash
    if claim is None and rule is not None and rule.companies is not None and "." not in rule.companies.location.path:
        claim = rule.companies.location.path
    return claim


def _less(value: Any, path: list[str]) -> Any:
    """A copy of a JSON value without what stands at `path`, which goes into each object of a list.

    It goes into no list of lists, and so no deeper than `path` is long, whatever was sent.
    """
    if isinstance(value, list):
        return [_less(each, path) if isinstance(each, dict) else each for each in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    held = dict(value)
    if len(path) == 1:
        del held[path[0]]
    else:
        held[path[0]] = _less(held[path[0]], path[1:])
    return held


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
) -> MergeResult:
    """Merge under the app's rules. `companies` are the signed ones, None where nothing is signed about them; what is
    stored and said of them stands under the name `apart`. `claims` are all that the token signs: its other members are
    no attributes of the user, and nothing unsigned or stored overrules them.

    `proven` are the names of what identifies the user, `proven_of_companies` of what identifies a company: no
    attributes that the client may write.

    Never raises, whatever the client sent: a company that is no object with an id is a conflict.
    """
    conflicts: list[Conflict] = []
    own = {*_ALWAYS, *rules.user_id_claims, *rules.required_values}
    own.update(
        name for name in (rules.app_claim, rules.scopes_claim, rules.attributes_claim, *identifiers) if name is not None
    )
    protected = rules.protected_attributes if "*" in rules.protected_attributes else rules.protected_attributes | own
    beside = {name: value for name, value in claims.items() if name not in signed and name != companies_key}
    overruled = beside.keys() - (own - {*rules.user_id_claims})
    known = {name: beside[name] if name in overruled else value for name, value in stored.items()}
    attributes = _merge(
        signed,
        _without(known, companies_key),
        _without(unsigned, companies_key),
        protected,
        conflicts,
        "",
        beside=beside,
    )
    merged: list[dict[str, Any]] = []
    if companies_key is not None:
        own_of_companies = rules.protected_company_attributes | frozenset(proven_of_companies)
        closed = companies_key in rules.protected_attributes or "*" in rules.protected_attributes
        held, said = _by_id(stored.get(companies_key)), unsigned.get(companies_key)
        merged = _merge_companies(companies_key, companies, held, said, own_of_companies, conflicts, closed=closed)
    return MergeResult(attributes, merged, tuple(conflicts))


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
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    result = {**stored, **signed}
    for name, value in unsigned.items():
        if name in beside:
            if name in protected or not _same(beside[name], value):
                conflicts.append(Conflict(name, beside[name], "signed"))
        elif name in result:
            if not _same(result[name], value):
                conflicts.append(Conflict(f"{prefix}{name}", result[name], "signed" if name in signed else "stored"))
        elif name in protected or "*" in protected:
            conflicts.append(Conflict(f"{prefix}{name}"))
        else:
            result[name] = value
    return result


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one in JSON, where 1, 1.0 and true are three."""
    try:
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    except (TypeError, ValueError):
        return type(one) is type(other) and bool(one == other)
    except RecursionError:  # comparing goes as deep
        return False


def _by_id(companies: Any) -> dict[str | int, dict[str, Any]] | None:
    """Stored or signed companies by their ids; None where nothing is known of them. What is no company is none."""
    if companies is None:
        return None
    listed = companies if isinstance(companies, Iterable) and not isinstance(companies, (str, Mapping)) else ()
    return {
        company["id"]: company
        for company in listed
        if isinstance(company, dict) and isinstance(company.get("id"), (str, int))
    }


def _merge_companies(
    claim: str,
    signed: Any,
    stored: Mapping[str | int, dict[str, Any]] | None,
    given: Any,
    protected: Collection[str],
    conflicts: list[Conflict],
    *,
    closed: bool,
) -> list[dict[str, Any]]:
    """Who belongs to which company is one attribute, taken whole from the best source; what they are is merged."""
    by_signature = _by_id(signed)
    said: dict[str | int, dict[str, Any]] = {}
    for company in given if isinstance(given, list) else []:
        if isinstance(company, dict) and isinstance(company.get("id"), str):
            said[company["id"]] = company
        else:
            conflicts.append(Conflict(claim))
    held, source = (by_signature, "signed") if by_signature is not None else (stored, "stored")
    members: Mapping[str | int, Any] = held if held is not None else {} if closed else said
    kept = list(members)
    for identifier in said:
        if identifier not in members:
            conflicts.append(
                Conflict(f"{claim}[{identifier}]", kept, source if held is not None else None)  # type: ignore[arg-type]  # literals
            )
    return [
        _merge(
            {"id": identifier, **(by_signature or {}).get(identifier, {})},
            (stored or {}).get(identifier, {}),
            said.get(identifier, {}),
            protected,
            conflicts,
            f"{claim}[{identifier}].",
        )
        for identifier in members
    ]
