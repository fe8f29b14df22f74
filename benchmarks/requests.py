"""Measures the time that Wicket and each peer add to a request with a known token, in Starlette and in Flask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from benchmarks import apps, fixtures
from benchmarks.apps import BARE, WICKET, Client
from benchmarks.fixtures import Algorithm
from benchmarks.measure import Row, interleaved

CALLS: Final = 200
ROUNDS: Final = 40
BOUND: Final = 0.25

_FRAMEWORKS: Final[dict[str, Callable[[Algorithm], tuple[dict[str, Client], list[str]]]]] = {
    "Starlette": apps.starlettes,
    "Flask": apps.flasks,
}
_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("HS256", "RS256")


def rows() -> list[Row]:
    """Returns one row per framework and algorithm: the time that Wicket adds, relative to the fastest peer."""
    lines: list[Row] = []
    reported: set[str] = set()
    for framework, build in _FRAMEWORKS.items():
        for algorithm in _ALGORITHMS:
            built, missing = build(algorithm)
            for line in missing:
                if line not in reported:
                    reported.add(line)
                    print(f"left out: {line}", file=sys.stderr)
            lines.append(_row(framework, algorithm, built))
    return lines


def _row(framework: str, algorithm: Algorithm, built: dict[str, Client]) -> Row:
    headers = fixtures.headers_of(fixtures.token_for("user-1", algorithm))
    for name, client in built.items():
        apps.check(name, client, algorithm)
    samples = interleaved(
        {name: apps.batch_of(client, headers, CALLS) for name, client in built.items()}, calls=CALLS, rounds=ROUNDS
    )
    added = {name: samples.median(name, less=BARE) for name in built if name != BARE}
    fastest = min((name for name in added if name != WICKET), key=added.__getitem__)
    ratio, spread = samples.ratio(WICKET, fastest, less=BARE)
    return Row(
        "requests",
        f"added to a request, known token: {framework}, {algorithm}",
        ratio,
        BOUND,
        spread=spread,
        note=f"Wicket {added[WICKET]:.1f} µs, {fastest} {added[fastest]:.1f} µs",
        micros=added,
    )
