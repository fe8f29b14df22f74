"""From an issuer to the URL of its key set: OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3."""

from __future__ import annotations

from wicket.errors import ConfigError
from wicket.jwks.fetcher import Fetcher, FetchFailed
from wicket.keys.urls import KeySetUrl, check_url


def discover(issuer: str, fetch: Fetcher) -> KeySetUrl:
    """The `jwks_uri` of `issuer`. Blocks. Raises `FetchFailed`.

    The OpenID document is asked for first. After a 4xx, or an answer that is not JSON, the document of RFC 8414 is
    asked for. If both requests fail, the failure that says more is raised. The document's `issuer` must equal the
    configured one to the letter (OpenID Connect Discovery section 4.3), and its `jwks_uri` has the shape that any key
    set's must.
    """
    openid, oauth = metadata_urls(issuer)
    try:
        found = fetch(openid, etag=None, modified=None)
    except FetchFailed as failure:
        if not _leads_on(failure):
            raise
        try:
            found = fetch(oauth, etag=None, modified=None)
        except FetchFailed as second:
            raise max(failure, second, key=_says) from None
    document = found.document
    if not isinstance(document, dict):
        raise FetchFailed("not_discovery")
    if document.get("issuer") != issuer:
        raise FetchFailed("wrong_issuer")
    try:
        return check_url(document.get("jwks_uri"))
    except ConfigError:
        raise FetchFailed("not_discovery") from None


def _leads_on(failure: FetchFailed) -> bool:
    """Whether the issuer may have the other document: it answered that it does not have this one."""
    refused = failure.status is not None and 400 <= failure.status < 500
    return failure.kind in ("not_found", "not_json") or refused


def _says(failure: FetchFailed) -> int:
    """How much a failure says: "not found" the least, then another 4xx, then an answer that is not JSON."""
    if failure.kind == "not_found":
        return 0
    if failure.kind == "not_json":
        return 2
    return 1 if _leads_on(failure) else 3


def metadata_urls(issuer: str) -> tuple[KeySetUrl, KeySetUrl]:
    """Where the metadata of `issuer` may stand: behind its path (OpenID), or before it (RFC 8414 section 3.1)."""
    url = check_url(issuer, path="issuer")
    path = url.target.rstrip("/")
    return (
        url._replace(target=f"{path}/.well-known/openid-configuration"),
        url._replace(target=f"/.well-known/oauth-authorization-server{path}"),
    )
