"""No test module imports from another: shared code is in `tests/support`, or in a plain module beside them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
MODULES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("*.py") if "node_modules" not in path.parts)


def imported(source: str) -> Iterator[str]:
    """The dotted names that a module imports, each with the name that it takes from there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def leads_to_tests(names: Iterator[str]) -> set[str]:
    """Those of the names that lead into a test module of this suite."""
    return {
        name
        for name in names
        if name.startswith("tests.")
        and any(
            part.startswith("test_") and TESTS.joinpath(*name.split(".")[1 : index + 1]).with_suffix(".py").exists()
            for index, part in enumerate(name.split("."))
        )
    }


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_test_module_imports_no_other_test_module(path: Path) -> None:
    assert leads_to_tests(imported((TESTS / path).read_text("utf-8"))) == set()


@pytest.mark.parametrize(
    "line",
    [
        "from tests.test_scenarios import answered",
        "from tests import test_scenarios",
        "import tests.unit.test_test_modules",
        "def f():\n from tests.unit.test_test_modules import imported",
    ],
)
def test_import_of_a_test_module_found(line: str) -> None:
    assert leads_to_tests(imported(line)) != set()


@pytest.mark.parametrize(
    "line", ["from tests.support.unit import claims", "import tests.support.floors", "import test_x"]
)
def test_import_of_a_support_module_allowed(line: str) -> None:
    assert leads_to_tests(imported(line)) == set()
