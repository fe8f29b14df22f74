"""Fetches by the operator's rules: headers, client certificates, proxies and plain http, with real servers."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.network_servers import LOOPBACK, http_proxy, plain_issuer
from tests.unit.jwks.support import MARGIN, PUBLIC, answering, failure_of, fetcher_of, server, url_of
from wicket import Destination, Limits, Network
from wicket.jwks.lazy_fetcher import LazyFetcher
from wicket.jwks.ssrf import is_any, is_private_or_listed
from wicket.keys.urls import KeySetUrl, check_url
from wicket.testing.issuer import Exchange, LocalIssuer


def seen_by(issuer: LocalIssuer) -> list[dict[str, str]]:
    """The header fields of the requests to the issuer from now on."""
    seen: list[dict[str, str]] = []

    def note(exchange: Exchange) -> None:
        seen.append(dict(exchange.headers.items()))
        exchange.answer(200, b"{}")

    issuer.fault = note
    return seen


# --- headers and ports


def test_fetch_rule_headers_sent_and_replace_defaults(issuer: LocalIssuer) -> None:
    seen = seen_by(issuer)
    rule = Destination(headers={"Authorization": "Bearer abc", "user-agent": "corp", "X-Tenant": "a b"})
    fetcher_of(issuer)(url_of(issuer), rule=rule, etag='"1"', modified="then")
    assert seen == [
        {
            "Host": f"localhost:{issuer.port}",
            "Accept": "application/json, application/jwk-set+json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Authorization": "Bearer abc",
            "user-agent": "corp",
            "X-Tenant": "a b",
            "If-None-Match": '"1"',
            "If-Modified-Since": "then",
        }
    ]


def test_fetch_rule_allows_port_of_its_origin_but_no_other_address(issuer: LocalIssuer) -> None:
    rule = Destination()
    only_loopback = Network(["127.0.0.0/8"], resolver=lambda *_: [LOOPBACK])
    fetcher = fetcher_of(issuer, network=only_loopback)
    assert failure_of(lambda: fetcher(url_of(issuer))).kind == "forbidden_port"
    assert fetcher(url_of(issuer), rule=rule).document == issuer.document()
    public_only = fetcher_of(issuer, network=Network(resolver=lambda *_: [LOOPBACK]))
    assert failure_of(lambda: public_only(url_of(issuer), rule=rule)).kind == "forbidden_address"


def test_fetch_rule_ssl_context_used_for_its_origin(issuer: LocalIssuer) -> None:
    fetcher = fetcher_of(issuer, ssl_context=ssl.create_default_context())
    assert failure_of(lambda: fetcher(url_of(issuer))).kind == "certificate"
    rule = Destination(ssl_context=issuer.network.ssl_context)
    assert fetcher(url_of(issuer), rule=rule).document == issuer.document()


def test_fetch_rule_client_certificate_sent(issuer: LocalIssuer, tmp_path: Path) -> None:
    """A server that requires a client certificate answers only with the rule."""
    authority = trustme.CA()
    server_context, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server_context)
    authority.configure_trust(client)
    without = ssl.create_default_context()
    authority.configure_trust(without)
    authority.issue_cert("gate@corp.example").configure_cert(client)
    names: list[Any] = []

    def serve(connection: Any) -> None:
        with server_context.wrap_socket(connection, server_side=True) as secured:
            names.append((secured.getpeercert() or {})["subjectAltName"])
            secured.recv(65536)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with server(serve) as port:
        network = Network(["127.0.0.0/8"], [port], resolver=lambda *_: [LOOPBACK])
        fetcher = fetcher_of(issuer, network=network, ssl_context=without)
        url = KeySetUrl("localhost", port, "/")
        assert failure_of(lambda: fetcher(url)).kind == "connection"
        assert fetcher(url, rule=Destination(ssl_context=client)).document == {}
    assert names == [(("email", "gate@corp.example"),)]


# --- plain http


def test_fetch_http_without_rule_forbidden_before_dns_lookup(issuer: LocalIssuer) -> None:
    asked: list[str] = []
    network = Network(["127.0.0.0/8"], [8080], resolver=lambda host, _: asked.append(host) or [LOOPBACK])  # type: ignore[func-returns-value]
    fetcher = fetcher_of(issuer, network=network)
    url = check_url("http://keycloak:8080/keys", allow_http=True)
    for rule in (None, Destination()):
        failure = failure_of(lambda rule=rule: fetcher(url, rule=rule))  # type: ignore[misc]
        assert (failure.kind, failure.permanent) == ("forbidden_scheme", True)
    assert asked == []


def test_fetch_http_rule_fetches_from_private_address(issuer: LocalIssuer) -> None:
    with plain_issuer(issuer) as plain:
        fetcher = fetcher_of(issuer, network=Network(resolver=lambda *_: [LOOPBACK]))
        url = check_url(plain.jwks_url, allow_http=True)
        fetched = fetcher(url, rule=Destination(allow_http=True, headers={"X-A": "b"}))
    assert (fetched.document, fetched.address) == (issuer.document(), LOOPBACK)
    (request,) = plain.requests
    assert (request["host"], request["x-a"]) == (f"keycloak:{plain.port}", "b")


@pytest.mark.parametrize("addresses", [[PUBLIC], ["169.254.169.254"], [LOOPBACK, PUBLIC], ["fd00:ec2::254"]])
def test_fetch_http_rule_address_not_private_forbidden(issuer: LocalIssuer, addresses: list[str]) -> None:
    fetcher = fetcher_of(issuer, network=Network(resolver=lambda *_: addresses))
    url = check_url("http://keycloak:8080/", allow_http=True)
    failure = failure_of(lambda: fetcher(url, rule=Destination(allow_http=True)))
    assert failure.kind == "forbidden_address"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        *((each, True) for each in ("10.0.0.1", "172.31.0.1", "192.168.1.1", "127.0.0.1", "::1", "fd12::1")),
        *((each, False) for each in ("1.1.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "fe80::1", "224.0.0.1")),
        *((each, False) for each in ("fd00:ec2::254", "2606:4700::1111", "::ffff:10.0.0.1", "172.32.0.1", "x", "")),
    ],
)
def test_private_or_listed_address_checked(address: str, allowed: bool) -> None:
    assert is_private_or_listed(Network(), address) is allowed
    assert is_any(Network(), address)


def test_private_or_listed_allowed_network_accepted() -> None:
    network = Network(["203.0.113.0/24"])
    assert is_private_or_listed(network, "203.0.113.9")
    assert not is_private_or_listed(network, "203.0.114.9")


# --- proxies


def test_fetch_proxy_tunnels_and_verifies_certificate_of_origin() -> None:
    with LocalIssuer(host="id.corp.example") as issuer, http_proxy(issuer.port) as proxy:
        seen = seen_by(issuer)
        network = Network((), [], resolver=lambda host, _: {"localhost": [LOOPBACK]}[host])
        fetcher = fetcher_of(issuer, network=network)
        rule = Destination(proxy=f"http://me:secret@localhost:{proxy.port}", headers={"Authorization": "Bearer abc"})
        url = check_url("https://id.corp.example/keys")
        fetched = fetcher(url, rule=rule)
        assert (fetched.document, fetched.address) == ({}, None)
        assert proxy.connects == ["id.corp.example:443"]
        assert proxy.headers[0]["proxy-authorization"] == "Basic bWU6c2VjcmV0"
        assert "authorization" not in proxy.headers[0], "the headers are for the origin"
        assert seen[0]["Authorization"] == "Bearer abc"
        assert "Proxy-Authorization" not in seen[0]
        other = check_url("https://other.example/keys")
        assert failure_of(lambda: fetcher(other, rule=rule)).kind == "certificate"


def test_fetch_https_proxy_tunnels_inside_tls() -> None:
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(trusting)
    with LocalIssuer(host="id.corp.example") as issuer, http_proxy(issuer.port, context) as proxy:
        fetcher = fetcher_of(issuer, network=Network(resolver=lambda *_: [LOOPBACK]), ssl_context=trusting)
        url = check_url("https://id.corp.example/.well-known/jwks.json")
        rule = Destination(proxy=f"https://localhost:{proxy.port}", ssl_context=issuer.network.ssl_context)
        assert fetcher(url, rule=rule).document == issuer.document()
    assert proxy.connects == ["id.corp.example:443"]


@pytest.mark.parametrize("status", [403, 407, 502])
def test_fetch_proxy_refusal_proxy_failure(issuer: LocalIssuer, status: int) -> None:
    with http_proxy(issuer.port) as proxy:
        proxy.status = status
        fetcher = fetcher_of(issuer)
        rule = Destination(proxy=f"http://localhost:{proxy.port}")
        failure = failure_of(lambda: fetcher(check_url("https://id.corp.example/"), rule=rule))
    assert (failure.kind, failure.permanent) == ("proxy", False)


def test_fetch_proxy_unreachable_or_unresolved_proxy_failure(issuer: LocalIssuer) -> None:
    url = check_url("https://id.corp.example/")
    with server(lambda connection: None) as port:
        rule = Destination(proxy=f"http://localhost:{port}")
        fetcher = fetcher_of(issuer, network=Network(resolver=lambda *_: []))
        assert failure_of(lambda: fetcher(url, rule=rule)).kind == "proxy"
    assert failure_of(lambda: fetcher_of(issuer)(url, rule=rule)).kind == "proxy"


def test_fetch_proxy_deadline_holds_for_the_tunnel(issuer: LocalIssuer) -> None:
    silent = Limits(fetch_timeout=0.3, fetch_connect_timeout=0.3)

    def say_nothing(connection: Any) -> None:
        while connection.recv(65536):
            pass

    with server(say_nothing) as port:
        fetcher = fetcher_of(issuer, total_seconds=silent.fetch_timeout, connect_seconds=silent.fetch_connect_timeout)
        rule = Destination(proxy=f"http://localhost:{port}")
        failure = failure_of(lambda: fetcher(check_url("https://id.corp.example/"), rule=rule))
    assert failure.kind == "timeout"
    assert silent.fetch_timeout < MARGIN


# --- for each app


def test_lazy_fetcher_rule_applies_per_app_and_origin(issuer: LocalIssuer) -> None:
    seen = seen_by(issuer)
    network = Network(
        ["127.0.0.0/8"],
        [issuer.port],
        ssl_context=issuer.network.ssl_context,
        resolver=lambda *_: [LOOPBACK],
        rules={issuer.issuer: Destination(headers={"X-Secret": "s"}, apps=["listed"])},
    )
    limits = Limits(fetch_timeout=3 * MARGIN, fetch_connect_timeout=3 * MARGIN)
    fetcher = LazyFetcher(network, limits, bool, frozenset({"code"}))
    for app in ("code", "listed", "tenant"):
        fetcher.for_app(app)(url_of(issuer), etag=None, modified=None)
    fetcher.for_app("code")(url_of(issuer, host=LOOPBACK), etag=None, modified=None)
    assert [each.get("X-Secret") for each in seen] == ["s", "s", None, None]


def test_fetch_redirect_to_other_origin_does_not_send_headers(issuer: LocalIssuer) -> None:
    with plain_issuer(issuer) as plain:
        issuer.fault = answering(b"", 302, Location=plain.jwks_url)
        rule = Destination(headers={"Authorization": "Bearer abc"})
        failure = failure_of(lambda: fetcher_of(issuer)(url_of(issuer), rule=rule))
    assert failure.kind == "redirect"
    assert plain.requests == []
