"""Configuration files for tests, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wicket import ConfigError, Gate


def write(folder: Path, text: str) -> Path:
    """Write `wicket.toml` in `folder`."""
    path = folder / "wicket.toml"
    path.write_text(text, "utf-8")
    return path


def problems_of(folder: Path, text: str, *, strict: bool = False) -> dict[str, str]:
    """The problems of a configuration that is refused, by path."""
    with pytest.raises(ConfigError) as raised:
        Gate.from_file(write(folder, text), strict=strict)
    return {problem.path: str(problem) for problem in raised.value.problems}
