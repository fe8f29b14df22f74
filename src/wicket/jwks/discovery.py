"""From an issuer to the URL of its key set: OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3."""

from __future__ import annotations

from wicket.errors import ConfigError
from wicket.jwks.outcome import Fetcher, FetchFailed
from wicket.keys.urls import KeySetUrl, check_url


def discover(issuer: str, fetch: Fetcher) -> KeySetUrl:
    """The `jwks_uri` of `issuer`. Blocks. Raises `FetchFailed`.

    The OpenID document is asked for first, RFC 8414's where there is none. Its `issuer` must equal the configured one
    to the letter (OpenID Connect Discovery section 4.3), and its `jwks_uri` has the shape that any key set's must.
    """
    openid, oauth = metadata_urls(issuer)
    try:
        found = fetch(openid, etag=None, modified=None)
    except FetchFailed as failure:
        if failure.kind != "not_found":
            raise
        found = fetch(oauth, etag=None, modified=None)
    document = found.document
    if not isinstance(document, dict):
        raise FetchFailed("not_discovery")
    if document.get("issuer") != issuer:
        raise FetchFailed("wrong_issuer")
    try:
        return check_url(document.get("jwks_uri"))
    except ConfigError:
        raise FetchFailed("not_discovery") from None


def metadata_urls(issuer: str) -> tuple[KeySetUrl, KeySetUrl]:
    """Where the metadata of `issuer` may stand: behind its path (OpenID), or before it (RFC 8414 section 3.1)."""
    url = check_url(issuer, path="issuer")
    path = url.target.rstrip("/")
    return (
        url._replace(target=f"{path}/.well-known/openid-configuration"),
        url._replace(target=f"/.well-known/oauth-authorization-server{path}"),
    )
