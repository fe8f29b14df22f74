"""What a request costs more with a known token: Wicket against every peer, in Starlette and in Flask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from benchmarks import apps as doors
from benchmarks import fixtures as scene
from benchmarks.apps import BARE, WICKET, Door
from benchmarks.fixtures import Algorithm
from benchmarks.measure import Row, interleaved

CALLS: Final = 200
ROUNDS: Final = 40
BOUND: Final = 0.25

_FRAMEWORKS: Final[dict[str, Callable[[Algorithm], tuple[dict[str, Door], list[str]]]]] = {
    "Starlette": doors.starlettes,
    "Flask": doors.flasks,
}
_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("HS256", "RS256")


def rows() -> list[Row]:
    """One line for each framework and algorithm: what Wicket adds, as a part of what the fastest peer adds."""
    lines: list[Row] = []
    told: set[str] = set()
    for framework, build in _FRAMEWORKS.items():
        for algorithm in _ALGORITHMS:
            built, missing = build(algorithm)
            for line in missing:
                if line not in told:
                    told.add(line)
                    print(f"left out: {line}", file=sys.stderr)
            lines.append(_row(framework, algorithm, built))
    return lines


def _row(framework: str, algorithm: Algorithm, built: dict[str, Door]) -> Row:
    headers = scene.headers_of(scene.token_for("user-1", algorithm))
    for name, door in built.items():
        doors.check(name, door, algorithm)
    samples = interleaved(
        {name: doors.batch_of(door, headers, CALLS) for name, door in built.items()}, calls=CALLS, rounds=ROUNDS
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
