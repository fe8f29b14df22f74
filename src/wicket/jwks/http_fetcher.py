"""An HTTP fetcher for small JSON documents, with protection against SSRF.

It uses httpx over a guarded transport (`wicket.jwks.transport`), and https only. It follows no redirects, uses no proxy
from the environment, and sends no cookies. Each fetch uses one connection and has one deadline. A rule of the operator
(`Destination`) can add headers, a TLS context, a proxy or plain http for one exact origin.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpcore
import httpx

from wicket.config.network import Destination, Network
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.jwks.network_backend import GuardedBackend, ResponseTooLargeError
from wicket.jwks.ssrf import ForbiddenAddressError, ResolutionError, is_allowed, is_any, is_private_or_listed
from wicket.jwks.transport import GuardedTransport
from wicket.keys.urls import KeySetUrl
from wicket.runtime.entries import LONGEST_RETRY_AFTER

_FRAMING: Final = 128 * 1024
"""The bytes that a response may have in addition to its body, for its header section and chunk framing."""
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,10})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GuardedFetcher:
    """A blocking fetcher that connects only to allowed addresses and ports.

    Attributes:
        network: the allowed addresses and ports.
        ssl_context: verifies the certificates of the endpoints.
        connect_seconds: the deadline for the connection and the TLS handshake, in seconds.
        total_seconds: the deadline for the whole fetch, in seconds.
        max_bytes: the maximum size of a body in bytes.
        has_backlog: returns whether other fetches wait for a thread. Then a slow fetch is aborted.
    """

    network: Network
    ssl_context: ssl.SSLContext
    connect_seconds: float = 2.0
    total_seconds: float = 5.0
    max_bytes: int = 256 * 1024
    has_backlog: Callable[[], bool] = bool

    def __call__(
        self,
        url: KeySetUrl,
        *,
        etag: str | None = None,
        modified: str | None = None,
        rule: Destination | None = None,
    ) -> Fetched:
        """Fetch one document. Blocks for at most `total_seconds`.

        Args:
            url: the URL.
            etag: the value of `If-None-Match`, or None.
            modified: the value of `If-Modified-Since`, or None.
            rule: the rule for the origin of the URL and the app. None: there is none.

        Raises:
            FetchFailed: the fetch failed. No other exception is raised.
        """
        allow_http, proxy = (rule.allow_http, rule.proxy) if rule is not None else (False, None)
        if url.scheme != "https" and not allow_http:
            raise FetchFailed("forbidden_scheme")
        if url.port not in self.network.allowed_ports and rule is None:
            raise FetchFailed("forbidden_port")
        ssl_context = rule.ssl_context if rule is not None and rule.ssl_context is not None else self.ssl_context
        begun = time.monotonic()
        backend = GuardedBackend(
            self.network,
            connect_seconds=self.connect_seconds,
            total_seconds=self.total_seconds,
            max_bytes=self.max_bytes + _FRAMING,
            has_backlog=self.has_backlog,
            check=is_any if proxy is not None else is_private_or_listed if allow_http else is_allowed,
        )
        headers = _request_headers(url, rule.headers if rule is not None else {}, etag, modified)
        try:
            # httpx logs the URL, so it gets no query. The target is sent as it is: httpx would normalize it.
            request = httpx.Request("GET", url.redacted, headers=headers, extensions={"target": url.target.encode()})
            with (
                httpx.Client(
                    transport=GuardedTransport(ssl_context, backend, proxy, self.ssl_context),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=None,  # the backend has the deadlines
                    event_hooks={"response": [_check_status]},
                ) as client,
                closing(client.send(request, stream=True)) as response,
            ):
                fetched = self._read(response, begun, backend)
                return fetched if proxy is None else fetched._replace(address=None)
        except httpcore.ProxyError:
            raise FetchFailed("proxy") from None
        except ResponseTooLargeError:
            raise FetchFailed("too_large") from None
        except ForbiddenAddressError:
            raise FetchFailed("forbidden_address") from None
        except ResolutionError:
            raise FetchFailed("unresolved" if proxy is None else "proxy") from None
        except httpcore.TimeoutException:
            raise FetchFailed("timeout") from None
        except httpcore.ConnectError as error:
            certificate = isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE" in str(error)
            unreached = proxy is not None and backend.connected_address is None
            raise FetchFailed("certificate" if certificate else "proxy" if unreached else "connection") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            raise FetchFailed("connection") from None
        except (httpx.InvalidURL, TypeError, ValueError, RecursionError):  # another library has patched the TLS context
            raise FetchFailed("connection") from None

    def _read(self, response: httpx.Response, begun: float, backend: GuardedBackend) -> Fetched:
        """Check a response and parse its body. `begun` is the start of the fetch by the monotonic clock."""
        fields = _fields(response)
        headers = dict(fields)
        caching = ", ".join(
            value for name, value in fields if name == "cache-control"
        )  # a list field (RFC 9110 section 5.3)
        document: Any = None
        if response.status_code != 304:
            if headers.get("content-encoding", "identity").strip().lower() != "identity":
                raise FetchFailed("encoded")
            document = _parse(self._body(response, headers))
            if document is None:
                raise FetchFailed("not_a_key_set")
        age = _MAX_AGE.search(caching)
        return Fetched(
            document,
            _validator(headers.get("etag")),
            _validator(headers.get("last-modified")),
            float(age[1]) if age else None,
            time.monotonic() - begun,
            backend.connected_address,
        )

    def _body(self, response: httpx.Response, headers: Mapping[str, str]) -> bytes:
        """Read the body without decoding it. Raises `FetchFailed` if it is larger than `max_bytes`."""
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > self.max_bytes:
            raise FetchFailed("too_large")
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > self.max_bytes:
                raise FetchFailed("too_large")
        return bytes(body)


def _request_headers(
    url: KeySetUrl, added: Mapping[str, str], etag: str | None, modified: str | None
) -> list[tuple[str, str]]:
    """Return the request headers. The `added` ones replace those of the same name."""
    headers = [
        ("Host", url.authority),
        ("Accept", "application/json, application/jwk-set+json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "wicket"),
        ("Connection", "close"),
    ]
    names = {name.lower() for name in added}
    headers = [*(pair for pair in headers if pair[0].lower() not in names), *added.items()]
    if etag is not None:
        headers.append(("If-None-Match", etag))
    if modified is not None:
        headers.append(("If-Modified-Since", modified))
    return headers


def _fields(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the header fields, with names in lower case."""
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw]


def _check_status(response: httpx.Response) -> None:
    """Raise `FetchFailed` unless the status is 200 or 304. It runs before httpx parses the target of a redirect."""
    status = response.status_code
    if status in (200, 304):
        return
    if 300 <= status < 400:
        raise FetchFailed("redirect", status=status)
    if status in (404, 410):
        raise FetchFailed("not_found", status=status)
    raise FetchFailed("status", status=status, retry_after=_retry_after(dict(_fields(response)).get("retry-after")))


def _retry_after(value: str | None) -> float | None:
    """Return `Retry-After` in seconds (RFC 9110 section 10.2.3), at most 300. None if it is absent or invalid."""
    if value is None:
        return None
    if value.isdecimal():
        return min(float(value[:9]), LONGEST_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _validator(value: str | None) -> str | None:
    """Return a validator for the next request. None if it is longer than 256 characters or not printable ASCII."""
    return value if value is not None and len(value) <= 256 and value.isascii() and value.isprintable() else None


def _parse(body: bytes) -> Any:
    """Parse a body as JSON in UTF-8. Raises `FetchFailed`."""
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise FetchFailed("not_json") from None
