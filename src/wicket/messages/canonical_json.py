"""Canonical JSON: one string for each JSON value, whatever the order of the members.

It is the form of OLPC that `@tufjs/canonical-json` and other libraries write: members sorted by name, no spaces, no
fractions, and only backslashes and double quotes escaped.
"""

from __future__ import annotations

from typing import Any, Final

from wicket.messages.json_body import JSONObject

_MAX_DEPTH: Final = 16
_MAX_INTEGER: Final = 2**53 - 1
"""JavaScript parses larger integers as another number (`Number.MAX_SAFE_INTEGER`)."""


def canonical_json(value: object) -> str | None:
    """Return the canonical JSON of a value of a body.

    Args:
        value: A value that `wicket.messages.json_body` parsed.

    Returns:
        The string. None if the value has no canonical JSON: it has a member twice, a fraction, an integer that
        JavaScript cannot represent, a lone surrogate, or more than 16 levels.
    """
    try:
        encoded = _encode(value, _MAX_DEPTH)
        encoded.encode("utf-8")
    except (ValueError, OverflowError):
        return None
    return encoded


def _encode(value: Any, depth: int) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, (int, float)):
        if value != int(value) or abs(value) > _MAX_INTEGER:  # NaN and infinity raise
            raise ValueError("a number is no integer that JavaScript can represent")
        return str(int(value))
    if depth == 0:
        raise ValueError("the value has too many levels")
    if isinstance(value, list):
        return f"[{','.join(_encode(item, depth - 1) for item in value)}]"
    members = value if isinstance(value, JSONObject) else JSONObject(value)
    if any(members.repeats(name) for name in members):
        raise ValueError("an object has a member twice")
    # JavaScript sorts strings by their UTF-16 code units.
    names = sorted(members, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return f"{{{','.join(f'{_encode(name, depth)}:{_encode(members[name], depth - 1)}' for name in names)}}}"
