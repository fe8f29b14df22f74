"""Which keys of an app may have signed a token: the choice by algorithm and `kid`, prepared when the app is built."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final

from wicket.keys.algorithms import Key

MAX_WITHOUT_KID: Final = 10
"""How many keys are tried for a token that names none (rotation with overlap needs more than one)."""
MAX_SAME_KID: Final = 4
"""How many keys with the same `kid` are tried."""


@functools.lru_cache(maxsize=256)
def _shared(names: frozenset[str]) -> frozenset[str]:
    """One object for one set of names: the apps that have it may be a hundred thousand."""
    return names


class Keyring:
    """The keys of one app, local or of one generation of a key set, ready to be chosen from."""

    __slots__ = ("_any", "_by_kid", "_without_kid", "algorithms", "keys")

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)
        self._any: dict[str, tuple[Key, ...]] = {}
        self._without_kid: dict[str, tuple[Key, ...]] = {}
        self._by_kid: dict[tuple[str, str], tuple[Key, ...]] = {}
        self.algorithms = _shared(frozenset(name for key in self.keys for name in key.algorithms))
        for name in self.algorithms:
            fitting = [key for key in self.keys if name in key.algorithms]
            unnamed = tuple(key for key in fitting if key.kid is None)
            self._any[name] = tuple(fitting[:MAX_WITHOUT_KID])
            self._without_kid[name] = unnamed[:MAX_WITHOUT_KID]
            for kid in {key.kid for key in fitting if key.kid is not None}:
                named = [key for key in fitting if key.kid == kid][:MAX_SAME_KID]
                self._by_kid[name, kid] = (*named, *unnamed)[:MAX_WITHOUT_KID]
        if not self._by_kid:
            self._without_kid = self._any  # the same keys, for a hundred thousand apps

    def select(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """The keys to try, in order.

        A `kid` picks the keys of that id and those that have none; without a `kid` every fitting key is picked.
        """
        if kid is None:
            return self._any.get(algorithm, ())
        return self._by_kid.get((algorithm, kid)) or self._without_kid.get(algorithm, ())
