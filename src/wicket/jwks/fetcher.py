"""What a fetch may end as: a document, or a failure that is told apart by one word. No HTTP client is known here."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, Protocol

from wicket.keys.urls import KeySetUrl
from wicket.runtime.cache import LoadFailed

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

MEANING: Final[dict[Kind, str]] = {
    "forbidden_address": "the host resolves to an address that must not be dialled; "
    "allow its network in Network(allow=…) if it is yours",
    "forbidden_port": "only the ports 443 and 8443 may be dialled; add the port to Network(ports=…)",
    "unresolved": "the host name does not resolve; check its spelling and the DNS",
    "timeout": "the endpoint did not answer in time",
    "connection": "the endpoint could not be reached or closed the connection",
    "certificate": "the endpoint's certificate is not valid for its name; "
    "renew it, or trust its authority in Network(ssl_context=…)",
    "redirect": "the endpoint redirects, and redirects are never followed; configure the URL that it redirects to",
    "not_found": "there is no document at this URL; correct the URL",
    "status": "the endpoint answered with an error status",
    "encoded": "the answer is compressed although no compression was requested; turn it off for this URL",
    "too_large": "the answer is larger or has more keys than limits.max_key_set_bytes and limits.max_key_set_keys allow",
    "not_json": "the answer is not JSON; is this the URL of a web page?",
    "not_a_key_set": 'the answer is not an object with a list "keys"; is this the URL of the key set?',
    "no_usable_key": "none of the keys can be used",
    "wrong_issuer": "the issuer's metadata names another issuer; configure the issuer exactly as it names itself",
    "not_discovery": "the issuer's metadata names no plain https URL of a key set; configure the URL in Jwks(…)",
}
"""For each kind of failure, in one sentence, what happened and what to do about it."""

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
