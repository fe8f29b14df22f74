"""`docs/attacks.md` and the tests of this folder say the same."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "attacks.md").read_text("utf-8")
NAMED = re.compile(r"`(test_[a-z0-9_]+)`")


def sections() -> Iterator[tuple[str, list[str]]]:
    """The rows of each table, with the heading above it and without the table's own."""
    for part in PAGE.split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        rows = [line for line in text.splitlines() if line.startswith(("| ", "|-"))]
        yield heading, rows[2:]


def written() -> list[str]:
    """The tests of this folder."""
    found: list[str] = []
    for path in sorted(HERE.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        found += [
            each.name for each in tree.body if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
        ]
    return found


def rows() -> list[tuple[str, str]]:
    """Every row, with its heading."""
    return [(heading, row) for heading, held in sections() for row in held]


def test_attacks_page_test_names_match_modules() -> None:
    named = Counter(name for _, row in rows() for name in NAMED.findall(row))
    assert set(written()) - set(named) == set(), "these are in no table"
    assert set(named) - set(written()) == set(), "these do not exist"
    assert [name for name, count in named.items() if count > 1] == []
    assert [name for name, count in Counter(written()).items() if count > 1] == []
    assert len(named) > 130


@pytest.mark.parametrize("name", [name for name in written() if re.match(r"test_(cve|ghsa|go|rfc)_?\d*", name)])
def test_attacks_page_test_reference_in_matching_row(name: str) -> None:
    (row,) = [row for _, row in rows() if f"`{name}`" in row]
    section = re.match(r"test_rfc(8725bis|\d+)_((?:\d+_)+)", name)
    if section is not None:
        document = "draft" if section[1] == "8725bis" else f"RFC {section[1]}"
        wanted = f"{document} {section[2].rstrip('_').replace('_', '.')}"
    else:
        incident = re.match(r"test_(cve_\d+_\d+|go_\d+_\d+|ghsa_\w{4}_\w{4}_\w{4})_", name)
        assert incident is not None
        wanted = incident[1].replace("_", "-")
    assert wanted.lower() in row.lower()


def test_attacks_page_row_without_test_has_reason() -> None:
    for heading, row in rows():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if heading == "What does not apply":
            assert not NAMED.search(row)
            assert len(cells[-1]) > 10, row
        else:
            assert len(NAMED.findall(row)) == 1, row
    assert "What does not apply" in {heading for heading, _ in rows()}
