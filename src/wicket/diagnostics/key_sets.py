"""What one fetch of a remote key set brings, and what the words for its failures mean."""

from __future__ import annotations

from wicket.gate import Gate
from wicket.jwks.fetcher import MEANING, FetchFailed
from wicket.keys.key_set import FetchedKeySet, KeySource

FetchResult = FetchedKeySet | FetchFailed


def fetch_key_set(gate: Gate, app_id: str, source: KeySource) -> FetchResult:
    """Fetch one key set, apart from what the gate holds. Blocks as long as a fetch may."""
    try:
        return gate.load_key_set(app_id, source).value
    except FetchFailed as failure:
        return failure


def describe(brought: FetchResult) -> str:
    """What a fetch brought, in a line."""
    if isinstance(brought, FetchFailed):
        return f"{brought.kind}: {MEANING[brought.kind]}"
    return f"{len(brought.keys.keys)} keys used, {len(brought.keys.skipped)} skipped, at {brought.address}"
