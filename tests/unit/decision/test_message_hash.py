"""Hashes in messages of sockets: Pusher's of joined fields, TalkJS's of a user id."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.gate_harness import Registry, over
from tests.support.unit import NOW, OTHER_KEY, acme, gate_of, secret
from wicket import App, AppRef, Decision, DecisionEvent, Gate, MessageHash, Mode, Refused, Revocations

SOCKET, CHANNEL = "123.456", "private-room"

Verify = Callable[..., Decision]


def verify_sync(gate: Gate, *arguments: Any, **settings: Any) -> Decision:
    return gate.verify_hash(*arguments, **settings)


def verify_async(gate: Gate, *arguments: Any, **settings: Any) -> Decision:
    return asyncio.run(gate.averify_hash(*arguments, **settings))


both = pytest.mark.parametrize("verify", [verify_sync, verify_async])


def hash_by_hand(text: str, key: bytes = OTHER_KEY) -> str:
    return hmac.new(key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def chat(*, settings: Any = None, **rule: Any) -> App:
    return acme(message_hash=MessageHash(**{"secret": secret(OTHER_KEY), **rule}), **(settings or {}))


def reason_of(decision: Decision) -> tuple[str, str | None]:
    assert not decision.allowed
    assert not decision.identity.verified
    assert decision.refusal is not None
    return decision.refusal.code, decision.refusal.reason


BAD = ("invalid_token", "bad_identity_hash")


@both
def test_verify_hash_of_joined_fields_allowed_without_user(verify: Verify) -> None:
    events: list[Any] = []
    with gate_of(chat(settings={"mode": Mode.LOG_ONLY, "allow_anonymous": True}), on_event=events.append) as gate:
        decision = verify(gate, hash_by_hand(f"{SOCKET}:{CHANNEL}"), SOCKET, CHANNEL, app="acme")
        assert (decision.allowed, decision.enforced, decision.app_id) == (True, True, "acme")
        assert (decision.identity.verified, decision.credentials_sent) == (False, True)
        with pytest.raises(Refused, match="missing_token"):
            decision.require()
        assert gate.revalidate(decision) is None
        refused = verify(gate, hash_by_hand(f"{SOCKET}:other"), SOCKET, CHANNEL, app="acme")
        assert (reason_of(refused), refused.enforced) == (BAD, True), "no mode and no anonymity applies"
    assert [event.allowed for event in events if isinstance(event, DecisionEvent)] == [True, False]


@both
def test_verify_hash_of_user_id_verified_identity(verify: Verify) -> None:
    app = chat(identifier="userId", encoding="base64")
    proof = base64.b64encode(bytes.fromhex(hash_by_hand("a:b"))).decode()
    with gate_of(app) as gate:
        identity = verify(gate, proof, "a:b", app="acme").require()
        assert (identity.user_id, identity.user_id_claim, identity.method) == ("a:b", "userId", "identity_hash")
        assert (identity.identity, identity.expires_at) == ("acme:userId:a%3Ab", None)
        assert (identity.claims, identity.attributes, identity.companies) == ({}, {}, [])
        assert reason_of(verify(gate, hash_by_hand("a:b"), "a:b", app="acme")) == BAD, "another encoding"
        assert reason_of(verify(gate, proof, "a", "b", app="acme")) == BAD, "two fields are no user id"


@pytest.mark.parametrize(
    ("separator", "fields"),
    [
        (":", ("1", "2:3")),
        (":", ("1:2", "3")),
        (":", ("1:2:3",)),
        (":", (":", "1")),
        ("::", ("1:", "2")),
        ("::", ("1", "2::3")),
        ("aba", ("xab", "abay")),
    ],
    ids=repr,
)
def test_verify_hash_separator_inside_field_refused(separator: str, fields: tuple[str, ...]) -> None:
    with gate_of(chat(separator=separator)) as gate:
        decision = gate.verify_hash(hash_by_hand(separator.join(fields)), *fields, app="acme")
    assert reason_of(decision) == BAD
    assert decision.refusal is not None
    assert decision.refusal.detail == "A hashed field contains the separator."


def test_verify_hash_fields_are_joined_in_order() -> None:
    with gate_of(chat(separator="::")) as gate:
        proof = hash_by_hand("1::2:::3".replace(":::", "::"))
        assert gate.verify_hash(proof, 1, "2", 3, app="acme").allowed
        assert gate.verify_hash(proof, "1", "2", "3", app="acme").allowed
        assert reason_of(gate.verify_hash(proof, "2", "1", "3", app="acme")) == BAD
        assert reason_of(gate.verify_hash(proof, "1", "2", app="acme")) == BAD


@pytest.mark.parametrize(
    "field", ["", None, True, 1.5, b"1", ["1"], {}, "\ud800", "a\nb", "x" * 257, 10**400, -(10**5000)], ids=type
)
@pytest.mark.parametrize("identifier", [None, "userId"])
def test_verify_hash_field_of_other_type_refused(field: Any, identifier: str | None) -> None:
    with gate_of(chat(identifier=identifier)) as gate:
        text = field if isinstance(field, str) else "x"
        assert reason_of(gate.verify_hash(hash_by_hand(text), field, app="acme")) == BAD


@pytest.mark.parametrize(
    "proof", [hash_by_hand("7").upper(), hash_by_hand("7")[:-1], hash_by_hand("8"), "ü", "\ud800", 7, True, ["x"], b"x"]
)
def test_verify_hash_other_hash_refused(proof: Any) -> None:
    with gate_of(chat()) as gate:
        assert gate.verify_hash(hash_by_hand("7"), "7", app="acme").allowed
        assert reason_of(gate.verify_hash(proof, "7", app="acme")) == BAD


def test_verify_hash_no_fields_refused() -> None:
    with gate_of(chat()) as gate:
        assert reason_of(gate.verify_hash(hash_by_hand(""), app="acme")) == BAD


@pytest.mark.parametrize("proof", [None, ""])
def test_verify_hash_without_hash_missing_token(proof: str | None) -> None:
    with gate_of(chat()) as gate:
        decision = gate.verify_hash(proof, "7", app="acme")
        assert (reason_of(decision), decision.credentials_sent) == (("missing_token", None), False)


def test_verify_hash_app_without_setting_config_missing_and_unknown_app() -> None:
    any_type: Any = ["acme"]
    with gate_of(acme()) as gate:
        assert reason_of(gate.verify_hash(hash_by_hand("7"), "7", app="acme")) == ("config_missing", None)
        for unknown in ("globex", any_type, AppRef("publishable_key", "acme")):
            assert reason_of(gate.verify_hash(hash_by_hand("7"), "7", app=unknown)) == ("unknown_app", None)


def test_verify_hash_token_and_identity_hash_secrets_not_used() -> None:
    with gate_of(chat()) as gate:
        assert reason_of(gate.verify_hash(hash_by_hand("7", bytes(range(32))), "7", app="acme")) == BAD
        assert reason_of(gate.verify(hash_by_hand("7"), app="acme")) == ("invalid_token", "malformed")


@both
def test_verify_hash_app_of_registry_loaded(verify: Verify) -> None:
    with over(Registry(acme=chat(), broken=OSError("down"))) as gate:
        assert verify(gate, hash_by_hand("7"), "7", app="acme").allowed
        assert reason_of(verify(gate, hash_by_hand("7"), "7", app="globex")) == ("unknown_app", None)
        assert reason_of(verify(gate, hash_by_hand("7"), "7", app="broken")) == ("apps_unavailable", None)


@pytest.mark.parametrize(
    ("revocations", "user_revoked", "message_revoked"),
    [
        (Revocations(issued_before=0), True, True),
        (Revocations(users={"7": 0}), True, False),
        (Revocations(users_by_claim={"userId": {"7": 0}}), True, False),
        (Revocations(users={"8": NOW}, token_ids=frozenset({"7"})), False, False),
    ],
)
def test_verify_hash_revocation_refused(revocations: Revocations, user_revoked: bool, message_revoked: bool) -> None:
    settings = {"revocations": revocations}
    with gate_of(chat(identifier="userId", settings=settings)) as gate:
        assert gate.verify_hash(hash_by_hand("7"), "7", app="acme").allowed is not user_revoked
    if not revocations.users_by_claim:
        with gate_of(chat(settings=settings)) as gate:
            decision = gate.verify_hash(hash_by_hand("7"), "7", app="acme")
            assert decision.allowed is not message_revoked
            assert not message_revoked or reason_of(decision) == ("invalid_token", "revoked")


def test_revalidate_message_hash_secret_replaced_or_removed_refused() -> None:
    registry = Registry(acme=chat(identifier="userId"))
    with over(registry) as gate:
        decision = gate.verify_hash(hash_by_hand("7"), "7", app="acme")
        assert gate.revalidate(decision) is None
        for replaced in (chat(identifier="userId", secret=secret(bytes(range(9, 41)))), acme()):
            registry.apps["acme"] = replaced
            gate.refresh("acme", purge=True)
            assert gate.verify_hash(None, "7", app="acme").app is replaced
            refusal = gate.revalidate(decision)
            assert refusal is not None
            assert (refusal.code, refusal.reason) == BAD
