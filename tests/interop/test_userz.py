"""Userz: tokens built from bytes and by a library, from a binary secret; each rule of its document, broken once."""

from __future__ import annotations

import json

import pytest

from tests.interop.broken_tokens import USERZ_BROKEN
from tests.interop.cases import USERZ_APP, USERZ_BASE64, USERZ_CONTEXT, USERZ_HEX, userz, userz_payload
from tests.interop.node_signer import SignedElsewhere, admitted, gate_of, refused, request
from tests.support.clients import DOORS
from wicket import App, ConfigError, Request, Secret, profiles


def app(secret: Secret) -> App:
    return profiles.userz(USERZ_APP, publishable_key="pub_acme", credentials=[secret], origins=["https://acme.com"])


BY_HEX, BY_BASE64 = app(Secret.from_hex(USERZ_HEX)), app(Secret.from_base64(USERZ_BASE64))


def carrying(token: str) -> Request:
    return request(headers=[("Authorization", "Bearer pub_acme"), ("X-Userz-User-Token", token)])


@pytest.mark.parametrize("name", ["userz", "userz: base64", "userz: jose"])
@pytest.mark.parametrize("spelled", [BY_HEX, BY_BASE64], ids=["hex", "base64"])
def test_userz_secret_hex_and_base64_accept_same_tokens(elsewhere: SignedElsewhere, name: str, spelled: App) -> None:
    identity = admitted(spelled, carrying(elsewhere.tokens[name]), now=elsewhere.now)

    assert (identity.user_id, identity.user_id_claim) == ("user-1", "sub")
    assert identity.attributes == USERZ_CONTEXT
    assert identity.claims == userz_payload(elsewhere.now)
    assert identity.expires_at == userz_payload(elsewhere.now)["exp"]


@pytest.mark.parametrize(
    "name",
    ["userz: without a context", "userz: the shortest life", "userz: the longest life", "userz: the largest context"],
)
def test_userz_token_at_limits_allowed(elsewhere: SignedElsewhere, name: str) -> None:
    assert admitted(BY_HEX, carrying(elsewhere.tokens[name]), now=elsewhere.now).user_id == "user-1"


def test_userz_cases_all_covered() -> None:
    good = {name for name in userz(0) if name not in USERZ_BROKEN}
    assert good == {
        "userz",
        "userz: base64",
        "userz: jose",
        "userz: without a context",
        "userz: the shortest life",
        "userz: the longest life",
        "userz: the largest context",
    }


@pytest.mark.parametrize("name", USERZ_BROKEN)
def test_userz_broken_token_refused_with_reason(elsewhere: SignedElsewhere, name: str) -> None:
    assert refused(BY_HEX, carrying(elsewhere.tokens[name]), now=elsewhere.now) == USERZ_BROKEN[name]


def test_userz_token_in_authorization_header_missing_token(elsewhere: SignedElsewhere) -> None:
    bearer = request(headers=[("Authorization", f"Bearer {elsewhere.tokens['userz']}")])
    decision = gate_of(BY_HEX, now=elsewhere.now).decide(bearer)

    assert decision.refusal is not None
    assert decision.refusal.code == "missing_token"


def test_userz_secret_from_text_config_error() -> None:
    with pytest.raises(ConfigError, match="binary"):
        app(Secret.from_text(USERZ_HEX))


@pytest.mark.parametrize("door", sorted(DOORS))
def test_userz_refusal_body_vendor_format(elsewhere: SignedElsewhere, door: str) -> None:
    token = elsewhere.tokens["userz: another app"].encode()
    gate = gate_of(BY_HEX, now=elsewhere.now)
    answered = DOORS[door](gate, [(b"Authorization", b"Bearer pub_acme"), (b"X-Userz-User-Token", token)])

    assert (answered.passed, answered.status) == (False, 401)
    error = json.loads(answered.body)["error"]
    assert error.keys() == {"code", "message"}
    assert error["code"] == "wrong_app"
