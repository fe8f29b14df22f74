"""The floors of `src/wicket`: a module imports only from lower floors, and from its own room.

A room is a package or a module directly in `wicket`. Rooms on the same floor do not import each other, except the pairs
in `SAME_FLOOR`. `docs/architecture.md` shows the same floors.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import wicket

SOURCE: Final = Path(wicket.__file__).parent
FILES: Final = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
"""Every module of the source, as a path below `SOURCE`."""

FLOORS: Final = {
    **dict.fromkeys(("errors", "limits", "runtime", "settings"), 1),
    "messages": 2,
    "keys": 3,
    "config": 4,
    "profiles": 5,
    **dict.fromkeys(("decision", "jwks"), 6),
    "reporting": 7,
    "registry": 8,
    **dict.fromkeys(("gate", "gate_caches", "gate_settings", "gate_warm_up", "minting"), 9),
    "http": 10,
    **dict.fromkeys(("asgi", "wsgi", "diagnostics"), 11),
    **dict.fromkeys(("contrib", "testing"), 12),
    "__init__": 13,
    "cli": 14,
}
"""The floor of each room. `__init__` is `import wicket` itself: only the CLI may import the package as a whole."""

SAME_FLOOR: Final = frozenset(
    {
        *(("limits", "errors"), ("runtime", "errors"), ("settings", "errors"), ("limits", "settings")),
        *(("gate", "gate_caches"), ("gate", "gate_settings"), ("gate", "gate_warm_up")),
        *(("gate_caches", "gate_settings"), ("testing", "contrib")),
    }
)
"""The imports within a floor: (importing room, imported room)."""


def module_name(path: Path) -> str:
    """The dotted name of a file below `SOURCE`."""
    return ".".join(("wicket", *path.with_suffix("").parts)).removesuffix(".__init__")


def room_of(module: str) -> str | None:
    """The room of `wicket.room.…`: `__init__` for `wicket`, None for a module of another distribution."""
    parts = module.split(".")
    if parts[0] != "wicket":
        return None
    return parts[1] if len(parts) > 1 else "__init__"


def may_import(importing: str, imported: str) -> bool:
    """Whether a module of the room `importing` may import one of the room `imported`."""
    if importing == imported or (importing, imported) in SAME_FLOOR:
        return True
    return FLOORS[imported] < FLOORS[importing]


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported at run time, also inside functions, but not under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from imports_of(ast.Module(node.orelse, []))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            for alias in node.names:
                yield f"{module}.{alias.name}" if _is_module(module, alias.name) else module
        else:
            yield from imports_of(node)


def wicket_imports(path: Path) -> set[str]:
    """The modules of Wicket that a file imports at run time."""
    tree = ast.parse((SOURCE / path).read_text("utf-8"))
    return {module for module in imports_of(tree) if room_of(module) is not None}


def _is_module(package: str, name: str) -> bool:
    if room_of(package) is None:
        return False
    path = SOURCE.joinpath(*package.split(".")[1:], name)
    return path.with_suffix(".py").exists() or path.is_dir()
