"""What a browser must be told so that a page of an admitted origin can use the application, and read its refusals.

CORS (Fetch standard, section 3.2) lets pages read answers. It keeps nobody out: the decision does that. So a preflight
of an app that is not known yet admits any origin, without credentials, since the request that follows is decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from wicket.app import App
from wicket.decision.flow import Decision
from wicket.gate import Gate
from wicket.request import Answer, Request
from wicket.sources import Header

Pairs = tuple[tuple[str, str], ...]

_ORIGIN: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,512}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_EXPOSED: Final = "WWW-Authenticate, Retry-After"
_VARY: Final = ("vary", "Origin")
_MAX_AGE: Final = 600
_MAX_NAMES: Final = 64


def cors_headers(request: Request, decision: Decision | None) -> Pairs:
    """The headers that an answer to `request` carries, names in lower case; `Vary` alone where a page may not read it.

    Credentials are admitted only for an app whose token may ride in a cookie, from an origin that it names.
    """
    origin = request.header("origin")
    if origin is None or not _ORIGIN.fullmatch(origin):
        return (_VARY,)
    refusal = decision.refusal if decision is not None else None
    if decision is not None and refusal is not None and refusal.code == "origin_not_allowed" and not decision.allowed:
        return (_VARY,)
    admitted = (("access-control-allow-origin", origin), _VARY, ("access-control-expose-headers", _EXPOSED))
    return (*admitted, *_credentials(decision.app if decision is not None else None, origin))


def _credentials(app: App | None, origin: str) -> Pairs:
    if app is not None and app.holders.cookies and app.origin_policy.allows(origin):
        return (("access-control-allow-credentials", "true"),)
    return ()


def missing_from(names: Iterable[tuple[str, str]], additions: Pairs) -> Pairs:
    """Those of `additions` that an answer with these headers lacks: what the application said about CORS stays."""
    vary = False
    for name, value in names:
        lower = name.lower()
        if lower == "access-control-allow-origin":
            return ()
        if lower == "vary":
            vary = vary or any(each.strip().lower() in ("origin", "*") for each in value.split(","))
    return tuple(pair for pair in additions if pair is not _VARY) if vary else additions


def own_headers(gate: Gate) -> tuple[str, ...]:
    """The headers that the gate's own requests carry, which a preflight must allow."""
    places = (*gate.naming, *gate.tokens, *(place for app in gate.apps for place in app.tokens))
    named = (place.name for place in places if isinstance(place, Header))
    return tuple(dict.fromkeys(("authorization", "content-type", *named)))


def answer_preflight(request: Request, decision: Decision, own: tuple[str, ...]) -> Answer:
    """The answer to a preflight whose app, as far as the URL names it, admits the origin."""
    method = request.header("access-control-request-method") or ""
    asked = [each.strip(" \t").lower() for each in (request.header("access-control-request-headers") or "").split(",")]
    names = dict.fromkeys((*own, *(each for each in asked[:_MAX_NAMES] if _NAME.fullmatch(each))))
    methods = dict.fromkeys((*_METHODS, *((method,) if _NAME.fullmatch(method) else ())))
    headers = (
        *(pair for pair in cors_headers(request, decision) if pair[0] not in ("vary", "access-control-expose-headers")),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("access-control-allow-methods", ", ".join(methods)),
        ("access-control-allow-headers", ", ".join(names)),
        ("access-control-max-age", str(_MAX_AGE)),
        ("cache-control", "no-store"),
    )
    return Answer(204, headers, b"")
