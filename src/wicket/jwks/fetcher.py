"""The interface of a fetcher: its result, and its failures. This module imports no HTTP client.

`Gate(fetcher=…)` takes a fetcher of yours. It replaces the protection against SSRF: addresses, ports, redirects,
proxies, sizes and times are then only checked by it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args

from wicket.errors import WicketError
from wicket.keys.urls import KeySetUrl
from wicket.runtime.cache import LoadFailed

Kind = Literal[
    "forbidden_address",
    "forbidden_port",
    "forbidden_scheme",
    "proxy",
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
    "forbidden_address": "the host resolves to an address that is not allowed; "
    "if it is your own, add its network to Network(allowed_networks=…)",
    "forbidden_port": "only the ports 443 and 8443 are allowed; add the port to Network(extra_ports=…)",
    "forbidden_scheme": "http is not allowed for this origin and app; use https, or for an internal issuer a rule "
    "Network(rules={origin: Destination(allow_http=True)}), which lists the app in apps if it is of a registry",
    "proxy": "the proxy of the rule for this origin could not be reached or refused the connection",
    "unresolved": "the host name does not resolve; check the name and the DNS",
    "timeout": "the endpoint did not answer in time",
    "connection": "the endpoint could not be reached or closed the connection",
    "certificate": "the endpoint's certificate is not valid for its name; "
    "renew it, or trust its authority in Network(ssl_context=…)",
    "redirect": "the endpoint redirects, and redirects are not followed; configure the URL that it redirects to",
    "not_found": "there is no document at this URL; correct the URL",
    "status": "the endpoint answered with an error status",
    "encoded": "the response is compressed although no compression was requested; disable compression for this URL",
    "too_large": "the response is larger than limits.max_key_set_bytes, or has more keys than limits.max_key_set_keys",
    "not_json": "the response is not JSON; check that the URL is not that of a web page",
    "not_a_key_set": 'the response is not an object with a list "keys"; check that the URL is that of a key set',
    "no_usable_key": "none of the keys can be used",
    "wrong_issuer": "the issuer's metadata contains another issuer; configure the issuer exactly as in its metadata",
    "not_discovery": "the issuer's metadata contains no plain https URL of a key set; configure the URL in Jwks(…)",
}
"""The cause and the correction of each kind of failure."""

PERMANENT: Final = frozenset(
    {
        *(
            "forbidden_address",
            "forbidden_port",
            "forbidden_scheme",
            "redirect",
            "not_found",
            "encoded",
            "too_large",
            "not_json",
        ),
        *("not_a_key_set", "no_usable_key", "wrong_issuer", "not_discovery"),
    }
)
"""The kinds for which a retry does not help: the configuration or the endpoint is wrong. Logs and the CLI say so."""


_MAX_REASONS: Final = 8


def explain(kind: Kind, status: int | None = None, skipped: Sequence[str] = ()) -> str:
    """Return a sentence about a failure. Logs, the diagnostics and the command line show the same one.

    Args:
        kind: the kind of failure.
        status: the HTTP status of the response, if there was one.
        skipped: why the members of the key set cannot be used. At most 8 reasons are shown.
    """
    code = f" (status {status})" if status is not None else ""
    advice = "a retry will not help: correct the cause" if kind in PERMANENT else "a retry may help"
    return f"{kind}{code}: {MEANING[kind]}{list_reasons(skipped)}; {advice}"


def list_reasons(skipped: Sequence[str]) -> str:
    """Return the reasons why members of a key set are skipped, in parentheses. Empty if there are none."""
    more = f", and {len(skipped) - _MAX_REASONS} more" if len(skipped) > _MAX_REASONS else ""
    return f" ({'; '.join(skipped[:_MAX_REASONS])}{more})" if skipped else ""


class FetchFailed(LoadFailed):
    """A fetch failed.

    Args:
        kind: the kind of failure, see `MEANING`.
        retry_after: the pause that the endpoint asked for, in seconds, at most 300. None if it asked for none.
        status: the HTTP status of the response. None if there was none.
        skipped: if no member of the key set can be used, the reason for each.

    Attributes:
        permanent: True if a retry does not help.

    Raises:
        ValueError: `kind` is not one of `MEANING`.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        if kind not in get_args(Kind):
            raise ValueError(f"the kind of a FetchFailed must be one of {', '.join(get_args(Kind))}")
        super().__init__(kind)
        self.kind: Kind = kind
        self.permanent = kind in PERMANENT
        self.retry_after = retry_after
        self.status = status
        self.skipped = tuple(skipped)

    def explain(self) -> str:
        """Return a sentence with the kind, the cause and the correction."""
        return explain(self.kind, self.status, self.skipped)


class Fetched(NamedTuple):
    """The result of a successful fetch.

    Attributes:
        document: the parsed JSON document. None if it has not changed (304, RFC 9110 section 15.4.5).
        etag: the `ETag` of the response, or None.
        modified: the `Last-Modified` of the response, or None.
        max_age: `max-age` of `Cache-Control` in seconds (RFC 9111 section 5.2.2.1), or None.
        seconds: the duration of the fetch.
        address: the IP address of the connection. None if it is not known.
    """

    document: Any
    etag: str | None = None
    modified: str | None = None
    max_age: float | None = None
    seconds: float = 0.0
    address: str | None = None


class Fetcher(Protocol):
    """Fetches a JSON document, and blocks until it is complete. Implement it to use your own HTTP client."""

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        """Fetch a document.

        Args:
            url: the URL.
            etag: the value of `If-None-Match` (RFC 9110 section 13.1.2). None: do not send it.
            modified: the value of `If-Modified-Since` (RFC 9110 section 13.1.3). None: do not send it.

        Raises:
            FetchFailed: the fetch failed.
        """
        ...


class CustomFetcher:
    """Calls a fetcher of the operator and checks what it returns.

    Args:
        fetcher: the fetcher.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def for_app(self, app_id: str) -> Fetcher:
        """Return the fetcher for the key sets of an app: the same for each app.

        Args:
            app_id: the id of the app.
        """
        return self

    def __call__(self, url: KeySetUrl, *, etag: str | None, modified: str | None) -> Fetched:
        """Fetch a document. See `Fetcher`.

        Args:
            url: the URL.
            etag: the value of `If-None-Match`, or None.
            modified: the value of `If-Modified-Since`, or None.

        Raises:
            FetchFailed: the fetch failed.
            WicketError: the fetcher returned something else than a `Fetched`, for example a coroutine.
        """
        fetched: object = self._fetcher(url, etag=etag, modified=modified)
        if isinstance(fetched, Fetched):
            return fetched
        if inspect.iscoroutine(fetched):
            fetched.close()
        raise WicketError(
            f"Gate(fetcher=…) returned an object of the type {type(fetched).__name__}. It must return a wicket.Fetched,"
            " or raise wicket.FetchFailed, and must not be async"
        )
