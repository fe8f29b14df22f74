"""Hissuno: the tokens of its Node and Flask examples are accepted, and each of its rules, broken once, is noticed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from tests.interop.orders import HISSUNO_SECRET, hissuno
from tests.interop.signed import SignedElsewhere, admitted, gate_of, refused, request
from wicket import Request, Secret, profiles

APP = profiles.hissuno(
    "proj_acme", credentials=[Secret.from_text(HISSUNO_SECRET)], origins=["*.acme.com", "https://acme.com"]
)


def carrying(token: str) -> Request:
    return request("projectId=proj_acme", [("Authorization", f"Bearer {token}")])


def test_the_token_of_the_node_example_is_accepted(elsewhere: SignedElsewhere) -> None:
    identity = admitted(APP, carrying(elsewhere.tokens["hissuno"]), now=elsewhere.now)

    assert (identity.user_id, identity.user_id_claim) == ("user-1", "userId")
    assert identity.attributes == {"name": "Ada Lovelace", "email": "ada@acme.com"}
    assert identity.claims["exp"] - identity.claims["iat"] == 24 * 3600
    assert identity.expires_at == identity.claims["exp"]


def test_the_token_of_the_flask_example_is_accepted() -> None:
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


def test_a_token_of_the_flask_example_with_another_key_is_refused() -> None:
    now = datetime.now(UTC)
    token = jwt.encode({"userId": "user-1", "exp": now + timedelta(hours=24)}, "x" * 32, "HS256")

    assert refused(APP, carrying(token), now=now.timestamp()) == "bad_signature"


def test_the_clock_may_be_a_minute_off_and_no_more(elsewhere: SignedElsewhere) -> None:
    token = elsewhere.tokens["hissuno"]

    assert admitted(APP, carrying(token), now=elsewhere.now + 24 * 3600 + 50).user_id == "user-1"
    assert refused(APP, carrying(token), now=elsewhere.now + 24 * 3600 + 70) == "expired"
    assert admitted(APP, carrying(token), now=elsewhere.now - 50).user_id == "user-1"
    assert refused(APP, carrying(token), now=elsewhere.now - 70) == "issued_in_future"


BROKEN = {
    "hissuno: expired": "expired",
    "hissuno: no expiry": "missing_claim",
    "hissuno: no user": "missing_claim",
    "hissuno: a number as user": "bad_claim",
    "hissuno: an empty user": "bad_claim",
    "hissuno: metadata that is no text": "bad_claim",
    "hissuno: metadata that is no object": "bad_claim",
    "hissuno: another key": "bad_signature",
    "hissuno: HS512": "algorithm_not_allowed",
    "hissuno: issued tomorrow": "issued_in_future",
    "hissuno: not before tomorrow": "not_yet_valid",
    "hissuno: for an audience": "wrong_audience",
    "hissuno: unsigned": "algorithm_not_allowed",
}


def test_every_order_is_looked_at() -> None:
    assert hissuno(0).keys() == BROKEN.keys() | {"hissuno"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_noticed(elsewhere: SignedElsewhere, name: str) -> None:
    assert refused(APP, carrying(elsewhere.tokens[name]), now=elsewhere.now) == BROKEN[name]


def test_a_widget_without_a_token_is_refused_unless_the_project_admits_anonymous_visitors() -> None:
    now = time.time()
    bare = request("projectId=proj_acme")
    decision = gate_of(APP, now=now).decide(bare)
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.status) == ("missing_token", 401)

    lax = profiles.hissuno("proj_acme", credentials=APP.credentials, origins=APP.origins, allow_anonymous=True)
    decision = gate_of(lax, now=now).decide(bare)
    assert decision.allowed
    assert not decision.identity.verified


def test_an_origin_that_is_not_the_customers_is_refused_with_the_best_of_tokens(elsewhere: SignedElsewhere) -> None:
    headers = [("Authorization", f"Bearer {elsewhere.tokens['hissuno']}"), ("Origin", "https://acme.com.evil.example")]
    decision = gate_of(APP, now=elsewhere.now).decide(Request("POST", "/v1/chat", "projectId=proj_acme", headers))

    assert decision.refusal is not None
    assert (decision.refusal.code, decision.refusal.status) == ("origin_not_allowed", 403)
