"""Locations in a body and in a WebSocket handshake, and the order of all token locations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import ANYTHING, acme, problems_of, refusal_of
from wicket import App, Bearer, Cookie, Gate, JsonBody, Request, Subprotocol, TokenLocation
from wicket.config.token_locations import TokenLocations
from wicket.messages.json_body import parse_body

# --- in the body


def with_body(text: str, *, kind: str = "application/json") -> Request:
    request = Request("POST", headers=[("Content-Type", kind)])
    request.document = parse_body(text.encode())
    return request


def test_json_body_location_returns_field_at_path_or_none() -> None:
    text = '{"auth": {"token": "t"}, "none": null, "empty": ""}'
    assert JsonBody("auth.token").read(with_body(text)) == "t"
    for path in ("none", "empty", "absent", "auth.absent"):
        assert JsonBody(path).read(with_body(text)) is None
    assert JsonBody("auth.token").read(Request("POST", headers=[("Content-Type", "application/json")])) is None


def test_json_body_location_other_media_type_returns_none() -> None:
    text = '{"token": "t"}'
    assert JsonBody("token").read(with_body(text, kind="text/plain")) is None
    both = JsonBody("token", types=("Application/JSON", "text/plain"))
    assert both.types == ("application/json", "text/plain")
    assert both.read(with_body(text, kind="text/plain; charset=utf-8")) == "t"


@pytest.mark.parametrize("value", ["7", "true", "[]", "{}", "1.5"])
def test_json_body_location_non_string_value_refused(value: str) -> None:
    request = with_body(f'{{"x": {value}}}')
    assert refusal_of(lambda: JsonBody("x").read(request)).reason == "malformed"
    assert refusal_of(lambda: JsonBody("x").for_app().read(request)).code == "invalid_request"
    assert JsonBody("x").value(request) is not None


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", ANYTHING[5]])
def test_json_body_location_invalid_path_is_a_problem(path: str) -> None:
    assert set(problems_of(lambda: JsonBody(path))) == {"path"}


@pytest.mark.parametrize("types", [(), "text/plain", ("text",), ("text/plain; x",), ANYTHING[5], (ANYTHING[5],)])
def test_json_body_location_invalid_types_is_a_problem(types: Any) -> None:
    assert set(problems_of(lambda: JsonBody("a", types=types))) == {"types"}


def test_json_body_location_invalid_kind_is_a_problem() -> None:
    assert JsonBody("a", kind="publishable_key").kind == "publishable_key"
    assert set(problems_of(lambda: JsonBody("a", kind=ANYTHING["nonsense"]))) == {"kind"}


# --- in a handshake


def handshake(*values: str) -> Request:
    return Request(headers=[("Sec-WebSocket-Protocol", value) for value in values], websocket=True)


@pytest.mark.parametrize("value", ["bearer, a.b.c", "bearer,a.b.c", "chat, bearer ,\ta.b.c, v2"])
def test_subprotocol_token_after_marker_is_read(value: str) -> None:
    assert Subprotocol().read(handshake(value)) == "a.b.c"


@pytest.mark.parametrize("value", ["", "chat", "chat, v2", "Bearer, a.b.c", "bearers, a.b.c", "x-bearer, a.b.c"])
def test_subprotocol_without_marker_returns_none(value: str) -> None:
    assert Subprotocol().read(handshake(value)) is None
    assert Subprotocol().read(handshake()) is None


@pytest.mark.parametrize(
    "values",
    [
        ("bearer",),
        ("chat, bearer",),
        ("bearer,",),
        ("bearer, ",),
        ("bearer, , a.b.c",),
        ("bearer, a.b.c, bearer, d.e.f",),
        ("bearer, bearer",),
        ("bearer, a.b.c", "chat"),
        ("bearer, a.b.c", "bearer, d.e.f"),
    ],
)
def test_subprotocol_marker_without_exactly_one_token_invalid_request(values: tuple[str, ...]) -> None:
    assert refusal_of(lambda: Subprotocol().read(handshake(*values))).code == "invalid_request"


def test_subprotocol_outside_websocket_returns_none() -> None:
    request = Request(headers=[("Sec-WebSocket-Protocol", "bearer, a.b.c")])
    assert Subprotocol().read(request) is None


@pytest.mark.parametrize("marker", ["", "a b", "a,b", ANYTHING[5]])
def test_subprotocol_invalid_marker_is_a_problem(marker: str) -> None:
    assert set(problems_of(lambda: Subprotocol(marker))) == {"marker"}


# --- all token locations


def test_token_locations_are_grouped_in_order() -> None:
    body, later = JsonBody("token"), JsonBody("x", types=("text/plain",))
    locations = TokenLocations([body, Cookie("c"), Bearer(), Subprotocol()], [later, Bearer()])
    assert (locations.headers_and_query, locations.cookies, locations.body) == (
        (Bearer(), Subprotocol()),
        (Cookie("c"),),
        (body,),
    )
    assert locations.body_types == {"application/json", "text/plain"}
    assert TokenLocations([Bearer()]).body_types == frozenset()


class _WithoutHash(TokenLocation):
    """A custom location that defines `__eq__` and therefore has no hash."""

    __hash__ = None  # type: ignore[assignment]  # as in a class that defines only __eq__

    def read(self, request: Request) -> str | None:
        return request.header("x-own")


def test_token_locations_unhashable_location_is_accepted() -> None:
    app = acme(token_locations=[_WithoutHash()])
    assert [type(location) for location in app.located_tokens.headers_and_query] == [_WithoutHash]


class Prefixed(JsonBody):
    """A user's own reading of a body field."""

    def read(self, request: Request) -> str | None:
        value = JsonBody.read(self, request)
        return None if value is None else value.removeprefix("app-")


def test_json_body_subclass_app_location_reads_by_its_own_method() -> None:
    gate = Gate([acme(app_locations=[Prefixed("app")]), App("two", app_locations=[Prefixed("app")])])
    request = Request("POST", headers=[("Content-Type", "application/json")], body=b'{"app": "app-acme"}')
    assert gate.decide(request).app_id == "acme"
