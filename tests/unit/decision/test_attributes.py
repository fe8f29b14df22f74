"""Merge signed, stored and unsigned attributes."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.unit import OTHER_KEY, acme, asks, claims, gate_of, secret, token
from wicket import CompanyHash, Conflict, Header, Identity, JsonBody, Request, Rules, Secret, VerifiedIdentity
from wicket.config.identity_hash import IdentityHash
from wicket.decision.attributes import MergeResult, merge

COMPANIES = Rules(companies_claim="companies")


def user(rules: Rules | None = None, **changes: Any) -> VerifiedIdentity:
    app = acme(rules=rules or Rules())
    return gate_of(app).decide(asks(token({**claims(), **changes}))).require()


def company(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "name": id.upper(), **more}


def test_merge_unsigned_conflicting_values_signed_then_stored_preferred() -> None:
    merged = user(plan="gold").merge_unsigned(
        {"plan": "free", "city": "Rome", "age": 7}, {"plan": "silver", "city": "Oslo"}
    )
    assert merged.attributes == {"plan": "gold", "city": "Oslo", "age": 7}
    assert merged.conflicts == (Conflict("plan", "gold", "signed"), Conflict("city", "Oslo", "stored"))
    assert merged.companies == []


def test_merge_unsigned_equal_value_no_conflict_other_type_conflict() -> None:
    assert user(plan="gold").merge_unsigned({"plan": "gold"}).conflicts == ()
    for said in (True, 1.0, "1", [1]):
        assert user(seats=1).merge_unsigned({"seats": said}).conflicts == (Conflict("seats", 1, "signed"),)


def test_merge_unsigned_nested_type_difference_conflict() -> None:
    for said in ([True], [1.0], [[1]]):
        assert user(seats=[1]).merge_unsigned({"seats": said}).conflicts == (Conflict("seats", [1], "signed"),)


def test_protected_attributes_unsigned_value_dropped() -> None:
    rules = Rules(protected_attributes=frozenset({"plan"}))
    merged = user(rules).merge_unsigned({"plan": "gold", "city": "Rome"})
    assert merged.attributes == {"city": "Rome"}
    assert merged.conflicts == (Conflict("plan", None, None),)
    assert user(rules, plan="free").merge_unsigned({"plan": "gold"}).attributes == {"plan": "free"}
    assert user(rules).merge_unsigned({"plan": "gold"}, {"plan": "silver"}).attributes == {"plan": "silver"}


def known(names: Any = None, **settings: Any) -> Any:
    """A function that merges by an app with these known attributes."""
    app = acme(rules=COMPANIES, known_attributes=names, **settings)

    def merged(signed: dict[str, Any], unsigned: Any, stored: Any = None) -> MergeResult:
        identity = gate_of(app).decide(asks(token({**claims(), **signed}))).require()
        return identity.merge_unsigned(unsigned, stored)

    return merged


def test_known_attributes_unknown_signed_and_unsigned_values_reported() -> None:
    merge_known = known({"plan", "city"})
    merged = merge_known({"plan": "gold", "seats": 7}, {"city": "Rome", "seats": 8, "zip": "1", "no": None})
    assert merged.attributes == {"plan": "gold", "city": "Rome"}
    assert (merged.unknown, merged.conflicts) == (("seats", "zip"), ())
    stored = merge_known({"seats": 7}, {"seats": 8}, {"seats": 6})
    assert (stored.attributes, stored.unknown, stored.conflicts) == ({"seats": 6}, ("seats",), ())
    assert known([])({"plan": "gold"}, {}).unknown == ("plan",)
    assert known()({"plan": "gold"}, {"zip": "1"}).attributes == {"plan": "gold", "zip": "1"}


def test_known_attributes_names_with_other_meaning_still_conflict() -> None:
    merged = known({"plan"})({}, {"iss": "x", "sub": "other"})
    assert (merged.attributes, merged.unknown) == ({}, ())
    assert [conflict.attribute for conflict in merged.conflicts] == ["iss", "sub"]


def test_known_company_attributes_unknown_ones_reported() -> None:
    merge_known = known(known_company_attributes=["name", "plan"])
    signed = {"companies": [company("c1", seats=7)]}
    said = {"companies": [{"id": "c1", "plan": "pro", "zip": "1"}, {"id": "c2", "fax": "1"}]}
    merged = merge_known(signed, said, {"companies": [{"id": "c1", "old": "kept"}]})
    assert merged.companies == [{**company("c1"), "old": "kept", "plan": "pro"}]
    assert merged.unknown == ("companies[c1].seats", "companies[c1].zip")


def test_widget_settings_unsigned_ignored_signed_kept() -> None:
    merge_settings = known(widget_settings=["theme", "language"])
    merged = merge_settings({"language": "de"}, {"theme": "dark", "language": "en", "city": "Rome"})
    assert merged.attributes == {"language": "de", "city": "Rome"}
    assert (merged.unknown, merged.conflicts) == ((), ())
    assert merge_settings({}, "no object").attributes == {}


def test_protected_attributes_wildcard_all_unsigned_dropped() -> None:
    merged = user(Rules(protected_attributes=frozenset({"*"})), plan="free").merge_unsigned(
        {"city": "Rome", "*": 1, "sub": "x"}
    )
    assert merged.attributes == {"plan": "free"}
    assert {conflict.attribute for conflict in merged.conflicts} == {"city", "*", "sub"}


def test_merge_unsigned_registered_and_rule_claims_dropped() -> None:
    rules = Rules(
        user_id_claims=("sub", "email"), required_values={"tier": "a"}, app_claim="app", scopes_claim=("scope",)
    )
    said = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "email", "tier", "app", "scope")
    identity = user(rules, tier="a", app="acme")
    merged = identity.merge_unsigned(dict.fromkeys(said, "mine"))
    assert merged.attributes == {}
    assert {conflict.attribute for conflict in merged.conflicts} == set(said)


def test_merge_unsigned_hashed_identifier_dropped() -> None:
    rule = IdentityHash(
        secret=secret(OTHER_KEY),
        identifier="email",
        identifier_location=Header("X-Email"),
        hash_location=Header("X-Hash"),
    )
    proof = hmac.new(OTHER_KEY, b"ada@a.example", hashlib.sha256).hexdigest()
    request = asks(headers=[("X-Email", "ada@a.example"), ("X-Hash", proof)])
    identity = gate_of(acme(identity_hash=rule)).decide(request).require()
    merged = identity.merge_unsigned({"email": "victim@a.example"})
    assert "email" not in merged.attributes
    assert [conflict.attribute for conflict in merged.conflicts] == ["email"]


@pytest.mark.parametrize("said", [None, [], "text", 7, [["a", "b"]]])
def test_merge_unsigned_non_mapping_ignored(said: Any) -> None:
    assert user(plan="gold").merge_unsigned(said).attributes == {"plan": "gold"}


def test_merge_unsigned_anonymous_identity_app_rules_applied() -> None:
    decision = gate_of(acme(allow_anonymous=True, rules=Rules(protected_attributes=frozenset({"plan"})))).decide(asks())
    assert decision.identity.merge_unsigned({"plan": "gold", "city": "Rome"}).attributes == {"city": "Rome"}
    assert Identity(None).merge_unsigned({"plan": "gold", "sub": "root"}).attributes == {"plan": "gold"}


def test_merge_unsigned_attributes_claim_signed_value_kept() -> None:
    rules = Rules(attributes_claim="ctx")
    assert user(rules, ctx={"plan": "gold"}).merge_unsigned({"plan": "free"}).attributes == {"plan": "gold"}


def test_merge_unsigned_result_mutation_inputs_unchanged() -> None:
    stored, said = {"a": 1}, {"b": 2}
    identity = user(plan="gold")
    identity.merge_unsigned(said, stored).attributes["own"] = True
    assert (stored, said, identity.attributes) == ({"a": 1}, {"b": 2}, {"plan": "gold"})


# --- companies


def test_merge_companies_with_companies_claim_not_in_attributes() -> None:
    merged = user(COMPANIES, companies=[company("c1")]).merge_unsigned(
        {"companies": [company("c1")]}, {"companies": []}
    )
    assert merged.attributes == {}
    assert merged.companies == [company("c1")]
    assert merged.conflicts == ()
    assert user().merge_unsigned({"companies": [1]}).attributes == {"companies": [1]}  # no such claim: an ordinary name


def test_merge_companies_several_sources_membership_from_best_source() -> None:
    signed = user(COMPANIES, companies=[company("c1")])
    merged = signed.merge_unsigned({"companies": [company("c2")]}, {"companies": [company("c3")]})
    assert merged.companies == [company("c1")]
    assert merged.conflicts == (Conflict("companies[c2]", ["c1"], "signed"),)
    stored = user(COMPANIES).merge_unsigned({"companies": [company("c2")]}, {"companies": [company("c3")]})
    assert stored.companies == [company("c3")]
    assert stored.conflicts == (Conflict("companies[c2]", ["c3"], "stored"),)
    assert user(COMPANIES).merge_unsigned({"companies": [company("c2")]}).companies == [company("c2")]


def test_merge_companies_signed_empty_list_no_companies() -> None:
    merged = user(COMPANIES, companies=[]).merge_unsigned(
        {"companies": [company("c2")]}, {"companies": [company("c3")]}
    )
    assert merged.companies == []


def test_merge_companies_company_attributes_merged_from_all_sources() -> None:
    identity = user(COMPANIES, companies=[company("c1", plan="gold")])
    merged = identity.merge_unsigned(
        {"companies": [company("c1", plan="free", city="Rome", age=7)]}, {"companies": [company("c1", city="Oslo")]}
    )
    assert merged.companies == [company("c1", plan="gold", city="Oslo", age=7)]
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies[c1].plan", "companies[c1].city"]


@pytest.mark.parametrize("protected", ["companies", "*"])
def test_merge_companies_protected_companies_unsigned_dropped(protected: str) -> None:
    rules = Rules(companies_claim="companies", protected_attributes=frozenset({protected}))
    merged = user(rules).merge_unsigned({"companies": [company("c1")]})
    assert merged.companies == []
    assert merged.conflicts == (Conflict("companies[c1]", [], None),)


def test_protected_company_attributes_unsigned_value_dropped() -> None:
    rules = Rules(companies_claim="companies", protected_company_attributes=frozenset({"plan"}))
    merged = user(rules, companies=[company("c1")]).merge_unsigned(
        {"companies": [{"id": "c1", "plan": "gold", "age": 7}]}
    )
    assert merged.companies == [company("c1", age=7)]
    assert merged.conflicts == (Conflict("companies[c1].plan", None, None),)


@pytest.mark.parametrize("protected", ["*", "id"])
def test_protected_company_attributes_wildcard_or_id_company_id_kept(protected: str) -> None:
    rules = Rules(companies_claim="companies", protected_company_attributes=frozenset({protected}))
    merged = user(rules).merge_unsigned({"companies": [{"id": "c1", "plan": "gold"}]})
    assert [each.get("id") for each in merged.companies] == ["c1"]


@pytest.mark.parametrize("bad", [7, None, "c1", [], {}, {"id": 7}, {"name": "C"}])
def test_merge_companies_invalid_company_dropped_with_conflict(bad: Any) -> None:
    merged = user(COMPANIES).merge_unsigned({"companies": [bad, company("c1")]})
    assert merged.companies == [company("c1")]
    assert merged.conflicts == (Conflict("companies", None, None),)


@pytest.mark.parametrize(
    ("stored", "ids"),
    [
        (None, ["c1"]),
        ([], []),
        ("c1", []),
        (7, []),
        ({"id": "c1"}, []),
        ((company("c2"),), ["c2"]),
        (iter([company("c2"), "c1"]), ["c2"]),
        ([{"id": 5}], [5]),
        ([{"id": True}, {"id": False}, {"id": 1.5}], []),
    ],
)
def test_merge_companies_stored_value_any_format_unsigned_dropped(stored: Any, ids: list[Any]) -> None:
    merged = user(COMPANIES).merge_unsigned({"companies": [company("c1")]}, {"companies": stored})
    assert [each["id"] for each in merged.companies] == ids


COMPANY_HASH = CompanyHash(secret=Secret(OTHER_KEY[::-1]))


def member(text: str) -> str:
    return hmac.new(OTHER_KEY[::-1], text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("by_token", [True, False])
@pytest.mark.parametrize("claim", [None, "companies"])
def test_merge_companies_company_hash_configured_unproven_dropped(by_token: bool, claim: str | None) -> None:
    rule = IdentityHash(secret=Secret(OTHER_KEY), companies=COMPANY_HASH)
    app = acme(identity_hash=rule, rules=Rules(companies_claim=claim))
    said: dict[str, Any] = {
        "userId": "user-1",
        "companies": [{"id": "c1", "companyHash": member("c1"), "plan": "pro"}, {"id": "victim", "companyHash": "x"}],
    }
    proof = hmac.new(OTHER_KEY, b"user-1", hashlib.sha256).hexdigest()
    raw = json.dumps({**said, "companies": said["companies"][:1], "userHash": proof}).encode()
    headers = [("X-App-Id", "acme"), ("Content-Type", "application/json")]
    proven = [("Authorization", f"Bearer {token()}")] if by_token else []
    request = Request("POST", headers=[*headers, *proven], body=raw)
    merged = gate_of(app).decide(request).require().merge_unsigned(said)
    assert merged.companies == ([] if by_token else [{"id": "c1", "plan": "pro"}])
    assert "companies" not in merged.attributes
    told = [conflict.attribute for conflict in merged.conflicts if conflict.attribute != "userId"]
    assert told == (["companies[c1]", "companies[victim]"] if by_token else ["companies[victim]"])


def test_merge_companies_company_hash_without_claim_signed_kept() -> None:
    app = acme(identity_hash=IdentityHash(secret=Secret(OTHER_KEY), companies=COMPANY_HASH))
    identity = gate_of(app).decide(asks(token(claims(companies=[company("c1")])))).require()
    assert identity.attributes["companies"] == [company("c1")]
    assert identity.merge_unsigned({"companies": [company("victim")]}).companies == [company("c1")]
    nothing = gate_of(app).decide(asks(token(claims(companies=None)))).require()
    assert nothing.merge_unsigned({"companies": [company("victim")]}, {"companies": [company("old")]}).companies == []


@pytest.mark.parametrize("claim", [None, "ctx"])
def test_p10_attributes_signed_null_counts_as_absent(claim: str | None) -> None:
    signed: dict[str, Any] = {"name": None, "plan": "pro"}
    held = user(Rules(attributes_claim=claim), **(signed if claim is None else {claim: signed}))
    assert held.attributes == {"plan": "pro"}
    assert held.merge_unsigned({}, {"name": "Ada"}).attributes == {"name": "Ada", "plan": "pro"}
    merged = held.merge_unsigned({"name": "root", "plan": "pro"})
    assert merged.attributes == {"plan": "pro"}
    assert merged.conflicts == (Conflict("name", None, "signed"),)
    assert held.merge_unsigned({"name": None}).conflicts == ()
    assert user(Rules(attributes_claim="ctx"), ctx=None).attributes == {}
    beside = user(Rules(attributes_claim="ctx"), ctx={"plan": None}, plan="pro", city=None)
    merged = beside.merge_unsigned({"plan": "pro", "city": "Rome"}, {"city": "Oslo", "plan": "free"})
    assert merged.attributes == {"city": "Oslo", "plan": "pro"}
    assert [(each.attribute, each.kept, each.source) for each in merged.conflicts] == [("city", "Oslo", "stored")]


def test_p10_companies_signed_null_counts_as_absent() -> None:
    rules = Rules(companies_claim="companies")
    nothing = user(rules, companies=None)
    assert nothing.companies == []
    assert nothing.merge_unsigned({}, {"companies": [company("old")]}).companies == [company("old")]
    merged = nothing.merge_unsigned({"companies": [company("victim")]})
    assert (merged.companies, merged.conflicts) == ([], (Conflict("companies[victim]", [], None),))
    one = user(rules, companies=[{**company("c1"), "plan": None}])
    assert one.companies == [company("c1")]
    assert one.merge_unsigned({"companies": [{"id": "c1", "plan": "gold"}]}).companies == [company("c1")]


def test_merge_companies_company_hash_id_field_identifies_company() -> None:
    rule = IdentityHash(
        secret=Secret(OTHER_KEY), companies=CompanyHash(secret=COMPANY_HASH.secret, id_field="companyId")
    )
    identity = gate_of(acme(identity_hash=rule)).decide(asks(token(claims(companies=[company("c1")])))).require()
    said = [{"companyId": "c1", "id": "victim", "plan": "pro"}, {"id": "c1", "plan": "free"}, 7]
    merged = identity.merge_unsigned({"companies": said})
    assert merged.companies == [{**company("c1"), "plan": "pro"}]
    assert [conflict.attribute for conflict in merged.conflicts] == ["companies", "companies"]
    assert identity.merge_unsigned({"companies": "c1"}).companies == [company("c1")]


def test_merge_unsigned_identifiers_at_other_locations_dropped() -> None:
    elsewhere = CompanyHash(secret=COMPANY_HASH.secret, location=JsonBody("org.all"), id_field="companyId")
    rule = IdentityHash(
        secret=Secret(OTHER_KEY), identifier="email", identifier_location=JsonBody("user.email"), companies=elsewhere
    )
    app = acme(identity_hash=rule, rules=Rules(companies_claim="companies"))
    said = {
        "user": {"email": "victim@a.example", "name": "Ada"},
        "email": "victim@a.example",
        "org": {"all": [{"companyId": "victim"}], "name": "Org"},
        "companies": [{"id": "c1", "companyId": "victim", "plan": "pro"}],
    }
    identity = gate_of(app).decide(asks(token(claims(companies=[company("c1")])))).require()
    merged = identity.merge_unsigned(said)
    assert merged.attributes == {"user": {"name": "Ada"}, "org": {"name": "Org"}}
    assert merged.companies == [{**company("c1"), "plan": "pro"}]
    assert {conflict.attribute for conflict in merged.conflicts} == {"email", "companies[c1].companyId"}

    flat = IdentityHash(secret=Secret(OTHER_KEY), identifier="email", identifier_location=JsonBody("mail"))
    merged = Identity("acme", acme(identity_hash=flat)).merge_unsigned({"mail": "victim@a.example"})
    assert (merged.attributes, [each.attribute for each in merged.conflicts]) == ({}, ["mail"])


class Counted(str):
    __slots__ = ()
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)


def test_merge_companies_many_companies_comparisons_not_quadratic() -> None:
    said = [{"id": Counted(number)} for number in range(2000)]
    merged = user(COMPANIES).merge_unsigned({"companies": said}, {"companies": [company(str(n)) for n in range(2000)]})
    assert len(merged.companies) == 2000
    assert Counted.compared < 40_000


def test_merge_unsigned_equal_deep_values_no_conflict() -> None:
    text = '{"a":' * 900 + "1" + "}" * 900
    merged = user().merge_unsigned({"deep": json.loads(text)}, {"deep": json.loads(text)})
    assert merged.conflicts == ()


def test_merge_unsigned_values_too_deep_to_compare_conflict() -> None:
    def deep() -> Any:
        value: Any = 1
        for _ in range(100_000):
            value = [value]
        return value

    merged = user().merge_unsigned({"deep": deep(), "plan": "free"}, {"deep": deep()})
    assert [conflict.attribute for conflict in merged.conflicts] == ["deep"]
    assert merged.attributes["plan"] == "free"


def test_conflict_repr_contains_no_kept_value() -> None:
    assert "gold" not in repr(user(plan="gold").merge_unsigned({"plan": "free"}).conflicts)


def test_merge_companies_anonymous_identity_stored_then_unsigned_used() -> None:
    decision = gate_of(acme(allow_anonymous=True, rules=COMPANIES)).decide(asks())
    assert decision.identity.merge_unsigned({"companies": [company("c1")]}).companies == [company("c1")]
    stored = decision.identity.merge_unsigned({"companies": [company("c1")]}, {"companies": [company("c2")]})
    assert stored.companies == [company("c2")]


def test_merge_unsigned_stored_values_of_any_type_kept() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    merged = merge(Rules(), {}, None, {"since": moment, "seen": moment}, {"since": "2026-01-01", "seen": moment})
    assert merged.attributes == {"since": moment, "seen": moment}
    assert [conflict.attribute for conflict in merged.conflicts] == ["since"]


def test_merge_unsigned_credentials_in_body_not_in_attributes() -> None:
    rule = IdentityHash(
        secret=Secret(OTHER_KEY),
        hash_location=JsonBody("user.hash"),
        companies=CompanyHash(secret=Secret(OTHER_KEY[::-1])),
    )
    app = acme(identity_hash=rule, token_locations=[JsonBody("auth.token")], rules=Rules(attributes_claim="ctx"))
    said = {
        "auth": {"token": "a.b.c", "via": "widget"},
        "user": {"hash": "00"},
        "companies": [{"id": "1", "companyHash": "00"}, 7],
        "ctx": {"plan": "pro"},
        "plan": "free",
    }
    merged = Identity("acme", app).merge_unsigned(said)
    assert merged.attributes == {"auth": {"via": "widget"}, "user": {}, "plan": "free"}
    assert {conflict.attribute for conflict in merged.conflicts} == {"ctx", "companies", "companies[1]"}
    assert "00" not in repr([conflict.kept for conflict in merged.conflicts])
    assert said["user"] == {"hash": "00"}, "what the client sent stays as it was"


@pytest.mark.parametrize("name", ["auth", "companies"])
def test_merge_unsigned_deep_list_at_credential_location_merged(name: str) -> None:
    rule = IdentityHash(secret=Secret(OTHER_KEY), companies=CompanyHash(secret=Secret(OTHER_KEY[::-1])))
    app = acme(identity_hash=rule, token_locations=[JsonBody("auth.token")])
    deep: Any = [{"token": "a.b.c", "companyHash": "00"}]
    for _ in range(900):  # as deep as a JSON parser allows
        deep = [deep]
    assert Identity("acme", app).merge_unsigned({name: deep, "plan": "free"}).attributes["plan"] == "free"
