"""Imports run downwards only: the floors of `tests.support.floors`, checked in the syntax tree of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.floors import (
    FILES,
    FLOORS,
    SAME_FLOOR,
    SOURCE,
    imports_of,
    may_import,
    module_name,
    room_of,
    wicket_imports,
)

PACKAGES = sorted({path.parts[0] for path in FILES if len(path.parts) > 1})

FIRST_OF_DECISION = {"attributes", "claim_values", "io", "token_parser"}
"""Modules of the decision that import no other one."""
LAST_OF_DECISION = {"flow", "fast_path", "revalidation"}
"""Modules of the decision that no other one imports."""

IO_MODULES = {"socket", "asyncio", "http", "urllib.request", "threading", "select", "ssl", "httpx", "requests"}
EXCEPTIONS = {
    "decision/io.py": {"asyncio", "threading"},  # the drivers, which fulfil what the flow yields
    "decision/per_app_cache.py": {"threading"},  # a lock
    "decision/refusals.py": {"http"},  # the reason phrases of the statuses
    "keys/kid_limiter.py": {"threading"},  # a lock
    "keys/waiters.py": {"threading"},  # a lock
    "config/network.py": {"ssl"},  # the TLS settings that the operator passes on
}
"""The modules of the core that may import some of `IO_MODULES`, with the reason."""


def inside(package: str) -> dict[str, set[str]]:
    """Each module of a package, and the modules of the same package that it imports."""
    return {
        module_name(path): {
            module for module in wicket_imports(path) if room_of(module) == package and module != module_name(path)
        }
        for path in FILES
        if path.parts[0] == package
    }


def test_imports_every_room_has_a_floor() -> None:
    rooms = {room_of(module_name(path)) for path in FILES}
    assert rooms - FLOORS.keys() == set(), "add it to tests/support/floors.py"


def test_imports_same_floor_pairs_are_on_one_floor() -> None:
    known = {pair for pair in SAME_FLOOR if FLOORS[pair[0]] == FLOORS[pair[1]]}
    assert known == SAME_FLOOR
    assert not any((imported, importing) in SAME_FLOOR for importing, imported in SAME_FLOOR)


@pytest.mark.parametrize("path", [path for path in FILES if path != Path("__init__.py")], ids=str)
def test_imports_module_imports_only_lower_layers(path: Path) -> None:
    here = room_of(module_name(path))
    assert here is not None
    assert {module for module in wicket_imports(path) if not may_import(here, room_of(module) or "")} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_within_package_have_no_cycle(package: str) -> None:
    """`CycleError` names the modules of a cycle."""
    tuple(TopologicalSorter(inside(package)).static_order())


def test_imports_decision_flow_is_last_and_leaves_are_first() -> None:
    modules = {name.rpartition(".")[2]: siblings for name, siblings in inside("decision").items()}
    assert modules.keys() >= FIRST_OF_DECISION | LAST_OF_DECISION
    assert {name: modules[name] for name in FIRST_OF_DECISION if modules[name]} == {}
    imported = {name.rpartition(".")[2] for siblings in modules.values() for name in siblings}
    assert imported & LAST_OF_DECISION == set()


def test_imports_asgi_and_wsgi_never_import_each_other() -> None:
    assert not any(module.startswith("wicket.wsgi") for module in wicket_imports(Path("asgi.py")))
    assert not any(module.startswith("wicket.asgi") for module in wicket_imports(Path("wsgi.py")))


def test_imports_wicket_and_gate_load_no_asyncio_http_client_or_jwt() -> None:
    code = (
        "import sys, wicket; wicket.Gate([wicket.App('a', issuer='i', credentials=[wicket.Jwks('https://a/')])]);"
        "print(sorted({'asyncio', 'httpcore', 'httpx', 'jwt', 'ssl'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["config", "decision", "keys", "messages", "profiles"])
def test_imports_core_uses_no_io_modules(package: str) -> None:
    for path in FILES:
        if path.parts[0] == package:
            used = set(imports_of(ast.parse((SOURCE / path).read_text("utf-8")))) & IO_MODULES
            assert used - EXCEPTIONS.get(path.as_posix(), set()) == set(), path


def test_imports_floor_check_on_known_examples_is_correct() -> None:
    assert may_import("gate", "registry")
    assert may_import("decision", "decision")
    assert may_import("gate", "gate_caches")
    assert not may_import("gate_caches", "gate")
    assert not may_import("wsgi", "asgi")
    assert not may_import("config", "gate")
    assert not may_import("jwks", "decision")
    assert not may_import("contrib", "__init__")
    tree = ast.parse(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import a\nelse:\n import b\ndef f():\n import c"
    )
    assert set(imports_of(tree)) == {"typing", "b", "c"}
    with pytest.raises(ValueError, match="cycle"):
        tuple(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
