"""An issuer that rotates its keys, and the outcomes that are possible for a token by the times of its key."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.soak.apps import SET_LIFETIME
from wicket.testing.issuer import Exchange, LocalIssuer

ROTATED: Final = 5.0
KEPT: Final = 2
SLACK: Final = 3.0
"""The seconds that a fetch and a busy machine may add to the lifetime of the set."""


@dataclass(slots=True)
class IssuedKey:
    """A key, the time of its publication, and the time of its removal or None, in seconds of the monotonic clock."""

    kid: str
    published: float
    withdrawn: float | None = None

    def verdict(self, begun: float) -> bool | None:
        """Returns whether a request that began then must be allowed, or None if the age of the set decides."""
        if self.withdrawn is not None and begun >= self.withdrawn:
            return False if begun > self.withdrawn + SET_LIFETIME + SLACK else None
        return True if begun > self.published + SET_LIFETIME + SLACK else None


class Rotating:
    """A local issuer that makes a new key every five seconds and withdraws the oldest but two."""

    def __init__(self, issuer: LocalIssuer) -> None:
        self._issuer = issuer
        self._lock = threading.Lock()
        self._keys = [IssuedKey(kid, time.monotonic()) for kid in issuer.keys]
        self._tokens: dict[str, list[str]] = {}
        self._made = 0
        self.rotations = 0
        self.latest = 0.0  # the longest time after which a new key was refused, or a removed one was allowed
        self.longest = 0.0
        issuer.fault = self._serve
        self._sign(self._keys[0])

    def run(self, stopped: threading.Event) -> None:
        """Rotate keys until the event is set."""
        while not stopped.wait(ROTATED):
            with self._lock:
                key = IssuedKey(self._issuer.rotate(), time.monotonic())
                self._sign(key)
                self._keys.append(key)
                if len(self._keys) > KEPT:
                    leaving = self._keys[-KEPT - 1]
                    self._issuer.remove(leaving.kid)
                    leaving.withdrawn = time.monotonic()
                del self._keys[: -KEPT - 3]
                self._tokens = {each.kid: self._tokens[each.kid] for each in self._keys}
                self._issuer.requests.clear()
                self.rotations += 1

    def token(self, choice: random.Random) -> tuple[IssuedKey, str, str]:
        """Returns a key, a token that it signed, and its user; the key may be one of the last that were removed."""
        with self._lock:
            key = choice.choice(self._keys)
            number = choice.randrange(len(self._tokens[key.kid]))
            return key, self._tokens[key.kid][number], f"user-{number}"

    def saw(self, key: IssuedKey, begun: float, *, admitted: bool) -> None:
        """Record the age of the set that decided a request."""
        if admitted and key.withdrawn is not None:
            self.longest = max(self.longest, begun - key.withdrawn)
        elif not admitted and key.withdrawn is None:
            self.latest = max(self.latest, begun - key.published)

    def _sign(self, key: IssuedKey) -> None:
        self._tokens[key.kid] = [self._issuer.token(f"user-{number}", kid=key.kid) for number in range(20)]

    def _serve(self, exchange: Exchange) -> None:
        with self._lock:  # a set changes atomically
            self._issuer._serve(exchange)
