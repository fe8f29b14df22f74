"""Read the user ID, and check revocation of a token or a user."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.unit import NOW, refusal_of
from wicket import App, Revocations, Rules
from wicket.decision.claims import is_revoked, read_user_id

# --- the user ID

DISGUISES = "\u2028\u2029\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("payload", "rules", "found"),
    [
        ({"sub": "u"}, {}, ("u", "sub")),
        ({"userId": "u", "email": "e"}, {"user_id_claims": ("userId", "email")}, ("u", "userId")),
        ({"email": "e"}, {"user_id_claims": ("userId", "email")}, ("e", "email")),
        ({"userId": None, "email": "e"}, {"user_id_claims": ("userId", "email")}, ("e", "email")),
        ({"sub": 5}, {"allow_integer_user_id": True}, ("5", "sub")),
        ({"sub": "é" * 256}, {}, ("é" * 256, "sub")),
        ({"sub": "a\u200db"}, {}, ("a\u200db", "sub")),  # the joiner of emoji parts
        ({"sub": "\u05d0\u0627"}, {}, ("\u05d0\u0627", "sub")),  # Hebrew and Arabic letters
        ({"sub": " "}, {}, (" ", "sub")),
    ],
)
def test_read_user_id_several_claims_first_present_claim_returned(
    payload: dict[str, Any], rules: dict[str, Any], found: tuple[str, str]
) -> None:
    assert read_user_id(payload, Rules(**rules)) == found


@pytest.mark.parametrize(
    ("payload", "rules", "reason", "claim"),
    [
        ({}, {}, "missing_claim", "sub"),
        ({"sub": None}, {}, "missing_claim", "sub"),
        ({}, {"user_id_claims": ("userId", "email")}, "missing_claim", "userId"),
        ({"sub": ""}, {}, "bad_claim", "sub"),
        ({"sub": 5}, {}, "bad_claim", "sub"),
        ({"sub": True}, {"allow_integer_user_id": True}, "bad_claim", "sub"),
        ({"sub": 1.0}, {"allow_integer_user_id": True}, "bad_claim", "sub"),
        ({"sub": ["u"]}, {}, "bad_claim", "sub"),
        ({"userId": "", "email": "e"}, {"user_id_claims": ("userId", "email")}, "bad_claim", "userId"),
        ({"sub": "a" * 257}, {}, "bad_claim", "sub"),
        ({"sub": int("9" * 257)}, {"allow_integer_user_id": True}, "bad_claim", "sub"),
        ({"sub": "a\x00"}, {}, "bad_claim", "sub"),
        ({"sub": "a\r\nb"}, {}, "bad_claim", "sub"),
        ({"sub": "\x7f"}, {}, "bad_claim", "sub"),
        ({"sub": "\x9f"}, {}, "bad_claim", "sub"),
        *(({"sub": f"a{char}b"}, {}, "bad_claim", "sub") for char in DISGUISES),
        ({"sub": 5, "email": "a\u202eb"}, {"user_id_claims": ("id", "email")}, "bad_claim", "email"),
    ],
)
def test_read_user_id_missing_or_invalid_value_refused(
    payload: dict[str, Any], rules: dict[str, Any], reason: str, claim: str
) -> None:
    refusal = refusal_of(lambda: read_user_id(payload, Rules(**rules)))
    assert (refusal.reason, refusal.claim) == (reason, claim)


def test_read_user_id_missing_claims_all_in_detail() -> None:
    refusal = refusal_of(lambda: read_user_id({}, Rules(user_id_claims=("userId", "email"))))
    assert refusal.detail == "The token lacks the claim userId or email."


# --- revocation


@pytest.mark.parametrize(
    ("revocations", "payload", "revoked"),
    [
        ({}, {}, False),
        ({"issued_before": NOW}, {"iat": NOW}, True),
        ({"issued_before": NOW}, {"iat": NOW + 30}, True),
        ({"issued_before": NOW}, {"iat": NOW + 31}, False),
        ({"issued_before": NOW}, {}, True),
        ({"issued_before": 0}, {"iat": NOW}, False),
        ({"users": {"user-1": NOW}}, {"iat": NOW}, True),
        ({"users": {"user-2": NOW}}, {"iat": NOW}, False),
        ({"users": {"user-1": NOW}, "issued_before": 0}, {"iat": NOW}, True),
        ({"users": {"user-1": 0}, "issued_before": NOW}, {"iat": NOW}, True),
        ({"token_ids": {"t1"}}, {"jti": "t1", "iat": NOW}, True),
        ({"token_ids": {"t1"}}, {"jti": "t2", "iat": NOW}, False),
        ({"token_ids": {"t1"}}, {"iat": NOW}, False),
    ],
)
def test_is_revoked_issued_until_cutoff_or_listed_token_id_true(
    revocations: dict[str, Any], payload: dict[str, Any], revoked: bool
) -> None:
    app = App("acme", revocations=Revocations(**revocations))
    assert is_revoked(payload, "user-1", app) is revoked
