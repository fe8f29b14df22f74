"""Which paths stand behind the gate: `only`, `exempt` and `optional`, as exact paths or with an explicit `/*`."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from wicket.errors import Problems
from wicket.messages.paths import is_plain


class Access(enum.Enum):
    """How the gate treats a path."""

    OPEN = "open"
    OPTIONAL = "optional"
    GATED = "gated"


class _Patterns:
    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._exact = frozenset(pattern for pattern in patterns if not pattern.endswith("/*"))
        self._below = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("/*"))

    def match(self, path: str) -> bool:
        return path in self._exact or any(path.startswith(prefix) or path == prefix[:-1] for prefix in self._below)


class Paths:
    """Gated are `only` these paths (or all), less the `exempt` ones; `optional` ones are, and admit anonymous users.

    A pattern is an exact path, or ends in `/*`: that path and everything below it. Raises `ConfigError` for others.
    """

    def __init__(self, only: Iterable[str] = (), exempt: Iterable[str] = (), optional: Iterable[str] = ()) -> None:
        problems = Problems()
        self._only = _checked(problems, "only", only)
        self._exempt = _checked(problems, "exempt", exempt)
        self._optional = _checked(problems, "optional", optional)
        problems.raise_if_any()
        self.everything = not (self._only or self._exempt or self._optional)
        self._match = tuple(_Patterns(patterns) for patterns in (self._only, self._exempt, self._optional))

    def access(self, *readings: str) -> Access:
        """How a request with these readings is treated (see `wicket.messages.paths`): gated unless all of them agree."""
        if self.everything or not readings:
            return Access.GATED
        first = self._access(readings[0])
        if len(readings) > 1 and any(self._access(each) is not first for each in readings[1:]):
            return Access.GATED
        return first

    def _access(self, path: str) -> Access:
        path = path or "/"
        if not is_plain(path):
            # A server or router may fold such a path into another one, so no exception is made for it.
            return Access.GATED
        only, exempt, optional = self._match
        # Routers may serve a path with a slash at its end like the one without: what is gated, is gated either way.
        bare = path.rstrip("/")
        named = any(only.match(each) or optional.match(each) for each in (path, bare, f"{bare}/"))
        if (self._only and not named) or exempt.match(path):
            return Access.OPEN
        return Access.OPTIONAL if optional.match(path) else Access.GATED


def _checked(problems: Problems, name: str, patterns: Iterable[str]) -> tuple[str, ...]:
    found = problems.as_tuple(name, patterns, "paths")
    for index, pattern in enumerate(found):
        if not isinstance(pattern, str) or not pattern.startswith("/") or "*" in pattern.removesuffix("/*"):
            problems.add(f"{name}[{index}]", "must be a path that starts with /, exact or ending in /*")
        elif not is_plain(pattern):
            problems.add(
                f"{name}[{index}]", "must mean only itself: no empty or dot segments, no encoded or control characters"
            )
    return found
