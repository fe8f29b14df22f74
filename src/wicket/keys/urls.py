"""Which URL may be named for a key set: its shape alone, before anything is resolved. The addresses come later."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

from wicket.errors import ConfigError, config_error

DEFAULT_PORTS: Final = frozenset({443, 8443})

_URL: Final = re.compile(
    r"https://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)",
    re.ASCII,
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?", re.ASCII)
_MAX_URL: Final = 2048


class KeySetUrl(NamedTuple):
    """A URL whose shape has been checked. `host` is lower case, `target` the path with the query."""

    host: str
    port: int
    target: str

    def __repr__(self) -> str:
        return f"KeySetUrl({self.redacted!r})"  # a query may hold a secret

    @property
    def text(self) -> str:
        """The URL in its canonical spelling."""
        port = "" if self.port == 443 else f":{self.port}"
        return f"https://{self.host}{port}{self.target}"

    @property
    def redacted(self) -> str:
        """The URL without its query, for logs and events."""
        return self.text.partition("?")[0]


def check_url(text: object, *, path: str = "url") -> KeySetUrl:
    """Read an https URL of plain shape. Raises `ConfigError` at `path`.

    Refused: any other scheme, userinfo, fragments, characters outside RFC 3986, dot segments (encoded ones too), hosts
    that are neither a DNS name nor an address in its one canonical spelling (`127.1`, `0x7f000001`, `2130706433`).
    """
    hint = "https://id.example.com/.well-known/jwks.json"
    if not isinstance(text, str) or len(text) > _MAX_URL:
        raise config_error(path, "is not a URL", hint)
    if not text.startswith("https://"):
        raise config_error(path, "must start with https://", hint)
    match = _URL.fullmatch(text)
    if match is None:
        raise config_error(path, "is not an https URL of a host and a path", hint)
    host, port, target = match["host"].lower(), int(match["port"] or 443), match["target"] or "/"
    if not 1 <= port <= 65535:
        raise config_error(path, "has no valid port")
    if any(re.fullmatch(r"(?:\.|%2[eE]){1,2}", segment) for segment in target.partition("?")[0].split("/")):
        raise config_error(path, "has dot segments")
    if not (target.startswith("/")):
        target = f"/{target}"
    _check_host(host, path)
    return KeySetUrl(host, port, target)


def _check_host(host: str, path: str) -> None:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise config_error(path, "has brackets without an IPv6 address") from None
        return
    labels = host.split(".")
    if not all(_LABEL.fullmatch(label) and len(label) <= 63 for label in labels) or len(host) > 253:
        raise config_error(path, "has a host that is no DNS name")
    if labels[-1].isdecimal() or labels[-1].startswith("0x"):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise config_error(path, "has a number for a host that is no plain IPv4 address") from None


def is_url(text: object) -> bool:
    """Whether `text` has the shape of a key set's URL."""
    try:
        check_url(text)
    except ConfigError:
        return False
    return True
