"""Loads one key set for the cache: discovery where needed, the fetch, the import key by key, and what changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from wicket.jwks.discovery import discover
from wicket.jwks.fetcher import Fetched, Fetcher, FetchFailed
from wicket.keys.key_set import FetchedKeySet, KeySetRef, KeySource, read_key_set
from wicket.keys.urls import KeySetUrl
from wicket.keys.weak_keys import REMOTE, RSABounds
from wicket.runtime.cache import Loaded

_EMPTY_SET_GRACE: Final = 30.0
_REDISCOVER: Final = 3600.0


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What one load did. `outcome` is `loaded`, `not_modified`, `empty` (an empty set, not believed yet), or the kind
    of a failure; `url` has no query. `added` and `removed` are key ids, `skipped` says why members were left out, and
    `stale_age` is, after a failure, the age in seconds of what serves on. `never_tried` are, if they changed, the keys
    that exceed the budget of each token (see `Keyring`).
    """

    app_id: str
    url: str
    outcome: str
    seconds: float
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    stale_age: float | None = None
    never_tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeySetLoader:
    """Loads key sets with `fetch`, and tells `report` what each load did. Blocks; runs on the pool of the fetches.

    A lifetime that the endpoint states is kept between `shortest` and `longest` seconds; without one it is `default`.
    `bounds` are those of RSA keys. `clock` is monotonic, and `wall_clock` gives the seconds since 1970 by which tokens
    are judged.
    """

    fetch: Fetcher
    shortest: float
    longest: float
    default: float
    max_keys: int
    report: Callable[[LoadReport], None]
    clock: Callable[[], float] = time.monotonic
    bounds: RSABounds = REMOTE
    wall_clock: Callable[[], float] = time.time

    def __call__(self, ref: KeySetRef, held: FetchedKeySet | None) -> Loaded[FetchedKeySet]:
        """Load the set anew. Raises `FetchFailed`."""
        begun = self.clock()
        before = held.keys.kids if held is not None else frozenset()
        where = held.url.redacted if held is not None else ref.source.redacted
        try:
            url, discovered_at = self._locate(ref.source, held, begun)
            where = url.redacted
            try:
                fetched, new, outcome = self._fetch_set(ref.source, url, held)
            except FetchFailed as failure:
                # One that says when to come again has not moved.
                moved = (
                    self._rediscover(ref.source, url) if discovered_at < begun and failure.retry_after is None else None
                )
                if moved is None:
                    raise
                discovered_at, where = begun, moved.redacted
                fetched, new, outcome = self._fetch_set(ref.source, moved, held)
        except FetchFailed as failure:
            age = begun - held.at if held is not None else None
            self.report(LoadReport(ref.app_id, where, failure.kind, self.clock() - begun, stale_age=age))
            raise
        new = new._replace(discovered_at=discovered_at)
        added, removed = sorted(new.keys.kids - before), sorted(before - new.keys.kids)
        seconds = self.clock() - begun
        never = new.keys.never_tried
        if held is not None and never == held.keys.never_tried:
            never = ()
        self.report(
            LoadReport(
                ref.app_id, where, outcome, seconds, tuple(added), tuple(removed), new.keys.skipped, never_tried=never
            )
        )
        return Loaded(new, _EMPTY_SET_GRACE if outcome == "empty" else self._lifetime(fetched))

    def _locate(self, source: KeySource, held: FetchedKeySet | None, now: float) -> tuple[KeySetUrl, float]:
        if source.url is not None:
            return source.url, now
        if held is not None and now - held.discovered_at < _REDISCOVER:
            return held.url, held.discovered_at
        return discover(source.issuer or "", self.fetch), now

    def _rediscover(self, source: KeySource, url: KeySetUrl) -> KeySetUrl | None:
        """Where else the issuer has its keys, now that `url` fails, of which it told some time ago."""
        try:
            found = discover(source.issuer or "", self.fetch)
        except FetchFailed:
            return None
        return found if found != url else None

    def _fetch_set(
        self, source: KeySource, url: KeySetUrl, held: FetchedKeySet | None
    ) -> tuple[Fetched, FetchedKeySet, str]:
        known = held if held is not None and held.url == url else None
        began, began_at = self.clock(), self.wall_clock()
        fetched = self.fetch(url, etag=known and known.etag, modified=known and known.modified)
        new, outcome = self._accept(source, url, fetched, held)
        if outcome != "empty":  # what serves on after an empty answer is as old as before
            new = new._replace(began=began, began_at=began_at)
        return fetched, new, outcome

    def _accept(
        self, source: KeySource, url: KeySetUrl, fetched: Fetched, held: FetchedKeySet | None
    ) -> tuple[FetchedKeySet, str]:
        now = self.clock()
        if fetched.document is None:
            if held is None or held.url != url:
                raise FetchFailed("status")  # "not modified", though nothing was said to be known
            seen = held._replace(at=now, address=fetched.address, seconds=fetched.seconds, empty_since=None)
            return seen, "not_modified"
        members = _members(fetched.document)
        if len(members) > self.max_keys:
            raise FetchFailed("too_large")
        if not members and held is not None and held.keys.keys:
            since = now if held.empty_since is None else held.empty_since
            if held.empty_since is None or now - since < _EMPTY_SET_GRACE:
                # An endpoint that is being set up must not lock everybody out: look once more, half a minute later.
                return held._replace(url=url, etag=None, modified=None, empty_since=since), "empty"
        keys = read_key_set(members, source, self.bounds)
        if not keys.keys and (members or held is None):
            raise FetchFailed("no_usable_key")
        return FetchedKeySet(
            keys, url, fetched.etag, fetched.modified, now, now, fetched.address, fetched.seconds
        ), "loaded"

    def _lifetime(self, fetched: Fetched) -> float:
        if fetched.max_age is None:
            return self.default
        return min(max(fetched.max_age, self.shortest), self.longest)


def _members(document: Any) -> list[Any]:
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise FetchFailed("not_a_key_set")
    return members
