"""Which addresses a fetch may dial: every answer of the resolver is checked, and the very address that was is dialled.

URLs come from tenants, so they are an attacker's: no fetch may reach loopback, private, link-local or metadata
addresses, by whatever name or notation. Only the operator can allow more, for one gate.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from wicket.errors import Problems
from wicket.keys.urls import DEFAULT_PORTS

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]

# What `is_global` of one Python version or another lets through, and should not: special-purpose blocks (RFC 6890 and
# its registry), transition mechanisms that carry an IPv4 address to elsewhere, and clouds' own addresses.
_NEVER: Final[tuple[IPNetwork, ...]] = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",  # Oracle's metadata among it
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/8",  # unspecified, loopback, IPv4-compatible, -mapped and -translated
        "64:ff9b::/32",  # NAT64, local-use too
        "100::/32",  # discard-only, and the dummy prefix
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/9",  # link-local and site-local
        "ff00::/8",
    )
)

_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6 as public (RFC 4291 section 2.4)."""


class ForbiddenAddressError(Exception):
    """The name leads to an address that must not be dialled. Says the name's kind of trouble, never the address."""


class ResolutionError(Exception):
    """The name leads nowhere right now."""


@dataclass(frozen=True, init=False)
class Network:
    """What the operator allows the fetches of one gate. A tenant cannot allow anything.

    `allow` are networks (CIDR) that may be dialled besides the public ones, for an internal identity provider; `ports`
    are ports besides 443 and 8443. `ssl_context` verifies the endpoints' certificates (the system's authorities
    without one); `resolve` asks for the addresses of a host and port in place of the system's resolver.

    Raises `ConfigError` with the path to each wrong value.
    """

    allowed_networks: tuple[IPNetwork, ...]
    extra_ports: frozenset[int]
    ssl_context: ssl.SSLContext | None
    resolver: Resolver

    def __init__(
        self,
        allowed_networks: Iterable[str] = (),
        extra_ports: Iterable[int] = (),
        *,
        ssl_context: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        problems = Problems()
        networks: list[IPNetwork] = []
        for index, block in enumerate(problems.as_tuple("network.allowed_networks", allowed_networks, "networks")):
            try:
                # Spelled out: a number or bytes would be taken for an address too.
                networks.append(ipaddress.ip_network(block if isinstance(block, str) else ""))
            except ValueError:
                problems.add(f"network.allowed_networks[{index}]", "is not a network", "10.0.0.0/8")
        for index, port in enumerate(more := problems.as_tuple("network.extra_ports", extra_ports, "ports")):
            if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
                problems.add(f"network.extra_ports[{index}]", "is not a port")
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            problems.add("network.ssl_context", "must be an ssl.SSLContext")
        if resolver is not None and not callable(resolver):
            problems.add("network.resolver", "must be a function from a host and a port to addresses")
        problems.raise_if_any()
        object.__setattr__(self, "allowed_networks", tuple(networks))
        object.__setattr__(self, "extra_ports", DEFAULT_PORTS | set(more))
        object.__setattr__(self, "ssl_context", ssl_context)
        object.__setattr__(self, "resolver", resolver or _ask_resolver)

    def admits(self, address: str) -> bool:
        """Whether one address may be dialled."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if any(parsed in network for network in self.allowed_networks):
            return True
        unicast = parsed.version == 4 or parsed in _UNICAST
        return unicast and parsed.is_global and not any(parsed in network for network in _NEVER)

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, all of which may be dialled.

        Raises `ForbiddenAddressError` where any may not: an answer that mixes public and private addresses is a trick. Raises
        `ResolutionError` where there is none. Blocks; a resolver cannot be interrupted.
        """
        try:
            found = list(dict.fromkeys(self.resolver(host.strip("[]"), port)))
        except Exception:  # noqa: BLE001 - a resolver may be the operator's own, and fail in its own way
            raise ResolutionError from None
        if not found:
            raise ResolutionError
        if not all(self.admits(address) for address in found):
            raise ForbiddenAddressError
        return found


def _ask_resolver(host: str, port: int) -> list[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
