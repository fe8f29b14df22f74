"""Parameters of a query and cookies of a header, by name. Anybody may send them, so what is looked through is bounded.

A value that stands twice under its name is `invalid_request`. Only what spells the name is decoded.
"""

from __future__ import annotations

import functools
import re
from typing import Final
from urllib.parse import unquote_plus

from wicket.errors import Refused, invalid_request

_MAX_QUERY: Final = 24_576
_MAX_PARAMETERS: Final = 500
"""A query of this length holds a token of 16 KiB, which is the longest, and 8 KiB besides."""
_MAX_ESCAPES: Final = 512
"""No name, user id or token has as many escapes."""
MAX_COOKIE_HEADER: Final = 24_576
_MAX_COOKIES: Final = 500
"""A browser keeps about 180 cookies for one site."""


def query_value(query: str, name: str) -> str:
    """The value of one parameter, decoded; empty without one. Raises `Refused` for a second one or a long query."""
    if len(query) > _MAX_QUERY or query.count("&") >= _MAX_PARAMETERS:
        most = f"at most {_MAX_QUERY:,} characters and {_MAX_PARAMETERS:,} parameters"
        raise invalid_request(f"The query is looked through for {name}, so it may have {most}.")
    return _decoded(_once(_spelled(name), f"&{query}", name))


def cookie_value(header: str, name: str) -> str:
    """The value of one cookie; empty without one. Raises `Refused` if it stands twice, or for too many cookies."""
    if len(header) > MAX_COOKIE_HEADER or header.count(";") >= _MAX_COOKIES:
        raise too_many_cookies(name)
    return _once(_cookie(name), f";{header}", name).strip(" \t") if name in header else ""


def too_many_cookies(name: str) -> Refused:
    """The refusal of cookies that are not looked through."""
    most = f"at most {MAX_COOKIE_HEADER:,} characters and {_MAX_COOKIES:,} cookies"
    return invalid_request(f"The cookies are looked through for {name}, so the request may have {most}.")


def _once(pattern: re.Pattern[str], text: str, where: str) -> str:
    """What `pattern` finds in `text`, or nothing. Raises `Refused` where it finds something twice."""
    found = pattern.finditer(text)
    first = next(found, None)
    if first is None:
        return ""
    if next(found, None) is not None:
        raise invalid_request(f"{where} may be given once.")
    return first[1] or ""


@functools.lru_cache(maxsize=256)
def _spelled(name: str) -> re.Pattern[str]:
    """Finds a query parameter by every spelling that decodes to its name, with its value behind it."""
    return re.compile(f"&{''.join(map(_spellings, name))}(?:=([^&]*+))?+(?=&|$)")


def _decoded(text: str) -> str:
    """A value of the query. What has more escapes than anything that is looked for is given as it was sent."""
    if "%" not in text and "+" not in text:
        return text
    return text if text.count("%") > _MAX_ESCAPES else unquote_plus(text)


def _spellings(char: str) -> str:
    encoded = "".join(
        "%" + "".join(f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in f"{byte:02X}")
        for byte in char.encode("utf-8", "replace")
    )
    bare = r"\+" if char == " " else "" if char in "&=%+#" else re.escape(char)
    return f"(?:{bare}|{encoded})" if bare else encoded


@functools.lru_cache(maxsize=256)
def _cookie(name: str) -> re.Pattern[str]:
    return re.compile(f";[ \\t]*+{re.escape(name)}[ \\t]*+(?:=([^;]*+))?+(?=;|$)")
