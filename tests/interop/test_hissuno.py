"""Hissuno: the tokens of its Node and Flask examples are accepted, and each of its rules, broken once, is noticed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from tests.interop.broken_tokens import HISSUNO_BROKEN
from tests.interop.cases import HISSUNO_SECRET, hissuno
from tests.interop.node_signer import SignedElsewhere, admitted, gate_of, refused, request
from wicket import Request, Secret, profiles

APP = profiles.hissuno(
    "proj_acme", credentials=[Secret.from_text(HISSUNO_SECRET)], origins=["*.acme.com", "https://acme.com"]
)


def carrying(token: str) -> Request:
    return request("projectId=proj_acme", [("Authorization", f"Bearer {token}")])


def test_hissuno_node_example_token_allowed(elsewhere: SignedElsewhere) -> None:
    identity = admitted(APP, carrying(elsewhere.tokens["hissuno"]), now=elsewhere.now)

    assert (identity.user_id, identity.user_id_claim) == ("user-1", "userId")
    assert identity.attributes == {"name": "Ada Lovelace", "email": "ada@acme.com"}
    assert identity.claims["exp"] - identity.claims["iat"] == 24 * 3600
    assert identity.expires_at == identity.claims["exp"]


def test_hissuno_flask_example_token_allowed() -> None:
    now = datetime.now(UTC)
    token = jwt.encode(
        {
            "userId": "user-1",
            "userMetadata": {"name": "Ada Lovelace"},
            "exp": now + timedelta(hours=24),
        },
        HISSUNO_SECRET,
        algorithm="HS256",
    )
    identity = admitted(APP, carrying(token), now=now.timestamp())

    assert (identity.user_id, identity.user_id_claim) == ("user-1", "userId")
    assert identity.attributes == {"name": "Ada Lovelace"}


def test_hissuno_flask_example_other_key_bad_signature() -> None:
    now = datetime.now(UTC)
    token = jwt.encode({"userId": "user-1", "exp": now + timedelta(hours=24)}, "x" * 32, "HS256")

    assert refused(APP, carrying(token), now=now.timestamp()) == "bad_signature"


def test_hissuno_clock_difference_over_leeway_refused(elsewhere: SignedElsewhere) -> None:
    token = elsewhere.tokens["hissuno"]

    assert admitted(APP, carrying(token), now=elsewhere.now + 24 * 3600 + 50).user_id == "user-1"
    assert refused(APP, carrying(token), now=elsewhere.now + 24 * 3600 + 70) == "expired"
    assert admitted(APP, carrying(token), now=elsewhere.now - 50).user_id == "user-1"
    assert refused(APP, carrying(token), now=elsewhere.now - 70) == "issued_in_future"


def test_hissuno_cases_all_covered() -> None:
    assert hissuno(0).keys() == HISSUNO_BROKEN.keys() | {"hissuno"}


@pytest.mark.parametrize("name", HISSUNO_BROKEN)
def test_hissuno_broken_token_refused_with_reason(elsewhere: SignedElsewhere, name: str) -> None:
    assert refused(APP, carrying(elsewhere.tokens[name]), now=elsewhere.now) == HISSUNO_BROKEN[name]


def test_hissuno_missing_token_refused_unless_allow_anonymous() -> None:
    now = time.time()
    bare = request("projectId=proj_acme")
    decision = gate_of(APP, now=now).decide(bare)
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.status) == ("missing_token", 401)

    lax = profiles.hissuno("proj_acme", credentials=APP.credentials, origins=APP.origins, allow_anonymous=True)
    decision = gate_of(lax, now=now).decide(bare)
    assert decision.allowed
    assert not decision.identity.verified


def test_hissuno_foreign_origin_valid_token_origin_not_allowed(elsewhere: SignedElsewhere) -> None:
    headers = [("Authorization", f"Bearer {elsewhere.tokens['hissuno']}"), ("Origin", "https://acme.com.evil.example")]
    decision = gate_of(APP, now=elsewhere.now).decide(Request("POST", "/v1/chat", "projectId=proj_acme", headers))

    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.status) == ("origin_not_allowed", 403)
