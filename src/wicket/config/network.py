"""What the fetches of a gate may reach."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wicket.errors import Problems
from wicket.keys.urls import DEFAULT_PORTS

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]


@dataclass(frozen=True, init=False)
class Network:
    """What the operator allows the fetches of one gate. A tenant cannot allow anything.

    Args:
        allowed_networks: networks (CIDR) that may be dialled besides public addresses, for an internal identity
            provider.
        extra_ports: ports that may be dialled besides 443 and 8443.
        ssl_context: verifies the certificates of the endpoints. None: the system's authorities.
        resolver: a function from a host and a port to addresses. None: the system's resolver.

    Raises:
        ConfigError: a value is wrong. Each problem has the path to its field.
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
        object.__setattr__(self, "allowed_ports", DEFAULT_PORTS | set(more))
        object.__setattr__(self, "ssl_context", ssl_context)
        object.__setattr__(self, "resolver", resolver)
