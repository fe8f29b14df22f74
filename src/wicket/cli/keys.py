"""`wicket keys fetch`: what Wicket sees of a key set: each key, used or skipped and why, lifetimes, the address.

It fetches as the gate does, under the same guard, and prints no key material.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wicket.errors import config_error
from wicket.gate import Gate
from wicket.jwks.fetcher import MEANING, FetchFailed
from wicket.keys.algorithms import ASYMMETRIC
from wicket.keys.key_set import FetchedKeySet, KeySource
from wicket.keys.urls import check_url
from wicket.runtime.cache import Loaded


def source_of(where: str) -> KeySource:
    """The key set that a URL names; a host without a path is taken for an issuer, and asked for its metadata."""
    url = check_url(where)
    algorithms = tuple(sorted(ASYMMETRIC))
    if url.target == "/":
        return KeySource(None, where, algorithms)
    return KeySource(url, None, algorithms)


def sources_of(gate: Gate, app_id: str) -> tuple[KeySource, ...]:
    """The remote key sets of one app of the gate. Raises `ConfigError` where it has none."""
    for app in gate.apps:
        if app.id == app_id and app.sources:
            return app.sources
    raise config_error("app", f"no app with the id {app_id!r} has a remote key set")


def fetch_and_print(console: Console, gate: Gate, app_id: str, sources: Iterable[KeySource]) -> bool:
    """Fetch each key set once and print what was seen; whether all of them can be used."""
    good = True
    for source in sources:
        console.print(Text(source.redacted))
        try:
            _print_generation(console, gate.load_key_set(app_id, source))
        except FetchFailed as failure:
            good = False
            status = f" (status {failure.status})" if failure.status else ""
            verdict = "it lasts: see its URL" if failure.permanent else "it may pass"
            console.print(Text(f"✗ {failure.kind}{status}: {MEANING[failure.kind]}; {verdict}", "red"))
            console.print("requests get config_invalid (503) until the set was fetched once, then keys_unavailable")
    return good


def _print_generation(console: Console, loaded: Loaded[FetchedKeySet]) -> None:
    held = loaded.value
    table = Table("", "kid", "algorithms", "")
    for key in held.keys.keys:
        kid = "(none)" if key.kid is None else f"{key.kid!a}"
        table.add_row(Text("✓", "green"), Text(kid), ", ".join(key.algorithms), "used")
    for why in held.keys.skipped:
        table.add_row(Text("✗", "red"), "", "", Text(f"skipped: {why}"))
    console.print(table)
    console.print(Text(f"{held.url.redacted} at {held.address}, in {held.seconds * 1000:.0f} ms"))
    validators = ", ".join(name for name, value in (("ETag", held.etag), ("Last-Modified", held.modified)) if value)
    console.print(f"fresh for {loaded.lifetime:g} s; validators: {validators or 'none, so each fetch is a whole one'}")
