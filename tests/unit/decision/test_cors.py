"""CORS headers of responses, and responses to preflights."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import ORIGIN, acme, asks, gate_of, segment
from wicket import App, Cookie, Decision, Gate, Header, Mode, Query, Request
from wicket.decision.cors import CORSHeaders, cors_headers, preflight_response, request_header_names

EVIL = "https://evil.example"


def headers_for(config: App, origin: str | None, *, token: str | None = None, **settings: Any) -> dict[str, str]:
    headers = [] if origin is None else [("Origin", origin)]
    request = asks(token, headers=headers, **settings)
    return as_dict(cors_headers(request, gate_of(config).decide(request)))


def as_dict(cors: CORSHeaders) -> dict[str, str]:
    assert cors.asgi_headers == tuple((name.lower().encode(), value.encode()) for name, value in cors.wsgi_headers)
    return {name.lower(): value for name, value in cors.wsgi_headers}


def missing_from(headers: list[tuple[str, str]], cors: CORSHeaders) -> tuple[tuple[str, str], ...]:
    """Return the headers that are added to a response; ASGI gets the same ones with lower-case names."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    added = tuple((name.lower(), value) for name, value in cors.apply_wsgi(headers)[len(headers) :])
    assert added == tuple((name.decode(), value.decode()) for name, value in cors.apply_asgi(raw)[len(raw) :])
    return added


@pytest.mark.parametrize("name", ["", "\u00e9", "x"])
def test_cors_headers_odd_response_header_name_kept(name: str) -> None:
    request = asks(headers=[("Origin", ORIGIN)])
    cors = cors_headers(request, gate_of(acme()).decide(request))
    assert cors.apply_wsgi([(name, "v")])[0] == (name, "v")
    assert cors.apply_asgi([(name.encode(), b"v")])[0] == (name.encode(), b"v")


def unknown_app_headers(origin: str) -> CORSHeaders:
    """Return the CORS headers for a request of an unknown app."""
    request = asks(app="unknown", headers=[("Origin", origin)])
    return cors_headers(request, gate_of(acme()).decide(request))


def test_cors_headers_allowed_origin_echoed() -> None:
    for origin, app in ((ORIGIN, acme()), (EVIL, acme(origins=["*"])), ("null", acme(origins=[]))):
        assert headers_for(app, origin) == {
            "access-control-allow-origin": origin,
            "vary": "Origin",
            "access-control-expose-headers": "WWW-Authenticate, Retry-After",
        }


def test_cors_headers_no_origin_vary_only() -> None:
    assert headers_for(acme(), None) == {"vary": "Origin"}


def test_cors_headers_disallowed_origin_vary_only() -> None:
    assert headers_for(acme(), EVIL) == {"vary": "Origin"}
    assert headers_for(acme(mode=Mode.LOG_ONLY), ORIGIN)["access-control-allow-origin"] == ORIGIN


def test_cors_headers_unknown_app_origin_echoed() -> None:
    assert headers_for(acme(), EVIL, app="unknown")["access-control-allow-origin"] == EVIL
    assert as_dict(unknown_app_headers(EVIL))["access-control-allow-origin"] == EVIL


@pytest.mark.parametrize("origin", ["", "https://a.example,", "https://a.example\r\nX: y", "ä", "a b", "x" * 513])
def test_cors_headers_invalid_origin_vary_only(origin: str) -> None:
    assert headers_for(acme(origins=["*"]), origin) == {"vary": "Origin"}


def test_cors_headers_two_origins_vary_only() -> None:
    request = asks(headers=[("Origin", ORIGIN), ("Origin", EVIL)])
    decision = gate_of(acme()).decide(request)
    assert decision.refusal is not None
    assert as_dict(cors_headers(request, decision)) == {"vary": "Origin"}


def test_cors_headers_cookie_and_allowed_origin_allow_credentials() -> None:
    with_cookie = acme(token_locations=[Cookie("session")])
    assert headers_for(with_cookie, ORIGIN)["access-control-allow-credentials"] == "true"
    assert "access-control-allow-credentials" not in headers_for(acme(), ORIGIN)
    for mode in (acme(token_locations=[Cookie("session")], mode=Mode.LOG_ONLY), with_cookie):
        assert "access-control-allow-credentials" not in headers_for(mode, EVIL)


CORS_PAIRS = (
    ("access-control-allow-origin", EVIL),
    ("vary", "Origin"),
    ("access-control-expose-headers", "WWW-Authenticate, Retry-After"),
)


def cors() -> CORSHeaders:
    return unknown_app_headers(EVIL)


def test_cors_headers_existing_response_headers_kept() -> None:
    headers = cors()
    assert missing_from([], headers) == CORS_PAIRS
    assert missing_from([("Access-Control-Allow-Origin", "https://own.example")], headers) == ()
    for vary in ("Origin", "accept, ORIGIN", "*"):
        assert missing_from([("Vary", vary)], headers) == (CORS_PAIRS[0], CORS_PAIRS[2])
    assert missing_from([("Vary", "Accept-Encoding")], headers) == CORS_PAIRS
    assert missing_from([("X-Own", "Origin")], headers) == CORS_PAIRS


def test_cors_headers_application_cors_without_allow_origin_not_added() -> None:
    """CORS middleware sends Allow-Credentials on every response, and no Allow-Origin to a page that is not allowed.

    If the gate added Allow-Origin, that page could read responses to requests with the user's cookies.
    """
    app_headers = [("access-control-allow-credentials", "true"), ("access-control-expose-headers", "X-Own")]
    assert "access-control-allow-origin" not in dict(missing_from(app_headers, cors()))


def test_request_header_names_app_and_token_headers_listed() -> None:
    app = acme(token_locations=[Header("X-Token"), Query("jwt")])
    locations = [*app.app_locations, *app.token_locations]
    assert request_header_names(locations) == ("authorization", "content-type", "x-app-id", "x-token")


def preflight(gate: Gate, *headers: tuple[str, str], query: str = "") -> tuple[Decision, dict[str, str]]:
    request = Request("OPTIONS", query=query, headers=[("Origin", EVIL), *headers])
    decision = gate.check_origin(request)
    response = preflight_response(request, decision, request_header_names([*gate.app_locations, *gate.token_locations]))
    assert (response.status, response.body) == (204, b"")
    assert len({name for name, _ in response.headers}) == len(response.headers)
    return decision, dict(response.headers)


def by_query(**settings: Any) -> Gate:
    return gate_of(acme(app_locations=[Query("app")], **settings), acme_two())


def acme_two() -> App:
    return App("other", app_locations=[Query("app")])


def test_cors_preflight_unknown_app_allows_origin_without_credentials() -> None:
    decision, headers = preflight(
        by_query(token_locations=[Cookie("session")]), ("Access-Control-Request-Method", "PUT")
    )
    assert decision.refusal is not None
    assert headers["access-control-allow-origin"] == EVIL
    assert "access-control-allow-credentials" not in headers
    assert headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    assert headers["access-control-max-age"] == "600"


def test_cors_preflight_requested_method_and_valid_headers_allowed() -> None:
    requested = ("Access-Control-Request-Headers", "X-Custom, authorization ,b@d,, X-\u00e4")
    _, headers = preflight(by_query(), ("Access-Control-Request-Method", "PURGE"), requested, query="app=other")
    assert headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE, PURGE"
    assert headers["access-control-allow-headers"] == "authorization, content-type, x-custom"
    _, headers = preflight(by_query(), ("Access-Control-Request-Method", "P\r\nX: y"))
    assert headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"


@pytest.mark.parametrize(
    "name", ["Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Allow-Private-Network"]
)
def test_p8_cors_headers_response_that_names_no_origin_gets_them(name: str) -> None:
    request = asks(headers=[("Origin", ORIGIN)])
    cors = cors_headers(request, gate_of(acme()).decide(request))
    added = missing_from([(name, "x")], cors)
    assert added[:2] == (("access-control-allow-origin", ORIGIN), ("vary", "Origin"))
    assert missing_from([(name, "x"), ("Access-Control-Allow-Origin", "https://b.com")], cors) == ()


def test_p6_cors_preflight_several_request_headers_lines_combined() -> None:
    lines = [("Access-Control-Request-Headers", value) for value in ("content-type", "x-a, x-b", "x-c")]
    _, headers = preflight(by_query(), *lines)
    assert headers["access-control-allow-headers"] == "authorization, content-type, x-a, x-b, x-c"


def test_cors_preflight_many_request_headers_allowed_list_bounded() -> None:
    many = ",".join(f"x-{index}" for index in range(1000))
    _, headers = preflight(by_query(), ("Access-Control-Request-Headers", many))
    assert headers["access-control-allow-headers"].count(",") == 65


def test_cors_headers_malformed_token_origin_echoed() -> None:
    assert headers_for(acme(), ORIGIN, token=f"{segment({})}.{segment({})}.x")["access-control-allow-origin"] == ORIGIN
