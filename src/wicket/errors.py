"""What can go wrong, and nothing else: why a request is refused, and what is wrong with a configuration.

    Refusal            a value: the code, the status and the reason of one refused request
    WicketError
    ├── Refused        carries one Refusal; the core raises it, Decision.require() hands it on
    └── ConfigError    carries every Problem of a configuration, each with the path to its field

A fault of a request and a fault of the configuration never share a class. Neither ever quotes a token,
a secret or the text of a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

Code = Literal[
    "missing_token",
    "invalid_token",
    "config_missing",
    "config_invalid",
    "unknown_app",
    "invalid_request",
    "origin_not_allowed",
    "insufficient_scope",
    "rate_limited",
    "keys_unavailable",
    "apps_unavailable",
    "internal_error",
]

Reason = Literal[
    "malformed",
    "too_large",
    "algorithm_not_allowed",
    "key_not_found",
    "bad_signature",
    "expired",
    "not_yet_valid",
    "issued_in_future",
    "lifetime_too_long",
    "lifetime_too_short",
    "wrong_issuer",
    "wrong_audience",
    "wrong_app",
    "wrong_type",
    "missing_claim",
    "bad_claim",
    "context_too_large",
    "bad_identity_hash",
    "revoked",
]

STATUS: Final[dict[Code, int]] = {
    "missing_token": 401,
    "invalid_token": 401,
    "config_missing": 401,
    "config_invalid": 401,
    "unknown_app": 401,
    "invalid_request": 400,
    "origin_not_allowed": 403,
    "insufficient_scope": 403,
    "rate_limited": 429,
    "keys_unavailable": 503,
    "apps_unavailable": 503,
    "internal_error": 503,
}

DETAIL: Final[dict[str, str]] = {
    "missing_token": "This request needs a token, and none was sent.",
    "config_missing": "This app has no credential yet, so no token of it can be verified.",
    "config_invalid": "This app's configuration is not valid, so no token of it can be verified.",
    "unknown_app": "This request names no app that is known here.",
    "origin_not_allowed": "This app does not admit requests from this origin.",
    "insufficient_scope": "The token lacks a scope that this request needs.",
    "rate_limited": "Too many requests; try again later.",
    "keys_unavailable": "This app's keys cannot be had right now; try again later.",
    "apps_unavailable": "The app cannot be looked up right now; try again later.",
    "internal_error": "The request could not be checked; try again later.",
    "malformed": "The token is not a well-formed JWT.",
    "too_large": "The token is larger than this app admits.",
    "algorithm_not_allowed": "The token's algorithm is not one that this app allows.",
    "key_not_found": "No key of this app fits the token's key id.",
    "bad_signature": "The token's signature does not verify with this app's keys.",
    "expired": "The token has expired.",
    "not_yet_valid": "The token is not valid yet.",
    "issued_in_future": "The token says that it was issued in the future.",
    "lifetime_too_long": "The token lives longer than this app admits.",
    "lifetime_too_short": "The token lives shorter than this app admits.",
    "wrong_issuer": "The token's issuer is not this app's issuer.",
    "wrong_audience": "The token was not made for this audience.",
    "wrong_app": "The token was made for another app.",
    "wrong_type": "The token's typ is not one that this app admits.",
    "missing_claim": "The token lacks a claim that this app requires.",
    "bad_claim": "A claim of the token does not have the required form.",
    "context_too_large": "The token's context is larger than this app admits.",
    "bad_identity_hash": "The identity hash does not verify.",
    "revoked": "The token has been revoked.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is, or in log-only mode would be, turned away.

    `code` and `reason` are stable words for programs, `detail` is one English sentence for people. `retry_after`
    is in whole seconds and set only where trying again can help. `claim` names the claim at fault, where one is.
    `limited` marks a refusal that a budget or a queue of this process caused, and no outage. `impatient` marks one that
    exists only because log-only mode waits for a shorter time than enforcing would.
    """

    code: Code
    reason: Reason | None = None
    detail: str = ""
    retry_after: int | None = None
    claim: str | None = None
    limited: bool = False
    impatient: bool = False

    def __post_init__(self) -> None:
        if not self.detail:
            object.__setattr__(self, "detail", DETAIL[self.reason or self.code])

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code.

        `config_invalid` is 503 if `retry_after` is set: a key set cannot be used, which may pass. Otherwise it is 401:
        the configuration itself is wrong.
        """
        if self.code == "config_invalid" and self.retry_after is not None:
            return 503
        return STATUS[self.code]


class WicketError(Exception):
    """Every exception that Wicket itself raises."""


class Refused(WicketError):
    """One request is refused; `refusal` says why. Raised by `Decision.require()` and by the typed accessors."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code, refusal.reason)
        self.refusal = refusal

    def __reduce__(self) -> tuple[type[Refused], tuple[Refusal]]:
        return type(self), (self.refusal,)

    def __str__(self) -> str:
        reason = self.refusal.reason
        return f"{self.refusal.code} ({reason})" if reason else self.refusal.code


def invalid_token(reason: Reason, detail: str = "", *, claim: str | None = None) -> Refused:
    """The token was read and did not pass (RFC 6750 section 3.1, `invalid_token`)."""
    return Refused(Refusal("invalid_token", reason, detail, claim=claim))


def invalid_request(detail: str) -> Refused:
    """The request contradicts itself (RFC 6750 section 3.1, `invalid_request`)."""
    return Refused(Refusal("invalid_request", None, detail))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration: the path to the field, what is wrong, what would be right."""

    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(WicketError, ValueError):
    """A configuration is wrong. `problems` holds everything that was found, not only the first thing."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class Problems:
    """Collects what is wrong with a configuration, so that it can be said all at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, path: str, message: str, hint: str = "") -> None:
        """Note one problem at `path`."""
        self.found.append(Problem(path, message, hint))

    def merge_problems(self, path: str, error: ConfigError) -> None:
        """Take over the problems of a part, its paths put below `path`."""
        for problem in error.problems:
            below = problem.path if not path or problem.path.startswith("[") else f".{problem.path}"
            self.found.append(replace(problem, path=f"{path}{below}" if problem.path else path))

    def as_tuple(self, path: str, given: object, of: str) -> tuple[Any, ...]:
        """`given` as a tuple, read once; a text or anything that is no list is noted as a problem."""
        if isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping)):
            return tuple(given)
        self.add(path, f"must be a list of {of}" + (", not one string" if isinstance(given, (str, bytes)) else ""))
        return ()

    def raise_if_any(self) -> None:
        """Raise one `ConfigError` with all that was found; return if nothing was."""
        if self.found:
            raise ConfigError(self.found)


def config_error(path: str, message: str, hint: str = "") -> ConfigError:
    """A `ConfigError` with a single problem."""
    return ConfigError([Problem(path, message, hint)])
