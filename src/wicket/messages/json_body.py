"""A JSON body that is only looked into: its members by a dotted path. Whatever is not an object holds nothing.

The application reads the same bytes with a parser of its own, which takes one of two members with one name. So a name
that stands twice on the way to a value is `invalid_request`; elsewhere it is the application's business.

Anybody may send a body, so reading one costs at most three times `json.loads` of the same bytes. The parser therefore
calls no Python code for an object: an object is the tuple of its pairs, until it lies on the way to a value that is
looked for. Only then it becomes `JSONObject`, and only then its names are compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wicket.errors import invalid_request

_MAX_REPEATED: Final = 64
"""How many members of one object may repeat another's name, to be told apart by name. To count the names of an object
costs as much as to parse it; an object that repeats itself more often is refused wherever it is looked into."""

_DECODER: Final = json.JSONDecoder(object_pairs_hook=tuple)


class JSONObject(dict[str, Any]):
    """One JSON object. Objects below it are the tuples of their pairs: `find` and `plain` open them."""

    __slots__ = ("_pairs", "_repeated")

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs if len(self) != len(pairs) else None
        self._repeated: frozenset[str] | None = None

    def repeats(self, name: str) -> bool:
        """Whether the member `name` stands here more than once, or too many members do to tell."""
        if self._pairs is None or name not in self:
            return False
        if len(self._pairs) - len(self) > _MAX_REPEATED:
            return True
        if self._repeated is None:
            counted = Counter([name for name, _ in self._pairs])
            self._repeated = frozenset(name for name, count in counted.items() if count > 1)
        return name in self._repeated


def parse_body(raw: bytes | None) -> JSONObject | None:
    """The object that a body holds; None for no body, another encoding than UTF-8, and anything else than an object."""
    if not raw:
        return None
    try:
        text = raw.decode("utf-8")
        if text.startswith("\ufeff"):
            return None
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return JSONObject(value) if isinstance(value, tuple) else None


def get_path(document: JSONObject | None, path: Sequence[str]) -> Any:
    """What stands at `path`, or None. Raises `Refused` (`invalid_request`) where a name on the way stands twice.

    An object is given as `JSONObject`; what lies in a list is given as it was parsed (see `plain`).
    """
    value: Any = document
    for name in path:
        if not isinstance(value, JSONObject):
            return None
        if value.repeats(name):
            raise invalid_request(f"The body's member {'.'.join(path)} may be given once.")
        held: Any = value.get(name)
        if isinstance(held, tuple):
            held = value[name] = JSONObject(held)
        value = held
    return value


def plain(value: Any) -> Any:
    """A value of a document as `json.loads` would have given it. Of two members with one name the last one counts.

    Raises `RecursionError` where it is nested about as deeply as Python can go.
    """
    if isinstance(value, tuple):
        return {name: plain(each) for name, each in value}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value
