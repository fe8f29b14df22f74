"""What claims must say, rule by rule, at one moment in time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.support import NOW, claims, refusal_of
from wicket import App, Refusal, Rules
from wicket.decision.claims import check_claims, numeric_date, read_scopes


def check(
    payload: dict[str, Any],
    typ: str | None = "JWT",
    *,
    now: float = NOW,
    rules: dict[str, Any] | None = None,
    **app: Any,
) -> None:
    check_claims(payload, typ, App("acme", rules=Rules(**(rules or {})), **app), now)


def refused(payload: dict[str, Any], typ: str | None = "JWT", **settings: Any) -> Refusal:
    refusal = refusal_of(lambda: check(payload, typ, **settings))
    assert refusal.code == "invalid_token"
    return refusal


def why(payload: dict[str, Any], typ: str | None = "JWT", **settings: Any) -> tuple[str | None, str | None]:
    refusal = refused(payload, typ, **settings)
    return refusal.reason, refusal.claim


# --- typ


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "application/jwt", "Application/JWT"])
def test_without_types_a_token_is_a_jwt_or_says_nothing(typ: str | None) -> None:
    check(claims(), typ)


@pytest.mark.parametrize("typ", ["at+jwt", "JOSE", "", "application/", "text/jwt", "jwt "])
def test_without_types_any_other_typ_is_wrong(typ: str) -> None:
    assert why(claims(), typ) == ("wrong_type", None)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_a_typ_that_the_rules_name_is_admitted(typ: str) -> None:
    check(claims(), typ, rules={"types": frozenset({"at+jwt"})})


@pytest.mark.parametrize("typ", [None, "JWT", "logout+jwt"])
def test_where_the_rules_name_types_one_is_required(typ: str | None) -> None:
    assert why(claims(), typ, rules={"types": frozenset({"at+jwt"})}) == ("wrong_type", None)


# --- times


@pytest.mark.parametrize(
    ("payload", "now", "reason"),
    [
        ({"exp": NOW}, NOW + 29.9, None),
        ({"exp": NOW}, NOW + 30, "expired"),
        ({"exp": NOW + 0.5}, NOW + 30.4, None),
        ({"exp": NOW + 0.5}, NOW + 30.5, "expired"),
        ({"nbf": NOW + 30}, NOW, None),
        ({"nbf": NOW + 31}, NOW, "not_yet_valid"),
        ({"iat": NOW + 30}, NOW, None),
        ({"iat": NOW + 31}, NOW, "issued_in_future"),
        ({"exp": 0}, NOW, "expired"),
        ({"exp": 253402300799}, NOW, None),
        ({"iat": 0, "nbf": 0}, NOW, None),
    ],
)
def test_times_hold_within_the_skew(payload: dict[str, Any], now: float, reason: str | None) -> None:
    held = {**claims(), **payload}
    if reason is None:
        check(held, now=now)
    else:
        assert why(held, now=now) == (reason, next(iter(payload)))


def test_the_skew_is_the_apps_own() -> None:
    check(claims(exp=NOW - 59), rules={"leeway": 60})
    assert why(claims(exp=NOW), rules={"leeway": 0}) == ("expired", "exp")
    assert why(claims(nbf=NOW + 1), rules={"leeway": 0}) == ("not_yet_valid", "nbf")


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [True, False, "1800000000", None, [], {}])
def test_a_time_is_a_number(name: str, value: object) -> None:
    refusal = refused({**claims(), name: value})
    assert (refusal.reason, refusal.claim) == ("bad_claim", name)
    assert refusal.detail == f"The claim {name} must be a number of seconds since 1970."


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [-1, -0.5, 253402300800, NOW * 1000, 10**300, 1e300])
def test_a_time_is_in_seconds(name: str, value: float) -> None:
    refusal = refused({**claims(), name: value})
    assert (refusal.reason, refusal.claim) == ("bad_claim", name)
    assert refusal.detail == f"The claim {name} must be seconds since 1970, not milliseconds."


def test_a_date_that_is_absent_is_none() -> None:
    assert numeric_date({}, "exp") is None
    assert numeric_date({"exp": 1.5}, "exp") == 1.5


BOUNDED = {"min_lifetime": 60, "max_lifetime": 3600}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"iat": NOW, "exp": NOW + 60}, None),
        ({"iat": NOW, "exp": NOW + 3600}, None),
        ({"iat": NOW, "exp": NOW + 3600.5}, "lifetime_too_long"),
        ({"iat": NOW, "exp": NOW + 59}, "lifetime_too_short"),
        ({"iat": NOW, "exp": NOW - 10}, "lifetime_too_short"),
        ({"exp": NOW + 3600}, None),
        ({"exp": NOW + 3601}, "lifetime_too_long"),
        ({"exp": NOW + 59}, "lifetime_too_short"),
        ({"iat": NOW}, "missing_claim"),
        ({}, "missing_claim"),
    ],
)
@pytest.mark.parametrize("required", [frozenset({"exp"}), frozenset()])
def test_a_lifetime_has_bounds(payload: dict[str, Any], reason: str | None, required: frozenset[str]) -> None:
    rules = {**BOUNDED, "required_claims": required}
    if reason is None:
        check(payload, rules=rules)
    else:
        assert why(payload, rules=rules) == (reason, "exp")


def test_one_bound_stands_alone() -> None:
    check(claims(exp=NOW + 10**8), rules={"min_lifetime": 60})
    check(claims(exp=NOW + 1), rules={"max_lifetime": 60})
    assert why(claims(exp=NOW + 61), rules={"max_lifetime": 60}) == ("lifetime_too_long", "exp")
    assert why(claims(exp=NOW + 59), rules={"min_lifetime": 60}) == ("lifetime_too_short", "exp")


def test_without_bounds_exp_is_required_unless_the_rules_say_otherwise() -> None:
    assert why(claims(exp=None)) == ("missing_claim", "exp")
    check(claims(exp=None), rules={"required_claims": frozenset()})


# --- issuer and audience

BY_A_SLASH = "The token's {0} differs from this app's {0} by a slash at its end."


def test_an_app_without_an_issuer_asks_for_none() -> None:
    check(claims(iss="https://anyone"))
    check(claims())


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        ({}, "missing_claim", "The token lacks the claim iss."),
        ({"iss": 5}, "bad_claim", "The claim iss must be a string."),
        ({"iss": ["https://id"]}, "bad_claim", "The claim iss must be a string."),
        ({"iss": "https://other"}, "wrong_issuer", "The token's issuer is not this app's issuer."),
        ({"iss": "HTTPS://id"}, "wrong_issuer", "The token's issuer is not this app's issuer."),
        ({"iss": "https://id/"}, "wrong_issuer", BY_A_SLASH.format("issuer")),
    ],
)
def test_the_issuer_is_compared_exactly(payload: dict[str, Any], reason: str, detail: str) -> None:
    refusal = refused(claims(**payload), issuer="https://id")
    assert (refusal.reason, refusal.detail, refusal.claim) == (reason, detail, "iss")


def test_the_right_issuer_holds() -> None:
    check(claims(iss="https://id"), issuer="https://id")


@pytest.mark.parametrize("aud", ["api", ["api"], ["other", "api"], ["second"]])
def test_an_audience_that_contains_ours_holds(aud: object) -> None:
    check(claims(aud=aud), audience=["api", "second"])


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        ({}, "missing_claim", "The token lacks the claim aud."),
        ({"aud": "other"}, "wrong_audience", "The token was not made for this audience."),
        ({"aud": []}, "wrong_audience", "The token was not made for this audience."),
        ({"aud": ["other", "API"]}, "wrong_audience", "The token was not made for this audience."),
        ({"aud": "api/"}, "wrong_audience", BY_A_SLASH.format("audience")),
        ({"aud": 5}, "bad_claim", "The claim aud must be a string or a list of strings."),
        ({"aud": ["api", 5]}, "bad_claim", "The claim aud must be a string or a list of strings."),
        ({"aud": {"api": 1}}, "bad_claim", "The claim aud must be a string or a list of strings."),
    ],
)
def test_the_audience_is_compared_exactly(payload: dict[str, Any], reason: str, detail: str) -> None:
    refusal = refused(claims(**payload), audience="api")
    assert (refusal.reason, refusal.detail, refusal.claim) == (reason, detail, "aud")


def test_an_audience_of_null_is_no_audience() -> None:
    assert why({**claims(), "aud": None}, audience="api") == ("bad_claim", "aud")
    assert why({**claims(), "aud": None}) == ("bad_claim", "aud")


@pytest.mark.parametrize("aud", ["api", ["api"], [], ""])
def test_an_app_without_an_audience_refuses_a_token_that_has_one(aud: object) -> None:
    refusal = refused(claims(aud=aud))
    assert (refusal.reason, refusal.claim) == ("wrong_audience", "aud")
    assert refusal.detail == "This app admits no token that has an audience."


# --- required, bound and fixed claims


def test_every_required_claim_must_be_there() -> None:
    rules = {"required_claims": frozenset({"exp", "email"})}
    refusal = refused(claims(), rules=rules)
    assert (refusal.reason, refusal.claim) == ("missing_claim", "email")
    assert refusal.detail == "The token lacks the claim email."
    check(claims(email="a@b.c"), rules=rules)


def test_the_app_claim_binds_a_token_to_the_app() -> None:
    rules = {"app_claim": "app"}
    check(claims(app="acme"), rules=rules)
    assert why(claims(), rules=rules) == ("missing_claim", "app")
    assert why(claims(app="other"), rules=rules) == ("wrong_app", "app")
    assert why(claims(app=["acme"]), rules=rules) == ("wrong_app", "app")
    assert why({**claims(), "app": None}, rules=rules) == ("wrong_app", "app")


@pytest.mark.parametrize(("value", "wrong"), [("user", "User"), (1, True), (True, 1), (1, 1.0), ("1", 1)])
def test_a_fixed_claim_has_its_one_value(value: Any, wrong: Any) -> None:
    rules = {"required_values": {"scope": value}}
    check(claims(scope=value), rules=rules)
    assert why(claims(scope=wrong), rules=rules) == ("bad_claim", "scope")
    assert why(claims(), rules=rules) == ("missing_claim", "scope")


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", [5, None, [], True])
def test_sub_and_jti_are_strings(name: str, value: object) -> None:
    assert why({**claims(), name: value}) == ("bad_claim", name)


def test_an_integer_sub_is_left_to_rules_that_admit_it() -> None:
    check(claims(sub=5), rules={"allow_integer_user_id": True})
    assert why(claims(jti=5), rules={"allow_integer_user_id": True}) == ("bad_claim", "jti")


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}, True, None])
def test_a_sub_that_is_neither_string_nor_integer_is_bad_whoever_reads_it(value: object) -> None:
    rules = {"allow_integer_user_id": True, "user_id": ("userId",)}
    assert why({**claims(userId=5), "sub": value}, rules=rules) == ("bad_claim", "sub")


# --- attributes, companies, scopes


def test_attributes_are_an_object() -> None:
    rules = {"attributes_claim": "ctx"}
    check(claims(), rules=rules)
    check(claims(ctx={"a": [1, {"b": None}]}), rules=rules)
    wrongs: tuple[Any, ...] = ("text", [], 5, True)
    for wrong in wrongs:
        assert why(claims(ctx=wrong), rules=rules) == ("bad_claim", "ctx")


def test_attributes_may_have_to_be_texts() -> None:
    rules = {"attributes_claim": "ctx", "string_attributes_only": True}
    check(claims(ctx={"a": "b"}), rules=rules)
    check(claims(ctx={}), rules=rules)
    assert why(claims(ctx={"a": "b", "c": 5}), rules=rules) == ("bad_claim", "ctx")


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
def test_attributes_have_a_size_in_bytes(letter: str) -> None:
    fits = {"k": letter * 10}
    size = len(json.dumps(fits, ensure_ascii=False, separators=(",", ":")).encode())
    check(claims(ctx=fits), rules={"attributes_claim": "ctx", "max_attributes_bytes": size})
    refusal = refused(claims(ctx=fits), rules={"attributes_claim": "ctx", "max_attributes_bytes": size - 1})
    assert (refusal.reason, refusal.claim) == ("context_too_large", "ctx")
    assert refusal.detail == f"The claim ctx has more than {size - 1} bytes."


@pytest.mark.parametrize("companies", [[], [{"id": "1", "name": "A"}], [{"id": "1", "name": "A", "plan": 5}] * 3])
def test_companies_have_an_id_and_a_name(companies: list[Any]) -> None:
    check(claims(), rules={"companies_claim": "companies"})
    check(claims(companies=companies), rules={"companies_claim": "companies"})


@pytest.mark.parametrize(
    "companies",
    [
        "A",
        {"id": "1", "name": "A"},
        ["A"],
        [{"id": "1"}],
        [{"name": "A"}],
        [{"id": 1, "name": "A"}],
        [{"id": "", "name": "A"}],
    ],
)
def test_companies_of_another_form_are_bad(companies: Any) -> None:
    assert why(claims(companies=companies), rules={"companies_claim": "companies"}) == ("bad_claim", "companies")


@pytest.mark.parametrize(
    ("given", "scopes"),
    [("", ()), ("a", ("a",)), ("a b", ("a", "b")), ([], ()), (["a", "b c"], ("a", "b c"))],
)
def test_scopes_are_words_or_a_list(given: Any, scopes: tuple[str, ...]) -> None:
    assert read_scopes({"scope": given}, "scope") == scopes
    assert read_scopes({}, "scope") == ()


@pytest.mark.parametrize("given", [5, None, ["a", 5], {"a": 1}, True])
def test_scopes_of_another_form_are_bad(given: Any) -> None:
    assert why({**claims(), "scope": given}, rules={"scopes_claim": "scope"}) == ("bad_claim", "scope")
