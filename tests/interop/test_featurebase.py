"""Featurebase: the token of its migration guide, without expiry, is accepted; each rule, broken once, is noticed."""

from __future__ import annotations

import json

import pytest

from tests.interop.broken_tokens import FEATUREBASE_BROKEN
from tests.interop.cases import FEATUREBASE_SECRET, TOKEN_DATA, featurebase
from tests.interop.node_signer import SignedElsewhere, admitted, gate_of, refused, request
from tests.support.clients import DOORS
from wicket import Request, Secret, profiles

# The vendor does not document the length of its secrets. This one is shorter than the hash of HMAC-SHA256.
APP = profiles.featurebase(
    "acme", credentials=[Secret.from_text(FEATUREBASE_SECRET, allow_short=True)], origins=["https://acme.com"]
)


def carrying(token: str) -> Request:
    return request("organization=acme", [("Authorization", f"Bearer {token}")])


def test_featurebase_guide_token_allowed(elsewhere: SignedElsewhere) -> None:
    identity = admitted(APP, carrying(elsewhere.tokens["featurebase"]), now=elsewhere.now)

    assert (identity.user_id, identity.user_id_claim) == ("user-1", "userId")
    assert identity.companies == TOKEN_DATA["companies"]
    assert identity.attributes == {
        "email": "ada@acme.com",
        "name": "Ada Lovelace",
        "profilePicture": "https://example.com/images/yourcustomer.png",
        "title": "Product Manager",
        "plan": "Premium",
        "number": "123",
    }
    assert "exp" not in identity.claims
    assert identity.expires_at is None


def test_featurebase_token_without_exp_allowed_after_ten_years(elsewhere: SignedElsewhere) -> None:
    later = elsewhere.now + 10 * 365 * 86_400

    assert admitted(APP, carrying(elsewhere.tokens["featurebase"]), now=later).user_id == "user-1"


def test_featurebase_token_with_exp_expires(elsewhere: SignedElsewhere) -> None:
    token = elsewhere.tokens["featurebase: with an expiry"]

    assert admitted(APP, carrying(token), now=elsewhere.now).expires_at is not None
    assert refused(APP, carrying(token), now=elsewhere.now + 3700) == "expired"


def test_featurebase_token_with_email_only_allowed(elsewhere: SignedElsewhere) -> None:
    identity = admitted(APP, carrying(elsewhere.tokens["featurebase: only an address"]), now=elsewhere.now)

    assert (identity.user_id, identity.user_id_claim) == ("ada@acme.com", "email")


def test_featurebase_token_in_query_allowed(elsewhere: SignedElsewhere) -> None:
    asked = request(f"appId=acme&jwt={elsewhere.tokens['featurebase']}")

    assert admitted(APP, asked, now=elsewhere.now).user_id == "user-1"


def test_featurebase_cases_all_covered() -> None:
    good = {"featurebase", "featurebase: only an address", "featurebase: with an expiry"}
    assert featurebase(0).keys() == FEATUREBASE_BROKEN.keys() | good


@pytest.mark.parametrize("name", FEATUREBASE_BROKEN)
def test_featurebase_broken_token_refused_with_reason(elsewhere: SignedElsewhere, name: str) -> None:
    assert refused(APP, carrying(elsewhere.tokens[name]), now=elsewhere.now) == FEATUREBASE_BROKEN[name]


@pytest.mark.parametrize("door", sorted(DOORS))
def test_featurebase_expired_token_400(elsewhere: SignedElsewhere, door: str) -> None:
    token = elsewhere.tokens["featurebase: expired"].encode()
    gate = gate_of(APP, now=elsewhere.now)
    answered = DOORS[door](gate, [(b"Authorization", b"Bearer " + token)], query=b"organization=acme")

    assert (answered.passed, answered.status) == (False, 400)
    assert answered.headers["content-type"] == "application/json"
    assert json.loads(answered.body)["reason"] == "expired"
