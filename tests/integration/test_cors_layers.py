"""The gate's CORS headers beside the application's: its CORS middleware, inside and outside, and its handlers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import flask
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.test import Client

from tests.integration.body_apps import PAGE, app_of, token_of
from wicket import Gate, Mode, Refusal, Refused
from wicket import asgi as asgi_door
from wicket import wsgi as wsgi_door

OWN: Final = "https://own.example"
EVIL: Final = "https://evil.example"
PREFLIGHT: Final = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate([app_of("acme", origins=[PAGE, OWN])]) as gate:
        yield gate


def known(origin: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of('acme')}", "Origin": origin}


def site(gate: Gate, *, order: str, own: dict[str, Any] | None = None, **settings: Any) -> TestClient:
    async def answer(request: Request) -> PlainTextResponse:
        assert request.method != "OPTIONS", "a preflight never reaches the application"
        return PlainTextResponse("own")

    cors = Middleware(CORSMiddleware, **(own or {"allow_origins": [PAGE], "allow_credentials": True}))
    gated = Middleware(asgi_door.WicketMiddleware, gate=gate, **settings)
    middleware = {"inside": [gated, cors], "outside": [cors, gated], "none": [gated]}[order]
    methods = ["GET", "PUT", "OPTIONS"]
    return TestClient(Starlette(routes=[Route("/", answer, methods=methods)], middleware=middleware))


def cors_of(answer: Any) -> dict[str, list[str]]:
    names = ("allow-origin", "allow-credentials", "expose-headers")
    return {name: answer.headers.get_list(f"access-control-{name}") for name in names}


@pytest.mark.parametrize("order", ["inside", "outside", "none"])
def test_cors_with_application_middleware_no_duplicate_headers(gate: Gate, order: str) -> None:
    for headers, status in ((known(PAGE), 200), ({"Origin": PAGE}, 401)):
        answer = site(gate, order=order).get("/", headers=headers)
        assert answer.status_code == status
        assert cors_of(answer)["allow-origin"] == [PAGE]
        varying = ", ".join(answer.headers.get_list("vary")).split(", ")
        assert set(varying) == {"Origin"}  # Starlette's own adds it without looking whether it is there


@pytest.mark.parametrize("order", ["inside", "outside", "none"])
def test_cors_preflight_not_passed_to_application(gate: Gate, order: str) -> None:
    answer = site(gate, order=order).options("/", headers=PREFLIGHT)
    assert answer.status_code in (200, 204)
    assert cors_of(answer)["allow-origin"] == [PAGE]


def test_cors_origin_disallowed_by_application_not_added(gate: Gate) -> None:
    """The gate admits OWN; the application's own CORS does not, and says Allow-Credentials on every answer."""
    answer = site(gate, order="inside").get("/", headers=known(OWN))
    assert cors_of(answer)["allow-credentials"] == ["true"]
    assert cors_of(answer)["allow-origin"] == []


def test_cors_log_only_disallowed_origin_no_credentialed_access() -> None:
    """In log-only the application answers as before: what a page could not read then, it cannot read now."""
    with Gate([app_of("acme", mode=Mode.LOG_ONLY)]) as gate:
        answer = site(gate, order="inside").get("/", headers=known(EVIL))
    assert (answer.status_code, answer.text) == (200, "own")
    assert not (cors_of(answer)["allow-origin"] and cors_of(answer)["allow-credentials"])


def test_cors_application_wildcard_kept(gate: Gate) -> None:
    answer = site(gate, order="inside", own={"allow_origins": ["*"]}).get("/", headers=known(PAGE))
    assert cors_of(answer)["allow-origin"] == ["*"]


@pytest.mark.parametrize("order", ["inside", "outside", "none"])
def test_cors_disallowed_origin_403_without_allow_origin(gate: Gate, order: str) -> None:
    answer = site(gate, order=order).get("/", headers=known(EVIL))
    assert (answer.status_code, cors_of(answer)["allow-origin"]) == (403, [])


def test_cors_disabled_headers_and_preflights_left_to_application(gate: Gate) -> None:
    client = site(gate, order="inside", cors=False, preflights="pass")
    assert cors_of(client.get("/", headers=known(OWN)))["allow-origin"] == []
    assert cors_of(client.get("/", headers=known(PAGE)))["allow-origin"] == [PAGE]
    assert client.options("/", headers=PREFLIGHT).status_code == 200, "the application's own middleware answers it"
    assert site(gate, order="inside", cors=False).options("/", headers=PREFLIGHT).status_code == 401
    bare = site(gate, order="none", cors=False).get("/", headers=known(PAGE))
    assert cors_of(bare) == {"allow-origin": [], "allow-credentials": [], "expose-headers": []}
    assert "vary" not in bare.headers
    refused = site(gate, order="none", cors=False).get("/", headers={"Origin": PAGE})
    assert (refused.status_code, "vary" in refused.headers) == (401, False)


# --- Flask, with headers that the handler sets


def by_hand(gate: Gate, own: dict[str, str]) -> Client:
    site = flask.Flask(__name__)

    @site.after_request
    def add(response: flask.Response) -> flask.Response:
        response.headers.update(own)
        return response

    @site.get("/")
    def view() -> str:
        return "own"

    @site.get("/fail")
    def fail() -> str:
        raise RuntimeError("own")

    site.wsgi_app = wsgi_door.WicketMiddleware(site.wsgi_app, gate)  # type: ignore[method-assign]
    return Client(site)


@pytest.mark.parametrize("path", ["/", "/nowhere", "/fail"])
def test_cors_headers_set_by_application_not_duplicated(gate: Gate, path: str) -> None:
    client = by_hand(gate, {"access-control-allow-origin": "*", "Vary": "Cookie"})
    answer = client.get(path, headers=known(PAGE))
    assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert answer.headers.getlist("Vary") == ["Cookie"]
    answer = by_hand(gate, {"Vary": "origin"}).get(path, headers=known(PAGE))
    assert answer.headers.getlist("Access-Control-Allow-Origin") == [PAGE]
    assert answer.headers.getlist("Vary") == ["origin"]


def test_wsgi_start_response_repeated_with_exc_info_forwarded(gate: Gate) -> None:
    started: list[Any] = []
    writers: list[Any] = []

    def write(data: bytes, /) -> None: ...

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-First", "1")])
        try:
            raise RuntimeError("own")
        except RuntimeError as error:
            writers.append(start_response("500 Own", [("X-Own", "1")], (type(error), error, None)))
        return [b""]

    def start_response(*given: Any) -> Any:
        started.append(given)
        return write

    environ = {"REQUEST_METHOD": "GET", "HTTP_AUTHORIZATION": known(PAGE)["Authorization"], "HTTP_ORIGIN": PAGE}
    wsgi_door.WicketMiddleware(app, gate)(environ, start_response)
    assert [len(given) for given in started] == [2, 3]
    assert writers == [write]
    for _, headers, *_ in started:
        assert [name for name, _ in headers].count("Access-Control-Allow-Origin") == 1


def test_wsgi_refused_after_start_response_replaces_response(gate: Gate) -> None:
    """A server takes a second answer only with the error that caused it (PEP 3333)."""
    started: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        raise Refused(Refusal("insufficient_scope"))

    def start_response(*given: Any) -> Any:
        assert not started or (len(given) == 3 and given[2]), "a second answer without the error"
        started.append(given)
        return lambda _: None

    environ = {"REQUEST_METHOD": "GET", "HTTP_AUTHORIZATION": known(PAGE)["Authorization"]}
    wsgi_door.WicketMiddleware(app, gate)(environ, start_response)
    assert started[-1][0] == "403 Forbidden"
