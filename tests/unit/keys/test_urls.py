"""The URL of a key set has one plain syntax. A URL that two parsers could read differently is rejected."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cost import QUICKLY, steps_of
from tests.support.unit import problems_of
from tests.support.urls import is_url
from wicket import ConfigError
from wicket.keys.urls import DEFAULT_PORTS, KeySetUrl, check_url

SHAPE = "is not an https URL of a host and a path"
HOST = "has a host that is not a DNS name"
NUMBER = "has a numeric host that is not a plain IPv4 address"
DOTS = "has dot segments"
SCHEME = "must start with https://"

GOOD = {
    "https://id.example.com/.well-known/jwks.json": KeySetUrl("id.example.com", 443, "/.well-known/jwks.json"),
    "https://ID.Example.COM/Keys": KeySetUrl("id.example.com", 443, "/Keys"),
    "https://id.example.com": KeySetUrl("id.example.com", 443, "/"),
    "https://id.example.com?tenant=1": KeySetUrl("id.example.com", 443, "/?tenant=1"),
    "https://id.example.com/a?b=/../c&d=%2e": KeySetUrl("id.example.com", 443, "/a?b=/../c&d=%2e"),
    "https://id.example.com:443/a": KeySetUrl("id.example.com", 443, "/a"),
    "https://id.example.com:8443/a": KeySetUrl("id.example.com", 8443, "/a"),
    "https://id.example.com:00443/a": KeySetUrl("id.example.com", 443, "/a"),
    "https://id.example.com:65535/": KeySetUrl("id.example.com", 65535, "/"),
    "https://localhost/": KeySetUrl("localhost", 443, "/"),
    "https://a_b.example/": KeySetUrl("a_b.example", 443, "/"),
    "https://xn--bcher-kva.example/": KeySetUrl("xn--bcher-kva.example", 443, "/"),
    "https://1.2.3.4/a": KeySetUrl("1.2.3.4", 443, "/a"),
    "https://1a.2b.3c/a": KeySetUrl("1a.2b.3c", 443, "/a"),
    "https://[2001:DB8::1]/a": KeySetUrl("[2001:db8::1]", 443, "/a"),
    "https://[::ffff:1.2.3.4]:8443/": KeySetUrl("[::ffff:1.2.3.4]", 8443, "/"),
    "https://a.example//b//": KeySetUrl("a.example", 443, "//b//"),
    "https://a.example/...": KeySetUrl("a.example", 443, "/..."),
    "https://a.example/.a/..b/c..": KeySetUrl("a.example", 443, "/.a/..b/c.."),
    "https://a.example/%C3%A9;v=1,(x)!$&'*+=:@~": KeySetUrl("a.example", 443, "/%C3%A9;v=1,(x)!$&'*+=:@~"),
}

BAD = {
    "": SCHEME,
    "http://id.example.com/": SCHEME,
    "HTTPS://id.example.com/": SCHEME,
    " https://id.example.com/": SCHEME,
    "//id.example.com/": SCHEME,
    "https:/id.example.com/": SCHEME,
    "https:id.example.com": SCHEME,
    "file:///etc/passwd": SCHEME,
    "https://": SHAPE,
    "https:///a": SHAPE,
    "https://?a": SHAPE,
    "https://id.example.com:/": SHAPE,
    "https://id.example.com:123456/": SHAPE,
    "https://id.example.com:+443/": SHAPE,
    "https://id.example.com:٤٤٣/": SHAPE,
    "https://user@id.example.com/": SHAPE,
    "https://user:word@id.example.com/": SHAPE,
    "https://id.example.com\\@evil.example/": SHAPE,
    "https://id.example.com/\\evil": SHAPE,
    "https://id.example.com/#part": SHAPE,
    "https://id.example.com#@evil.example/": SHAPE,
    "https://id.example.com/a b": SHAPE,
    "https://id.example.com/a\tb": SHAPE,
    "https://id.example.com/a\nb": SHAPE,
    "https://id.example.com/a\r\nX: y": SHAPE,
    "https://id.example.com/a\0": SHAPE,
    "https://id.example.com/a\n": SHAPE,
    "https://id.example.com/{tenant}": SHAPE,
    "https://id.example.com/%": SHAPE,
    "https://id.example.com/%2": SHAPE,
    "https://id.example.com/%zz": SHAPE,
    "https://id.example.com/é": SHAPE,
    "https://bücher.example/": SHAPE,
    "https://①②⑦.⓪.⓪.①/": SHAPE,
    "https://127。0。0。1/": SHAPE,
    "https://id%2eexample.com/": SHAPE,
    "https://*.example.com/": SHAPE,
    "https://[/": SHAPE,
    "https://[::1": SHAPE,
    "https://[]/": SHAPE,
    "https://[fe80::1%25eth0]/": SHAPE,
    "https://::1/": SHAPE,
    "https://[::g]/": SHAPE,
    "https://[:::]/": "has brackets without an IPv6 address",
    "https://[127.0.0.1]/": "has brackets without an IPv6 address",
    "https://[1]/": "has brackets without an IPv6 address",
    "https://id.example.com:0/": "has no valid port",
    "https://id.example.com:65536/": "has no valid port",
    "https://id.example.com/.": DOTS,
    "https://id.example.com/..": DOTS,
    "https://id.example.com/a/../b": DOTS,
    "https://id.example.com/a/./b": DOTS,
    "https://id.example.com/%2e%2E/b": DOTS,
    "https://id.example.com/.%2e/b": DOTS,
    "https://id.example.com/a/%2e?b": DOTS,
    "https://./": HOST,
    "https://../": HOST,
    "https://.example.com/": HOST,
    "https://id..example.com/": HOST,
    "https://id.example.com./": HOST,
    "https://-id.example.com/": HOST,
    "https://id-.example.com/": HOST,
    "https://id.example_/": HOST,
    "https://127.1/": NUMBER,
    "https://2130706433/": NUMBER,
    "https://017700000001/": NUMBER,
    "https://0177.0.0.1/": NUMBER,
    "https://127.000.000.001/": NUMBER,
    "https://1.2.3.4.5/": NUMBER,
    "https://1.2.3.256/": NUMBER,
    "https://id.example.1/": NUMBER,
    "https://0x7f000001/": NUMBER,
    "https://0X7F.0.0.1/": NUMBER,
    "https://127.0.0.0x1/": NUMBER,
    "https://o177.0.0.1/": NUMBER,
}


@pytest.mark.parametrize("text", GOOD)
def test_check_url_valid_url_parsed(text: str) -> None:
    assert check_url(text) == GOOD[text]
    assert is_url(text)


@pytest.mark.parametrize("text", GOOD)
def test_check_url_canonical_text_parses_to_same_url(text: str) -> None:
    url = check_url(text)
    assert check_url(url.text) == url


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_check_url_malformed_config_error(text: str) -> None:
    assert problems_of(lambda: check_url(text)) == {"url": BAD[text]}
    assert not is_url(text)


@pytest.mark.parametrize("value", [None, 5, b"https://id.example.com/", ["https://id.example.com/"], True])
def test_check_url_not_str_config_error(value: Any) -> None:
    assert problems_of(lambda: check_url(value)) == {"url": "is not a URL"}
    assert not is_url(value)


def test_check_url_longer_than_2048_characters_config_error() -> None:
    start = "https://id.example.com/"
    assert is_url(start + "a" * (2048 - len(start)))
    assert problems_of(lambda: check_url(start + "a" * (2049 - len(start)))) == {"url": "is not a URL"}


def test_is_url_dns_label_over_63_or_name_over_253_false() -> None:
    assert is_url(f"https://{'a' * 63}.example/")
    assert not is_url(f"https://{'a' * 64}.example/")
    assert is_url(f"https://{'a.' * 126}a/")
    assert not is_url(f"https://{'a.' * 127}a/")


def test_check_url_error_reported_at_given_path() -> None:
    assert problems_of(lambda: check_url("http://id.example.com", path="issuer")) == {"issuer": SCHEME}


def test_check_url_error_excludes_url() -> None:
    with pytest.raises(ConfigError) as caught:
        check_url("https://user:hunter2@id.example.com/")
    assert "hunter2" not in str(caught.value)


def test_key_set_url_text_omits_default_port() -> None:
    assert check_url("https://ID.example.com:443/a?b=c").text == "https://id.example.com/a?b=c"
    assert check_url("https://id.example.com:8443/a").text == "https://id.example.com:8443/a"


def test_key_set_url_redacted_excludes_query() -> None:
    assert check_url("https://id.example.com/a?key=hunter2?").redacted == "https://id.example.com/a"
    assert check_url("https://id.example.com/a").redacted == "https://id.example.com/a"


def test_default_ports_are_443_and_8443() -> None:
    assert frozenset({443, 8443}) == DEFAULT_PORTS


@pytest.mark.parametrize("part", ["/", "/a", "%2e", "/.", "?", "a.", "[", ":", "/%", "-"])
def test_is_url_adversarial_text_bounded_steps(part: str) -> None:
    text = ("https://" + part * 2048)[:2040]
    for ending in ("", " ", "#", "\0"):
        assert steps_of(lambda judged=text + ending: is_url(judged)) < QUICKLY  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "origin", "authority", "port"),
    [
        ("https://id.example:443/a", "https://id.example", "id.example", 443),
        ("https://id.example:80/a", "https://id.example:80", "id.example:80", 80),
        ("http://Keycloak/a", "http://keycloak", "keycloak", 80),
        ("http://keycloak:443/a", "http://keycloak:443", "keycloak:443", 443),
        ("http://[::1]:8080", "http://[::1]:8080", "[::1]:8080", 8080),
    ],
)
def test_key_set_url_origin_and_authority_omit_default_port(text: str, origin: str, authority: str, port: int) -> None:
    url = check_url(text, allow_http=True)
    assert (url.origin, url.authority, url.port) == (origin, authority, port)
    assert url.text.startswith(f"{origin}/")
