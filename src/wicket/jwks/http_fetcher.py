"""One guarded HTTP fetch of a small JSON document. It blocks, ends by its deadline, and has a typed outcome.

https only, no redirects, no proxy of the environment, no cookies, one connection per fetch, one deadline for all of it.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpcore

from wicket.config.network import Network
from wicket.jwks.fetcher import Fetched, FetchFailed
from wicket.jwks.network_backend import GuardedBackend, ResponseTooLargeError
from wicket.jwks.ssrf import ForbiddenAddressError, ResolutionError
from wicket.keys.urls import KeySetUrl

_FRAMING: Final = 128 * 1024
_MAX_RETRY_AFTER: Final = 300.0
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,10})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GuardedFetcher:
    """The fetcher that Wicket brings: it dials only what `network` admits. Times are seconds, `max_bytes` is bytes.

    `crowded` says that other fetches wait for a thread: then one that takes long gives way.
    """

    network: Network
    ssl_context: ssl.SSLContext
    connect_seconds: float = 2.0
    total_seconds: float = 5.0
    max_bytes: int = 256 * 1024
    crowded: Callable[[], bool] = bool

    def __call__(self, url: KeySetUrl, *, etag: str | None = None, modified: str | None = None) -> Fetched:
        """Fetch `url` within `total_seconds`. Raises `FetchFailed`, and nothing else."""
        if url.port not in self.network.allowed_ports:
            raise FetchFailed("forbidden_port")
        begun = time.monotonic()
        backend = GuardedBackend(
            self.network,
            connect_seconds=self.connect_seconds,
            total_seconds=self.total_seconds,
            max_bytes=self.max_bytes + _FRAMING,
            crowded=self.crowded,
        )
        headers = [
            ("Host", url.host if url.port == 443 else f"{url.host}:{url.port}"),
            ("Accept", "application/json, application/jwk-set+json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "wicket"),
            ("Connection", "close"),
        ]
        if etag is not None:
            headers.append(("If-None-Match", etag))
        if modified is not None:
            headers.append(("If-Modified-Since", modified))
        # In parts: a URL as one text would lose what stands behind a semicolon.
        target = httpcore.URL(
            scheme=b"https", host=url.host.strip("[]").encode(), port=url.port, target=url.target.encode()
        )
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=self.ssl_context, network_backend=backend, max_connections=1
                ) as pool,
                pool.stream("GET", target, headers=headers) as response,
            ):
                return self._read(response, begun, backend)
        except ResponseTooLargeError:
            raise FetchFailed("too_large") from None
        except ForbiddenAddressError:
            raise FetchFailed("forbidden_address") from None
        except ResolutionError:
            raise FetchFailed("unresolved") from None
        except httpcore.TimeoutException:
            raise FetchFailed("timeout") from None
        except httpcore.ConnectError as error:
            certificate = isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE" in str(error)
            raise FetchFailed("certificate" if certificate else "connection") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            raise FetchFailed("connection") from None
        except (TypeError, ValueError, RecursionError):  # a TLS context that another library has patched meanwhile
            raise FetchFailed("connection") from None

    def _read(self, response: httpcore.Response, begun: float, backend: GuardedBackend) -> Fetched:
        fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers]
        headers = dict(fields)
        caching = ", ".join(value for name, value in fields if name == "cache-control")  # a list (RFC 9110 section 5.3)
        _check_status(response.status, headers)
        document: Any = None
        if response.status != 304:
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

    def _body(self, response: httpcore.Response, headers: Mapping[str, str]) -> bytes:
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > self.max_bytes:
            raise FetchFailed("too_large")
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > self.max_bytes:
                raise FetchFailed("too_large")
        return bytes(body)


def _check_status(status: int, headers: Mapping[str, str]) -> None:
    if status in (200, 304):
        return
    if 300 <= status < 400:
        raise FetchFailed("redirect", status=status)
    if status in (404, 410):
        raise FetchFailed("not_found", status=status)
    raise FetchFailed("status", status=status, retry_after=_retry_after(headers.get("retry-after")))


def _retry_after(value: str | None) -> float | None:
    """`Retry-After` in seconds (RFC 9110 section 10.2.3), at most five minutes; None where it is absent or odd."""
    if value is None:
        return None
    if value.isdecimal():
        return min(float(value[:9]), _MAX_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)


def _validator(value: str | None) -> str | None:
    """A validator to be sent back, if it is short and plain."""
    return value if value is not None and len(value) <= 256 and value.isascii() and value.isprintable() else None


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise FetchFailed("not_json") from None
