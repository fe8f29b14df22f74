"""The commands in the documentation exist, with the options that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from wicket.cli.commands import wicket

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(
    {
        line.partition(" < ")[0].partition(" > ")[0]
        for page in PAGES
        for line in re.findall(r"(?m)^wicket (?!=).*$|(?<=`)wicket [a-z][^`]*(?=`)", page.read_text("utf-8"))
    }
)


@pytest.mark.parametrize("line", COMMANDS)
def test_documented_command_and_its_options_exist(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = wicket
    while isinstance(command, click.Group) and words:
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    named = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert named <= known


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    leaves = [
        f"wicket {name} {sub}" if sub else f"wicket {name}"
        for name, command in wicket.commands.items()
        for sub in (command.commands if isinstance(command, click.Group) else [""])
    ]
    assert [leaf for leaf in leaves if leaf not in page] == []
