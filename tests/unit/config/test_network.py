"""The operator's network rules: which values are valid, and to which origin and app a rule applies."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from tests.support.unit import ANYTHING, problems_of
from wicket import Destination, KeySetUrl, Network
from wicket.config.network import Proxy
from wicket.keys.urls import check_url

CORP = "https://id.corp.example"
CODE = frozenset({"acme"})


def url_of(url: str) -> KeySetUrl:
    return check_url(url, allow_http=True)


def rule_problems(origin: Any, rule: Any, **settings: Any) -> dict[str, str]:
    return problems_of(lambda: Network(rules={origin: rule}, **settings))


# --- where a rule applies


@pytest.mark.parametrize("url", [CORP, f"{CORP}/keys", f"{CORP}:443/keys?a=b", "https://ID.corp.example/", f"{CORP}//"])
def test_network_rule_same_origin_applies_to_configured_app(url: str) -> None:
    rule = Destination(headers={"X-A": "b"})
    assert Network(rules={CORP: rule}).rule_for(url_of(url), "acme", CODE) is rule


@pytest.mark.parametrize(
    "url",
    [
        *("https://id.corp.example.evil.example/", "https://evil.example/id.corp.example", "https://corp.example/"),
        *("https://a.id.corp.example/", f"{CORP}:8443/", "http://id.corp.example/", "http://id.corp.example:443/"),
        "https://evil.example/?https://id.corp.example",
    ],
)
def test_network_rule_other_origin_does_not_apply(url: str) -> None:
    assert Network(rules={CORP: Destination()}).rule_for(url_of(url), "acme", CODE) is None


@pytest.mark.parametrize(("app", "applies"), [("acme", True), ("tenant", True), ("other", False), ("Tenant", False)])
def test_network_rule_applies_to_configured_and_listed_apps_only(app: str, applies: bool) -> None:
    network = Network(rules={CORP: Destination(apps=["tenant"])})
    assert (network.rule_for(url_of(CORP), app, CODE) is not None) is applies


def test_network_rule_default_port_and_case_in_key_are_normalized() -> None:
    network = Network(rules={"https://ID.corp.example:443": Destination()})
    assert list(network.rules) == [CORP]
    assert rule_problems(CORP, 5) == {f"network.rules['{CORP}']": "must be a Destination"}
    twice = {CORP: Destination(), f"{CORP}:443": Destination()}
    assert problems_of(lambda: Network(rules=twice)) == {
        f"network.rules['{CORP}:443']": "is the origin of another rule"
    }


# --- invalid rules


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (f"{CORP}/", "must be an origin, without a path"),
        (f"{CORP}/a", "must be an origin, without a path"),
        (f"{CORP}?a", "must be an origin, without a path"),
        ("id.corp.example", "must start with https://"),
        ("ftp://id.corp.example", "must start with https://"),
        ("https://*.corp.example", "is not an https URL of a host and a path"),
        ("https://user@id.corp.example", "is not an https URL of a host and a path"),
        ("", "must start with https://"),
        (5, "is not a URL"),
    ],
)
def test_network_rule_key_not_an_origin_config_error(origin: Any, message: str) -> None:
    assert rule_problems(origin, Destination()) == {f"network.rules[{origin!r}]": message}


def test_network_rules_not_a_mapping_config_error() -> None:
    rules: Any = [CORP]
    assert problems_of(lambda: Network(rules=rules)) == {"network.rules": "must map origins to destinations"}


def test_network_rule_http_origin_needs_allow_http_and_no_tls_or_proxy() -> None:
    path = "network.rules['http://keycloak:8080']"
    assert rule_problems("http://keycloak:8080", Destination()) == {
        f"{path}.allow_http": "is an http origin and needs allow_http=True"
    }
    both = Destination(allow_http=True, ssl_context=ssl.create_default_context(), proxy="http://proxy:3128")
    assert rule_problems("http://keycloak.corp.example:8443", both) == {
        "network.rules['http://keycloak.corp.example:8443'].ssl_context": "needs an https origin",
        "network.rules['http://keycloak.corp.example:8443'].proxy": (
            "needs an https origin, because the address of an http origin must be checked"
        ),
    }
    assert rule_problems(CORP, Destination(allow_http=True)) == {
        f"network.rules['{CORP}'].allow_http": "is not an http origin"
    }


@pytest.mark.parametrize(
    "origin", ["https://keycloak", "https://10.0.0.1", "https://1.1.1.1", "https://[2606:4700::1111]", "https://[::1]"]
)
def test_network_rule_proxy_for_address_or_name_without_dot_config_error(origin: str) -> None:
    assert rule_problems(origin, Destination(proxy="http://proxy:3128")) == {
        f"network.rules['{origin}'].proxy": (
            "needs a host name with a dot, and no address, because the proxy resolves it"
        )
    }


def test_network_rule_proxy_port_must_be_allowed() -> None:
    rule = Destination(proxy="http://proxy:3128")
    assert rule_problems(f"{CORP}:9443", rule) == {
        f"network.rules['{CORP}:9443'].proxy": "needs a port that fetches may use"
    }
    assert Network((), [9443], rules={f"{CORP}:9443": rule}).rules
    assert Network(rules={f"{CORP}:9443": Destination()}).rules, "without a proxy, the address is checked"


# --- destinations


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy:3128", Proxy("http", "proxy", 3128, None)),
        ("http://Proxy.corp.example/", Proxy("http", "proxy.corp.example", 80, None)),
        ("https://proxy", Proxy("https", "proxy", 443, None)),
        ("http://10.0.0.1:8080", Proxy("http", "10.0.0.1", 8080, None)),
        ("http://[fd00::1]:8080", Proxy("http", "[fd00::1]", 8080, None)),
        ("http://me:p%40ss@proxy:3128", Proxy("http", "proxy", 3128, ("me", "p@ss"))),
    ],
)
def test_destination_proxy_parsed(url: str, proxy: Proxy) -> None:
    assert Destination(proxy=url).proxy == proxy


@pytest.mark.parametrize(
    "url",
    [
        *("", "proxy:3128", "socks5://proxy:1080", "http://proxy:0", "http://proxy:65536", "http://proxy/path", 5),
        *("http://me@proxy", "http://a:b:c@proxy", "http://proxy:3128?x", "http://pro xy", b"http://proxy"),
    ],
)
def test_destination_proxy_invalid_config_error_does_not_quote_it(url: Any) -> None:
    assert problems_of(lambda: Destination(proxy=url)) == {"proxy": "is not the URL of an HTTP proxy"}


def test_destination_proxy_password_not_ascii_config_error() -> None:
    problems = problems_of(lambda: Destination(proxy="http://me:%C3%A9@proxy"))
    assert problems == {"proxy": "has a user or password that is not ASCII"}


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ([("A", "b")], "headers"),
        ({"A B": "c"}, "headers"),
        ({5: "c"}, "headers"),
        ({"A": "b\r\nX: y"}, "headers.A"),
        ({"A": "b\n"}, "headers.A"),
        ({"A": " b"}, "headers.A"),
        ({"A": ""}, "headers.A"),
        ({"A": "é"}, "headers.A"),
        ({"A": 5}, "headers.A"),
        ({"A": "b", "a": "c"}, "headers.a"),
        ({"Host": "evil.example"}, "headers.Host"),
        ({"cookie": "a=b"}, "headers.cookie"),
        ({"Accept-Encoding": "gzip"}, "headers.Accept-Encoding"),
        ({"If-None-Match": "*"}, "headers.If-None-Match"),
        ({"Proxy-Authorization": "Basic x"}, "headers.Proxy-Authorization"),
        ({"Transfer-Encoding": "chunked"}, "headers.Transfer-Encoding"),
    ],
)
def test_destination_header_invalid_config_error(headers: Any, path: str) -> None:
    assert list(problems_of(lambda: Destination(headers=headers))) == [path]


def test_destination_every_problem_reported_without_values() -> None:
    anything = ANYTHING[5]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - a ConfigError is one, and its text is what is checked
        Destination(
            headers={"Authorization": "s3cret\n"},
            ssl_context=anything,
            proxy="http://me:s3cret@proxy:x",
            allow_http=anything,
            apps=["", 5],  # type: ignore[list-item]  # an invalid id
        )
    for path in ("headers.Authorization", "ssl_context", "proxy", "allow_http", "apps"):
        assert f"{path}: " in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert problems_of(lambda: Destination(apps="acme")) == {"apps": "must be a list of app ids, not one string"}


def test_destination_repr_has_no_header_value_and_no_password() -> None:
    rule = Destination(
        headers={"Authorization": "s3cret"}, proxy="http://me:s3cret@proxy", apps=["b", "a"], allow_http=False
    )
    shown = repr(Network(rules={CORP: rule}))
    assert "s3cret" not in shown
    assert (
        "Destination(headers=['Authorization'], ssl_context=False, proxy=True, allow_http=False, apps=['a', 'b'])"
        in shown
    )


def test_network_values_are_compared_and_hashed() -> None:
    networks = [Network(rules={CORP: Destination(headers={"A": "b"})}) for _ in range(2)]
    assert networks[0] == networks[1]
    assert len({*networks}) == 1
    assert networks[0] != Network(rules={CORP: Destination(headers={"A": "c"})})


def test_destination_later_change_of_headers_has_no_effect() -> None:
    headers = {"A": "b"}
    rule = Destination(headers=headers)
    headers["A"] = "c"
    assert rule.headers == {"A": "b"}
    with pytest.raises(TypeError):
        rule.headers["A"] = "c"  # type: ignore[index]  # a read-only mapping


def test_proxy_repr_has_no_password() -> None:
    proxy = Destination(proxy="http://user:proxy-password@proxy.example:3128").proxy
    assert repr(proxy) == "Proxy(scheme='http', host='proxy.example', port=3128, auth=True)"
