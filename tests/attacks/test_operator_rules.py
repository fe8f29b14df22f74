"""Tenants who want the operator's headers, client certificate, proxy or internal hosts (`Network(rules=…)`).

The operator's origin is `https://id.corp.example`. Its rule is for the app `corp`, which is configured in code. The
apps of tenants come from the registry.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from tests.attacks.clients import Behind
from tests.attacks.token_factory import NOW
from tests.integration.key_set_apps import PATIENT, Told, answering
from tests.support.network_servers import LOOPBACK, Proxy, http_proxy, plain_issuer
from wicket import App, AppRef, ConfigError, Destination, Gate, Header, Jwks, Network
from wicket.testing.issuer import Exchange, LocalIssuer

HEADERS = {"X-Operator-Key": "s3cret"}
UNUSABLE = (503, "config_invalid", None)


class Corp:
    """The operator's internal issuer, as a server that notes which requests had the operator's header."""

    def __init__(self, issuer: LocalIssuer) -> None:
        self.issuer = issuer
        self.origin = f"https://id.corp.example:{issuer.port}"
        self.with_key: list[bool] = []
        issuer.fault = self

    def __call__(self, exchange: Exchange) -> None:
        self.with_key.append(exchange.headers.get("X-Operator-Key") == "s3cret")
        exchange.answer(200, json.dumps(self.issuer.document()).encode())


@pytest.fixture
def corp() -> Iterator[Corp]:
    with LocalIssuer(host="id.corp.example") as issuer:
        yield Corp(issuer)


def trusting(*issuers: LocalIssuer) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for issuer in issuers:
        context.load_verify_locations(cadata=issuer.authority_pem.decode())
    return context


def network_of(corp: Corp, *issuers: LocalIssuer, rule: Destination | None = None, **settings: Any) -> Network:
    """Network rules under which every name is loopback, and the operator's origin has its rule."""
    return Network(
        **{
            "allowed_networks": ["127.0.0.0/8"],
            "extra_ports": [corp.issuer.port, *(issuer.port for issuer in issuers)],
            "ssl_context": trusting(corp.issuer, *issuers),
            "resolver": lambda *_: [LOOPBACK],
            "rules": {corp.origin: rule or Destination(headers=HEADERS)},
            **settings,
        }
    )


def app_at(id: str, jwks: Jwks, issuer: str) -> App:
    return App(id, credentials=[jwks], issuer=issuer, app_locations=[Header("X-App-Id")])


def gate_of(corp: Corp, network: Network, *tenants: App, told: Told | None = None) -> Gate:
    """A gate with the operator's app in code and the tenants' in a registry."""
    by_ref = {ref: tenant for tenant in tenants for ref in tenant.refs()}
    operators = app_at("corp", Jwks(f"{corp.origin}/keys"), "https://id.corp.example")

    def registry(ref: AppRef) -> App | None:
        return by_ref.get(ref)

    return Gate(
        [operators],
        registry=registry,
        app_locations=[Header("X-App-Id")],
        network=network,
        clock=lambda: NOW,
        limits=PATIENT,
        on_event=told,
    )


def test_operator_rule_applies_to_app_in_code(behind: Behind, corp: Corp) -> None:
    door = behind(gate=gate_of(corp, network_of(corp)))
    assert door.ask(corp.issuer.token("ada", iss="https://id.corp.example", now=NOW), app="corp").status == 200
    assert corp.with_key == [True]


def test_tenant_that_names_operators_url_gets_no_header(behind: Behind, corp: Corp) -> None:
    tenant = app_at("tenant", Jwks(f"{corp.origin}/keys"), "https://id.corp.example")
    door = behind(gate=gate_of(corp, network_of(corp), tenant))
    door.ask(corp.issuer.token("ada", iss="https://id.corp.example", now=NOW), app="tenant")
    assert corp.with_key == [False]


def test_tenant_that_is_listed_gets_header(behind: Behind, corp: Corp) -> None:
    tenant = app_at("tenant", Jwks(f"{corp.origin}/keys"), "https://id.corp.example")
    rule = Destination(headers=HEADERS, apps=["tenant"])
    door = behind(gate=gate_of(corp, network_of(corp, rule=rule), tenant))
    token = corp.issuer.token("ada", iss="https://id.corp.example", now=NOW)
    assert door.ask(token, app="tenant").said == (200, "tenant:ada", None)
    assert corp.with_key == [True]


@pytest.mark.parametrize("name", ["Tenant", "tenant2", "other"])
def test_tenant_with_similar_id_or_listed_alias_gets_no_header(behind: Behind, corp: Corp, name: str) -> None:
    """`tenant` is listed. Another app has it as an alias, or an id that resembles it."""
    aliases = ["tenant"] if name == "other" else []
    tenant = App(
        name,
        aliases=aliases,
        credentials=[Jwks(f"{corp.origin}/keys")],
        issuer="https://id.corp.example",
        app_locations=[Header("X-App-Id")],
    )
    rule = Destination(headers=HEADERS, apps=["tenant"])
    door = behind(gate=gate_of(corp, network_of(corp, rule=rule), tenant))
    door.ask(corp.issuer.token("ada", iss="https://id.corp.example", now=NOW), app=name if not aliases else "tenant")
    assert corp.with_key == [False]


def test_tenant_whose_metadata_names_operators_url_gets_no_header(
    behind: Behind, corp: Corp, other: LocalIssuer
) -> None:
    """The tenant's issuer is its own. Its metadata names the operator's key set."""
    document = {"issuer": other.issuer, "jwks_uri": f"{corp.origin}/keys"}
    other.fault = lambda exchange: exchange.answer(200, json.dumps(document).encode())
    tenant = app_at("tenant", Jwks.discover(other.issuer), other.issuer)
    door = behind(gate=gate_of(corp, network_of(corp, other), tenant))
    door.ask(corp.issuer.token("ada", iss=other.issuer, now=NOW), app="tenant")
    assert corp.with_key == [False]


def test_listed_tenant_whose_metadata_leads_elsewhere_sends_no_header_there(
    behind: Behind, corp: Corp, other: LocalIssuer
) -> None:
    """A listed app's header must not follow a `jwks_uri` to another origin, nor to another port of the same host."""
    seen: list[str | None] = []

    def note(exchange: Exchange) -> None:
        seen.append(exchange.headers.get("X-Operator-Key"))
        exchange.answer(200, b'{"keys": []}')

    other.fault = note
    elsewhere = [other.jwks_url, f"https://localhost:{other.port}/{corp.origin}"]
    for url in elsewhere:
        corp.issuer.fault = answering(200, json.dumps({"issuer": corp.origin, "jwks_uri": url}).encode())
        tenant = app_at("tenant", Jwks.discover(corp.origin), corp.origin)
        rule = Destination(headers=HEADERS, apps=["tenant"])
        door = behind(gate=gate_of(corp, network_of(corp, other, rule=rule), tenant))
        assert door.ask(other.token("ada", iss=corp.origin, now=NOW), app="tenant").said == UNUSABLE
    assert seen == [None, None]


def test_redirect_of_operators_origin_is_not_followed_with_header(
    behind: Behind, corp: Corp, other: LocalIssuer
) -> None:
    corp.issuer.fault = lambda exchange: exchange.answer(307, headers={"Location": other.jwks_url})
    door = behind(gate=gate_of(corp, network_of(corp, other)))
    assert door.ask(other.token("ada", iss="https://id.corp.example", now=NOW), app="corp").said == UNUSABLE
    assert other.requests == []


@pytest.mark.parametrize("allow_http", [False, True])
def test_tenant_http_url_of_operators_keycloak_refused(behind: Behind, corp: Corp, allow_http: bool) -> None:
    """`allow_http` of a credential is not permission: only the operator's rule is, and it is not for tenants."""
    told = Told()
    with plain_issuer(corp.issuer) as plain:
        if not allow_http:
            with pytest.raises(ConfigError):
                Jwks(plain.jwks_url)
            return
        rules = {plain.origin: Destination(allow_http=True)}
        tenant = app_at("tenant", Jwks(plain.jwks_url, allow_http=True), plain.origin)
        door = behind(gate=gate_of(corp, network_of(corp, rules=rules), tenant, told=told))
        assert door.ask(corp.issuer.token("ada", iss=plain.origin, now=NOW), app="tenant").said == UNUSABLE
    assert plain.requests == []
    assert set(told.outcomes()) == {"forbidden_scheme"}


def test_tenant_https_url_of_operators_http_port_refused(behind: Behind, corp: Corp) -> None:
    """The port and the private address are allowed for the http origin of the rule only."""
    told = Told()
    with plain_issuer(corp.issuer) as plain:
        rules = {plain.origin: Destination(allow_http=True, apps=["tenant"])}
        tenant = app_at("tenant", Jwks(f"https://keycloak:{plain.port}/keys"), plain.origin)
        network = network_of(corp, rules=rules, allowed_networks=[])
        door = behind(gate=gate_of(corp, network, tenant, told=told))
        assert door.ask(corp.issuer.token("ada", iss=plain.origin, now=NOW), app="tenant").said == UNUSABLE
    assert plain.requests == []
    assert set(told.outcomes()) == {"forbidden_port"}


def test_operators_http_origin_rebound_to_public_or_metadata_address_refused(behind: Behind, corp: Corp) -> None:
    for address in ("93.184.215.14", "169.254.169.254"):
        told = Told()
        rules = {"http://keycloak:8080": Destination(allow_http=True, apps=["tenant"])}
        network = network_of(corp, rules=rules, resolver=lambda *_, address=address: [address])
        tenant = app_at("tenant", Jwks("http://keycloak:8080/keys", allow_http=True), "http://keycloak:8080")
        door = behind(gate=gate_of(corp, network, tenant, told=told))
        assert door.ask(corp.issuer.token("ada", iss="http://keycloak:8080", now=NOW), app="tenant").said == UNUSABLE
        assert set(told.outcomes()) == {"forbidden_address"}


@pytest.fixture
def proxy(corp: Corp) -> Iterator[Proxy]:
    with http_proxy(corp.issuer.port) as proxy:
        yield proxy


def test_tenant_cannot_use_operators_proxy(behind: Behind, corp: Corp, proxy: Proxy) -> None:
    """A proxy resolves names itself, so a tenant with a proxy could reach what the guard would refuse."""
    told = Told()
    rules = {"https://id.corp.example": Destination(proxy=f"http://localhost:{proxy.port}")}
    urls = ["https://id.corp.example/keys", "https://intranet.corp.example/", "https://169.254.169.254/"]
    for number, url in enumerate(urls):
        tenant = app_at(f"tenant-{number}", Jwks(url), "https://id.corp.example")
        network = network_of(corp, rules=rules, allowed_networks=[])
        door = behind(gate=gate_of(corp, network, tenant, told=told))
        token = corp.issuer.token("ada", iss="https://id.corp.example", now=NOW)
        assert door.ask(token, app=tenant.id).said == UNUSABLE
    assert proxy.connects == []
    assert set(told.outcomes()) == {"forbidden_address"}


def test_listed_tenant_proxy_is_for_exact_origin_only(behind: Behind, corp: Corp, proxy: Proxy) -> None:
    told = Told()
    rules = {"https://id.corp.example": Destination(proxy=f"http://localhost:{proxy.port}", apps=["tenant"])}
    network = network_of(corp, rules=rules, allowed_networks=[])
    token = corp.issuer.token("ada", iss="https://id.corp.example", now=NOW)
    allowed = app_at("tenant", Jwks("https://id.corp.example/keys"), "https://id.corp.example")
    assert behind(gate=gate_of(corp, network, allowed)).ask(token, app="tenant").status == 200
    assert proxy.connects == ["id.corp.example:443"]
    for url in ("https://id.corp.example:8443/keys", "https://id.corp.example.evil.example/", "https://[::1]/"):
        tenant = app_at("tenant", Jwks(url), "https://id.corp.example")
        door = behind(gate=gate_of(corp, network, tenant, told=told))
        assert door.ask(token, app="tenant").said == UNUSABLE
    assert proxy.connects == ["id.corp.example:443"]
    assert set(told.outcomes()) == {"forbidden_address"}


def test_operators_secrets_are_in_no_answer_log_or_repr(
    behind: Behind, corp: Corp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    corp.issuer.fault = lambda exchange: exchange.answer(500)
    rule = Destination(headers=HEADERS)
    gate = gate_of(corp, network_of(corp, rule=rule))
    answer = behind(gate=gate).ask(corp.issuer.token("ada", iss="https://id.corp.example", now=NOW), app="corp")
    assert answer.said == UNUSABLE
    assert "s3cret" not in caplog.text + answer.raw.decode() + repr(gate) + repr(rule)
