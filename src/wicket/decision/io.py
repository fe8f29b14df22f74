"""What the flow may ask its driver for. An effect is yielded, and gives its answer itself."""

from __future__ import annotations

from collections.abc import Generator, Hashable
from typing import Any

from wicket.keys.waiters import Waiters
from wicket.messages.request import Body
from wicket.runtime.cache import Cache, Entry


class LoadEntry:
    """Bring the entry of `key` up to date, unless it moved on from `seen`; wait for it at most `patience` seconds.

    `slot = yield from Fetch(...)` gives what is known afterwards, newer or not. `arrived` says that a load has ended
    meanwhile: if nothing is known all the same, it was purged or pushed out before this request came to read it, which
    is no reason to turn a user away. Then it is fetched once more, in what is left of the time. `limited` says that a
    limit of this process did not allow the load to start.
    """

    __slots__ = ("cache", "completed", "key", "known_version", "limited", "slot", "timeout")

    def __init__(self, cache: Cache[Any, Any], key: Any, known_version: Entry[Any] | None, timeout: float) -> None:
        self.cache = cache
        self.key = key
        self.known_version = known_version.version if known_version is not None else 0
        self.timeout = timeout
        self.slot: Entry[Any] | None = known_version
        self.completed = False
        self.limited = False

    def __iter__(self) -> Generator[LoadEntry, None, Entry[Any] | None]:
        begun = self.cache.now()
        yield self
        left = self.timeout - (self.cache.now() - begun)
        if self.slot is None and self.completed and left > 0:
            self.known_version, self.timeout = 0, left
            yield self
        return self.slot


class ReadBody:
    """Read the request's body, at most `limit` bytes and `seconds`; it is not lost for the application.

    `raw = yield from ReadBody(...)` gives the whole body, or None where it is larger or slower; `body.unread` says why.
    """

    __slots__ = ("body", "limit", "raw", "seconds")

    def __init__(self, body: Body, limit: int, seconds: float) -> None:
        self.body = body
        self.limit = limit
        self.seconds = seconds
        self.raw: bytes | None = None

    def __iter__(self) -> Generator[ReadBody, None, bytes | None]:
        yield self
        return self.raw


class Pause:
    """Wait for `seconds` until a fetch is permitted, if `waiters` has a place: few have one on threads.

    `waited = yield from Pause(...)` tells whether the request waited. Nothing is started and nothing is cancelled.
    """

    __slots__ = ("key", "seconds", "waited", "waiters")

    def __init__(self, waiters: Waiters, key: Hashable, seconds: float) -> None:
        self.waiters = waiters
        self.key = key
        self.seconds = seconds
        self.waited = False

    def __iter__(self) -> Generator[Pause, None, bool]:
        yield self
        return self.waited


Effect = LoadEntry | ReadBody | Pause
