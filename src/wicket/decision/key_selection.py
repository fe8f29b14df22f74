"""Key selection: the keys of an app that may have signed a token. `remote_keys` adds the keys of remote key sets."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from wicket.config.app import App
from wicket.decision.io import Effect
from wicket.decision.remote_keys import KeySelection, KeySets, LoadTimeouts, cached_keys, find_remote_keys, names_one_of
from wicket.decision.signature import Verification, owner_of
from wicket.decision.signature_cache import SignatureCache, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key, expand_aliases, within_budget
from wicket.keys.key_set import KeySetRef

__all__ = ["KeySelection", "KeySets", "LoadTimeouts", "recall_signature", "select_keys", "select_local_keys"]

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


def recall_signature(
    app: App, digest: bytes, cache: SignatureCache, sets: KeySets
) -> tuple[VerifiedPayload, Key] | None:
    """Find a token in the signature cache before it is parsed, and the key of the app that signed it.

    A key of a remote key set counts only if the cached set is fresh and no other set of the app has the same key.

    Args:
        app: The app of the request.
        digest: The SHA-256 of the whole token.
        cache: The signature cache of the gate.
        sets: The remote key sets of the gate.

    Returns:
        The payload and the key that the flow selects for the token; None if the flow must select it.
    """
    entries = cache.partitions.get(app.id)
    signed = entries.get(digest) if entries is not None else None
    if signed is None:
        return None
    header = signed.header
    if header.kid is None and app.rules.require_kid:
        return None
    keys: tuple[Key, ...] = app.keyring.select(header.algorithm, header.kid)
    if app.sources:
        if not any(key.fingerprint == signed.fingerprint for key in keys):
            keys = _fresh_keys(app, header, sets)
            if len([key for key in keys if key.fingerprint == signed.fingerprint]) != 1:
                return None
        elif header.kid is not None and not names_one_of(keys, header):
            return None  # a key of a key set may have this kid and comes first
    for key in keys:
        if key.fingerprint == signed.fingerprint:
            if key.jwk_issuer is None and len(keys) == 1 and not app.sources:
                return signed, key
            owner = owner_of(app, keys, key, signed)
            if owner is None or (app.sources and owner.issuer not in (None, signed.claims.get("iss"))):
                return None
            return signed, owner
    return None


def _fresh_keys(app: App, header: JOSEHeader, sets: KeySets) -> tuple[Key, ...]:
    """Return the keys of the app's cached key sets that may have signed a token; none if a set must be loaded."""
    keys: list[Key] = []
    for source in app.sources:
        if header.algorithm in expand_aliases(source.algorithms):
            entry = sets.cache.fresh_entry(KeySetRef(app.id, source))
            if entry is None or entry.value is None:
                return ()
            keys += entry.value.keys.select(header.algorithm, header.kid)
    return tuple(keys)


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
