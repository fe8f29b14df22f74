"""Reading members of a JSON body: present and absent members, and duplicate names."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

import wicket.messages.json_body
from tests.support.unit import refusal_of
from wicket.messages.json_body import JSONObject, get_path, parse_body, plain


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
        b'{"a": ' + b"9" * 4301 + b"}",
        b'{"a": -' + b"9" * 4301 + b"}",
    ],
    ids=repr,
)
def test_parse_body_invalid_json_or_no_object_returns_none(raw: bytes | None) -> None:
    assert parse_body(raw) is None


def test_parse_body_number_of_4300_digits_is_parsed() -> None:
    assert parse_body(b'{"a": ' + b"9" * 4300 + b"}") == {"a": 10**4300 - 1}


def test_get_path_returns_value_at_nested_path() -> None:
    document = parse_body(b'{"auth": {"token": "t", "none": null}, "list": [{"token": "x"}]}')
    assert get_path(document, ["auth", "token"]) == "t"
    assert get_path(document, ["auth"]) == {"token": "t", "none": None}
    for path in (["token"], ["auth", "none"], ["auth", "token", "deeper"], ["list", "token"], ["list", "0"]):
        assert get_path(document, path) is None
    assert get_path(None, ["auth"]) is None


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
def test_get_path_duplicate_key_on_path_invalid_request(text: str) -> None:
    document = parse_body(text.encode())
    refusal = refusal_of(lambda: get_path(document, ["auth", "token"]))
    assert (refusal.code, refusal.detail) == (
        "invalid_request",
        "The body may contain the field auth.token only once.",
    )


def test_get_path_duplicate_key_elsewhere_is_ignored() -> None:
    document = parse_body(b'{"x": 1, "x": 2, "auth": {"token": "t"}, "other": {"token": "a", "token": "b"}}')
    assert get_path(document, ["auth", "token"]) == "t"


def test_get_path_many_members_with_duplicate_finds_other_keys() -> None:
    many = ", ".join(f'"m{index}": {index}' for index in range(300))
    assert get_path(parse_body(f'{{{many}, "token": "t"}}'.encode()), ["token"]) == "t"
    repeated = parse_body(f'{{{many}, "m1": 0, "token": "t"}}'.encode())
    assert get_path(repeated, ["token"]) == "t"
    assert refusal_of(lambda: get_path(repeated, ["m1"])).code == "invalid_request"


def test_parse_body_result_equals_json_loads() -> None:
    text = '{"a": [1, 1.5, true, null, {"b": "\\u00fc"}], "c": {}}'
    document = parse_body(text.encode())
    assert plain(document) == json.loads(text)
    assert plain(get_path(document, ["a"])) == json.loads(text)["a"]


def test_get_path_many_objects_builds_only_those_on_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S9: an object that is not on the path costs nothing beyond the parser."""
    made: list[int] = []
    opened = JSONObject.__init__

    def counted(self: JSONObject, pairs: Any) -> None:
        made.append(len(pairs))
        opened(self, pairs)

    monkeypatch.setattr(JSONObject, "__init__", counted)
    objects = b",".join([b'{"a":{},"a":{}}'] * 4000)
    document = parse_body(b'{"list":[' + objects + b'],"auth":{"token":"t"},"x":{"token":"u"}}')
    assert get_path(document, ["auth", "token"]) == "t"
    assert get_path(document, ["list", "token"]) is None
    assert get_path(document, ["auth", "token"]) == "t"
    assert made == [3, 1]


@pytest.mark.parametrize(("repeated", "refused"), [(64, False), (65, True)])
def test_get_path_object_with_over_64_duplicates_invalid_request(repeated: int, refused: bool) -> None:
    """S9: determining the duplicate names costs as much as parsing, so their number is limited."""
    document = parse_body(b'{"token":"t",' + b",".join([b'"a":0'] * (repeated + 1)) + b"}")
    assert get_path(document, ["absent"]) is None
    if refused:
        assert refusal_of(lambda: get_path(document, ["token"])).code == "invalid_request"
    else:
        assert get_path(document, ["token"]) == "t"


def test_get_path_many_lookups_count_keys_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def count(names: list[str]) -> Counter[str]:
        counted.append(len(names))
        return Counter(names)

    monkeypatch.setattr(wicket.messages.json_body, "Counter", count)
    members = ", ".join(f'"m{index}": {index}' for index in range(1000))
    assert get_path(parse_body(f"{{{members}}}".encode()), ["m1"]) == 1
    assert counted == [], "no name is repeated"
    document = parse_body(f'{{{members}, "m0": 0}}'.encode())
    for index in range(1, 1000):
        assert get_path(document, [f"m{index}"]) == index
    assert refusal_of(lambda: get_path(document, ["m0"])).code == "invalid_request"
    assert counted == [1001]
