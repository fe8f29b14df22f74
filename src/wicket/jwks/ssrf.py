"""Protection against server-side request forgery (SSRF): the addresses that a fetch may connect to.

URLs come from tenants, so an attacker may have chosen them. No fetch may reach a loopback, private, link-local or cloud
metadata address, by any name or notation. Every address that the resolver returns is checked, and the fetch connects to
a checked address without resolving again. Only the operator can allow more addresses, for one gate. For an origin in
its rules (`Network(rules=…)`), another of the checks here may apply.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Final

from wicket.config.network import IPNetwork, Network

# Blocks that `is_global` accepts in some Python version and that are not public: special-purpose blocks (RFC 6890 and
# its registry), transition mechanisms that embed an IPv4 address, and addresses of cloud providers.
_NEVER: Final[tuple[IPNetwork, ...]] = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform services
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",  # includes Oracle's metadata service
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
        "64:ff9b::/32",  # NAT64, including local use
        "100::/32",  # discard-only and dummy prefixes
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
"""The public unicast addresses of IPv6 (RFC 4291 section 2.4)."""


_PRIVATE: Final[tuple[IPNetwork, ...]] = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "127.0.0.0/8", "::1/128")
)
"""The private addresses (RFC 1918, RFC 4193) and loopback: where plain http does not leave the operator's network."""

_METADATA: Final = ipaddress.ip_address("fd00:ec2::254")
"""The metadata service of a cloud provider within fc00::/7."""


class ForbiddenAddressError(Exception):
    """The host resolves to an address that is not allowed. The message never contains the address."""


class ResolutionError(Exception):
    """The host does not resolve."""


def is_allowed(network: Network, address: str) -> bool:
    """Return whether a fetch may connect to an address.

    Args:
        network: the networks that the operator allows in addition.
        address: the IP address as a string.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in block for block in network.allowed_networks):
        return True
    unicast = parsed.version == 4 or parsed in _UNICAST
    return unicast and parsed.is_global and not any(parsed in block for block in _NEVER)


def is_private_or_listed(network: Network, address: str) -> bool:
    """Return whether a fetch over plain http may connect to an address. It must be private or explicitly allowed.

    Args:
        network: the networks that the operator allows in addition.
        address: the IP address as a string.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in block for block in network.allowed_networks):
        return True
    return parsed != _METADATA and any(parsed in block for block in _PRIVATE)


def is_any(network: Network, address: str) -> bool:
    """Return True. The addresses of a proxy are not checked, because the operator names it.

    Args:
        network: ignored.
        address: ignored.
    """
    return True


AddressCheck = Callable[[Network, str], bool]
"""A function that returns whether a fetch may connect to an address."""


def resolve_allowed(network: Network, host: str, port: int, check: AddressCheck = is_allowed) -> list[str]:
    """Return the addresses of a host if all of them are allowed.

    Blocks. A resolver cannot be interrupted.

    Args:
        network: the resolver, and the networks that the operator allows in addition.
        host: the host name, or an IP address. An IPv6 address may be in brackets.
        port: the port.
        check: decides about each address.

    Raises:
        ForbiddenAddressError: an address is not allowed. A result that mixes public and private addresses is an attack.
        ResolutionError: there is no address, or the resolver raised.
    """
    try:
        addresses = list(dict.fromkeys((network.resolver or _resolve)(host.strip("[]"), port)))
    except Exception:  # noqa: BLE001 - an operator's resolver may raise any exception
        raise ResolutionError from None
    if not addresses:
        raise ResolutionError
    if not all(check(network, address) for address in addresses):
        raise ForbiddenAddressError
    return addresses


def _resolve(host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
