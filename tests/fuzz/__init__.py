"""Coverage-guided fuzzing: one target for each parser of client input. `python -m tests.fuzz`."""

from typing import Final

TARGETS: Final = ("tokens", "origins", "key_sets", "toml", "bodies")
"""Each a module here with `check(data)`, which raises for a fault, and `WORDS`, which mutations may put in."""
