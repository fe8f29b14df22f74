"""Key selection: the keys of an app that may have signed a token. `remote_keys` adds the keys of remote key sets."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

from wicket.config.app import App
from wicket.decision.io import Effect
from wicket.decision.remote_keys import KeySelection, KeySets, LoadTimeouts, cached_keys, find_remote_keys, names_one_of
from wicket.decision.signature import Verification, owner_of
from wicket.decision.signature_cache import SignatureCache, VerifiedPayload
from wicket.decision.token_parser import JOSEHeader
from wicket.errors import Refusal, Refused, invalid_token
from wicket.keys.algorithms import Key, expand_aliases, is_algorithm, within_budget
from wicket.keys.key_set import KeySetRef

__all__ = ["KeySelection", "KeySets", "LoadTimeouts", "recall_signature", "select_keys", "select_local_keys"]

_NO_KID: Final = "The token has no kid, but this app requires one."
_AMBIGUOUS: Final = "The token has no kid, and this app has several keys for its algorithm: the kid must name the key."


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
    if header.algorithm in app.keyring.algorithms:
        raise _key_not_found(header, app.keyring.keys)
    raise _algorithm_not_allowed(header, app.keyring.algorithms)


def _algorithm_not_allowed(header: JOSEHeader, allowed: frozenset[str]) -> Refused:
    """Return the refusal of a token whose algorithm no key of the app is for."""
    name = f" {header.algorithm}" if is_algorithm(header.algorithm) else ""
    keys_are_for = ", ".join(sorted(allowed))
    return invalid_token(
        "algorithm_not_allowed",
        f"This app does not allow the token's algorithm{name}. Its keys are for {keys_are_for}.",
    )


def _key_not_found(header: JOSEHeader, keys: Iterable[Key]) -> Refused:
    """Return the refusal of a token that no known key of the app may have signed.

    Args:
        header: The header of the token.
        keys: All known keys of the app.
    """
    if header.kid is None:
        several = any(header.algorithm in key.algorithms for key in keys)
        return invalid_token(
            "key_not_found", _AMBIGUOUS if several else "This app has no key for the token's algorithm."
        )
    bound_to = {name for key in keys if key.kid == header.kid for name in key.algorithms}
    if not bound_to:
        return invalid_token("key_not_found")
    names = ", ".join(sorted(bound_to))
    return invalid_token("key_not_found", f"This app's key with the token's kid is for other algorithms: {names}.")


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
        names = frozenset(name for source in app.sources for name in expand_aliases(source.algorithms))
        raise _algorithm_not_allowed(header, names | app.keyring.algorithms)
    remote = yield from find_remote_keys(sets, refs, verification, timeouts)
    if remote_first:
        verification.verifies(local)
    keys = (*local, *remote.keys)
    if not keys:
        if remote.unavailable is not None:
            raise Refused(remote.unavailable)
        cached = [sets.cache.usable(sets.cache.read(ref)) for ref in refs]
        known = [key for key_set in cached if key_set is not None for key in key_set.keys.keys]
        raise _key_not_found(header, [*app.keyring.keys, *known])
    keys = tuple(sorted(keys, key=lambda key: header.kid is None or key.kid != header.kid))
    return KeySelection(within_budget(keys, header.algorithm), remote.unavailable)
