"""Which addresses a fetch may dial: every answer of the resolver is checked, and the very address that was is dialled.

URLs come from tenants, so they are an attacker's: no fetch may reach loopback, private, link-local or metadata
addresses, by whatever name or notation. Only the operator can allow more, for one gate.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from wicket.config.network import IPNetwork, Network

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
    """The host resolves to an address that must not be dialled. The message never contains the address."""


class ResolutionError(Exception):
    """The host does not resolve."""


def is_allowed(network: Network, address: str) -> bool:
    """Return whether one address may be dialled."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in block for block in network.allowed_networks):
        return True
    unicast = parsed.version == 4 or parsed in _UNICAST
    return unicast and parsed.is_global and not any(parsed in block for block in _NEVER)


def resolve_allowed(network: Network, host: str, port: int) -> list[str]:
    """Return the addresses of `host`, if all of them may be dialled.

    Blocks. A resolver cannot be interrupted.

    Raises:
        ForbiddenAddressError: one of the addresses must not be dialled. An answer that mixes public and private
            addresses is an attack.
        ResolutionError: there is no address, or the resolver raised.
    """
    try:
        found = list(dict.fromkeys((network.resolver or _resolve)(host.strip("[]"), port)))
    except Exception:  # noqa: BLE001 - a resolver may be the operator's own, and fail in its own way
        raise ResolutionError from None
    if not found:
        raise ResolutionError
    if not all(is_allowed(network, address) for address in found):
        raise ForbiddenAddressError
    return found


def _resolve(host: str, port: int) -> list[str]:
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
