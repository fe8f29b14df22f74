"""Places in a body and in a socket's handshake, and all places of tokens together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.support import ANYTHING, acme, problems_of, refusal_of
from wicket import Bearer, BodyField, Cookie, JsonBody, Request, Subprotocol
from wicket.config.locations import TokenLocations
from wicket.messages.json_body import parse_body

# --- in the body


def with_body(text: str, *, kind: str = "application/json") -> Request:
    request = Request("POST", headers=[("Content-Type", kind)])
    request.document = parse_body(text.encode())
    return request


def test_a_member_of_the_body_is_read_once_the_body_is() -> None:
    text = '{"auth": {"token": "t"}, "none": null, "empty": ""}'
    assert JsonBody("auth.token").read(with_body(text)) == "t"
    assert BodyField("auth.token").read(with_body(text)) == "t"
    for path in ("none", "empty", "absent", "auth.absent"):
        assert JsonBody(path).read(with_body(text)) is None
        assert BodyField(path).read(with_body(text)) is None
    assert JsonBody("auth.token").read(Request("POST", headers=[("Content-Type", "application/json")])) is None


def test_a_member_is_not_read_out_of_a_body_of_another_type() -> None:
    text = '{"token": "t"}'
    assert JsonBody("token").read(with_body(text, kind="text/plain")) is None
    both = JsonBody("token", types=("Application/JSON", "text/plain"))
    assert both.types == ("application/json", "text/plain")
    assert both.read(with_body(text, kind="text/plain; charset=utf-8")) == "t"


@pytest.mark.parametrize("value", ["7", "true", "[]", "{}", "1.5"])
def test_a_member_that_is_no_text_is_refused(value: str) -> None:
    request = with_body(f'{{"x": {value}}}')
    assert refusal_of(lambda: JsonBody("x").read(request)).reason == "malformed"
    assert refusal_of(lambda: BodyField("x").read(request)).code == "invalid_request"
    assert JsonBody("x").value(request) is not None


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", ANYTHING[5]])
def test_a_path_into_the_body_has_a_name_between_its_dots(path: str) -> None:
    assert set(problems_of(lambda: JsonBody(path))) == {"path"}
    assert set(problems_of(lambda: BodyField(path))) == {"path"}


@pytest.mark.parametrize("types", [(), "text/plain", ("text",), ("text/plain; x",), ANYTHING[5], (ANYTHING[5],)])
def test_the_types_of_a_body_are_media_types(types: Any) -> None:
    assert set(problems_of(lambda: JsonBody("a", types=types))) == {"types"}


def test_a_body_field_names_by_a_kind_that_exists() -> None:
    assert BodyField("a", kind="publishable_key").kind == "publishable_key"
    assert set(problems_of(lambda: BodyField("a", kind=ANYTHING["nonsense"]))) == {"kind"}


# --- in a handshake


def handshake(*values: str) -> Request:
    return Request(headers=[("Sec-WebSocket-Protocol", value) for value in values], websocket=True)


@pytest.mark.parametrize("value", ["bearer, a.b.c", "bearer,a.b.c", "chat, bearer ,\ta.b.c, v2"])
def test_the_token_stands_behind_its_marker(value: str) -> None:
    assert Subprotocol().read(handshake(value)) == "a.b.c"


@pytest.mark.parametrize("value", ["", "chat", "chat, v2", "Bearer, a.b.c", "bearers, a.b.c", "x-bearer, a.b.c"])
def test_without_the_marker_there_is_no_token(value: str) -> None:
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
def test_a_marker_without_exactly_one_token_is_refused(values: tuple[str, ...]) -> None:
    assert refusal_of(lambda: Subprotocol().read(handshake(*values))).code == "invalid_request"


def test_only_a_handshake_has_subprotocols() -> None:
    request = Request(headers=[("Sec-WebSocket-Protocol", "bearer, a.b.c")])
    assert Subprotocol().read(request) is None


@pytest.mark.parametrize("marker", ["", "a b", "a,b", ANYTHING[5]])
def test_a_marker_is_the_name_of_a_subprotocol(marker: str) -> None:
    assert set(problems_of(lambda: Subprotocol(marker))) == {"marker"}


# --- all places of tokens


def test_the_places_of_tokens_are_read_in_their_order() -> None:
    body, later = JsonBody("token"), JsonBody("x", types=("text/plain",))
    held = TokenLocations([body, Cookie("c"), Bearer(), Subprotocol()], [later, Bearer(), None])
    assert (held.headers_and_query, held.cookies, held.body) == ((Bearer(), Subprotocol()), (Cookie("c"),), (body,))
    assert held.body_types == {"application/json", "text/plain"}
    assert TokenLocations([Bearer()]).body_types == frozenset()


class _WithoutHash:
    """A place of somebody's own that compares, and so has no hash."""

    __hash__ = None  # type: ignore[assignment]  # what a class with __eq__ alone has

    def read(self, request: Request) -> str | None:
        return request.header("x-own")


def test_a_place_without_a_hash_serves_too() -> None:
    app = acme(token_locations=[_WithoutHash()])
    assert [type(place) for place in app.located_tokens.headers_and_query] == [_WithoutHash]
