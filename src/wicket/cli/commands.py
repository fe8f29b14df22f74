"""The commands of `wicket`. Each reads its options and hands them to the module that does the work."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from wicket import __version__
from wicket.cli.explain import explain_token, print_steps
from wicket.errors import ConfigError
from wicket.gate import Gate


def _console() -> Console:
    """Standard output; wide enough for whole rows where it is a file or a pipe and has no width of its own."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


@click.group()
@click.version_option(__version__, prog_name="wicket")
def wicket() -> None:
    """Verification middleware for applications that serve many customers' apps."""


@wicket.command()
@click.argument("token", default="-")
@click.option("--app", "app_id", required=True, help="The id of the app that the token is for.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), default="wicket.toml", show_default=True)
@click.option("--origin", help="The Origin that the request would carry.")
@click.option("--now", type=float, help="Judge times as of this moment, in seconds since 1970.")
def explain(token: str, app_id: str, config: Path, origin: str | None, now: float | None) -> None:
    """Show each step of a TOKEN's way: what was expected and found.

    Accepts nothing, and prints no key.

    Without TOKEN, or with -, it is read from standard input, which keeps it out of the shell's history.
    Exits with 0 where the token would pass, 1 where it would be refused, 2 where the configuration cannot be used.
    """
    text = sys.stdin.read().strip() if token == "-" else token
    try:
        with Gate.from_file(config, clock=time.time if now is None else lambda: now) as gate:
            steps = explain_token(gate, app_id, text, origin)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"{config}: {problem}", err=True)
        sys.exit(2)
    print_steps(_console(), steps)
    sys.exit(0 if steps[-1].passed else 1)


@wicket.command()
@click.option("--serve", is_flag=True, help="Leave the servers running, and print curl lines to try.")
def demo(serve: bool) -> None:
    """Run two applications behind one gate, and show what they answer.

    A Starlette application under uvicorn, a Flask application under waitress, real requests on loopback.
    """
    try:
        from wicket.cli.demo import run_demo
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        sys.exit(f"The demo needs the package {missing}: install it with  pip install 'wicket[demo]'")
    logging.getLogger("wicket").addHandler(logging.NullHandler())  # the table says what the log would
    sys.exit(run_demo(_console(), serve=serve))
