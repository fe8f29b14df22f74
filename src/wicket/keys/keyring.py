"""The selection of an app's keys by algorithm and `kid`. The index is built with the app or the key set."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from wicket.keys.algorithms import Key, within_budget

_log: Final = logging.getLogger("wicket")
_MAX_LOGGED: Final = 8

MAX_SAME_KID: Final = 4
"""The maximum number of keys with the same `kid` that are tried."""


@functools.lru_cache(maxsize=256)
def _interned(names: frozenset[str]) -> frozenset[str]:
    """Return one object for equal sets of names: a hundred thousand apps may have the same set."""
    return names


def log_untried_keys(where: str, names: Sequence[str]) -> None:
    """Log a warning about keys that no token can select, if there are any.

    Args:
        where: the app or key set of the keys.
        names: the keys, as `Keyring.never_tried` returns them.
    """
    if names:
        _log.warning(
            "%s: %d keys are never tried, because the keys listed before them use up the budget of one token: %s; "
            "give each key its own kid, or remove some keys",
            where,
            len(names),
            ", ".join(names[:_MAX_LOGGED]),
        )


class Keyring:
    """An index of keys: the local keys of one app, or one version of a key set.

    Args:
        keys: the keys in the order in which they are tried.

    Attributes:
        keys: all keys.
        algorithms: the algorithms that any key may verify.
    """

    __slots__ = ("_any", "_by_kid", "_without_kid", "algorithms", "keys")

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)
        self._any: dict[str, tuple[Key, ...]] = {}
        self._without_kid: dict[str, tuple[Key, ...]] = {}
        self._by_kid: dict[tuple[str, str], tuple[Key, ...]] = {}
        self.algorithms = _interned(frozenset(name for key in self.keys for name in key.algorithms))
        for name in self.algorithms:
            compatible = [key for key in self.keys if name in key.algorithms]
            without_kid = tuple(key for key in compatible if key.kid is None)
            self._any[name] = within_budget(compatible, name)
            self._without_kid[name] = within_budget(without_kid, name)
            for kid in {key.kid for key in compatible if key.kid is not None}:
                same_kid = [key for key in compatible if key.kid == kid][:MAX_SAME_KID]
                self._by_kid[name, kid] = within_budget((*same_kid, *without_kid), name)
        if not self._by_kid:
            self._without_kid = self._any  # equal content: one dict saves memory with a hundred thousand apps

    def select(self, algorithm: str, kid: str | None) -> tuple[Key, ...]:
        """Return the keys to try, in order.

        Keys beyond the cost budget of one token are left out.

        Args:
            algorithm: the algorithm of the token.
            kid: the `kid` of the token. It selects the keys with that `kid`, then the keys without one. None selects
                every compatible key.
        """
        if kid is None:
            return self._any.get(algorithm, ())
        return self._by_kid.get((algorithm, kid)) or self._without_kid.get(algorithm, ())

    def never_tried(self, *, without_kid: bool = True) -> tuple[str, ...]:
        """Return the keys that no token can select, because earlier keys use up the cost budget.

        Args:
            without_kid: True if a token without a `kid` selects every compatible key.

        Returns:
            A string for each key, with its index and its `kid`, for a warning.
        """
        selections = [*self._by_kid.values(), *self._without_kid.values(), *(self._any.values() if without_kid else ())]
        tried = {id(key) for keys in selections for key in keys}
        return tuple(
            f"keys[{index}]" if key.kid is None else f"keys[{index}] (kid {key.kid[:64]!a})"
            for index, key in enumerate(self.keys)
            if id(key) not in tried
        )
