"""What one fetch of a remote key set brings, and what the words for its failures mean."""

from __future__ import annotations

from typing import Final

from wicket.gate import Gate
from wicket.jwks.outcome import FetchFailed, Kind
from wicket.keys.keyset import Generation, KeySource

MEANING: Final[dict[Kind, str]] = {
    "forbidden_address": "the name leads to an address that must not be dialled",
    "forbidden_port": "only the ports 443 and 8443 may be dialled, unless the operator allows more",
    "unresolved": "the name leads nowhere",
    "timeout": "the endpoint did not answer in time",
    "connection": "the endpoint could not be reached, or broke off",
    "certificate": "the endpoint's certificate is not valid for its name",
    "redirect": "the endpoint redirects, which is never followed",
    "not_found": "there is nothing at this URL",
    "status": "the endpoint answered with an error",
    "encoded": "the answer is compressed, which was not asked for",
    "too_large": "the answer is larger than a key set may be, or has too many keys",
    "not_json": "the answer is not JSON",
    "not_a_key_set": 'the answer is not an object with a list "keys"',
    "no_usable_key": "none of the keys can be used",
    "wrong_issuer": "the issuer's metadata names another issuer",
    "not_discovery": "the issuer's metadata names no plain https URL of a key set",
}

Brought = Generation | FetchFailed


def bring(gate: Gate, app_id: str, source: KeySource) -> Brought:
    """Fetch one key set, apart from what the gate holds. Blocks as long as a fetch may."""
    try:
        return gate.load_key_set(app_id, source).value
    except FetchFailed as failure:
        return failure


def describe(brought: Brought) -> str:
    """What a fetch brought, in a line."""
    if isinstance(brought, FetchFailed):
        return f"{brought.kind}: {MEANING[brought.kind]}"
    return f"{len(brought.keys.keys)} keys used, {len(brought.keys.skipped)} skipped, at {brought.address}"
