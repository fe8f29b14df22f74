"""The numeric limits of a gate. The operator can set each one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from wicket.errors import Problems
from wicket.settings import check_settings, satisfies, setting

_MAX_VALUE: Final = 1_000_000_000
_NOT_POSITIVE: Final = "must be a positive number"


def _is_positive(value: object, maximum: int = _MAX_VALUE) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= maximum


def _number(default: float) -> Any:
    """Return the definition of a limit that may be any positive number."""
    return setting(satisfies(_is_positive, _NOT_POSITIVE), default=default)


def _whole(default: int, minimum: int = 1, maximum: int = _MAX_VALUE) -> Any:
    """Return the definition of a limit that is a whole number from `minimum` to `maximum`."""

    def check(problems: Problems, path: str, value: Any) -> Any:
        if not _is_positive(value, max(maximum, _MAX_VALUE)):
            problems.add(path, _NOT_POSITIVE, "a whole number")
        elif not isinstance(value, int):
            problems.add(path, "must be a whole number")
        elif not minimum <= value <= maximum:
            problems.add(path, f"must be {minimum} to {maximum}")
        return value

    return setting(check, default=default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one gate. Times are in seconds, sizes are in bytes, all other values are counts.

    Raises:
        ConfigError: A value is not a positive number, a count is not a whole number, or a value is outside the range
            that its docstring states.
    """

    load_timeout: float = _number(5.0)
    """Seconds that a request waits until its app is loaded."""
    log_only_timeout: float = _number(0.5)
    """Seconds that a request waits for a load if its app is in log-only mode."""
    stale_timeout: float = _number(1.0)
    """Seconds that a request waits for a newer value if a stale one can still be used."""
    app_lifetime: float = _number(60.0)
    """Seconds that an app from the registry is fresh. After that the registry is asked again."""
    app_stale_if_error: float = _number(3600.0)
    """Seconds after `app_lifetime` in which a stale app is still used if the registry fails (RFC 5861 section 4)."""
    negative_cache_lifetime: float = _number(10.0)
    """Seconds that the gate remembers that the registry does not know a name."""
    backoff_initial: float = _number(1.0)
    """Seconds between the first failed load and the next attempt. Each further failure doubles it, with jitter."""
    backoff_max: float = _number(60.0)
    """The longest pause in seconds between two attempts to load the same value."""
    max_apps: int = _whole(10_000)
    """The number of apps from the registry that the cache holds."""
    negative_cache_size: int = _whole(10_000)
    """The number of unknown or failing names that the cache holds."""
    registry_threads: int = _whole(4)
    """The number of threads that call the registry."""
    registry_queue: int = _whole(256)
    """The number of registry calls that may wait for a thread. Further ones fail at once with `apps_unavailable`."""
    max_body_bytes: int = _whole(65_536)
    """The largest body in bytes that the gate reads to find an app or a token."""
    body_timeout: float = _number(5.0)
    """Seconds in which a body that the gate reads must arrive."""
    key_set_lifetime: float = _number(300.0)
    """Seconds that a key set is fresh if its response has no `max-age` (RFC 9111 section 5.2.2.1)."""
    key_set_min_lifetime: float = _number(60.0)
    """The lower bound in seconds for the `max-age` of a key set."""
    key_set_max_lifetime: float = _number(3600.0)
    """The upper bound in seconds for the `max-age` of a key set."""
    key_set_stale_if_error: float = _number(3600.0)
    """Seconds after its lifetime in which a stale key set is still used if fetches fail (RFC 5861 section 4)."""
    max_key_set_keys: int = _whole(64)
    """The number of members that the `keys` list of a key set may have (RFC 7517 section 5)."""
    max_key_set_bytes: int = _whole(262_144)
    """The largest document of a key set, or of an issuer's metadata, in bytes."""
    remote_rsa_bits: int = _whole(4096, 2048, 8192)
    """The largest modulus of an RSA key in a fetched key set: from 2048 to 8192 bits."""
    remote_rsa_exponent: int = _whole(65_537, 3, 2**32 - 1)
    """The largest public exponent of an RSA key in a fetched key set: from 3 to 2**32 - 1."""
    max_key_sets: int = _whole(10_000)
    """The number of key sets that the cache holds."""
    fetch_connect_timeout: float = _number(2.0)
    """Seconds in which a fetch must connect to the endpoint."""
    fetch_timeout: float = _number(5.0)
    """Seconds that a whole fetch may take."""
    fetch_threads: int = _whole(16)
    """The number of threads that fetch key sets."""
    fetch_per_host: int = _whole(2)
    """The number of fetches from one host that may run at the same time."""
    fetch_queue: int = _whole(256)
    """The number of fetches that may wait for a thread. Further ones fail at once with a 503."""
    max_loads_per_app: int = _whole(4)
    """The number of key sets of one app that may load or wait at the same time. A further one gets a 503 at once."""
    unknown_kid_burst: int = _whole(2)
    """The number of fetches for unknown `kid`s that a key set allows at first."""
    unknown_kid_interval: float = _number(30.0)
    """Seconds after which a key set allows one more fetch for an unknown `kid`, up to `unknown_kid_burst`."""
    unknown_kid_negative_lifetime: float = _number(60.0)
    """Seconds that the gate remembers that a key set lacks a `kid`."""
    signature_cache_size: int = _whole(50_000)
    """The number of verified signatures that the gate remembers."""
    signature_cache_per_app: int = _whole(5_000)
    """The number of verified signatures that the gate remembers for one app."""
    signature_cache_max_token_bytes: int = _whole(4_096)
    """The largest token in bytes whose signature the gate remembers."""
    max_outcomes: int = _whole(10_000)
    """The number of different outcomes that `Gate.outcomes()` distinguishes."""

    def __post_init__(self) -> None:
        problems = Problems()
        check_settings(problems, self, "limits.")
        problems.raise_if_any()
