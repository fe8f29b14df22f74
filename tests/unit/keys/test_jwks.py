"""`Jwks` as a credential: its sources, and its repr."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import jwk, problems_of, rsa_key
from wicket import ConfigError, Jwks
from wicket.keys.key_set import KeySource
from wicket.keys.urls import check_url

URL = "https://id.example.com/keys?secret=hunter2"
DEFAULT = ("RS256", "ES256", "EdDSA")


def test_jwks_url_creates_remote_source() -> None:
    jwks = Jwks(URL)
    assert jwks.source == KeySource(check_url(URL), None, DEFAULT)
    assert (jwks.keys, jwks.skipped, jwks.algorithms) == ((), (), DEFAULT)


def test_jwks_url_custom_issuer_and_algorithms_kept() -> None:
    jwks = Jwks(URL, algorithms=["ES512"], issuer="anything, it is only compared")
    assert jwks.source == KeySource(check_url(URL), "anything, it is only compared", ("ES512",))


def test_jwks_discover_issuer_source_without_url() -> None:
    jwks = Jwks.discover("https://Id.example.com/tenant/", algorithms=["RS512"])
    assert jwks.source == KeySource(None, "https://Id.example.com/tenant/", ("RS512",))
    assert (jwks.keys, jwks.skipped) == ((), ())
    assert Jwks.discover("https://id.example.com").algorithms == DEFAULT


def test_jwks_static_keys_without_source() -> None:
    jwks = Jwks.static({"keys": [jwk(rsa_key(), kid="a"), {"kty": "oct"}]})
    assert jwks.source is None
    assert [key.kid for key in jwks.keys] == ["a"]
    assert len(jwks.skipped) == 1


@pytest.mark.parametrize("url", ["http://id.example.com/", "", "id.example.com", None, 5])
def test_jwks_url_or_issuer_not_https_config_error(url: Any) -> None:
    assert problems_of(lambda: Jwks(url)).keys() == {"url"}
    assert problems_of(lambda: Jwks.discover(url)).keys() == {"issuer"}


@pytest.mark.parametrize("issuer", ["", 5, b"https://id.example.com", ["https://id.example.com"]])
def test_jwks_issuer_empty_or_not_str_config_error(issuer: Any) -> None:
    assert problems_of(lambda: Jwks(URL, issuer=issuer)) == {"issuer": "must be a non-empty string"}


@pytest.mark.parametrize("issuer", ["https://id.example.com/?tenant=1", "https://id.example.com/a?", "https://a.b#c"])
def test_jwks_discover_issuer_with_query_or_fragment_config_error(issuer: str) -> None:
    """OpenID Connect Discovery section 4, RFC 8414 section 2: the well-known path could not be appended."""
    assert problems_of(lambda: Jwks.discover(issuer)).keys() == {"issuer"}


@pytest.mark.parametrize("algorithms", [["HS256"], ["none"], [], ["rs256"], ["RS256", "HS512"], "RS256"])
def test_jwks_algorithms_invalid_or_hmac_config_error(algorithms: Any) -> None:
    for build in (lambda: Jwks(URL, algorithms=algorithms), lambda: Jwks.discover(URL[:22], algorithms=algorithms)):
        assert problems_of(build).keys() == {"algorithms"}


@pytest.mark.parametrize("document", [None, [], {"keys": 5}, {"keys": []}, {"keys": [5] * 65}])
def test_jwks_static_invalid_document_config_error(document: Any) -> None:
    assert problems_of(lambda: Jwks.static(document)).keys() == {"document"}


def test_jwks_repr_shows_origin_without_query() -> None:
    assert repr(Jwks(URL)) == f"Jwks('https://id.example.com/keys', algorithms={DEFAULT!r})"
    assert repr(Jwks.discover("https://id.example.com")) == f"Jwks('https://id.example.com', algorithms={DEFAULT!r})"
    assert repr(Jwks.static({"keys": [jwk(rsa_key())]})) == f"Jwks(1 keys, 0 skipped, algorithms={DEFAULT!r})"


# --- http


def test_jwks_http_url_needs_allow_http() -> None:
    url = "http://keycloak:8080/keys"
    with pytest.raises(ConfigError, match=r"must start with https://.*allow_http=True"):
        Jwks(url)
    with pytest.raises(ConfigError, match=r"must start with https://.*allow_http=True"):
        Jwks.discover(url)
    source = Jwks(url, allow_http=True).source
    assert source is not None
    assert source.url is not None
    assert (source.url.text, source.host, source.redacted) == (url, ("keycloak", 8080), url)
    discovered = Jwks.discover("http://keycloak/realms/a", allow_http=True).source
    assert discovered is not None
    assert (discovered.allow_http, discovered.host) == (True, ("keycloak", 80))


def test_jwks_allow_http_is_only_for_http_and_must_be_boolean() -> None:
    wrong: Any = 1
    with pytest.raises(ConfigError, match="allow_http: must be true or false"):
        Jwks("https://id.example/keys", allow_http=wrong)
    with pytest.raises(ConfigError, match="must start with https://"):
        Jwks("ftp://id.example/keys", allow_http=True)
    with pytest.raises(ConfigError, match="is not an https URL"):
        Jwks("http://user@id.example/keys", allow_http=True)
