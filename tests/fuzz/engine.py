"""Runs one target in this process: `python -m tests.fuzz.engine TARGET SECONDS FOLDER`. With atheris, whose libFuzzer
mutates by what it has covered; where it is not installed, with hypothesis' hook and plain mutations, which see nothing.

What is found new is left in FOLDER/corpus, and an input that fails in FOLDER/crash-*. The last line says how it went.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
SEED = 20_261_120

Check = Callable[[bytes], None]


def seeds(target: str) -> list[bytes]:
    """The project's own inputs of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def load(target: str) -> tuple[Check, tuple[str, ...]]:
    """The check of a target, and its words."""
    module = importlib.import_module(f"tests.fuzz.{target}")
    check: Check = module.check
    words: tuple[str, ...] = module.WORDS
    return check, words


def guided(target: str, seconds: int, folder: Path) -> None:
    """Run by coverage. Ends the process: with 0, or with the fault's traceback and the input in a file."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["wicket"]):
        check, words = load(target)
    found = folder / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words))
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}/",
        f"-dict={dictionary}",
        "-max_len=4096",
        "-timeout=10",
        "-print_final_stats=1",
        f"-seed={SEED}",
        str(found),
        str(CORPUS / target),
    ]
    atheris.Setup([sys.argv[0], *options], check)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def unguided(target: str, seconds: int, folder: Path) -> None:
    """Run by chance alone: half through hypothesis' hook, half mutations of the corpus."""
    check, words = load(target)
    held, chance, executions = seeds(target), random.Random(SEED), 0

    @settings(database=None)
    @given(st.binary())
    def one(data: bytes) -> None:
        check(data)

    hook: Callable[[bytes], object] = one.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # `given` puts it there
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        data = mutated(chance.choice(held), held, words, chance)
        try:
            if executions % 2:
                hook(chance.randbytes(chance.randrange(200)))
            else:
                check(data)
        except BaseException:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "crash-unguided").write_bytes(data)
            raise
        executions += 1
    print(f"unguided: {executions} executions", file=sys.stderr)  # noqa: T201 - the runner reads it


def mutated(data: bytes, others: list[bytes], words: tuple[str, ...], chance: random.Random) -> bytes:
    """`data` with one to four changes."""
    held = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(held) + 1)
        until = min(len(held), at + chance.choice((0, 0, 1, 1, 4, 16)))
        other = chance.choice(others)
        start = chance.randrange(len(other) + 1)
        held[at:until] = chance.choice(
            (
                b"",
                chance.randbytes(1),
                chance.choice(words).encode(),
                other[start : start + 32],
                bytes(held[at:until]) * 2,
            )
        )
    return bytes(held)


if __name__ == "__main__":
    logging.getLogger("wicket").addHandler(logging.NullHandler())
    logging.getLogger("wicket").propagate = False
    name, budget, place = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    (guided if importlib.util.find_spec("atheris") else unguided)(name, budget, place)
