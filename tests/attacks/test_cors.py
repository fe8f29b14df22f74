"""What a page may read, and what it may ask about beforehand: answers to admitted pages, to others, and preflights."""

from __future__ import annotations

import tracemalloc
from typing import Final

import pytest

from tests.attacks.clients import Answered, Behind
from tests.attacks.token_factory import NOW, app, token
from tests.support.cost import BOUNDED, steps_of
from wicket import Bearer, Cookie, Header, Query

ADA: Final = (200, "acme:ada", None)
HOME: Final = "https://acme.example"
EVIL: Final = "https://evil.example"
NAMING: Final = [Header("X-App-Id"), Query("app")]


def of(origin: str) -> tuple[str, str]:
    """The header of a page of that origin."""
    return "Origin", origin


def preflight(*, origin: str = HOME, method: str = "POST", names: str = "authorization") -> list[tuple[str, str]]:
    """The headers that a browser sends before a request which is not simple: no token, no cookie, no `X-App-Id`."""
    return [of(origin), ("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", names)]


def varies(answered: Answered) -> bool:
    """Whether caches are told to keep the answers to several origins apart."""
    return "origin" in [each.strip().lower() for each in answered.headers.get("vary", "").split(",")]


def readable_for(answered: Answered, origin: str) -> bool:
    """Whether a browser hands the answer to a page of that origin, without a look at the user's cookies."""
    return answered.headers.get("access-control-allow-origin") in ("*", origin)


def with_cookies(answered: Answered) -> bool:
    """Whether a browser hands it over though the user's cookies were sent."""
    return answered.headers.get("access-control-allow-credentials") == "true"


def test_cve_2025_47908_cors_preflight_million_headers_bounded_cost(behind: Behind) -> None:
    door = behind(app("acme", origins=[HOME]), app("other"), app_locations=NAMING)
    door.times = 1  # one request is timed

    def asked(names: str) -> Answered:
        return door.ask(None, *preflight(names=names), app=None, method="OPTIONS", query="app=acme")

    honest = asked("authorization, x-app-id, x-own")
    assert honest.status == 204
    assert {"authorization", "x-app-id", "x-own"} <= set(honest.headers["access-control-allow-headers"].split(", "))
    for huge in (
        *("," * 1_000_000, ", " * 500_000, "a," * 500_000, "a" * 1_000_000, " " * 1_000_000 + ",x"),
        ",".join(f"x-{number}" for number in range(150_000)),
        *("\t," * 400_000, "a, " + " " * 900_000 + "b", "é," * 300_000, "authorization," * 70_000),
    ):
        answered = asked(huge)
        assert answered.status == 204
        assert sum(len(name) + len(value) for name, value in answered.headers.items()) < 12_000, huge[:20]
        assert steps_of(lambda huge=huge: asked(huge)) < BOUNDED, huge[:20]  # type: ignore[misc]  # mypy sees no default
    flood = "a," * 500_000
    tracemalloc.start()
    asked(flood)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * len(flood), "no more than a list of what was sent"
    assert door.ask(token(), of(HOME)).said == ADA


@pytest.mark.parametrize("origins", [["*"], ["https://a.example", "*"], []])
def test_cve_2024_25124_cors_any_origin_allowed_no_credentials(behind: Behind, origins: list[str]) -> None:
    """A star and cookies together would let any page read what a user's cookies open."""
    door = behind(app("acme", origins=origins), app("other"), app_locations=NAMING)
    cookie = ("Cookie", f"session={token()}")
    for origin in (EVIL, "null", "https://a.example"):
        honest = door.ask(token(), of(origin))
        assert honest.said == ADA
        assert readable_for(honest, origin)
        before = door.ask(None, *preflight(origin=origin), app=None, method="OPTIONS", query="app=acme")
        nobodys = door.ask(None, *preflight(origin=origin), app=None, method="OPTIONS")
        refused = door.ask(None, of(origin), cookie)
        assert refused.said == (401, "missing_token", None)
        for answered in (honest, before, nobodys, refused, door.ask(None, of(origin), app="nobody")):
            assert not with_cookies(answered), origin
            assert varies(answered), "a cache must not hand one page's answer to another"


def test_cve_2018_20744_cors_cookie_app_credentials_only_listed_origins(behind: Behind) -> None:
    places = [Bearer(), Cookie("session")]
    door = behind(
        app("acme", token_locations=places, origins=[HOME, "*.acme.example"]), app("other"), app_locations=NAMING
    )
    cookie = ("Cookie", f"session={token()}")
    for home in (HOME, "https://shop.acme.example"):
        answered = door.ask(None, of(home), cookie)
        assert answered.said == ADA
        assert readable_for(answered, home)
        assert with_cookies(answered)
        before = door.ask(None, *preflight(origin=home), app=None, method="OPTIONS", query="app=acme")
        assert (before.status, readable_for(before, home), with_cookies(before)) == (204, True, True)
    for evil in (EVIL, "null", f"{HOME}.evil.example", "https://evil-acme.example", "http://acme.example", HOME + "/"):
        for answered in (
            door.ask(None, of(evil), cookie),
            door.ask(token(), of(evil)),
            door.ask(None, *preflight(origin=evil), cookie, app=None, method="OPTIONS", query="app=acme"),
        ):
            assert answered.said == (403, "origin_not_allowed", None), evil
            assert "access-control-allow-origin" not in answered.headers
            assert not with_cookies(answered)
        for answered in (  # of no app that is known, so nothing is decided: readable, and never with cookies
            door.ask(None, *preflight(origin=evil), cookie, app=None, method="OPTIONS"),
            door.ask(None, *preflight(origin=evil), cookie, app=None, method="OPTIONS", query="app=nobody"),
            door.ask(None, *preflight(origin=evil), cookie, app=None, method="OPTIONS", query="app=other"),
            door.ask(None, of(evil), cookie, app="nobody"),
            door.ask(None, of(evil), cookie, app=None),
            door.ask(None, of(evil), cookie, query="app=other"),
        ):
            assert not with_cookies(answered), evil
    twice = door.ask(None, of(HOME), of(EVIL), cookie)
    assert twice.said == (400, "invalid_request", None)
    assert "access-control-allow-origin" not in twice.headers


def test_fetch_3_2_cors_refusal_allowed_origin_readable(behind: Behind) -> None:
    door = behind(app("acme", origins=[HOME]), app("other"), app_locations=NAMING)
    honest = door.ask(token(), of(HOME))
    assert honest.said == ADA
    for refused in (door.ask(None, of(HOME)), door.ask("a.b.c", of(HOME)), door.ask(token(exp=NOW - 99), of(HOME))):
        assert refused.status == 401
        for answered in (honest, refused):
            assert answered.headers["access-control-allow-origin"] == HOME
            assert varies(answered)
    demanding = door.ask(token(), of(HOME), ("X-Demand", "feedback:write"))
    assert (demanding.status, demanding.headers["access-control-allow-origin"]) == (403, HOME)
    for origin in (EVIL, "null", "https://acme.example:444"):
        blocked = door.ask(token(), of(origin))
        assert blocked.status == 403
        assert "access-control-allow-origin" not in blocked.headers
        assert varies(blocked)
    plain = door.ask()
    assert varies(plain), "a cache must not keep what a request without an origin got for a page"
    assert "access-control-allow-origin" not in plain.headers


def test_fetch_3_2_cors_preflight_without_credentials_answered_by_gate(behind: Behind) -> None:
    door = behind(app("acme", origins=[HOME]), app("other"), app_locations=NAMING, paths={"exempt": ["/public"]})
    for query in ("", "app=acme"):
        answered = door.ask(None, *preflight(names="x-app-id, authorization"), app=None, method="OPTIONS", query=query)
        assert (answered.status, answered.raw) == (204, b"")
        assert readable_for(answered, HOME)
        assert varies(answered)
        assert {"authorization", "x-app-id"} <= set(answered.headers["access-control-allow-headers"].split(", "))
        assert "*" not in answered.headers.values()
    blocked = door.ask(None, *preflight(origin=EVIL), app=None, method="OPTIONS", query="app=acme")
    assert blocked.said == (403, "origin_not_allowed", None)
    assert "access-control-allow-origin" not in blocked.headers
    # A preflight is told by all of its marks: anything else called OPTIONS is a request like others.
    for headers in ([], [of(HOME)], preflight()[1:]):
        assert door.ask(None, *headers, method="OPTIONS").said == (401, "missing_token", None)
        assert door.ask(token(), *headers, method="OPTIONS").said == ADA
    for method in ("GET", "POST", "DELETE"):
        assert door.ask(None, *preflight(), method=method).said == (401, "missing_token", None)
    own = door.ask(None, *preflight(), app=None, method="OPTIONS", path="/public")
    assert not own.body["gated"], "an exempt path answers for itself"


def test_rfc9110_11_6_1_cors_refusal_exposes_www_authenticate(behind: Behind) -> None:
    door = behind(app("acme", origins=[HOME]), app("other"))
    assert door.ask(token(), of(HOME)).said == ADA
    for refused in (door.ask(None, of(HOME)), door.ask("a.b.c", of(HOME)), door.ask(token(), of(HOME), app="nobody")):
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Bearer ")
        exposed = [each.strip().lower() for each in refused.headers["access-control-expose-headers"].split(",")]
        assert "www-authenticate" in exposed
        assert readable_for(refused, HOME)
    blocked = door.ask(None, of(EVIL))
    assert blocked.status == 403
    assert "access-control-expose-headers" not in blocked.headers


@pytest.mark.parametrize(
    "origin", ["", "a b", "x" * 513, "https://a.example\r\nX-Evil: 1", "https://a.example\x00", "é"]
)
def test_fetch_3_2_cors_invalid_origin_never_reflected(behind: Behind, origin: str) -> None:
    """No part of a request header may become a header of the response."""
    door = behind(app("acme"), app("other"), app_locations=NAMING)
    assert readable_for(door.ask(token(), of(EVIL)), EVIL)
    for answered in (
        door.ask(token(), of(origin)),
        door.ask(None, of(origin)),
        door.ask(None, of(origin), app="nobody"),
        door.ask(None, *preflight(origin=origin), app=None, method="OPTIONS"),
        door.ask(None, *preflight(names="x-a\r\nx-evil: 1", method="P\r\nX-Evil: 1"), app=None, method="OPTIONS"),
    ):
        assert answered.headers.get("access-control-allow-origin") != origin
        assert "x-evil" not in answered.headers
        assert not any(mark in value for value in answered.headers.values() for mark in "\r\n\0")
