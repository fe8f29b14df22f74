"""Which keys of an app's remote key sets may have signed a token, and when a set is asked again.

A fetch *settles* the question for a token if it began after the request came: a key that signed the token was published
by then. By the clocks alone, a set is *newer* than a token if its fetch began after `iat + leeway`. The budget is that
of `wicket.keys.kid_limiter`: two fetches at first, then one per 30 seconds for each set. The first row that applies counts:

    the set                        | the token                      | what is done, and what the request hears
    -------------------------------|--------------------------------|---------------------------------------------
    any, of the token's issuer     | only a key of another issuer's | as if no key verified it: the two may publish
                                   | set verifies it                | one key; settled: 401 `wrong_issuer`
    any                            | a key of a set in hand         | the claims decide; nothing is waited for
                                   | verifies it                    |
    never usable in this process,  | any                            | one load, joined by all; `config_invalid` 503
    not in hand after the load     |                                | for every cause, with `Retry-After`
    usable before, not in hand     | any                            | one load, joined by all; `keys_unavailable`
                                   |                                | (endpoint down, in maintenance, discovery)
    no load can be started         | any                            | `keys_unavailable`, limited
    fetched since the request came | no key verifies it             | settled: 401 `key_not_found` or
                                   |                                | `bad_signature`; kid and token are remembered
    newer than the token           | known kid, or no kid and one   | 401 `bad_signature`
                                   | key fits: bad signature        |
    newer than the token           | no kid, and several keys fit   | 401 `key_not_found`
    the endpoint fails, back-off   | any other                      | `keys_unavailable`; the older set serves on
    any                            | unknown kid, `iat` > now +     | 401 `issued_in_future`; no fetch
                                   | leeway                         |
    newer than the token           | kid remembered as absent       | settled: 401; no fetch
    not newer                      | token remembered as absent     | settled: 401; no fetch (a remembered kid does
                                   |                                | not count for a token issued after it)
    a load is under way            | unknown kid (beside keys       | the load is joined, no budget is used; then
                                   | without kid too), or bad       | the question is asked again
                                   | signature by a known kid, or   |
                                   | no kid and several keys fit    |
    budget left                    | the same                       | one fetch; settled, unless it fails
    budget spent, newer            | unknown kid                    | 401 `key_not_found`, or `bad_signature` after
                                   |                                | keys without kid
    budget spent, not newer        | known kid: bad signature       | 401 `bad_signature`
    budget spent, not newer        | no kid, and several keys fit   | 401 `key_not_found`
    budget spent, not newer        | unknown kid                    | a fetch due within the load timeout is waited
                                   |                                | for, by few requests; else
                                   |                                | `keys_unavailable`, limited, with the seconds
                                   |                                | until then as `Retry-After`

A fetch that fails, or shows an empty set for the first time, settles nothing: `keys_unavailable`. A token without `iat`
counts as issued now. `iat` is not verified: it decides what the request hears, and never allows a fetch that the budget
does not. A refusal that only log-only mode's shorter wait caused is marked impatient.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from typing import Final, NamedTuple

from wicket.decision.io import Effect, LoadEntry, Pause
from wicket.decision.token_parser import JOSEHeader
from wicket.decision.token_verification import Verification
from wicket.errors import Refusal, invalid_token
from wicket.keys.algorithms import Key
from wicket.keys.key_set import FetchedKeySet, KeySetRef
from wicket.keys.kid_limiter import UnknownKidLimiter
from wicket.keys.waiters import Waiters
from wicket.runtime.cache import Cache, Entry

_RETRY_UNUSABLE: Final = 5
"""`Retry-After` for a set that was never usable: always the same, so that it does not tell the causes apart."""
_UNUSABLE: Final = "The key set of this app cannot be used now, and was not usable before; try again later."
_LIMITED: Final = "This app's key set was asked for unknown keys too often; try again later."
_TIMER_ERROR: Final = 0.05
"""A timer may end a little early by the clock of the budget, in seconds."""


class KeySets(NamedTuple):
    """The remote key sets of a gate: their cache, the budget of fetches for unknown kids, and who waits for one."""

    cache: Cache[KeySetRef, FetchedKeySet]
    unknown: UnknownKidLimiter
    waiters: Waiters = Waiters()


class KeySelection(NamedTuple):
    """The keys to try, and what stands in the way of knowing all of them."""

    keys: tuple[Key, ...]
    unavailable: Refusal | None = None


class LoadTimeouts(NamedTuple):
    """How long a request waits for a key set, in seconds: if it has none, and if an older one can serve.

    `enforced` is how long it would wait for its first one if its app were enforced; None if that is `first`.
    """

    initial: float
    stale: float
    enforced: float | None = None

    def shorter_than(self, seconds: float) -> bool:
        """Whether `seconds` is within the wait of an enforced app, and not within this one."""
        return self.enforced is not None and self.initial < seconds <= self.enforced


def find_remote_keys(
    sets: KeySets, refs: Iterable[KeySetRef], verification: Verification, patience: LoadTimeouts
) -> Generator[Effect, None, KeySelection]:
    """The keys of these sets that may have signed the token, and the trouble if none of them did. Raises `Refused`.

    One request waits for at most `patience.first` seconds, however many sets its app has.
    """
    views = [_View(sets, ref, verification, patience) for ref in refs]
    for waiting in (False, True):
        for view in views:
            yield from view.load(waiting=waiting)
        # Every set is looked at: several issuers may publish one key, and the token names one of them.
        named_first = sorted(views, key=lambda view: not names_one_of(view.keys, view.header))
        verified = [view.verified() for view in named_first]
        if any(verified):
            return _choice(views)
    for view in views:
        if not view.decided():
            yield from view.look_again()
    for view in views:
        if view.decided():
            view.trouble = None
    return _choice(views)


def in_hand(sets: KeySets, ref: KeySetRef, header: JOSEHeader) -> tuple[Key, ...]:
    """The keys of a set that may have signed a token with this header, as the set is held now, whatever its age."""
    held = sets.cache.usable(sets.cache.read(ref))
    return held.keys.select(header.algorithm, header.kid) if held is not None else ()


def names_one_of(keys: Iterable[Key], header: JOSEHeader) -> bool:
    """Whether a token with this header names one of `keys` by its kid."""
    return header.kid is not None and any(key.kid == header.kid for key in keys)


def _choice(views: Iterable[_View]) -> KeySelection:
    troubles = sorted((view.trouble for view in views if view.trouble is not None), key=lambda each: each.limited)
    return KeySelection(tuple(key for view in views for key in view.keys), troubles[0] if troubles else None)


class _View:
    """One key set as one request sees it."""

    def __init__(self, sets: KeySets, ref: KeySetRef, verification: Verification, patience: LoadTimeouts) -> None:
        self._sets = sets
        self._cache = sets.cache
        self._ref = ref
        self._verification = verification
        self.header = verification.token.header
        self._patience = patience
        self._came = sets.cache.now()
        self._joins = sets.cache.loading(ref)
        self._slot = sets.cache.read(ref)
        self._seen = self._slot.version if self._slot is not None else 0
        self._held: FetchedKeySet | None = None
        self.keys: tuple[Key, ...] = ()
        self.trouble: Refusal | None = None
        self._waited = False
        self._rate_limited = False

    def verified(self) -> bool:
        """Whether one of the keys known by now verifies the token, and may sign for its issuer."""
        return self._verification.verifies(self.keys)

    def decided(self) -> bool:
        """Whether a key known by now verifies the token, and this set can change nothing about that."""
        self._verification.verifies(self.keys)
        return self._verification.decided_without(self._ref.source.issuer)

    def load(self, *, waiting: bool) -> Generator[Effect, None, None]:
        """Read the set, and load it if it is due. Without `waiting`, a set that has to be waited for is left alone.

        A set past its lifetime is such a one: its endpoint may have withdrawn a key since.
        """
        patience = self._patience
        wait = self._cache.wait_time(self._slot, patience.initial, patience.stale)
        if wait is not None and (wait > 0) is waiting:
            self._slot = yield from self._fetch(self._slot, min(wait, self._left()))
            wait = None
        if waiting or not wait:
            self._read(self._slot)
        if waiting and self._held is None:
            self.trouble = self._unavailable()

    def look_again(self) -> Generator[Effect, None, None]:
        """Ask the endpoint again if it may have the key by now: see the table at the head of the file.

        At most one load that is under way is joined, one permitted fetch is waited for, and one fetch is started.
        """
        while True:
            if self._slot is None or self._held is None or self.decided():
                return
            slot, held, issued_at = self._slot, self._held, self._verification.issued_at
            newer = held.began_at > issued_at + self._verification.leeway
            if self._settled():
                self._remember(slot.version)
                return
            unknown = not (self._knows_kid() or self._several_fit())
            if newer and not unknown:
                return
            failing = slot.failures > 0
            if failing and self._cache.now() < slot.retry_at:
                self.trouble = self._unavailable()
                return
            if unknown and issued_at > self._verification.now + self._verification.leeway:
                raise invalid_token("issued_in_future", claim="iat")
            what = self.header.kid if newer and self.header.kid is not None else self._verification.token.text
            if self._sets.unknown.is_absent(self._ref, what, slot.version):
                return
            joined = self._cache.loading(self._ref)
            if not (joined or failing or self._sets.unknown.try_acquire(self._ref, what, slot.version)):
                if newer or not unknown or not (yield from self._wait_for_turn()):
                    return
                continue
            newest = yield from self._fetch(slot, self._left())
            self._read(newest)
            if self._rate_limited and not (joined or failing):
                self._sets.unknown.refund(self._ref)
            self._joins = self._joins and joined
            if newest is None or self._held is None or newest.failures or newest.version == slot.version:
                self.trouble = self._unavailable()
                return
            if not joined and not self._settled() and not self.decided():  # it is empty, and not believed yet
                self.trouble = Refusal("keys_unavailable", retry_after=self._cache.retry_after(self._slot))
                return

    def _fetch(
        self, slot: Entry[FetchedKeySet] | None, seconds: float
    ) -> Generator[Effect, None, Entry[FetchedKeySet] | None]:
        """Load the set, or join the load that is under way, and note whether a limit of this process forbade it."""
        fetch = LoadEntry(self._cache, self._ref, slot, seconds)
        newest = yield from fetch
        self._rate_limited = fetch.limited
        if newest is not None and (slot is None or newest.version != slot.version):
            self._verification.renew()
        return newest

    def _wait_for_turn(self) -> Generator[Effect, None, bool]:
        """Wait until a fetch is permitted, if that is soon enough. Otherwise note the trouble, and return False."""
        due = self._sets.unknown.due_in(self._ref)
        if not self._waited and due < self._left():
            self._waited = yield from Pause(self._sets.waiters, self._ref, due + _TIMER_ERROR)
            if self._waited:
                self._read(self._cache.read(self._ref))
                return True
        self.trouble = Refusal(
            "keys_unavailable",
            detail=_LIMITED,
            retry_after=max(1, math.ceil(due)),
            limited=True,
            impatient=self._patience.shorter_than(due),
        )
        return False

    def _read(self, slot: Entry[FetchedKeySet] | None) -> None:
        self._slot = slot
        self._held = self._cache.usable(slot)
        self.keys = self._held.keys.select(self.header.algorithm, self.header.kid) if self._held is not None else ()

    def _left(self) -> float:
        return max(0.0, self._patience.initial - (self._cache.now() - self._came))

    def _knows_kid(self) -> bool:
        """Whether the set has a key for the token: of its kid, or the only one that fits if it has no kid."""
        kid = self.header.kid
        return bool(self.keys) if kid is None else names_one_of(self.keys, self.header)

    def _several_fit(self) -> bool:
        """Whether the token needs a kid, for the set has several keys for it."""
        return (
            self._held is not None
            and self.header.kid is None
            and not self.keys
            and bool(self._held.keys.keyring.select(self.header.algorithm, None))
        )

    def _settled(self) -> bool:
        """Whether the set in hand is of a fetch that began after the request came.

        An older fetch that was under way then is told apart by its time. So that a clock which stands still does no
        harm, the version must have moved on too. An empty answer that is not believed yet settles nothing.
        """
        slot, held = self._slot, self._held
        if slot is None or held is None or slot.version == self._seen or slot.failures or held.empty_since is not None:
            return False
        return held.began > self._came or (held.began == self._came and not self._joins)

    def _remember(self, version: int) -> None:
        """Note that a fetch for this token brought no key for it, so that the token causes no other one."""
        self._sets.unknown.remember(self._ref, self._verification.token.text, version)
        if self.header.kid is not None and not self._knows_kid():
            self._sets.unknown.remember(self._ref, self.header.kid, version)

    def _unavailable(self) -> Refusal:
        cache, ref, slot = self._cache, self._ref, self._slot
        loading = cache.loading(ref)
        impatient = loading and self._patience.enforced is not None
        if self._rate_limited:
            return Refusal("keys_unavailable", retry_after=1, limited=True)
        if not cache.was_loaded(ref):
            return Refusal("config_invalid", detail=_UNUSABLE, retry_after=_RETRY_UNUSABLE, impatient=impatient)
        return Refusal("keys_unavailable", retry_after=cache.retry_after(slot), impatient=impatient)
