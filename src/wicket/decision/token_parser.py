"""Strict reading of a compact JWS (RFC 7515, RFC 8725): what is not exactly well-formed is refused, whatever it means.

Nothing here looks at a key or trusts a word of what it reads. Every input costs time linear in its length and ends
as a value or as `Refused`, never as another exception.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn

from wicket.errors import Refusal, Refused, invalid_token
from wicket.messages.json_body import parse_body
from wicket.runtime import base64url

# Possessive, and an unfinished string ends where it ends: no character is looked at twice.
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]++)\.([A-Za-z0-9_-]*+)")
_STRUCTURE: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
_SPACE: Final = rb"[ \t\n\r]*+"
_STRING: Final = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*+)*+"'
_PLAIN: Final = rb"(?:%b|-?[0-9][0-9.Ee+-]*+|true|false|null)" % _STRING
_MEMBER: Final = rb"%b:%b" % (_STRING + _SPACE, _SPACE + _PLAIN + _SPACE)
_FLAT: Final = re.compile(rb"%b\{%b(?:%b(?:,%b)*+)?+\}%b" % (_SPACE, _SPACE, _MEMBER, _SPACE + _MEMBER, _SPACE))
"""Matches every JSON object (RFC 8259) that holds no other and no list, and little else."""
_MAX_DEPTH: Final = 32
_MAX_DIGITS: Final = 308
_MAX_HEADER: Final = 8_192
_MAX_MEMBERS: Final = 256
_MAX_NESTED: Final = 64
"""How long a header may be, and how many members and values, objects and lists it may have. Anybody may send
it, so it is read before anything is proven. A chain of three certificates (`x5c`) has 6,000 characters."""
_MAX_UNPROVEN: Final = 400
"""How many marks of structure (, : [ {) a payload may have in which an issuer is looked for before the signature is
verified."""
_REFUSED_MEMBERS: Final = frozenset({"crit", "b64", "zip", "cty", "enc"})
_BROKEN: Final = object()
_KEPT_LENGTH: Final = 512
_KEPT_HEADERS: Final = 1024


class JOSEHeader(NamedTuple):
    """The checked members of a JOSE header. `algorithm` is whatever string stood there."""

    algorithm: str
    kid: str | None
    typ: str | None


@dataclass(slots=True)
class UnverifiedToken:
    """A well-formed token of which nothing is proven. `text` is its whole spelling, which is the only one it has."""

    text: str = field(repr=False)
    header: JOSEHeader
    payload: str = field(repr=False)
    signature: str = field(repr=False)

    @property
    def signing_input(self) -> bytes:
        """The bytes that the signature covers (RFC 7515 section 5.2)."""
        return self.text[: len(self.text) - len(self.signature) - 1].encode("ascii")


_HEADER_CACHE: Final[dict[str, JOSEHeader]] = {}
"""The headers that were read before, by their segment: issuers send one header for years."""

_MALFORMED: Final = Refusal("invalid_token", "malformed")
_TOO_LARGE: Final = Refusal("invalid_token", "too_large")
_NO_OBJECT: Final = Refusal("invalid_token", "malformed", "The token's parts are not JSON objects.")
_LONG_HEADER: Final = Refusal("invalid_token", "malformed", "The token's header has more members than a header needs.")
_NO_ALGORITHM: Final = Refusal("invalid_token", "algorithm_not_allowed")
_BAD_KID: Final = Refusal("invalid_token", "malformed", "The token's kid is not a string.")
_BAD_TYP: Final = Refusal("invalid_token", "malformed", "The token's typ is not a string.")


def malformed(detail: str = "") -> Refused:
    """The token is not a well-formed JWT; `detail` never quotes it."""
    return invalid_token("malformed", detail) if detail else Refused(_MALFORMED)


def parse_token_or_raise(text: str, max_bytes: int) -> UnverifiedToken:
    """Read `text` as a compact JWS of at most `max_bytes` characters. Raises `Refused`: `too_large` or `malformed`."""
    read = parse_token(text, max_bytes)
    if isinstance(read, Refusal):
        raise Refused(read)
    return read


def parse_token(text: str, max_bytes: int) -> UnverifiedToken | Refusal:
    """As `parse_token_or_raise`, with its refusals as values: garbage is cheap to send, and shall be cheap to refuse."""
    if len(text) > max_bytes:
        return _TOO_LARGE
    match = _COMPACT.fullmatch(text)
    if match is None:
        return _MALFORMED
    segment, payload, signature = match.groups()
    header = _HEADER_CACHE.get(segment)
    if header is None:
        if len(segment) > _MAX_HEADER:
            return _LONG_HEADER
        read = _read_header(base64url.decode_canonical(segment)) if base64url.is_canonical(segment) else _MALFORMED
        if isinstance(read, Refusal):
            return read
        header = read
        if len(segment) <= _KEPT_LENGTH:
            if len(_HEADER_CACHE) >= _KEPT_HEADERS:  # what is kept is text that anybody may send, and is bounded
                _HEADER_CACHE.clear()
            _HEADER_CACHE[segment] = header
    if not (base64url.is_canonical(payload) and base64url.is_canonical(signature)):
        return _MALFORMED
    return UnverifiedToken(text, header, payload, signature)


def _read_header(raw: bytes) -> JOSEHeader | Refusal:
    if _FLAT.fullmatch(raw) is None and raw.find(b"{", 1) < 0 and raw.find(b"[") < 0:
        return _MALFORMED  # as garbage mostly is; and this takes a third of the time of a parser that raises
    if raw.count(b",") > _MAX_MEMBERS or raw.count(b"[") + raw.count(b"{") > _MAX_NESTED:
        return _LONG_HEADER
    members = _parse_json(raw)
    if not isinstance(members, dict):
        return _MALFORMED if members is _BROKEN else _NO_OBJECT
    if not _REFUSED_MEMBERS.isdisjoint(members):
        named = ", ".join(sorted(_REFUSED_MEMBERS & members.keys()))
        return Refusal("invalid_token", "malformed", f"The token's header has {named}, which is not supported here.")
    algorithm, kid, typ = members.get("alg"), members.get("kid"), members.get("typ")
    if not isinstance(algorithm, str):
        return _NO_ALGORITHM
    if "kid" in members and not isinstance(kid, str):
        return _BAD_KID
    if "typ" in members and not isinstance(typ, str):
        return _BAD_TYP
    return JOSEHeader(algorithm, kid, typ)


def decode(segment: str) -> bytes:
    """The bytes of one segment. Raises `Refused` for any but the canonical spelling."""
    try:
        return base64url.decode(segment)
    except ValueError:
        raise malformed() from None


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object, strictly. Raises `Refused`.

    Refused: other than UTF-8, a byte order mark, anything but an object, duplicate members at any depth, NaN and
    numbers beyond the finite doubles, lone surrogates, and a depth of more than 32.
    """
    value = _parse_json(raw)
    if isinstance(value, dict):
        return value
    if value is _BROKEN:
        raise malformed()  # outside of the handler: what was caught there may hold the text, and would go along
    raise Refused(_NO_OBJECT)


def unproven_issuer(raw: bytes) -> Any:
    """The `iss` of a payload of which nothing is proven, for looking up; None without one. Raises `Refused`.

    The payload is read strictly once its signature is verified; here it is only bounded.
    """
    if raw.count(b",") + raw.count(b":") + raw.count(b"[") + raw.count(b"{") > _MAX_UNPROVEN:
        raise malformed("The token has more claims than may be looked through for the app that it names.")
    document = parse_body(raw)
    if document is None or document.repeats("iss"):
        raise malformed()
    return document.get("iss")


def _parse_json(raw: bytes) -> Any:
    """The JSON value that `raw` spells; `_BROKEN` where it spells none."""
    try:
        text = raw.decode("utf-8")
        if len(text) <= _MAX_DIGITS:
            colons = text.count(":")
            if colons == text.count(",") + 1 and text[:1] == "{" and "\\" not in text and "[" not in text:
                # As nearly always: an object that holds no other. Each member has a colon of its own: where there are
                # no more colons than members, none stood there twice, or in an object within.
                value, end = _FLAT_DECODER.raw_decode(text)
                if end == len(text) and len(value) == colons:
                    return value
        if text.count("[") + text.count("{") > _MAX_DEPTH:
            _check_depth(text)
        value = (_DECODER if len(text) > _MAX_DIGITS else _SHORT_DECODER).decode(text)
        if "\\u" in text:  # only an escape can spell a lone surrogate in what was valid UTF-8
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return _BROKEN
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError("nested too deeply")
        elif mark in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("not a finite number")
    return int(digits)


def _fraction(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("not a finite number")
    return value


def _constant(name: str) -> NoReturn:
    raise ValueError("not a number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
_SHORT_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_fraction, parse_constant=_constant)
"""For a text that is too short to hold a number with too many digits."""
_FLAT_DECODER: Final = json.JSONDecoder(parse_float=_fraction, parse_constant=_constant)
"""As that, for objects whose members are counted otherwise."""
