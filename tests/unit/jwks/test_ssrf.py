"""SSRF protection: no name and no notation leads to an address that is not public."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.unit import problems_of
from tests.unit.jwks.support import LOOPBACK, PUBLIC
from wicket.config.network import Network
from wicket.errors import ConfigError
from wicket.jwks.ssrf import ForbiddenAddressError, ResolutionError, is_allowed, resolve_allowed

ADMITTED = [
    *("1.1.1.1", "8.8.8.8", "93.184.215.14", "9.255.255.255", "11.0.0.0", "126.255.255.255", "128.0.0.0"),
    *("100.63.255.255", "100.128.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0"),
    *("192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.15"),
    *("2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "2003::1", "2620:4e::1", "2400::1"),
]

REFUSED = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1"),
    *("127.255.255.255", "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.0", "172.31.255.255"),
    *("192.0.0.0", "192.0.0.9", "192.0.0.10", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1"),
    *("192.88.99.1", "192.168.0.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "100.100.100.200"),
    *("::", "::1", "::2", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:8.8.8.8"),
    *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "64:ff9b:1:808:8:800::"),
    *("100::1", "100:0:0:1::1", "2001::1", "2001:0:4136:e378::1", "2001:2::1", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::", "2002:808:808::", "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1"),
]

NO_ADDRESS = ["", "x", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.000.000.001", "8.8.8.8 ", "8.8.8.8\n"]


def resolving(*addresses: str, allow: Iterable[str] = ()) -> Network:
    return Network(allow, resolver=lambda *_: addresses)


@pytest.mark.parametrize("address", ADMITTED)
def test_network_public_address_allowed(address: str) -> None:
    assert is_allowed(Network(), address)
    assert resolve_allowed(resolving(address), "id.example.com", 443) == [address]


@pytest.mark.parametrize("address", REFUSED)
def test_network_non_public_address_forbidden(address: str) -> None:
    assert not is_allowed(Network(), address)
    with pytest.raises(ForbiddenAddressError):
        resolve_allowed(resolving(address), "id.example.com", 443)


@pytest.mark.parametrize("address", [*NO_ADDRESS, "fe80::1%eth0", "::1%1", "١.١.١.١", "[::1]"])
def test_network_malformed_address_not_allowed(address: str) -> None:
    assert not is_allowed(Network(), address)


@pytest.mark.parametrize("address", REFUSED)
def test_network_forbidden_beside_public_address_forbidden(address: str) -> None:
    for answer in ([PUBLIC, address], [address, PUBLIC], [PUBLIC, PUBLIC, address]):
        with pytest.raises(ForbiddenAddressError):
            resolve_allowed(resolving(*answer), "id.example.com", 443)


def test_forbidden_address_error_message_empty() -> None:
    with pytest.raises(ForbiddenAddressError) as caught:
        resolve_allowed(resolving("10.1.2.3"), "id.example.com", 443)
    assert str(caught.value) == ""


def test_network_allowed_networks_extend_public_addresses() -> None:
    network = Network(["10.1.0.0/16", "fd00::/64", "192.168.1.7"])
    assert network.allowed_networks == (
        ipaddress.ip_network("10.1.0.0/16"),
        ipaddress.ip_network("fd00::/64"),
        ipaddress.ip_network("192.168.1.7/32"),
    )
    for address in ("10.1.2.3", "fd00::1", "192.168.1.7", PUBLIC):
        assert is_allowed(network, address)
    for address in ("10.2.0.1", "fd00:0:0:1::1", "192.168.1.8", LOOPBACK, "::ffff:10.1.2.3"):
        assert not is_allowed(network, address)


def test_network_allowed_and_public_mixed_accepted_private_forbidden() -> None:
    network = resolving("10.1.2.3", PUBLIC, allow=["10.0.0.0/8"])
    assert resolve_allowed(network, "id.example.com", 443) == ["10.1.2.3", PUBLIC]
    with pytest.raises(ForbiddenAddressError):
        resolve_allowed(resolving("10.1.2.3", "192.168.0.1", allow=["10.0.0.0/8"]), "id.example.com", 443)


def test_network_extra_ports_added_to_default_ports() -> None:
    assert Network().allowed_ports == {443, 8443}
    assert Network(extra_ports=[9443, 443]).allowed_ports == {443, 8443, 9443}


def test_network_iterator_arguments_accepted() -> None:
    network = Network(iter(["10.0.0.0/8"]), iter([9443]))
    assert is_allowed(network, "10.0.0.1")
    assert 9443 in network.allowed_ports


@pytest.mark.parametrize(
    ("allow", "path"),
    [
        (["10.0.0.1/8"], "network.allowed_networks[0]"),
        (["10.0.0.0/8", "internal"], "network.allowed_networks[1]"),
        (["10.0.0.0/33"], "network.allowed_networks[0]"),
        ([None], "network.allowed_networks[0]"),
        ([""], "network.allowed_networks[0]"),
        ("10.0.0.0/8", "network.allowed_networks"),
        (None, "network.allowed_networks"),
        (5, "network.allowed_networks"),
    ],
)
def test_network_allowed_networks_invalid_config_error(allow: Any, path: str) -> None:
    assert problems_of(lambda: Network(allow)).keys() == {path}


@pytest.mark.parametrize("block", [10, True, b"\x0a\0\0\0", ("10.0.0.0", 8)])
def test_network_allowed_networks_entry_not_str_config_error(block: Any) -> None:
    """`ipaddress` would interpret a number as an address."""
    assert problems_of(lambda: Network([block])).keys() == {"network.allowed_networks[0]"}


@pytest.mark.parametrize(
    ("ports", "path"),
    [
        ([0], "network.extra_ports[0]"),
        ([443, 65536], "network.extra_ports[1]"),
        ([-1], "network.extra_ports[0]"),
        ([True], "network.extra_ports[0]"),
        (["443"], "network.extra_ports[0]"),
        ([443.0], "network.extra_ports[0]"),
        ([[]], "network.extra_ports[0]"),
        ("443", "network.extra_ports"),
        (443, "network.extra_ports"),
    ],
)
def test_network_extra_ports_invalid_config_error(ports: Any, path: str) -> None:
    assert problems_of(lambda: Network(extra_ports=ports)).keys() == {path}


def test_network_multiple_errors_all_reported() -> None:
    found = problems_of(lambda: Network(["x", "10.0.0.0/8", "y"], [0, 1, 70000]))
    assert found.keys() == {
        "network.allowed_networks[0]",
        "network.allowed_networks[2]",
        "network.extra_ports[0]",
        "network.extra_ports[2]",
    }


def test_network_host_without_addresses_resolution_error() -> None:
    with pytest.raises(ResolutionError):
        resolve_allowed(resolving(), "id.example.com", 443)


@pytest.mark.parametrize("error", [socket.gaierror(-2, "x"), OSError("x"), TimeoutError(), UnicodeError("x")])
def test_network_resolver_os_error_resolution_error(error: Exception) -> None:
    def fail(host: str, port: int) -> list[str]:
        raise error

    with pytest.raises(ResolutionError) as caught:
        resolve_allowed(Network(resolver=fail), "id.example.com", 443)
    assert caught.value.__suppress_context__


def test_network_resolver_called_once_with_host_and_port() -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> Iterable[str]:
        asked.append((host, port))
        return iter([PUBLIC, "1.1.1.1", PUBLIC])

    network = Network(resolver=resolve)
    assert resolve_allowed(network, "id.example.com", 8443) == [PUBLIC, "1.1.1.1"]
    assert resolve_allowed(network, "[2606:4700::1111]", 443) == [PUBLIC, "1.1.1.1"]
    assert asked == [("id.example.com", 8443), ("2606:4700::1111", 443)]


@pytest.mark.parametrize("host", ["localhost", LOOPBACK, "[::1]"])
def test_network_without_resolver_uses_system_resolver(host: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        resolve_allowed(Network(), host, 443)
    assert LOOPBACK in resolve_allowed(Network(["127.0.0.0/8", "::1/128"]), "localhost", 443)


def test_network_system_resolver_requests_stream_sockets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def getaddrinfo(host: str, port: int, **settings: Any) -> list[Any]:
        asked.append((host, port, settings))
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1111", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert resolve_allowed(Network(), "id.example.com", 443) == ["2606:4700::1111", PUBLIC]
    assert asked == [("id.example.com", 443, {"type": socket.SOCK_STREAM})]


def test_network_ssl_context_kept() -> None:
    context = ssl.create_default_context()
    assert Network(ssl_context=context).ssl_context is context
    assert Network().ssl_context is None


def test_network_ssl_context_or_resolver_wrong_type_config_error() -> None:
    settings: Any = {"ssl_context": 5, "resolver": 5}
    with pytest.raises(ConfigError) as raised:
        Network(**settings)
    assert {problem.path for problem in raised.value.problems} == {"network.ssl_context", "network.resolver"}


def test_network_resolver_unexpected_error_resolution_error() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise KeyError(host)

    with pytest.raises(ResolutionError):
        resolve_allowed(Network(resolver=fails), "id.example.com", 443)
