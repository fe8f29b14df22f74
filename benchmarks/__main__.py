"""Measures the cost of Wicket and of its alternatives, and prints one table of ratios with their bounds.

    python -m benchmarks                       all parts, in three to four minutes
    python -m benchmarks --only requests,modes
    python -m benchmarks --json                print JSON
    python -m benchmarks --plot requests.svg   also draw the part requests

All calls are measured in one run, in turn, in many short rounds. Figures are medians over the rounds (see
`measure.py`). `peers.py` lists the checks of each peer. `python -m benchmarks.key_sets` measures key sets. The exit
status is 1 if a figure exceeds its bound.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from benchmarks import import_and_memory as footprint
from benchmarks import live, plot, requests, scale, servers, shapes, unauthenticated
from benchmarks import verification as verifying
from benchmarks.measure import Row

PARTS: Final[dict[str, Callable[[], list[Row]]]] = {
    "requests": requests.rows,
    "shapes": shapes.rows,
    "first-seen": verifying.first_seen,
    "refusals": verifying.refusals,
    "unauthenticated": unauthenticated.rows,
    "modes": scale.modes,
    "sizes": scale.sizes,
    "servers": servers.rows,
    "threads": scale.threads,
    "live": live.rows,
    "imports": footprint.imports,
    "memory": footprint.memory,
}
_PACKAGES: Final = (
    *("wicket", "pyjwt", "cryptography", "starlette", "flask"),
    *("joserfc", "authlib", "fastmcp", "flask-jwt-extended", "uvicorn", "gunicorn"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns 1 if a figure exceeds its bound, and 0 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="PARTS", help=f"some of: {', '.join(PARTS)}", type=_parts)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--plot", metavar="FILE.svg", type=Path, help="write the comparison of requests as an SVG")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # peers log each refused token
    chosen: list[str] = options.only or list(PARTS)
    if options.plot is not None and "requests" not in chosen:
        parser.error("--plot needs the part requests")
    rows: list[Row] = []
    if not options.json:
        print(f"{'':94}{'figure':>8}  {'bound':>6}  {'':8} {'spread':13} absolute")
    for name in chosen:
        for row in PARTS[name]():
            rows.append(row)
            if not options.json:
                print(_line(row), flush=True)
    if options.json:
        print(json.dumps(_report(rows), indent=2))
    if options.plot is not None:
        options.plot.write_text(plot.svg(rows), encoding="utf-8")
    return 1 if any(row.holds is False for row in rows) else 0


def _parts(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return names


def _line(row: Row) -> str:
    figure = f"{row.value:.2f}" if row.value >= 0.01 else f"{row.value:.4f}"
    bound = "" if row.bound is None else f"{row.bound:.2f}" if row.bound >= 0.01 else f"{row.bound:.4f}"
    holds = {True: "holds", False: "EXCEEDED", None: ""}[row.holds]
    spread = "" if row.spread is None else f"{row.spread[0]:.2f} – {row.spread[1]:.2f}"
    what = f"{row.what} [{row.unit}]" if row.unit else row.what
    return f"{what:94}{figure:>8}  {bound:>6}  {holds:8} {spread:13} {row.note}"


def _report(rows: list[Row]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "rows": [{**asdict(row), "micros": dict(row.micros), "holds": row.holds} for row in rows],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
