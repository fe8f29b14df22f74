"""Loads one key set for the cache: discovery if needed, fetch, import of each key, and a report of the changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from wicket.jwks.discovery import discover
from wicket.jwks.fetcher import Fetched, Fetcher, FetchFailed
from wicket.keys.key_set import FetchedKeySet, KeySetRef, KeySource, read_key_set
from wicket.keys.urls import KeySetUrl
from wicket.keys.weak_keys import REMOTE, RSABounds
from wicket.runtime.cache import Loaded

_EMPTY_SET_GRACE: Final = 30.0
"""An empty set is accepted if it is still empty after this time, in seconds."""
_REDISCOVER: Final = 3600.0
"""The issuer's metadata is read again after this time, in seconds."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The result of one load.

    Attributes:
        app_id: the id of the app.
        url: the URL of the key set, or the issuer, without a query.
        outcome: `loaded`, `not_modified`, `empty` (an empty set that is not accepted yet), or the kind of a failure
            (`wicket.jwks.fetcher.Kind`).
        seconds: the duration of the load.
        added: the `kid`s that were added.
        removed: the `kid`s that were removed.
        skipped: for each unusable member, a string with the reason.
        stale_age: after a failure, the age of the current set in seconds. None if there is none, or without a failure.
        never_tried: the keys that exceed the cost budget of every token (see `Keyring`). Empty if they have not
            changed.
        status: after a failure, the HTTP status of the response. None if there was none, or without a failure.
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
    status: int | None = None


@dataclass(frozen=True, slots=True)
class KeySetLoader:
    """The load function of the key-set cache. It blocks, and runs on the pool for fetches.

    Attributes:
        fetcher_for: takes the id of an app and returns the fetcher for its key sets.
        min_lifetime: the minimum lifetime of a key set in seconds, also if the `max-age` of the response is shorter.
        max_lifetime: the maximum lifetime of a key set in seconds.
        default_lifetime: the lifetime of a key set without a `max-age`, in seconds.
        max_keys: the maximum number of members.
        report: called with the result of each load.
        clock: a monotonic clock, in seconds.
        bounds: the limits of RSA keys.
        wall_clock: the seconds since 1970, by the clock that token times are compared with.
    """

    fetcher_for: Callable[[str], Fetcher]
    min_lifetime: float
    max_lifetime: float
    default_lifetime: float
    max_keys: int
    report: Callable[[LoadReport], None]
    clock: Callable[[], float] = time.monotonic
    bounds: RSABounds = REMOTE
    wall_clock: Callable[[], float] = time.time

    def __call__(self, ref: KeySetRef, current: FetchedKeySet | None) -> Loaded[FetchedKeySet]:
        """Load a key set.

        Args:
            ref: the app and the source.
            current: the cached key set, or None.

        Returns:
            The key set and its lifetime.

        Raises:
            FetchFailed: no key set could be fetched. The failure is also reported.
        """
        begun = self.clock()
        fetch = self.fetcher_for(ref.app_id)
        kids_before = current.keys.kids if current is not None else frozenset()
        location = current.url.redacted if current is not None else ref.source.redacted
        try:
            url, discovered_at = self._locate(fetch, ref.source, current, begun)
            location = url.redacted
            try:
                fetched, new, outcome = self._fetch_set(fetch, ref.source, url, current)
            except FetchFailed as failure:
                # An endpoint that sends Retry-After still exists, so the issuer is not asked for another one.
                may_have_moved = discovered_at < begun and failure.retry_after is None
                moved_to = _rediscover(fetch, ref.source, url) if may_have_moved else None
                if moved_to is None:
                    raise
                discovered_at, location = begun, moved_to.redacted
                fetched, new, outcome = self._fetch_set(fetch, ref.source, moved_to, current)
        except FetchFailed as failure:
            age = begun - current.at if current is not None else None
            report = LoadReport(ref.app_id, location, failure.kind, self.clock() - begun, stale_age=age)
            self.report(replace(report, skipped=failure.skipped, status=failure.status))
            raise
        new = new._replace(discovered_at=discovered_at)
        added, removed = sorted(new.keys.kids - kids_before), sorted(kids_before - new.keys.kids)
        seconds = self.clock() - begun
        never_tried = new.keys.never_tried
        if current is not None and never_tried == current.keys.never_tried:
            never_tried = ()
        self.report(
            LoadReport(
                *(ref.app_id, location, outcome, seconds, tuple(added), tuple(removed), new.keys.skipped),
                never_tried=never_tried,
            )
        )
        return Loaded(new, _EMPTY_SET_GRACE if outcome == "empty" else self._lifetime(fetched))

    def _locate(
        self, fetch: Fetcher, source: KeySource, current: FetchedKeySet | None, now: float
    ) -> tuple[KeySetUrl, float]:
        """Return the URL of the key set, and the time at which it was discovered or configured."""
        if source.url is not None:
            return source.url, now
        if current is not None and now - current.discovered_at < _REDISCOVER:
            return current.url, current.discovered_at
        return _discover(fetch, source), now

    def _fetch_set(
        self, fetch: Fetcher, source: KeySource, url: KeySetUrl, current: FetchedKeySet | None
    ) -> tuple[Fetched, FetchedKeySet, str]:
        """Fetch the key set from `url`, conditionally if it is the URL of the current one. Raises `FetchFailed`."""
        known = current if current is not None and current.url == url else None
        began, began_at = self.clock(), self.wall_clock()
        fetched = fetch(url, etag=known and known.etag, modified=known and known.modified)
        new, outcome = self._accept(source, url, fetched, current)
        if outcome != "empty":  # after an empty response, the current set stays in use and keeps its age
            new = new._replace(began=began, began_at=began_at)
        return fetched, new, outcome

    def _accept(
        self, source: KeySource, url: KeySetUrl, fetched: Fetched, current: FetchedKeySet | None
    ) -> tuple[FetchedKeySet, str]:
        """Return the key set of a response, and the outcome. Raises `FetchFailed`."""
        now = self.clock()
        if fetched.document is None:
            if current is None or current.url != url:
                raise FetchFailed("status")  # 304 as the response to an unconditional request
            confirmed = current._replace(at=now, address=fetched.address, seconds=fetched.seconds, empty_since=None)
            return confirmed, "not_modified"
        members = _members(fetched.document)
        if len(members) > self.max_keys:
            raise FetchFailed("too_large")
        if not members and current is not None and current.keys.keys:
            since = now if current.empty_since is None else current.empty_since
            if current.empty_since is None or now - since < _EMPTY_SET_GRACE:
                # An endpoint that is being set up must not lock out all users, so the set is fetched once more after
                # the grace period.
                return current._replace(url=url, etag=None, modified=None, empty_since=since), "empty"
        keys = read_key_set(members, source, self.bounds)
        if not keys.keys and (members or current is None):
            raise FetchFailed("no_usable_key", skipped=keys.skipped or ("the key set is empty",))
        return FetchedKeySet(
            keys, url, fetched.etag, fetched.modified, now, now, fetched.address, fetched.seconds
        ), "loaded"

    def _lifetime(self, fetched: Fetched) -> float:
        """Return the lifetime of a response in seconds."""
        if fetched.max_age is None:
            return self.default_lifetime
        return min(max(fetched.max_age, self.min_lifetime), self.max_lifetime)


def _discover(fetch: Fetcher, source: KeySource) -> KeySetUrl:
    """Return the URL in the metadata of the source's issuer. Raises `FetchFailed`."""
    return discover(source.issuer or "", fetch, allow_http=source.allow_http)


def _rediscover(fetch: Fetcher, source: KeySource, url: KeySetUrl) -> KeySetUrl | None:
    """Read the issuer's metadata again after a failed fetch. Return the new URL, or None if it has not changed."""
    try:
        discovered = _discover(fetch, source)
    except FetchFailed:
        return None
    return discovered if discovered != url else None


def _members(document: Any) -> list[Any]:
    """Return the members of a key set (RFC 7517 section 5). Raises `FetchFailed`."""
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise FetchFailed("not_a_key_set")
    return members
