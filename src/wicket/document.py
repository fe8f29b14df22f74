"""A JSON body that is only looked into: its members by a dotted path. Whatever is not an object holds nothing.

The application reads the same bytes with a parser of its own, which takes one of two members with one name. So a name
that stands twice on the way to a value is `invalid_request`; elsewhere it is the application's business.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from wicket.errors import invalid_request

_MAX_DIGITS: Final = 308


class Members(dict[str, Any]):
    """One JSON object, and the names that stand in it more than once."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: frozenset[str] = frozenset()
        if len(self) != len(pairs):
            seen: set[str] = set()
            self.repeated = frozenset(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # add returns None


def read_document(raw: bytes | None) -> Members | None:
    """The object that a body holds; None for no body, another encoding than UTF-8, and anything else than an object."""
    if not raw:
        return None
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=Members, parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Members) else None


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("too long")
    return int(digits)


def find(document: Members | None, path: Sequence[str]) -> Any:
    """What stands at `path`, or None. Raises `Refused` (`invalid_request`) where a name on the way stands twice."""
    value: Any = document
    for name in path:
        if not isinstance(value, Members):
            return None
        if name in value.repeated:
            raise invalid_request(f"The body's member {'.'.join(path)} may be given once.")
        value = value.get(name)
    return value
