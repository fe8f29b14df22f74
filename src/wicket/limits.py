"""The numbers that bound what Wicket does, each a default that the operator can set."""

from __future__ import annotations

from dataclasses import dataclass, fields

from wicket.errors import Problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one gate. Times are seconds, sizes are bytes, the rest are counts.

    Raises `ConfigError` for anything that is not a positive number.
    """

    load_timeout: float = 5.0
    """How long a request waits for its app to be loaded."""
    log_only_timeout: float = 0.5
    """How long it waits where nothing is enforced."""
    stale_timeout: float = 1.0
    """How long it waits for a newer value where an older one can still serve."""
    app_lifetime: float = 60.0
    """How long an app that a registry returned is used before it is asked for again."""
    app_stale: float = 3600.0
    """How long after that it still serves while the registry fails."""
    absent_lifetime: float = 10.0
    """How long a name that the registry does not know is remembered."""
    backoff_first: float = 1.0
    backoff_last: float = 60.0
    """The pause after the first failed load, and the longest; it doubles in between, with jitter."""
    max_apps: int = 10_000
    """How many apps of a registry are kept."""
    max_absent: int = 10_000
    """How many unknown or failing names are remembered."""
    registry_threads: int = 4
    registry_queue: int = 256
    """The pool on which the registry is asked: its threads, and how many look-ups may wait for one."""
    remembered_tokens: int = 50_000
    remembered_per_app: int = 5_000
    remembered_token_bytes: int = 4_096
    """How many signatures are remembered in all and for one app, and how long a token may be for that."""
    max_outcomes: int = 10_000
    """How many different outcomes `Gate.outcomes()` tells apart."""

    def __post_init__(self) -> None:
        problems = Problems()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                problems.add(f"limits.{field.name}", "must be a positive number")
            elif field.type == "int" and not isinstance(value, int):
                problems.add(f"limits.{field.name}", "must be a whole number")
        problems.raise_if_any()
