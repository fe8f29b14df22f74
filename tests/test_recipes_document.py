"""docs/recipes.md has the code of examples/recipes.py, and documented and assumed notes about each vendor."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

import wicket

ROOT: Final = Path(__file__).resolve().parents[1]
EXAMPLE: Final = (ROOT / "examples" / "recipes.py").read_text("utf-8")
DOCUMENT: Final = (ROOT / "docs" / "recipes.md").read_text("utf-8")


def sections(text: str, heading: str) -> dict[str, str]:
    """The content of each heading, up to the next one."""
    parts = re.split(rf"^{heading} (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


SHOWN: Final = sections(DOCUMENT, "##")
RUN: Final = sections(EXAMPLE, "# ---")


def test_recipes_document_vendors_match_example() -> None:
    assert list(SHOWN) == [name for name in RUN if name != "a request of each vendor"]
    assert len(SHOWN) == 8


@pytest.mark.parametrize("vendor", SHOWN)
def test_recipes_document_code_matches_example(vendor: str) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", SHOWN[vendor], re.DOTALL)
    assert block.strip() == RUN[vendor].strip()


@pytest.mark.parametrize("vendor", SHOWN)
def test_recipes_document_vendor_has_documented_and_assumed_notes(vendor: str) -> None:
    prose = SHOWN[vendor].rpartition("```")[2]
    assert re.fullmatch(r"\n\ndocumented: .+\n\nassumed: .+\n*", prose, re.DOTALL)


def test_recipes_document_imports_match_used_names() -> None:
    head = DOCUMENT.partition("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", head, re.DOTALL)
    namespace: dict[str, object] = {}
    exec(compile(block, "recipes.md", "exec"), namespace)
    code = "".join(RUN[vendor] for vendor in SHOWN)
    imported = {name for name in namespace if not name.startswith("__")}
    assert imported == {name for name in re.findall(r"\b[A-Z][A-Za-z]+(?=[.(])", code) if hasattr(wicket, name)}
