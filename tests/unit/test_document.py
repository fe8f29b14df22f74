"""A JSON body that is only looked into: what it holds, what it does not, and names that stand in it twice."""

from __future__ import annotations

import json

import pytest

from tests.unit.support import refusal_of
from wicket.document import find, read_document


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b" ",
        b"{",
        b'"text"',
        b"[1]",
        b"null",
        b"true",
        b"\xff",
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 1} {"a": 2}',
        b'{"a":' * 50_000,
        b"[" * 60_000,
        b'{"a": ' + b"9" * 309 + b"}",
        b'{"a": -' + b"9" * 308 + b"}",
    ],
    ids=repr,
)
def test_what_is_no_readable_object_holds_nothing(raw: bytes | None) -> None:
    assert read_document(raw) is None


def test_a_number_of_the_greatest_length_is_read() -> None:
    assert read_document(b'{"a": ' + b"9" * 308 + b"}") == {"a": 10**308 - 1}


def test_a_member_is_found_by_its_path() -> None:
    document = read_document(b'{"auth": {"token": "t", "none": null}, "list": [{"token": "x"}]}')
    assert find(document, ["auth", "token"]) == "t"
    assert find(document, ["auth"]) == {"token": "t", "none": None}
    for path in (["token"], ["auth", "none"], ["auth", "token", "deeper"], ["list", "token"], ["list", "0"]):
        assert find(document, path) is None
    assert find(None, ["auth"]) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"auth": {"token": "a", "token": "b"}}',
        '{"auth": {"token": "a", "token": "a"}}',
        '{"auth": {"token": "a"}, "auth": {"token": "b"}}',
        '{"auth": 1, "auth": {"token": "b"}}',
        '{"auth": {"token": null, "token": "b"}}',
        '{"auth": {"token": "a", "\\u0074oken": "b"}}',
    ],
)
def test_a_name_that_stands_twice_on_the_way_is_refused(text: str) -> None:
    document = read_document(text.encode())
    refusal = refusal_of(lambda: find(document, ["auth", "token"]))
    assert (refusal.code, refusal.detail) == ("invalid_request", "The body's member auth.token may be given once.")


def test_a_name_that_stands_twice_elsewhere_is_the_applications_business() -> None:
    document = read_document(b'{"x": 1, "x": 2, "auth": {"token": "t"}, "other": {"token": "a", "token": "b"}}')
    assert find(document, ["auth", "token"]) == "t"


def test_a_repetition_among_very_many_members_hides_no_other_name() -> None:
    many = ", ".join(f'"m{index}": {index}' for index in range(300))
    assert find(read_document(f'{{{many}, "token": "t"}}'.encode()), ["token"]) == "t"
    repeated = read_document(f'{{{many}, "m1": 0, "token": "t"}}'.encode())
    assert find(repeated, ["token"]) == "t"
    assert refusal_of(lambda: find(repeated, ["m1"])).code == "invalid_request"


def test_what_is_read_is_what_any_other_parser_reads() -> None:
    text = '{"a": [1, 1.5, true, null, {"b": "\\u00fc"}], "c": {}}'
    assert read_document(text.encode()) == json.loads(text)
