"""`bare_token` removes the characters around a token."""

from __future__ import annotations

import pytest

from tests.support.unit import token
from wicket.diagnostics.keys import bare_token

GOOD = token()


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (GOOD, []),
        (f"{GOOD}\r\n", ["token_whitespace"]),
        (f"\ufeff{GOOD}", ["token_whitespace"]),
        (GOOD[:40] + "\u200b" + GOOD[40:], ["token_whitespace"]),
        (f"bearer  {GOOD}", ["token_prefix"]),
        (f"'{GOOD}'", ["token_quotes"]),
        (f'Bearer "{GOOD}"', ["token_prefix", "token_quotes"]),
        (f'"{GOOD[:30]}\n{GOOD[30:]}"', ["token_quotes", "token_whitespace"]),
    ],
)
def test_bare_token_surrounding_text_is_removed_and_reported(text: str, mistakes: list[str]) -> None:
    bare, found = bare_token(text)
    assert bare == GOOD
    assert [each.code for each in found] == mistakes


@pytest.mark.parametrize("text", ["", " ", "Bearer ", "[object Promise]", "a b", '""', "'"])
def test_bare_token_without_token_is_unchanged(text: str) -> None:
    assert bare_token(text) == (text, [])
