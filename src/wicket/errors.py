"""Error codes, refusals and configuration errors.

    Refusal            a value: the code, the status and the reason of one refused request
    WicketError
    ├── Refused        has one Refusal; the core and Decision.require() raise it
    └── ConfigError    has every Problem of a configuration, each with the path to its field

An error of a request and an error of the configuration never share a class. No error contains a token, a secret or a
key.
"""

from __future__ import annotations

import re
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
    "missing_token": "This request requires a token, but it has none.",
    "config_missing": "This app has no credential yet, so its tokens cannot be verified.",
    "config_invalid": "This app's configuration is not valid, so its tokens cannot be verified.",
    "unknown_app": "This request names an app that is not configured here.",
    "origin_not_allowed": "This app does not allow requests from this origin.",
    "insufficient_scope": "The token lacks a scope that this request requires.",
    "rate_limited": "There were too many requests. Retry later.",
    "keys_unavailable": "This app's signing keys are temporarily unavailable. Retry later.",
    "apps_unavailable": "This app's configuration is temporarily unavailable. Retry later.",
    "internal_error": "An internal error occurred while this request was checked. Retry later.",
    "malformed": "The token is not a well-formed JWT.",
    "too_large": "The token is larger than this app allows.",
    "algorithm_not_allowed": "This app does not allow the token's algorithm.",
    "key_not_found": "This app has no key for the token's kid.",
    "bad_signature": "The token's signature does not verify with this app's keys.",
    "expired": "The token has expired.",
    "not_yet_valid": "The token is not valid yet.",
    "issued_in_future": "The token's iat is in the future.",
    "lifetime_too_long": "The token's lifetime is longer than this app allows.",
    "lifetime_too_short": "The token's lifetime is shorter than this app allows.",
    "wrong_issuer": "The token's issuer is not this app's issuer.",
    "wrong_audience": "The token was issued for another audience.",
    "wrong_app": "The token was issued for another app.",
    "wrong_type": "This app does not allow the token's typ.",
    "missing_claim": "The token lacks a claim that this app requires.",
    "bad_claim": "A claim of the token does not have the required form.",
    "context_too_large": "The token's context is larger than this app allows.",
    "bad_identity_hash": "The identity hash does not verify.",
    "revoked": "The token has been revoked.",
}
"""The sentence for each code or reason that responses, events and logs use if a refusal has no other `detail`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, or would be refused if the app were not in log-only mode.

    Args:
        code: A stable word for programs.
        reason: A second stable word. Only `invalid_token` has reasons.
        detail: Sentences in English for people. The default is the sentence of the reason or the code.
        retry_after: Whole seconds until a retry can help; None if it cannot (`Retry-After`, RFC 9110 section 10.2.3).
        claim: The name of the claim that caused the refusal, if one did.
        expected: What the app expects of the claim or the header parameter, for logs and events. It is not in the
            response.
        limited: True if a limit or a queue of this process caused the refusal, and not an outage.
        impatient: True if the refusal exists only because log-only mode waits for a shorter time than enforcing mode.
    """

    code: Code
    reason: Reason | None = None
    detail: str = ""
    retry_after: int | None = None
    claim: str | None = None
    limited: bool = False
    impatient: bool = False
    expected: str | None = None

    def __post_init__(self) -> None:
        if not self.detail:
            object.__setattr__(self, "detail", DETAIL[self.reason or self.code])

    @property
    def status(self) -> int:
        """The HTTP status of the code.

        The status of `config_invalid` is 503 if `retry_after` is set: a key set cannot be used, and a retry may help.
        Otherwise it is 401: the configuration itself is wrong.
        """
        if self.code == "config_invalid" and self.retry_after is not None:
            return 503
        return STATUS[self.code]


class WicketError(Exception):
    """The base class of the exceptions that Wicket raises."""


class Refused(WicketError):
    """A request is refused. `Decision.require()` and the accessors of the frameworks raise it.

    Args:
        refusal: Why the request is refused. It is an attribute of the same name.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code, refusal.reason)
        self.refusal = refusal

    def __reduce__(self) -> tuple[type[Refused], tuple[Refusal]]:
        return type(self), (self.refusal,)

    def __str__(self) -> str:
        reason = self.refusal.reason
        return f"{self.refusal.code} ({reason})" if reason else self.refusal.code


def invalid_token(
    reason: Reason, detail: str = "", *, claim: str | None = None, expected: str | None = None
) -> Refused:
    """Return a `Refused` for a token that did not pass a check (RFC 6750 section 3.1, `invalid_token`).

    Args:
        reason: The check that failed.
        detail: A sentence for people. The default is the sentence of the reason.
        claim: The name of the claim that caused the refusal, if one did.
        expected: What the app expects of it, for logs and events.
    """
    return Refused(Refusal("invalid_token", reason, detail, claim=claim, expected=expected))


def invalid_request(detail: str) -> Refused:
    """Return a `Refused` for a request that contradicts itself (RFC 6750 section 3.1, `invalid_request`).

    Args:
        detail: A sentence for people.
    """
    return Refused(Refusal("invalid_request", None, detail))


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a configuration.

    Args:
        path: The path to the field, for example `apps[0].origins[1]`.
        message: What is wrong with the field.
        hint: How to correct it, or an example.
        app: The id of the app whose configuration it is; None for a setting of the gate, or if the id is unknown.
    """

    path: str
    message: str
    hint: str = ""
    app: str | None = None

    def __str__(self) -> str:
        app = f"app {self.app}: " if self.app is not None else ""
        path = f"{self.path}: " if self.path else ""
        return f"{app}{path}{self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(WicketError, ValueError):
    """A configuration is not valid.

    Args:
        problems: Every problem that was found. It is an attribute of the same name, a tuple.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)

    def of_app(self, app_id: str) -> ConfigError:
        """Return the same error with the id of the app in each problem that has none."""
        return ConfigError(replace(problem, app=problem.app or app_id) for problem in self.problems)


_VISIBLE: Final = re.compile("[\\x21-\\x7e]{1,128}")


class Problems:
    """Collects the problems of a configuration, so that one `ConfigError` reports all of them.

    Args:
        app: The id of the app whose configuration is checked. Another value than a string of visible ASCII characters
            counts as None, because it is invalid itself.
    """

    def __init__(self, app: object = None) -> None:
        self.found: list[Problem] = []
        self._app = app if isinstance(app, str) and _VISIBLE.fullmatch(app) else None

    def add(self, path: str, message: str, hint: str = "") -> None:
        """Add one problem of the field at `path`."""
        self.found.append(Problem(path, message, hint, self._app))

    def merge(self, path: str, error: ConfigError) -> None:
        """Add the problems of a part of the configuration. `path` becomes the prefix of their paths."""
        for problem in error.problems:
            suffix = problem.path if not path or problem.path.startswith("[") else f".{problem.path}"
            app = problem.app if problem.app is not None else self._app
            self.found.append(replace(problem, path=f"{path}{suffix}" if problem.path else path, app=app))

    def as_tuple(self, path: str, values: object, items: str) -> tuple[Any, ...]:
        """Return `values` as a tuple. `values` is iterated once.

        A string, bytes, a mapping, and a value that is not iterable are a problem. The result is then empty.

        Args:
            path: The path to the field.
            values: The value of the field.
            items: What the items are called in the message, in the plural.
        """
        if isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)):
            return tuple(values)
        single = ", not one string" if isinstance(values, (str, bytes)) else ""
        self.add(path, f"must be a list of {items}{single}", "put square brackets around it" if single else "")
        return ()

    def raise_if_any(self) -> None:
        """Raise one `ConfigError` with every problem. Return if there is none."""
        if self.found:
            raise ConfigError(self.found)


_SYNONYMS: Final = {
    "skew": "leeway",
    "clock_skew": "leeway",
    "clock_tolerance": "leeway",
    "tolerance": "leeway",
    "aud": "audience",
    "iss": "issuer",
    "secret": "credentials",
    "secrets": "credentials",
    "key": "credentials",
    "keys": "credentials",
    "jwks": "credentials",
    "public_key": "publishable_key",
    "scopes": "allowed_scopes",
    "anonymous": "allow_anonymous",
    "max_age": "max_lifetime",
    "typ": "allowed_typ",
    "required": "required_claims",
    "cors_origins": "origins",
    "tokens": "token_locations",
    "naming": "app_locations",
}
"""Names that other libraries or earlier versions use, each with the name here."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the known name that is probably meant, or else all known names.

    Args:
        name: The unknown name.
        known: The known names.
    """
    from difflib import get_close_matches

    names = sorted(known)
    synonym = _SYNONYMS.get(name) if isinstance(name, str) else None
    similar = [synonym] if synonym in names else get_close_matches(str(name), names, 1)
    return f"did you mean {similar[0]}?" if similar else f"one of {', '.join(names)}"


def config_error(path: str, message: str, hint: str = "") -> ConfigError:
    """Return a `ConfigError` with one problem."""
    return ConfigError([Problem(path, message, hint)])
