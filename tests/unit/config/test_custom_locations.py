"""Locations of one's own: what they say of themselves counts in preflights, in the fast path and in test clients."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support.unit import NOW, acme, token
from wicket import (
    App,
    AppLocation,
    Bearer,
    ClientDefaults,
    ConfigError,
    Cookie,
    Decision,
    Gate,
    Header,
    Host,
    IdentityHash,
    JsonBody,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Request,
    Secret,
    Subprotocol,
    TokenIssuer,
    TokenLocation,
)
from wicket.asgi import WicketMiddleware
from wicket.config.locations import Phase, page_headers, plain_header, read_headers
from wicket.config.token_locations import TokenLocations
from wicket.testing import as_user

GOOD = token()


class Parameters(TokenLocation):
    """The token in a header with parameters: `X-Widget: v=2; token=…`."""

    @property
    def headers(self) -> tuple[str, ...]:
        return ("x-widget",)

    def read(self, request: Request) -> str | None:
        for parameter in (request.single_header("x-widget") or "").split(";"):
            name, _, value = parameter.strip().partition("=")
            if name == "token":
                return value or None
        return None

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        defaults.headers["x-widget"] = f"v=2; token={value}"
        return True


class Tenant(AppLocation):
    """The app's id in a header with a prefix."""

    @property
    def headers(self) -> tuple[str, ...]:
        return ("x-tenant",)

    def read(self, request: Request) -> str | None:
        value = request.single_header("x-tenant") or ""
        return value.removeprefix("tenant:") or None

    def write(self, defaults: ClientDefaults, value: str) -> bool:
        defaults.headers["x-tenant"] = f"tenant:{value}"
        return True


class OwnCookie(TokenLocation):
    """A cookie that only its phase says to be one."""

    @property
    def phase(self) -> Phase:
        return "cookies"

    def read(self, request: Request) -> str | None:
        return request.single_header("cookie") or None


class Everything(Header):
    """A header that is read in another way."""

    def read(self, request: Request) -> str | None:
        return super().read(request) and "acme"


class Redeclared(Everything):
    """A class that says what its inherited `read` reads."""

    @property
    def headers(self) -> tuple[str, ...]:
        return ("x-other",)


def code(decision: Decision) -> str | None:
    return decision.refusal.code if decision.refusal else None


async def _whoami(request: StarletteRequest) -> JSONResponse:
    return JSONResponse({"user": request.user.identity})


def client_of(app: App, app_locations: list[AppLocation]) -> TestClient:
    site = Starlette(routes=[Route("/", _whoami)])
    gate = Gate([app, App("b")], app_locations=app_locations)
    return TestClient(WicketMiddleware(site, gate=gate))


def test_custom_locations_as_user_request_is_verified() -> None:
    app = acme(token_locations=[Parameters()])
    response = as_user(client_of(app, [Tenant()]), "user-1", app="acme").get("/")
    assert (response.status_code, response.json()) == (200, {"user": "acme:user-1"})


def test_custom_locations_preflight_allows_their_headers() -> None:
    app = acme(token_locations=[Parameters()], origins=["https://acme.com"])
    asked = {"Origin": "https://acme.com", "Access-Control-Request-Method": "GET"}
    response = client_of(app, [Tenant()]).options("/", headers=asked)
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {"x-widget", "x-tenant"} <= set(allowed)


def test_custom_locations_second_request_same_entry_of_fast_path() -> None:
    apps = [acme(token_locations=[Bearer(), Parameters()]), App("b")]
    with Gate(apps, app_locations=[Tenant()], clock=lambda: NOW) as gate:
        headers = [("X-Tenant", "tenant:acme"), ("Authorization", f"Bearer {GOOD}")]
        first, second = gate.decide(Request(headers=headers)), gate.decide(Request(headers=headers))
        assert (first.allowed, second.allowed, second.app_id) == (True, True, "acme")
        assert second._context in gate._context.fast_path.entries.values()
        both = [*headers, ("X-Widget", "token=a.b.c")]
        assert code(gate.decide(Request(headers=both))) == "invalid_request"


def test_token_location_cookie_phase_requires_explicit_origins() -> None:
    with pytest.raises(ConfigError, match="must be explicit when a cookie carries the token"):
        acme(token_locations=[OwnCookie()], origins=[])
    with pytest.raises(ConfigError, match="must not be a cookie"):
        IdentityHash(secret=Secret(bytes(range(32))), hash_location=OwnCookie())
    app = acme(token_locations=[OwnCookie()], origins=["https://acme.com"])
    with Gate([app], clock=lambda: NOW) as gate:
        assert code(gate.decide(Request("POST", headers=[("Cookie", GOOD)]))) == "origin_not_allowed"
        assert gate.decide(Request("GET", headers=[("Cookie", GOOD)])).identity.verified


@pytest.mark.parametrize("location", [Parameters, Tenant()])
def test_app_token_locations_class_or_other_protocol_is_a_problem(location: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        App("acme", token_locations=[location])
    assert [problem.path for problem in raised.value.problems] == ["token_locations[0]"]


def test_location_subclass_that_overrides_read_declares_nothing() -> None:
    assert (plain_header(Header("x")), read_headers(Header("x"))) == (("x", ""), ("x",))
    assert (plain_header(Everything("x")), read_headers(Everything("x"))) == (None, None)
    assert (plain_header(Redeclared("x")), read_headers(Redeclared("x"))) == (None, ("x-other",))
    assert read_headers(OwnCookie()) is None
    assert TokenLocations([Header("x"), Bearer()]).main_header == "x"
    assert TokenLocations([Header("x"), Everything("y")]).main_header is None


@pytest.mark.parametrize(
    ("location", "names"),
    [
        (Bearer(), ("authorization",)),
        (PublishableKeyBearer(), ("authorization",)),
        (Header("X-Token"), ("x-token",)),
        (Cookie("c"), ()),
        (Host(), ()),
        (Subprotocol(), ()),
        (Query("q"), ()),
        (PathSegment(0), ()),
        (JsonBody("t"), ()),
        (JsonBody("t").for_app(), ()),
        (TokenIssuer(), ()),
        (OwnCookie(), ()),
    ],
)
def test_page_headers_only_headers_that_a_script_may_set(location: Any, names: tuple[str, ...]) -> None:
    assert page_headers(location) == names


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        (Bearer(), ClientDefaults(headers={"authorization": "Bearer v"})),
        (PublishableKeyBearer(), ClientDefaults(headers={"authorization": "Bearer v"})),
        (Header("X-Token"), ClientDefaults(headers={"x-token": "v"})),
        (Host(), ClientDefaults(headers={"host": "v"})),
        (Host("*.widgets.example"), ClientDefaults(headers={"host": "v.widgets.example"})),
        (Query("q"), ClientDefaults(query={"q": "v"})),
        (Cookie("c"), ClientDefaults(cookies={"c": "v"})),
    ],
)
def test_location_write_value_is_what_it_reads(location: Any, sent: ClientDefaults) -> None:
    defaults = ClientDefaults()
    assert location.write(defaults, "v")
    assert defaults == sent
    query = str(httpx.QueryParams(sent.query))
    cookies = [("cookie", f"{name}={value}") for name, value in sent.cookies.items()]
    assert location.read(Request(headers=[*sent.headers.items(), *cookies], query=query)) in ("v", None)


@pytest.mark.parametrize("location", [JsonBody("t"), Subprotocol(), PathSegment(0), TokenIssuer()])
def test_location_write_of_one_request_false(location: Any) -> None:
    defaults = ClientDefaults()
    assert not location.write(defaults, "v")
    assert defaults == ClientDefaults()


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (Bearer(), "Authorization"),
        (Cookie("c"), "c"),
        (JsonBody("a.b"), "a.b"),
        (OwnCookie(), ""),
    ],
)
def test_location_name_names_header_cookie_or_field(location: Any, name: str) -> None:
    assert location.location_name == name


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        (["bearer", "a.b.c", "chat"], ["chat"]),
        (["chat", "bearer", "a.b.c"], ["chat"]),
        (["chat"], ["chat"]),
        ([], []),
    ],
)
def test_subprotocol_without_token_marker_and_token_removed(offered: list[str], kept: list[str]) -> None:
    assert Subprotocol().without_token(offered) == kept
    assert Bearer().without_token(offered) == offered


def test_location_read_of_the_instance_declares_nothing() -> None:
    class Tenanted(Header):
        """A header with a dictionary, so that `read` can be set on the instance."""

    location = Tenanted("x")
    assert read_headers(location) == ("x",)
    object.__setattr__(location, "read", lambda request: "acme")
    assert (plain_header(location), read_headers(location)) == (None, None)
