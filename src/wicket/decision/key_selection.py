"""Key selection: the keys of an app that may have signed a token. `remote_keys` adds the keys of remote key sets."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from wicket.config.app import App
from wicket.decision.io import Effect
from wicket.decision.remote_keys import KeySelection, KeySets, LoadTimeouts, cached_keys, find_remote_keys, names_one_of
from wicket.decision.signature import Verification
from wicket.decision.token_parser import JOSEHeader
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key, expand_aliases, within_budget
from wicket.keys.key_set import KeySetRef

__all__ = ["KeySelection", "KeySets", "LoadTimeouts", "select_keys", "select_local_keys"]

_NO_KID: Final = "The token has no kid, but this app requires one."


def select_local_keys(app: App, header: JOSEHeader) -> tuple[Key, ...]:
    """Select the keys of an app without remote key sets.

    Args:
        app: The app of the request.
        header: The header of the token.

    Returns:
        The keys that may have signed the token, at least one.

    Raises:
        Refused: `config_missing` if the app has no key, `key_not_found` or `algorithm_not_allowed` if no key matches.
    """
    keys = app.keyring.select(header.algorithm, header.kid)
    if keys and not (header.kid is None and app.rules.require_kid):
        return keys
    if not app.keyring.keys:
        raise Refused(Refusal("config_missing"))
    if app.rules.require_kid and header.kid is None:
        raise invalid_token("key_not_found", _NO_KID)
    raise invalid_token("key_not_found" if header.algorithm in app.keyring.algorithms else "algorithm_not_allowed")


def select_keys(
    sets: KeySets, app: App, header: JOSEHeader, timeouts: LoadTimeouts, verification: Verification | None = None
) -> Generator[Effect, None, KeySelection]:
    """Select the keys of `app` that may have signed a token.

    If a local or cached key verifies the token, the request waits for no key set. Local keys are tried first, unless
    only a cached key set has the token's kid.

    Args:
        sets: The remote key sets of the gate.
        app: The app of the request.
        header: The header of the token.
        timeouts: The longest waits for a key set.
        verification: The verification of the token. It is required for an app with remote key sets.

    Returns:
        The keys, at least one, and why a key set is not available.

    Raises:
        Refused: No key matches, or the key sets are not available.
        ValueError: The app has remote key sets and `verification` is None.
    """
    if not app.sources:
        return KeySelection(select_local_keys(app, header))
    if app.rules.require_kid and header.kid is None:
        raise invalid_token("key_not_found", _NO_KID)
    if verification is None:
        raise ValueError("an app with remote key sets needs the verification of its token")
    local = app.keyring.select(header.algorithm, header.kid)
    refs = [
        KeySetRef(app.id, source) for source in app.sources if header.algorithm in expand_aliases(source.algorithms)
    ]
    remote_first = not names_one_of(local, header) and any(
        names_one_of(cached_keys(sets, ref, header), header) for ref in refs
    )
    if not remote_first and verification.verifies(local):
        return KeySelection(local)
    if not refs and header.algorithm not in app.keyring.algorithms:
        raise invalid_token("algorithm_not_allowed")
    remote = yield from find_remote_keys(sets, refs, verification, timeouts)
    if remote_first:
        verification.verifies(local)
    keys = (*local, *remote.keys)
    if not keys:
        raise Refused(remote.unavailable) if remote.unavailable is not None else invalid_token("key_not_found")
    keys = tuple(sorted(keys, key=lambda key: header.kid is None or key.kid != header.kid))
    return KeySelection(within_budget(keys, header.algorithm), remote.unavailable)
