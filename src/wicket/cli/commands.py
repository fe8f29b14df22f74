"""The commands of `wicket`. Each one parses its options and calls the module that does the work."""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from wicket import __version__
from wicket.cli.check import CheckResult, collect_warnings, print_check, print_check_as_json
from wicket.cli.explain import print_diagnosis, print_json
from wicket.cli.gates import build_gate, find_app, gate_options, load_gate, print_problems, source_of
from wicket.cli.keys import fetch_and_print, parse_source, sources_of_app
from wicket.cli.mint import mint_token, parse_members
from wicket.config.network import Network
from wicket.config.rules import MAX_NUMERIC_DATE
from wicket.diagnostics import diagnose_url
from wicket.diagnostics.run import run_diagnosis
from wicket.errors import ConfigError
from wicket.gate import Gate
from wicket.messages.json_body import parse_body, plain


def _console() -> Console:
    """Return standard output. A file or a pipe has no width, so whole rows of the tables fit into 140 columns."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


@click.group()
@click.version_option(__version__, prog_name="wicket")
def wicket() -> None:
    """Verification middleware for applications that serve the apps of many customers."""
    logging.getLogger("wicket").addHandler(logging.NullHandler())  # the commands print the same information


@wicket.command()
@click.argument("token", required=False)
@click.option("--app", "app_id", help="The id or alias of the app.")
@gate_options
@click.option("--origin", help="The Origin of the request.")
@click.option("--now", type=float, help="The time at which the token is checked, in seconds since 1970.")
@click.option(
    "--body",
    "body_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file with the JSON body of the request: its identifiers and hash, or its token.",
)
@click.option(
    "--url",
    help="Check what a page at --origin can read at this URL, instead of a token. With --app, the request names the "
    "app and carries its token as the app's client does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the diagnosis as JSON.")
def explain(
    token: str | None,
    app_id: str | None,
    config: Path | None,
    gate_name: str | None,
    origin: str | None,
    now: float | None,
    body_path: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show each step of the check of a TOKEN, with what is expected and what was found, and name the mistake.

    The command grants no access, and prints no key.

    If there is no TOKEN and no --body, or if TOKEN is -, the token is read from standard input. This keeps it out of
    the shell's history. The exit status is 0 if the token or hash would be allowed, 1 if it would be refused, and 2 if
    an option or the configuration is not valid.
    """
    if now is not None and not 0 <= now <= MAX_NUMERIC_DATE:  # false for NaN too
        raise click.BadParameter("must be seconds since 1970", param_hint="--now")
    try:
        if url is not None:
            if origin is None:
                raise click.UsageError("--url requires --origin, the origin of the page")
            app = None
            if app_id is not None:
                with load_gate(config, gate_name) as gate:
                    app = find_app(gate, app_id)
            elif config is not None or gate_name is not None:
                raise click.UsageError("--config and --gate require --app, the app whose client uses the URL")
            diagnosis = diagnose_url(url, origin, app=app)
        else:
            if app_id is None:
                raise click.UsageError("--app or --url must be given")
            body = None if body_path is None else _read_body(body_path)
            if token == "-" or (token is None and body_path is None):
                token = sys.stdin.read().strip()
            settings = {} if now is None else {"clock": lambda: now}
            with load_gate(config, gate_name, **settings) as gate:
                diagnosis = run_diagnosis(gate, app_id, token, body, origin)
    except ConfigError as error:
        print_problems(error)
        sys.exit(2)
    if as_json:
        print_json(diagnosis)
    else:
        print_diagnosis(_console(), diagnosis)
    sys.exit(0 if diagnosis.passed else 1)


def _read_body(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in a file."""
    body = parse_body(path.read_bytes())
    if body is None:
        raise click.UsageError(f"--body: {path} does not contain a JSON object")
    return plain(body)  # type: ignore[no-any-return]  # the value of an object is a dict


@wicket.group()
def keys() -> None:
    """Show key sets as the gate sees them."""


@keys.command()
@click.argument("url_or_issuer", required=False, metavar="[URL_OR_ISSUER]")
@click.option("--app", "app_id", help="Fetch the key sets of this app of the configuration.")
@gate_options
@click.option("--allow", multiple=True, metavar="CIDR", help="A network to allow in addition to public ones.")
@click.option("--port", "ports", multiple=True, type=int, help="A port to allow in addition to 443 and 8443.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False), help="A PEM file with the certificate authorities to trust."
)
def fetch(
    url_or_issuer: str | None,
    app_id: str | None,
    config: Path | None,
    gate_name: str | None,
    allow: tuple[str, ...],
    ports: tuple[int, ...],
    ca: str | None,
) -> None:
    """Fetch a key set. Show each key, and why a key is skipped.

    URL_OR_ISSUER is the URL of a key set, or an issuer without a path. The exit status is 0 if the key set can be used,
    1 if it cannot, and 2 if an option or the configuration is not valid.
    """
    settings: dict[str, Any] = {}
    alone = url_or_issuer is not None and config is None and gate_name is None
    try:
        if allow or ports or ca:
            context = ssl.create_default_context(cafile=ca) if ca else None
            settings["network"] = Network(allow, ports, ssl_context=context)
        if url_or_issuer is None and app_id is None:
            raise click.UsageError("URL_OR_ISSUER or --app must be given")
        with Gate(**settings) if alone else load_gate(config, gate_name, **settings) as gate:
            sources = (
                (parse_source(url_or_issuer),) if url_or_issuer is not None else sources_of_app(gate, app_id or "")
            )
            usable = fetch_and_print(_console(), gate, app_id or "-", sources)
    except ConfigError as error:
        print_problems(error)
        sys.exit(2)
    sys.exit(0 if usable else 1)


@wicket.command()
@gate_options
@click.option("--strict", is_flag=True, help="End with status 1 for a warning too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(config: Path | None, gate_name: str | None, strict: bool, as_json: bool) -> None:
    """Validate a configuration, and print its apps.

    The command prints every problem, with the app, the setting and the remedy, and the warnings that the gate logs
    when it is built. It fetches nothing, and prints no key. The exit status is 0 if the configuration is valid, 1 if it
    is not, and 2 if an option is not valid.
    """
    result = CheckResult(source_of(config, gate_name))
    with collect_warnings(result), build_gate(config, gate_name, strict=True) as gate:
        result.add_gate(gate)
    if as_json:
        print_check_as_json(result)
    else:
        print_check(_console(), result)
    if any(problem.path.startswith("--") for problem in result.problems):
        sys.exit(2)
    sys.exit(1 if result.problems or (strict and result.warnings) else 0)


@wicket.command()
@click.argument("subject")
@click.option("--app", "app_id", required=True, help="The id or alias of the app.")
@gate_options
@click.option("--ttl", type=float, default=3600, show_default=True, help="The lifetime in seconds.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="An attribute of the user.")
@click.option("--claim", "claims", multiple=True, metavar="NAME=VALUE", help="A further claim. It replaces any other.")
@click.option("--now", type=float, help="The time of issue, in seconds since 1970.")
@click.option(
    "--key",
    "key_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with the private key in PEM, if the app has a public key or a key set.",
)
@click.option("--kid", help="The kid of the token's header.")
@click.option("--algorithm", help="The algorithm, if the key allows several.")
def mint(
    subject: str,
    app_id: str,
    config: Path | None,
    gate_name: str | None,
    ttl: float,
    attributes: tuple[str, ...],
    claims: tuple[str, ...],
    now: float | None,
    key_path: Path | None,
    kid: str | None,
    algorithm: str | None,
) -> None:
    """Print a token for the user SUBJECT that the app accepts.

    A VALUE is JSON, or else a string. The token is signed with the app's secret, or with the private key in --key. The
    token is real: it passes wherever the app's tokens pass. The exit status is 0 if the token was signed, and 2 if an
    option or the configuration is not valid, or if the app would refuse the token.
    """
    try:
        with load_gate(config, gate_name) as gate:
            token = mint_token(
                find_app(gate, app_id),
                subject,
                ttl=ttl,
                attributes=parse_members("--attribute", attributes),
                claims=parse_members("--claim", claims),
                now=gate.clock() if now is None else now,
                key_path=key_path,
                kid=kid,
                algorithm=algorithm,
            )
    except ConfigError as error:
        print_problems(error)
        sys.exit(2)
    click.echo(token)


@wicket.command()
@click.option("--serve", is_flag=True, help="Keep the servers running, and print curl commands to try.")
def demo(serve: bool) -> None:
    """Run two applications with one gate, and show their responses.

    A Starlette application runs on uvicorn and a Flask application on waitress. The requests are sent over loopback.
    """
    try:
        from wicket.cli.demo import run_demo
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        sys.exit(f"The demo needs the package {missing}: install it with  pip install 'wicket[demo]'")
    sys.exit(run_demo(_console(), serve=serve))
