"""The same questions answered slowly and another way, so that what a target accepts can be held against it."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from wicket import Decision
from wicket.errors import STATUS

MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 308


class _Pairs:
    """A JSON object before anything is lost of it."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("too long")
    return int(digits)


def tree(raw: bytes, *, strict: bool = False) -> Any:
    """The JSON in `raw` with every object as its pairs. Raises `ValueError` or `RecursionError` where it is none.

    `strict` refuses the numbers that no part of a token may hold.
    """
    return json.loads(raw.decode("utf-8"), object_pairs_hook=_Pairs, parse_int=_whole if strict else int)


def strict_object(raw: bytes) -> dict[str, Any] | None:
    """The object that DESIGN section 6 admits as a part of a token; None for all that it calls malformed."""
    try:
        read = tree(raw, strict=True)
        if not isinstance(read, _Pairs):
            return None
        held: dict[str, Any] = _strict(read, 1)
    except (ValueError, RecursionError):
        return None
    return held


def _strict(value: Any, depth: int) -> Any:
    if isinstance(value, (_Pairs, list)) and depth > MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, _Pairs):
        names = [_strict(name, depth) for name, _ in value.pairs]
        if len(set(names)) != len(names):
            raise ValueError("a member stands twice")
        return {name: _strict(each, depth + 1) for name, each in value.pairs}
    if isinstance(value, list):
        return [_strict(each, depth + 1) for each in value]
    if isinstance(value, str):
        value.encode("utf-8")  # half a character has no UTF-8
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError("not a finite number")
    return value


def canonical(segment: str) -> bytes | None:
    """The bytes of a segment that is spelled as an encoder would have spelled them; None for any other."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return None
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == segment else None


def lenient_value(raw: bytes, path: list[str]) -> tuple[bool, Any]:
    """The value at `path` of a body, and whether a name of the path occurs twice; then it must not be used."""
    try:
        value = tree(raw)
    except (ValueError, RecursionError):
        return False, None
    for name in path:
        if not isinstance(value, _Pairs):
            return False, None
        held = [each for key, each in value.pairs if key == name]
        surplus = len(value.pairs) - len({key for key, _ in value.pairs})
        if len(held) > 1 or (held and surplus > 64):
            return True, None  # an object that repeats itself very often is refused: see `wicket.messages.json_body`
        value = held[0] if held else None
    return False, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(each) for key, each in value.pairs}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def sound(decision: Decision) -> Decision:
    """What holds of every decision, whatever it decides."""
    assert isinstance(decision, Decision)
    refusal = decision.refusal
    if refusal is not None:
        assert refusal.code != "internal_error", "a fault of the gate's own"
        assert refusal.status == STATUS[refusal.code]
        assert (refusal.reason is not None) is (refusal.code == "invalid_token")
    if not decision.allowed:
        assert refusal is not None
        assert not decision.identity.verified
    if decision.identity.verified:
        user_id = decision.require().user_id
        assert 1 <= len(user_id) <= 256
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in user_id)
        assert decision.identity.identity.isascii()
        json.dumps([decision.identity.claims, decision.identity.attributes, decision.identity.companies])
    assert repr(decision)
    return decision
