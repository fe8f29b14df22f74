"""Read single query parameters and cookies by name.

Any client can send a query or cookies, so the searched length and the number of items are limited. A name that occurs
twice is `invalid_request`. Only the encodings of the name are compared, and only its value is decoded.
"""

from __future__ import annotations

import functools
import re
from typing import Final
from urllib.parse import unquote_plus

from wicket.errors import Refused, invalid_request

_MAX_QUERY: Final = 24_576
"""The maximum length of a query in characters: 16 KiB for the longest token, and 8 KiB for everything else."""
_MAX_PARAMETERS: Final = 500
_MAX_ESCAPES: Final = 512
"""The maximum number of percent-escapes in a value. No app name, user id or token has as many."""
MAX_COOKIE_HEADER: Final = 24_576
"""The maximum length of the Cookie header in characters."""
_MAX_COOKIES: Final = 500
"""The maximum number of cookies. A browser stores about 180 for one site."""


def query_value(query: str, name: str) -> str:
    """Return the value of one query parameter.

    Args:
        query: the raw query string, without the question mark.
        name: the decoded name of the parameter.

    Returns:
        The decoded value. Empty if the parameter is absent.

    Raises:
        Refused: `invalid_request`, if the parameter occurs twice, or if the query has more than 24,576 characters or
            500 parameters.
    """
    if len(query) > _MAX_QUERY or query.count("&") >= _MAX_PARAMETERS:
        limit = f"at most {_MAX_QUERY:,} characters and {_MAX_PARAMETERS:,} parameters"
        raise invalid_request(f"The query is searched for {name}. It may have {limit}.")
    return form_value(query, name)


def form_value(form: str, name: str) -> str:
    """Return the value of one field of a form (`application/x-www-form-urlencoded`).

    Args:
        form: the form. Its size is limited by the caller.
        name: the decoded name of the field.

    Returns:
        The decoded value. Empty if the field is absent.

    Raises:
        Refused: `invalid_request`, if the field occurs twice.
    """
    return _decoded(_single_match(_parameter_pattern(name), f"&{form}", name))


def cookie_value(header: str, name: str) -> str:
    """Return the value of one cookie.

    Args:
        header: the value of the Cookie header.
        name: the name of the cookie.

    Returns:
        The value. Empty if the cookie is absent.

    Raises:
        Refused: `invalid_request`, if the cookie occurs twice, or if the header has more than 24,576 characters or 500
            cookies.
    """
    if len(header) > MAX_COOKIE_HEADER or header.count(";") >= _MAX_COOKIES:
        raise too_many_cookies(name)
    return _single_match(_cookie_pattern(name), f";{header}", name).strip(" \t") if name in header else ""


def too_many_cookies(name: str) -> Refused:
    """Return the refusal of a Cookie header that is too large to search.

    Args:
        name: the name of the cookie.

    Returns:
        The exception to raise: `invalid_request`.
    """
    limit = f"at most {MAX_COOKIE_HEADER:,} characters and {_MAX_COOKIES:,} cookies"
    return invalid_request(f"The cookies are searched for {name}. The request may have {limit}.")


def _single_match(pattern: re.Pattern[str], searched: str, name: str) -> str:
    """Return the first group of the only match, or an empty string. Raises `Refused` if there are two matches."""
    matches = pattern.finditer(searched)
    first = next(matches, None)
    if first is None:
        return ""
    if next(matches, None) is not None:
        raise invalid_request(f"{name} may be given only once.")
    return first[1] or ""


@functools.lru_cache(maxsize=256)
def _parameter_pattern(name: str) -> re.Pattern[str]:
    """Match a query parameter by every encoding of its name, and capture its value."""
    return re.compile(f"&{''.join(map(_encodings, name))}(?:=([^&]*+))?+(?=&|$)")


def _decoded(value: str) -> str:
    """Decode a value of the query. A value with too many escapes is returned as it was sent."""
    if "%" not in value and "+" not in value:
        return value
    return value if value.count("%") > _MAX_ESCAPES else unquote_plus(value)


def _encodings(char: str) -> str:
    """Return a pattern for every encoding of one character: literal, `+`, and percent-encoded in either case."""
    encoded = "".join(
        "%" + "".join(f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in f"{byte:02X}")
        for byte in char.encode("utf-8", "replace")
    )
    literal = r"\+" if char == " " else "" if char in "&=%+#" else re.escape(char)
    return f"(?:{literal}|{encoded})" if literal else encoded


@functools.lru_cache(maxsize=256)
def _cookie_pattern(name: str) -> re.Pattern[str]:
    """Match a cookie by its name, and capture its value."""
    return re.compile(f";[ \\t]*+{re.escape(name)}[ \\t]*+(?:=([^;]*+))?+(?=;|$)")
