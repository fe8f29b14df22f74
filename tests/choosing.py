"""The choice of keys, for tests of what comes before and after it, where no app has a remote key set."""

from __future__ import annotations

from wicket import App
from wicket.cache import Cache, Loaded, Times
from wicket.decision.choice import Choice, KeySets, Patience, choose_keys
from wicket.decision.tokens import UnverifiedToken
from wicket.drivers import run
from wicket.keys.keyset import Generation, SourceRef
from wicket.keys.unknown import UnknownKids
from wicket.pool import Pool


def no_key_sets() -> KeySets:
    """The key sets of a gate whose apps have none: nothing is ever fetched."""

    def load(ref: SourceRef, held: Generation | None) -> Loaded[Generation] | None:
        raise AssertionError("nothing is to be fetched")

    times = Times(lifetime=1, stale=1, absent=1, backoff_first=1, backoff_last=1, timeout=1)
    pool = Pool("none", threads=1, queue=1)
    cache = Cache(load, pool=pool, times=times, size=1, absent_size=1, on_failure=lambda ref, error: None)
    return KeySets(cache, UnknownKids(first=1, every=1, remembered=1, on_spent=lambda ref: None))


def choice_of(app: App, token: UnverifiedToken) -> Choice:
    """The keys of `app` that may have signed `token`. Raises `Refused`."""
    return run(choose_keys(no_key_sets(), app, token.header, Patience(1, 1)))
