"""Strict parser for the compact serialization of a JWS (RFC 7515, RFC 8725). It refuses input that is not well-formed.

The parser uses no key, and everything that it returns is unverified. Its time is linear in the length of the input. It
returns a value or raises `Refused`, and never another exception.
"""

from __future__ import annotations

import json
import re
from json.scanner import make_scanner
from typing import Any, Final, NamedTuple, NoReturn

from wicket.errors import Refusal, Refused, invalid_token
from wicket.messages.json_body import parse_body
from wicket.runtime import base64url
from wicket.runtime.base64url import INVALID, LAST, TO_STANDARD, is_canonical

# Possessive quantifiers and an optional closing quote: no character is matched twice.
_STRUCTURE: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)
_SPACE: Final = rb"[ \t\n\r]*+"
_STRING: Final = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*+)*+"'
_PLAIN: Final = rb"(?:%b|-?[0-9][0-9.Ee+-]*+|true|false|null)" % _STRING
_MEMBER: Final = rb"%b:%b" % (_STRING + _SPACE, _SPACE + _PLAIN + _SPACE)
_FLAT: Final = re.compile(rb"%b\{%b(?:%b(?:,%b)*+)?+\}%b" % (_SPACE, _SPACE, _MEMBER, _SPACE + _MEMBER, _SPACE))
"""Matches every JSON object (RFC 8259) without nested objects and lists, and few other strings."""
_MAX_DEPTH: Final = 32
_MAX_DIGITS: Final = 308
_MAX_HEADER: Final = 8_192
_MAX_MEMBERS: Final = 256
_MAX_NESTED: Final = 64
"""The limits of a header: its length in characters, its members and values, and its objects and lists. Any client can
send a header, and it is parsed before the signature is verified. A chain of three certificates (`x5c`) has 6,000
characters.
"""
_MAX_UNVERIFIED_STRUCTURE: Final = 400
"""The most structural characters (, : [ {) of a payload that is searched for an issuer while it is unverified."""
_REFUSED_MEMBERS: Final = frozenset({"crit", "b64", "zip", "cty", "enc"})
_INVALID: Final = object()
_MAX_CACHED_SEGMENT: Final = 512
_MAX_CACHED_HEADERS: Final = 1024


class JOSEHeader(NamedTuple):
    """The checked members of a JOSE header.

    Attributes:
        algorithm: The `alg`. It may be any string.
        kid: The `kid`; None if it is absent.
        typ: The `typ`; None if it is absent.
    """

    algorithm: str
    kid: str | None
    typ: str | None


class UnverifiedToken:
    """A well-formed token whose signature is not verified.

    Attributes:
        text: The whole token. No other string encodes the same token.
        encoded: The whole token in bytes.
        header: The parsed header.
        payload_base64: The second segment in the standard base64 alphabet, without padding.
        signature_base64: The third segment in the standard base64 alphabet, without padding.
    """

    __slots__ = ("encoded", "header", "payload_base64", "signature_base64", "text")

    def __init__(
        self, text: str, encoded: bytes, header: JOSEHeader, payload_base64: bytes, signature_base64: bytes
    ) -> None:
        self.text = text
        self.encoded = encoded
        self.header = header
        self.payload_base64 = payload_base64
        self.signature_base64 = signature_base64

    @property
    def payload(self) -> str:
        """The second segment, in base64url."""
        return self.text.split(".")[1]

    @property
    def signature(self) -> str:
        """The third segment, in base64url."""
        return self.text.rpartition(".")[2]

    @property
    def signing_input(self) -> bytes:
        """The bytes that the signature covers (RFC 7515 section 5.2)."""
        return self.encoded[: len(self.encoded) - len(self.signature_base64) - 1]


_HEADER_CACHE: Final[dict[bytes, JOSEHeader]] = {}
"""Parsed headers by their segment in the standard base64 alphabet. An issuer sends the same header for years."""

_MALFORMED: Final = Refusal("invalid_token", "malformed")
_TOO_LARGE: Final = Refusal("invalid_token", "too_large")
_NO_OBJECT: Final = Refusal("invalid_token", "malformed", "The token's parts are not JSON objects.")
_LONG_HEADER: Final = Refusal("invalid_token", "malformed", "The token's header has more members than a header needs.")
_NO_ALGORITHM: Final = Refusal("invalid_token", "algorithm_not_allowed")
_BAD_KID: Final = Refusal("invalid_token", "malformed", "The token's kid is not a string.")
_BAD_TYP: Final = Refusal("invalid_token", "malformed", "The token's typ is not a string.")


def malformed(detail: str = "") -> Refused:
    """Return the refusal of a token that is not a well-formed JWT.

    Args:
        detail: A sentence that says what is wrong. It must not contain any part of the token.
    """
    return invalid_token("malformed", detail) if detail else Refused(_MALFORMED)


def parse_token_or_raise(token: str, max_bytes: int) -> UnverifiedToken:
    """Parse a compact JWS.

    Args:
        token: The token.
        max_bytes: The largest size of the token in characters.

    Returns:
        The parsed token.

    Raises:
        Refused: `too_large` or `malformed`, or `algorithm_not_allowed` if the header has no `alg`.
    """
    result = parse_token(token, max_bytes)
    if isinstance(result, Refusal):
        raise Refused(result)
    return result


def parse_token(token: str, max_bytes: int) -> UnverifiedToken | Refusal:
    """Parse a compact JWS and return a refusal instead of raising it, because any client can send a malformed token.

    Args:
        token: The token.
        max_bytes: The largest size of the token in characters.

    Returns:
        The parsed token or the refusal.
    """
    if len(token) > max_bytes:
        return _TOO_LARGE
    if not token.isascii():
        return _MALFORMED
    encoded = token.encode()
    standard = encoded.translate(TO_STANDARD)  # one pass for all characters: it also finds each invalid one
    parts = standard.split(b".", 3)
    if len(parts) != 3 or INVALID in standard:
        return _MALFORMED
    segment, payload, signature = parts
    if not segment or not payload:
        return _MALFORMED
    header = _HEADER_CACHE.get(segment)
    if header is None:
        if len(segment) > _MAX_HEADER:
            return _LONG_HEADER
        result = _parse_header(base64url.decode_standard(segment)) if is_canonical(segment) else _MALFORMED
        if isinstance(result, Refusal):
            return result
        header = result
        if len(segment) <= _MAX_CACHED_SEGMENT:
            if len(_HEADER_CACHE) >= _MAX_CACHED_HEADERS:  # any client can add entries, so the cache is bounded
                _HEADER_CACHE.clear()
            _HEADER_CACHE[segment] = header
    if payload[-1:] not in LAST[len(payload) % 4] or signature[-1:] not in LAST[len(signature) % 4]:
        return _MALFORMED
    return UnverifiedToken(token, encoded, header, payload, signature)


def _parse_header(raw: bytes) -> JOSEHeader | Refusal:
    if _FLAT.fullmatch(raw) is None and raw.find(b"{", 1) < 0 and raw.find(b"[") < 0:
        return _MALFORMED  # most malformed headers end here, in a third of the time of a JSON parser that raises
    if raw.count(b",") > _MAX_MEMBERS or raw.count(b"[") + raw.count(b"{") > _MAX_NESTED:
        return _LONG_HEADER
    members = _parse_json(raw)
    if not isinstance(members, dict):
        return _MALFORMED if members is _INVALID else _NO_OBJECT
    if not _REFUSED_MEMBERS.isdisjoint(members):
        names = ", ".join(sorted(_REFUSED_MEMBERS & members.keys()))
        return Refusal("invalid_token", "malformed", f"The token's header has {names}, which is not supported here.")
    algorithm, kid, typ = members.get("alg"), members.get("kid"), members.get("typ")
    if not isinstance(algorithm, str):
        return _NO_ALGORITHM
    if "kid" in members and not isinstance(kid, str):
        return _BAD_KID
    if "typ" in members and not isinstance(typ, str):
        return _BAD_TYP
    return JOSEHeader(algorithm, kid, typ)


def decode(segment: str) -> bytes:
    """Decode one segment of a token.

    Raises:
        Refused: `malformed` if the segment is not canonical base64url.
    """
    try:
        return base64url.decode(segment)
    except ValueError:
        raise malformed() from None


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object strictly.

    Raises:
        Refused: `malformed` for input that is not UTF-8 or has a byte order mark, for a value that is not an object,
            for duplicate members at any depth, for NaN and numbers beyond the finite doubles, for lone surrogates, and
            for a depth of more than 32.
    """
    value = _parse_json(raw)
    if isinstance(value, dict):
        return value
    if value is _INVALID:
        raise malformed()  # not in an exception handler: the caught exception may contain the payload
    raise Refused(_NO_OBJECT)


def unproven_issuer(raw: bytes) -> Any:
    """Read the unverified `iss` of a payload, only for the lookup of the app.

    The payload is parsed strictly after its signature is verified. Here only its size is limited.

    Returns:
        The value of `iss`; None if it is absent.

    Raises:
        Refused: `malformed` if the payload is not a JSON object, has several `iss`, or has too many claims.
    """
    if raw.count(b",") + raw.count(b":") + raw.count(b"[") + raw.count(b"{") > _MAX_UNVERIFIED_STRUCTURE:
        raise malformed("The token has too many claims to find its app by the issuer.")
    document = parse_body(raw)
    if document is None or document.repeats("iss"):
        raise malformed()
    return document.get("iss")


def _parse_json(raw: bytes) -> Any:
    """Parse a JSON value strictly. Returns `_INVALID` if `raw` is not valid."""
    try:
        json_string = raw.decode()
        if len(json_string) <= _MAX_DIGITS and "\\" not in json_string and "[" not in json_string:
            # The common case: an object without nested objects. Each member has one colon. If the number of colons
            # equals the number of members, there is no duplicate member and no nested object with members. No value
            # starts with a slash, so the colon of `://` is in a string.
            colons, members = json_string.count(":"), json_string.count(",") + 1
            if colons != members:
                colons -= json_string.count("://")
            if colons == members and json_string[0] == "{":
                value, end = _scan_flat(json_string, 0)
                if end == len(json_string) and len(value) == colons:
                    return value
        if json_string.count("[") + json_string.count("{") > _MAX_DEPTH:
            _check_depth(json_string)
        value = (_DECODER if len(json_string) > _MAX_DIGITS else _SHORT_DECODER).decode(json_string)
        if "\\u" in json_string:  # in valid UTF-8, only an escape can encode a lone surrogate
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError, StopIteration):  # the scanner raises StopIteration at the end of the string
        return _INVALID
    return value


def _check_depth(json_string: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(json_string):
        character = match[0]
        if character in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise ValueError("nested too deeply")
        elif character in "]}":
            depth -= 1


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _parse_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("not a finite number")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("not a finite number")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("not a number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_int=_parse_integer,
    parse_float=_parse_float,
    parse_constant=_refuse_constant,
)
_SHORT_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates, parse_float=_parse_float, parse_constant=_refuse_constant
)
"""For a string that is too short for a number with more than `_MAX_DIGITS` digits."""
_scan_flat: Final = make_scanner(
    json.JSONDecoder(parse_float=_parse_float, parse_constant=_refuse_constant)  # type: ignore[arg-type]  # typeshed
)
"""For a short object whose members are counted separately, to find duplicates."""
