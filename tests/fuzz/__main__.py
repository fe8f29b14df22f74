"""`python -m tests.fuzz [target…] [--seconds 15] [--jobs 2]`: runs each target in a separate process.

The exit status is 1 where one of them found a fault; the input is kept in the folder that is printed (`--keep` names
it), and `python -m tests.fuzz --replay FILE TARGET` runs it again.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import TARGETS
from tests.fuzz.engine import load

_GRACE = 60


@dataclass(frozen=True)
class Outcome:
    """How one target went."""

    target: str
    failed: bool
    executions: int
    edges: int | None
    log: str


def run(target: str, seconds: int, folder: Path) -> Outcome:
    """Run one target, and wait for it."""
    command = [sys.executable, "-m", "tests.fuzz.engine", target, str(seconds), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + _GRACE, check=False)
        log, failed = (done.stdout + done.stderr).decode("utf-8", "replace"), done.returncode != 0
    except subprocess.TimeoutExpired as late:
        log, failed = (late.stderr or b"").decode("utf-8", "replace") + "\nit did not end", True
    counts = re.findall(r"stat::number_of_executed_units: (\d+)|unguided: (\d+) executions", log)
    covered = re.findall(r"\bcov: (\d+)", log)
    executions = int("".join(counts[-1])) if counts else 0
    return Outcome(target, failed or not executions, executions, int(covered[-1]) if covered else None, log)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all without one")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for what is found")
    parser.add_argument("--replay", type=Path, help="one input, for one target")
    given = parser.parse_args()
    targets = given.targets or list(TARGETS)
    if set(targets) - set(TARGETS):
        parser.error(f"the targets are {', '.join(TARGETS)}")
    if given.replay is not None:
        load(targets[0])[0](given.replay.read_bytes())
        return 0
    guided = importlib.util.find_spec("atheris") is not None
    how = "atheris, guided by coverage" if guided else "no atheris here: hypothesis' hook and mutations, by chance"
    folder = given.keep or Path(tempfile.mkdtemp(prefix="wicket-fuzz-"))
    print(f"{how}; {given.seconds} s each; {folder}", flush=True)  # noqa: T201 - the command's output
    with ThreadPoolExecutor(given.jobs) as pool:
        outcomes = list(pool.map(lambda target: run(target, given.seconds, folder / target), targets))
    for each in outcomes:
        edges = "" if each.edges is None else f", {each.edges} edges"
        verdict = "FAULT" if each.failed else "ok"
        print(f"{each.target:9} {verdict:5} {each.executions} executions{edges}")  # noqa: T201
        if each.failed:
            print("\n".join(line for line in each.log.splitlines() if line[:1] != "#" and line[:4] != "INFO")[-6000:])  # noqa: T201
    return int(any(each.failed for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
