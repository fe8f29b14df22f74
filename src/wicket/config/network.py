"""The network rules for a gate's key-set fetches. Only the operator sets them, never a tenant."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from wicket.config.locations import is_valid_name
from wicket.errors import ConfigError, Problems
from wicket.keys.urls import DEFAULT_PORTS, KeySetUrl, check_url
from wicket.messages.headers import HTTP_TOKEN

if TYPE_CHECKING:
    import ssl  # it takes milliseconds, and most gates need it only at the first fetch

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]
"""A function that takes a host and a port and returns the host's IP addresses."""

_PROXY: Final = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^\s:@/?#]*):(?P<password>[^\s:@/?#]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII,
)
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_FETCH_HEADERS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "cookie", "expect", "host", "if-modified-since"),
        *("if-none-match", "proxy-authorization", "range", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""The headers that a rule cannot set: the fetch sets or omits them itself."""


class Proxy(NamedTuple):
    """An HTTP proxy (RFC 9110 section 9.3.6).

    Attributes:
        scheme: `http` or `https`: the protocol between the gate and the proxy.
        host: the host name or address.
        port: the port.
        auth: the user and the password, or None.
    """

    scheme: str
    host: str
    port: int
    auth: tuple[str, str] | None

    def __repr__(self) -> str:
        return f"Proxy(scheme={self.scheme!r}, host={self.host!r}, port={self.port}, auth={self.auth is not None})"


@dataclass(frozen=True, init=False)
class Destination:
    """What the operator allows or adds for fetches from one exact origin: a value of `Network(rules=…)`.

    A rule applies only to apps that are configured in code or in the file of `Gate.from_file`, and to the apps of a
    registry that `apps` lists. For every other app, and for every other origin, there is no rule.

    Args:
        headers: Request headers, for example `Authorization`. They are sent to this origin only.
        ssl_context: Verifies the certificate of the origin, and may hold a client certificate. None: that of `Network`.
        proxy: The URL of an HTTP proxy, `http://[user:password@]host:port`. The proxy resolves the host name, so the
            address that it connects to is not checked. The URL is a secret if it has a password.
        allow_http: Whether the origin is an `http://` origin. The fetch is then not encrypted. Every address of the
            host must be private (RFC 1918, RFC 4193), loopback or in `Network.allowed_networks`.
        apps: The ids of further apps that the rule applies to, from a registry.

    Raises:
        ConfigError: A value is invalid. Each problem has the path to its field.
    """

    headers: Mapping[str, str] = field(hash=False)
    ssl_context: ssl.SSLContext | None
    proxy: Proxy | None
    allow_http: bool
    apps: frozenset[str]

    def __init__(
        self,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        allow_http: bool = False,
        apps: Iterable[str] = (),
    ) -> None:
        problems = Problems()
        _check_headers(problems, headers)
        _check_ssl_context(problems, "ssl_context", ssl_context)
        parsed = _parse_proxy(problems, proxy)
        if not isinstance(allow_http, bool):
            problems.add("allow_http", "must be true or false")
        ids = problems.as_tuple("apps", apps, "app ids")
        if not all(isinstance(app, str) and is_valid_name(app) for app in ids):
            problems.add("apps", "must be the ids of apps", '["acme"]')
        problems.raise_if_any()
        object.__setattr__(self, "headers", MappingProxyType(dict(headers)))
        object.__setattr__(self, "ssl_context", ssl_context)
        object.__setattr__(self, "proxy", parsed)
        object.__setattr__(self, "allow_http", allow_http)
        object.__setattr__(self, "apps", frozenset(ids))

    def __repr__(self) -> str:
        return (
            f"Destination(headers={sorted(self.headers)}, ssl_context={self.ssl_context is not None},"
            f" proxy={self.proxy is not None}, allow_http={self.allow_http}, apps={sorted(self.apps)})"
        )


@dataclass(frozen=True, init=False)
class Network:
    """The addresses, ports and certificates that one gate's fetches may use. Only the operator sets it, never a tenant.

    Args:
        allowed_networks: Networks in CIDR notation that fetches may connect to in addition to public addresses, for
            example for an internal identity provider.
        extra_ports: Ports that fetches may connect to in addition to 443 and 8443.
        ssl_context: Verifies the certificates of the endpoints. None: the system's certificate authorities.
        resolver: A function that takes a host and a port and returns IP addresses. None: the system's resolver.
        rules: What applies to single origins, by origin: `{"https://id.corp.example": Destination(…)}`. An origin is
            scheme, host and, unless it is the default, port. Its port needs no entry in `extra_ports`, except with a
            proxy.

    Raises:
        ConfigError: A value is invalid. Each problem has the path to its field.
    """

    allowed_networks: tuple[IPNetwork, ...]
    allowed_ports: frozenset[int]
    ssl_context: ssl.SSLContext | None
    resolver: Resolver | None
    rules: Mapping[str, Destination] = field(hash=False)

    def __init__(
        self,
        allowed_networks: Iterable[str] = (),
        extra_ports: Iterable[int] = (),
        *,
        ssl_context: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        rules: Mapping[str, Destination] = MappingProxyType({}),
    ) -> None:
        problems = Problems()
        networks: list[IPNetwork] = []
        for index, block in enumerate(problems.as_tuple("network.allowed_networks", allowed_networks, "networks")):
            try:
                # ip_network also accepts integers and bytes, which are not allowed here.
                networks.append(ipaddress.ip_network(block if isinstance(block, str) else ""))
            except ValueError:
                problems.add(f"network.allowed_networks[{index}]", "is not a network", "10.0.0.0/8")
        for index, port in enumerate(ports := problems.as_tuple("network.extra_ports", extra_ports, "ports")):
            if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
                problems.add(f"network.extra_ports[{index}]", "is not a port", "a whole number from 1 to 65535")
        _check_ssl_context(problems, "network.ssl_context", ssl_context)
        if resolver is not None and not callable(resolver):
            problems.add("network.resolver", "must be a function that takes a host and a port and returns addresses")
        allowed_ports = DEFAULT_PORTS.union(port for port in ports if isinstance(port, int))
        by_origin = _check_rules(problems, rules, allowed_ports)
        problems.raise_if_any()
        object.__setattr__(self, "allowed_networks", tuple(networks))
        object.__setattr__(self, "allowed_ports", allowed_ports)
        object.__setattr__(self, "ssl_context", ssl_context)
        object.__setattr__(self, "resolver", resolver)
        object.__setattr__(self, "rules", MappingProxyType(by_origin))

    def rule_for(self, url: KeySetUrl, app_id: str, configured: frozenset[str]) -> Destination | None:
        """Return the rule for a fetch, or None.

        Args:
            url: The URL of the fetch. Its origin must be exactly that of the rule.
            app_id: The id of the app that needs the document.
            configured: The ids of the apps that are configured in code or in a file.
        """
        rule = self.rules.get(url.origin)
        return rule if rule is not None and (app_id in configured or app_id in rule.apps) else None


def _check_ssl_context(problems: Problems, path: str, context: object) -> None:
    if context is None:
        return
    import ssl

    if not isinstance(context, ssl.SSLContext):
        problems.add(path, "must be an ssl.SSLContext")


def _check_headers(problems: Problems, headers: Any) -> None:
    """Add a problem for each header that is invalid, or that the fetch sets itself. No message quotes a value."""
    if not isinstance(headers, Mapping):
        problems.add("headers", "must map header names to values", '{"Authorization": …}')
        return
    names: set[str] = set()
    for name, value in headers.items():
        if not isinstance(name, str) or HTTP_TOKEN.fullmatch(name) is None:
            problems.add("headers", "has a name that is not an HTTP token", "RFC 9110 section 5.6.2")
            continue
        if name.lower() in _FETCH_HEADERS:
            problems.add(f"headers.{name}", "cannot be set, because the fetch sets or omits it itself", "remove it")
        elif name.lower() in names:
            problems.add(f"headers.{name}", "is there twice", "header names are case-insensitive")
        if not isinstance(value, str) or _HEADER_VALUE.fullmatch(value) is None:
            problems.add(f"headers.{name}", "has a value that is not visible ASCII", "RFC 9110 section 5.5")
        names.add(name.lower())


def _parse_proxy(problems: Problems, proxy: object) -> Proxy | None:
    """Parse the URL of a proxy. The message of a problem does not quote it, because it may hold a password."""
    if proxy is None:
        return None
    match = _PROXY.fullmatch(proxy) if isinstance(proxy, str) else None
    if match is None or not 1 <= (port := int(match["port"] or (443 if match["scheme"] == "https" else 80))) <= 65535:
        problems.add("proxy", "is not the URL of an HTTP proxy", "http://proxy.corp.example:3128")
        return None
    auth = None if match["user"] is None else (unquote(match["user"]), unquote(match["password"]))
    if auth is not None and not "".join(auth).isascii():
        problems.add("proxy", "has a user or password that is not ASCII", "percent-encode only ASCII")
    return Proxy(match["scheme"], match["host"].lower(), port, auth)


def _check_rules(problems: Problems, rules: Any, allowed_ports: frozenset[int]) -> dict[str, Destination]:
    """Return the rules by the origin in the form of `KeySetUrl.origin`. Add a problem for each invalid one."""
    if not isinstance(rules, Mapping):
        problems.add("network.rules", "must map origins to destinations", '{"https://id.corp.example": Destination(…)}')
        return {}
    by_origin: dict[str, Destination] = {}
    for origin, rule in rules.items():
        path = f"network.rules[{origin!r}]"
        try:
            url = check_url(origin, path="", allow_http=True)
        except ConfigError as error:
            problems.merge(path, error)
            continue
        if url.target != "/" or origin.endswith("/"):
            problems.add(path, "must be an origin, without a path", "https://id.corp.example")
        elif url.origin in by_origin:
            problems.add(path, "is the origin of another rule", "keep one of the two")
        elif not isinstance(rule, Destination):
            problems.add(path, "must be a Destination")
        else:
            _check_rule(problems, path, url, rule, allowed_ports)
            by_origin[url.origin] = rule
    return by_origin


def _check_rule(
    problems: Problems, path: str, url: KeySetUrl, rule: Destination, allowed_ports: frozenset[int]
) -> None:
    """Check a rule against its origin. With a proxy, only the name and the port of the origin can be checked."""
    if rule.allow_http != (url.scheme == "http"):
        message = "is an http origin and needs allow_http=True" if url.scheme == "http" else "is not an http origin"
        problems.add(f"{path}.allow_http", message, "only an http origin has allow_http")
    if url.scheme == "http" and rule.ssl_context is not None:
        problems.add(f"{path}.ssl_context", "needs an https origin", "remove it")
    if rule.proxy is None:
        return
    if url.scheme == "http":
        message = "needs an https origin, because the address of an http origin must be checked"
        problems.add(f"{path}.proxy", message, "remove it, or use https")
    if url.port not in allowed_ports:
        problems.add(f"{path}.proxy", "needs a port that fetches may use", "extra_ports")
    last_label = url.host.rpartition(".")[2]
    if "." not in url.host or last_label.isdecimal() or url.host.startswith("["):
        message = "needs a host name with a dot, and no address, because the proxy resolves it"
        problems.add(f"{path}.proxy", message, "https://id.corp.example")
