"""base64url and JSON are read more strictly than the standard library does, and never otherwise."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties.strategies import ANY_TEXT, JSON
from tests.support.thorough import example_count
from wicket import Refused
from wicket.decision.token_parser import parse_json_object
from wicket.runtime import base64url

quick = settings(max_examples=example_count(300), deadline=None)


@quick
@given(st.binary(max_size=64))
def test_base64url_any_bytes_one_encoding(value: bytes) -> None:
    text = base64url.encode(value)

    assert text == base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    assert base64url.decode(text) == value


@quick
@given(st.text("ABCabcwxyz0189-_", max_size=12) | st.text("AQgw-_=+/. \n", max_size=8) | ANY_TEXT)
@example("")
@example("A")
@example("AB")
@example("AA==")
@example("AA\n")
@example("ＡＡ")
@example("\ud800")
def test_base64url_decode_noncanonical_text_value_error(
    text: str,
) -> None:
    try:
        lenient: bytes | None = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error):
        lenient = None
    canonical = lenient is not None and base64.urlsafe_b64encode(lenient).rstrip(b"=").decode() == text
    if canonical:
        assert base64url.decode(text) == lenient
    else:
        with pytest.raises(ValueError, match="base64url"):
            base64url.decode(text)


def read(raw: bytes) -> dict[str, Any] | None:
    try:
        return parse_json_object(raw)
    except Refused as refused:
        if (refused.refusal.code, refused.refusal.reason) == ("invalid_token", "malformed"):
            return None
        raise


@quick
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_parse_json_object_python_output_same_value(value: dict[str, Any], ascii_only: bool, indent: Any) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    assert read(raw) == value
    assert json.dumps(read(raw)) == json.dumps(json.loads(raw))


PIECES = st.sampled_from(
    ['{', '}', '[', ']', ':', ',', '"', '"a"', '"b"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', "\\", "1", "-0",
     "1.5", "1e400", "-1e400", "1e5", "1" * 400, "NaN", "Infinity", "-Infinity", "true", "null", " ", "\n", "\ufeff",
     "é", "\x00", "//", "'a'", '{"a":1}', '{"a":1,"a":1}', '{"a":{"b":[]}}', "01", "+1", ".5", "[" * 40, '{"a":' * 40]
)  # fmt: skip


@quick
@given(
    st.lists(PIECES, max_size=12).map("".join)
    | st.lists(PIECES, max_size=5).map(lambda parts: '{"a":' + "".join(parts) + "}")
)
@example('{"a":1,"\\u0061":2}')
@example('{"a":"\\ud800"}')
@example('{"\\udfff":1}')
@example('{"a":[1e999]}')
@example('{"a":1}\n')
@example("\ufeff{}")
@example('{"a":"\x1f"}')
def test_parse_json_object_any_text_same_as_json_loads(text: str) -> None:
    raw = text.encode()
    value = read(raw)
    if value is None:
        return
    assert isinstance(value, dict)
    lenient = json.loads(raw)
    assert lenient == value
    assert json.dumps(lenient) == json.dumps(value)
    assert all(math.isfinite(number) for number in numbers_in(value))
    json.dumps(value, ensure_ascii=False).encode()


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, (list, dict)):
        below = value.values() if isinstance(value, dict) else value
        return [number for each in below for number in numbers_in(each)]
    return [float(value)] if isinstance(value, (int, float)) else []


@quick
@given(st.binary(max_size=40))
@example('{"a":1}'.encode("utf-16"))
@example('{"a":1}'.encode("utf-32"))
@example(b'\xef\xbb\xbf{"a":1}')
@example(b'{"a":"\xed\xa0\x80"}')
@example(b'{"a":"\xc0\x80"}')
def test_parse_json_object_any_bytes_object_or_malformed(raw: bytes) -> None:
    value = read(raw)
    if value is not None:
        assert json.loads(raw.decode("utf-8")) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "null", "1", '"a"', "[]", "[{}]", "{", "}", "{}{}", "{},", '{"a":1,"a":2}', '{"a":{"b":1,"b":1}}',
        '{"a":[{"b":1,"b":1}]}', '{"a":1,"\\u0061":1}', '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":1e400}',
        '{"a":-1e400}', '{"a":' + "9" * 400 + "}", '{"a":"\\ud800"}', '{"a":"\\udc00\\ud800"}', '{"\\ud800":1}',
        '{"a":["\\udbff"]}', "\ufeff{}", "{a:1}", "{'a':1}", '{"a":1,}', '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}',
        '{"a":0x1}', '{"a":1_0}', '{"a":"\n"}', '{"a":"\\x41"}', '{"a":' + "[" * 33 + "]" * 33 + "}", "/**/{}",
    ],
)  # fmt: skip
def test_parse_json_object_invalid_text_malformed(text: str) -> None:
    assert read(text.encode()) is None


def test_parse_json_object_ordinary_objects_parsed() -> None:
    for value in ({}, {"a": "\U0001f600"}, {"a": {"b": [1, 2.5, None, True]}}, {"a": "[" * 100 + "{" * 100}, {"": ""}):
        assert read(json.dumps(value).encode()) == value
        assert read(json.dumps(value, ensure_ascii=False).encode()) == value
