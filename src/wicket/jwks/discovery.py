"""Discovery of an issuer's key set URL: OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3."""

from __future__ import annotations

from wicket.errors import ConfigError
from wicket.jwks.fetcher import Fetcher, FetchFailed
from wicket.keys.urls import KeySetUrl, check_url


def discover(issuer: str, fetch: Fetcher, *, allow_http: bool = False) -> KeySetUrl:
    """Return the `jwks_uri` of an issuer. Blocks.

    The OpenID document is fetched first. After a 4xx status or a response that is not JSON, the document of RFC 8414 is
    fetched. If both requests fail, the more specific failure is raised.

    Args:
        issuer: the issuer. The `issuer` of the document must equal it exactly (OpenID Connect Discovery section 4.3).
        fetch: fetches the documents.
        allow_http: whether the issuer and the URL may be http URLs.

    Returns:
        The URL, which `check_url` has accepted.

    Raises:
        FetchFailed: no document could be fetched, its `issuer` is another one, or its `jwks_uri` is not a plain https
            URL (or http URL, if `allow_http` is set).
    """
    openid_url, oauth_url = metadata_urls(issuer, allow_http=allow_http)
    try:
        fetched = fetch(openid_url, etag=None, modified=None)
    except FetchFailed as failure:
        if not _is_document_missing(failure):
            raise
        try:
            fetched = fetch(oauth_url, etag=None, modified=None)
        except FetchFailed as second:
            raise max(failure, second, key=_specificity) from None
    document = fetched.document
    if not isinstance(document, dict):
        raise FetchFailed("not_discovery")
    if document.get("issuer") != issuer:
        raise FetchFailed("wrong_issuer")
    try:
        return check_url(document.get("jwks_uri"), allow_http=allow_http)
    except ConfigError:
        raise FetchFailed("not_discovery") from None


def _is_document_missing(failure: FetchFailed) -> bool:
    """Return whether the issuer answered that it does not have this document, so it may have the other one."""
    client_error = failure.status is not None and 400 <= failure.status < 500
    return failure.kind in ("not_found", "not_json") or client_error


def _specificity(failure: FetchFailed) -> int:
    """Return how specific a failure is: "not found" least, then another 4xx, then a response that is not JSON."""
    if failure.kind == "not_found":
        return 0
    if failure.kind == "not_json":
        return 2
    return 1 if _is_document_missing(failure) else 3


def metadata_urls(issuer: str, *, allow_http: bool = False) -> tuple[KeySetUrl, KeySetUrl]:
    """Return the two URLs at which an issuer may publish its metadata.

    Args:
        issuer: the https URL of the issuer.
        allow_http: whether it may be an http URL.

    Returns:
        The URL of the OpenID document, whose well-known path follows the issuer's path, and the URL of RFC 8414 section
        3.1, whose well-known path precedes it.

    Raises:
        ConfigError: the issuer is not a plain https URL.
    """
    url = check_url(issuer, path="issuer", allow_http=allow_http)
    path = url.target.rstrip("/")
    return (
        url._replace(target=f"{path}/.well-known/openid-configuration"),
        url._replace(target=f"/.well-known/oauth-authorization-server{path}"),
    )
