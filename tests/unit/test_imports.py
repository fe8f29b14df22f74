"""Imports go downwards only: the floors of the house, by the syntax tree of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wicket

SOURCE = Path(wicket.__file__).parent

FLOORS = {
    **dict.fromkeys(
        ("errors", "document", "parameters", "paths", "request", "limits", "base64url", "cache", "entries", "pool"), 0
    ),
    **dict.fromkeys(("keys", "origins", "revocations", "sources"), 1),
    **dict.fromkeys(("identity_hash", "app"), 2),
    **dict.fromkeys(("profiles", "decision", "minting", "jwks"), 3),
    **dict.fromkeys(("events", "registry"), 4),
    **dict.fromkeys(("drivers", "roster"), 5),
    "gate": 6,
    "http": 7,
    **dict.fromkeys(("asgi", "wsgi", "checker"), 8),
    **dict.fromkeys(("contrib", "testing"), 9),
    "__init__": 10,
    "cli": 11,
}

# `wicket` itself brings the public names together: only what stands above all of them may import it whole.

NEIGHBOURS = {
    *(("request", "errors"), ("limits", "errors"), ("document", "errors"), ("parameters", "errors")),
    *(("request", "document"), ("request", "paths"), ("cache", "pool"), ("cache", "entries"), ("app", "identity_hash")),
}
"""The only imports between rooms of one floor: the ground floor stands on errors, a whole on its part."""

DECISION = {
    "token_locations": 0,
    "claims": 0,
    "effects": 0,
    "merging": 0,
    "memory": 1,
    "identity": 2,
    "verifier": 3,
    "verification": 4,
    "remote_keys": 5,
    "choice": 6,
    "hashes": 7,
    "house": 7,
    "finding": 8,
    "flow": 9,
    "straight": 10,
    "revisiting": 10,
}
"""The order within the decision: the leaves, the identity that they make up, the verifier, and the flow above all."""

FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def room(module: str) -> str | None:
    """The room of `wicket.room.…`; None for what is not ours, `__init__` for the package itself."""
    parts = module.split(".")
    if parts[0] != "wicket":
        return None
    return parts[1] if len(parts) > 1 else "__init__"


def names_of(path: Path) -> str:
    return ".".join(("wicket", *path.with_suffix("").parts)).removesuffix(".__init__")


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported while the program runs, inside functions too."""
    for child in ast.iter_child_nodes(tree):
        if is_type_checking(child):
            assert isinstance(child, ast.If)
            yield from imports(ast.Module(child.orelse, []))
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            module = child.module or ""
            for alias in child.names:
                inner = SOURCE.joinpath(*module.split(".")[1:], alias.name)
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                yield f"{module}.{alias.name}" if room(module) is not None and is_module else module
        else:
            yield from imports(child)


def ours(path: Path) -> set[str]:
    tree = ast.parse((SOURCE / path).read_text("utf-8"))
    return {module for module in imports(tree) if room(module) is not None}


def goes_down(importing: str, imported: str) -> bool:
    if importing == imported or (importing, imported) in NEIGHBOURS:
        return True
    return FLOORS[imported] < FLOORS[importing]


def test_imports_every_package_has_a_layer() -> None:
    rooms = {room(names_of(path)) for path in FILES}
    assert rooms <= set(FLOORS), f"on which floor is {rooms - set(FLOORS)}?"


@pytest.mark.parametrize("path", [path for path in FILES if path != Path("__init__.py")], ids=str)
def test_imports_module_imports_only_lower_layers(path: Path) -> None:
    here = room(names_of(path))
    assert here is not None
    upwards = {module for module in ours(path) if not goes_down(here, room(module) or "")}
    assert upwards == set()


def test_imports_asgi_and_wsgi_never_import_each_other() -> None:
    assert not any(module.startswith("wicket.wsgi") for module in ours(Path("asgi.py")))
    assert not any(module.startswith("wicket.asgi") for module in ours(Path("wsgi.py")))


@pytest.mark.parametrize("name", DECISION)
def test_imports_decision_module_imports_only_lower_modules(name: str) -> None:
    siblings = {
        module.split(".")[2] for module in ours(Path(f"decision/{name}.py")) if module.startswith("wicket.decision.")
    }
    assert {each for each in siblings if DECISION[each] > DECISION[name]} == set()


def test_imports_wicket_loads_no_asyncio_httpcore_or_jwt() -> None:
    told = "import sys, wicket; print(sorted({'asyncio', 'httpcore', 'jwt'} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


def test_imports_every_decision_module_is_ordered() -> None:
    assert {path.stem for path in FILES if path.parts[0] == "decision"} - {"__init__"} == set(DECISION)


def test_imports_core_uses_no_io_modules() -> None:
    busy = {"socket", "asyncio", "http", "urllib.request", "threading", "select", "ssl", "httpx", "requests"}
    for path in FILES:
        if path.parts[0] in ("decision", "keys", "app.py", "origins.py", "sources.py", "profiles"):
            tree = ast.parse((SOURCE / path).read_text("utf-8"))
            found = set(imports(tree)) & busy
            assert found <= ({"threading"} if path.name in ("memory.py", "unknown.py", "waiters.py") else set()), path


def test_imports_layer_check_on_known_examples_is_correct() -> None:
    assert goes_down("gate", "registry")
    assert goes_down("decision", "decision")
    assert not goes_down("wsgi", "asgi")
    assert not goes_down("app", "gate")
    assert not goes_down("minting", "decision")
    tree = ast.parse(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import a\nelse:\n import b\ndef f():\n import c"
    )
    assert set(imports(tree)) == {"typing", "b", "c"}
