"""What a fetch may end as: a document, or a failure that is told apart by one word. No HTTP client is known here."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, Protocol

from wicket.cache import LoadFailed
from wicket.keys.urls import KeySetUrl

Kind = Literal[
    "forbidden_address",
    "forbidden_port",
    "unresolved",
    "timeout",
    "connection",
    "certificate",
    "redirect",
    "not_found",
    "status",
    "encoded",
    "too_large",
    "not_json",
    "not_a_key_set",
    "no_usable_key",
    "wrong_issuer",
    "not_discovery",
]

PERMANENT: Final = frozenset(
    {
        *("forbidden_address", "forbidden_port", "redirect", "not_found", "encoded", "too_large", "not_json"),
        *("not_a_key_set", "no_usable_key", "wrong_issuer", "not_discovery"),
    }
)
"""Failures that trying again will not mend: the configuration or the endpoint is wrong. Logs and the CLI say so."""


class FetchFailed(LoadFailed):
    """A fetch had no usable outcome. `retry_after` is what the endpoint asked for, in seconds, up to five minutes."""

    def __init__(self, kind: Kind, *, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(kind)
        self.kind: Kind = kind
        self.permanent = kind in PERMANENT
        self.retry_after = retry_after
        self.status = status


class Fetched(NamedTuple):
    """What came back. `document` is None where nothing has changed (304)."""

    document: Any
    etag: str | None
    modified: str | None
    max_age: float | None
    seconds: float
    address: str | None


class Fetcher(Protocol):
    """How a document is fetched; hand one in to use an HTTP client of your own. It blocks, and raises `FetchFailed`."""

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        """Fetch `url`, asking for changes only where a validator is given."""
        ...
