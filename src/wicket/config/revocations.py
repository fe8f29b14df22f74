"""Revocation of an app's tokens: all up to a time, those of one user, or single tokens by `jti`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from wicket.config.rules import MAX_NUMERIC_DATE
from wicket.errors import Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocations:
    """The revoked tokens of one app. All times are NumericDates (RFC 7519 section 2: seconds since 1970).

    A request is refused if any identifier that its token or hash proves is revoked, even if another identifier became
    the user id. Identifiers that the app's identity hash normalizes to the same string are one identifier. A token
    without `iat` and an identity hash have no issue time, so any time that applies to them revokes them.

    Args:
        issued_before: Revokes every token issued at or before this time. None: no such time.
        users: Maps a user's identifier to a time: `{"user-1": 1761000000}`. Revokes every token issued at or before the
            time that has the identifier in any of the app's user-id claims.
        users_by_claim: Maps a claim to such a mapping: `{"email": {"ada@example.com": 1761000000}}`. It applies to
            identifiers in this claim only.
        token_ids: Revokes the tokens with these `jti` (RFC 7519 section 4.1.7).

    Raises:
        ConfigError: A value has the wrong form. Each problem has the path to its field.
    """

    issued_before: float | None = None
    users: Mapping[str, float] = field(default_factory=dict)
    users_by_claim: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    token_ids: frozenset[str] = frozenset()
    _enabled: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems()
        if self.issued_before is not None and not _is_time(self.issued_before):
            problems.add("revocations.issued_before", "must be a NumericDate", "seconds since 1970")
        if not _are_cutoffs(self.users):
            problems.add("revocations.users", "must map user ids to NumericDates", '{"user-1": 1761000000}')
        by_claim: Any = self.users_by_claim
        if not isinstance(by_claim, Mapping) or not all(
            isinstance(claim, str) and _are_cutoffs(cutoffs) for claim, cutoffs in by_claim.items()
        ):
            hint = '{"email": {"ada@example.com": 1761000000}}'
            problems.add("revocations.users_by_claim", "must map claims to mappings of user ids to NumericDates", hint)
        token_ids = problems.as_tuple("revocations.token_ids", self.token_ids, "strings")
        if not all(isinstance(item, str) for item in token_ids):
            problems.add("revocations.token_ids", "must be a set of strings")
        problems.raise_if_any()
        object.__setattr__(self, "token_ids", frozenset(token_ids))
        object.__setattr__(self, "users", MappingProxyType(dict(self.users)))
        cutoffs_by_claim = {claim: MappingProxyType(dict(cutoffs)) for claim, cutoffs in by_claim.items() if cutoffs}
        object.__setattr__(self, "users_by_claim", MappingProxyType(cutoffs_by_claim))
        object.__setattr__(
            self, "_enabled", self.issued_before is not None or bool(self.users or cutoffs_by_claim or self.token_ids)
        )


def _are_cutoffs(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(user, str) and _is_time(cutoff) for user, cutoff in value.items())


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MAX_NUMERIC_DATE
