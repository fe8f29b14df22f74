"""`docs/interoperability.md` and the tests of its rows say the same."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "interoperability.md").read_text("utf-8")
ROW = re.compile(r"\| (?:(P\d+)(?:, P\d+)*: )?.* \| `(test_\w+)` \|")


def rows() -> list[tuple[str | None, str]]:
    """The row's name and the test of each line of a table."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and "`test_" in line]
    matches = [(line, ROW.fullmatch(line)) for line in lines]
    assert [line for line, match in matches if match is None] == []
    return [(match[1], match[2]) for _, match in matches if match is not None]


def written() -> Iterator[str]:
    """The names of the tests that are named after a row."""
    for path in TESTS.rglob("test_*.py"):
        if "node_modules" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and re.match(r"test_p\d+_", node.name):
                    yield node.name


def test_interoperability_page_test_names_match_modules() -> None:
    named = Counter(test for row, test in rows() if row is not None)
    found = Counter(written())
    assert found.keys() - named.keys() == set(), "these are in no table"
    assert named.keys() - found.keys() == set(), "these do not exist"
    assert {*named.values(), *found.values()} == {1}
    for row, test in rows():
        assert row is None or test.startswith(f"test_{row.lower()}_"), test
