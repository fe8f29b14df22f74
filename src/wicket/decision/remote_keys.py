"""Select keys from an app's remote key sets, and decide when a key set is fetched again.

A fetch *settles* the question for a token if it began after the request arrived: a key that signed the token was
published by then. By the clocks alone, a set is *newer* than a token if its fetch began after `iat + leeway`. The
budget is that of `wicket.keys.kid_limiter`: two fetches at first, then one per 30 seconds for each set. "Cached" means
that the cache has a usable set. The first row that applies counts:

    the set                        | the token                      | what happens, and the result
    -------------------------------|--------------------------------|---------------------------------------------
    any, of the token's issuer     | only a key of another issuer's | as if no key verified it, because both may
                                   | set verifies it                | publish one key; settled: 401 `wrong_issuer`
    any                            | a key of a cached set verifies | the claims are checked; the request waits for
                                   | it                             | nothing
    never usable in this process,  | any                            | all requests join one load; `config_invalid`
    not cached after the load      |                                | 503 for every cause, with `Retry-After`
    usable before, not cached      | any                            | all requests join one load;
                                   |                                | `keys_unavailable` (endpoint down, in
                                   |                                | maintenance, discovery)
    no load can be started         | any                            | `keys_unavailable`, limited
    fetched since the request      | no key verifies it             | settled: 401 `key_not_found` or
    arrived                        |                                | `bad_signature`; kid and token are remembered
    newer than the token           | known kid, or no kid and one   | 401 `bad_signature`
                                   | key matches: bad signature     |
    newer than the token           | no kid, and several keys match | 401 `key_not_found`
    the endpoint fails, back-off   | any other                      | `keys_unavailable`; the older set stays in use
    any                            | unknown kid, `iat` > now +     | 401 `issued_in_future`; no fetch
                                   | leeway                         |
    newer than the token           | kid remembered as absent       | settled: 401; no fetch
    not newer                      | token remembered as absent     | settled: 401; no fetch (a remembered kid does
                                   |                                | not count for a token issued after it)
    a load is in progress          | unknown kid (even if keys have | the request joins the load and uses no
                                   | no kid), or bad signature by a | budget; then the table is applied again
                                   | known kid, or no kid and       |
                                   | several keys match             |
    budget left                    | the same                       | one fetch; settled, unless it fails
    budget used up, newer          | unknown kid                    | 401 `key_not_found`, or `bad_signature` after
                                   |                                | keys without kid
    budget used up, not newer      | known kid: bad signature       | 401 `bad_signature`
    budget used up, not newer      | no kid, and several keys match | 401 `key_not_found`
    budget used up, not newer      | unknown kid                    | a few requests wait for a fetch that is due
                                   |                                | within the load timeout; the others get
                                   |                                | `keys_unavailable`, limited, with the seconds
                                   |                                | until the fetch as `Retry-After`

A fetch that fails, or returns an empty set for the first time, settles nothing: `keys_unavailable`. A token without
`iat` counts as issued now. `iat` is not verified. It decides which result the request gets, and never allows a fetch
that the budget does not allow. A refusal that only log-only mode's shorter wait caused is marked impatient.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from typing import Final, NamedTuple

from wicket.decision.io import Effect, LoadEntry, Pause
from wicket.decision.signature import Verification
from wicket.decision.token_parser import JOSEHeader
from wicket.errors import Refusal, invalid_token
from wicket.keys.algorithms import Key
from wicket.keys.key_set import FetchedKeySet, KeySetRef
from wicket.keys.kid_limiter import UnknownKidLimiter
from wicket.keys.waiters import Waiters
from wicket.runtime.cache import Cache, Entry

_RETRY_UNUSABLE: Final = 5
"""`Retry-After` in seconds for a set that was never usable. It is constant, so that it does not reveal the cause."""
_UNUSABLE: Final = "This app's key set is not usable, and has never been usable. Retry later."
_LIMITED: Final = "This app's key set was fetched too often for unknown keys. Retry later."
_TIMER_ERROR: Final = 0.05
"""How much earlier than the budget's clock a timer may end, in seconds."""


class KeySets(NamedTuple):
    """The remote key sets of a gate.

    Attributes:
        cache: The cached key sets.
        unknown: The budget of fetches for unknown kids.
        waiters: The limit on the requests that wait for that budget.
    """

    cache: Cache[KeySetRef, FetchedKeySet]
    unknown: UnknownKidLimiter
    waiters: Waiters = Waiters()


class KeySelection(NamedTuple):
    """The result of key selection.

    Attributes:
        keys: The keys to try.
        unavailable: Why some keys of the app are unknown; None if all are known.
    """

    keys: tuple[Key, ...]
    unavailable: Refusal | None = None


class LoadTimeouts(NamedTuple):
    """The longest waits of a request for a key set, in seconds.

    Attributes:
        initial: The wait if no set is cached.
        stale: The wait if an older set is cached.
        enforced: The wait of an enforced app if no set is cached; None if it is equal to `initial`.
    """

    initial: float
    stale: float
    enforced: float | None = None

    def shorter_than(self, seconds: float) -> bool:
        """Return whether an enforced app would wait for `seconds` and this one does not."""
        return self.enforced is not None and self.initial < seconds <= self.enforced


def find_remote_keys(
    sets: KeySets, refs: Iterable[KeySetRef], verification: Verification, timeouts: LoadTimeouts
) -> Generator[Effect, None, KeySelection]:
    """Find the keys of remote key sets that may have signed a token. Load or fetch the sets if necessary.

    A request waits for at most `timeouts.initial` seconds in total, for any number of key sets.

    Args:
        sets: The remote key sets of the gate.
        refs: The key sets of the app.
        verification: The verification of the token.
        timeouts: The longest waits.

    Returns:
        The keys, and why a key set is not available if none of the keys verifies the token.

    Raises:
        Refused: `issued_in_future` if the token has an unknown kid and an `iat` in the future, `malformed` if the
            payload is not a JSON object.
    """
    views = [_KeySetView(sets, ref, verification, timeouts) for ref in refs]
    for waiting in (False, True):
        for view in views:
            yield from view.load(waiting=waiting)
        # Try every set: several issuers may publish one key, and the token names one of the issuers.
        named_first = sorted(views, key=lambda view: not names_one_of(view.keys, view.header))
        verified = [view.verified() for view in named_first]
        if any(verified):
            return _selection(views)
    for view in views:
        if not view.decided():
            yield from view.refetch()
    for view in views:
        if view.decided():
            view.unavailable = None
    return _selection(views)


def cached_keys(sets: KeySets, ref: KeySetRef, header: JOSEHeader) -> tuple[Key, ...]:
    """Return the keys of a cached set that may have signed a token with this header. The age of the set is ignored."""
    key_set = sets.cache.usable(sets.cache.read(ref))
    return key_set.keys.select(header.algorithm, header.kid) if key_set is not None else ()


def names_one_of(keys: Iterable[Key], header: JOSEHeader) -> bool:
    """Return whether the kid of a token with this header is the kid of one of `keys`."""
    return header.kid is not None and any(key.kid == header.kid for key in keys)


def _selection(views: Iterable[_KeySetView]) -> KeySelection:
    refusals = sorted(
        (view.unavailable for view in views if view.unavailable is not None), key=lambda refusal: refusal.limited
    )
    return KeySelection(tuple(key for view in views for key in view.keys), refusals[0] if refusals else None)


class _KeySetView:
    """One key set during one request.

    Attributes:
        header: The header of the token.
        keys: The keys of the set that may have signed the token.
        unavailable: Why the set is not available; None if it is.
    """

    def __init__(self, sets: KeySets, ref: KeySetRef, verification: Verification, timeouts: LoadTimeouts) -> None:
        self._sets = sets
        self._cache = sets.cache
        self._ref = ref
        self._verification = verification
        self.header = verification.token.header
        self._timeouts = timeouts
        self._arrived_at = sets.cache.now()
        self._loading_at_arrival = sets.cache.loading(ref)
        self._entry = sets.cache.read(ref)
        self._version_at_arrival = self._entry.version if self._entry is not None else 0
        self._key_set: FetchedKeySet | None = None
        self.keys: tuple[Key, ...] = ()
        self.unavailable: Refusal | None = None
        self._waited = False
        self._load_limited = False

    def verified(self) -> bool:
        """Return whether a known key verifies the token and belongs to its issuer."""
        return self._verification.verifies(self.keys)

    def decided(self) -> bool:
        """Return whether a known key verifies the token and this set cannot change the result."""
        self._verification.verifies(self.keys)
        return self._verification.decided_without(self._ref.source.issuer)

    def load(self, *, waiting: bool) -> Generator[Effect, None, None]:
        """Read the set, and load it if it is due.

        Args:
            waiting: Whether to load a set that the request must wait for. If false, such a set is not read. A set after
                its lifetime is such a set, because its endpoint may have withdrawn a key.
        """
        timeouts = self._timeouts
        wait = self._cache.wait_time(self._entry, timeouts.initial, timeouts.stale)
        if wait is not None and (wait > 0) is waiting:
            self._entry = yield from self._load(self._entry, min(wait, self._remaining()))
            wait = None
        if waiting or not wait:
            self._use(self._entry)
        if waiting and self._key_set is None:
            self.unavailable = self._unavailable()

    def refetch(self) -> Generator[Effect, None, None]:
        """Fetch the set again if the endpoint may have the key now. The table of this module has the rules.

        The request joins at most one load, waits for the budget at most once, and starts at most one fetch.
        """
        while True:
            if self._entry is None or self._key_set is None or self.decided():
                return
            entry, key_set, issued_at = self._entry, self._key_set, self._verification.issued_at
            newer = key_set.began_at > issued_at + self._verification.leeway
            if self._settled():
                self._remember_absent(entry.version)
                return
            unknown = not (self._knows_kid() or self._needs_kid())
            if newer and not unknown:
                return
            failing = entry.failures > 0
            if failing and self._cache.now() < entry.retry_at:
                self.unavailable = self._unavailable()
                return
            if unknown and issued_at > self._verification.now + self._verification.leeway:
                raise invalid_token("issued_in_future", claim="iat")
            subject = self.header.kid if newer and self.header.kid is not None else self._verification.token.text
            if self._sets.unknown.is_absent(self._ref, subject, entry.version):
                return
            joined = self._cache.loading(self._ref)
            needs_budget = not (joined or failing)
            if needs_budget and not self._sets.unknown.try_acquire(self._ref, subject, entry.version):
                latest = self._cache.read(self._ref)
                if latest is not None and latest.version != entry.version:
                    # A load of another request ended after this request read the entry.
                    self._use(latest)
                    continue
                if newer or not unknown or not (yield from self._wait_for_budget()):
                    return
                continue
            latest = yield from self._load(entry, self._remaining())
            self._use(latest)
            if needs_budget and self._load_limited:
                self._sets.unknown.refund(self._ref)
            self._loading_at_arrival = self._loading_at_arrival and joined
            if latest is None or self._key_set is None or latest.failures or latest.version == entry.version:
                self.unavailable = self._unavailable()
                return
            if not joined and not self._settled() and not self.decided():
                if self._key_set.empty_since is None:
                    # A load of another request ended after this request read the entry, so none was started.
                    if needs_budget:
                        self._sets.unknown.refund(self._ref)
                    continue
                # The first empty set is not accepted yet.
                self.unavailable = Refusal("keys_unavailable", retry_after=self._cache.retry_after(self._entry))
                return

    def _load(
        self, entry: Entry[FetchedKeySet] | None, timeout: float
    ) -> Generator[Effect, None, Entry[FetchedKeySet] | None]:
        """Load the set, or join the load in progress. Record whether a limit of this process prevented the load."""
        load = LoadEntry(self._cache, self._ref, entry, timeout)
        latest = yield from load
        self._load_limited = load.limited
        if latest is not None and (entry is None or latest.version != entry.version):
            self._verification.renew()
        return latest

    def _wait_for_budget(self) -> Generator[Effect, None, bool]:
        """Wait until the budget allows a fetch, if the remaining time suffices.

        Returns:
            Whether the request waited. If not, `unavailable` is set.
        """
        due = self._sets.unknown.due_in(self._ref)
        if not self._waited and due < self._remaining():
            self._waited = yield from Pause(self._sets.waiters, self._ref, due + _TIMER_ERROR)
            if self._waited:
                self._use(self._cache.read(self._ref))
                return True
        self.unavailable = Refusal(
            "keys_unavailable",
            detail=_LIMITED,
            retry_after=max(1, math.ceil(due)),
            limited=True,
            impatient=self._timeouts.shorter_than(due),
        )
        return False

    def _use(self, entry: Entry[FetchedKeySet] | None) -> None:
        self._entry = entry
        key_set = self._key_set = self._cache.usable(entry)
        self.keys = key_set.keys.select(self.header.algorithm, self.header.kid) if key_set is not None else ()

    def _remaining(self) -> float:
        return max(0.0, self._timeouts.initial - (self._cache.now() - self._arrived_at))

    def _knows_kid(self) -> bool:
        """Return whether the set has a key with the token's kid, or exactly one matching key for a token without it."""
        kid = self.header.kid
        return bool(self.keys) if kid is None else names_one_of(self.keys, self.header)

    def _needs_kid(self) -> bool:
        """Return whether the token has no kid and the set has several matching keys."""
        return (
            self._key_set is not None
            and self.header.kid is None
            and not self.keys
            and bool(self._key_set.keys.keyring.select(self.header.algorithm, None))
        )

    def _settled(self) -> bool:
        """Return whether the fetch of the cached set began after the request arrived.

        A fetch that was in progress at arrival is recognised by its start. The version must have changed too, so that a
        stopped clock is harmless. An empty set that is not accepted yet settles nothing.
        """
        entry, key_set = self._entry, self._key_set
        if entry is None or key_set is None or entry.version == self._version_at_arrival:
            return False
        if entry.failures or key_set.empty_since is not None:
            return False
        return key_set.began > self._arrived_at or (key_set.began == self._arrived_at and not self._loading_at_arrival)

    def _remember_absent(self, version: int) -> None:
        """Remember that a fetch for this token found no key, so that the token causes no further fetch."""
        self._sets.unknown.add_absent(self._ref, self._verification.token.text, version)
        if self.header.kid is not None and not self._knows_kid():
            self._sets.unknown.add_absent(self._ref, self.header.kid, version)

    def _unavailable(self) -> Refusal:
        cache, ref, entry = self._cache, self._ref, self._entry
        impatient = cache.loading(ref) and self._timeouts.enforced is not None
        if self._load_limited:
            return Refusal("keys_unavailable", retry_after=1, limited=True)
        if not cache.was_loaded(ref):
            return Refusal("config_invalid", detail=_UNUSABLE, retry_after=_RETRY_UNUSABLE, impatient=impatient)
        return Refusal("keys_unavailable", retry_after=cache.retry_after(entry), impatient=impatient)
