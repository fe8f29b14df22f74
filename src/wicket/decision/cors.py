"""CORS response headers: a page of an allowed origin can use the application and read its refusals.

CORS (Fetch standard, section 3.2) lets pages read responses. It does not restrict access: the decision does that. So a
preflight whose app is not known yet allows any origin, without credentials. The request that follows is decided.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from wicket.config.app import App
from wicket.config.cors import CORS, DEFAULT_CORS, GateCORS
from wicket.config.location_types import Location, page_headers
from wicket.decision.context import FastPathEntry, RequestContext
from wicket.messages.headers import HTTP_TOKEN
from wicket.messages.request import Request
from wicket.messages.response import Response

if TYPE_CHECKING:
    from wicket.decision.decision import Decision

_ORIGIN: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,512}")
_MAX_TOKEN: Final = 128
"""The longest name, in characters."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_EXPOSED: Final = ("WWW-Authenticate", "Retry-After")
"""The headers of a refusal that every page may read."""
_DECIDED_BY: Final = frozenset({"access-control-allow-origin", "access-control-allow-credentials"})
"""The headers with which the application itself says which page may read the response."""
_VARY: Final = ("Vary", "Origin")
_FIRST_LETTERS: Final = frozenset({*"AaVv", b"A", b"a", b"V", b"v"})
"""The first letters of `Access-Control-Allow-*` and `Vary`. Only headers that start with one of them are parsed.

A name can be `str` or `bytes`, regardless of the protocol: some applications send the wrong type.
"""

_MAX_NAMES: Final = 64
"""The number of header names in a preflight that are read. Further names are not allowed."""
_MAX_NAME: Final = 256
"""The longest header name in a preflight, with its spaces, in characters. Longer names are not allowed."""


class CORSHeaders:
    """Headers to add to a response, encoded for WSGI and for ASGI. One instance serves all requests of an origin.

    If a response has `Access-Control-Allow-Origin` or `Access-Control-Allow-Credentials` already, nothing is added. A
    CORS middleware of the application that sends the second on every response, but no allowed origin to this page, must
    not be overruled. The other `Access-Control-Allow-*` headers do not say which page may read the response.

    Args:
        pairs: The headers, as names and values.

    Attributes:
        wsgi_headers: The headers as pairs of strings.
        asgi_headers: The headers as pairs of bytes, with lower-case names.
    """

    __slots__ = ("asgi_headers", "wsgi_headers")

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.wsgi_headers = pairs
        self.asgi_headers = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs)

    def apply_wsgi(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the headers of a WSGI response with the missing CORS headers added."""
        for name, _ in headers:
            if name[:1] in _FIRST_LETTERS:
                return [*headers, *self._missing_headers(headers)]
        return [*headers, *self.wsgi_headers]

    def apply_asgi(self, response_headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return the headers of an ASGI response with the missing CORS headers added."""
        headers = response_headers if isinstance(response_headers, list) else list(response_headers)
        for name, _ in headers:
            if name[:1] in _FIRST_LETTERS:
                return [*headers, *CORSHeaders(*self._missing_headers(headers)).asgi_headers]
        return [*headers, *self.asgi_headers]

    def _missing_headers(self, headers: Iterable[tuple[Any, Any]]) -> tuple[tuple[str, str], ...]:
        lower = [(_as_string(name).lower(), _as_string(value)) for name, value in headers]
        vary = {field.strip().lower() for name, value in lower if name == "vary" for field in value.split(",")}
        if any(name in _DECIDED_BY for name, _ in lower):
            return ()
        return tuple(pair for pair in self.wsgi_headers if pair is not _VARY or not vary & {"origin", "*"})


def _as_string(value: Any) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


NO_HEADERS: Final = CORSHeaders()
_VARY_ONLY: Final = CORSHeaders(_VARY)
_NO_SETTINGS: Final = GateCORS(DEFAULT_CORS)


def cors_headers(request: Request | None, decision: Decision) -> CORSHeaders:
    """Return the CORS headers for the response to a request.

    If a page of this origin must not read the response, the only header is `Vary: Origin`. Credentials are allowed if
    the settings say so, or the app accepts its token in a cookie and has no settings, and its explicit `origins` allow
    this origin. If the app is not known, some app in code must list the origin exactly.

    Args:
        request: The request. None means the request that the decision keeps.
        decision: The decision about the request.
    """
    ctx = decision._context
    if not isinstance(ctx, FastPathEntry):
        return _build_headers(request, decision, ctx)
    if ctx.cors_headers is None:
        ctx.cors_headers = _build_headers(request, decision, ctx)  # later requests of this entry use the cached headers
    cached: CORSHeaders = ctx.cors_headers
    return cached


def _build_headers(request: Request | None, decision: Decision, ctx: RequestContext | None) -> CORSHeaders:
    origin = None
    if ctx is not None:
        request, origin = request or ctx.request, ctx.origin
    if origin is None and request is not None:
        origin = request.header("origin")
    refusal = decision.refusal
    if origin is None or (refusal is not None and refusal.code == "origin_not_allowed" and not decision.allowed):
        return _VARY_ONLY
    if not _ORIGIN.fullmatch(origin):  # an invalid or very long origin must not enter the cache of _headers_for_origin
        return _VARY_ONLY
    app, cors = decision.app, _gate_cors(ctx)
    return _headers_for_origin(origin, _allows_credentials(app, origin, cors), _settings(app, cors).expose)


def _gate_cors(ctx: RequestContext | None) -> GateCORS:
    """Return the settings of the gate that decided."""
    return _NO_SETTINGS if ctx is None else ctx.gate.cors


def _settings(app: App | None, cors: GateCORS) -> CORS:
    return cors.default if app is None or app.cors is None else app.cors


def _allows_credentials(app: App | None, origin: str, cors: GateCORS) -> bool:
    """Return whether a page of this origin may send cookies and read the response."""
    if app is None:
        return cors.allows_unknown(origin)
    wanted = _settings(app, cors).credentials or (app.cors is None and app.located_tokens.cookies != ())
    return wanted and app.origin_policy.explicit and app.origin_policy.allows(origin)


@functools.lru_cache(maxsize=1024)
def _headers_for_origin(origin: str, credentials: bool, expose: tuple[str, ...]) -> CORSHeaders:
    exposed = ", ".join((*_EXPOSED, *expose))
    headers = (("Access-Control-Allow-Origin", origin), _VARY, ("Access-Control-Expose-Headers", exposed))
    return CORSHeaders(*headers, *([("Access-Control-Allow-Credentials", "true")] if credentials else []))


def request_header_names(locations: Iterable[Location]) -> tuple[str, ...]:
    """Return the lower-case names of the headers that a preflight must allow.

    Args:
        locations: The locations that the gate and its apps read.
    """
    names = (name for location in locations for name in page_headers(location))
    return tuple(dict.fromkeys(("authorization", "content-type", *names)))


def _asks_private_network(request: Request, settings: CORS) -> bool:
    """Return whether a preflight asks for Private Network Access, and the settings allow it."""
    return settings.private_network and request.header("access-control-request-private-network") == "true"


def _is_short_token(value: str) -> bool:
    return len(value) <= _MAX_TOKEN and HTTP_TOKEN.fullmatch(value) is not None


def preflight_response(request: Request, decision: Decision, gate_headers: tuple[str, ...]) -> Response:
    """Return the response to an allowed preflight (Fetch standard, section 3.2.2).

    Args:
        request: The preflight.
        decision: The origin check of the preflight. The app is known only if the URL or the host names it.
        gate_headers: The result of `request_header_names`.
    """
    settings = _settings(decision.app, _gate_cors(decision._context))
    method = request.header("access-control-request-method") or ""
    requested = (request.header("access-control-request-headers") or "").split(",", _MAX_NAMES)[:_MAX_NAMES]
    stripped = (name.strip(" \t").lower() for name in requested if len(name) <= _MAX_NAME)
    names = dict.fromkeys((*gate_headers, *filter(_is_short_token, stripped)))
    methods = dict.fromkeys((*_METHODS, *filter(_is_short_token, (method,))))
    allowed = ((name.lower(), value) for name, value in cors_headers(request, decision).wsgi_headers)
    headers = (
        *(pair for pair in allowed if pair[0] not in ("vary", "access-control-expose-headers")),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("access-control-allow-methods", ", ".join(methods)),
        ("access-control-allow-headers", ", ".join(names)),
        ("access-control-max-age", str(settings.max_age)),
        *([("access-control-allow-private-network", "true")] if _asks_private_network(request, settings) else []),
        ("cache-control", "no-store"),
    )
    return Response(204, headers, b"")
