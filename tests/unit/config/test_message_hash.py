"""Settings of hashes in messages, which are validated when they are created."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support.unit import KEY, OTHER_KEY, acme, problems_of, secret
from wicket import CompanyHash, IdentityHash, MessageHash, Revocations, Secret


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"secret": KEY}, "message_hash.secret"),
        ({"separator": ""}, "message_hash.separator"),
        ({"separator": None}, "message_hash.separator"),
        ({"encoding": "HEX"}, "message_hash.encoding"),
        ({"identifier": ""}, "message_hash.identifier"),
    ],
)
def test_message_hash_invalid_setting_problem_has_its_path(changes: dict[str, Any], path: str) -> None:
    assert list(problems_of(lambda: MessageHash(**{"secret": secret(), **changes}))) == [path]


def test_message_hash_repr_contains_no_secret() -> None:
    assert KEY.hex() not in repr(MessageHash(secret=secret()))
    assert repr(KEY)[2:-1] not in repr(MessageHash(secret=secret()))


def test_app_message_hash_of_wrong_type_config_error() -> None:
    settings: Any = {"message_hash": secret(OTHER_KEY)}
    assert list(problems_of(lambda: acme(**settings))) == ["message_hash"]


@pytest.mark.parametrize("same", [OTHER_KEY, OTHER_KEY + b"\0"], ids=["equal", "equal for HMAC"])
def test_app_message_hash_secret_verifies_tokens_config_error(same: bytes) -> None:
    """A client that chooses the fields would receive the signature of a token."""
    rule = MessageHash(secret=secret(OTHER_KEY))
    for credential in (secret(same), Secret(same, algorithms=["HS256", "HS512"], allow_short=True)):
        problems = problems_of(partial(acme, credentials=[secret(), credential], message_hash=rule))
        assert list(problems) == ["credentials[1]"]
        assert "hash of messages" in problems["credentials[1]"]


@pytest.mark.parametrize("wrong", [{"kid": "a"}, "text", None], ids=repr)
def test_app_message_hash_beside_invalid_credential_config_error(wrong: Any) -> None:
    rule = MessageHash(secret=secret(OTHER_KEY))
    assert list(problems_of(partial(acme, credentials=[wrong], message_hash=rule))) == ["credentials[0]"]


def test_app_message_hash_secret_verifies_identity_hashes_config_error() -> None:
    """A user whose id is `socket:channel` would have the hash of this socket and this channel."""
    users, companies = secret(OTHER_KEY), secret(bytes(range(5, 37)))
    identity_hash = IdentityHash(secret=users, companies=CompanyHash(secret=companies))
    for shared in (users, companies):
        rule = MessageHash(secret=shared)
        problems = problems_of(partial(acme, identity_hash=identity_hash, message_hash=rule))
        assert list(problems) == ["message_hash.secret"]
    assert acme(identity_hash=identity_hash).hash_secrets == (users, companies)
    own = MessageHash(secret=secret(bytes(range(6, 38))))
    assert acme(identity_hash=identity_hash, message_hash=own).hash_secrets == (users, companies, own.secret)


def test_app_message_hash_identifier_is_user_id_claim() -> None:
    rule = MessageHash(secret=secret(OTHER_KEY), identifier="userId")
    revocations = Revocations(users_by_claim={"userId": {"ada": 1}})
    assert acme(message_hash=rule, revocations=revocations).user_id_claims == ("sub", "userId")
    unnamed = MessageHash(secret=secret(OTHER_KEY))
    assert acme(message_hash=unnamed).user_id_claims == ("sub",)
