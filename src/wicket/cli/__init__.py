"""The command line `wicket` (extra `cli`): a demonstration, and tools that explain what the gate does."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point. Says which extra to install where the command line's own packages are absent."""
    try:
        from wicket.cli.commands import wicket
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        sys.exit(f"The command line needs the package {missing}: install it with  pip install 'wicket[cli]'")
    wicket()
