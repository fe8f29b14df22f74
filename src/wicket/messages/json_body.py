"""Read single members of a JSON body by a path.

The application parses the same bytes with its own parser, which keeps one of two members with the same name. Therefore
a duplicate name on the path to a value is `invalid_request`. Duplicates elsewhere are left to the application.

Any client can send a body, so reading one must cost at most three times as much as `json.loads` of the same bytes. The
parser therefore calls no Python code for an object. An object stays a tuple of its pairs until it is on the path to a
requested value. Only then it becomes a `JSONObject`, and only then its names are compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wicket.errors import invalid_request

_MAX_DUPLICATES: Final = 64
# The maximum number of surplus members for which duplicate names are determined. Counting the names of an object costs
# as much as parsing it. In an object with more surplus members, every name counts as a duplicate.

_DECODER: Final = json.JSONDecoder(object_pairs_hook=tuple)


class JSONObject(dict[str, Any]):
    """One JSON object. Objects inside it are tuples of pairs; `get_path` and `plain` convert them.

    Args:
        pairs: the names and values in the order of the document, duplicates included.
    """

    __slots__ = ("_duplicates", "_pairs")

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs if len(self) != len(pairs) else None
        self._duplicates: frozenset[str] | None = None

    def repeats(self, name: str) -> bool:
        """Return whether the object has the member `name` more than once, or too many duplicates to determine it."""
        if self._pairs is None or name not in self:
            return False
        if len(self._pairs) - len(self) > _MAX_DUPLICATES:
            return True
        if self._duplicates is None:
            counts = Counter([name for name, _ in self._pairs])
            self._duplicates = frozenset(name for name, count in counts.items() if count > 1)
        return name in self._duplicates


def parse_body(raw: bytes | None) -> JSONObject | None:
    """Parse a body as a JSON object.

    Args:
        raw: the body, or None.

    Returns:
        The object. None if there is no body, if it is not UTF-8 without a byte order mark, or if it is not a JSON
        object.
    """
    if not raw:
        return None
    try:
        decoded = raw.decode("utf-8")
        if decoded.startswith("\ufeff"):
            return None
        value = _DECODER.decode(decoded)
    except (ValueError, RecursionError):
        return None
    return JSONObject(value) if isinstance(value, tuple) else None


def get_path(document: JSONObject | None, path: Sequence[str]) -> Any:
    """Return the value at `path`.

    Args:
        document: the parsed body, or None.
        path: the names of the members, from the outside to the inside.

    Returns:
        The value. None if there is none. An object is a `JSONObject`. Objects inside a list are tuples of pairs (see
        `plain`).

    Raises:
        Refused: `invalid_request`, if an object has one of the names on the path more than once.
    """
    value: Any = document
    for name in path:
        if not isinstance(value, JSONObject):
            return None
        if value.repeats(name):
            raise invalid_request(f"The body may contain the field {'.'.join(path)} only once.")
        member: Any = value.get(name)
        if isinstance(member, tuple):
            member = value[name] = JSONObject(member)
        value = member
    return value


def plain(value: Any) -> Any:
    """Convert a value of a parsed body to the value that `json.loads` would return.

    Args:
        value: a value that `get_path` or `parse_body` returned.

    Returns:
        The value with dicts instead of tuples. The last of several members with the same name counts.

    Raises:
        RecursionError: the value is nested about as deeply as Python's recursion limit.
    """
    if isinstance(value, tuple):
        return {name: plain(member) for name, member in value}
    if isinstance(value, Mapping):
        return {name: plain(member) for name, member in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
