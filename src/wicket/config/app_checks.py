"""Checks of an app's settings, and the values that are computed from them.

The checks of single settings are `wicket.settings.Check`s. The others compare several settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from wicket.config.identity_hash import IdentityHash
from wicket.config.locations import MAX_NAME, AppLocation, TokenLocation, is_location, is_valid_name
from wicket.config.message_hash import MessageHash
from wicket.config.origins import OriginPolicy
from wicket.config.revocations import Revocations
from wicket.config.rules import Rules
from wicket.errors import ConfigError, Problems
from wicket.keys import Jwks, KeySource
from wicket.keys.algorithms import all_fingerprints
from wicket.keys.secret import credential_hint
from wicket.settings import is_nonempty_string, items_of, satisfies

_NO_CUTOFFS: Final[Mapping[tuple[str, str], float]] = MappingProxyType({})
_NO_NAMES: Final[frozenset[str]] = frozenset()


def is_name(value: object) -> bool:
    """Return whether `value` is a string of 1 to 128 visible ASCII characters."""
    return isinstance(value, str) and is_valid_name(value)


def _is_credential(value: Any) -> bool:
    return isinstance(getattr(value, "keys", None), tuple)


def _location_hint(value: object) -> str:
    if isinstance(value, type):
        return f"call the class: {value.__name__}(…)"
    return "wrap it in Header(…), Query(…) or JsonBody(…)" if isinstance(value, str) else "Header('X-App-Id')"


_NAME_HINT: Final = f"1 to {MAX_NAME} visible characters"
_strings: Final = items_of(is_nonempty_string, "non-empty string", "write it in quotes")
_attributes: Final = items_of(is_nonempty_string, "name of an attribute", "write it in quotes")
_host_names: Final = items_of(is_name, "host name", _NAME_HINT)

name: Final = satisfies(is_name, f"must be {_NAME_HINT}")
names: Final = items_of(is_name, "name", _NAME_HINT)
nonempty_string: Final = satisfies(is_nonempty_string, "must be a non-empty string")
credentials: Final = items_of(_is_credential, "credential", credential_hint)
app_locations: Final = items_of(lambda value: is_location(value, AppLocation), "location", _location_hint)
token_locations: Final = items_of(lambda value: is_location(value, TokenLocation), "location", _location_hint)


def names_or_none(problems: Problems, path: str, value: object) -> frozenset[str] | None:
    """Check names of attributes. Return a set; None for None."""
    return None if value is None else frozenset(filter(is_nonempty_string, _attributes(problems, path, value)))


def attribute_names(problems: Problems, path: str, value: object) -> frozenset[str]:
    """Check names of attributes. Return a set."""
    return names_or_none(problems, path, value) or _NO_NAMES


def hosts(problems: Problems, path: str, value: object) -> tuple[str, ...]:
    """Check host names. Return them in lower case."""
    return tuple(host.lower().removesuffix(".") for host in _host_names(problems, path, value) if isinstance(host, str))


def audience(problems: Problems, path: str, value: Any) -> tuple[str, ...]:
    """Check one audience or several. Return a tuple, which is empty for None."""
    items: tuple[str, ...] = _strings(problems, path, [value] if isinstance(value, str) else value or ())
    return items


def scopes(problems: Problems, path: str, value: object) -> frozenset[str]:
    """Check scopes. Return a set."""
    return frozenset(item for item in _strings(problems, path, value) if is_nonempty_string(item)) or _NO_NAMES


def origins(problems: Problems, path: str, value: Any) -> OriginPolicy:
    """Check origin patterns. Return them compiled. If one is invalid, the result allows every origin."""
    try:
        return OriginPolicy(value)
    except ConfigError as error:
        problems.merge(path, error)
        return OriginPolicy()


def check_hash_secrets(
    problems: Problems, credentials: Iterable[Any], identity_hash: object, message_hash: object
) -> None:
    """Add a problem for each secret that verifies tokens and hashes, or hashes of requests and of messages.

    The hash of a user whose id has the form `header.payload` would be a valid token signature under the same secret.
    The hash of a user whose id has the form of joined fields would be a valid hash of these fields.
    """
    identity_secrets = identity_hash.secrets if isinstance(identity_hash, IdentityHash) else ()
    message_secrets = (message_hash.secret,) if isinstance(message_hash, MessageHash) else ()
    if not identity_secrets and not message_secrets:
        return
    identity_keys, message_keys = _fingerprints(identity_secrets), _fingerprints(message_secrets)
    for index, credential in enumerate(credentials):
        fingerprints = _fingerprints((credential,))
        for keys, kind in ((identity_keys, "identity hash"), (message_keys, "hash of messages")):
            if not fingerprints.isdisjoint(keys):
                problems.add(f"credentials[{index}]", f"is also a secret of the {kind}", "use two secrets")
    if not identity_keys.isdisjoint(message_keys):
        problems.add("message_hash.secret", "is also a secret of the identity hash", "use two secrets")


def _fingerprints(credentials: Iterable[Any]) -> frozenset[bytes]:
    keys = (key for credential in credentials if _is_credential(credential) for key in credential.keys)
    return frozenset(fingerprint for key in keys for fingerprint in all_fingerprints(key))


def user_id_claims(
    problems: Problems, rules: Any, identity_hash: Any, message_hash: Any, revocations: Any
) -> tuple[str, ...]:
    """Return every claim that can contain a user id, including the identifiers of hashes."""
    claims = rules.user_id_claims if isinstance(rules, Rules) else ()
    if isinstance(identity_hash, IdentityHash):
        claims = tuple(dict.fromkeys((*claims, *identity_hash.identifiers)))
    if isinstance(message_hash, MessageHash) and message_hash.identifier is not None:
        claims = tuple(dict.fromkeys((*claims, message_hash.identifier)))
    hashed = identity_hash.identifiers if isinstance(identity_hash, IdentityHash) else ()
    for identifier in hashed if isinstance(rules, Rules) else ():
        if identifier in rules.user_id_patterns:
            problems.add(
                f"rules.user_id_patterns.{identifier}", "is the identifier of the identity hash", "use another claim"
            )
    if isinstance(revocations, Revocations):
        for claim in revocations.users_by_claim.keys() - set(claims):
            problems.add(
                "revocations.users_by_claim",
                f"{claim!a} is not a user-id claim of this app",
                f"one of {', '.join(claims)}",
            )
    return claims


def hash_cutoffs(identity_hash: IdentityHash | None, revocations: Revocations) -> Mapping[tuple[str, str], float]:
    """Return the revocation times for the identifiers of the identity hash, by their names and normalized forms."""
    if identity_hash is None or not identity_hash.normalize:
        return _NO_CUTOFFS
    cutoffs: dict[tuple[str, str], float] = {}
    for name in identity_hash.identifiers:
        for mapping in (revocations.users, revocations.users_by_claim.get(name, {})):
            for identifier, cutoff in mapping.items():
                key = name, identity_hash.normalized(identifier)
                cutoffs[key] = max(cutoff, cutoffs.get(key, cutoff))
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
