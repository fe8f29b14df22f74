"""From which pages an app may be called: origin patterns, and the one check of an Origin header against them.

A pattern is literal text, never a regular expression:

    https://a.com          exactly this scheme, host and port
    *.a.com                https, and every subdomain at any depth, but not a.com itself
    https://*.a.com        the same
    http://localhost:*     any port
    *                      every origin, by name
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple, TypeVar

from wicket.errors import Problems

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._*-]+)(?::(?P<port>[0-9]+|\*))?",
    re.ASCII,
)
_SERIALIZED: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]*)(?::(?P<port>[0-9]+))?",
    re.ASCII,
)
_WITH_HOST: Final = frozenset({"http", "https", "ws", "wss"})
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?", re.ASCII)
_DEFAULT_PORT: Final = {"https": "443", "http": "80"}
_LABELS: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9_-]*+(?<=[a-z0-9]))?+(?:\.[a-z0-9](?:[a-z0-9_-]*+(?<=[a-z0-9]))?+)*+", re.ASCII
)
_MAX_LENGTH: Final = 512
_MAX_HOST: Final = 253
_MAX_LABELS: Final = 127
"""A name in DNS has at most 253 characters, and so at most 127 labels (RFC 1035 section 2.3.4)."""
_ANY_PORT: Final = "*"
_FEW: Final = 4


V = TypeVar("V")


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: str


def _split(text: str) -> _Origin | None:
    """The parts of an origin or pattern in their canonical spelling; None where it is neither."""
    if len(text) > _MAX_LENGTH:
        return None
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    scheme, host, port = match["scheme"].lower(), match["host"].lower(), match["port"] or ""
    if len(host) > _MAX_HOST or host.count(".") >= _MAX_LABELS:
        return None
    if port and port != _ANY_PORT and (port[0] == "0" or len(port) > 5 or int(port) > 65535):
        return None
    return _Origin(scheme, host, "" if port == _DEFAULT_PORT.get(scheme) else port)


def is_origin(text: str) -> bool:
    """Whether `text` has the form of an Origin header that names an origin (RFC 6454 section 7): `scheme://host[:port]`.

    A custom scheme may have an empty host, or one of dots and dashes (`app://.`, `file://`). `null` names no origin.
    """
    match = _SERIALIZED.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        return False
    scheme, host, port = match["scheme"].lower(), match["host"], match["port"]
    if port is not None and (port[0] == "0" or len(port) > 5 or int(port) > 65535):
        return False
    if host.startswith("["):
        return _is_ipv6(host[1:-1])
    if scheme in _WITH_HOST:
        labels = host.lower().removesuffix(".").split(".")
        return len(host) <= _MAX_HOST and all(_LABEL.fullmatch(label) for label in labels)
    return bool(host) or port is None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


class OriginPolicy:
    """The origin patterns of one app, prepared so that a check does not grow with the number of exact patterns.

    An empty list admits every origin. Raises `ConfigError` with the path `[index]` of every pattern that is `null`,
    has a path, userinfo or a query, is a regular expression, or has a `*` anywhere but where the table above has it.
    """

    __slots__ = ("_any", "_depths", "_exact", "_ports", "_spelled", "_suffixes", "patterns")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        problems = Problems()
        self.patterns: tuple[str, ...] = problems.as_tuple("", patterns, "patterns")
        self._any = not self.patterns or "*" in self.patterns
        exact: set[_Origin] = set()
        ports: set[tuple[str, str]] = set()
        suffixes: set[_Origin] = set()
        for index, pattern in enumerate(self.patterns):
            wrong = _add(pattern, exact, ports, suffixes) if isinstance(pattern, str) else "must be a string"
            if wrong:
                problems.add(f"[{index}]", wrong, "https://app.example.com or *.example.com")
        problems.raise_if_any()
        self._spelled = _compact(pattern for pattern in self.patterns if "*" not in pattern)
        self._exact = _compact(exact)
        self._ports = _compact(ports)
        self._suffixes = _compact(suffixes)
        self._depths = tuple(sorted({origin.host.count(".") for origin in suffixes}))

    @property
    def explicit(self) -> bool:
        """Whether the patterns name whom they admit, rather than admitting every origin."""
        return not self._any

    def allows(self, origin: str | None) -> bool:
        """Whether a request with this Origin header may come in. Linear, literal, and never raises.

        A request without the header (None) may; `App(require_origin=True)` is the rule against that.
        """
        if self._any or origin is None:
            return True
        if len(origin) > _MAX_LENGTH:  # no pattern is as long, and even looking it up takes its time
            return False
        if origin in self._spelled:
            return True
        asking = _split(origin)
        if asking is None or "*" in origin:
            return False
        if asking in self._exact or (asking.scheme, asking.host) in self._ports:
            return True
        return bool(self._suffixes) and self._matches_suffix(asking)

    def _matches_suffix(self, asking: _Origin) -> bool:
        """Whether a pattern admits every subdomain of a parent of this host.

        Only as many parents are looked up as the patterns have depths, however many labels the host has.
        """
        scheme, host, port = asking
        points = host.count(".")
        if not _LABELS.fullmatch(host):
            return False
        labels = host.split(".")
        for depth in self._depths:
            if depth >= points:
                return False
            suffix = ".".join(labels[points - depth :])
            if _Origin(scheme, suffix, port) in self._suffixes or _Origin(scheme, suffix, _ANY_PORT) in self._suffixes:
                return True
        return False


def _compact(values: Iterable[V]) -> Collection[V]:
    """A tuple of a few, a set of many: a set takes as much room as a few dozen names, and apps are many."""
    held = tuple(values)
    return held if len(held) <= _FEW else frozenset(held)


def _add(pattern: str, exact: set[_Origin], ports: set[tuple[str, str]], suffixes: set[_Origin]) -> str | None:
    """Take one pattern in; what is wrong with it, if anything is."""
    if pattern == "*":
        return None
    if pattern == "null":
        return "null is the origin of every sandboxed page and cannot be admitted"
    origin = _split(f"https://{pattern}" if pattern.startswith("*.") else pattern)
    if origin is None:
        return "is not an origin: a scheme, a host, at most a port, and nothing else"
    scheme, host, port = origin
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return "the address in brackets is not an IPv6 address"
    elif not all(_LABEL.fullmatch(label) for label in host.removeprefix("*.").split(".")):
        return "the host must be labels of letters, digits and inner hyphens; * stands only for all subdomains"
    if host.startswith("*."):
        suffix = host[2:]
        if "." not in suffix and suffix != "localhost":
            return "would admit a whole top-level domain"
        suffixes.add(_Origin(scheme, suffix, port))
    elif port == _ANY_PORT:
        ports.add((scheme, host))
    else:
        exact.add(_Origin(scheme, host, port))
    return None
