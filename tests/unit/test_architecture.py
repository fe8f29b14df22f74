"""docs/architecture.md names files that exist, and has the layers that `tests/support/floors.py` has."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.floors import FLOORS, SAME_FLOOR

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "src" / "wicket"
PAGE: Final = (ROOT / "docs" / "architecture.md").read_text("utf-8")
QUESTIONS: Final = {
    "Where is a preflight answered": "decision/cors.py",
    "Where does an unknown `kid` cause a fetch": "decision/remote_keys.py",
    "Where is an origin matched": "config/origins.py",
    "Where would a new token location": "config/locations.py",
    "Where is the status of a refusal decided": "errors.py",
    "Where is a body read and replayed": "http/bodies.py",
    "Where does a socket end": "http/monitor.py",
    "Where is a secret of a TOML file read": "registry/toml.py",
    "Where is a duplicate JSON member of a token refused": "decision/token_parser.py",
    "Where is a duplicate JSON member of a body refused": "messages/json_body.py",
}
TERMS: Final = (
    *("fast path", "extract", "key selection", "negative cache", "stale-if-error"),
    *("token bucket", "redact", "invalidate", "evict", "request context"),
)
STEPS: Final = {
    "app reference → app": "resolve_app",
    "origin": "allows_origin",
    "token": "extract_token",
    "parse": "parse_token",
    "select keys": "select_keys",
    "signature": "verify_signature",
    "claims": "check_claims",
    "revoked": "is_revoked",
}
"""The steps of the picture, and the function of each."""


def layers() -> list[set[str]]:
    """The layers of the page, from the lowest."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    return [set(re.findall(r"`(\w+)`", names)) for _, names in rows]


def test_architecture_layers_equal_import_layers() -> None:
    by_floor: dict[int, set[str]] = {}
    for name, floor in FLOORS.items():
        by_floor.setdefault(floor, set()).add(name)
    assert layers() == [by_floor[floor] for floor in sorted(by_floor)]


def test_architecture_names_imports_within_a_layer() -> None:
    (sentence,) = re.findall(r"Three exceptions within a layer: (.+?)\. ", PAGE, re.DOTALL)
    pairs: set[tuple[str, str]] = set()
    for part in sentence.split(", and "):
        importing, imported = part.split(" import", 1)
        pairs |= {
            (first, second)
            for first in re.findall(r"`(\w+)`", importing)
            for second in re.findall(r"`(\w+)`", imported)
        }
    assert pairs == SAME_FLOOR


def test_architecture_layers_contain_every_package_and_module() -> None:
    names = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {name for layer in layers() for name in layer} == names


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:src|tests|docs)/(?!wicket/throttle)[\w./-]+)`", PAGE))))
def test_architecture_file_exists(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("question", QUESTIONS)
def test_architecture_question_names_first_file(question: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and question in line]
    assert re.findall(r"`src/wicket/([\w./-]+)`", row)[0] == QUESTIONS[question]


@pytest.mark.parametrize("term", TERMS)
def test_architecture_term_has_row_with_file(term: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and term in line.lower()]
    assert any("`src/wicket/" in row for row in rows)


def test_architecture_public_names_exist() -> None:
    section = PAGE.partition("## What is public")[2].partition("\n## ")[0]
    for modules, names in re.findall(r"^\| ((?:`wicket[\w.]*`(?:, )?)+) \| (.+) \|$", section, re.MULTILINE):
        for module in re.findall(r"`(wicket[\w.]*)`", modules):
            imported = importlib.import_module(module)
            for name in re.findall(r"`([A-Za-z]\w*)`(?! in `)", names):
                assert hasattr(imported, name), f"{module}.{name}"


def test_architecture_picture_names_exist_in_source() -> None:
    (picture,) = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    source = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    for name in re.findall(r"\b(?:[A-Z][a-z]+){2,}\b|\bGate\b|\bDecision\b|\bReporter\b", picture):
        assert re.search(rf"^class {name}\b", source, re.MULTILINE), name
    steps = re.findall(r"\d (\w[\w →]*?\w)(?=  |$)", picture, re.MULTILINE)
    assert steps == list(STEPS)
    for function in STEPS.values():
        assert re.search(rf"^ *def {function}\(", source, re.MULTILINE), function


def test_architecture_has_row_for_redis_store_for_throttling() -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and "Redis" in line]
    assert "`src/wicket/throttle/`" in row
