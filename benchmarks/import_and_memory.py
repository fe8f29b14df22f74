"""Measures the time of `import wicket`, and memory."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from typing import Final

from benchmarks import fixtures
from benchmarks.fixtures import APP_ID, admitted
from benchmarks.measure import Row

_IMPORTS: Final = {
    "wicket": "import wicket",
    "jwt": "import jwt; from jwt.algorithms import get_default_algorithms; get_default_algorithms()",
}
_TIMED: Final = "import time; begun = time.process_time(); {}; print(time.process_time() - begun)"
_ROUNDS: Final = 21
_PART: Final = 7
_TOKENS: Final = 2_000
_TOKEN_BYTES: Final = 500
_APPS: Final = 5_000


def imports() -> list[Row]:
    """`import wicket` against `import jwt` with its algorithms, each in a new process, in turn.

    Both from compiled bytecode, as an installer leaves it, also where the environment forbids to write any.
    """
    seconds: dict[str, list[float]] = {name: [] for name in _IMPORTS}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(_ROUNDS + 1):
            for name, statement in _IMPORTS.items():
                command = [sys.executable, "-c", _TIMED.format(statement)]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                if number:  # the first import compiles bytecode
                    seconds[name].append(float(done.stdout))
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    parts = [
        statistics.median(seconds["wicket"][start : start + _PART])
        / statistics.median(seconds["jwt"][start : start + _PART])
        for start in range(0, _ROUNDS, _PART)
    ]
    return [
        Row(
            "imports",
            "import wicket against import jwt with its algorithms",
            medians["wicket"] / medians["jwt"],
            1.3,
            spread=(min(parts), max(parts)),
            note=", ".join(f"{name} {median * 1000:.0f} ms" for name, median in medians.items()),
            micros={name: median * 1e6 for name, median in medians.items()},
        )
    ]


def memory() -> list[Row]:
    """KiB of objects for a remembered token of 500 bytes, and for an app in code with two origins."""
    return [_per_token(), _per_app()]


def _per_token() -> Row:
    padding = _TOKEN_BYTES * 3 // 4
    while len(fixtures.token_for("user-0000", padding=padding)) > _TOKEN_BYTES:
        padding -= 1
    tokens = [fixtures.token_for(f"user-{number:04}", padding=padding) for number in range(_TOKENS)]
    gate = fixtures.gate_with(fixtures.app_with())
    admitted(gate.verify(fixtures.token_for("user-1"), app=APP_ID))
    tracemalloc.start()
    for token in tokens:
        admitted(gate.verify(token, app=APP_ID))
    gate.outcomes()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return Row(
        "memory",
        f"for a remembered token of {len(tokens[0])} bytes",
        taken / 1024 / _TOKENS,
        2.0,
        unit="KiB",
        note=f"{_TOKENS:,} of them",
    )


def _per_app() -> Row:
    secrets = [number.to_bytes(4, "big") * 8 for number in range(1, _APPS + 1)]
    tracemalloc.start()
    gate = fixtures.gate_with(
        *(
            fixtures.app_with(
                id=f"app-{number}",
                secret=secret,
                origins=(f"https://site-{number}.example", f"*.site-{number}.example"),
            )
            for number, secret in enumerate(secrets)
        )
    )
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return Row(
        "memory",
        "for an app in code with two origins",
        taken / 1024 / len(gate.apps),
        2.0,
        unit="KiB",
        note=f"{_APPS:,} of them, with the gate's index",
    )
