"""Canonical JSON: the strings that `@tufjs/canonical-json` makes of the same documents."""

from __future__ import annotations

import json

import pytest

from wicket.messages.canonical_json import canonical_json
from wicket.messages.json_body import parse_body


@pytest.mark.parametrize(
    ("document", "canonical"),
    [
        ('{"tenant":"acme","app":"dashboard"}', '{"app":"dashboard","tenant":"acme"}'),
        (
            '{"b":1,"a":{"d":[1,"x",null,true,false],"c":{}}}',
            '{"a":{"c":{},"d":[1,"x",null,true,false]},"b":1}',
        ),
        (r'{"q":"a\"b\\c\n\u00e9\/"}', '{"q":"a\\"b\\\\c\n\u00e9/"}'),
        (r'{"\uff5e":1,"\ud83d\ude00":2,"z":3}', '{"z":3,"\U0001f600":2,"\uff5e":1}'),
        ('{"n":1.0,"m":-0,"big":9007199254740991,"e":1e3}', '{"big":9007199254740991,"e":1000,"m":0,"n":1}'),
        ("{}", "{}"),
    ],
)
def test_canonical_json_equals_other_library(document: str, canonical: str) -> None:
    assert canonical_json(parse_body(document.encode())) == canonical


@pytest.mark.parametrize(
    "document",
    [
        '{"a":1.5}',
        '{"a":9007199254740992}',
        '{"a":1e400}',
        '{"a":NaN}',
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":1}}',
        '{"a":[{"b":1,"b":1}]}',
        r'{"a":"\ud800"}',
        r'{"\udfff":1}',
        json.dumps({"a": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}),
    ],
)
def test_canonical_json_without_one_form_none(document: str) -> None:
    assert canonical_json(parse_body(document.encode())) is None
