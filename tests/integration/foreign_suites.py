"""Runs the test suites of Starlette and Flask, as they are and then behind a gate, and compares.

    python tests/integration/foreign_suites.py [starlette | flask] [--stand bodies]

The source archives of the installed versions (or of the newest) come from the package index that pip is set up with.
Each suite gets an environment of its own, with the versions that the archive's lock names for what the suite needs.
Whatever ends otherwise behind the gate must be named in `DIFFERENCES` with its reason, and what is named there must
differ. Needs no package but pip; the stands are those of `gate_plugin.py`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import venv
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
STANDS: Final = ("headers", "bodies", "known")
_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Suite:
    """What is tested: the name in the package index, the dependency group of its tests, and what of that is no need
    of the tests. `decisions` is how many the gate must at least have made in each run."""

    package: str
    group: str
    tools: frozenset[str]
    decisions: int


SUITES: Final = (
    Suite("starlette", "dev", frozenset({"mypy", "ruff", "twine", "types-pyyaml", "pytest-codspeed"}), 1000),
    Suite("flask", "tests", frozenset(), 300),
)

_VARY: Final = "asserts all headers or all of `Vary`, to which `cors` adds Origin"
_PREFLIGHT: Final = "preflights are answered by the gate where `cors` is on, and here admit every origin with 204"
_READABLE: Final = "asserts that no page may read the answer; with `cors` in log-only, those of any origin may"

DIFFERENCES: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("starlette", "bodies"): {
        **dict.fromkeys(
            (
                "test_cors_allow_all",
                "test_cors_allow_all_except_credentials",
                "test_cors_allow_specific_origin",
                "test_cors_disallowed_preflight",
                "test_cors_preflight_allow_all_methods",
                "test_cors_preflight_rejects_custom_method_with_wildcard",
                "test_cors_private_network_access_allowed",
                "test_cors_private_network_access_disallowed",
                "test_preflight_allows_request_origin_if_origins_wildcard_and_credentials_allowed",
            ),
            _PREFLIGHT,
        ),
        **dict.fromkeys(
            (
                "test_cors_allow_origin_regex",
                "test_cors_allow_origin_regex_fullmatch",
                "test_cors_allowed_origin_does_not_leak_between_requests",
            ),
            _READABLE,
        ),
        **dict.fromkeys(
            (
                "test_gzip_cleared_exclude_content_types",
                "test_gzip_compresses_svg_by_default",
                "test_gzip_custom_exclude_content_types",
                "test_gzip_default_exclude_content_types",
                "test_gzip_exclude_content_types_for_identity_client",
                "test_gzip_exclude_content_types_matching",
                "test_gzip_ignored_for_responses_with_encoding_set",
                "test_gzip_ignored_for_small_responses",
                "test_gzip_not_in_accept_encoding",
                "test_gzip_preserves_multiple_vary_headers",
                "test_gzip_responses",
                "test_gzip_streaming_response",
                "test_gzip_streaming_response_emits_output_per_chunk",
                "test_gzip_streaming_response_identity",
                "test_multiple_middlewares_stacked_client_disconnected",
            ),
            _VARY,
        ),
    },
    ("flask", "bodies"): {
        "test_session_vary_cookie": _VARY,
        "test_routing_redirect_debugging": (
            "its client follows a redirect by sending the same stream again, and counts on nobody having read it"
        ),
    },
}
"""For a suite and a stand: the tests, by their function's name, that end otherwise; and why that is right."""

Results = dict[str, str]


def main(arguments: Sequence[str]) -> int:
    """Run the named suites with the named gates (default: all). Return 0 if only the listed differences occur."""
    parser = argparse.ArgumentParser()
    parser.add_argument("suites", nargs="*", metavar="suite", help="all without one")
    parser.add_argument("--stand", action="append", choices=STANDS, help="may be repeated; all without one")
    given = parser.parse_args(arguments)
    names, stands = given.suites, tuple(given.stand or STANDS)
    unknown = set(names) - {suite.package for suite in SUITES}
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for suite in SUITES:
            if not names or suite.package in names:
                wrong += _compare(suite, stands, Path(folder) / suite.package)
    return min(wrong, 1)


def _compare(suite: Suite, stands: Sequence[str], folder: Path) -> int:
    begun = time.monotonic()
    folder.mkdir()
    source = _source(suite, folder)
    python = _environment(suite, source, folder)
    with ThreadPoolExecutor(2) as runs:
        bare = runs.submit(_run, python, source, folder, None)
        behind = {stand: runs.submit(_run, python, source, folder, stand) for stand in stands}
        without, _ = bare.result()
        failing = sorted(name for name, outcome in without.items() if outcome in ("failure", "error"))
        _say(f"{source.name}: {len(without)} tests, {_passed(without)} pass; without a gate fail: {failing or 'none'}")
        wrong = 0 if _passed(without) > len(without) * 0.9 else 1
        for stand, run in behind.items():
            results, counts = run.result()
            wrong += _judge(suite, stand, without, results, counts)
    _say(f"{source.name}: {time.monotonic() - begun:.0f} s")
    return wrong


def _judge(suite: Suite, stand: str, without: Results, behind: Results, counts: Mapping[str, int]) -> int:
    """How many things are wrong with one run; each is printed."""
    reasons = DIFFERENCES.get((suite.package, stand), {})
    different = {name for name in without.keys() | behind.keys() if without.get(name) != behind.get(name)}
    functions = {_function(name) for name in different}
    complaints = [
        f"{name}: {without.get(name, 'absent')} without the gate, {behind.get(name, 'absent')} behind it"
        for name in sorted(different)
        if _function(name) not in reasons
    ]
    present = {_function(name) for name in without}
    complaints += [f"{name} is named as different, and is not" for name in sorted(reasons.keys() & present - functions)]
    if sum(counts.values()) < suite.decisions:
        complaints.append(f"the gate decided only {sum(counts.values())} times: the suite was not behind it")
    _say(f"  {stand}: {_passed(behind)} pass, {len(functions & reasons.keys())} differ as they may; decided {counts}")
    for complaint in complaints:
        _say(f"    WRONG {complaint}")
    return len(complaints)


def _source(suite: Suite, folder: Path) -> Path:
    """The unpacked source archive of the installed version, or of the newest."""
    try:
        wanted = f"{suite.package}=={importlib.metadata.version(suite.package)}"
    except importlib.metadata.PackageNotFoundError:
        wanted = suite.package
    _pip(sys.executable, "download", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), wanted)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    return source


def _environment(suite: Suite, source: Path, folder: Path) -> str:
    """The interpreter of an environment with the package, what its tests need, and Wicket."""
    project = tomllib.loads((source / "pyproject.toml").read_text())
    extras = project["project"].get("optional-dependencies", {})
    own = re.compile(rf"{suite.package}\[(\w+)\]", re.IGNORECASE)
    needs: list[str] = []
    for each in project["dependency-groups"][suite.group]:
        mine = own.fullmatch(each)
        needs += extras[mine[1]] if mine else [each]
    needs = [each for each in needs if _name(each) not in suite.tools]
    constraints = folder / "constraints.txt"
    constraints.write_text(
        "\n".join(_locked(source, {_name(each) for each in needs + project["project"]["dependencies"]}))
    )
    place = folder / "environment"
    venv.create(place, with_pip=True)
    python = str(place / ("Scripts" if os.name == "nt" else "bin") / "python")
    _pip(python, "install", "--constraint", str(constraints), str(source), str(ROOT), *needs)
    return python


def _locked(source: Path, names: set[str]) -> list[str]:
    """What the archive's lock says of these packages: the last version where it has several."""
    lock = source / "uv.lock"
    if not lock.exists():
        return []
    versions = {each["name"]: each.get("version") for each in tomllib.loads(lock.read_text())["package"]}
    return [f"{name}=={version}" for name, version in versions.items() if name in names and version]


def _run(python: str, source: Path, folder: Path, stand: str | None) -> tuple[Results, Mapping[str, int]]:
    """How each test ended, and how often the gate decided what."""
    place = folder / (stand or "bare")
    place.mkdir()
    report, counts, plugin = place / "report.xml", place / "counts.json", "gate_plugin"
    command = [python, "-m", "pytest", "-q", "-p", "no:wicket", "-p", "no:cacheprovider", f"--junitxml={report}"]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    environment |= {"TMPDIR": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    if stand is not None:
        (place / f"{plugin}.py").write_text(Path(__file__).with_name(f"{plugin}.py").read_text())
        command += ["-p", plugin]
        environment |= {"PYTHONPATH": str(place), "WICKET_STAND": stand, "WICKET_COUNTS": str(counts)}
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if not report.exists() or (stand is not None and not counts.exists()):
        raise SystemExit(f"the suite did not run:\n{done.stdout}{done.stderr}")
    results: Results = {}
    for case in ElementTree.parse(report).iter("testcase"):
        outcome = next((each.tag for each in case if each.tag in ("failure", "error", "skipped")), "passed")
        results[f"{case.get('classname')}::{case.get('name')}"] = outcome
    decided: Any = json.loads(counts.read_text()) if stand is not None else {}
    return results, decided


def _pip(python: str, *arguments: str) -> None:
    done = subprocess.run([python, "-m", "pip", "-q", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pip {arguments[0]} failed:\n{done.stderr}")


def _passed(results: Results) -> int:
    return sum(outcome == "passed" for outcome in results.values())


def _function(name: str) -> str:
    return name.rpartition("::")[2].partition("[")[0]


def _name(requirement: str) -> str:
    found = _REQUIREMENT.match(requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
