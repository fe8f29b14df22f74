"""ASGI scopes and WSGI environs give the same neutral view of a request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clients import finished
from tests.support.unit import refusal_of
from wicket import Refused, Request, WicketError
from wicket.messages.request import Body
from wicket.messages.response import Response


def scope(**changes: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "headers": [], **changes}


def test_request_from_asgi_scope_reads_all_fields() -> None:
    request = Request.from_asgi(
        scope(method="POST", path="/a/b", query_string=b"x=1&y=%20", headers=[(b"X-App-Id", b"acme"), (b"a", b"\xe9")])
    )
    assert (request.method, request.path, request.query, request.websocket) == ("POST", "/a/b", "x=1&y=%20", False)
    assert request.header("x-app-id") == "acme"
    assert request.header("a") == "é"
    assert request.header("absent") is None


def test_request_from_asgi_without_query_string_has_empty_query() -> None:
    assert Request.from_asgi(scope()).query == ""


def test_request_from_asgi_websocket_is_unsafe_get() -> None:
    request = Request.from_asgi({"type": "websocket", "path": "/ws", "headers": []})
    assert (request.method, request.websocket, request.is_unsafe) == ("GET", True, True)


@pytest.mark.parametrize(
    ("root", "path", "seen"),
    [
        ("", "/a", "/a"),
        ("/v1", "/v1/a", "/a"),
        ("/v1", "/v1", ""),
        ("/v1", "/v10/a", "/v10/a"),
        ("/v1", "/a", "/a"),
        ("/", "/a", "/a"),
    ],
)
def test_request_from_asgi_root_path_is_removed_from_path(root: str, path: str, seen: str) -> None:
    assert Request.from_asgi(scope(root_path=root, path=path)).path == seen


def test_request_from_wsgi_environ_reads_all_fields() -> None:
    request = Request.from_wsgi(
        {
            "REQUEST_METHOD": "PUT",
            "SCRIPT_NAME": "/v1",
            "PATH_INFO": "/a",
            "QUERY_STRING": "x=1",
            "HTTP_X_APP_ID": "acme",
            "CONTENT_TYPE": "text/plain",
            "wsgi.input": object(),
        }
    )
    assert (request.method, request.path, request.query, request.websocket) == ("PUT", "/a", "x=1", False)
    assert request.header("x-app-id") == "acme"
    assert request.header("content-type") == "text/plain"


def test_request_from_wsgi_minimal_environ_has_empty_path_and_query() -> None:
    request = Request.from_wsgi({"REQUEST_METHOD": "GET"})
    assert (request.path, request.query) == ("", "")


@pytest.mark.parametrize(("path", "seen"), [("/caf\xc3\xa9", "/café"), ("/\xff", "/\ufffd"), ("/ā", "/?")])
def test_request_from_wsgi_path_is_decoded_as_utf8(path: str, seen: str) -> None:
    assert Request.from_wsgi({"REQUEST_METHOD": "GET", "PATH_INFO": path}).path == seen


def test_request_header_name_is_case_insensitive() -> None:
    assert Request(headers=[("X-APP-id", "acme")]).header("x-app-id") == "acme"


def test_request_repeated_headers_join_by_comma_and_cookies_by_semicolon() -> None:
    pairs = [("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("X-A", "3"), ("cookie", "b=2"), ("b", ""), ("B", "")]
    for request in (
        Request(headers=pairs),
        Request.from_asgi(scope(headers=[(name.encode(), value.encode()) for name, value in pairs])),
    ):
        assert "," in (request.header("x-a") or "")
        assert "," in (request.header("b") or "")
        assert request.header("cookie") == "a=1; b=2"


def test_request_single_header_value_is_stripped() -> None:
    request = Request(headers=[("Origin", " \thttps://a.com\t ")])
    assert request.single_header("origin") == "https://a.com"
    assert request.single_header("absent") is None


@pytest.mark.parametrize("headers", [[("A", "1"), ("a", "1")], [("a", "1,1")], [("a", ",")]])
def test_request_single_header_repeated_invalid_request(headers: list[tuple[str, str]]) -> None:
    refusal = refusal_of(lambda: Request(headers=headers).single_header("a"))
    assert refusal.code == "invalid_request"
    assert refusal.detail == "The header a must be sent only once, with a single value."


@pytest.mark.parametrize(
    ("method", "unsafe"),
    [
        ("GET", False),
        ("HEAD", False),
        ("OPTIONS", False),
        ("TRACE", False),
        ("POST", True),
        ("DELETE", True),
        ("X", True),
    ],
)
def test_request_method_determines_is_unsafe(method: str, unsafe: bool) -> None:
    assert Request(method).is_unsafe is unsafe


PREFLIGHT = [("Origin", "https://a.com"), ("Access-Control-Request-Method", "PUT")]


def test_request_options_with_both_headers_is_preflight() -> None:
    assert Request("OPTIONS", headers=PREFLIGHT).is_preflight


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", headers=PREFLIGHT),
        Request("OPTIONS", headers=PREFLIGHT[:1]),
        Request("OPTIONS", headers=PREFLIGHT[1:]),
        Request("OPTIONS", headers=PREFLIGHT, websocket=True),
    ],
)
def test_request_incomplete_preflight_is_no_preflight(request_: Request) -> None:
    assert not request_.is_preflight


def test_response_equal_fields_compare_equal() -> None:
    assert Response(401, (("a", "b"),), b"x") == Response(401, (("a", "b"),), b"x")


def test_request_body_is_absent_bytes_or_custom_body() -> None:
    assert Request().body is None
    held = Request(body=b"abc").body
    assert held is not None
    assert (held.read(3, 1.0), held.read(2, 1.0)) == (b"abc", None)
    assert finished(held.aread(3, 1.0)) == b"abc"
    own = Body()
    assert Request(body=own).body is own
    assert Request.from_asgi(scope(), own).body is own
    assert Request.from_wsgi({"REQUEST_METHOD": "GET"}, own).body is own


def test_body_unsupported_read_raises_wicket_error() -> None:
    with pytest.raises(WicketError, match="adecide"):
        Body().read(1, 1.0)
    with pytest.raises(WicketError, match="use decide"):
        finished(Body().aread(1, 1.0))


@pytest.mark.parametrize(
    ("value", "media"),
    [
        (None, ""),
        ("", ""),
        ("application/json", "application/json"),
        (" Application/JSON ; charset=utf-8", "application/json"),
        ("text/plain;", "text/plain"),
    ],
)
def test_request_media_type_drops_parameters_and_case(value: str | None, media: str) -> None:
    assert Request(headers=[] if value is None else [("Content-Type", value)]).media_type == media
    environ = {"REQUEST_METHOD": "POST"} if value is None else {"REQUEST_METHOD": "POST", "CONTENT_TYPE": value}
    assert Request.from_wsgi({**environ, "HTTP_CONTENT_TYPE": "text/html"}).media_type == media


def test_request_from_asgi_headers_iterator_is_read() -> None:
    pairs = [(b"x-app-id", b"acme")]
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": iter(pairs)}
    assert Request.from_asgi(scope).header("x-app-id") == "acme"


def test_request_single_header_with_70_kb_padding_invalid_request() -> None:
    with pytest.raises(Refused) as refused:
        Request(headers=[("Origin", "https://a.example" + " " * 70_000)]).single_header("origin")
    assert refused.value.refusal.code == "invalid_request"
