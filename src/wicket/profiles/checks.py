"""Checks of a vendor's credentials. Each check returns an error message, or None if the credential is valid."""

from __future__ import annotations

from wicket.keys import Credential, Jwks, PublicKey, Secret


def only_hs256(credential: Credential) -> str | None:
    """Allow only a `Secret` whose only algorithm is HS256."""
    if not isinstance(credential, Secret) or credential.algorithms != ("HS256",):
        return "must be a Secret for HS256, the vendor's only algorithm"
    return None


def only_public(credential: Credential) -> str | None:
    """Allow only a `PublicKey` or `Jwks`: the app's own issuer signs the vendor's tokens with a private key."""
    return None if isinstance(credential, (PublicKey, Jwks)) else "must be a PublicKey or a Jwks, not a shared secret"
