"""Syntax checks for the URL of a key set. Addresses are checked when the URL is fetched (`wicket.jwks.ssrf`)."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

from wicket.errors import config_error

DEFAULT_PORTS: Final = frozenset({443, 8443})
"""The ports that may be fetched from, unless the operator adds more (`Network`)."""

_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)",
    re.ASCII,
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?", re.ASCII)
_EXAMPLE: Final = "https://id.example.com/.well-known/jwks.json"
_MAX_URL: Final = 2048


class KeySetUrl(NamedTuple):
    """A URL that `check_url` has accepted.

    Attributes:
        host: the host name or address in lower case. An IPv6 address is in brackets.
        port: the port.
        target: the path with the query.
        scheme: `https`, or `http` if that was allowed.
    """

    host: str
    port: int
    target: str
    scheme: str = "https"

    def __repr__(self) -> str:
        return f"KeySetUrl({self.redacted!r})"  # a query may hold a secret

    @property
    def text(self) -> str:
        """The URL as a string, without the default port."""
        return f"{self.origin}{self.target}"

    @property
    def origin(self) -> str:
        """Scheme, host and port (RFC 6454 section 6.2), without the default port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port, without the default port: the value of the `Host` header (RFC 9110 section 7.2)."""
        return self.host if self.port == _DEFAULT_PORT[self.scheme] else f"{self.host}:{self.port}"

    @property
    def redacted(self) -> str:
        """The URL without its query, for logs and events."""
        return self.text.partition("?")[0]


def check_url(url: object, *, path: str = "url", allow_http: bool = False) -> KeySetUrl:
    """Parse an https URL and check its syntax.

    Args:
        url: the URL.
        path: the path of the setting, for the error.
        allow_http: whether the scheme may also be `http`.

    Raises:
        ConfigError: the URL has another scheme, userinfo, a fragment, a character outside RFC 3986, or a dot segment
            (percent-encoded ones too), or its host is neither a DNS name nor an IP address in canonical notation. Not
            canonical are, for example, `127.1`, `0x7f000001` and `2130706433`.
    """
    if not isinstance(url, str) or len(url) > _MAX_URL:
        raise config_error(path, "is not a URL", _EXAMPLE)
    if not url.startswith("https://") and not (allow_http and url.startswith("http://")):
        hint = _EXAMPLE
        if url.startswith("http://"):
            hint = f"{hint}; for an issuer inside your network: allow_http=True, and a rule of Network for its origin"
        raise config_error(path, "must start with https://", hint)
    match = _URL.fullmatch(url)
    if match is None:
        raise config_error(path, "is not an https URL of a host and a path", _EXAMPLE)
    scheme, host, target = match["scheme"], match["host"].lower(), match["target"] or "/"
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if not 1 <= port <= 65535:
        raise config_error(path, "has no valid port", _EXAMPLE)
    if any(re.fullmatch(r"(?:\.|%2[eE]){1,2}", segment) for segment in target.partition("?")[0].split("/")):
        raise config_error(path, "has dot segments", _EXAMPLE)
    if not target.startswith("/"):
        target = f"/{target}"
    _check_host(host, path)
    return KeySetUrl(host, port, target, scheme)


def _check_host(host: str, path: str) -> None:
    """Raise `ConfigError` unless `host` is a DNS name or an IP address in canonical notation."""
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise config_error(path, "has brackets without an IPv6 address", _EXAMPLE) from None
        return
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) and len(label) <= 63 for label in labels) or len(host) > 253:
        raise config_error(path, "has a host that is not a DNS name", _EXAMPLE)
    if labels[-1].isdecimal() or labels[-1].startswith("0x"):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise config_error(path, "has a numeric host that is not a plain IPv4 address", _EXAMPLE) from None
