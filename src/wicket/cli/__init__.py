"""The command line `wicket` (extra `cli`): a demonstration, and commands that explain what the gate does."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Exit with a message if a package of the extra `cli` is not installed."""
    try:
        from wicket.cli.commands import wicket
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        sys.exit(f"The command line needs the package {missing}: install it with  pip install 'wicket[cli]'")
    wicket()
