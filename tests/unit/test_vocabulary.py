"""Retired names do not return: identifiers of `src/`, and invented nouns in its docstrings and comments and in `*.md`.

The lists are short on purpose. They hold only words that have a better name in Wicket and no good use beside it, so
that no exceptions are needed.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.floors import FILES, SOURCE

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_WORDS = "house houses road roads pave paved straight lasting roster skew door doors veil"
RETIRED_WORDS = frozenset(_WORDS.split())
"""Words that no identifier contains, alone or as a part: `House`, `leave_house`, `MOST_ROADS`."""

_NAMES = """
    Alone Asked BodyField BudgetSpent Decided Ending Flight Generation HeldBody Holders NamingPlace OwnFetcher
    Permissions Progress PublicKeyBearer ReceivedBody SignatureMemory Slot SourceRef StreamBody TokenPlace TooMuch
    Turn Unusable aadmit absent_lifetime also_in_body answer_preflight answer_refusal answer_refused answer_to
    app_at_hand arevisit
    asked_for at_once backoff_first backoff_last check_names_in_body choose_keys crowded decode_proven fetch_connect
    fetch_total hash_member hash_of holders holds_until id_member integer_user_id is_public_text key_id
    key_id_required key_set_longest key_set_shortest log_fault look_at max_absent may_fetch name_app new_ref on_spent
    origin_question outdate places_of proven_by read_document recall refused_handler remembered_tokens revisit
    revoked_by said_by same_secret text_attributes token_sent unknown_kid_every unknown_kid_first
    unknown_kid_remembered urge verify_at_once way with_unsigned
"""
RETIRED_NAMES = frozenset(_NAMES.split())
"""Identifiers that are not used, with or without leading underscores."""

RETIRED_PROSE = re.compile(
    r"\b(?:"
    r"house|houses|road|roads|paved?|paves|door|doors|lasting|roster|"
    r"(?:whose|its|their|a|the) turn|take turns|takes turns|"
    r"rides|stands(?! for)|whom|nobody|somebody|anybody|anew|shall|"
    r"of ours|of its own|by hand|at hand|as nearly always|as it is now|is told|is said"
    r")\b",
    re.IGNORECASE,
)
"""Words that docstrings, comments and pages do not use."""


def words_of(name: str) -> set[str]:
    """The words of an identifier in snake case or camel case, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def is_retired(name: str) -> bool:
    """Whether an identifier is on one of the two lists."""
    return name.lstrip("_") in RETIRED_NAMES or not words_of(name).isdisjoint(RETIRED_WORDS)


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    """The names in a module and the lines they are on."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def prose(source: str) -> Iterator[tuple[int, str]]:
    """The comments, and the strings that are statements, such as docstrings, with their first lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def retired_identifiers(source: str) -> list[str]:
    """`line: name` for each retired identifier in a module."""
    return [f"{line}: {name}" for line, name in identifiers(source) if is_retired(name)]


def retired_prose(blocks: Iterator[tuple[int, str]]) -> list[str]:
    """`line: word` for each retired word in blocks of text that start on the given lines."""
    return [
        f"{line + text.count(chr(10), 0, match.start())}: {match[0]}"
        for line, text in blocks
        for match in RETIRED_PROSE.finditer(text)
    ]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_vocabulary_module_uses_no_retired_identifier(path: Path) -> None:
    assert retired_identifiers((SOURCE / path).read_text("utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=str)
def test_vocabulary_module_prose_uses_no_retired_word(path: Path) -> None:
    assert retired_prose(prose((SOURCE / path).read_text("utf-8"))) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_vocabulary_page_uses_no_retired_word(path: Path) -> None:
    assert retired_prose(iter([(1, path.read_text("utf-8"))])) == []


# --- the test can fail

PLANTED = '''
"""The house of a request.

It goes by another road."""
way = 1  # nobody reads it
class House_:
    """Fine."""
    MOST_ROADS = "a door"
    def _revisit(self): return f"{self}"
'''


def test_vocabulary_planted_names_and_words_found() -> None:
    assert retired_identifiers(PLANTED) == ["5: way", "6: House_", "8: MOST_ROADS", "9: _revisit"]
    assert sorted(retired_prose(prose(PLANTED))) == ["2: house", "4: road", "5: nobody"]


@pytest.mark.parametrize("name", ["always", "wayfinder", "doorway", "broadcast", "returns", "Entry", "straighten"])
def test_vocabulary_names_that_only_contain_a_retired_word_allowed(name: str) -> None:
    assert not is_retired(name)


@pytest.mark.parametrize(
    "sentence", ["JWT stands for JSON Web Token.", "in turn", "It turns a list into a set.", "a backdoor", "the ride"]
)
def test_vocabulary_good_english_allowed(sentence: str) -> None:
    assert retired_prose(iter([(1, sentence)])) == []
