"""Claims that hold attributes, companies or scopes. Attributes and scopes may be in nested objects, named by a path.

A path joins the names of members with dots, for example `realm_access.roles`. A name may contain dots, so every way to
divide a path into names is tried, for example `https://acme.com/auth` and `roles` for `https://acme.com/auth.roles`.
If several ways lead to a value, the token is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wicket.config.rules import Rules
from wicket.errors import Refused, invalid_token

Claims = Mapping[str, Any]

_ABSENT: Final = object()


def bad_claim(name: str, requirement: str, *, expected: str | None = None) -> Refused:
    """Return the refusal of an invalid claim.

    Args:
        name: The name of the claim, or the path to it.
        requirement: The end of a sentence that starts with the claim, for example `must be a string`.
        expected: The expected value, for logs and events.
    """
    return invalid_token("bad_claim", f"The claim {name} {requirement}.", claim=name, expected=expected)


def claim_at(claims: Claims, path: str, default: Any = None) -> Any:
    """Return the claim at a path.

    Args:
        claims: The claims.
        path: The name of a claim, or the names of nested members, joined by dots.
        default: The result if there is no such claim, or if a member on the way is not an object.

    Raises:
        Refused: `bad_claim` if several claims have this path.
    """
    if "." not in path:
        return claims.get(path, default)
    found = _values_at(claims, path)
    value = next(found, _ABSENT)
    if next(found, _ABSENT) is not _ABSENT:
        raise bad_claim(path, "occurs more than once")
    return default if value is _ABSENT else value


def _values_at(members: Claims, path: str) -> Iterator[Any]:
    if path in members:
        yield members[path]
    end = path.find(".")
    while end != -1:
        inner = members.get(path[:end])
        if isinstance(inner, dict):
            yield from _values_at(inner, path[end + 1 :])
        end = path.find(".", end + 1)


def check_attributes(claims: Claims, rules: Rules, path: str) -> None:
    """Check the claim that holds the attributes. A null counts as absent.

    Args:
        claims: The claims.
        rules: The rules of the app.
        path: The path to the claim.

    Raises:
        Refused: `bad_claim` if it is not an object or has values that the rules do not allow, `context_too_large` if
            it is too large.
    """
    attributes = claim_at(claims, path)
    if attributes is None:
        return
    if not isinstance(attributes, dict):
        raise bad_claim(path, "must be an object")
    if rules.string_attributes_only and not all(
        value is None or isinstance(value, str) for value in attributes.values()
    ):
        raise bad_claim(path, "must be an object whose values are strings")
    limit = rules.max_attributes_bytes
    if limit is not None:
        size = len(json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode())
        if size > limit:
            raise invalid_token("context_too_large", f"The claim {path} has more than {limit} bytes.", claim=path)


def check_companies(claims: Claims, name: str) -> None:
    """Check the claim that holds the companies. A null counts as absent.

    Raises:
        Refused: `bad_claim` if it is not a list of objects, each with an `id` and a `name`.
    """
    companies = claims.get(name)
    if companies is None:
        return
    if not isinstance(companies, list):
        raise bad_claim(name, "must be a list")
    for company in companies:
        if not isinstance(company, dict) or not all(
            isinstance(company.get(member), str) and company[member] for member in ("id", "name")
        ):
            raise bad_claim(name, "must be a list of objects, each with an id and a name")


def read_scopes(claims: Claims, paths: tuple[str, ...]) -> list[str]:
    """Read the scopes of a token.

    Args:
        claims: The claims.
        paths: The paths to the claims. The value of each is a string with scopes separated by spaces (RFC 8693 section
            4.2), or a list of strings.

    Returns:
        The scopes of all these claims. An absent claim has none.

    Raises:
        Refused: `bad_claim` if a claim has another type.
    """
    scopes: list[str] = []
    for path in paths:
        value = claim_at(claims, path, "")
        if isinstance(value, str):
            scopes += value.split(" ") if value else ()
        elif isinstance(value, list) and all(isinstance(scope, str) for scope in value):
            scopes += value
        else:
            raise bad_claim(path, "must be a string or a list of strings")
    return scopes
