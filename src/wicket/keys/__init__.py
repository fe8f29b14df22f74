"""Credentials and keys: what proves a token, and what each key may be used for. No I/O happens here."""

from wicket.keys.jwks import Jwks
from wicket.keys.key_set import KeySet, KeySource
from wicket.keys.keyring import Keyring
from wicket.keys.public_key import PublicKey
from wicket.keys.secret import Credential, Secret

__all__ = ["Credential", "Jwks", "KeySet", "KeySource", "Keyring", "PublicKey", "Secret"]
