"""Discovery: the metadata must be the issuer's own, and for the issuer itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.jwks.support import Documents, failure_of, fetched
from wicket import ConfigError
from wicket.jwks.discovery import discover, metadata_urls
from wicket.jwks.fetcher import FetchFailed
from wicket.keys.urls import check_url

ISSUER = "https://id.example.com"
OPENID = f"{ISSUER}/.well-known/openid-configuration"
OAUTH = f"{ISSUER}/.well-known/oauth-authorization-server"
KEYS = "https://keys.example.com/jwks"


def metadata(**changes: Any) -> dict[str, Any]:
    return {"issuer": ISSUER, "jwks_uri": KEYS, **changes}


@pytest.mark.parametrize(
    ("issuer", "openid", "oauth"),
    [
        (ISSUER, OPENID, OAUTH),
        (f"{ISSUER}/", OPENID, OAUTH),
        (f"{ISSUER}/a/b", f"{ISSUER}/a/b/.well-known/openid-configuration", f"{OAUTH}/a/b"),
        (f"{ISSUER}/a/", f"{ISSUER}/a/.well-known/openid-configuration", f"{OAUTH}/a"),
        (
            f"{ISSUER}:8443/a",
            f"{ISSUER}:8443/a/.well-known/openid-configuration",
            f"{ISSUER}:8443/.well-known/oauth-authorization-server/a",
        ),
    ],
)
def test_metadata_urls_openid_appended_to_path_oauth_before_path(issuer: str, openid: str, oauth: str) -> None:
    assert [url.text for url in metadata_urls(issuer)] == [openid, oauth]


def test_metadata_urls_issuer_not_https_url_config_error() -> None:
    with pytest.raises(ConfigError) as caught:
        metadata_urls("http://id.example.com")
    assert [problem.path for problem in caught.value.problems] == ["issuer"]


def test_discover_openid_metadata_returns_jwks_uri() -> None:
    fetch = Documents(metadata())
    assert discover(ISSUER, fetch) == check_url(KEYS)
    assert fetch.asked == [(OPENID, None, None)]


def test_discover_openid_not_found_uses_oauth_metadata() -> None:
    fetch = Documents(by_url={OAUTH: metadata()})
    assert discover(ISSUER, fetch) == check_url(KEYS)
    assert fetch.urls == [OPENID, OAUTH]


def test_discover_both_documents_missing_not_found() -> None:
    fetch = Documents(by_url={})
    assert failure_of(lambda: discover(ISSUER, fetch)).kind == "not_found"
    assert fetch.urls == [OPENID, OAUTH]


@pytest.mark.parametrize("kind", ["timeout", "status", "redirect", "forbidden_address", "encoded"])
def test_discover_other_failure_no_oauth_fallback(kind: Any) -> None:
    fetch = Documents(FetchFailed(kind, retry_after=7.0))
    failure = failure_of(lambda: discover(ISSUER, fetch))
    assert (failure.kind, failure.retry_after) == (kind, 7.0)
    assert fetch.urls == [OPENID]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (FetchFailed("not_found"), FetchFailed("status", status=403), "status"),
        (FetchFailed("not_found"), FetchFailed("timeout"), "timeout"),
        (FetchFailed("status", status=403), FetchFailed("not_found"), "status"),
        (FetchFailed("not_json"), FetchFailed("not_found"), "not_json"),
        (FetchFailed("not_json"), FetchFailed("status", status=401), "not_json"),
        (FetchFailed("not_json"), FetchFailed("redirect"), "redirect"),
    ],
)
def test_a5_discover_both_documents_fail_more_specific_failure_raised(
    first: FetchFailed, second: FetchFailed, said: str
) -> None:
    fetch = Documents(first, second)
    assert failure_of(lambda: discover(ISSUER, fetch)).kind == said
    assert fetch.urls == [OPENID, OAUTH]


def test_a5_discover_5xx_status_no_oauth_fallback() -> None:
    fetch = Documents(FetchFailed("status", status=503))
    assert failure_of(lambda: discover(ISSUER, fetch)).kind == "status"
    assert fetch.urls == [OPENID]


@pytest.mark.parametrize("document", [None, [], "text", 5, True, [metadata()]])
def test_discover_metadata_not_object_not_discovery(document: Any) -> None:
    assert failure_of(lambda: discover(ISSUER, Documents(fetched(document)))).kind == "not_discovery"


@pytest.mark.parametrize(
    "named",
    [f"{ISSUER}/", "https://ID.example.com", "https://evil.example", f" {ISSUER}", "", None, [ISSUER], {"a": ISSUER}],
)
def test_discover_issuer_not_identical_wrong_issuer(named: Any) -> None:
    assert failure_of(lambda: discover(ISSUER, Documents(metadata(issuer=named)))).kind == "wrong_issuer"


def test_discover_issuer_missing_wrong_issuer() -> None:
    assert failure_of(lambda: discover(ISSUER, Documents({"jwks_uri": KEYS}))).kind == "wrong_issuer"


@pytest.mark.parametrize(
    "url",
    ["http://keys.example.com/jwks", "file:///etc/passwd", "/jwks", "", None, 5, [KEYS], "https://127.1/", f"{KEYS}#a"],
)
def test_discover_invalid_or_missing_jwks_uri_not_discovery(url: Any) -> None:
    failure = failure_of(lambda: discover(ISSUER, Documents(metadata(jwks_uri=url))))
    assert failure.kind == "not_discovery"
    assert failure.__suppress_context__
    assert failure_of(lambda: discover(ISSUER, Documents({"issuer": ISSUER}))).kind == "not_discovery"


def test_discover_http_metadata_url_only_if_allowed() -> None:
    """An issuer that allows http may name an http URL. One that does not may not."""
    issuer, keys = "http://keycloak:8080/realms/a", "http://keycloak:8080/keys"
    url = f"{issuer}/.well-known/openid-configuration"
    fetch = Documents(by_url={url: fetched({"issuer": issuer, "jwks_uri": keys})})
    assert discover(issuer, fetch, allow_http=True).text == keys
    with pytest.raises(ConfigError):
        discover(issuer, fetch)
    secure = Documents(fetched({"issuer": ISSUER, "jwks_uri": keys}))
    assert failure_of(lambda: discover(ISSUER, secure)).kind == "not_discovery"
