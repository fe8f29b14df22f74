"""The numbers that bound what Wicket does, each a default that the operator can set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from wicket.errors import Problems

_LARGEST: Final = 1e9
_RANGES: Final = {"remote_rsa_bits": (2048, 8192), "remote_rsa_exponent": (3, 2**32 - 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one gate. Times are seconds, sizes are bytes, the rest are counts.

    Raises `ConfigError` for anything that is not a positive number, or outside the range that its line states.
    """

    load_timeout: float = 5.0
    """How long a request waits for its app to be loaded."""
    log_only_timeout: float = 0.5
    """How long it waits where nothing is enforced."""
    stale_timeout: float = 1.0
    """How long it waits for a newer value where an older one can still serve."""
    app_lifetime: float = 60.0
    """How long an app that a registry returned is used before it is asked for again."""
    app_stale_if_error: float = 3600.0
    """How long after that it still serves while the registry fails."""
    negative_cache_lifetime: float = 10.0
    """How long a name that the registry does not know is remembered."""
    backoff_initial: float = 1.0
    backoff_max: float = 60.0
    """The pause after the first failed load, and the longest; it doubles in between, with jitter."""
    max_apps: int = 10_000
    """How many apps of a registry are kept."""
    negative_cache_size: int = 10_000
    """How many unknown or failing names are remembered."""
    registry_threads: int = 4
    registry_queue: int = 256
    """The pool on which the registry is asked: its threads, and how many look-ups may wait for one."""
    max_body_bytes: int = 65_536
    body_timeout: float = 5.0
    """How large a body may be to be looked into for a token or a name, and how long it may take to arrive."""
    key_set_lifetime: float = 300.0
    key_set_min_lifetime: float = 60.0
    key_set_max_lifetime: float = 3600.0
    """How long a key set is fresh where its endpoint does not say, and the bounds for what it says."""
    key_set_stale_if_error: float = 3600.0
    """How long after that it still serves while its endpoint fails."""
    max_key_set_keys: int = 64
    max_key_set_bytes: int = 262_144
    """How many members a key set may have, and how large its document may be."""
    remote_rsa_bits: int = 4096
    remote_rsa_exponent: int = 65_537
    """The largest modulus (2048 to 8192 bits) and exponent (3 to 2**32 - 1) of an RSA key in a fetched key set."""
    max_key_sets: int = 10_000
    """How many key sets are kept."""
    fetch_connect_timeout: float = 2.0
    fetch_timeout: float = 5.0
    """How long a fetch may take to connect, and in all."""
    fetch_threads: int = 16
    fetch_per_host: int = 2
    fetch_queue: int = 256
    """How many fetches run at once, in all and to one host, and how many may wait."""
    max_loads_per_app: int = 4
    """How many key sets of one app may be under way at once, running or waiting; beyond that it is a 503 at once."""
    unknown_kid_burst: int = 2
    unknown_kid_interval: float = 30.0
    unknown_kid_negative_lifetime: float = 60.0
    """Fetches for unknown kids of one source: how many at first, then one every so often; how long a kid is absent."""
    signature_cache_size: int = 50_000
    signature_cache_per_app: int = 5_000
    signature_cache_max_token_bytes: int = 4_096
    """How many signatures are remembered in all and for one app, and how long a token may be for that."""
    max_outcomes: int = 10_000
    """How many different outcomes `Gate.outcomes()` tells apart."""

    def __post_init__(self) -> None:
        problems = Problems()
        for field in fields(self):
            value = getattr(self, field.name)
            least, most = _RANGES.get(field.name, (0, _LARGEST))
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= max(most, _LARGEST):
                problems.add(f"limits.{field.name}", "must be a positive number")
            elif field.type == "int" and not isinstance(value, int):
                problems.add(f"limits.{field.name}", "must be a whole number")
            elif not least <= value <= most:
                problems.add(f"limits.{field.name}", f"must be {least} to {most}")
        problems.raise_if_any()
