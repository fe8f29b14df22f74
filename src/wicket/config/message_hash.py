"""Settings of hashes in messages: an HMAC-SHA256 that a client sends over a socket beside the hashed values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wicket.errors import Problems
from wicket.keys import Secret
from wicket.settings import is_nonempty_string


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHash:
    """The settings for hashes that `Gate.verify_hash` verifies: the HMAC-SHA256 of one field or of joined fields.

    Args:
        secret: The secret of the HMAC. It must differ from the secrets that sign the app's tokens and from those of its
            identity hashes.
        separator: The string between two fields. A field that contains it is refused, because other fields would have
            the same hash: `a:b` and `c`, or `a` and `b:c`.
        encoding: The encoding of the hash: `hex` (lower case) or `base64` (with padding).
        identifier: The name of the identifier, if the hash is that of the user id alone. The decision then has the
            user, with this name as `user_id_claim`. None: the hash proves no user.

    Raises:
        ConfigError: A value is invalid. It has every problem, each with the path to its field.
    """

    secret: Secret = field(repr=False)
    separator: str = ":"
    encoding: Literal["hex", "base64"] = "hex"
    identifier: str | None = None

    def __post_init__(self) -> None:
        problems = Problems()
        if not isinstance(self.secret, Secret):
            problems.add("message_hash.secret", "must be a Secret")
        if not is_nonempty_string(self.separator):
            problems.add("message_hash.separator", "must be a non-empty string")
        if self.encoding not in ("hex", "base64"):
            problems.add("message_hash.encoding", "must be hex or base64")
        if self.identifier is not None and not is_nonempty_string(self.identifier):
            problems.add("message_hash.identifier", "must be the name of an identifier, or None")
        problems.raise_if_any()
