"""How thoroughly the properties are tried: `WICKET_THOROUGH=10` tries ten times as many examples of each."""

from __future__ import annotations

import os
from typing import Final

TIMES: Final = int(os.environ.get("WICKET_THOROUGH", "1"))


def example_count(usual: int) -> int:
    """How many examples a property is tried with that usually has so many."""
    return usual * TIMES
