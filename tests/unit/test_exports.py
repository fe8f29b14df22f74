"""The public names: importable, sorted, documented, and cheap to import."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import wicket

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
    """The public methods and properties that a class defines itself."""
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(member, (classmethod, staticmethod)):
            yield name, member.__func__
        elif isinstance(member, property):
            yield name, member.fget
        elif inspect.isfunction(member):
            yield name, member


def test_the_names_are_sorted_and_there_once() -> None:
    assert wicket.__all__ == sorted(set(wicket.__all__))


@pytest.mark.parametrize("name", wicket.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    public = getattr(wicket, name)
    text = inspect.getdoc(public) or ""
    assert len(text) > 20, f"{name} has no docstring"
    assert not text.startswith(f"{name}("), f"the docstring of {name} was made by dataclass"


@pytest.mark.parametrize("name", [name for name in wicket.__all__ if inspect.isclass(getattr(wicket, name))])
def test_every_public_method_is_documented(name: str) -> None:
    bare = [member for member, function in own_members(getattr(wicket, name)) if not function.__doc__]
    assert bare == []


def test_there_is_a_version() -> None:
    assert wicket.__version__.count(".") == 2


def test_no_other_public_name_slipped_in() -> None:
    public = {name for name, value in vars(wicket).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public == set(wicket.__all__) - {"profiles"}


def test_importing_wicket_imports_no_framework_no_client_and_no_tool() -> None:
    program = f"import wicket, sys; print(*[name for name in {FOREIGN!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=True)
    assert found.stdout.split() == []


def test_wicket_is_typed() -> None:
    from importlib import resources

    assert resources.files(wicket).joinpath("py.typed").is_file()
