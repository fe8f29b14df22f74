"""`wicket keys fetch`: shows a key set as the gate sees it: its keys, the skipped members, its lifetime, its address.

The fetch has the same restrictions as a fetch of the gate. No key material is printed.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wicket.diagnostics.key_sets import load_key_set
from wicket.errors import config_error, did_you_mean
from wicket.gate import Gate
from wicket.jwks.fetcher import FetchFailed
from wicket.keys.algorithms import ASYMMETRIC
from wicket.keys.key_set import FetchedKeySet, KeySource
from wicket.keys.urls import check_url
from wicket.runtime.cache import Loaded


def parse_source(url_or_issuer: str) -> KeySource:
    """Return the key set of a URL. A URL without a path is an issuer, whose metadata names its key set."""
    url = check_url(url_or_issuer)
    algorithms = tuple(sorted(ASYMMETRIC))
    if url.target == "/":
        return KeySource(None, url_or_issuer, algorithms)
    return KeySource(url, None, algorithms)


def sources_of_app(gate: Gate, app_id: str) -> tuple[KeySource, ...]:
    """Return the remote key sets of an app. Raise `ConfigError` if there are none."""
    for app in gate.apps:
        if app.id == app_id and app.sources:
            return app.sources
    known = [app.id for app in gate.apps if app.sources]
    hint = did_you_mean(app_id, known) if known else "no app has one; wicket check lists the credentials"
    raise config_error("--app", f"no app with the id {app_id!r} has a remote key set", hint)


def fetch_and_print(console: Console, gate: Gate, app_id: str, sources: Iterable[KeySource]) -> bool:
    """Fetch each key set once and print it. Return whether all of them can be used."""
    usable = True
    for source in sources:
        console.print(Text(source.redacted))
        try:
            _print_key_set(console, load_key_set(gate, app_id, source))
        except FetchFailed as failure:
            usable = False
            console.print(Text(f"✗ {failure.explain()}", "red"))
            console.print(
                "requests get config_invalid (503) until the key set has been fetched once, then keys_unavailable"
            )
    return usable


def _print_key_set(console: Console, loaded: Loaded[FetchedKeySet]) -> None:
    key_set = loaded.value
    table = Table("", "kid", "algorithms", "")
    for key in key_set.keys.keys:
        kid = "(none)" if key.kid is None else f"{key.kid!a}"
        table.add_row(Text("✓", "green"), Text(kid), ", ".join(key.algorithms), "used")
    for reason in key_set.keys.skipped:
        table.add_row(Text("✗", "red"), "", "", Text(f"skipped: {reason}"))
    console.print(table)
    console.print(Text(f"{key_set.url.redacted} at {key_set.address}, in {key_set.seconds * 1000:.0f} ms"))
    headers = (("ETag", key_set.etag), ("Last-Modified", key_set.modified))
    validators = ", ".join(name for name, value in headers if value)
    console.print(f"fresh for {loaded.lifetime:g} s; validators: {validators or 'none, so each fetch is complete'}")
