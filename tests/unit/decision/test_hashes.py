"""The older identity hash: what verifies, what is refused, and what agrees with a token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.unit.support import KEY, NOW, OTHER_KEY, acme, claims, gate_of, refusal_of, secret, token
from wicket import App, Decision, Header, JsonBody, Refusal, Request, Revocations, Rules
from wicket.config.identity_hash import CompanyHash, IdentityHash
from wicket.config.locations import Bearer
from wicket.decision.identity_hash import compute_hash, identify_by_hash

COMPANY_KEY = bytes(range(5, 37))


def hash_by_hand(text: str, key: bytes = OTHER_KEY) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def app_with(*, settings: Any = None, **rule: Any) -> App:
    held = IdentityHash(**{"secret": secret(OTHER_KEY), **rule})
    tokens = (Bearer(), JsonBody("token"))
    return acme(**{"identity_hash": held, "token_locations": tokens, **(settings or {})})


def sends(body: Any, *headers: tuple[str, str]) -> Request:
    given = [("X-App-Id", "acme"), ("Content-Type", "application/json"), *headers]
    return Request("POST", headers=given, body=json.dumps(body).encode())


def decide(app: App, body: Any, *headers: tuple[str, str], now: float = NOW, **settings: Any) -> Decision:
    return gate_of(app, clock=lambda: now).decide(sends(body, *headers), **settings)


def refused(app: App, body: Any, *headers: tuple[str, str], **settings: Any) -> Refusal:
    decision = decide(app, body, *headers, **settings)
    assert decision.refusal is not None
    assert not decision.identity.verified
    return decision.refusal


def test_a_hash_is_spelled_as_configured() -> None:
    digest = hmac.new(KEY, "ä".encode(), hashlib.sha256).digest()
    assert compute_hash(secret(), "ä", "hex") == digest.hex()
    assert compute_hash(secret(), "ä", "base64") == base64.b64encode(digest).decode()


def test_a_hash_proves_the_identifier_and_nothing_else() -> None:
    decision = decide(app_with(), {"userId": "ada", "userHash": hash_by_hand("ada"), "plan": "gold"})
    identity = decision.require()
    assert (identity.user_id, identity.user_id_claim, identity.method) == ("ada", "userId", "identity_hash")
    assert (identity.claims, identity.attributes, identity.companies) == ({}, {}, [])
    assert (identity.scopes, identity.kid, identity.expires_at) == (frozenset(), None, None)
    assert decision.credentials_sent


def test_an_integer_is_hashed_as_its_digits() -> None:
    assert decide(app_with(), {"userId": 42, "userHash": hash_by_hand("42")}).require().user_id == "42"


def test_an_identifier_is_normalized_where_that_is_configured() -> None:
    body = {"userId": " Ada ", "userHash": hash_by_hand("ada")}
    assert decide(app_with(normalize=("strip", "lower")), body).require().user_id == "ada"
    assert refused(app_with(), body).reason == "bad_identity_hash"


def test_both_halves_may_ride_in_headers() -> None:
    app = app_with(identifier_location=Header("X-User"), hash_location=Header("X-Hash"))
    assert decide(app, {}, ("X-User", "ada"), ("X-Hash", hash_by_hand("ada"))).require().user_id == "ada"


@pytest.mark.parametrize(
    "proof",
    [
        hash_by_hand("ada").upper(),
        hash_by_hand("ada") + "0",
        hash_by_hand("ada")[:-1],
        hash_by_hand("ada", KEY),
        hash_by_hand("bob"),
        hash_by_hand(""),
        base64.b64encode(bytes.fromhex(hash_by_hand("ada"))).decode(),
        hashlib.sha256(OTHER_KEY + b"ada").hexdigest(),
        "ü",
        "\ud800",
        True,
        0,
        ["x"],
        {},
    ],
    ids=repr,
)
def test_any_other_hash_is_refused(proof: Any) -> None:
    refusal = refused(app_with(), {"userId": "ada", "userHash": proof})
    assert (refusal.code, refusal.reason) == ("invalid_token", "bad_identity_hash")


@pytest.mark.parametrize("value", ["x" * 257, "a\nb", "\x7f", "\ud800", "a\udfffb", True, 1.5, ["ada"], {"id": "ada"}])
def test_an_identifier_that_is_no_users_id_is_refused(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    proof = hash_by_hand(text.encode("utf-8", "replace").decode())
    assert refused(app_with(), {"userId": value, "userHash": proof}).reason == "bad_identity_hash"


@pytest.mark.parametrize(
    "half", [{"userId": "ada"}, {"userHash": hash_by_hand("ada")}, {"userId": "", "userHash": "x"}]
)
def test_half_a_pair_is_refused(half: dict[str, str]) -> None:
    assert refused(app_with(), half).reason == "bad_identity_hash"


@pytest.mark.parametrize("nothing", [{}, {"userId": None, "userHash": None}, {"userId": "", "userHash": ""}])
def test_neither_half_is_no_token(nothing: dict[str, Any]) -> None:
    assert refused(app_with(), nothing).code == "missing_token"


def test_an_anonymous_user_may_say_who_it_is_and_is_not_believed() -> None:
    app = app_with(settings={"allow_anonymous": True, "claimed_user_locations": [JsonBody("userId")]})
    decision = decide(app, {"userId": "ada"})
    assert (decision.allowed, decision.identity.verified, decision.claimed_user_id) == (True, False, "ada")
    assert refused(app, {"userId": "ada", "userHash": "x"}).reason == "bad_identity_hash"


def test_an_app_without_hashes_takes_none() -> None:
    request = sends({"userId": "ada", "userHash": hash_by_hand("ada")})
    assert identify_by_hash(acme(), request, NOW, anonymous=False) is None
    assert refused(acme(), {"userId": "ada", "userHash": hash_by_hand("ada")}).code == "missing_token"


def test_a_hash_counts_until_its_date_and_not_at_it() -> None:
    app = app_with(accept_until=NOW + 10)
    body = {"userId": "ada", "userHash": hash_by_hand("ada")}
    assert decide(app, body, now=NOW + 9.9).require().expires_at == NOW + 10
    assert refused(app, body, now=NOW + 10).code == "missing_token"
    lobby = app_with(accept_until=NOW + 10, settings={"allow_anonymous": True})
    late = decide(lobby, body, now=NOW + 10)
    assert (late.allowed, late.identity.verified) == (True, False)


@pytest.mark.parametrize("body", [{"userId": "ada"}, {"userId": "ada", "userHash": hash_by_hand("ada")}])
def test_where_a_proof_is_optional_nobody_is_turned_away_for_a_hash_that_is_not_asked_for(body: Any) -> None:
    late = app_with(accept_until=NOW - 1 if "userHash" in body else None)
    decision = decide(late, body, optional=True)
    assert (decision.allowed, decision.identity.verified) == (True, False)
    assert not decide(late, body).allowed


def test_after_its_date_nobody_is_asked_for_the_hash() -> None:
    assert refused(app_with(accept_until=NOW), {"userId": "ada"}).code == "missing_token"


@pytest.mark.parametrize("revocations", [Revocations(issued_before=0), Revocations(users={"ada": 0})])
def test_any_cutoff_revokes_a_hash(revocations: Revocations) -> None:
    app = app_with(settings={"revocations": revocations})
    assert refused(app, {"userId": "ada", "userHash": hash_by_hand("ada")}).reason == "revoked"


def test_the_revocation_of_another_user_or_token_does_not() -> None:
    app = app_with(settings={"revocations": Revocations(users={"bob": NOW}, token_ids=frozenset({"t1"}))})
    assert decide(app, {"userId": "ada", "userHash": hash_by_hand("ada")}).require().user_id == "ada"


# --- companies


def company(id: Any, proof: Any = None) -> dict[str, Any]:
    return {"id": id, "companyHash": proof if proof is not None else hash_by_hand(id, COMPANY_KEY)}


def with_companies(companies: Any, **settings: Any) -> tuple[App, dict[str, Any]]:
    app = app_with(
        companies=CompanyHash(secret=secret(COMPANY_KEY)),
        settings={"rules": Rules(companies_claim="companies"), **settings},
    )
    return app, {"userId": "ada", "userHash": hash_by_hand("ada"), "companies": companies}


def test_a_company_is_proven_by_a_hash_of_its_own() -> None:
    app, body = with_companies([company("c1"), {"id": "c2"}, "c3", company("c1"), company("c4")])
    identity = decide(app, body).require()
    assert identity.companies == [{"id": "c1"}, {"id": "c4"}]
    merged = identity.merge_unsigned({"companies": [{"id": "c1", "name": "One"}, {"id": "c2"}]})
    assert merged.companies == [{"id": "c1", "name": "One"}, {"id": "c4"}]
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies[c2]"]


@pytest.mark.parametrize("given", [None, "c1", {"id": "c1"}, [], [{"id": "c1"}]])
def test_what_has_no_hash_is_no_proof(given: Any) -> None:
    app, body = with_companies(given)
    assert decide(app, body).require().companies == []


@pytest.mark.parametrize(
    "given",
    [
        company("c1", hash_by_hand("c1", OTHER_KEY)),
        company("c1", "x"),
        company("c1", 7),
        company(7, "x"),
        company("", "x"),
        company("\ud800", "x"),
        {"companyHash": hash_by_hand("c1", COMPANY_KEY)},
    ],
    ids=repr,
)
def test_a_bad_hash_of_a_company_is_refused(given: dict[str, Any]) -> None:
    app, body = with_companies([company("c0"), given])
    assert refused(app, body).reason == "bad_identity_hash"


def test_without_a_proven_company_the_user_is_in_none() -> None:
    """To leave every proof out must not open what one proof closes."""
    app, body = with_companies([{"id": "bank", "name": "Bank"}])
    merged = decide(app, body).require().merge_unsigned(body)
    assert merged.companies == []
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies[bank]"]


# --- beside a token


def test_the_token_wins_over_a_hash_that_agrees() -> None:
    app = app_with(settings={"rules": Rules(user_id_claims=("userId",))})
    body = {"token": token(claims(sub=None, userId="ada")), "userId": "ada", "userHash": hash_by_hand("ada")}
    assert decide(app, body).require().method == "jwt"
    del body["userId"]  # what is signed says of whom the hash is
    assert decide(app, body).require().method == "jwt"
    body["userHash"] = hash_by_hand("bob")
    assert refused(app, body).reason == "bad_identity_hash"


def test_a_token_and_a_hash_of_two_users_are_refused() -> None:
    app = app_with(settings={"rules": Rules(user_id_claims=("userId",))})
    body = {"token": token(claims(sub=None, userId="ada")), "userId": "bob", "userHash": hash_by_hand("bob")}
    assert refused(app, body).code == "invalid_request"
    body["userHash"] = "x"
    assert refused(app, body).reason == "bad_identity_hash"


def test_a_hash_beside_a_token_that_says_nothing_of_its_identifier() -> None:
    app = app_with()
    good = {"token": token()}
    assert decide(app, good).require().user_id == "user-1"
    assert decide(app, {**good, "userId": "somebody"}).require().user_id == "user-1"
    assert decide(app, {**good, "userHash": "x"}).require().user_id == "user-1"  # nothing says of what it is the hash
    assert decide(app, {**good, "userId": "7", "userHash": hash_by_hand("7")}).require().user_id == "user-1"


def test_beside_a_token_a_hash_is_not_looked_at_after_its_date() -> None:
    app = app_with(accept_until=NOW)
    assert decide(app, {"token": token(), "userId": "bob", "userHash": "x"}).require().user_id == "user-1"


def test_a_refused_hash_says_no_word_of_what_would_have_been_right() -> None:
    refusal = refusal_of(lambda: decide(app_with(), {"userId": "ada", "userHash": "x"}).require())
    assert hash_by_hand("ada") not in repr(refusal)
    assert "ada" not in refusal.detail


@pytest.mark.parametrize("again", ["id", "companyHash"])
def test_a_company_that_says_a_thing_twice_is_refused(again: str) -> None:
    app, _ = with_companies([])
    proof = hash_by_hand("c1", COMPANY_KEY)
    company = f'{{"{again}": "other", "id": "c1", "companyHash": "{proof}"}}'
    body = f'{{"userId": "user-1", "userHash": "{hash_by_hand("user-1")}", "companies": [{company}]}}'
    headers = [("X-App-Id", "acme"), ("Content-Type", "application/json")]
    decision = gate_of(app, clock=lambda: NOW).decide(Request("POST", headers=headers, body=body.encode()))
    assert decision.refusal is not None
    assert decision.refusal.reason == "bad_identity_hash"
