"""Key selection for apps without remote key sets, for tests of other steps."""

from __future__ import annotations

from wicket import App
from wicket.decision.io import run
from wicket.decision.key_selection import KeySelection, KeySets, LoadTimeouts, select_keys
from wicket.decision.token_parser import UnverifiedToken
from wicket.keys.key_set import FetchedKeySet, KeySetRef
from wicket.keys.kid_limiter import UnknownKidLimiter
from wicket.runtime.cache import Cache, Lifetimes, Loaded
from wicket.runtime.pool import Pool


def no_key_sets() -> KeySets:
    """The key sets of a gate whose apps have none. Nothing is fetched."""

    def load(ref: KeySetRef, held: FetchedKeySet | None) -> Loaded[FetchedKeySet] | None:
        raise AssertionError("no key set may be fetched")

    times = Lifetimes(lifetime=1, stale=1, absent=1, backoff_initial=1, backoff_max=1, timeout=1)
    pool = Pool("none", threads=1, queue=1)
    cache = Cache(load, pool=pool, lifetimes=times, size=1, negative_size=1, on_failure=lambda ref, error: None)
    return KeySets(cache, UnknownKidLimiter(burst=1, interval=1, negative_lifetime=1, on_limited=lambda ref: None))


def choice_of(app: App, token: UnverifiedToken) -> KeySelection:
    """Select the keys of `app` that may have signed `token`. Raises `Refused`."""
    return run(select_keys(no_key_sets(), app, token.header, LoadTimeouts(1, 1)))
