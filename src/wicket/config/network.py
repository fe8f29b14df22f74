"""The network rules for a gate's key-set fetches."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wicket.errors import Problems
from wicket.keys.urls import DEFAULT_PORTS

if TYPE_CHECKING:
    import ssl  # it takes milliseconds, and most gates need it only at the first fetch

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]
"""A function that takes a host and a port and returns the host's IP addresses."""


@dataclass(frozen=True, init=False)
class Network:
    """The addresses, ports and certificates that one gate's fetches may use. Only the operator sets it, never a tenant.

    Args:
        allowed_networks: Networks in CIDR notation that fetches may connect to in addition to public addresses, for
            example for an internal identity provider.
        extra_ports: Ports that fetches may connect to in addition to 443 and 8443.
        ssl_context: Verifies the certificates of the endpoints. None: the system's certificate authorities.
        resolver: A function that takes a host and a port and returns IP addresses. None: the system's resolver.

    Raises:
        ConfigError: A value is invalid. Each problem has the path to its field.
    """

    allowed_networks: tuple[IPNetwork, ...]
    allowed_ports: frozenset[int]
    ssl_context: ssl.SSLContext | None
    resolver: Resolver | None

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
                # ip_network also accepts integers and bytes, which are not allowed here.
                networks.append(ipaddress.ip_network(block if isinstance(block, str) else ""))
            except ValueError:
                problems.add(f"network.allowed_networks[{index}]", "is not a network", "10.0.0.0/8")
        for index, port in enumerate(ports := problems.as_tuple("network.extra_ports", extra_ports, "ports")):
            if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
                problems.add(f"network.extra_ports[{index}]", "is not a port")
        if ssl_context is not None:
            import ssl

            if not isinstance(ssl_context, ssl.SSLContext):
                problems.add("network.ssl_context", "must be an ssl.SSLContext")
        if resolver is not None and not callable(resolver):
            problems.add("network.resolver", "must be a function that takes a host and a port and returns addresses")
        problems.raise_if_any()
        object.__setattr__(self, "allowed_networks", tuple(networks))
        object.__setattr__(self, "allowed_ports", DEFAULT_PORTS | set(ports))
        object.__setattr__(self, "ssl_context", ssl_context)
        object.__setattr__(self, "resolver", resolver)
