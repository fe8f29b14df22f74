"""Patterns with one placeholder, which find a name in a string. They are no regular expressions: a match is linear."""

from __future__ import annotations

from typing import NamedTuple


class NamePattern(NamedTuple):
    """A pattern that is divided at its placeholder.

    Args:
        prefix: The characters before the name.
        suffix: The characters after the name, without the `*`.
        is_open: Whether the pattern ends with `*`, which matches everything after the first `suffix`.
    """

    prefix: str
    suffix: str
    is_open: bool

    def find(self, value: str) -> str | None:
        """Return the name in a string; None if the string does not match."""
        if not value.startswith(self.prefix):
            return None
        rest = value[len(self.prefix) :]
        if self.is_open:
            name, separator, _ = rest.partition(self.suffix)
            return name if separator else None
        return rest[: len(rest) - len(self.suffix)] if rest.endswith(self.suffix) else None

    def fill(self, name: str) -> str:
        """Return the shortest string in which `find` finds the name, if there is one."""
        return f"{self.prefix}{name}{self.suffix}"


def parse_pattern(pattern: object, placeholder: str) -> NamePattern | None:
    """Return a pattern that is divided at its placeholder.

    Args:
        pattern: The pattern. It has the placeholder once, and may end with `*`, which matches everything after the
            first occurrence of the characters between the two. All other characters are compared exactly.
        placeholder: The placeholder, for example `{app}`.

    Returns:
        The pattern; None if it is invalid.
    """
    parts = pattern.split(placeholder) if isinstance(pattern, str) else []
    if len(parts) != 2 or "*" in parts[0] or "*" in parts[1][:-1] or parts[1] == "*":
        return None
    return NamePattern(parts[0], parts[1].removesuffix("*"), parts[1].endswith("*"))
