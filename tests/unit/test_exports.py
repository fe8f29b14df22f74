"""The public names: importable, sorted, documented, and cheap to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import wicket
import wicket.diagnostics
import wicket.testing

FOREIGN = [
    "starlette",
    "flask",
    "httpx",
    "click",
    "rich",
    "sqlalchemy",
    "werkzeug",
    "django",
    "fastapi",
    "redis",
    "pytest",
]


def own_members(owner: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class defines and does not inherit."""
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(member, (classmethod, staticmethod)):
            yield name, member.__func__
        elif isinstance(member, property):
            yield name, member.fget
        elif inspect.isfunction(member):
            yield name, member


def test_exports_all_is_sorted_and_unique() -> None:
    names = set(wicket.__all__)
    assert wicket.__all__ == sorted(names, key=lambda name: (not name.isupper(), name)), "as ruff sorts: CORS first"


def test_exports_diagnostics_and_testing_are_separate() -> None:
    assert wicket.diagnostics.__all__ == ["Diagnosis", "Finding", "Step", "diagnose", "diagnose_url"]
    assert wicket.testing.__all__ == ["FakeClock", "as_user", "inject_identity", "make_identity", "unguarded"]
    assert all(inspect.getdoc(getattr(wicket.diagnostics, name)) for name in wicket.diagnostics.__all__)


@pytest.mark.parametrize("name", wicket.__all__)
def test_exports_every_public_name_has_docstring(name: str) -> None:
    public = getattr(wicket, name)
    docstring = inspect.getdoc(public) or ""
    assert len(docstring) > 20, f"{name} has no docstring"
    assert not docstring.startswith(f"{name}("), f"dataclass generated the docstring of {name}"


@pytest.mark.parametrize("name", [name for name in wicket.__all__ if inspect.isclass(getattr(wicket, name))])
def test_exports_every_public_method_has_docstring(name: str) -> None:
    undocumented = [member for member, function in own_members(getattr(wicket, name)) if not function.__doc__]
    assert undocumented == []


def test_exports_version_has_three_parts() -> None:
    assert wicket.__version__.count(".") == 2


def test_exports_public_names_equal_all() -> None:
    for name in wicket.__all__:
        getattr(wicket, name)
    members = vars(wicket).items()
    public = {name for name, value in members if not name.startswith("_") and not inspect.ismodule(value)}
    assert public - {"TYPE_CHECKING", "Any", "import_module"} == set(wicket.__all__) - {"profiles"}
    with pytest.raises(AttributeError, match="absent"):
        _ = wicket.absent  # type: ignore[attr-defined]  # the test of a wrong name


def test_exports_import_loads_no_framework_client_or_tool() -> None:
    program = f"import wicket, sys; print(*[name for name in {FOREIGN!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=True)
    assert found.stdout.split() == []


def test_exports_package_contains_py_typed() -> None:
    from importlib import resources

    assert resources.files(wicket).joinpath("py.typed").is_file()
