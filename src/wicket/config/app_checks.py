"""Checks and computed values of an app's settings. Each check adds its problems to `Problems`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import MAX_NAME, is_valid_name
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.errors import Problems
from wicket.keys import Jwks, KeySource
from wicket.keys.secret import credential_hint

_NO_CUTOFFS: Final[Mapping[str, float]] = MappingProxyType({})


def is_name(value: object) -> bool:
    """Return whether `value` is a string of 1 to 128 visible ASCII characters."""
    return isinstance(value, str) and is_valid_name(value)


def is_nonempty_string(value: object) -> bool:
    """Return whether `value` is a string with at least one character."""
    return isinstance(value, str) and bool(value)


def check_items(
    problems: Problems, path: str, values: object, is_valid: Callable[[Any], bool], noun: str
) -> tuple[Any, ...]:
    """Return `values` as a tuple.

    Args:
        problems: Collects the problems.
        path: The path to the setting. The problem of an invalid item has the path `path[index]`.
        values: The value of the setting.
        is_valid: Returns whether an item is valid.
        noun: What an item is, in the singular, for the messages.
    """
    items = problems.as_tuple(path, values, f"{noun}s")
    for index, item in enumerate(items):
        if not is_valid(item):
            problems.add(f"{path}[{index}]", f"is not a {noun}", _hint(item, noun))
    return items


def _hint(item: object, noun: str) -> str:
    """Return how to correct an item that is not a `noun`. The item is not quoted, because it may be a secret."""
    if noun == "credential":
        return credential_hint(item)
    if noun == "location":
        if isinstance(item, type):
            return f"call the class: {item.__name__}(…)"
        return "wrap it in Header(…), Query(…) or JsonBody(…)" if isinstance(item, str) else "Header('X-App-Id')"
    return f"1 to {MAX_NAME} visible characters" if noun in ("name", "host name") else "write it in quotes"


def check_hash_secrets(problems: Problems, credentials: Iterable[Any], identity_hash: object) -> None:
    """Add a problem for each credential that is also a secret of the identity hash.

    The hash of a user whose id has the form `header.payload` would be a valid token signature under the same secret.
    """
    if not isinstance(identity_hash, IdentityHash):
        return
    hash_fingerprints = {secret.keys[0].fingerprint for secret in identity_hash.secrets}
    for index, credential in enumerate(credentials):
        if any(key.fingerprint in hash_fingerprints for key in getattr(credential, "keys", ())):
            problems.add(f"credentials[{index}]", "is also a secret of the identity hash", "use two secrets")


def user_id_claims(problems: Problems, rules: Any, identity_hash: Any, revocations: Any) -> tuple[str, ...]:
    """Return every claim that can contain a user id, including the identifier of the identity hash."""
    claims = rules.user_id_claims if isinstance(rules, Rules) else ()
    if isinstance(identity_hash, IdentityHash) and identity_hash.identifier not in claims:
        claims = (*claims, identity_hash.identifier)
    if isinstance(revocations, Revocations):
        for claim in revocations.users_by_claim.keys() - set(claims):
            problems.add(
                "revocations.users_by_claim",
                f"{claim!a} is not a user-id claim of this app",
                f"one of {', '.join(claims)}",
            )
    return claims


def hash_cutoffs(identity_hash: IdentityHash | None, revocations: Revocations) -> Mapping[str, float]:
    """Return the revocation times for the identifier of the identity hash, by its normalized form."""
    if identity_hash is None or not identity_hash.normalize:
        return _NO_CUTOFFS
    cutoffs: dict[str, float] = {}
    for mapping in (revocations.users, revocations.users_by_claim.get(identity_hash.identifier, {})):
        for identifier, cutoff in mapping.items():
            name = identity_hash.normalized(identifier)
            cutoffs[name] = max(cutoff, cutoffs.get(name, cutoff))
    return cutoffs


def remote_sources(problems: Problems, credentials: Iterable[Any], issuer: str | None) -> tuple[KeySource, ...]:
    """Return the remote key sets. Each belongs to one issuer, so it never verifies tokens of another issuer."""
    sources: list[KeySource] = []
    for index, credential in enumerate(credentials):
        source = credential.source if isinstance(credential, Jwks) else None
        if source is None:
            continue
        if source.issuer is None and issuer is None:
            problems.add(f"credentials[{index}]", "must have an issuer", "App(issuer=…) or Jwks(url, issuer=…)")
        sources.append(source if source.issuer is not None else replace(source, issuer=issuer))
    return tuple(sources)
