"""Tokens are parsed strictly: one encoding, strict JSON, and `Refused` for everything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.unit import claims, refusal_of, segment, token
from wicket import Refused
from wicket.decision import token_parser as tokens
from wicket.decision.token_parser import JOSEHeader, UnverifiedToken, decode, parse_json_object, parse_token_or_raise
from wicket.runtime import base64url

MAX = 16_384


def reason(text: str, max_bytes: int = MAX) -> str | None:
    return refusal_of(lambda: parse_token_or_raise(text, max_bytes)).reason


def with_header(header: object) -> str:
    return f"{segment(header)}.{segment({})}.AA"


def test_parse_token_well_formed_token_returns_parts() -> None:
    text = token(claims(), kid="k1")
    read = parse_token_or_raise(text, MAX)
    assert isinstance(read, UnverifiedToken)
    assert read.header == JOSEHeader("HS256", "k1", "JWT")
    assert read.text == text
    assert read.signing_input == text.rsplit(".", 1)[0].encode()
    assert f"{read.signing_input.decode()}.{read.signature}" == text
    assert text.split(".")[1] == read.payload


def test_parse_token_header_with_only_alg_kid_and_typ_none() -> None:
    assert parse_token_or_raise(with_header({"alg": "HS256"}), MAX).header == JOSEHeader("HS256", None, None)


def test_parse_token_empty_signature_parsed() -> None:
    text = with_header({"alg": "none"}).removesuffix("AA")
    assert parse_token_or_raise(text, MAX).signature == ""
    assert parse_token_or_raise(text, MAX).signing_input == text.removesuffix(".").encode()


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "x5t", "iss"])
def test_parse_token_other_header_members_ignored(name: str) -> None:
    assert (
        parse_token_or_raise(with_header({"alg": "HS256", name: "https://evil.example"}), MAX).header.algorithm
        == "HS256"
    )


def test_parse_token_header_too_long_for_cache_parsed() -> None:
    assert parse_token_or_raise(with_header({"alg": "HS256", "kid": "k" * 600}), MAX).header.kid == "k" * 600


def test_parse_token_over_max_bytes_too_large() -> None:
    text = token()
    assert parse_token_or_raise(text, len(text)).text == text
    assert reason(text, len(text) - 1) == "too_large"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a..c",
        ".b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        "not a token",
        "e30.e30.AA\n",
        " e30.e30.AA",
        "e30=.e30.AA",
        "e30.e30.A+",
        "e30.e30.A/",
        "é.é.é",
        "\ud800.a.b",
        "e30.e30.\x00",
    ],
)
def test_parse_token_not_three_base64url_parts_malformed(text: str) -> None:
    assert reason(text) == "malformed"


@pytest.mark.parametrize("header", ["A", "e31", "e3"])
def test_parse_token_non_canonical_header_malformed(header: str) -> None:
    assert reason(f"{header}.e30.AA") == "malformed"


@pytest.mark.parametrize("name", ["crit", "b64", "zip", "cty", "enc"])
@pytest.mark.parametrize("value", [None, True, ["exp"], "DEF"])
def test_parse_token_unsupported_header_member_malformed(name: str, value: object) -> None:
    refusal = refusal_of(lambda: parse_token_or_raise(with_header({"alg": "HS256", name: value}), MAX))
    assert refusal.reason == "malformed"
    assert name in refusal.detail


@pytest.mark.parametrize("header", [{}, {"alg": None}, {"alg": ["HS256"]}, {"alg": 5}, {"alg": {}}, {"Alg": "HS256"}])
def test_parse_token_missing_or_non_string_alg_algorithm_not_allowed(header: object) -> None:
    assert reason(with_header(header)) == "algorithm_not_allowed"


@pytest.mark.parametrize("name", ["kid", "typ"])
@pytest.mark.parametrize("value", [None, 5, [], {}, True])
def test_parse_token_non_string_kid_or_typ_malformed(name: str, value: object) -> None:
    refusal = refusal_of(lambda: parse_token_or_raise(with_header({"alg": "HS256", name: value}), MAX))
    assert (refusal.reason, refusal.detail) == ("malformed", f"The token's {name} is not a string.")


def test_parse_token_refused_header_twice_malformed() -> None:
    text = with_header({"alg": "HS256", "crit": []})
    assert reason(text) == reason(text) == "malformed"


@pytest.mark.parametrize("text", ["A", "eyJ=", "e\n", "é", "AB"])
def test_decode_non_canonical_segment_malformed(text: str) -> None:
    assert refusal_of(lambda: decode(text)).reason == "malformed"


# --- JSON


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": 1, "b": [1.5, -2, True, None, "é", {"c": "\U0001f600"}]},
        {"a": "[[[{{{" * 50},
        {"a": '"\\' * 50 + "[" * 50},
        {"a": 1e308, "b": -0.0},
        {"iss": "https://id.example/", "sub": "user-1", "aud": "https://api.example:8443"},
    ],
)
@pytest.mark.parametrize("ascii", [True, False])
def test_parse_json_object_valid_object_equals_json_loads(value: dict[str, Any], ascii: bool) -> None:
    assert parse_json_object(json.dumps(value, ensure_ascii=ascii).encode()) == value


def test_parse_json_object_whitespace_allowed() -> None:
    assert parse_json_object(b' {\n"a" :\t1 } ') == {"a": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{}{}",
        b"{} x",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 01}',
        b'{"a": \xff}',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e309}',
        b'{"a": -1e309}',
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": [{"b": 1, "b": 2}]}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"a": "\\udc00\\ud800"}',
        b'{"a": "\n"}',
        b'{"a": "\x00"}',
        b"[" * 5000,
        b'{"a":' * 5000,
        b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
    ],
)
def test_parse_json_object_not_strict_json_malformed(raw: bytes) -> None:
    assert refusal_of(lambda: parse_json_object(raw)).reason == "malformed"


NAMES = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"a:"', '"a://"', '"a,b"', '""', '"\\""', '"{"'])
VALUES = st.recursive(
    st.sampled_from(
        [
            '"x"',
            '":"',
            '"https://x"',
            '"://://"',
            '","',
            "1",
            "true",
            "null",
            "1.5",
            "NaN",
            "1e999",
            '"\\ud800"',
            "",
            "{}",
            "[]",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda held: f"[{','.join(held)}]"),
        st.lists(st.builds("{}:{}".format, NAMES, inner), max_size=3).map(lambda held: f"{{{','.join(held)}}}"),
    ),
    max_leaves=5,
)
OBJECTS = st.lists(st.builds("{}{}:{}".format, NAMES, st.sampled_from(["", " ", "\n"]), VALUES), max_size=4).map(
    ",".join
)


def as_the_standard_library_reads(text: str) -> dict[str, Any] | None:
    """A reference parser that checks the pairs of every object."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    def never(name: str) -> Any:
        raise ValueError(name)

    with contextlib.suppress(ValueError):
        value = json.loads(text, object_pairs_hook=once, parse_constant=never)
        spelled = json.dumps(value, ensure_ascii=False, allow_nan=False)
        spelled.encode()
        return value if isinstance(value, dict) else None
    return None


@given(st.builds("{}{{{}}}{}".format, st.sampled_from(["", " "]), OBJECTS, st.sampled_from(["", "\t", "}"])))
@example('{"a":1,"a" :2}')
@example('{"a":":","b":1,"b":2}')
@example('{"a":"x,y","a":1}')
@example('{"a":"https://x","a":1}')
@example('{"a":"https://x","a":"https://x"}')
@example('{"a":"://://","a":1,"b":{"c":1,"c":2}}')
@example('{"a":"https://x","b":{"c":1,"c":2}}')
@example('{"a"://1}')
def test_parse_json_object_generated_text_matches_reference_parser(text: str) -> None:
    expected = as_the_standard_library_reads(text)
    if expected is None:
        assert refusal_of(lambda: parse_json_object(text.encode())).reason == "malformed"
    else:
        assert parse_json_object(text.encode()) == expected


def test_parse_json_object_surrogate_pair_decoded() -> None:
    assert parse_json_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("raw", [b"[]", b"5", b'"text"', b"null", b"true", b"1.5"])
def test_parse_json_object_non_object_malformed(raw: bytes) -> None:
    refusal = refusal_of(lambda: parse_json_object(raw))
    assert (refusal.reason, refusal.detail) == ("malformed", "The token's parts are not JSON objects.")


def test_parse_json_object_depth_over_32_malformed() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)

    assert parse_json_object(nested(32))
    assert refusal_of(lambda: parse_json_object(nested(33))).reason == "malformed"


def test_parse_json_object_many_sibling_lists_allowed() -> None:
    value = {"a": [[1], {"b": []}] * 100}
    assert parse_json_object(json.dumps(value).encode()) == value


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "raw",
    [
        b"[]" * 33 + b'"' + b'\\"' * 60_000,
        b"[]" * 33 + b'"' * 60_001,
        b"[]" * 33 + b'"' + b"\\" * 120_000,
        b'{"a":"' + b"[" * 120_000,
    ],
    ids=["escaped quotes", "quotes", "backslashes", "open text"],
)
def test_parse_json_object_hostile_text_malformed_in_linear_time(raw: bytes) -> None:
    assert refusal_of(lambda: parse_json_object(raw)).reason == "malformed"


def test_parse_token_refusal_contains_no_token_text() -> None:
    for text in ("SECRETTOKEN", with_header({"alg": ["SECRETTOKEN"]}), with_header('{"SECRETTOKEN": NaN}')):
        refusal = refusal_of(lambda text=text: parse_token_or_raise(text, MAX))  # type: ignore[misc]
        assert "SECRETTOKEN" not in repr(refusal)


def test_header_cache_many_headers_size_bounded() -> None:
    for number in range(1_100):
        good, bad = (base64url.encode(f'{{"alg": "HS256", "kid": "k{number}"{end}'.encode()) for end in ("}", ""))
        for _ in range(2):
            assert parse_token_or_raise(f"{good}.e30.AA", 4_096).header.kid == f"k{number}"
            assert refusal_of(lambda bad=bad: parse_token_or_raise(f"{bad}.e30.AA", 4_096)).reason == "malformed"  # type: ignore[misc]
        assert good.encode().translate(base64url.TO_STANDARD) in tokens._HEADER_CACHE
        assert bad.encode() not in tokens._HEADER_CACHE
    assert len(tokens._HEADER_CACHE) <= 1_024


FLAT = [
    *('{"alg":"HS256"}', ' {\t"alg"\n:\r"HS256" } ', '{"alg":"HS256","a":""}', '{"alg":"HS256","":true , "b":null}'),
    *('{"alg":"HS256","\\u0041\\n":"\\"\\\\"}', '{"alg":"HS256","é":"ö","n":-0.5e+3}', '{"alg":"HS256","n":0}'),
    *(
        '{"alg":"HS256","a":{}}',
        '{"alg":"HS256","a":[]}',
        '{"a":[1,{"b":[]}],"alg":"HS256"}',
        '{"alg":"HS256","a":"{["}',
    ),
]


@pytest.mark.parametrize("text", FLAT)
def test_parse_token_header_any_json_object_parsed(text: str) -> None:
    assert parse_token_or_raise(f"{base64url.encode(text.encode())}.e30.AA", 4_096).header.algorithm == "HS256"


@pytest.mark.parametrize("text", FLAT)
def test_parse_token_mutated_header_matches_json_parser(text: str) -> None:
    """The shortcuts of the parser return the same result as the parser of the standard library."""
    for index in range(len(text)):
        for changed in (text[:index] + text[index + 1 :], text[:index] + "," + text[index:], text[:index]):
            said = refused_as(changed)
            try:
                pairs = json.loads(changed, object_pairs_hook=list)
            except ValueError:
                assert said == "malformed", changed
            else:
                twice = len(dict(pairs)) != len(pairs)
                assert (said == "HS256") is (("alg", "HS256") in pairs and not twice), changed


def refused_as(header: str) -> str | None:
    """Return the algorithm of a token with this header, or the reason of its refusal."""
    try:
        return parse_token_or_raise(f"{base64url.encode(header.encode())}.e30.AA", 4_096).header.algorithm
    except Refused as refused:
        return refused.refusal.reason
