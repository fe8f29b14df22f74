"""Credentials and keys, which verify tokens, and the algorithms that each key may be used for. It does no I/O."""

from wicket.keys.jwks import Jwks
from wicket.keys.key_set import KeySet, KeySource
from wicket.keys.keyring import Keyring
from wicket.keys.public_key import PublicKey
from wicket.keys.secret import Credential, Secret

__all__ = ["Credential", "Jwks", "KeySet", "KeySource", "Keyring", "PublicKey", "Secret"]
