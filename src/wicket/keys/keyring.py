"""Which keys of an app may have signed a token: the choice by algorithm and `kid`, prepared when the app is built."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from wicket.keys.algorithms import Key, within_budget

_log: Final = logging.getLogger("wicket")
_NAMED: Final = 8

MAX_SAME_KID: Final = 4
"""How many keys with the same `kid` are tried."""


@functools.lru_cache(maxsize=256)
def _shared(names: frozenset[str]) -> frozenset[str]:
    """One object for one set of names: the apps that have it may be a hundred thousand."""
    return names


def warn_of_untried(where: str, names: Sequence[str]) -> None:
    """Log the keys that no token can select (`Keyring.never_tried`), if there are any. `where` says whose they are."""
    if names:
        _log.warning(
            "%s: %d keys are never tried, since the keys listed before them spend the budget of one token: %s; "
            "give each key a kid of its own, or remove some",
            where,
            len(names),
            ", ".join(names[:_NAMED]),
        )


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
            self._any[name] = within_budget(fitting, name)
            self._without_kid[name] = within_budget(unnamed, name)
            for kid in {key.kid for key in fitting if key.kid is not None}:
                named = [key for key in fitting if key.kid == kid][:MAX_SAME_KID]
                self._by_kid[name, kid] = within_budget((*named, *unnamed), name)
        if not self._by_kid:
            self._without_kid = self._any  # the same keys, for a hundred thousand apps

    def select(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """The keys to try, in order.

        A `kid` picks the keys of that id, then those that have none; without a `kid` every fitting key is picked. Keys
        beyond the budget of cost of one token are left out.
        """
        if kid is None:
            return self._any.get(algorithm, ())
        return self._by_kid.get((algorithm, kid)) or self._without_kid.get(algorithm, ())

    def never_tried(self, *, without_kid: bool = True) -> tuple[str, ...]:
        """The keys that no token can select, since the keys listed before them spend the budget: for a warning.

        Each is named by its index and its `kid`, if it has one. `without_kid` says that a token without a `kid` selects
        every fitting key.
        """
        picked = [*self._by_kid.values(), *self._without_kid.values(), *(self._any.values() if without_kid else ())]
        tried = {id(key) for keys in picked for key in keys}
        return tuple(
            f"keys[{index}]" if key.kid is None else f"keys[{index}] (kid {key.kid[:64]!a})"
            for index, key in enumerate(self.keys)
            if id(key) not in tried
        )
