"""Check claims, rule by rule, at one time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.unit import NOW, claims, refusal_of
from wicket import App, Refusal, Rules
from wicket.decision.claim_values import read_scopes
from wicket.decision.claims import check_claims, numeric_date


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
def test_typ_default_rules_absent_or_jwt_allowed(typ: str | None) -> None:
    check(claims(), typ)


@pytest.mark.parametrize("typ", ["at+jwt", "JOSE", "", "application/", "text/jwt", "jwt "])
def test_typ_default_rules_other_typ_wrong_type(typ: str) -> None:
    assert why(claims(), typ) == ("wrong_type", None)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_allowed_typ_matching_typ_allowed(typ: str) -> None:
    check(claims(), typ, rules={"allowed_typ": frozenset({"at+jwt"})})


@pytest.mark.parametrize("typ", [None, "JWT", "logout+jwt"])
def test_allowed_typ_missing_or_other_typ_wrong_type(typ: str | None) -> None:
    assert why(claims(), typ, rules={"allowed_typ": frozenset({"at+jwt"})}) == ("wrong_type", None)


@pytest.mark.parametrize("typ", [None, "JWT", "at+jwt"])
def test_p2_allowed_typ_with_jwt_absent_typ_allowed(typ: str | None) -> None:
    check(claims(), typ, rules={"allowed_typ": frozenset({"JWT", "at+jwt"})})


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
def test_token_times_outside_leeway_refused(payload: dict[str, Any], now: float, reason: str | None) -> None:
    held = {**claims(), **payload}
    if reason is None:
        check(held, now=now)
    else:
        assert why(held, now=now) == (reason, next(iter(payload)))


def test_leeway_custom_value_shifts_exp_and_nbf() -> None:
    check(claims(exp=NOW - 59), rules={"leeway": 60})
    assert why(claims(exp=NOW), rules={"leeway": 0}) == ("expired", "exp")
    assert why(claims(nbf=NOW + 1), rules={"leeway": 0}) == ("not_yet_valid", "nbf")


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [True, False, "1800000000", None, [], {}])
def test_token_times_non_number_bad_claim(name: str, value: object) -> None:
    refusal = refused({**claims(), name: value})
    assert (refusal.reason, refusal.claim) == ("bad_claim", name)
    assert refusal.detail == f"The claim {name} must be a number of seconds since 1970."


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [253402300800, NOW * 1000, 10**300, 1e300])
def test_token_times_out_of_range_bad_claim(name: str, value: float) -> None:
    refusal = refused({**claims(), name: value})
    assert (refusal.reason, refusal.claim) == ("bad_claim", name)
    assert refusal.detail == f"The claim {name} must be seconds since 1970, not milliseconds."


@pytest.mark.parametrize("value", [-1, -0.5, -62135596800, -62135596800.0])
def test_p3_token_times_before_1970_are_dates(value: float) -> None:
    check({**claims(), "nbf": value, "iat": value})
    assert why(claims(exp=value)) == ("expired", "exp")


@pytest.mark.parametrize("value", [-62135596801, -62135596800.5, -(10**300)])
def test_p3_token_times_before_year_1_bad_claim(value: float) -> None:
    refusal = refused(claims(nbf=value))
    assert (refusal.reason, refusal.claim) == ("bad_claim", "nbf")
    assert refusal.detail == "The claim nbf must be seconds since 1970, and not before the year 1."


def test_numeric_date_absent_claim_none() -> None:
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
def test_lifetime_bounds_missing_exp_or_out_of_bounds_refused(
    payload: dict[str, Any], reason: str | None, required: frozenset[str]
) -> None:
    rules = {**BOUNDED, "required_claims": required}
    if reason is None:
        check(payload, rules=rules)
    else:
        assert why(payload, rules=rules) == (reason, "exp")


def test_lifetime_bounds_single_bound_enforces_only_that_bound() -> None:
    check(claims(exp=NOW + 10**8), rules={"min_lifetime": 60})
    check(claims(exp=NOW + 1), rules={"max_lifetime": 60})
    assert why(claims(exp=NOW + 61), rules={"max_lifetime": 60}) == ("lifetime_too_long", "exp")
    assert why(claims(exp=NOW + 59), rules={"min_lifetime": 60}) == ("lifetime_too_short", "exp")


def test_exp_missing_refused_unless_not_required() -> None:
    assert why(claims(exp=None)) == ("missing_claim", "exp")
    check(claims(exp=None), rules={"required_claims": frozenset()})


# --- issuer and audience

BY_A_SLASH = "The token's {0} differs from this app's {0} by a slash at its end."


def test_issuer_not_configured_any_iss_allowed() -> None:
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
def test_issuer_not_exact_match_refused(payload: dict[str, Any], reason: str, detail: str) -> None:
    refusal = refused(claims(**payload), issuer="https://id")
    assert (refusal.reason, refusal.detail, refusal.claim) == (reason, detail, "iss")


def test_issuer_exact_match_allowed() -> None:
    check(claims(iss="https://id"), issuer="https://id")


@pytest.mark.parametrize("aud", ["api", ["api"], ["other", "api"], ["second"]])
def test_audience_containing_configured_value_allowed(aud: object) -> None:
    check(claims(aud=aud), audience=["api", "second"])


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        ({}, "missing_claim", "The token lacks the claim aud."),
        ({"aud": "other"}, "wrong_audience", "The token was issued for another audience."),
        ({"aud": []}, "wrong_audience", "The token was issued for another audience."),
        ({"aud": ["other", "API"]}, "wrong_audience", "The token was issued for another audience."),
        ({"aud": "api/"}, "wrong_audience", BY_A_SLASH.format("audience")),
        ({"aud": 5}, "bad_claim", "The claim aud must be a string or a list of strings."),
        ({"aud": ["api", 5]}, "bad_claim", "The claim aud must be a string or a list of strings."),
        ({"aud": {"api": 1}}, "bad_claim", "The claim aud must be a string or a list of strings."),
    ],
)
def test_audience_not_exact_match_refused(payload: dict[str, Any], reason: str, detail: str) -> None:
    refusal = refused(claims(**payload), audience="api")
    assert (refusal.reason, refusal.detail, refusal.claim) == (reason, detail, "aud")


def test_audience_null_bad_claim() -> None:
    assert why({**claims(), "aud": None}, audience="api") == ("bad_claim", "aud")
    assert why({**claims(), "aud": None}) == ("bad_claim", "aud")


@pytest.mark.parametrize("aud", ["api", ["api"], [], ""])
def test_audience_not_configured_token_with_aud_wrong_audience(aud: object) -> None:
    refusal = refused(claims(aud=aud))
    assert (refusal.reason, refusal.claim) == ("wrong_audience", "aud")
    assert refusal.detail == "This app has no audience, so it allows no token with an audience."


# --- required claims, the app claim and required values


def test_required_claims_missing_claim_refused() -> None:
    rules = {"required_claims": frozenset({"exp", "email"})}
    refusal = refused(claims(), rules=rules)
    assert (refusal.reason, refusal.claim) == ("missing_claim", "email")
    assert refusal.detail == "The token lacks the claim email."
    check(claims(email="a@b.c"), rules=rules)


def test_app_claim_missing_or_other_app_refused() -> None:
    rules = {"app_claim": "app"}
    check(claims(app="acme"), rules=rules)
    assert why(claims(), rules=rules) == ("missing_claim", "app")
    assert why(claims(app="other"), rules=rules) == ("wrong_app", "app")
    assert why(claims(app=["acme"]), rules=rules) == ("wrong_app", "app")
    assert why({**claims(), "app": None}, rules=rules) == ("wrong_app", "app")


@pytest.mark.parametrize(("value", "wrong"), [("user", "User"), (1, True), (True, 1), (1, 1.0), ("1", 1)])
def test_required_values_other_value_or_type_bad_claim(value: Any, wrong: Any) -> None:
    rules = {"required_values": {"scope": value}}
    check(claims(scope=value), rules=rules)
    assert why(claims(scope=wrong), rules=rules) == ("bad_claim", "scope")
    assert why(claims(), rules=rules) == ("missing_claim", "scope")


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", [5, None, [], True])
def test_sub_and_jti_non_string_bad_claim(name: str, value: object) -> None:
    assert why({**claims(), name: value}) == ("bad_claim", name)


def test_allow_integer_user_id_integer_sub_allowed_jti_bad_claim() -> None:
    check(claims(sub=5), rules={"allow_integer_user_id": True})
    assert why(claims(jti=5), rules={"allow_integer_user_id": True}) == ("bad_claim", "jti")


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}, True, None])
def test_sub_not_string_or_integer_with_other_user_id_claim_bad_claim(value: object) -> None:
    rules = {"allow_integer_user_id": True, "user_id_claims": ("userId",)}
    assert why({**claims(userId=5), "sub": value}, rules=rules) == ("bad_claim", "sub")


# --- attributes, companies, scopes


def test_attributes_claim_non_object_bad_claim() -> None:
    rules = {"attributes_claim": "ctx"}
    check(claims(), rules=rules)
    check(claims(ctx={"a": [1, {"b": None}]}), rules=rules)
    wrongs: tuple[Any, ...] = ("text", [], 5, True)
    for wrong in wrongs:
        assert why(claims(ctx=wrong), rules=rules) == ("bad_claim", "ctx")


def test_string_attributes_only_non_string_value_bad_claim() -> None:
    rules = {"attributes_claim": "ctx", "string_attributes_only": True}
    check(claims(ctx={"a": "b"}), rules=rules)
    check(claims(ctx={}), rules=rules)
    assert why(claims(ctx={"a": "b", "c": 5}), rules=rules) == ("bad_claim", "ctx")


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
def test_max_attributes_bytes_utf8_size_exceeded_context_too_large(letter: str) -> None:
    fits = {"k": letter * 10}
    size = len(json.dumps(fits, ensure_ascii=False, separators=(",", ":")).encode())
    check(claims(ctx=fits), rules={"attributes_claim": "ctx", "max_attributes_bytes": size})
    refusal = refused(claims(ctx=fits), rules={"attributes_claim": "ctx", "max_attributes_bytes": size - 1})
    assert (refusal.reason, refusal.claim) == ("context_too_large", "ctx")
    assert refusal.detail == f"The claim ctx has more than {size - 1} bytes."


@pytest.mark.parametrize("companies", [[], [{"id": "1", "name": "A"}], [{"id": "1", "name": "A", "plan": 5}] * 3])
def test_companies_claim_absent_or_with_id_and_name_allowed(companies: list[Any]) -> None:
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
def test_companies_claim_wrong_format_bad_claim(companies: Any) -> None:
    assert why(claims(companies=companies), rules={"companies_claim": "companies"}) == ("bad_claim", "companies")


@pytest.mark.parametrize("ctx", [None, {"name": None}, {"name": None, "plan": "pro"}])
def test_p10_attributes_or_companies_null_allowed(ctx: object) -> None:
    rules = {"attributes_claim": "ctx", "string_attributes_only": True, "companies_claim": "companies"}
    check({**claims(), "ctx": ctx, "companies": None, "name": None, "email": None}, rules=rules)


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "app", "scope", "plan", "ctx"])
def test_p10_null_in_any_other_claim_refused(name: str) -> None:
    rules = {
        "app_claim": "app",
        "scopes_claim": "scope",
        "required_values": {"plan": "pro"},
        "attributes_claim": "ctx",
        "required_claims": {"exp", "ctx"},
    }
    held = {**claims(), "app": "acme", "scope": "", "plan": "pro", "ctx": {}}
    check(held, rules=rules)
    expected = {"app": "wrong_app", "ctx": "missing_claim"}.get(name, "bad_claim")
    assert why({**held, name: None}, rules=rules) == (expected, name)


@pytest.mark.parametrize(
    ("given", "scopes"),
    [("", ()), ("a", ("a",)), ("a b", ("a", "b")), ([], ()), (["a", "b c"], ("a", "b c"))],
)
def test_read_scopes_string_or_list_returns_scopes(given: Any, scopes: tuple[str, ...]) -> None:
    assert read_scopes({"scope": given}, ("scope",)) == list(scopes)
    assert read_scopes({}, ("scope",)) == []


@pytest.mark.parametrize("given", [5, None, ["a", 5], {"a": 1}, True])
def test_scopes_claim_wrong_format_bad_claim(given: Any) -> None:
    assert why({**claims(), "scope": given}, rules={"scopes_claim": "scope"}) == ("bad_claim", "scope")


def test_issuer_not_a_string_without_app_issuer_bad_claim() -> None:
    assert why({**claims(), "iss": 7}) == ("bad_claim", "iss")
