"""Which keys may have signed a token: those of the app itself, and those of the key sets that it names.

Trouble with a key set is a value: it counts only where no key at hand proves the token, and then it is said instead of
"bad signature", because nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple

from wicket.app import App
from wicket.cache import Cache, Slot
from wicket.decision.effects import Effect, Fetch
from wicket.decision.tokens import Header
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key, expand, within_budget
from wicket.keys.keyset import Generation, SourceRef
from wicket.keys.unknown import UnknownKids

_NO_KID: Final = "The token does not say by a kid which key signed it."

SignedBy = Callable[[tuple[Key, ...]], bool]


class KeySets(NamedTuple):
    """The remote key sets of a gate: their cache, and the budget of fetches for unknown kids."""

    cache: Cache[SourceRef, Generation]
    unknown: UnknownKids


class Choice(NamedTuple):
    """The keys to try, and what stands in the way of knowing all of them."""

    keys: tuple[Key, ...]
    trouble: Refusal | None = None


class Patience(NamedTuple):
    """How long a request waits for a key set, in seconds: where it has none, and where an older one can serve."""

    first: float
    stale: float

    def after(self, seconds: float) -> Patience:
        """What is left of it."""
        return Patience(max(0.0, self.first - seconds), max(0.0, self.stale - seconds))


def local_keys(app: App, header: Header) -> tuple[Key, ...]:
    """The keys of an app without remote sets that may have signed a token with this header. Raises `Refused`."""
    keys = app.keyring.select(header.algorithm, header.kid)
    if keys and not (header.kid is None and app.rules.key_id_required):
        return keys
    if not app.keyring.keys:
        raise Refused(Refusal("config_missing"))
    if app.rules.key_id_required and header.kid is None:
        raise invalid_token("key_not_found", _NO_KID)
    raise invalid_token("key_not_found" if header.algorithm in app.keyring.algorithms else "algorithm_not_allowed")


def choose_keys(
    sets: KeySets, app: App, header: Header, patience: Patience, signed_by: SignedBy = lambda keys: False
) -> Generator[Effect, None, Choice]:
    """The keys of `app` that may have signed a token with this header. Raises `Refused` where there is none.

    `signed_by` tells whether one of some keys did sign it.
    """
    if not app.sources:
        return Choice(local_keys(app, header))
    if app.rules.key_id_required and header.kid is None:
        raise invalid_token("key_not_found", _NO_KID)
    keys = list(app.keyring.select(header.algorithm, header.kid))
    if keys and signed_by(tuple(keys)):
        return Choice(tuple(keys))  # a key at hand proves the token: no set is waited for
    begun = sets.cache.now()
    trouble: Refusal | None = None
    allowed = header.algorithm in app.keyring.algorithms
    for source in app.sources:
        if header.algorithm not in expand(source.algorithms):
            continue
        allowed = True
        left = patience.after(sets.cache.now() - begun)  # one request waits once, however many sets its app has
        found = yield from _of_source(sets, SourceRef(app.id, source), header, left)
        keys.extend(found.keys)
        trouble = trouble or found.trouble
    if not allowed:
        raise invalid_token("algorithm_not_allowed")
    if not keys:
        raise Refused(trouble) if trouble is not None else invalid_token("key_not_found")
    return Choice(within_budget(keys, header.algorithm), trouble)


def _of_source(sets: KeySets, ref: SourceRef, header: Header, patience: Patience) -> Generator[Effect, None, Choice]:
    cache = sets.cache
    seen = slot = cache.read(ref)
    wait = cache.patience(slot, patience.first, patience.stale)
    limited = False
    if wait is not None:
        fetch = Fetch(cache, ref, slot, wait)
        slot = yield from fetch
        limited = fetch.limited
    held = cache.usable(slot)
    if slot is None or held is None:
        return Choice((), _out_of_reach(cache, slot, limited=limited))
    keys = held.keys.select(header.algorithm, header.kid)
    if keys or header.kid is None:
        return Choice(keys)
    if slot.failures and cache.now() < slot.retry_at:
        return Choice((), _out_of_reach(cache, slot))
    if wait and slot is not seen:
        return Choice(())  # it was fetched for this very request
    return (yield from _of_unknown_kid(sets, ref, header, header.kid, slot, patience))


def _of_unknown_kid(
    sets: KeySets, ref: SourceRef, header: Header, kid: str, slot: Slot[Any], patience: Patience, *, again: bool = False
) -> Generator[Effect, None, Choice]:
    """The set may have been renewed: look again, as often as the source's budget admits; join a load that runs.

    After a failure no budget is asked for, since the back-off bounds the loads already. A load that was joined may have
    read the set before the key was in it, so it proves nothing about the kid.
    """
    cache = sets.cache
    begun, joined = cache.now(), cache.loading(ref)
    if not joined and not slot.failures and not sets.unknown.may_fetch(ref, kid, slot.version):
        return Choice(())
    fetch = Fetch(cache, ref, slot, patience.first)
    newer = yield from fetch
    held = cache.usable(newer)
    if newer is None or held is None or newer.failures or newer.version == slot.version:
        return Choice((), _out_of_reach(cache, newer, limited=fetch.limited))
    keys = held.keys.select(header.algorithm, kid)
    if keys:
        return Choice(keys)
    if joined and not again:
        left = patience.after(cache.now() - begun)
        return (yield from _of_unknown_kid(sets, ref, header, kid, newer, left, again=True))
    if not joined:
        sets.unknown.remember(ref, kid, newer.version)
    return Choice(())


def _out_of_reach(cache: Cache[SourceRef, Generation], slot: Slot[Any] | None, *, limited: bool = False) -> Refusal:
    if slot is not None and slot.permanent and cache.usable(slot) is None:
        return Refusal("config_invalid")
    return Refusal("keys_unavailable", retry_after=1 if limited else cache.retry_after(slot), limited=limited)
