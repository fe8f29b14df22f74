"""Path rules: which requests the gate decides, by `only`, `exempt` and `optional`."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from wicket.errors import Problems
from wicket.messages.paths import LONGEST_PATH, is_plain


class Access(enum.Enum):
    """How the gate handles a path.

    Attributes:
        OPEN: The gate does not decide about the path.
        OPTIONAL: The path is gated, and anonymous requests are allowed.
        GATED: The path is gated.
    """

    OPEN = "open"
    OPTIONAL = "optional"
    GATED = "gated"


class _Patterns:
    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._exact = frozenset(pattern for pattern in patterns if not pattern.endswith("/*"))
        self._prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("/*"))

    def match(self, path: str) -> bool:
        return path in self._exact or any(path.startswith(prefix) or path == prefix[:-1] for prefix in self._prefixes)


class Paths:
    """The path rules of one middleware.

    A pattern is an exact path, or ends in `/*` and matches that path and every path below it.

    Args:
        only: The gated paths. If empty, every path is gated.
        exempt: Paths that are not gated.
        optional: Gated paths that allow anonymous requests.

    Attributes:
        everything: Whether there is no rule, so every path is gated.

    Raises:
        ConfigError: If a pattern is invalid. The error lists every problem.
    """

    def __init__(self, only: Iterable[str] = (), exempt: Iterable[str] = (), optional: Iterable[str] = ()) -> None:
        problems = Problems()
        self._only = _validated_patterns(problems, "only", only)
        self._exempt = _validated_patterns(problems, "exempt", exempt)
        self._optional = _validated_patterns(problems, "optional", optional)
        problems.raise_if_any()
        self.everything = not (self._only or self._exempt or self._optional)
        self._match = tuple(_Patterns(patterns) for patterns in (self._only, self._exempt, self._optional))

    def access(self, *readings: str) -> Access:
        """Return how a request is handled. It is gated unless all readings have the same result.

        Args:
            readings: Every path that a router may take the request for (see `wicket.messages.paths`).
        """
        if self.everything or not readings:
            return Access.GATED
        first = self._access_of_path(readings[0])
        if len(readings) > 1 and any(self._access_of_path(reading) is not first for reading in readings[1:]):
            return Access.GATED
        return first

    def _access_of_path(self, path: str) -> Access:
        path = path or "/"
        if not is_plain(path):
            # A server or router may normalise such a path to another one, so no exception applies to it.
            return Access.GATED
        only, exempt, optional = self._match
        # Routers may serve a path with a trailing slash like the one without. If one is gated, both are.
        bare = path.rstrip("/")
        listed = any(only.match(variant) or optional.match(variant) for variant in (path, bare, f"{bare}/"))
        if (self._only and not listed) or exempt.match(path):
            return Access.OPEN
        return Access.OPTIONAL if optional.match(path) else Access.GATED


def _validated_patterns(problems: Problems, name: str, patterns: Iterable[str]) -> tuple[str, ...]:
    values = problems.as_tuple(name, patterns, "paths")
    for index, pattern in enumerate(values):
        if not isinstance(pattern, str) or not pattern.startswith("/") or "*" in pattern.removesuffix("/*"):
            problems.add(f"{name}[{index}]", "must be a path that starts with /, exact or ending in /*")
        elif not is_plain(pattern):
            problems.add(
                f"{name}[{index}]",
                f"must have at most {LONGEST_PATH:,} characters, no empty or dot segments, and no backslash, "
                "semicolon, percent sign or control character",
            )
    return values
