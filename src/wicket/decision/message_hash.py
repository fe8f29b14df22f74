"""Hashes in messages: HMAC-SHA256 of one field or of several joined fields, compared in constant time.

Such a hash has no date. It proves that the app's backend signed exactly these fields, in this order.
"""

from __future__ import annotations

from collections.abc import Sequence

from wicket.config.app import App
from wicket.config.message_hash import MessageHash
from wicket.decision.claims import bad_user_id, is_revoked
from wicket.decision.identity import Identity
from wicket.decision.identity_hash import HashedIdentity, compute_hash, hashes_equal, identifier_string
from wicket.errors import Refusal, Refused, invalid_token


class MessageIdentity(HashedIdentity):
    """A user whose ID was verified by a hash in a message. Only the ID is verified, and no attribute."""

    __slots__ = ()

    def __init__(self, app: App, user_id: str, user_id_claim: str) -> None:
        """Create an identity.

        Args:
            app: The app whose secret verified the hash.
            user_id: The verified user ID.
            user_id_claim: The name of the identifier, for example `userId`.
        """
        super().__init__(app, user_id, user_id_claim)

    def valid_until(self, app: App) -> float | None:
        """Return None: a hash in a message never expires."""
        return None

    def _hash_keys(self, app: App) -> list[bytes]:
        """Return the fingerprint of the secret of `app` for hashes in messages."""
        return [app.message_hash.secret.keys[0].fingerprint] if app.message_hash is not None else []


def identify_by_message(app: App, proof: object, fields: Sequence[object]) -> Identity:
    """Verify the hash of fields.

    Args:
        app: The app.
        proof: The hash.
        fields: The fields in the order in which they are joined. A client may have sent them, of any type.

    Returns:
        The user, if the hash is that of a user ID. Otherwise the anonymous identity of the app.

    Raises:
        Refused: `config_missing` if the app has no secret for such hashes, `missing_token` if there is no hash,
            `bad_identity_hash` if a field or the hash is invalid, `revoked` if a revocation covers the user or every
            token of the app.
    """
    rule = app.message_hash
    if rule is None:
        raise Refused(Refusal("config_missing", detail="This app has no secret for hashes of messages."))
    if proof is None or proof == "":
        raise Refused(Refusal("missing_token", detail="This message requires a hash, but it has none."))
    values = _field_values(rule, fields)
    joined = rule.separator.join(values)
    # Other fields would have the same hash. The comparison also finds a separator that begins or ends inside a field.
    if rule.identifier is None and joined.split(rule.separator) != values:
        raise invalid_token("bad_identity_hash", "A hashed field contains the separator.")
    expected = compute_hash(rule.secret, joined, rule.encoding)
    if not isinstance(proof, str) or not hashes_equal(expected, proof):
        raise invalid_token("bad_identity_hash")
    identity = MessageIdentity(app, values[0], rule.identifier) if rule.identifier is not None else None
    if identity.is_revoked_in(app) if identity is not None else is_revoked({}, "", app):
        raise invalid_token("revoked")
    return identity or Identity(app.id, app)


def _field_values(rule: MessageHash, fields: Sequence[object]) -> list[str]:
    """Return the fields as strings.

    Raises:
        Refused: `bad_identity_hash` if the number of fields is wrong, or if a field is not valid.
    """
    if not fields or (rule.identifier is not None and len(fields) > 1):
        raise invalid_token("bad_identity_hash", "The number of hashed fields is wrong.")
    values: list[str] = []
    for index, field in enumerate(fields):
        value = identifier_string(field)
        error = "must be a non-empty string or an integer" if value is None else bad_user_id(value)
        if value is None or error is not None:
            raise invalid_token("bad_identity_hash", f"The hashed field {index} {error}.")
        values.append(value)
    return values
