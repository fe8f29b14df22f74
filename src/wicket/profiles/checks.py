"""What vendors demand of a credential; each check says what is wrong, or None."""

from __future__ import annotations

from wicket.keys import Credential, Jwks, PublicKey, Secret


def only_hs256(credential: Credential) -> str | None:
    """The vendor's tokens are HS256 and nothing else."""
    if not isinstance(credential, Secret) or credential.algorithms != ("HS256",):
        return "must be a Secret for HS256, which is the vendor's only algorithm"
    return None


def only_public(credential: Credential) -> str | None:
    """The vendor's tokens are signed by an issuer of the app's own, with a private key."""
    return None if isinstance(credential, (PublicKey, Jwks)) else "must be a PublicKey or a Jwks, not a shared secret"
