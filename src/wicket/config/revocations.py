"""Revocation of an app's tokens: all up to a time, those of one user, or single tokens by `jti`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from wicket.config.rules import MAX_NUMERIC_DATE
from wicket.errors import Problems
from wicket.settings import check_settings, or_none, satisfies, setting

_BY_CLAIM: Final = '{"email": {"ada@example.com": 1761000000}}'


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_NUMERIC_DATE


def _are_cutoffs(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(user, str) and _is_time(cutoff) for user, cutoff in value.items())


def _check_users(problems: Problems, path: str, value: Any) -> Any:
    if _are_cutoffs(value):
        return MappingProxyType(dict(value))
    problems.add(path, "must map user ids to NumericDates", '{"user-1": 1761000000}')
    return value


def _check_users_by_claim(problems: Problems, path: str, value: Any) -> Any:
    if isinstance(value, Mapping) and all(
        isinstance(claim, str) and _are_cutoffs(cutoffs) for claim, cutoffs in value.items()
    ):
        return MappingProxyType({claim: MappingProxyType(dict(cutoffs)) for claim, cutoffs in value.items() if cutoffs})
    problems.add(path, "must map claims to mappings of user ids to NumericDates", _BY_CLAIM)
    return value


def _check_token_ids(problems: Problems, path: str, value: object) -> frozenset[str]:
    token_ids = problems.as_tuple(path, value, "strings")
    if all(isinstance(item, str) for item in token_ids):
        return frozenset(token_ids)
    problems.add(path, "must be a set of strings")
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocations:
    """The revoked tokens of one app. All times are NumericDates (RFC 7519 section 2: seconds since 1970).

    A request is refused if any identifier that its token or hash proves is revoked, even if another identifier became
    the user id. Identifiers that the app's identity hash normalizes to the same string are one identifier. A token
    without `iat` and an identity hash have no issue time, so any time that applies to them revokes them.

    Raises:
        ConfigError: A value has the wrong form. Each problem has the path to its field.
    """

    issued_before: float | None = setting(
        or_none(satisfies(_is_time, "must be a NumericDate", "seconds since 1970")), default=None
    )
    """Revokes every token issued at or before this time. None: no such time."""
    users: Mapping[str, float] = setting(_check_users, default_factory=dict)
    """Maps a user's identifier to a time: `{"user-1": 1761000000}`. Revokes every token issued at or before the time
    that has the identifier in any of the app's user-id claims."""
    users_by_claim: Mapping[str, Mapping[str, float]] = setting(_check_users_by_claim, default_factory=dict)
    """Maps a claim to such a mapping: `{"email": {"ada@example.com": 1761000000}}`. It applies to identifiers in this
    claim only."""
    token_ids: frozenset[str] = setting(_check_token_ids, default=frozenset())
    """Revokes the tokens with these `jti` (RFC 7519 section 4.1.7)."""
    _enabled: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        check_settings(problems, self, "revocations.")
        problems.raise_if_any()
        enabled = self.issued_before is not None or bool(self.users or self.users_by_claim or self.token_ids)
        object.__setattr__(self, "_enabled", enabled)
