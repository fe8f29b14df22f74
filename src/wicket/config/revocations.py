"""Which tokens of an app are revoked: all up to a time, those of one user, or single ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from wicket.errors import Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocations:
    """Which tokens no longer count, though they verify. Times are NumericDates (seconds since 1970).

    Args:
        before: Revokes every token issued until then.
        users: For an identifier of a user, revokes every token issued until then that has this identifier in any of
            the app's user-id claims: `{"user-1": 1761000000}`.
        users_by_claim: The same for an identifier in one claim alone: `{"email": {"ada@example.com": 1761000000}}`.
        token_ids: Revokes the tokens with these `jti`.

    A request is revoked if any identifier that its token or hash proves is covered, not only the one that gave the
    user's id. Spellings that the app's identity hash normalizes to one are one identifier. A token without `iat`, and
    an identity hash, are revoked by any time that covers them.

    Raises:
        ConfigError: A value does not have its form. Each problem has the path to its field.
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
        token_ids = problems.as_tuple("revocations.token_ids", self.token_ids, "texts")
        if not all(isinstance(each, str) for each in token_ids):
            problems.add("revocations.token_ids", "must be a set of texts")
        problems.raise_if_any()
        object.__setattr__(self, "token_ids", frozenset(token_ids))
        object.__setattr__(self, "users", MappingProxyType(dict(self.users)))
        kept = {claim: MappingProxyType(dict(cutoffs)) for claim, cutoffs in by_claim.items() if cutoffs}
        object.__setattr__(self, "users_by_claim", MappingProxyType(kept))
        object.__setattr__(
            self, "_enabled", self.issued_before is not None or bool(self.users or kept or self.token_ids)
        )


def _are_cutoffs(given: object) -> bool:
    if not isinstance(given, Mapping):
        return False
    return all(isinstance(user, str) and _is_time(cutoff) for user, cutoff in given.items())


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 253402300799
