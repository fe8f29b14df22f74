"""CORS settings in responses: credentials, exposed headers, the age of preflights, Private Network Access."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import ORIGIN, OTHER_KEY, acme, asks, gate_of, secret, token
from wicket import CORS, App, Cookie, Gate, Mode, Query, Request
from wicket.http.middleware import MiddlewareCore

EVIL = "https://evil.example"
CREDENTIALS = "access-control-allow-credentials"
EXPOSE = "access-control-expose-headers"
DEFAULT_EXPOSED = "WWW-Authenticate, Retry-After"


def named(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def headers_for(gate: Gate, origin: str | None = ORIGIN, *, app: str | None = "acme", times: int = 1) -> dict[str, str]:
    """The CORS headers of the response to a request with a good token. It is repeated, so that it is cached."""
    found: list[dict[str, str]] = []
    for _ in range(times):
        request = asks(token(), app=app, headers=[] if origin is None else [("Origin", origin)])
        found.append(named(MiddlewareCore(gate, {}).cors_headers(request, gate.decide(request)).wsgi_headers))
    assert all(each == found[0] for each in found)
    return found[0]


def refused(gate: Gate, origin: str = ORIGIN, *, app: str = "acme") -> dict[str, str]:
    """The headers of the response to a request with a bad token."""
    request = asks("a.b.c", app=app, headers=[("Origin", origin)])
    decision = gate.decide(request)
    assert not decision.allowed
    return named(MiddlewareCore(gate, {}).refusal_response(decision).headers)


def preflight(gate: Gate, origin: str = ORIGIN, *, query: str = "", private: bool = False) -> dict[str, str]:
    headers = [("Origin", origin), ("Access-Control-Request-Method", "GET")]
    if private:
        headers.append(("Access-Control-Request-Private-Network", "true"))
    request = Request("OPTIONS", query=query, headers=headers)
    response = MiddlewareCore(gate, {}).preflight_response(request, gate.check_origin(request))
    return named(response.headers) | {"status": str(response.status)}


def several(gate_cors: CORS = CORS(), **settings: Any) -> Gate:  # noqa: B008 - a frozen value
    """A gate with two apps that the query names, so that a preflight without it names none."""
    two = App("two", credentials=[secret(OTHER_KEY)], origins=["https://two.com", "*.two.com"])
    return gate_of(acme(**settings), two, app_locations=[Query("app")], cors=gate_cors)


# --- credentials


def test_cors_credentials_of_gate_only_for_apps_with_explicit_origins() -> None:
    cors = CORS(credentials=True)
    assert headers_for(gate_of(acme(), cors=cors), times=3)[CREDENTIALS] == "true"
    assert headers_for(gate_of(acme(origins=["*.acme.com"]), cors=cors), "https://a.acme.com")[CREDENTIALS] == "true"
    for origins in ([], ["*"], [ORIGIN, "*"]):
        headers = headers_for(gate_of(acme(origins=origins), cors=cors), times=3)
        assert headers["access-control-allow-origin"] == ORIGIN
        assert CREDENTIALS not in headers


def test_cors_credentials_refusal_is_readable() -> None:
    headers = refused(gate_of(acme(), cors=CORS(credentials=True)))
    assert headers["access-control-allow-origin"] == ORIGIN
    assert headers[CREDENTIALS] == "true"
    assert headers["vary"] == "Origin"


def test_cors_credentials_blocked_page_gets_nothing() -> None:
    headers = headers_for(gate_of(acme(), cors=CORS(credentials=True)), EVIL)
    assert headers == {"vary": "Origin"}
    log_only = gate_of(acme(mode=Mode.LOG_ONLY), cors=CORS(credentials=True))
    assert CREDENTIALS not in headers_for(log_only, EVIL, times=3), "it passes, and may not send cookies"


@pytest.mark.parametrize("times", [1, 3])
def test_cors_of_app_replaces_that_of_gate_whole(times: int) -> None:
    gate_cors = CORS(credentials=True, expose=["X-Request-ID"])
    headers = headers_for(gate_of(acme(cors=CORS(max_age=5)), cors=gate_cors), times=times)
    assert CREDENTIALS not in headers
    assert headers[EXPOSE] == DEFAULT_EXPOSED
    headers = headers_for(gate_of(acme(cors=CORS(credentials=True, expose=["X-A", "X-B"]))), times=times)
    assert headers[CREDENTIALS] == "true"
    assert headers[EXPOSE] == f"{DEFAULT_EXPOSED}, X-A, X-B"


def test_cors_cookie_app_allows_credentials_unless_it_has_its_own_settings() -> None:
    places = {"token_locations": [Cookie("session")]}
    assert refused(gate_of(acme(**places)))[CREDENTIALS] == "true"
    assert CREDENTIALS not in refused(gate_of(acme(**places, cors=CORS())))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (ORIGIN, True),
        ("https://two.com", True),
        ("https://a.two.com", False),  # matched by a pattern, not listed exactly
        (EVIL, False),
        ("null", False),
    ],
)
def test_cors_preflight_of_unknown_app_allows_credentials_for_listed_origins_only(origin: str, allowed: bool) -> None:
    headers = preflight(several(CORS(credentials=True)), origin)
    assert headers["access-control-allow-origin"] == origin
    assert headers.get(CREDENTIALS) == ("true" if allowed else None)
    assert CREDENTIALS not in preflight(several(), origin), "the gate's own settings do not allow it"
    own = several(cors=CORS(credentials=True))
    assert CREDENTIALS not in preflight(own, origin), "those of an app do not count before it is known"


def test_cors_unknown_app_refusal_readable_for_listed_origins_only() -> None:
    gate = several(CORS(credentials=True))
    request = Request(query="app=none", headers=[("Origin", ORIGIN)])
    core = MiddlewareCore(gate, {})
    assert named(core.refusal_response(gate.decide(request)).headers)[CREDENTIALS] == "true"
    other = Request(query="app=none", headers=[("Origin", EVIL)])
    assert CREDENTIALS not in named(core.refusal_response(gate.decide(other)).headers)


def test_cors_preflight_of_known_app_has_its_settings() -> None:
    own = CORS(credentials=True, max_age=5, private_network=True)
    gate = several(CORS(max_age=60), cors=own)
    known, unknown = preflight(gate, query="app=acme", private=True), preflight(gate, private=True)
    assert (known[CREDENTIALS], known["access-control-max-age"]) == ("true", "5")
    assert known["access-control-allow-private-network"] == "true"
    assert (unknown.get(CREDENTIALS), unknown["access-control-max-age"]) == (None, "60")
    assert "access-control-allow-private-network" not in unknown
    assert preflight(gate, EVIL, query="app=acme")["status"] == "403"


# --- exposed headers, age, private network


def test_cors_exposed_headers_added_to_those_of_refusals() -> None:
    gate = gate_of(acme(), cors=CORS(expose=["X-Request-ID"]))
    for headers in (headers_for(gate, times=3), refused(gate)):
        assert headers[EXPOSE] == f"{DEFAULT_EXPOSED}, X-Request-ID"
    assert EXPOSE not in preflight(gate)


def test_cors_max_age_zero_sent() -> None:
    assert preflight(gate_of(acme(), cors=CORS(max_age=0)))["access-control-max-age"] == "0"


def test_cors_private_network_answered_only_if_asked_and_allowed() -> None:
    allowed, default = gate_of(acme(), cors=CORS(private_network=True)), gate_of(acme())
    name = "access-control-allow-private-network"
    assert preflight(allowed, private=True)[name] == "true"
    assert name not in preflight(allowed)
    assert name not in preflight(default, private=True)


def test_cors_listed_origins_of_gate_empty_without_credentials() -> None:
    assert gate_of(acme())._context.cors.listed.patterns == ()
    assert gate_of(acme(), cors=CORS(credentials=True))._context.cors.listed.patterns == (ORIGIN,)
