"""Locations in headers, query and path that hold the app name or the token: the values they read and refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.unit import ANYTHING, problems_of, refusal_of
from wicket import (
    App,
    AppRef,
    Bearer,
    Cookie,
    Header,
    Host,
    PathSegment,
    PublishableKeyBearer,
    Query,
    Request,
    TokenIssuer,
)
from wicket.config.locations import AppLocation, TokenLocation, is_valid_name

BEARERS: list[Bearer | PublishableKeyBearer] = [Bearer(), PublishableKeyBearer()]


def authorized(value: str) -> Request:
    return Request(headers=[("Authorization", value)])


@pytest.mark.parametrize("value", ["Bearer pub_a", "bearer pub_a", "BEARER   pub_a", " Bearer pub_a "])
@pytest.mark.parametrize("location", BEARERS)
def test_bearer_location_any_scheme_case_returns_value(location: Bearer | PublishableKeyBearer, value: str) -> None:
    assert location.read(authorized(value)) == "pub_a"


_DIGEST = 'Digest username="u", realm="r, Bear", nonce="n", uri="/"'
_SIGNED = "AWS4-HMAC-SHA256 Credential=A/20260101/eu/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=ab"


@pytest.mark.parametrize("value", [_DIGEST, _SIGNED, 'Hawk id="a", ts="1", bearer="x"', "OAuth a=1,bearer=2,bearers"])
def test_p5_bearer_other_scheme_with_commas_returns_none(value: str) -> None:
    for request in (Request(headers=[("Authorization", value)]), Request.from_wsgi({"HTTP_AUTHORIZATION": value})):
        assert Bearer().read(request) is None
        assert PublishableKeyBearer().read(request) is None


@pytest.mark.parametrize(
    "values",
    [
        ("Bearer a, b",),
        ("Bearer a,",),
        (" bearer a, Basic b",),
        ("Basic a, Bearer b",),
        ("Basic a,bearer b",),
        (f"{_DIGEST}, \tBEARER b",),
        (f"{_DIGEST},Bearer",),
        (_DIGEST, "Bearer b"),
        (_DIGEST, _DIGEST),
        ("Basic a", "Bearer b"),
        ("Bearer b", _DIGEST),
    ],
)
def test_p5_bearer_repeated_header_invalid_request(values: tuple[str, ...]) -> None:
    headers = [("Authorization", value) for value in values]
    assert refusal_of(lambda: Bearer().read(Request(headers=headers))).code == "invalid_request"
    if _DIGEST not in values[1:]:  # joined by a WSGI server, they are one valid header
        joined = Request.from_wsgi({"HTTP_AUTHORIZATION": ",".join(values)})
        assert refusal_of(lambda: Bearer().read(joined)).code == "invalid_request"


@pytest.mark.parametrize("value", ["Basic abc", "Bearertoken abc", "Bearerpub_a", "", "Bear"])
@pytest.mark.parametrize("location", BEARERS)
def test_bearer_location_other_scheme_returns_none(location: Bearer | PublishableKeyBearer, value: str) -> None:
    assert location.read(authorized(value)) is None


@pytest.mark.parametrize("location", BEARERS)
def test_bearer_location_without_authorization_returns_none(location: Bearer | PublishableKeyBearer) -> None:
    assert location.read(Request()) is None


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "bearer ",
        "Bearer\ta",
        "Bearer\xa0a",
        "Bearer a b",
        "Bearer a\tb",
        "Bearer a\xa0b",
        "Bearer a,Bearer b",
    ],
)
@pytest.mark.parametrize("location", BEARERS)
def test_bearer_location_not_exactly_one_word_invalid_request(
    location: Bearer | PublishableKeyBearer, value: str
) -> None:
    assert refusal_of(lambda: location.read(authorized(value))).code == "invalid_request"


def test_publishable_key_bearer_reads_only_prefixed_value() -> None:
    assert PublishableKeyBearer().read(authorized("Bearer eyJ.a.b")) is None
    assert PublishableKeyBearer("pk-").read(authorized("Bearer pk-acme")) == "pk-acme"
    assert PublishableKeyBearer().kind == "publishable_key"


def test_header_location_name_case_and_spaces_are_ignored() -> None:
    location = Header("X-App-Id")
    assert location.name == "x-app-id"
    assert location.kind == "id"
    assert location == Header("x-app-id")
    assert location.read(Request(headers=[("X-APP-ID", " acme ")])) == "acme"


def test_header_location_empty_or_absent_returns_none() -> None:
    assert Header("X-App-Id").read(Request()) is None
    assert Header("X-App-Id").read(Request(headers=[("x-app-id", " ")])) is None


def test_header_location_repeated_invalid_request() -> None:
    request = Request(headers=[("x-app-id", "a"), ("x-app-id", "b")])
    assert refusal_of(lambda: Header("X-App-Id").read(request)).code == "invalid_request"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä", "a\n", 5, None])
def test_header_location_invalid_name_is_a_problem(name: Any) -> None:
    assert problems_of(lambda: Header(name)) == {"name": "is not a header name"}


@pytest.mark.parametrize("name", ["ORIGIN", "cookie", "Host"])
def test_header_location_reserved_name_is_a_problem(name: str) -> None:
    assert problems_of(lambda: Header(name)) == {"name": f"{name} has a separate location class"}


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("appId=acme", "acme"),
        ("x=1&appId=acme&y=2", "acme"),
        ("appId=a%20b", "a b"),
        ("appId=a+b", "a b"),
        ("app%49d=acme", "acme"),
        ("appId=a=b", "a=b"),
        ("appId=%C3%A9", "é"),
        ("", None),
        ("x=1", None),
        ("x=%20", None),
        ("x=a+b", None),
        ("appId", None),
        ("appId=", None),
        ("appid=acme", None),
        ("myappId=acme", None),
        ("x=appId", None),
    ],
)
def test_query_location_returns_decoded_value_or_none(query: str, value: str | None) -> None:
    assert Query("appId").read(Request(query=query)) == value


def test_query_location_name_with_space_is_read() -> None:
    assert Query("app id").read(Request(query="app+id=acme")) == "acme"


@pytest.mark.parametrize("query", ["appId=a&appId=b", "appId=a&appId=a", "appId=&appId=a", "appId=a&app%49d=b"])
def test_query_location_repeated_invalid_request(query: str) -> None:
    refusal = refusal_of(lambda: Query("appId").read(Request(query=query)))
    assert (refusal.code, refusal.detail) == ("invalid_request", "appId may be given only once.")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("t=abc", "abc"),
        ("a=1; t=abc; b=2", "abc"),
        ("a=1;t = abc ", "abc"),
        ("t=a=b", "a=b"),
        ("t=", None),
        ("xt=abc", None),
        ("a=t", None),
        ("a=1", None),
        (None, None),
    ],
)
def test_cookie_location_returns_value_or_none(header: str | None, value: str | None) -> None:
    assert Cookie("t").read(Request(headers=[("Cookie", header)] if header is not None else [])) == value


@pytest.mark.parametrize("headers", [[("Cookie", "t=a; t=b")], [("Cookie", "t=a"), ("Cookie", "t=a")]])
def test_cookie_location_repeated_invalid_request(headers: list[tuple[str, str]]) -> None:
    assert refusal_of(lambda: Cookie("t").read(Request(headers=headers))).code == "invalid_request"


@pytest.mark.parametrize(
    ("index", "path", "value"),
    [
        (0, "/acme/users", "acme"),
        (0, "/acme", "acme"),
        (1, "/v1/acme/users/1", "acme"),
        (1, "/v1", None),
        (0, "/", None),
        (0, "/acme/", "acme"),
        (0, "", None),
    ],
)
def test_path_segment_returns_segment_at_index_or_none(index: int, path: str, value: str | None) -> None:
    assert PathSegment(index).read(Request(path=path)) == value


@pytest.mark.parametrize(
    "path",
    [
        "//acme",
        "/acme//users",
        "/./acme",
        "/x/../acme",
        "/acme;x",
        "/acme/%2e",
        "/acme\\users",
        "/acme\n",
        "acme",
        "http://host/acme",
        "*",
    ],
)
def test_path_segment_non_plain_path_invalid_request(path: str) -> None:
    refusal = refusal_of(lambda: PathSegment(0).read(Request(path=path)))
    assert (refusal.code, refusal.detail) == ("invalid_request", "The path names the app, so it must have one meaning.")


@pytest.mark.parametrize(
    ("root", "path", "value"),
    [
        ("", "/acme/users", "acme"),
        ("/app", "/app/acme/users", "acme"),
        ("/app", "/acme/users", "acme"),
        ("/a/b", "/a/b/acme", "acme"),
        ("/app", "/app", None),
    ],
)
def test_path_segment_index_counts_from_root_path(root: str, path: str, value: str | None) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root, "headers": []}
    assert PathSegment(0).read(Request.from_asgi(scope)) == value


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("/app", "/appacme/x"),
        ("/app", "/app/app/acme"),
        ("/app", "/acme/app/x"),
        ("/app", "/acme/application"),
        ("/app/", "/app/acme"),
        ("app", "/acme"),
        ("/", "/acme"),
    ],
)
def test_path_segment_ambiguous_root_path_invalid_request(root: str, path: str) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root, "headers": []}
    assert refusal_of(lambda: PathSegment(0).read(Request.from_asgi(scope))).code == "invalid_request"


@pytest.mark.parametrize(
    ("host", "value"),
    [
        ("Acme.Example", "acme.example"),
        ("acme.example:8000", "acme.example"),
        ("a.b:", "a.b"),
        ("", None),
        (None, None),
    ],
)
def test_host_location_drops_port_and_case(host: str | None, value: str | None) -> None:
    assert Host().kind == "host"
    assert Host().read(Request(headers=[("Host", host)] if host is not None else [])) == value


@pytest.mark.parametrize("host", ["acme.example.com.", "ACME.example.com.:8000", "acme.example.com"])
def test_p9_host_location_trailing_dot_ignored(host: str) -> None:
    request = Request(headers=[("Host", host)])
    assert Host().read(request) == "acme.example.com"
    assert Host("*.example.com").read(request) == "acme"
    assert App("acme", hosts=["Acme.example.com."]).hosts == ("acme.example.com",)
    assert Host().read(Request(headers=[("Host", "acme.example.com..")])) == "acme.example.com."


@pytest.mark.parametrize(
    ("host", "value"),
    [
        ("acme.widgets.example", "acme"),
        ("ACME.Widgets.Example:443", "acme"),
        ("widgets.example", None),
        (".widgets.example", None),
        ("a.b.widgets.example", None),
        ("acme.evil.example", None),
        ("acmewidgets.example", None),
    ],
)
def test_host_location_pattern_returns_label_or_none(host: str, value: str | None) -> None:
    location = Host("*.Widgets.example")
    assert location.kind == "id"
    assert location.read(Request(headers=[("Host", host)])) == value


@pytest.mark.parametrize("pattern", ["", "*", "*.", "widgets.example", "a.*.example", "*.*.example"])
def test_host_location_invalid_pattern_is_a_problem(pattern: str) -> None:
    assert problems_of(lambda: Host(pattern)) == {"pattern": "must be *. and a domain"}


def test_host_location_repeated_invalid_request() -> None:
    assert refusal_of(lambda: Host().read(Request(headers=[("Host", "a,b")]))).code == "invalid_request"


def test_token_issuer_location_read_returns_none() -> None:
    assert TokenIssuer().read(authorized("Bearer a.b.c")) is None
    assert TokenIssuer().kind == "issuer"


@pytest.mark.parametrize(
    "location", [PublishableKeyBearer(), Header("a"), Query("a"), PathSegment(), Host(), TokenIssuer()]
)
def test_app_location_classes_satisfy_protocol(location: object) -> None:
    assert isinstance(location, AppLocation)


@pytest.mark.parametrize("location", [Bearer(), Header("a"), Query("a"), Cookie("a")])
def test_token_location_classes_satisfy_protocol(location: object) -> None:
    assert isinstance(location, TokenLocation)


@pytest.mark.parametrize("location", [Bearer(), Cookie("a")])
def test_token_only_locations_are_no_app_locations(location: object) -> None:
    assert not isinstance(location, AppLocation)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a", True),
        ("!~", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        ("a b", False),
        ("é", False),
        ("a\n", False),
    ],
)
def test_is_valid_name_requires_1_to_128_visible_characters(name: str, fits: bool) -> None:
    assert is_valid_name(name) is fits


def test_app_ref_equals_kind_and_value_tuple() -> None:
    assert AppRef("id", "acme") == ("id", "acme")
    assert AppRef("id", "acme") != AppRef("publishable_key", "acme")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Query(""),
        lambda: Query(ANYTHING[5]),
        lambda: Cookie(""),
        lambda: Cookie("a b"),
        lambda: PathSegment(-1),
        lambda: PathSegment(ANYTHING["0"]),
        lambda: Header("X-App", kind=ANYTHING["nonsense"]),
        lambda: Host(ANYTHING[5]),
    ],
    ids=["empty query", "query 5", "empty cookie", "cookie a b", "segment -1", "segment text", "kind", "host 5"],
)
def test_location_invalid_setting_is_a_problem(build: Callable[[], Any]) -> None:
    problems_of(build)


@pytest.mark.parametrize("prefix", ["", "a b", "pub\n", ANYTHING[5]])
def test_publishable_key_bearer_invalid_prefix_is_a_problem(prefix: str) -> None:
    assert set(problems_of(lambda: PublishableKeyBearer(prefix))) == {"prefix"}


def test_publishable_key_bearer_invalid_kind_is_a_problem() -> None:
    assert set(problems_of(lambda: PublishableKeyBearer(kind=ANYTHING["nonsense"]))) == {"kind"}


def test_path_segment_index_above_99_is_a_problem() -> None:
    assert PathSegment(99).index == 99
    assert set(problems_of(lambda: PathSegment(100))) == {"index"}


ENCODED_NAMES = ["appId", "%61ppId", "a%70%70%49d", "%61%70%70%49%64", "%61%70%70%49%64".lower()]


@pytest.mark.parametrize("name", ENCODED_NAMES)
def test_query_location_percent_encoded_name_is_found(name: str) -> None:
    assert Query("appId").read(Request(query=f"x=1&{name}=ac%6De&appIdx=2&xappId=3")) == "acme"


@pytest.mark.parametrize(
    ("name", "encoded"), [("a b", "a+b"), ("a b", "a%20b"), ("é", "%C3%a9"), ("a+b", "a%2Bb"), ("a=b", "a%3db")]
)
def test_query_location_name_that_needs_encoding_is_found(name: str, encoded: str) -> None:
    assert Query(name).read(Request(query=f"{encoded}=1")) == "1"
    assert Query(name).read(Request(query="ab=1&b=2")) is None


def test_query_location_other_parameters_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def decode(text: str) -> str:
        decoded.append(text)
        return text

    monkeypatch.setattr("wicket.messages.parameters.unquote_plus", decode)
    assert Query("appId").read(Request(query="&".join(["%61%70%70%49%65=1"] * 400) + "&appId=acme")) == "acme"
    assert decoded == [], "not even a value without escapes is decoded"
