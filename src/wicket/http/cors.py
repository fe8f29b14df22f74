"""What a browser must be told so that a page of an admitted origin can use the application, and read its refusals.

CORS (Fetch standard, section 3.2) lets pages read answers. It keeps nobody out: the decision does that. So a preflight
of an app that is not known yet admits any origin, without credentials, since the request that follows is decided.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any, Final

from wicket.config.app import App
from wicket.config.locations import Header
from wicket.decision.context import FastPathEntry, RequestContext
from wicket.decision.decision import Decision
from wicket.gate import Gate
from wicket.messages.request import Request
from wicket.messages.response import Response

_ORIGIN: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,512}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_EXPOSED: Final = "WWW-Authenticate, Retry-After"
_ALLOW: Final = "access-control-allow"
_VARY: Final = ("Vary", "Origin")
_WATCHED: Final = frozenset({*"AaVv", b"A", b"a", b"V", b"v"})
"""How those names begin that are looked at more closely; a name may be text or bytes, whatever the interface says."""

_MAX_AGE: Final = 600
_MAX_NAMES: Final = 64
_MAX_NAME: Final = 256
"""How many names a preflight may ask for, and how long each may be with its blanks; others are not allowed."""


class CORSHeaders:
    """Headers that an answer shall have besides its own, as WSGI and as ASGI spell them. Made once for each origin.

    An answer that says anything about whom it admits itself gets nothing added: a CORS middleware that withholds an
    origin from a page, with credentials on every answer, must not be overruled.
    """

    __slots__ = ("text", "wire")

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.text = pairs
        self.wire = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs)

    def apply_wsgi(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """`headers`, with those that they lack."""
        for name, _ in headers:
            if name[:1] in _WATCHED:
                return [*headers, *self._missing_headers(headers)]
        return [*headers, *self.text]

    def apply_asgi(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """As `apply_wsgi`, for ASGI."""
        headers = given if isinstance(given, list) else list(given)
        for name, _ in headers:
            if name[:1] in _WATCHED:
                return [*headers, *CORSHeaders(*self._missing_headers(headers)).wire]
        return [*headers, *self.wire]

    def _missing_headers(self, headers: Iterable[tuple[Any, Any]]) -> tuple[tuple[str, str], ...]:
        lower = [(_text(name).lower(), _text(value)) for name, value in headers]
        varies = {each.strip().lower() for name, value in lower if name == "vary" for each in value.split(",")}
        if any(name.startswith(_ALLOW) for name, _ in lower):
            return ()
        return tuple(pair for pair in self.text if pair is not _VARY or not varies & {"origin", "*"})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


NO_HEADERS: Final = CORSHeaders()
_VARY_ONLY: Final = CORSHeaders(_VARY)


def cors_headers(request: Request, decision: Decision) -> CORSHeaders:
    """What an answer to `request` shall carry besides its own headers; `Vary` alone where a page may not read it.

    Credentials are admitted only for an app whose token may ride in a cookie, from an origin that it names.
    """
    way = decision._context
    if not isinstance(way, FastPathEntry):
        return _made(request, decision, way)
    if way.additions is None:  # as nearly always they were made for this road before
        way.additions = _made(request, decision, way)
    made: CORSHeaders = way.additions
    return made


def _made(request: Request, decision: Decision, way: RequestContext | None) -> CORSHeaders:
    origin = (way.origin if way is not None else None) or request.header("origin")
    refusal = decision.refusal
    if origin is None or (refusal is not None and refusal.code == "origin_not_allowed" and not decision.allowed):
        return _VARY_ONLY
    if not _ORIGIN.fullmatch(origin):  # nor is it kept, however long it may be
        return _VARY_ONLY
    app = way.app if way is not None else None
    cookies = isinstance(app, App) and app.located_tokens.cookies != () and app.origin_policy.allows(origin)
    return _additions(origin, cookies)


@functools.lru_cache(maxsize=1024)
def _additions(origin: str, credentials: bool) -> CORSHeaders:
    admitted = (("Access-Control-Allow-Origin", origin), _VARY, ("Access-Control-Expose-Headers", _EXPOSED))
    return CORSHeaders(*admitted, *([("Access-Control-Allow-Credentials", "true")] if credentials else []))


def request_header_names(gate: Gate) -> tuple[str, ...]:
    """The headers that the gate's own requests carry, which a preflight must allow."""
    places = (
        *gate.app_locations,
        *gate.token_locations,
        *(place for app in gate.apps for place in app.token_locations),
    )
    named = (place.name for place in places if isinstance(place, Header))
    return tuple(dict.fromkeys(("authorization", "content-type", *named)))


def preflight_response(request: Request, decision: Decision, own: tuple[str, ...]) -> Response:
    """The answer to a preflight whose app, as far as the URL names it, admits the origin."""
    method = request.header("access-control-request-method") or ""
    listed = (request.header("access-control-request-headers") or "").split(",", _MAX_NAMES)[:_MAX_NAMES]
    asked = (each.strip(" \t").lower() for each in listed if len(each) <= _MAX_NAME)
    names = dict.fromkeys((*own, *(each for each in asked if _NAME.fullmatch(each))))
    methods = dict.fromkeys((*_METHODS, *((method,) if _NAME.fullmatch(method) else ())))
    admitted = ((name.lower(), value) for name, value in cors_headers(request, decision).text)
    headers = (
        *(pair for pair in admitted if pair[0] not in ("vary", "access-control-expose-headers")),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("access-control-allow-methods", ", ".join(methods)),
        ("access-control-allow-headers", ", ".join(names)),
        ("access-control-max-age", str(_MAX_AGE)),
        ("cache-control", "no-store"),
    )
    return Response(204, headers, b"")
