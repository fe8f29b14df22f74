"""Identity hashes: valid and invalid hashes, companies, and hashes in addition to a token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.support.unit import KEY, NOW, OTHER_KEY, acme, claims, gate_of, refusal_of, secret, token
from wicket import App, Decision, Header, JsonBody, Refusal, Request, Revocations, Rules
from wicket.config.identity_hash import CompanyHash, IdentityHash, ValueHash
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


def test_compute_hash_hex_and_base64_encoding_matches_hmac() -> None:
    digest = hmac.new(KEY, "ä".encode(), hashlib.sha256).digest()
    assert compute_hash(secret(), "ä", "hex") == digest.hex()
    assert compute_hash(secret(), "ä", "base64") == base64.b64encode(digest).decode()


def test_identity_hash_valid_hash_proves_only_identifier() -> None:
    decision = decide(app_with(), {"userId": "ada", "userHash": hash_by_hand("ada"), "plan": "gold"})
    identity = decision.require()
    assert (identity.user_id, identity.user_id_claim, identity.method) == ("ada", "userId", "identity_hash")
    assert (identity.claims, identity.attributes, identity.companies) == ({}, {}, [])
    assert (identity.scopes, identity.kid, identity.expires_at) == (frozenset(), None, None)
    assert decision.credentials_sent


def test_identity_hash_integer_identifier_hashed_as_digits() -> None:
    assert decide(app_with(), {"userId": 42, "userHash": hash_by_hand("42")}).require().user_id == "42"


def test_identity_hash_normalize_strip_and_lower_applied() -> None:
    body = {"userId": " Ada ", "userHash": hash_by_hand("ada")}
    assert decide(app_with(normalize=("strip", "lower")), body).require().user_id == "ada"
    assert refused(app_with(), body).reason == "bad_identity_hash"


def test_identity_hash_identifier_and_hash_in_headers_verified() -> None:
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
def test_identity_hash_other_hash_bad_identity_hash(proof: Any) -> None:
    refusal = refused(app_with(), {"userId": "ada", "userHash": proof})
    assert (refusal.code, refusal.reason) == ("invalid_token", "bad_identity_hash")


@pytest.mark.parametrize("value", ["x" * 257, "a\nb", "\x7f", "\ud800", "a\udfffb", True, 1.5, ["ada"], {"id": "ada"}])
def test_identity_hash_invalid_identifier_bad_identity_hash(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    proof = hash_by_hand(text.encode("utf-8", "replace").decode())
    assert refused(app_with(), {"userId": value, "userHash": proof}).reason == "bad_identity_hash"


@pytest.mark.parametrize(
    "half", [{"userId": "ada"}, {"userHash": hash_by_hand("ada")}, {"userId": "", "userHash": "x"}]
)
def test_identity_hash_identifier_or_hash_missing_bad_identity_hash(half: dict[str, str]) -> None:
    assert refused(app_with(), half).reason == "bad_identity_hash"


@pytest.mark.parametrize("nothing", [{}, {"userId": None, "userHash": None}, {"userId": "", "userHash": ""}])
def test_identity_hash_identifier_and_hash_absent_missing_token(nothing: dict[str, Any]) -> None:
    assert refused(app_with(), nothing).code == "missing_token"


def test_identity_hash_anonymous_identifier_without_hash_only_claimed() -> None:
    app = app_with(settings={"allow_anonymous": True, "claimed_user_locations": [JsonBody("userId")]})
    decision = decide(app, {"userId": "ada"})
    assert (decision.allowed, decision.identity.verified, decision.claimed_user_id) == (True, False, "ada")
    assert refused(app, {"userId": "ada", "userHash": "x"}).reason == "bad_identity_hash"


def test_identity_hash_not_configured_missing_token() -> None:
    request = sends({"userId": "ada", "userHash": hash_by_hand("ada")})
    assert identify_by_hash(acme(), request, NOW, anonymous=False) is None
    assert refused(acme(), {"userId": "ada", "userHash": hash_by_hand("ada")}).code == "missing_token"


def test_identity_hash_accept_until_reached_missing_token() -> None:
    app = app_with(accept_until=NOW + 10)
    body = {"userId": "ada", "userHash": hash_by_hand("ada")}
    assert decide(app, body, now=NOW + 9.9).require().expires_at == NOW + 10
    assert refused(app, body, now=NOW + 10).code == "missing_token"
    lobby = app_with(accept_until=NOW + 10, settings={"allow_anonymous": True})
    late = decide(lobby, body, now=NOW + 10)
    assert (late.allowed, late.identity.verified) == (True, False)


@pytest.mark.parametrize("body", [{"userId": "ada"}, {"userId": "ada", "userHash": hash_by_hand("ada")}])
def test_identity_hash_optional_path_missing_or_late_hash_anonymous(body: Any) -> None:
    late = app_with(accept_until=NOW - 1 if "userHash" in body else None)
    decision = decide(late, body, optional=True)
    assert (decision.allowed, decision.identity.verified) == (True, False)
    assert not decide(late, body).allowed


def test_identity_hash_accept_until_reached_identifier_only_missing_token() -> None:
    assert refused(app_with(accept_until=NOW), {"userId": "ada"}).code == "missing_token"


@pytest.mark.parametrize("revocations", [Revocations(issued_before=0), Revocations(users={"ada": 0})])
def test_identity_hash_revocation_cutoff_revoked(revocations: Revocations) -> None:
    app = app_with(settings={"revocations": revocations})
    assert refused(app, {"userId": "ada", "userHash": hash_by_hand("ada")}).reason == "revoked"


def test_identity_hash_other_user_or_token_revoked_allowed() -> None:
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


def test_company_hash_valid_hashes_only_those_companies_proven() -> None:
    app, body = with_companies([company("c1"), {"id": "c2"}, "c3", company("c1"), company("c4")])
    identity = decide(app, body).require()
    assert identity.companies == [{"id": "c1"}, {"id": "c4"}]
    merged = identity.merge_unsigned({"companies": [{"id": "c1", "name": "One"}, {"id": "c2"}]})
    assert merged.companies == [{"id": "c1", "name": "One"}, {"id": "c4"}]
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies[c2]"]


@pytest.mark.parametrize("given", [None, "c1", {"id": "c1"}, [], [{"id": "c1"}]])
def test_company_hash_absent_no_companies(given: Any) -> None:
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
def test_company_hash_invalid_hash_bad_identity_hash(given: dict[str, Any]) -> None:
    app, body = with_companies([company("c0"), given])
    assert refused(app, body).reason == "bad_identity_hash"


def with_client_companies(**companies: Any) -> tuple[App, dict[str, Any]]:
    """An app with the members of Featurebase's own client, and a body."""
    rule = CompanyHash(
        secret=secret(COMPANY_KEY),
        location=[JsonBody("companies"), JsonBody("company")],
        id_field=["companyId", "id"],
    )
    return app_with(companies=rule), {"userId": "ada", "userHash": hash_by_hand("ada"), **companies}


def proven(id: str, /, **members: Any) -> dict[str, Any]:
    return {"companyHash": hash_by_hand(id, COMPANY_KEY), **members}


def test_company_hash_single_object_and_several_id_fields_proven() -> None:
    app, body = with_client_companies(
        companies=[proven("c1", companyId="c1", plan="pro"), proven("c2", id="c2"), {"companyId": "c3"}],
        company=proven("c4", companyId="c4", id="c4", name="Four"),
    )
    identity = decide(app, body).require()
    assert identity.companies == [{"id": "c1"}, {"id": "c2"}, {"id": "c4"}]
    merged = identity.merge_unsigned(body)
    assert merged.companies == [{"id": "c1", "plan": "pro"}, {"id": "c2"}, {"id": "c4", "name": "Four"}]
    assert merged.attributes == {}
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies[c3]"]


def test_company_hash_single_object_where_list_expected_proven() -> None:
    app, body = with_companies(company("c1"))
    assert decide(app, body).require().companies == [{"id": "c1"}]
    assert refused(app, {**body, "companies": company("c1", "x")}).reason == "bad_identity_hash"


@pytest.mark.parametrize(
    "members",
    [{"id": "c1", "companyId": "c2"}, {"id": "c2", "companyId": "c1"}, {"id": ["c1"], "companyId": "c1"}, {}],
    ids=repr,
)
def test_company_hash_different_or_missing_ids_bad_identity_hash(members: Any) -> None:
    app, body = with_client_companies(company=proven("c1", **members))
    assert refused(app, body).reason == "bad_identity_hash"


@pytest.mark.parametrize("value", [None, 7, "c1", [7], {}, [["c1"]]], ids=repr)
def test_company_hash_single_object_of_other_type_no_companies(value: Any) -> None:
    app, body = with_client_companies(company=value)
    assert decide(app, body).require().companies == []


def test_merge_unsigned_company_with_two_ids_reported() -> None:
    app, body = with_client_companies(company={"id": "c1", "companyId": "c2", "plan": "pro"})
    merged = decide(app, body).require().merge_unsigned(body)
    assert (merged.companies, merged.attributes) == ([], {})
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies"]


@pytest.mark.parametrize("others", [[{"id": "c9"}], "c9", None], ids=repr)
def test_merge_unsigned_companies_under_other_name_than_claim(others: Any) -> None:
    rule = CompanyHash(secret=secret(COMPANY_KEY), location=[JsonBody("orgs"), JsonBody("a.orgs")])
    app = app_with(companies=rule, settings={"rules": Rules(companies_claim="companies")})
    body = {"userId": "ada", "userHash": hash_by_hand("ada"), "companies": others, "a.orgs": "no location"}
    body["orgs"] = [{**company("c1"), "plan": "gold"}, company("c2")]
    merged = decide(app, body).require().merge_unsigned(body)
    assert merged.companies == [{"id": "c1", "plan": "gold"}, {"id": "c2"}]
    assert merged.attributes == {"a.orgs": "no location"}
    reported = ["companies[c9]"] if isinstance(others, list) else []
    assert [conflict.attribute for conflict in merged.conflicts] == reported


def test_merge_unsigned_nested_company_location_removed() -> None:
    rule = CompanyHash(secret=secret(COMPANY_KEY), location=[JsonBody("org.main"), JsonBody("org.all")])
    body = {"userId": "ada", "userHash": hash_by_hand("ada"), "org": {"main": company("c1"), "size": 7}}
    identity = decide(app_with(companies=rule), body).require()
    assert identity.companies == [{"id": "c1"}]
    assert identity.merge_unsigned(body).attributes == {"org": {"size": 7}}


def test_company_hash_no_proven_company_unsigned_companies_dropped() -> None:
    """A client gains nothing if it omits all hashes."""
    app, body = with_companies([{"id": "bank", "name": "Bank"}])
    merged = decide(app, body).require().merge_unsigned(body)
    assert merged.companies == []
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies[bank]"]


# --- other values

VALUE_KEY = bytes(range(6, 38))
CONTEXT = {"tenant": {"id": "acme", "seats": [1, None]}, "app": "dashboard"}
CANONICAL = '{"app":"dashboard","tenant":{"id":"acme","seats":[1,null]}}'
CONTEXT_HASH = hash_by_hand(CANONICAL, VALUE_KEY)


def with_context(*, settings: Any = None, **rule: Any) -> tuple[App, dict[str, Any]]:
    value = {"name": "context", "secret": secret(VALUE_KEY), "hash_location": JsonBody("contextHash"), "form": "json"}
    app = app_with(values=(ValueHash(**{**value, **rule}),), settings=settings)
    return app, {"userId": "ada", "userHash": hash_by_hand("ada")}


def test_value_hash_valid_hash_value_is_attribute() -> None:
    app, body = with_context()
    sent = {**body, "context": CONTEXT, "contextHash": CONTEXT_HASH, "plan": "gold"}
    identity = decide(app, sent).require()
    assert (identity.attributes, identity.claims) == ({"context": CONTEXT}, {})
    identity.attributes["context"]["app"] = "changed by one handler"
    assert identity.attributes == {"context": CONTEXT}
    merged = identity.merge_unsigned(sent, {"context": {"app": "stored"}})
    assert (merged.attributes, merged.conflicts) == ({"context": CONTEXT, "plan": "gold"}, ())
    assert decide(app, body).require().attributes == {}


@pytest.mark.parametrize(
    "values",
    [
        {"context": CONTEXT},
        {"context": {}},
        {"contextHash": CONTEXT_HASH},
        {"context": {**CONTEXT, "app": "other"}, "contextHash": CONTEXT_HASH},
        {"context": CONTEXT, "contextHash": hash_by_hand(CANONICAL)},
        {"context": CONTEXT, "contextHash": ["x"]},
        {"context": CANONICAL, "contextHash": CONTEXT_HASH},
        {"context": [CONTEXT], "contextHash": CONTEXT_HASH},
        {"context": {"seats": 1.5}, "contextHash": hash_by_hand('{"seats":1.5}', VALUE_KEY)},
    ],
    ids=repr,
)
def test_value_hash_missing_or_wrong_hash_bad_identity_hash(values: Any) -> None:
    app, body = with_context()
    assert refused(app, {**body, **values}).reason == "bad_identity_hash"


def test_value_hash_of_string_compared_as_string() -> None:
    app, body = with_context(form="string", hash_location=Header("X-Hash"), location=JsonBody("user.tenant"))
    proof = ("X-Hash", hash_by_hand("7", VALUE_KEY))
    sent = {**body, "user": {"tenant": 7, "age": 8}}
    identity = decide(app, sent, proof).require()
    assert identity.attributes == {"context": "7"}
    assert identity.merge_unsigned(sent).attributes == {"context": "7", "user": {"age": 8}}
    assert refused(app, {**body, "user": {"tenant": {"id": "7"}}}, proof).reason == "bad_identity_hash"
    assert refused(app, {**body, "user": {"tenant": "7\n"}}, proof).reason == "bad_identity_hash"


def test_value_hash_without_user_or_beside_token_adds_nothing() -> None:
    app, _ = with_context(settings={"allow_anonymous": True})
    values = {"context": CONTEXT, "contextHash": CONTEXT_HASH}
    anonymous = decide(app, values)
    assert (anonymous.allowed, anonymous.identity.verified, anonymous.identity.attributes) == (True, False, {})
    for proof in (CONTEXT_HASH, "x"):
        identity = decide(app, {**values, "contextHash": proof, "token": token()}).require()
        merged = identity.merge_unsigned({**values, "plan": "gold"})
        assert (identity.attributes, merged.attributes) == ({}, {"plan": "gold"})
        assert [conflict.attribute for conflict in merged.conflicts] == ["context"]


def test_value_hash_secret_replaced_identity_no_longer_verified() -> None:
    app, body = with_context()
    identity = decide(app, {**body, "context": CONTEXT, "contextHash": CONTEXT_HASH}).require()
    other, _ = with_context(secret=secret(COMPANY_KEY))
    assert identity.still_verified_by(app)
    assert not identity.still_verified_by(other)
    assert not identity.still_verified_by(acme())
    assert decide(app, body).require().still_verified_by(other)


# --- in addition to a token


def test_identity_hash_beside_token_of_same_user_method_jwt() -> None:
    app = app_with(settings={"rules": Rules(user_id_claims=("userId",))})
    body = {"token": token(claims(sub=None, userId="ada")), "userId": "ada", "userHash": hash_by_hand("ada")}
    assert decide(app, body).require().method == "jwt"
    del body["userId"]  # the token has the identifier
    assert decide(app, body).require().method == "jwt"
    body["userHash"] = hash_by_hand("bob")
    assert refused(app, body).reason == "bad_identity_hash"


def test_identity_hash_beside_token_of_other_user_refused() -> None:
    app = app_with(settings={"rules": Rules(user_id_claims=("userId",))})
    body = {"token": token(claims(sub=None, userId="ada")), "userId": "bob", "userHash": hash_by_hand("bob")}
    assert refused(app, body).code == "invalid_request"
    body["userHash"] = "x"
    assert refused(app, body).reason == "bad_identity_hash"


def test_identity_hash_beside_token_without_identifier_claim_token_used() -> None:
    app = app_with()
    good = {"token": token()}
    assert decide(app, good).require().user_id == "user-1"
    assert decide(app, {**good, "userId": "somebody"}).require().user_id == "user-1"
    assert (
        decide(app, {**good, "userHash": "x"}).require().user_id == "user-1"
        # neither the request nor the token has the identifier
    )
    assert decide(app, {**good, "userId": "7", "userHash": hash_by_hand("7")}).require().user_id == "user-1"


FEATUREBASE = Rules(required_claims=frozenset({"userId"}), user_id_claims=("userId", "email"))
SIGNED = {"userId": "42", "email": "ada@b.c"}


@pytest.mark.parametrize("allowed", ["email", "userId", ("email", "userId"), ("id", "email")], ids=repr)
@pytest.mark.parametrize("hashed", SIGNED.values())
@pytest.mark.parametrize("stated", [{}, {"userId": "42"}, {"userId": 42, "email": "ada@b.c"}], ids=repr)
def test_identity_hash_beside_token_of_any_identifier_adds_nothing(allowed: Any, hashed: str, stated: Any) -> None:
    app = app_with(identifier=allowed, settings={"rules": FEATUREBASE})
    body = {"token": token(claims(sub=None, **SIGNED)), **stated}
    with_hash = decide(app, {**body, "userHash": hash_by_hand(hashed)}).require()
    alone = decide(app, body).require()
    for name in ("method", "user_id", "user_id_claim", "identity", "claims", "attributes", "companies", "expires_at"):
        assert getattr(with_hash, name) == getattr(alone, name), name


@pytest.mark.parametrize("allowed", ["email", ("id", "email")], ids=repr)
def test_identity_hash_beside_token_identifier_of_other_user_refused(allowed: Any) -> None:
    app = app_with(identifier=allowed, settings={"rules": FEATUREBASE})
    body = {"token": token(claims(sub=None, **SIGNED)), "userHash": hash_by_hand("43")}
    assert refused(app, {**body, "userId": "43"}).code == "invalid_request"
    assert refused(app, {**body, "userId": True}).reason == "bad_identity_hash"
    assert refused(app, body).reason == "bad_identity_hash"
    assert decide(app, {**body, "userHash": hash_by_hand("e1"), "id": "e1"}).allowed is (allowed != "email")


def test_identity_hash_beside_token_unsigned_identifier_revoked_refused() -> None:
    app = app_with(settings={"revocations": Revocations(users_by_claim={"userId": {"7": NOW}})})
    body = {"token": token(), "userId": "7", "userHash": hash_by_hand("7")}
    assert refused(app, body).reason == "revoked"


# --- several identifiers


def test_identity_hash_several_identifiers_first_verified_identifies() -> None:
    app = app_with(identifier=["userId", "email"])

    def user(**body: Any) -> str:
        return decide(app, body).require().identity

    assert user(userId="42", email="a@b.c", userHash=hash_by_hand("a@b.c")) == "acme:email:a%40b.c"
    assert user(userId="42", email="a@b.c", userHash=hash_by_hand("42")) == "acme:userId:42"
    assert user(email="42", userHash=hash_by_hand("42")) == "acme:email:42"
    assert user(userId="a\nb", email="42", userHash=hash_by_hand("42")) == "acme:email:42"
    assert refused(app, {"userId": "42", "email": "a@b.c", "userHash": hash_by_hand("43")}).detail == (
        "The identity hash does not verify."
    )
    assert "userId or email" in refused(app, {"email": "a@b.c"}).detail
    assert "userId or email" in refused(app, {"userHash": "x"}).detail


def test_identity_hash_several_identifiers_revoked_by_claim_and_normalized_form() -> None:
    revocations = Revocations(users_by_claim={"email": {"Ada": NOW}})
    app = app_with(identifier=["userId", "email"], normalize=["lower"], settings={"revocations": revocations})
    assert refused(app, {"email": "ADA", "userHash": hash_by_hand("ada")}).reason == "revoked"
    assert decide(app, {"userId": "ADA", "userHash": hash_by_hand("ada")}).require().user_id == "ada"


def test_merge_unsigned_several_identifiers_none_writable() -> None:
    app = app_with(identifier=["userId", "email"], identifier_location=[JsonBody("userId"), JsonBody("user.email")])
    body = {"userId": "42", "userHash": hash_by_hand("42"), "email": "x", "user": {"email": "e@b.c", "age": 7}}
    merged = decide(app, body).require().merge_unsigned(body)
    assert merged.attributes == {"user": {"age": 7}}
    assert [conflict.attribute for conflict in merged.conflicts] == ["email"]


def test_identity_hash_beside_token_after_accept_until_ignored() -> None:
    app = app_with(accept_until=NOW)
    assert decide(app, {"token": token(), "userId": "bob", "userHash": "x"}).require().user_id == "user-1"


def test_identity_hash_refusal_contains_no_expected_hash() -> None:
    refusal = refusal_of(lambda: decide(app_with(), {"userId": "ada", "userHash": "x"}).require())
    assert hash_by_hand("ada") not in repr(refusal)
    assert "ada" not in refusal.detail


@pytest.mark.parametrize("again", ["id", "companyHash"])
def test_company_hash_duplicate_key_bad_identity_hash(again: str) -> None:
    app, _ = with_companies([])
    proof = hash_by_hand("c1", COMPANY_KEY)
    company = f'{{"{again}": "other", "id": "c1", "companyHash": "{proof}"}}'
    body = f'{{"userId": "user-1", "userHash": "{hash_by_hand("user-1")}", "companies": [{company}]}}'
    headers = [("X-App-Id", "acme"), ("Content-Type", "application/json")]
    decision = gate_of(app, clock=lambda: NOW).decide(Request("POST", headers=headers, body=body.encode()))
    assert decision.refusal is not None
    assert decision.refusal.reason == "bad_identity_hash"
