"""Origin patterns of an app, and the check of an Origin header against them.

A pattern is a literal string, never a regular expression:

    https://a.com                  exactly this scheme, host and port
    *.a.com                        https, and every subdomain at any depth, but not a.com itself
    https://*.a.com                the same
    https://app-*-team.a.com       one or more characters within this one label, for example of preview deployments
    http://localhost:*             any port
    capacitor://localhost, app://., file://
                                   a custom scheme: exactly this string
    *                              every origin
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple, TypeVar

from wicket.errors import Problems

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~*-]*)(?::(?P<port>[0-9]+|\*))?",
    re.ASCII,
)
_ORIGIN_HEADER: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]*)(?::(?P<port>[0-9]+))?",
    re.ASCII,
)
_SCHEMES_WITH_HOST: Final = frozenset({"http", "https", "ws", "wss"})
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?", re.ASCII)
_DEFAULT_PORT: Final = {"https": "443", "http": "80"}
_HOST_LABELS: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9_-]*+(?<=[a-z0-9]))?+(?:\.[a-z0-9](?:[a-z0-9_-]*+(?<=[a-z0-9]))?+)*+", re.ASCII
)
_MAX_LENGTH: Final = 512
_MAX_HOST: Final = 253
_MAX_LABELS: Final = 127
"""A DNS name has at most 253 characters and therefore at most 127 labels (RFC 1035 section 2.3.4)."""
_ANY_PORT: Final = "*"
_MAX_TUPLE_SIZE: Final = 4
"""The largest collection that is stored as a tuple instead of a frozenset."""

V = TypeVar("V")


class _Origin(NamedTuple):
    """An origin or pattern in canonical form: lower case, and an empty port for the scheme's default port."""

    scheme: str
    host: str
    port: str


class _LabelPattern(NamedTuple):
    """A pattern with a `*` within one label. The `*` matches one or more characters of that label.

    Attributes:
        scheme: The scheme.
        before: The part of the host before the `*`.
        after: The part of the host after the `*`.
        port: The port, or `*`.
    """

    scheme: str
    before: str
    after: str
    port: str

    def matches(self, origin: _Origin) -> bool:
        """Return whether an origin whose host is a valid DNS name matches."""
        scheme, host, port = origin
        if scheme != self.scheme or self.port not in (port, _ANY_PORT):
            return False
        if not (host.startswith(self.before) and host.endswith(self.after)):
            return False
        matched = host[len(self.before) : len(host) - len(self.after)]
        return matched != "" and "." not in matched and len(host) > len(self.before) + len(self.after)


def _parse_origin(value: str) -> _Origin | None:
    """Parse an origin or pattern into its canonical parts. Return None if it is neither."""
    if len(value) > _MAX_LENGTH:
        return None
    match = _ORIGIN.fullmatch(value)
    if match is None:
        return None
    scheme, host, port = match["scheme"].lower(), match["host"].lower(), match["port"] or ""
    if len(host) > _MAX_HOST or host.count(".") >= _MAX_LABELS:
        return None
    if port and port != _ANY_PORT and (port[0] == "0" or len(port) > 5 or int(port) > 65535):
        return None
    return _Origin(scheme, host, "" if port == _DEFAULT_PORT.get(scheme) else port)


def is_origin(value: str) -> bool:
    """Return whether `value` has the form `scheme://host[:port]` of a serialized origin (RFC 6454 section 6.2).

    With a custom scheme, the host may be empty or consist of dots and hyphens (`app://.`, `file://`). `null` is no
    origin (RFC 6454 section 7).
    """
    match = _ORIGIN_HEADER.fullmatch(value) if len(value) <= _MAX_LENGTH else None
    if match is None:
        return False
    scheme, host, port = match["scheme"].lower(), match["host"], match["port"]
    if port is not None and (port[0] == "0" or len(port) > 5 or int(port) > 65535):
        return False
    if host.startswith("["):
        return _is_ipv6(host[1:-1])
    if scheme in _SCHEMES_WITH_HOST:
        labels = host.lower().removesuffix(".").split(".")
        return len(host) <= _MAX_HOST and all(_LABEL.fullmatch(label) for label in labels)
    return bool(host) or port is None


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


class OriginPolicy:
    """The origin patterns of one app. The time of a check does not depend on the number of exact patterns.

    Args:
        patterns: The patterns, as in the table at the top of this module. Without any, every origin is allowed.

    Raises:
        ConfigError: A pattern is `null`, has a path, userinfo or a query, is a regular expression, or has a `*` in
            another position than the table shows. Each problem has the path `[index]` of its pattern.
    """

    __slots__ = ("_allows_all", "_depths", "_exact", "_labels", "_literal", "_ports", "_suffixes", "patterns")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        problems = Problems()
        self.patterns: tuple[str, ...] = problems.as_tuple("", patterns, "patterns")
        self._allows_all = not self.patterns or "*" in self.patterns
        exact: set[_Origin] = set()
        ports: set[tuple[str, str]] = set()
        suffixes: set[_Origin] = set()
        labels: set[_LabelPattern] = set()
        for index, pattern in enumerate(self.patterns):
            error = (
                _add_pattern(pattern, exact, ports, suffixes, labels)
                if isinstance(pattern, str)
                else "must be a string"
            )
            if error:
                problems.add(f"[{index}]", error, "https://app.example.com or *.example.com")
        problems.raise_if_any()
        self._literal = _compact(pattern for pattern in self.patterns if "*" not in pattern)
        self._exact = _compact(exact)
        self._ports = _compact(ports)
        self._suffixes = _compact(suffixes)
        self._labels = tuple(labels)
        self._depths = tuple(sorted({origin.host.count(".") for origin in suffixes}))

    @property
    def explicit(self) -> bool:
        """Whether the policy lists the allowed origins. False if it allows every origin."""
        return not self._allows_all

    def allows(self, origin: str | None) -> bool:
        """Return whether a request with this Origin header is allowed. Runs in linear time and never raises.

        Args:
            origin: The value of the Origin header. None: the request has no such header. It is then allowed; use
                `App(require_origin=True)` to refuse it.
        """
        if self._allows_all or origin is None:
            return True
        if len(origin) > _MAX_LENGTH:  # longer than every pattern, and the lookup would have to hash it
            return False
        if origin in self._literal:
            return True
        parsed = _parse_origin(origin)
        if parsed is None or "*" in origin:
            return False
        if parsed in self._exact or (parsed.scheme, parsed.host) in self._ports:
            return True
        if not (self._suffixes or self._labels) or not _HOST_LABELS.fullmatch(parsed.host):
            return False
        return self._matches_suffix(parsed) or any(pattern.matches(parsed) for pattern in self._labels)

    def lists(self, origin: str) -> bool:
        """Return whether a pattern without `*` is this origin.

        Args:
            origin: The value of the Origin header.
        """
        return len(origin) <= _MAX_LENGTH and (origin in self._literal or _parse_origin(origin) in self._exact)

    def _matches_suffix(self, parsed: _Origin) -> bool:
        """Return whether a `*.` pattern matches the host.

        The number of lookups is the number of distinct pattern depths. It does not depend on the host's labels.
        """
        scheme, host, port = parsed
        dots = host.count(".")
        labels = host.split(".")
        for depth in self._depths:
            if depth >= dots:
                return False
            suffix = ".".join(labels[dots - depth :])
            if _Origin(scheme, suffix, port) in self._suffixes or _Origin(scheme, suffix, _ANY_PORT) in self._suffixes:
                return True
        return False


def _compact(values: Iterable[V]) -> Collection[V]:
    """Return a tuple of few values or a frozenset of many. With many apps, small tuples save memory."""
    items = tuple(values)
    return items if len(items) <= _MAX_TUPLE_SIZE else frozenset(items)


def _add_pattern(
    pattern: str,
    exact: set[_Origin],
    ports: set[tuple[str, str]],
    suffixes: set[_Origin],
    label_patterns: set[_LabelPattern],
) -> str | None:
    """Add one pattern to the set for its form. Return an error message if it is invalid, otherwise None."""
    if pattern == "*":
        return None
    if pattern == "null":
        return "null is the origin of every sandboxed page and cannot be allowed"
    origin = _parse_origin(f"https://{pattern}" if pattern.startswith("*.") else pattern)
    if origin is None:
        return "is not an origin: it must have a scheme, a host and optionally a port, and nothing else"
    scheme, host, port = origin
    if scheme not in _SCHEMES_WITH_HOST:
        if "*" in pattern:
            return "a custom scheme must be listed exactly, without *"
        if not is_origin(pattern):
            return "is not an origin: it must have a scheme, a host and optionally a port, and nothing else"
        if host.startswith("[") or all(_LABEL.fullmatch(label) for label in host.split(".")):
            exact.add(origin)
        return None  # without a host name, as in `app://.`, only the same string is the same origin
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return "the address in brackets is not an IPv6 address"
    elif not all(_LABEL.fullmatch(label) for label in _without_wildcard(host).split(".")):
        return "the host must be labels of letters, digits and inner hyphens, with one * at the most: *. or in a label"
    if host.startswith("*."):
        suffix = host[2:]
        if "." not in suffix and suffix != "localhost":
            return "would allow a whole top-level domain"
        suffixes.add(_Origin(scheme, suffix, port))
    elif "*" in host:
        before, _, after = host.partition("*")
        rest = after.partition(".")[2]
        if ("." not in rest and rest != "localhost") or rest.rpartition(".")[2].isdecimal():
            return "would allow a whole top-level domain, or many addresses"
        label_patterns.add(_LabelPattern(scheme, before, after, port))
    elif port == _ANY_PORT:
        ports.add((scheme, host))
    else:
        exact.add(_Origin(scheme, host, port))
    return None


def _without_wildcard(host: str) -> str:
    """Return the host of a pattern with a valid label for its one wildcard, so that the labels can be checked.

    A label that is only `*` and is not the first one stays, and is invalid.
    """
    if host.startswith("*."):
        return host[2:]
    before, wildcard, after = host.partition("*")
    alone = (not before or before.endswith(".")) and after[:1] in ("", ".")
    return f"{before}0{after}" if wildcard and not alone else host


NO_ORIGINS: Final = OriginPolicy()
"""A policy without patterns. It lists no origin, and allows every one."""
