"""Which keys of the app itself may have signed a token. For those of its remote key sets see `remote_keys`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from wicket.config.app import App
from wicket.decision.io import Effect
from wicket.decision.remote_keys import KeySelection, KeySets, LoadTimeouts, find_remote_keys, in_hand, names_one_of
from wicket.decision.token_parser import JOSEHeader
from wicket.decision.token_verification import Verification
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key, expand_aliases, within_budget
from wicket.keys.key_set import KeySetRef

__all__ = ["KeySelection", "KeySets", "LoadTimeouts", "select_keys", "select_local_keys"]

_NO_KID: Final = "The token does not say by a kid which key signed it."


def select_local_keys(app: App, header: JOSEHeader) -> tuple[Key, ...]:
    """The keys of an app without remote sets that may have signed a token with this header. Raises `Refused`."""
    keys = app.keyring.select(header.algorithm, header.kid)
    if keys and not (header.kid is None and app.rules.require_kid):
        return keys
    if not app.keyring.keys:
        raise Refused(Refusal("config_missing"))
    if app.rules.require_kid and header.kid is None:
        raise invalid_token("key_not_found", _NO_KID)
    raise invalid_token("key_not_found" if header.algorithm in app.keyring.algorithms else "algorithm_not_allowed")


def select_keys(
    sets: KeySets, app: App, header: JOSEHeader, patience: LoadTimeouts, verification: Verification | None = None
) -> Generator[Effect, None, KeySelection]:
    """The keys of `app` that may have signed a token with this header. Raises `Refused` if there is none.

    For an app with remote key sets, `verification` tells whether some of them verify the token: then no key set is
    waited for. It must be given for such an app. Local keys come first, unless only a set in hand has the token's kid.
    """
    if not app.sources:
        return KeySelection(select_local_keys(app, header))
    if app.rules.require_kid and header.kid is None:
        raise invalid_token("key_not_found", _NO_KID)
    if verification is None:
        raise ValueError("an app with remote key sets needs the verification of its token")
    local = app.keyring.select(header.algorithm, header.kid)
    refs = [KeySetRef(app.id, each) for each in app.sources if header.algorithm in expand_aliases(each.algorithms)]
    elsewhere = not names_one_of(local, header) and any(
        names_one_of(in_hand(sets, each, header), header) for each in refs
    )
    if not elsewhere and verification.verifies(local):
        return KeySelection(local)
    if not refs and header.algorithm not in app.keyring.algorithms:
        raise invalid_token("algorithm_not_allowed")
    found = yield from find_remote_keys(sets, refs, verification, patience)
    if elsewhere:
        verification.verifies(local)
    keys = (*local, *found.keys)
    if not keys:
        raise Refused(found.unavailable) if found.unavailable is not None else invalid_token("key_not_found")
    keys = tuple(sorted(keys, key=lambda key: header.kid is None or key.kid != header.kid))
    return KeySelection(within_budget(keys, header.algorithm), found.unavailable)
