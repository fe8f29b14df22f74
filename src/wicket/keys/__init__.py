"""Credentials and keys: what proves a token, and what each key may be used for. No I/O happens here."""

from wicket.keys.credentials import Credential, Jwks, PublicKey, Secret
from wicket.keys.keyring import Keyring

__all__ = ["Credential", "Jwks", "Keyring", "PublicKey", "Secret"]
