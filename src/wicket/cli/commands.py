"""The commands of `wicket`. Each reads its options and hands them to the module that does the work."""

from __future__ import annotations

import logging
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from wicket import __version__
from wicket.cli.explain import print_diagnosis, print_json
from wicket.cli.keys import fetch_and_print, source_of, sources_of
from wicket.config.network import Network
from wicket.decision.claims import LATEST
from wicket.diagnostics.diagnose import run_diagnosis
from wicket.diagnostics.url import diagnose_url
from wicket.errors import ConfigError, config_error
from wicket.gate import Gate
from wicket.messages.json_body import parse_body, plain


def _console() -> Console:
    """Standard output; wide enough for whole rows where it is a file or a pipe and has no width of its own."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


@click.group()
@click.version_option(__version__, prog_name="wicket")
def wicket() -> None:
    """Verification middleware for applications that serve many customers' apps."""
    logging.getLogger("wicket").addHandler(logging.NullHandler())  # the commands print what the log would say


@wicket.command()
@click.argument("token", required=False)
@click.option("--app", "app_id", help="The id of the app that the token is for.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), default="wicket.toml", show_default=True)
@click.option("--origin", help="The Origin that the request would carry.")
@click.option("--now", type=float, help="Judge times as of this moment, in seconds since 1970.")
@click.option(
    "--sent",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with the JSON body that the client sent: its identifiers and hash, or its token.",
)
@click.option("--url", help="Ask this URL what a page at --origin could read there, instead of looking at a token.")
@click.option("--json", "as_json", is_flag=True, help="Print the diagnosis as JSON.")
def explain(
    token: str | None,
    app_id: str | None,
    config: Path,
    origin: str | None,
    now: float | None,
    sent: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show each step of a TOKEN's way, what was expected and found, and name the mistake.

    Accepts nothing, and prints no key.

    Without TOKEN (and without --sent), or with -, it is read from standard input, which keeps it out of the shell's
    history. Exits with 0 where the token or hash would pass, 1 where it would be refused, 2 where the call or the
    configuration cannot be used.
    """
    if now is not None and not 0 <= now <= LATEST:  # nan is not within
        raise click.BadParameter("must be seconds since 1970", param_hint="--now")
    try:
        if url is not None:
            if origin is None:
                raise click.UsageError("--url needs --origin, the page's")
            diagnosis = diagnose_url(url, origin)
        else:
            if app_id is None:
                raise click.UsageError("--app or --url must be given")
            body = None if sent is None else _body(sent)
            text = sys.stdin.read().strip() if token == "-" or (token is None and sent is None) else token
            with Gate.from_file(config, clock=time.time if now is None else lambda: now) as gate:
                diagnosis = run_diagnosis(gate, app_id, text, body, origin)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem) if url is not None else f"{config}: {problem}", err=True)
        sys.exit(2)
    if as_json:
        print_json(diagnosis)
    else:
        print_diagnosis(_console(), diagnosis)
    sys.exit(0 if diagnosis.passed else 1)


def _body(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file."""
    body = parse_body(path.read_bytes())
    if body is None:
        raise click.UsageError(f"--sent: {path} does not hold a JSON object")
    return plain(body)  # type: ignore[no-any-return]  # an object


@wicket.group()
def keys() -> None:
    """Look at key sets as the gate sees them."""


@keys.command()
@click.argument("where", required=False)
@click.option("--app", "app_id", help="Fetch the key sets of this app of the configuration.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The gate's TOML file.")
@click.option("--allow", multiple=True, metavar="CIDR", help="A network that may be dialled besides public ones.")
@click.option("--port", "ports", multiple=True, type=int, help="A port besides 443 and 8443.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="Authorities to trust, in PEM.")
def fetch(
    where: str | None,
    app_id: str | None,
    config: Path | None,
    allow: tuple[str, ...],
    ports: tuple[int, ...],
    ca: str | None,
) -> None:
    """Fetch a key set and show each key, used or skipped and why.

    WHERE is the URL of a key set, or an issuer without a path. Exits with 0 where it can be used, 1 where it cannot, 2
    where the call or the configuration is wrong.
    """
    settings: dict[str, Any] = {}
    try:
        if allow or ports or ca:
            context = ssl.create_default_context(cafile=ca) if ca else None
            settings["network"] = Network(allow, ports, ssl_context=context)
        if config is None and where is None:
            raise config_error("where", "must be a URL or an issuer, or --config and --app must be given")
        with Gate(**settings) if config is None else Gate.from_file(config, **settings) as gate:
            sources = (source_of(where),) if where is not None else sources_of(gate, app_id or "")
            good = fetch_and_print(_console(), gate, app_id or "-", sources)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(2)
    sys.exit(0 if good else 1)


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
    sys.exit(run_demo(_console(), serve=serve))
